//! Bodies of the control messages, kinds 1 to 6: parsed from and written to payload bytes.
//!
//! Invariant: parsing is total. A payload too short for its event is `None` (drop, do not close:
//! K-24, U-09); a longer one is read by its first bytes. Protocol §2.2 to §2.4 and §3.

use super::Kind;
use crate::wire::{Reader, Short, put_u16, put_u32};

/// A protocol or user control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The sender's chunk size from its next chunk on, raw as on the wire (K-21, K-22).
    SetChunkSize(u32),
    /// Discard the partial message of this chunk stream (K-27).
    Abort(u32),
    /// Bytes received so far, modulo 2^32 (K-32).
    Ack(u32),
    /// The sender wants an `Ack` each so many bytes; 0: none (K-31).
    WindowAckSize(u32),
    /// Limit of the receiver's output (K-34).
    SetPeerBandwidth {
        /// Bytes in flight.
        size: u32,
        /// How to take it.
        limit: BandwidthLimit,
    },
    /// A user control event.
    User(UserControl),
}

impl Control {
    /// Reads the payload of a message of `kind`. `None`: not a control kind, or too short.
    #[must_use]
    pub fn parse(kind: Kind, payload: &[u8]) -> Option<Self> {
        let mut r = Reader::new(payload);
        Some(match kind {
            Kind::SetChunkSize => Self::SetChunkSize(r.u32().ok()?),
            Kind::Abort => Self::Abort(r.u32().ok()?),
            Kind::Ack => Self::Ack(r.u32().ok()?),
            Kind::WindowAckSize => Self::WindowAckSize(r.u32().ok()?),
            Kind::SetPeerBandwidth => {
                let size = r.u32().ok()?;
                // K-34: the four-byte form exists.
                let limit = r
                    .u8()
                    .map_or(BandwidthLimit::Dynamic, BandwidthLimit::from_wire);
                Self::SetPeerBandwidth { size, limit }
            }
            Kind::UserControl => Self::User(UserControl::parse(payload)?),
            _ => return None,
        })
    }

    /// The kind of message that carries this.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::SetChunkSize(_) => Kind::SetChunkSize,
            Self::Abort(_) => Kind::Abort,
            Self::Ack(_) => Kind::Ack,
            Self::WindowAckSize(_) => Kind::WindowAckSize,
            Self::SetPeerBandwidth { .. } => Kind::SetPeerBandwidth,
            Self::User(_) => Kind::UserControl,
        }
    }

    /// Bytes `write` appends, at most 10.
    #[must_use]
    pub fn wire_len(&self) -> u32 {
        match self {
            Self::SetPeerBandwidth { .. } => 5,
            Self::User(event) => event.wire_len(),
            _ => 4,
        }
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::SetChunkSize(value)
            | Self::Abort(value)
            | Self::Ack(value)
            | Self::WindowAckSize(value) => put_u32(out, value),
            Self::SetPeerBandwidth { size, limit } => {
                put_u32(out, size);
                out.push(limit.wire());
            }
            Self::User(event) => event.write(out),
        }
    }
}

/// A user control event (kind 4): number, then its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// 0: the message stream is usable (U-01).
    StreamBegin(u32),
    /// 1: the message stream has ended (U-02).
    StreamEof(u32),
    /// 2: no data for now (U-03).
    StreamDry(u32),
    /// 3: how much the player buffers (U-04). Never a size of ours.
    SetBufferLength {
        /// Message stream, possibly one that does not exist yet.
        stream_id: u32,
        /// Milliseconds, any value.
        ms: u32,
    },
    /// 4: the message stream is a recording (U-05).
    StreamIsRecorded(u32),
    /// 6: to be answered with the same number (U-06).
    PingRequest(u32),
    /// 7: the answer (U-07).
    PingResponse(u32),
    /// Any other event number; ignored (U-08, U-09).
    Unknown(u16),
}

