//! FLAC: the STREAMINFO block.
//!
//! Invariant: read with or without "fLaC" and the block head in front. The specification has them
//! (M-22); ffmpeg writes its extradata, which is the bare block.
//!
//! RFC 9639 8.2: block sizes 2 × 16 bits, frame sizes 2 × 24, rate 20, channels − 1 3, …

use super::bits::Bits;
use super::shape::Shape;

/// Rate and channels of a STREAMINFO block.
pub(super) fn shape(config: &[u8]) -> Option<Shape> {
    let block = match config.strip_prefix(b"fLaC") {
        // Block type, low 7 bits: 0 for STREAMINFO, which always comes first.
        Some([head, _, _, _, block @ ..]) if head & 0x7F == 0 => block,
        Some(_) => return None,
        None => config,
    };
    if block.len() < STREAM_INFO_LEN {
        return None;
    }
    let mut bits = Bits::new(block);
    bits.skip(80)?;
    let (rate_hz, last_channel) = (bits.read(20)?, bits.read(3)?);
    Shape::audio(rate_hz, u8::try_from(last_channel).ok()?.checked_add(1)?)
}

/// Bytes of a STREAMINFO block.
const STREAM_INFO_LEN: usize = 34;

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Vec<u8> {
        let mut block = vec![
            0x10, 0x00, 0x10, 0x00, // block sizes 4,096
            0x00, 0x00, 0x0E, 0x00, 0x31, 0x00, // frame sizes
            0x0A, 0xC4, 0x42, 0xF0, // 44,100 Hz, 2 channels, 16 bits, …
        ];
        block.resize(STREAM_INFO_LEN, 0);
        block
    }

    #[test]
    fn a_block_is_read_with_and_without_its_head() {
        let expected = Some(Shape::Audio {
            rate_hz: 44_100,
            channels: 2,
        });
        assert_eq!(shape(&block()), expected);
        assert_eq!(
            shape(&[&b"fLaC\x80\x00\x00\x22"[..], &block()].concat()),
            expected
        );
    }

    #[test]
    fn cut_and_foreign_blocks_have_no_shape() {
        assert_eq!(shape(&block()[..33]), None);
        assert_eq!(shape(b"fLaC"), None);
        // block type 4, comments
        assert_eq!(
            shape(&[&b"fLaC\x84\x00\x00\x22"[..], &block()].concat()),
            None
        );
    }
}
