//! What a session does at each command.
//!
//! Invariant: one visible match; order and presence of commands vary between encoders, so each is
//! judged by the state of its message stream alone (INTEROP 29). PROTOCOL §5.

use super::calls::{Call, amf0_values};
use super::event::{Event, PublishMode, Refusal, Target, code};
use super::streams::Use;
use super::{ServerSession, State};
use crate::ids::StreamName;
use crate::rtmp::Error;
use crate::rtmp::amf0::{Value, decode};
use crate::rtmp::message::{Message, UserControl};
use crate::rtmp::url::{NameError, escape};

impl ServerSession {
    pub(super) fn command(&mut self, message: &Message) -> Result<(), Error> {
        let connected = matches!(self.state, State::Connected);
        let bytes = amf0_values(message).unwrap_or_default();
        let decoded = decode(bytes, self.amf_limits())?;
        let Some(call) = Call::read(&decoded, message.stream_id) else {
            self.dropped += 1;
            return if connected {
                Ok(())
            } else {
                Err(Error::NotConnect)
            };
        };
        match (connected, call.name) {
            (false, b"connect") => match decoded.error {
                Some(damage) => return Err(damage.into()),
                None => self.connect(&call),
            },
            (false, _) => return Err(Error::NotConnect),
            (true, _) if decoded.error.is_some() => {
                self.fail(&call, "The arguments cannot be read.");
            }
            (true, _) => self.call(&call),
        }
        Ok(())
    }

    fn call(&mut self, call: &Call<'_, '_>) {
        match call.name {
            b"createStream" => self.create_stream(call),
            b"deleteStream" => self.delete_stream(call),
            b"closeStream" => self.release(call.stream_id),
            b"publish" => self.publish(call),
            b"play" => self.play(call),
            b"pause" | b"pauseRaw" => self.pause(call),
            b"seek" => self.seek(call),
            b"receiveAudio" | b"receiveVideo" => self.receive(call),
            b"releaseStream" | b"FCSubscribe" | b"FCUnsubscribe" => self.acknowledge(call),
            b"FCPublish" => self.fc_publish(call),
            b"FCUnpublish" => self.fc_unpublish(call),
            b"getStreamLength" => {
                self.replies
                    .result(call.transaction, Value::Null, 0u32.into());
            }
            b"_checkbw" | b"checkBandwidth" => {
                self.replies
                    .result(call.transaction, Value::Null, Value::Null);
            }
            b"connect" => {
                let twice = "This connection has already connected.";
                self.reject_connect(call.transaction, &Refusal::new(code::CONNECT_FAILED, twice));
            }
            // Answers to calls we never made; answering those would never end.
            b"_result" | b"_error" | b"onStatus" => self.dropped += 1,
            name => {
                let shown = escape(&String::from_utf8_lossy(name), NAME_BYTES_MAX);
                self.fail(call, &format!("Method not found ({shown})."));
            }
        }
    }

    /// Empty success: FMLE-era encoders wait for it, others ignore it (C-31, INTEROP 30). Nothing
    /// happens to any other session.
    fn acknowledge(&mut self, call: &Call<'_, '_>) {
        self.replies
            .result(call.transaction, Value::Null, Value::Undefined);
    }

    fn fail(&mut self, call: &Call<'_, '_>, description: &str) {
        self.dropped += 1;
        self.replies.call_failed(call.transaction, description);
    }

    fn create_stream(&mut self, call: &Call<'_, '_>) {
        match self.streams.create() {
            Some(id) => self
                .replies
                .result(call.transaction, Value::Null, id.into()),
            None => self.fail(
                call,
                "This connection has all the message streams it may have.",
            ),
        }
    }

    /// gst sends the stream's name instead of its id (C-35).
    fn delete_stream(&mut self, call: &Call<'_, '_>) {
        let id = match call.argument(0) {
            Some(value @ Value::Number(_)) => value.as_u32(),
            _ if self.streams.find(call.stream_id).is_some() => Some(call.stream_id),
            _ => self.streams.only_active(),
        };
        if let Some(id) = id {
            self.release(id);
            self.streams.delete(id);
        }
    }

    /// onFCPublish goes to FMLE and those that pass for it (OBS, which ignores it), as FMS sends
    /// it. ffmpeg passes for FMLE too but names Lavf; gst and rtmpdump pass for Flash: they never
    /// see it (C-32, INTEROP 30).
    fn fc_publish(&mut self, call: &Call<'_, '_>) {
        self.acknowledge(call);
        let agent = &self.peer.agent;
        if agent.starts_with("FMLE/") && !agent.contains("Lavf") {
            let code = "NetStream.Publish.Start";
            self.replies
                .notify("onFCPublish", code, "FCPublish succeeded.");
        }
    }

    fn fc_unpublish(&mut self, call: &Call<'_, '_>) {
        self.acknowledge(call);
        let name = call.argument(0).and_then(Value::as_bytes);
        let named = name.and_then(|name| self.address.stream(name).ok());
        let id = match named.and_then(|(name, _)| self.streams.publish_of(&name)) {
            None => self.streams.only_active(),
            found => found,
        };
        let publish = |id: &u32| {
            let usage = self.streams.find(*id);
            matches!(
                usage,
                Some(Use::AskingPublish { .. } | Use::Publishing { .. })
            )
        };
        if let Some(id) = id.filter(publish) {
            self.release(id);
        }
    }

