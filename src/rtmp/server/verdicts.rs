//! The host's answers and what the peer hears of them.
//!
//! Invariant: each verdict is legal in one state and does nothing in any other, so an answer that
//! comes after its question was withdrawn finds nothing (Z-58). A refusal closes the session.
//! PROTOCOL C-16 to C-19, C-43 to C-48, C-62 to C-67, M-67.

use super::calls::Call;
use super::commands::sentence;
use super::event::{Connect, Event, Peer, Refusal, code};
use super::replies::info;
use super::streams::Use;
use super::{ServerSession, State};
use crate::rtmp::Error;
use crate::rtmp::amf0::{Object, Value};
use crate::rtmp::caps::Caps;
use crate::rtmp::message::UserControl;
use crate::rtmp::url::{Address, escape};
use crate::time::Millis;

impl ServerSession {
    /// The question itself: every key may be missing or of a wrong type (C-10).
    pub(super) fn connect(&mut self, call: &Call<'_, '_>) {
        let none = Object::new();
        let object = call.object().unwrap_or(&none);
        let text = |key: &str| object.get(key).and_then(Value::as_bytes);
        let agent = text("flashVer")
            .or_else(|| text("flashver"))
            .unwrap_or_default();
        self.peer.agent = escape(&String::from_utf8_lossy(agent), AGENT_BYTES_MAX);
        self.peer.caps = Caps::read(object);
        let tc_url = text("tcUrl").or_else(|| text("tcurl"));
        self.address = match Address::new(text("app"), tc_url) {
            Ok(address) => address,
            Err(error) => {
                let refusal = Refusal::new(code::INVALID_APP, sentence(&error));
                return self.reject_connect(call.transaction, &refusal);
            }
        };
        let Peer {
            app, tc_url, host, ..
        } = &mut self.peer;
        app.clone_from(&self.address.app);
        tc_url.clone_from(&self.address.tc_url);
        host.clone_from(&self.address.host);
        let encoding = object.get("objectEncoding").and_then(Value::as_number);
        self.state = State::AskingConnect {
            transaction: call.transaction,
            // Echoed, though everything we send is AMF0.
            encoding: if encoding == Some(3.0) { 3.0 } else { 0.0 },
        };
        self.tell(Event::Connect(Connect {
            app: self.address.app.clone(),
            tc_url: self.address.tc_url.clone(),
            host: self.address.host.clone(),
            query: self.address.query.clone(),
        }));
    }

    /// Answers `Event::Connect` with success. No-op in any other state.
    pub fn accept_connect(&mut self) {
        let State::AskingConnect {
            transaction,
            encoding,
        } = self.state
        else {
            return;
        };
        self.replies.windows(self.config.window_ack_size);
        self.replies.set_chunk_size(self.config.chunk_size);
        let trace = self.trace.to_string();
        self.replies
            .connected(transaction, encoding, &trace, &self.peer.caps);
        self.state = State::Connected;
    }

    /// Answers `Event::Connect` with an error; the session is closing then (C-19). No-op in any
    /// other state.
    pub fn refuse_connect(&mut self, refusal: &Refusal) {
        if let State::AskingConnect { transaction, .. } = self.state {
            self.reject_connect(transaction, refusal);
        }
    }

    pub(super) fn reject_connect(&mut self, transaction: f64, refusal: &Refusal) {
        self.replies
            .connect_failed(transaction, refusal.code, &refusal.description);
        self.refuse(refusal);
    }

    /// Answers `Event::Publish` with success. No-op when the stream asks no more.
    pub fn accept_publish(&mut self, stream_id: u32, now: Millis) {
        let Some(usage) = self.streams.find_mut(stream_id) else {
            return;
        };
        let Use::AskingPublish { name } = usage else {
            return;
        };
        let name = name.clone();
        *usage = Use::Publishing {
            name,
            accepted: now,
            media: None,
        };
        self.authorised = true;
        self.reader.set_limits(self.config.limits.publisher);
        self.replies.user(UserControl::StreamBegin(stream_id));
        self.replies
            .status(stream_id, "NetStream.Publish.Start", "Start publishing");
    }

    /// Answers `Event::Publish` with an error; the session is closing then. No-op when the stream
    /// asks no more.
    ///
    /// `BadName` is what gst and ffmpeg understand as "taken", but OBS ignores it and shows the
    /// description of `Rejected` only (C-46): so `BadName` goes first and `Rejected` with the same
    /// words behind it. Those who understood the first are gone by the second.
    pub fn refuse_publish(&mut self, stream_id: u32, refusal: &Refusal) {
        if matches!(
            self.streams.find(stream_id),
            Some(Use::AskingPublish { .. })
        ) {
            self.reject_publish(stream_id, refusal);
        }
    }

    pub(super) fn reject_publish(&mut self, id: u32, refusal: &Refusal) {
        let Refusal { code, description } = refusal;
        self.replies.error(id, code, description);
        if *code == code::BAD_NAME {
            self.replies.error(id, code::PUBLISH_REJECTED, description);
        }
        self.refuse(refusal);
    }

