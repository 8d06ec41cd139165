//! What the server's commands do to a client session.
//!
//! Invariant: an answer counts only in the step that asked for it; everything else, known or not,
//! is ignored, so neither an answer before its request, nor a second one, nor a command shorter
//! than three values can do harm (R-03, X-16, Z-87). PROTOCOL §7.1, §7.2, §5.6.

use super::session::Stage;
use super::{ClientError, ClientEvent, ClientSession, Ending, Role, Status, command};
use crate::rtmp::amf0::{self, Object, Value};
use crate::rtmp::message::{Kind, Message};
use crate::time::Millis;

impl ClientSession {
    /// A command message of the server.
    pub(super) fn answered(&mut self, message: &Message, now: Millis) -> Result<(), ClientError> {
        let decoded = match amf0::decode(amf0_part(message), &self.config.amf) {
            Ok(decoded) => decoded.values,
            Err(_) => return Ok(()),
        };
        let values = decoded.as_slice();
        let Some(name) = values.first().and_then(Value::as_bytes) else {
            return Ok(());
        };
        let transaction = values.get(1).and_then(Value::as_number);
        match name {
            b"_result" => self.result(transaction, values, now),
            b"_error" => {
                self.refused(transaction, status(values, message.stream_id));
                Ok(())
            }
            b"onStatus" => {
                self.status(status(values, message.stream_id), values);
                Ok(())
            }
            b"deleteStream" | b"closeStream" => {
                self.end(Ending::Deleted);
                Ok(())
            }
            b"close" => {
                self.end(Ending::Closed(status(values, message.stream_id)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a data message says that a recording is complete (C-68).
    pub(super) fn completes(&self, message: &Message) -> bool {
        if !matches!(message.kind, Kind::DataAmf0 | Kind::DataAmf3) {
            return false;
        }
        let bytes = amf0_part(message);
        if amf0::first_string(bytes).is_none_or(|(name, _)| name != b"onPlayStatus") {
            return false;
        }
        amf0::decode(bytes, &self.config.amf)
            .is_ok_and(|d| status(&d.values, message.stream_id).code == "NetStream.Play.Complete")
    }

    fn result(
        &mut self,
        transaction: Option<f64>,
        values: &[Value<'_>],
        now: Millis,
    ) -> Result<(), ClientError> {
        if !self.awaits(transaction) {
            return Ok(());
        }
        match self.stage {
            Stage::Connecting => {
                self.events.push_back(ClientEvent::Connected {
                    trace: objects(values).find_map(|o| text(o, "clientid")),
                    caps_ex: objects(values).find_map(|o| o.get("capsEx").and_then(Value::as_u32)),
                });
                self.create(now);
            }
            Stage::Creating => {
                let number = values
                    .iter()
                    .skip(2)
                    .find(|value| value.as_number().is_some());
                let stream_id = number.and_then(Value::as_u32).filter(|id| *id != 0);
                self.start(stream_id.ok_or(ClientError::BadStreamId)?, now);
            }
            // some servers answer publish and play with a result instead of a status.
            Stage::Starting { stream_id } => self.ready(stream_id),
            _ => {}
        }
        Ok(())
    }

    fn refused(&mut self, transaction: Option<f64>, status: Status) {
        if self.awaits(transaction) {
            let step = self.step();
            self.events.push_back(ClientEvent::Status(status.clone()));
            self.end(Ending::Refused { step, status });
        }
    }

    fn status(&mut self, status: Status, values: &[Value<'_>]) {
        self.events.push_back(ClientEvent::Status(status.clone()));
        match status.code.as_str() {
            "NetConnection.Connect.ReconnectRequest" => {
                self.events.push_back(ClientEvent::Reconnect {
                    tc_url: objects(values).find_map(|o| text(o, "tcUrl")),
                    description: status.description,
                });
            }
            "NetConnection.Connect.Closed"
            | "NetConnection.Connect.AppShutdown"
            | "NetConnection.Connect.IdleTimeout" => self.end(Ending::Closed(status)),
            "NetStream.Publish.Start" => self.started(Role::Publish),
            "NetStream.Play.Start" | "NetStream.Play.PublishNotify" => self.started(Role::Play),
            "NetStream.Play.UnpublishNotify" | "NetStream.Unpublish.Success" => {
                self.end(Ending::Unpublished);
            }
            "NetStream.Play.Stop" => self.end(Ending::Stopped),
            "NetStream.Play.Complete" => self.end(Ending::Complete),
            code if status.level == "error" && ends_a_stream(code) => {
                let step = self.step();
                self.end(Ending::Refused { step, status });
            }
            _ => {}
        }
    }

    fn started(&mut self, role: Role) {
        if role != self.config.role {
            return;
        }
        if let Stage::Starting { stream_id } | Stage::Idle { stream_id } = self.stage {
            self.ready(stream_id);
        }
    }

    /// Whether the present step waits for an answer to that transaction.
    fn awaits(&self, transaction: Option<f64>) -> bool {
        let role = self.config.role;
        let awaited = match self.stage {
            Stage::Connecting => command::CONNECT,
            Stage::Creating => command::create_transaction(role),
            Stage::Starting { .. } => command::start_transaction(role),
            _ => return false,
        };
        transaction == Some(awaited)
    }
}

/// An AMF3 message holds AMF0 values behind a selector byte of 0, which some leave out.
fn amf0_part(message: &Message) -> &[u8] {
    let payload = message.payload();
    match (message.kind, payload.split_first()) {
        (Kind::CommandAmf3 | Kind::DataAmf3, Some((0, rest))) => rest,
        _ => payload,
    }
}

fn objects<'v, 'a>(values: &'v [Value<'a>]) -> impl Iterator<Item = &'v Object<'a>> {
    values.iter().filter_map(Value::as_object)
}

/// The last object is the information; connect's result has its properties before it.
fn status(values: &[Value<'_>], stream_id: u32) -> Status {
    let Some(info) = values.iter().rev().find_map(Value::as_object) else {
        return Status {
            stream_id,
            ..Status::default()
        };
    };
    let field = |key| text(info, key).unwrap_or_default();
    Status {
        level: field("level"),
        code: field("code"),
        description: field("description"),
        client: field("clientid"),
        stream_id,
    }
}

fn text(object: &Object<'_>, key: &str) -> Option<String> {
    let bytes = object.get(key)?.as_bytes()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// A failed seek, pause or call is an answer to something else; other errors end the stream.
fn ends_a_stream(code: &str) -> bool {
    let harmless = [
        "NetStream.Seek.",
        "NetStream.Pause.",
        "NetStream.Unpause.",
        "NetConnection.Call.",
    ];
    !harmless.iter().any(|prefix| code.starts_with(prefix))
}