    fn publish(&mut self, call: &Call<'_, '_>) {
        let Some(id) = self.streams.named(call.stream_id) else {
            return self.fail(
                call,
                "publish needs a message stream: call createStream first.",
            );
        };
        let name = match call.argument(0) {
            // FMLE, Wirecast and Flash stop this way (C-41).
            Some(Value::Boolean(false)) => return self.release(id),
            Some(Value::String(name)) => *name,
            _ => return self.bad_name(id, "publish needs a stream name."),
        };
        if !matches!(self.streams.find(id), Some(Use::Created)) {
            let busy = "This message stream already publishes or plays.";
            return self.replies.error(id, code::BAD_NAME, busy);
        }
        let (name, target) = match self.target(name) {
            Ok(found) => found,
            Err(error) => return self.bad_name(id, &sentence(&error)),
        };
        let mode = match call.argument(1).and_then(Value::as_bytes) {
            Some(kind) if kind.eq_ignore_ascii_case(b"record") => PublishMode::Record,
            Some(kind) if kind.eq_ignore_ascii_case(b"append") => PublishMode::Append,
            _ => PublishMode::Live,
        };
        self.set(id, Use::AskingPublish { name });
        self.tell(Event::Publish {
            stream_id: id,
            target,
            mode,
        });
    }

    fn bad_name(&mut self, id: u32, why: &str) {
        self.reject_publish(id, &Refusal::new(code::BAD_NAME, why));
    }

    /// Start and duration are not looked at: their units differ between clients and all of them
    /// mean live (C-60).
    fn play(&mut self, call: &Call<'_, '_>) {
        let Some(id) = self.streams.named(call.stream_id) else {
            return self.fail(
                call,
                "play needs a message stream: call createStream first.",
            );
        };
        let reset = match call.argument(3) {
            Some(Value::Boolean(reset)) => *reset,
            Some(Value::Number(reset)) => *reset != 0.0,
            _ => true,
        };
        match self.streams.find(id) {
            Some(Use::Publishing { .. } | Use::AskingPublish { .. }) => {
                let busy = "This message stream publishes and cannot play.";
                return self.replies.error(id, code::PLAY_FAILED, busy);
            }
            Some(Use::Playing | Use::AskingPlay { .. }) if !reset => {
                let busy = "This message stream already plays; playlists are not offered.";
                return self.replies.error(id, code::PLAY_FAILED, busy);
            }
            _ => {}
        }
        let name = call.argument(0).and_then(Value::as_bytes);
        let found = match name.map(|name| self.target(name)) {
            Some(Ok((_, target))) => Ok(target),
            Some(Err(error)) => Err(sentence(&error)),
            None => Err("play needs a stream name.".to_owned()),
        };
        match found {
            Ok(target) => {
                self.release(id);
                self.set(id, Use::AskingPlay { reset });
                self.tell(Event::Play {
                    stream_id: id,
                    target,
                });
            }
            Err(why) => {
                self.reject_play(id, &Refusal::new(code::STREAM_NOT_FOUND, why));
            }
        }
    }

    fn pause(&mut self, call: &Call<'_, '_>) {
        let paused = call.argument(0).and_then(Value::as_bool);
        let (Some(id), Some(paused)) = (self.playing(call.stream_id), paused) else {
            return self.fail(call, "Nothing plays on this message stream.");
        };
        if paused {
            self.replies.status(id, "NetStream.Pause.Notify", "Paused.");
        } else {
            self.replies
                .status(id, "NetStream.Unpause.Notify", "Playing again.");
            self.replies.user(UserControl::StreamBegin(id));
        }
        self.tell(Event::Pause {
            stream_id: id,
            paused,
        });
    }

    fn seek(&mut self, call: &Call<'_, '_>) {
        match self.playing(call.stream_id) {
            Some(id) => {
                self.replies
                    .error(id, "NetStream.Seek.Failed", "A live stream cannot seek.");
            }
            None => self.fail(call, "Nothing plays on this message stream."),
        }
    }

    fn receive(&mut self, call: &Call<'_, '_>) {
        let wish = call.argument(0).and_then(Value::as_bool);
        let (Some(id), Some(wish)) = (self.playing(call.stream_id), wish) else {
            return self.fail(call, "Nothing plays on this message stream.");
        };
        if wish {
            self.replies.status(
                id,
                "NetStream.Seek.Notify",
                "Sending from the next key frame.",
            );
            self.replies
                .status(id, "NetStream.Play.Start", "Start live");
        }
        let audio = call.name == b"receiveAudio";
        self.tell(Event::Receive {
            stream_id: id,
            audio: audio.then_some(wish),
            video: (!audio).then_some(wish),
        });
    }

    fn playing(&self, id: u32) -> Option<u32> {
        let id = self.streams.named(id)?;
        matches!(self.streams.find(id), Some(Use::Playing)).then_some(id)
    }

    fn target(&self, name: &[u8]) -> Result<(StreamName, Target), NameError> {
        let (name, query) = self.address.stream(name)?;
        let host = self.address.host.clone();
        Ok((name.clone(), Target { name, query, host }))
    }

    /// The peer ends what a message stream does; the id stays.
    fn release(&mut self, id: u32) {
        match self.streams.release(id) {
            Some(Use::AskingPublish { .. }) => self.tell(Event::Unpublish { stream_id: id }),
            Some(Use::Publishing { .. }) => {
                let code = "NetStream.Unpublish.Success";
                self.replies.status(id, code, "Stop publishing");
                self.role_ended();
                self.tell(Event::Unpublish { stream_id: id });
            }
            Some(Use::AskingPlay { .. }) => self.tell(Event::StopPlay { stream_id: id }),
            Some(Use::Playing) => {
                self.role_ended();
                self.tell(Event::StopPlay { stream_id: id });
            }
            Some(Use::Created) | None => {}
        }
    }
}

/// An error as the broadcaster reads it.
pub(super) fn sentence(error: &NameError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}

/// Bytes of an unknown command's name that are echoed (Z-47).
const NAME_BYTES_MAX: usize = 64;