    /// Answers `Event::Play` with success: StreamBegin, Play.Reset if asked, Play.Start,
    /// |RtmpSampleAccess (C-62). The host's media follows. No NetStream.Data.Start: ffmpeg shows a
    /// phantom stream for it (C-64). No-op when the stream asks no more.
    pub fn start_play(&mut self, stream_id: u32) {
        let Some(usage) = self.streams.find_mut(stream_id) else {
            return;
        };
        let Use::AskingPlay { reset } = *usage else {
            return;
        };
        *usage = Use::Playing;
        self.authorised = true;
        self.replies.user(UserControl::StreamBegin(stream_id));
        if reset {
            self.replies
                .status(stream_id, "NetStream.Play.Reset", "Playing and resetting");
        }
        self.replies
            .status(stream_id, "NetStream.Play.Start", "Start live");
        self.replies.sample_access(stream_id);
    }

    /// Answers `Event::Play` with an error; the session is closing then (C-65, C-66). No-op when
    /// the stream asks no more.
    pub fn refuse_play(&mut self, stream_id: u32, refusal: &Refusal) {
        if matches!(self.streams.find(stream_id), Some(Use::AskingPlay { .. })) {
            self.reject_play(stream_id, refusal);
        }
    }

    pub(super) fn reject_play(&mut self, id: u32, refusal: &Refusal) {
        self.replies.error(id, refusal.code, &refusal.description);
        self.refuse(refusal);
    }

    /// Tells a player that its stream ended: Play.UnpublishNotify, on which ffmpeg and rtmpdump
    /// end, and StreamEOF, on which gst ends (C-67). The message stream stays and may play again.
    /// No-op when it does not play.
    pub fn end_play(&mut self, stream_id: u32) {
        if matches!(self.streams.find(stream_id), Some(Use::Playing)) {
            self.set(stream_id, Use::Created);
            self.unpublish_notify(stream_id);
            self.role_ended();
        }
    }

    fn unpublish_notify(&mut self, stream_id: u32) {
        let code = "NetStream.Play.UnpublishNotify";
        self.replies
            .status(stream_id, code, "The stream has ended.");
        self.replies.user(UserControl::StreamEof(stream_id));
    }

    /// Takes a publish away from the peer (kick, takeover) with an error status. The connection
    /// stays; close it if it shall go. No-op when the stream does not publish.
    pub fn end_publish(&mut self, stream_id: u32, refusal: &Refusal) {
        if matches!(self.streams.find(stream_id), Some(Use::Publishing { .. })) {
            self.set(stream_id, Use::Created);
            self.replies
                .error(stream_id, refusal.code, &refusal.description);
            self.role_ended();
        }
    }

    /// Tells a publisher which limit it went past. Other errors are answered by the end alone:
    /// whoever made them would not understand the words.
    pub(super) fn explain(&mut self, error: &Error) {
        let sentence = match *error {
            Error::Bitrate { mbit_per_second } => {
                format!("The encoder sends more than the {mbit_per_second} Mbit/s allowed here.")
            }
            Error::MessageRate { per_second } => {
                format!(
                    "The encoder sends more than the {per_second} messages a second allowed here."
                )
            }
            Error::MessageLength { found, max, .. } => format!(
                "The encoder sent a frame of {found} bytes, {max} are allowed here: \
                 lower its bitrate or key frame size."
            ),
            _ => return,
        };
        let publishes = |(_, usage): &(u32, &Use)| matches!(usage, Use::Publishing { .. });
        if let Some((id, _)) = self.streams.iter().find(publishes) {
            self.replies.error(id, code::PUBLISH_REJECTED, &sentence);
        }
    }

    /// Asks a client that understands it to connect again, elsewhere if `tc_url` says so (M-67).
    /// `false` when the client did not declare it; nothing is sent then.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>) -> bool {
        if !self.peer.caps.reconnect || !matches!(self.state, State::Connected) {
            return false;
        }
        let code = "NetConnection.Connect.ReconnectRequest";
        let info = info("status", code, "Please connect again.");
        self.replies.on_status(
            0,
            match tc_url {
                Some(tc_url) => info.with("tcUrl", tc_url),
                None => info,
            },
        );
        true
    }

    /// Says goodbye to whoever plays or publishes; the session is closing then. Levels are
    /// `status`: a player that ended well shall not report an error.
    pub fn shutdown(&mut self) {
        let uses: Vec<(u32, bool)> = self
            .streams
            .iter()
            .filter(|(_, usage)| usage.is_role())
            .map(|(id, usage)| (id, matches!(usage, Use::Playing)))
            .collect();
        for (id, plays) in uses {
            if plays {
                self.unpublish_notify(id);
            } else {
                let code = "NetStream.Unpublish.Success";
                self.replies
                    .status(id, code, "The server is shutting down.");
            }
        }
        match self.state {
            State::AskingConnect { transaction, .. } => {
                let code = code::APP_SHUTDOWN;
                self.replies
                    .connect_failed(transaction, code, "The server is shutting down.");
            }
            State::Connected => {
                let code = "NetConnection.Connect.Closed";
                self.replies.status(0, code, "The server is shutting down.");
            }
            State::Handshake(_) | State::WaitConnect | State::Closing => {}
        }
        self.close();
    }
}

/// Bytes kept of `flashVer`.
const AGENT_BYTES_MAX: usize = 64;
