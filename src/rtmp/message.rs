//! `Message`: one RTMP message as the chunk layer delivers it, and the bodies of control ones.
//!
//! Invariant: a whole `Body` has `HEAD_ROOM` unused bytes in front and room for `TAIL_ROOM` behind
//! without growing, so it becomes a frame without a copy. Nothing here trusts a declared length:
//! memory follows the bytes that arrived (L-09). Protocol §2.6, DESIGN §5.2.

mod aggregate;
mod control;

use std::fmt;

pub use aggregate::{AggregateDamage, Split, split_aggregate};
pub use control::{BandwidthLimit, Control, UserControl};

/// One whole message. Its timestamp is absolute, in milliseconds modulo 2^32 (K-37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the payload is.
    pub kind: Kind,
    /// Milliseconds, wrapping.
    pub timestamp: u32,
    /// Message stream id, any value the peer chose.
    pub stream_id: u32,
    /// The payload with its room.
    pub body: Body,
}

impl Message {
    /// The bytes of the message.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body.payload()
    }
}

/// The bytes of one message with room kept in front and behind, so that it becomes a frame
/// without a copy: `[HEAD_ROOM unused | payload | TAIL_ROOM spare capacity]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Empty (nothing arrived yet, only inside the chunk reader) or at least `HEAD_ROOM` long.
    buf: Vec<u8>,
}

impl Body {
    /// A body that holds a copy of `payload`.
    #[must_use]
    pub fn with_payload(payload: &[u8]) -> Self {
        let mut body = Self::unallocated();
        body.extend(payload, payload.len());
        body
    }

    /// The bytes of the message.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.buf.get(HEAD_ROOM..).unwrap_or_default()
    }

    /// Length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len().saturating_sub(HEAD_ROOM)
    }

    /// Whether the payload is empty; a legal message (K-15).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer with `HEAD_ROOM` bytes of no meaning in front and spare capacity for
    /// `TAIL_ROOM` more.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }

    /// A body to be filled by `extend`; owns no memory yet.
    pub(super) fn unallocated() -> Self {
        Self { buf: Vec::new() }
    }

    /// Appends `piece` of a message of `announced` bytes. Capacity at least doubles and is never
    /// larger than the whole message with its room, so the last step makes it exact.
    pub(super) fn extend(&mut self, piece: &[u8], announced: usize) {
        let needed = self.len().saturating_add(piece.len());
        if self.buf.capacity() < HEAD_ROOM + TAIL_ROOM + needed {
            let doubled = self.len().saturating_mul(2).max(FIRST_BYTES);
            let payload = doubled.min(announced).max(needed);
            self.buf
                .reserve_exact(HEAD_ROOM + TAIL_ROOM + payload - self.buf.len());
        }
        if self.buf.is_empty() {
            self.buf.resize(HEAD_ROOM, 0);
        }
        self.buf.extend_from_slice(piece);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// What a message is: the type byte of its header (K-43).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// 1: the sender's chunk size.
    SetChunkSize,
    /// 2: discard a partial message.
    Abort,
    /// 3: bytes received so far.
    Ack,
    /// 4: a `UserControl` event.
    UserControl,
    /// 5: how often the sender wants an `Ack`.
    WindowAckSize,
    /// 6: limit of the receiver's output.
    SetPeerBandwidth,
    /// 8: an FLV audio tag body.
    Audio,
    /// 9: an FLV video tag body.
    Video,
    /// 15: AMF3 data.
    DataAmf3,
    /// 16: AMF3 shared object.
    SharedObjectAmf3,
    /// 17: AMF3 command.
    CommandAmf3,
    /// 18: AMF0 data.
    DataAmf0,
    /// 19: AMF0 shared object.
    SharedObjectAmf0,
    /// 20: AMF0 command.
    CommandAmf0,
    /// 22: several messages in one.
    Aggregate,
    /// Any other type byte; its payload is dropped (K-44).
    Other(u8),
}

impl Kind {
    /// The kind of a type byte. Every byte has one.
    #[must_use]
    pub fn from_wire(byte: u8) -> Self {
        match byte {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Ack,
            4 => Self::UserControl,
            5 => Self::WindowAckSize,
            6 => Self::SetPeerBandwidth,
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::DataAmf3,
            16 => Self::SharedObjectAmf3,
            17 => Self::CommandAmf3,
            18 => Self::DataAmf0,
            19 => Self::SharedObjectAmf0,
            20 => Self::CommandAmf0,
            22 => Self::Aggregate,
            other => Self::Other(other),
        }
    }

    /// The type byte.
    #[must_use]
    pub fn wire(self) -> u8 {
        match self {
            Self::SetChunkSize => 1,
            Self::Abort => 2,
            Self::Ack => 3,
            Self::UserControl => 4,
            Self::WindowAckSize => 5,
            Self::SetPeerBandwidth => 6,
            Self::Audio => 8,
            Self::Video => 9,
            Self::DataAmf3 => 15,
            Self::SharedObjectAmf3 => 16,
            Self::CommandAmf3 => 17,
            Self::DataAmf0 => 18,
            Self::SharedObjectAmf0 => 19,
            Self::CommandAmf0 => 20,
            Self::Aggregate => 22,
            Self::Other(byte) => byte,
        }
    }

    /// Protocol and user control, 1 to 6: short, on message stream 0, handled by the session.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self.wire(), 1..=6)
    }
}

/// Largest header our own frames need: 1 basic, 11 message, 4 extended timestamp.
pub const HEAD_ROOM: usize = 16;

/// FLV previous-tag-size, used by later outputs.
pub const TAIL_ROOM: usize = 4;

/// Payload bytes of the first allocation when more is announced than has arrived (L-09).
const FIRST_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_byte_survives_the_round_trip() {
        for byte in 0..=255 {
            assert_eq!(Kind::from_wire(byte).wire(), byte);
        }
        assert!(Kind::SetPeerBandwidth.is_control());
        assert!(!Kind::Other(7).is_control());
        assert!(!Kind::Other(0).is_control());
    }

    #[test]
    fn a_whole_body_has_exactly_its_room() {
        for len in [0, 1, 4_095, 4_097, 70_000] {
            let body = Body::with_payload(&vec![7; len]);
            assert_eq!(body.len(), len);
            assert_eq!(body.payload(), vec![7; len]);
            let buf = body.into_vec();
            assert_eq!(buf.len(), HEAD_ROOM + len);
            assert_eq!(buf.capacity(), HEAD_ROOM + len + TAIL_ROOM);
        }
    }

    #[test]
    fn a_body_grows_with_what_arrived_and_ends_exact() {
        let announced = 1_000_000;
        let mut body = Body::unallocated();
        let mut arrived = 0;
        while arrived < announced {
            let piece = vec![1; 127.min(announced - arrived)];
            body.extend(&piece, announced);
            arrived += piece.len();
            let room = HEAD_ROOM + TAIL_ROOM;
            let most = FIRST_BYTES.max(arrived * 2).min(announced) + room;
            assert!(
                body.buf.capacity() <= most,
                "{} > {most}",
                body.buf.capacity()
            );
        }
        assert_eq!(
            body.into_vec().capacity(),
            HEAD_ROOM + announced + TAIL_ROOM
        );
    }
}
