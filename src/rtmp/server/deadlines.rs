//! When a session runs out of patience.
//!
//! Invariant: a deadline is derived from recorded facts, never armed and forgotten; asking late
//! by any amount is safe (I-02). RELIABILITY §4, PROTOCOL L-01 to L-04.

use std::fmt;

/// What a peer was too slow with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Accept → handshake complete.
    Handshake,
    /// Handshake → connect.
    Connect,
    /// Accept → publish or play, or too long without either afterwards.
    Role,
    /// Ping → any byte.
    Pong,
    /// Publish accepted → first audio or video.
    FirstMedia,
    /// Publisher without audio or video.
    MediaIdle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake not completed in time",
            Self::Connect => "no connect in time",
            Self::Role => "neither publish nor play in time",
            Self::Pong => "silent, and no answer to ping",
            Self::FirstMedia => "publish accepted but no audio or video came",
            Self::MediaIdle => "publisher sends no audio or video any more",
        })
    }
}
