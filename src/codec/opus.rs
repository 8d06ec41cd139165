//! Opus: the identification header.
//!
//! Invariant: the rate is the one it decodes to, 48 kHz always; the header's own is a remark about
//! the recording.
//!
//! RFC 7845 5.1: "OpusHead", version (upper half 0), channels, pre-skip, rate, gain, mapping.

use super::cursor::Cursor;
use super::shape::Shape;

/// Channels of an identification header; an empty one (M-22) has none.
pub(super) fn shape(header: &[u8]) -> Option<Shape> {
    let mut cursor = Cursor::new(header);
    let (magic, version) = (cursor.take(8).ok()?, cursor.u8().ok()?);
    let channels = cursor.u8().ok()?;
    if magic != b"OpusHead" || version >> 4 != 0 {
        return None;
    }
    Shape::audio(48_000, channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_its_channels() {
        let header = b"OpusHead\x01\x02\x38\x01\x80\xBB\x00\x00\x00\x00\x00";
        assert_eq!(
            shape(header),
            Some(Shape::Audio {
                rate_hz: 48_000,
                channels: 2
            })
        );
    }

    #[test]
    fn what_is_not_a_header_has_no_shape() {
        assert_eq!(shape(b""), None);
        assert_eq!(shape(b"OpusHead\x01\x00"), None);
        assert_eq!(shape(b"OpusHead\x10\x02"), None);
        assert_eq!(shape(b"OpusTags\x01\x02"), None);
    }
}
