//! Chunk headers as they stand on the wire, without any memory of earlier ones.
//!
//! Invariant: reading goes strictly from front to back, so a longer prefix of the same bytes never
//! changes what a shorter one already said. Protocol §2.1.

use super::EXTENDED;
use crate::rtmp::message::Kind;
use crate::wire::{Reader, Short};

/// The basic header, 1 to 3 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basic {
    /// Header format, 0 to 3.
    pub(super) fmt: u8,
    /// Chunk stream id, 2 to 65,599.
    pub(super) csid: u32,
}

impl Basic {
    /// Reads it. Longer forms than needed are the same id (K-01, K-02).
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Short> {
        let first = r.u8()?;
        let csid = match first & 0x3F {
            0 => 64 + u32::from(r.u8()?),
            1 => {
                let [low, high] = r.array()?;
                64 + u32::from(u16::from_le_bytes([low, high]))
            }
            id => u32::from(id),
        };
        Ok(Self {
            fmt: first >> 6,
            csid,
        })
    }
}

/// The message header: what the chunk says itself, by header format (K-03).
#[derive(Clone, Copy, Debug)]
pub(super) enum Header {
    /// Format 0.
    Whole {
        time: Time,
        length: u32,
        kind: Kind,
        stream_id: u32,
    },
    /// Format 1.
    Delta { time: Time, length: u32, kind: Kind },
    /// Format 2.
    SameLength { time: Time },
    /// Format 3. Whether an extended timestamp follows is not to be seen from here (K-09).
    Same,
}

impl Header {
    /// Reads the header of format `fmt` with its extended timestamp.
    pub(super) fn read(fmt: u8, r: &mut Reader<'_>) -> Result<Self, Short> {
        if fmt > 2 {
            return Ok(Self::Same);
        }
        let field = r.u24()?;
        if fmt == 2 {
            return Ok(Self::SameLength {
                time: Time::read(field, r)?,
            });
        }
        let length = r.u24()?;
        let kind = Kind::from_wire(r.u8()?);
        if fmt == 1 {
            return Ok(Self::Delta {
                time: Time::read(field, r)?,
                length,
                kind,
            });
        }
        let stream_id = r.u32_le()?;
        Ok(Self::Whole {
            time: Time::read(field, r)?,
            length,
            kind,
            stream_id,
        })
    }
}

/// The time field of a header: absolute in format 0, a step in formats 1 and 2 (K-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// The 24-bit field, below `0xFF_FFFF`.
    Short(u32),
    /// The four bytes behind the header, any value (K-04).
    Extended(u32),
}

impl Time {
    fn read(field: u32, r: &mut Reader<'_>) -> Result<Self, Short> {
        Ok(if field == EXTENDED {
            Self::Extended(r.u32()?)
        } else {
            Self::Short(field)
        })
    }

    /// The number, wherever it stood.
    pub(super) fn value(self) -> u32 {
        match self {
            Self::Short(value) | Self::Extended(value) => value,
        }
    }

    /// The four bytes that format 3 chunks repeat, if there were any.
    pub(super) fn extended(self) -> Option<u32> {
        match self {
            Self::Short(_) => None,
            Self::Extended(value) => Some(value),
        }
    }
}
