//! What a session tells its host, and what the host may answer.
//!
//! Invariant: every `Publish` is followed by exactly one `Unpublish` and every `Play` by exactly
//! one `StopPlay`, unless the host itself ended it (`refuse_*`, `end_*`, `shutdown`) or the
//! session stopped (an error, `is_closing`): then the host ends what it holds (I-06).
//! PROTOCOL §5, §13.

use std::fmt;

use crate::ids::StreamName;
use crate::rtmp::caps::Caps;
use crate::rtmp::message::Message;

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer asks for an application. The host answers with `accept_connect` or
    /// `refuse_connect` before the next `recv`; until then `recv` consumes nothing.
    Connect(Connect),
    /// The peer asks to publish. The host answers with `accept_publish` or `refuse_publish`, at
    /// once or later; until then media is dropped (C-44).
    Publish {
        /// Message stream it happens on.
        stream_id: u32,
        /// What it names.
        target: Target,
        /// How it asked for it.
        mode: PublishMode,
    },
    /// The peer asks to play. The host answers with `start_play` or `refuse_play`, at once or
    /// later.
    Play {
        /// Message stream it happens on.
        stream_id: u32,
        /// What it names.
        target: Target,
    },
    /// Audio, video or data of an accepted publish. The kind is `Audio`, `Video` or `DataAmf0`;
    /// data payloads are normalised: no `@setDataFrame`, no AMF3 selector, value bytes untouched
    /// (C-90, C-91). Empty audio is legal and means silence (K-15). Data named
    /// `@clearDataFrame` asks to forget the metadata named behind it.
    Media {
        /// Message stream of the publish it belongs to.
        stream_id: u32,
        /// The message, its `stream_id` corrected when the sender got it wrong (C-50).
        message: Message,
    },
    /// The peer ended its publish, accepted or still asked for. The peer has been answered.
    Unpublish {
        /// Message stream it happens on.
        stream_id: u32,
    },
    /// The peer ended its play, started or still asked for.
    StopPlay {
        /// Message stream it happens on.
        stream_id: u32,
    },
    /// The player wants no media (`true`), or media again from the next key frame on, headers
    /// first. The peer has been answered.
    Pause {
        /// Message stream it happens on.
        stream_id: u32,
        /// Whether it is paused now.
        paused: bool,
    },
    /// The player switched one kind of media off or on (C-73). The peer has been answered.
    Receive {
        /// Message stream it happens on.
        stream_id: u32,
        /// New wish for audio; `None` = unchanged.
        audio: Option<bool>,
        /// New wish for video; `None` = unchanged.
        video: Option<bool>,
    },
}

/// What `connect` asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Normalised application path, without query: `live` or `live/inst`. May be empty: some
    /// encoders put the whole path into the stream name. The application that counts for
    /// admission is `target.name.app()` of the publish or play.
    pub app: String,
    /// `tcUrl` without query, escaped, at most 512 bytes; empty when absent.
    pub tc_url: String,
    /// Host in `tcUrl`, lower case, without port; empty when absent.
    pub host: String,
    /// Query of `app` and `tcUrl` together, without `?`.
    pub query: String,
}

/// What `publish` or `play` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Normalised name: application first.
    pub name: StreamName,
    /// Query of stream name, app and tcUrl together (in that order of precedence), without `?`,
    /// not percent-decoded. May hold secrets: not for logs.
    pub query: String,
    /// Host in `tcUrl`, lower case, without port; empty when absent.
    pub host: String,
}

/// What a publisher asked to be done with its stream. All three are live here (C-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishMode {
    /// `live`, absent, or anything unknown (INTEROP 31).
    Live,
    /// `record`.
    Record,
    /// `append`.
    Append,
}

/// Who is at the other end, as far as it said so itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `flashVer`, escaped, at most 64 bytes; empty before connect.
    pub agent: String,
    /// What it can take beyond plain RTMP.
    pub caps: Caps,
    /// Normalised application path; see [`Connect::app`].
    pub app: String,
    /// See [`Connect::tc_url`].
    pub tc_url: String,
    /// See [`Connect::host`].
    pub host: String,
    /// Whether the handshake carried a digest.
    pub digest: bool,
}

/// Why a request is refused: a status code and a sentence for the person at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For example `NetStream.Publish.BadName`.
    pub code: &'static str,
    /// What the broadcaster or viewer reads.
    pub description: String,
}

impl Refusal {
    /// A refusal with its code and its sentence.
    #[must_use]
    pub fn new(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}

/// Status codes a host refuses with. How clients take them: PROTOCOL C-19, C-46, C-65, C-66.
pub mod code {
    /// Connect: no such application. OBS shows the description.
    pub const INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    /// Connect: policy or credentials.
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    /// Connect: asked twice.
    pub const CONNECT_FAILED: &str = "NetConnection.Connect.Failed";
    /// Connect: the server is going away.
    pub const APP_SHUTDOWN: &str = "NetConnection.Connect.AppShutdown";
    /// Publish: the name is taken. Sent together with [`PUBLISH_REJECTED`], see `refuse_publish`.
    pub const BAD_NAME: &str = "NetStream.Publish.BadName";
    /// Publish: policy, credentials or limits. OBS shows the description.
    pub const PUBLISH_REJECTED: &str = "NetStream.Publish.Rejected";
    /// Play: nobody publishes this name. Every client tested leaves at once.
    pub const STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    /// Play: policy or limits.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
}
