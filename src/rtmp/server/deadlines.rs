//! When a session runs out of patience.
//!
//! Invariant: a deadline is derived from recorded facts, never armed and forgotten; asking late
//! by any amount is safe (I-02). RELIABILITY §4, PROTOCOL L-01 to L-04.

use std::fmt;

use super::streams::{Streams, Use};
use crate::limits::SessionLimits;
use crate::time::Millis;

/// When what happened.
pub(super) struct Clock {
    limits: SessionLimits,
    accepted: Millis,
    /// C2 read.
    shaken: Millis,
    /// Last byte in either direction.
    moved: Millis,
    /// Ping sent and nothing heard since.
    pinged: Option<Millis>,
    /// The last role ended; `None` = there never was one.
    role_ended: Option<Millis>,
    /// Newest time seen, for facts whose caller knows none.
    latest: Millis,
}

/// How far the session is, as far as deadlines care.
pub(super) enum Progress<'a> {
    Handshake,
    WaitConnect,
    Connected(&'a Streams),
    Closing,
}

/// What to do when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    Close(Stage),
}

impl Clock {
    pub(super) fn new(limits: SessionLimits, now: Millis) -> Self {
        Self {
            limits,
            accepted: now,
            shaken: now,
            moved: now,
            pinged: None,
            role_ended: None,
            latest: now,
        }
    }

    /// Bytes came: whatever they are, the peer is alive (L-03).
    pub(super) fn heard(&mut self, now: Millis) {
        self.pinged = None;
        self.sent(now);
    }

    /// Bytes left. They do not answer a ping: it may be the ping itself that left.
    pub(super) fn sent(&mut self, now: Millis) {
        self.latest = self.latest.max(now);
        self.moved = self.latest;
    }

    pub(super) fn shaken(&mut self) {
        self.shaken = self.latest;
    }

    pub(super) fn pinged(&mut self, now: Millis) {
        self.latest = self.latest.max(now);
        self.pinged = Some(self.latest);
    }

    pub(super) fn role_ended(&mut self) {
        self.role_ended = Some(self.latest);
    }

    /// The next thing due and when.
    pub(super) fn next(&self, progress: &Progress<'_>) -> (Millis, Due) {
        let role = match self.role_ended {
            None => self.accepted + self.limits.role_ms,
            Some(ended) => ended + self.limits.roleless_ms,
        };
        let role = (role, Due::Close(Stage::Role));
        let first = match progress {
            Progress::Handshake => {
                let end = self.accepted + self.limits.handshake_ms;
                earlier(role, (end, Due::Close(Stage::Handshake)))
            }
            Progress::WaitConnect => {
                let end = self.shaken + self.limits.connect_ms;
                earlier(role, (end, Due::Close(Stage::Connect)))
            }
            Progress::Connected(streams) => {
                // While the host owes an answer its patience counts, not ours.
                let waits = !streams.has_role() && !streams.is_asking();
                let role = if waits { role } else { NEVER };
                streams.iter().map(|(_, usage)| self.media(usage)).fold(role, earlier)
            }
            Progress::Closing => return NEVER,
        };
        match progress {
            Progress::Connected(_) => earlier(first, self.life()),
            _ => first,
        }
    }

    fn media(&self, usage: &Use) -> (Millis, Due) {
        match usage {
            Use::Publishing { media: Some(last), .. } => {
                (*last + self.limits.media_idle_ms, Due::Close(Stage::MediaIdle))
            }
            Use::Publishing { accepted, .. } => {
                (*accepted + self.limits.first_media_ms, Due::Close(Stage::FirstMedia))
            }
            _ => NEVER,
        }
    }

    fn life(&self) -> (Millis, Due) {
        match self.pinged {
            Some(at) => (at + self.limits.pong_ms, Due::Close(Stage::Pong)),
            None => (self.moved + self.limits.ping_after_ms, Due::Ping),
        }
    }
}

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

fn earlier(a: (Millis, Due), b: (Millis, Due)) -> (Millis, Due) {
    if b.0 < a.0 { b } else { a }
}

const NEVER: (Millis, Due) = (Millis::NEVER, Due::Ping);
