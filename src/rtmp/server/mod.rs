//! The server's side of one RTMP connection: bytes and verdicts in, events and bytes out.
//!
//! Invariant: between two calls at most one question to the host (`Event::Connect`) blocks the
//! input; after an error or once `is_closing`, input is discarded and no event comes (I-04).
//! PROTOCOL §5, §13.
//!
//! - [`event`]: what the host is told and may answer

pub mod event;

mod deadlines;

pub use deadlines::Stage;
pub use event::{Connect, Event, Peer, PublishMode, Refusal, Target, code};

use crate::ids::ConnId;
use crate::limits::SessionLimits;
use crate::rtmp::Error;
use crate::time::Millis;

/// Settings of a session, the same for every connection of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Chunk size we send with, 128..=65_536 bytes. ffmpeg mirrors it when publishing (K-25).
    pub chunk_size: u32,
    /// Window we ask the peer to acknowledge by, in bytes.
    pub window_ack_size: u32,
    /// Bounds.
    pub limits: SessionLimits,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { chunk_size: 60_000, window_ack_size: 2_500_000, limits: SessionLimits::DEFAULT }
    }
}

/// One connection's protocol state. See the module's head.
#[derive(Debug)]
pub struct ServerSession {
    peer: Peer,
    out: Vec<u8>,
}

impl ServerSession {
    /// A session for a connection accepted at `now`. `seed` fills the handshake's random part;
    /// `trace` is told to the client as `clientid`.
    #[must_use]
    pub fn new(config: SessionConfig, seed: [u8; 32], trace: ConnId, now: Millis) -> Self {
        let _ = (config, seed, trace, now);
        todo!()
    }

    /// Consumes from the front of `input` up to and including the next event. `Ok(None)`: all of
    /// `input` was consumed and nothing is to be reported. The one exception: while a `Connect`
    /// is unanswered nothing is consumed. Drain `out` afterwards; look at `is_closing`.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit: flush what `out` holds and close.
    pub fn recv(&mut self, input: &mut &[u8], now: Millis) -> Result<Option<Event>, Error> {
        let _ = (input, now);
        todo!()
    }

    /// Bytes to send, in order. The host drains it after every call that takes `&mut self`.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Tells that the socket took bytes for this peer: a player that takes media is alive though
    /// it never answers (INTEROP 45).
    pub fn sent(&mut self, now: Millis) {
        let _ = now;
        todo!()
    }

    /// When `timeout` wants to be called, `Millis::NEVER` if never. Cheap.
    #[must_use]
    pub fn next_timeout(&self) -> Millis {
        todo!()
    }

    /// Checks the deadlines; may queue a ping.
    ///
    /// # Errors
    /// `Error::Timeout`: close the connection.
    pub fn timeout(&mut self, now: Millis) -> Result<(), Error> {
        let _ = now;
        todo!()
    }

    /// Answers `Event::Connect` with success.
    pub fn accept_connect(&mut self) {
        todo!()
    }

    /// Answers `Event::Connect` with an error; the session is closing then.
    pub fn refuse_connect(&mut self, refusal: &Refusal) {
        let _ = refusal;
        todo!()
    }

    /// Answers `Event::Publish` with success. No-op when the stream asks no more.
    pub fn accept_publish(&mut self, stream_id: u32, now: Millis) {
        let _ = (stream_id, now);
        todo!()
    }

    /// Answers `Event::Publish` with an error; the session is closing then. No-op when the
    /// stream asks no more.
    pub fn refuse_publish(&mut self, stream_id: u32, refusal: &Refusal) {
        let _ = (stream_id, refusal);
        todo!()
    }

    /// Answers `Event::Play` with success: StreamBegin, Play.Reset if asked, Play.Start,
    /// |RtmpSampleAccess. The host's media follows. No-op when the stream asks no more.
    pub fn start_play(&mut self, stream_id: u32) {
        let _ = stream_id;
        todo!()
    }

    /// Answers `Event::Play` with an error; the session is closing then. No-op when the stream
    /// asks no more.
    pub fn refuse_play(&mut self, stream_id: u32, refusal: &Refusal) {
        let _ = (stream_id, refusal);
        todo!()
    }

    /// Tells a player that its stream ended: Play.UnpublishNotify and StreamEOF, both (C-67).
    /// The message stream stays and may play again.
    pub fn end_play(&mut self, stream_id: u32) {
        let _ = stream_id;
        todo!()
    }

    /// Takes a publish away from the peer (kick, takeover) with an error status. The connection
    /// stays; close it if it shall go.
    pub fn end_publish(&mut self, stream_id: u32, refusal: &Refusal) {
        let _ = (stream_id, refusal);
        todo!()
    }

    /// Asks a client that understands it to connect elsewhere or again (M-67). `false` when the
    /// client did not declare it; nothing is sent then.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>) -> bool {
        let _ = tc_url;
        todo!()
    }

    /// Says goodbye to whoever plays or publishes; the session is closing then.
    pub fn shutdown(&mut self) {
        todo!()
    }

    /// A last reply is queued: flush, half-close, linger (L-13).
    #[must_use]
    pub fn is_closing(&self) -> bool {
        todo!()
    }

    /// Who it is, for logs and routing.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