impl UserControl {
    /// Reads a payload. `None`: shorter than the event needs (U-09).
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        Self::read(&mut Reader::new(payload)).ok()
    }

    /// Appends the payload. `Unknown` writes its number alone.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (event, value) = match *self {
            Self::StreamBegin(id) => (0, id),
            Self::StreamEof(id) => (1, id),
            Self::StreamDry(id) => (2, id),
            Self::SetBufferLength { stream_id, .. } => (3, stream_id),
            Self::StreamIsRecorded(id) => (4, id),
            Self::PingRequest(time) => (6, time),
            Self::PingResponse(time) => (7, time),
            Self::Unknown(event) => return put_u16(out, event),
        };
        put_u16(out, event);
        put_u32(out, value);
        if let Self::SetBufferLength { ms, .. } = *self {
            put_u32(out, ms);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Short> {
        Ok(match r.u16()? {
            0 => Self::StreamBegin(r.u32()?),
            1 => Self::StreamEof(r.u32()?),
            2 => Self::StreamDry(r.u32()?),
            3 => Self::SetBufferLength {
                stream_id: r.u32()?,
                ms: r.u32()?,
            },
            4 => Self::StreamIsRecorded(r.u32()?),
            6 => Self::PingRequest(r.u32()?),
            7 => Self::PingResponse(r.u32()?),
            event => Self::Unknown(event),
        })
    }

    fn wire_len(&self) -> u32 {
        match self {
            Self::SetBufferLength { .. } => 10,
            Self::Unknown(_) => 2,
            _ => 6,
        }
    }
}

/// How a `SetPeerBandwidth` is meant (K-34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// 0: take this value.
    Hard,
    /// 1: take the smaller of this and the present one.
    Soft,
    /// 2, and every other number: as hard if the last one was hard.
    Dynamic,
}

impl BandwidthLimit {
    fn from_wire(byte: u8) -> Self {
        match byte {
            0 => Self::Hard,
            1 => Self::Soft,
            _ => Self::Dynamic,
        }
    }

    fn wire(self) -> u8 {
        match self {
            Self::Hard => 0,
            Self::Soft => 1,
            Self::Dynamic => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_reads_back_what_was_written() {
        let all = [
            Control::SetChunkSize(4_096),
            Control::Abort(6),
            Control::Ack(u32::MAX),
            Control::WindowAckSize(2_500_000),
            Control::SetPeerBandwidth {
                size: 5_000_000,
                limit: BandwidthLimit::Hard,
            },
            Control::SetPeerBandwidth {
                size: 0,
                limit: BandwidthLimit::Soft,
            },
            Control::User(UserControl::StreamBegin(1)),
            Control::User(UserControl::StreamEof(1)),
            Control::User(UserControl::StreamDry(1)),
            Control::User(UserControl::SetBufferLength {
                stream_id: 1,
                ms: 36_000_000,
            }),
            Control::User(UserControl::StreamIsRecorded(1)),
            Control::User(UserControl::PingRequest(7)),
            Control::User(UserControl::PingResponse(7)),
            Control::User(UserControl::Unknown(32)),
        ];
        for control in all {
            let mut out = Vec::new();
            control.write(&mut out);
            assert_eq!(u32::try_from(out.len()), Ok(control.wire_len()));
            assert_eq!(Control::parse(control.kind(), &out), Some(control));
        }
    }

    #[test]
    fn a_payload_too_short_for_its_event_is_dropped() {
        // Z-21 and Z-34.
        for len in 0..4 {
            assert_eq!(
                Control::parse(Kind::SetChunkSize, &[0; 3][..len.min(3)]),
                None
            );
        }
        assert_eq!(UserControl::parse(&[]), None);
        assert_eq!(UserControl::parse(&[0]), None);
        assert_eq!(UserControl::parse(&[0, 0]), None);
        assert_eq!(UserControl::parse(&[0, 6, 0, 0, 0]), None);
        assert_eq!(UserControl::parse(&[0, 3, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_longer_payload_is_read_by_its_first_bytes() {
        let bytes = [0, 0, 0x10, 0, 0xFF, 0xFF];
        assert_eq!(
            Control::parse(Kind::SetChunkSize, &bytes),
            Some(Control::SetChunkSize(4_096))
        );
    }

    #[test]
    fn an_unknown_or_missing_bandwidth_limit_is_dynamic() {
        let dynamic = Control::SetPeerBandwidth {
            size: 1,
            limit: BandwidthLimit::Dynamic,
        };
        assert_eq!(
            Control::parse(Kind::SetPeerBandwidth, &[0, 0, 0, 1]),
            Some(dynamic)
        );
        assert_eq!(
            Control::parse(Kind::SetPeerBandwidth, &[0, 0, 0, 1, 9]),
            Some(dynamic)
        );
    }

    #[test]
    fn media_is_not_a_control() {
        assert_eq!(Control::parse(Kind::Video, &[0; 16]), None);
        assert_eq!(Control::parse(Kind::Other(7), &[0; 16]), None);
    }
}
