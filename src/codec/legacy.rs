//! The one-byte tags of FLV 10.1, with the packet types AVC and AAC put behind them.
//!
//! Invariant: a tag says what its bytes say, not what its frame type claims: `17 00` and
//! `17 02` are flagged "key" and are not key frames (M-05).
//!
//! PROTOCOL §6.1. Layouts, in bytes:
//!
//! | audio | | video | |
//! |---|---|---|---|
//! | 0 | format, 4 bits; rate 2; size 1; stereo 1 | 0 | frame type, 4 bits; codec id, 4 bits |
//! | 1 | AAC only: packet type | 1 | AVC, HEVC, AV1: packet type |
//! | | | 2..5 | the same: composition offset, signed, ms |

use super::cursor::Cursor;
use super::{Codec, Malformed, Media, Part, Tag};

/// Classifies an audio message that is not in the enhanced form.
pub(super) fn audio(payload: &[u8]) -> Result<Tag, Malformed> {
    let mut cursor = Cursor::new(payload);
    let codec = Codec::from_id(Media::Audio, cursor.u8()? >> 4);
    let part = match codec {
        Codec::Aac => match cursor.u8()? {
            0 => Part::Config,
            1 => Part::Frame { key: false },
            _ => Part::Opaque,
        },
        Codec::Unknown(_) => Part::Opaque,
        _ => Part::Frame { key: false },
    };
    Ok(Tag {
        codec,
        body_at: cursor.offset(),
        ..Tag::bare(Media::Audio, part)
    })
}

/// Classifies a video message that is not in the enhanced form.
pub(super) fn video(payload: &[u8]) -> Result<Tag, Malformed> {
    let mut cursor = Cursor::new(payload);
    let first = cursor.u8()?;
    let (frame_type, codec) = (first >> 4, Codec::from_id(Media::Video, first & 0x0F));
    let tag = Tag {
        codec,
        ..Tag::bare(Media::Video, Part::Opaque)
    };
    if frame_type == COMMAND {
        let body_at = cursor.offset();
        cursor.u8()?;
        return Ok(Tag {
            part: Part::Command,
            body_at,
            ..tag
        });
    }
    let key = is_key(frame_type);
    let (part, cts_ms) = match codec {
        // 12 and 13 come with the header of AVC (M-03).
        Codec::Avc | Codec::Hevc | Codec::Av1 => {
            let (packet_type, offset) = (cursor.u8()?, cursor.i24()?);
            match packet_type {
                0 => (Part::Config, 0),
                1 => (Part::Frame { key }, offset),
                2 => (Part::End, 0),
                _ => (Part::Opaque, 0),
            }
        }
        Codec::Unknown(_) => (Part::Opaque, 0),
        _ => (Part::Frame { key }, 0),
    };
    Ok(Tag {
        part,
        cts_ms,
        body_at: cursor.offset(),
        ..tag
    })
}

/// Whether a frame type means that decoding can start here: key frame, or one a server made.
pub(super) fn is_key(frame_type: u8) -> bool {
    matches!(frame_type, 1 | 4)
}

/// The frame type of client-side seek commands; they have one byte and no codec data (M-07).
pub(super) const COMMAND: u8 = 5;
