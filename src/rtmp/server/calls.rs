//! `Call`: one command message, taken apart.
//!
//! Invariant: a call has a name; whatever else is missing has its default. PROTOCOL §5, C-01,
//! C-07, A-20.

use crate::rtmp::amf0::{Decoded, Object, Value};
use crate::rtmp::message::{Kind, Message};

/// Name, transaction, command object, arguments.
pub(super) struct Call<'v, 'a> {
    pub(super) name: &'a [u8],
    /// Any bits; 0 wants no answer.
    pub(super) transaction: f64,
    /// Message stream it came on.
    pub(super) stream_id: u32,
    object: Option<&'v Value<'a>>,
    arguments: &'v [Value<'a>],
}

impl<'v, 'a> Call<'v, 'a> {
    /// `None`: no name, nothing to go by.
    pub(super) fn read(decoded: &'v Decoded<'a>, stream_id: u32) -> Option<Self> {
        let values = decoded.values.as_slice();
        Some(Self {
            name: values.first()?.as_bytes()?,
            transaction: values.get(1).and_then(Value::as_number).unwrap_or(0.0),
            stream_id,
            object: values.get(2),
            arguments: values.get(3..).unwrap_or_default(),
        })
    }

    /// The command object, in whichever form it came.
    pub(super) fn object(&self) -> Option<&'v Object<'a>> {
        self.object?.as_object()
    }

    /// An argument counted from 0.
    pub(super) fn argument(&self, index: usize) -> Option<&'v Value<'a>> {
        self.arguments.get(index)
    }
}

/// The AMF0 values of a command or data message: kinds 15 and 17 carry a selector byte in front,
/// which some senders leave out. `None`: nothing in it (Z-45).
pub(super) fn amf0_values(message: &Message) -> Option<&[u8]> {
    let payload = message.payload();
    match (message.kind, payload) {
        (_, []) => None,
        (Kind::DataAmf3 | Kind::CommandAmf3, [0, values @ ..]) => {
            (!values.is_empty()).then_some(values)
        }
        _ => Some(payload),
    }
}
