//! `ClientEvent`: what a client session reports, and how it can end.
//!
//! Invariant: every way a session stops being useful is either one `Ended` event (the server said
//! so) or one `ClientError` (the server broke a rule or was silent). PROTOCOL.

use std::fmt;

use crate::rtmp;
use crate::rtmp::handshake::HandshakeError;
use crate::rtmp::message::Message;

/// Something the host of a client session wants to know.
#[derive(Debug)]
pub enum ClientEvent {
    /// The server accepted connect.
    Connected {
        /// The server's own name for this connection (`clientid`), when it told one; for logs.
        trace: Option<String>,
        /// The server's `capsEx`, when it speaks Enhanced RTMP (M-61).
        caps_ex: Option<u32>,
    },
    /// Media may be sent (publish) or comes from now on (play).
    Ready {
        /// Message stream id the server issued.
        stream_id: u32,
    },
    /// Audio, video or data for a player. Aggregates arrive as their parts.
    Media(Message),
    /// Any status the server sent, whether or not it changes the session.
    Status(Status),
    /// `StreamEOF`: the server has nothing more to send on that stream.
    StreamEof {
        /// Message stream id the server named.
        stream_id: u32,
    },
    /// Answer to a ping of ours.
    Pong {
        /// The number the ping carried.
        time: u32,
    },
    /// The server asks to connect again, elsewhere or to the same place (M-67). Not followed here.
    Reconnect {
        /// The new tcUrl, absolute or relative; absent means the same.
        tc_url: Option<String>,
        /// The server's words.
        description: String,
    },
    /// The session is over. Said once, unless the server starts the stream again.
    Ended {
        /// Who ended it and how.
        why: Ending,
    },
}

/// A status or error object of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `status`, `warning` or `error`.
    pub level: String,
    /// For instance `NetStream.Play.Start`.
    pub code: String,
    /// Free text.
    pub description: String,
    /// `clientid` when it is text: Corecast names the connection here; empty otherwise.
    pub client: String,
    /// Message stream id it came on.
    pub stream_id: u32,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})",
            self.code.escape_debug(),
            self.description.escape_debug()
        )
    }
}

/// How a session ended by the server's word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The server refused a step, or threw us out later.
    #[error("refused while {step}: {status}")]
    Refused {
        /// What the session was waiting for.
        step: Step,
        /// The server's reason.
        status: Status,
    },
    /// The publisher of the stream we play has stopped, or the server ended our publish.
    #[error("the stream was unpublished")]
    Unpublished,
    /// The server stopped playing to us.
    #[error("the server stopped playing")]
    Stopped,
    /// A recording was played to its end.
    #[error("the recording is complete")]
    Complete,
    /// `StreamEOF` with no status before it.
    #[error("the server sent StreamEOF")]
    StreamEof,
    /// The server deleted or closed the message stream itself (ffmpeg -listen does, X-16).
    #[error("the server deleted the stream")]
    Deleted,
    /// The server is closing the connection.
    #[error("the server closes the connection: {0}")]
    Closed(Status),
}

/// What a client session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// S0, S1 and S2.
    Handshake,
    /// The answer to connect.
    Connect,
    /// The answer to createStream.
    CreateStream,
    /// Publish.Start, Play.Start or first media.
    Start,
    /// Nothing: the session runs.
    Ready,
    /// Nothing more: the session has ended.
    Over,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshaking",
            Self::Connect => "connecting",
            Self::CreateStream => "creating the stream",
            Self::Start => "starting",
            Self::Ready => "running",
            Self::Over => "over",
        })
    }
}

/// Why a client session cannot go on, or a call on it was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The other side does not speak RTMP, or wants RTMPE.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The server broke a rule of the chunk stream or a bound of ours (Z-90).
    #[error(transparent)]
    Wire(#[from] rtmp::Error),
    /// The server did not answer.
    #[error("no answer within {waited_ms} ms while {step}")]
    Timeout {
        /// The step it did not answer.
        step: Step,
        /// How long the session waited.
        waited_ms: u64,
    },
    /// The answer to createStream holds no usable number (Z-87).
    #[error("the server's answer to createStream is not a stream id")]
    BadStreamId,
    /// More pings than a live peer has reason to send (U-11).
    #[error("{found} pings within a second, {allowed} are allowed")]
    PingFlood {
        /// Pings of the current second.
        found: u32,
        /// Most pings of one second.
        allowed: u32,
    },
    /// Media was handed in before `Ready` or after the end.
    #[error("media cannot be sent while {step}")]
    NotReady {
        /// Where the session is.
        step: Step,
    },
    /// The kind is not audio, video or data, or the payload is longer than the 24-bit length.
    #[error("not a media message: kind {kind}, {bytes} bytes")]
    NotMedia {
        /// Message type id.
        kind: u8,
        /// Payload length.
        bytes: usize,
    },
}
