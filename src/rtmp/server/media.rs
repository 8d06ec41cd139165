//! Audio, video and data on their way to the host.
//!
//! Invariant: only messages of an accepted publish get through, and only kinds audio, video and
//! AMF0 data; payload bytes are the sender's own. PROTOCOL C-50, C-90 to C-93, K-46.

use super::ServerSession;
use super::calls::amf0_values;
use super::event::Event;
use super::streams::Use;
use crate::rtmp::Error;
use crate::rtmp::amf0::first_string;
use crate::rtmp::message::{Body, Kind, Message, split_aggregate};
use crate::time::Millis;

impl ServerSession {
    pub(super) fn media(&mut self, message: Message, now: Millis) {
        let Some(id) = self.streams.publishing(message.stream_id) else {
            self.dropped += 1;
            return;
        };
        if let Some(Use::Publishing { media, .. }) = self.streams.find_mut(id) {
            *media = Some(now);
        }
        self.forward(id, message);
    }

    /// `@setDataFrame` is an order to the server, what follows is the message. Values are not
    /// decoded: unknown ones survive (C-91, C-93). Data without a name, such as ffmpeg's 4-byte
    /// time codes, is dropped (C-07).
    pub(super) fn data(&mut self, message: Message) {
        let Some(id) = self.streams.publishing(message.stream_id) else {
            self.dropped += 1;
            return;
        };
        let values = amf0_values(&message).and_then(|values| {
            let (name, used) = first_string(values)?;
            if name != b"@setDataFrame" {
                return Some(values);
            }
            let frame = values.get(used..)?;
            first_string(frame).map(|_| frame)
        });
        let Some(values) = values else {
            self.dropped += 1;
            return;
        };
        let message = if values.len() == message.payload().len() {
            message
        } else {
            let body = Body::with_payload(values);
            Message { body, ..message }
        };
        self.forward(
            id,
            Message {
                kind: Kind::DataAmf0,
                ..message
            },
        );
    }

    pub(super) fn aggregate(&mut self, message: &Message, now: Millis) -> Result<(), Error> {
        if self.streams.publishing(message.stream_id).is_none() {
            self.dropped += 1;
            return Ok(());
        }
        let split = split_aggregate(message, AGGREGATE_ITEMS_MAX);
        self.damaged_aggregates = match split.damage {
            Some(_) => self.damaged_aggregates.saturating_add(1),
            None => 0,
        };
        if self.damaged_aggregates >= DAMAGED_AGGREGATES_MAX {
            return Err(Error::Aggregates {
                in_a_row: self.damaged_aggregates,
            });
        }
        self.media_budget.spend(split.messages.len(), 0, now)?;
        for message in split.messages {
            match message.kind {
                Kind::Audio | Kind::Video => self.media(message, now),
                _ => self.data(message),
            }
        }
        Ok(())
    }

    fn forward(&mut self, id: u32, message: Message) {
        let message = Message {
            stream_id: id,
            ..message
        };
        self.tell(Event::Media {
            stream_id: id,
            message,
        });
    }
}

/// Messages taken from one aggregate (Z-30).
const AGGREGATE_ITEMS_MAX: usize = 8_192;
/// Aggregates in a row with damage that close the connection (K-46).
const DAMAGED_AGGREGATES_MAX: u8 = 3;
