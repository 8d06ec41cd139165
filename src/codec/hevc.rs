//! H.265: HEVCDecoderConfigurationRecord and the sequence parameter set inside it.
//!
//! Invariant: walked only as far as the conformance window, which is what viewers see.
//!
//! ISO/IEC 14496-15 8.3.3.1, H.265 7.3.2.2 and 7.3.3. Record, in bytes:
//!
//! | at | field |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..22 | profile, tier, level, chroma, depths, frame rate, NAL length size |
//! | 22 | number of arrays |
//! | 23 | each: NAL type, low 6 bits; count, 16 bits; that many of length, 16 bits, and NAL unit |

use super::bits::Bits;
use super::cursor::Cursor;
use super::shape::Shape;

/// Picture size of an hvcC record; of its first readable parameter set.
pub(super) fn shape(record: &[u8]) -> Option<Shape> {
    let mut cursor = Cursor::new(record);
    if cursor.u8().ok()? != 1 {
        return None;
    }
    cursor.take(21).ok()?;
    let arrays = cursor.u8().ok()?;
    for _ in 0..arrays {
        let nal_type = cursor.u8().ok()? & 0x3F;
        let count = cursor.u16().ok()?;
        for _ in 0..count {
            let len = usize::from(cursor.u16().ok()?);
            let nal = cursor.take(len).ok()?;
            if nal_type != SEQUENCE_PARAMETER_SET {
                continue;
            }
            if let Some(shape) = sequence_parameter_set(nal) {
                return Some(shape);
            }
        }
    }
    None
}

fn sequence_parameter_set(nal: &[u8]) -> Option<Shape> {
    let mut bits = Bits::nal(nal);
    let (_forbidden, nal_type, layer) = (bits.flag()?, bits.read(6)?, bits.read(6)?);
    let _temporal_id = bits.read(3)?;
    // Parameter sets of enhancement layers look different.
    if nal_type != u32::from(SEQUENCE_PARAMETER_SET) || layer != 0 {
        return None;
    }
    let (_vps_id, sub_layers) = (bits.read(4)?, bits.read(3)?);
    let _temporal_nesting = bits.flag()?;
    let profile_idc = profile_tier_level(&mut bits, sub_layers)?;
    let _id = bits.ue()?;
    let format = bits.ue()?;
    if format > 3 {
        return None;
    }
    if format == 3 {
        let _separate_planes = bits.flag()?;
    }
    let (width, height) = (bits.ue()?, bits.ue()?);
    let (crop_x, crop_y) = if bits.flag()? {
        let unit_x = if matches!(format, 1 | 2) { 2 } else { 1 };
        let unit_y = if format == 1 { 2 } else { 1 };
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        (
            left.checked_add(right)?.checked_mul(unit_x)?,
            top.checked_add(bottom)?.checked_mul(unit_y)?,
        )
    } else {
        (0, 0)
    };
    let profile = profile_name(profile_idc);
    Shape::video(
        width.checked_sub(crop_x)?,
        height.checked_sub(crop_y)?,
        profile,
    )
}

/// Walks profile_tier_level(1, `sub_layers`); gives general_profile_idc.
fn profile_tier_level(bits: &mut Bits<'_>, sub_layers: u32) -> Option<u32> {
    let (_space, _tier, profile_idc) = (bits.read(2)?, bits.flag()?, bits.read(5)?);
    bits.skip(PROFILE_BITS.checked_sub(8)?)?;
    let _level = bits.read(8)?;
    // Two presence flags a sub-layer, padded to eight sub-layers if there is any.
    let mut following_bits = 0_u32;
    for _ in 0..sub_layers {
        let (has_profile, has_level) = (bits.flag()?, bits.flag()?);
        let profile_bits = if has_profile { PROFILE_BITS } else { 0 };
        let level_bits = if has_level { 8 } else { 0 };
        following_bits = following_bits
            .checked_add(profile_bits)?
            .checked_add(level_bits)?;
    }
    if sub_layers > 0 {
        bits.skip(8_u32.checked_sub(sub_layers)?.checked_mul(2)?)?;
    }
    bits.skip(following_bits)?;
    Some(profile_idc)
}

fn profile_name(profile_idc: u32) -> Option<&'static str> {
    Some(match profile_idc {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        9 => "Screen Content",
        _ => return None,
    })
}

/// NAL unit type.
const SEQUENCE_PARAMETER_SET: u8 = 33;
/// Space, tier, profile, compatibility and constraint flags of one (sub-)layer.
const PROFILE_BITS: u32 = 88;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::Writer;

    #[test]
    fn a_record_with_several_arrays_is_searched_for_its_size() {
        let expected = Shape::Video {
            width: 1920,
            height: 1080,
            profile: Some("Main"),
        };
        assert_eq!(shape(&X265_1080P), Some(expected));
    }

    #[test]
    fn the_conformance_window_is_cut_off() {
        // 1,366 x 766 is coded as 1,368 x 768.
        let expected = Shape::Video {
            width: 1366,
            height: 766,
            profile: Some("Main 10"),
        };
        assert_eq!(sequence_parameter_set(&X265_766P), Some(expected));
    }

    #[test]
    fn sub_layers_are_stepped_over() {
        for (flags, present_bits) in [(0b1010, 176), (0b0101, 16), (0b1111, 192), (0, 0)] {
            let mut bits = Writer::default();
            bits.put(0x42, 8).put(1, 8); // NAL header: type 33, layer 0
            bits.put(0, 4).put(2, 3).put(1, 1); // parameter set id, 2 more sub-layers, nesting
            bits.put(1, 8).zeros(80).put(93, 8); // profile Main, level
            bits.put(flags, 4).zeros(12).zeros(present_bits);
            bits.ue(0).ue(1).ue(640).ue(360).put(0, 1); // id, 4:2:0, size, no window
            let expected = Shape::Video {
                width: 640,
                height: 360,
                profile: Some("Main"),
            };
            assert_eq!(
                sequence_parameter_set(&bits.nal()),
                Some(expected),
                "{flags:04b}"
            );
        }
    }

    #[test]
    fn a_cut_record_is_unknown_at_every_length() {
        let parameter_set_end = X265_1080P.len() - 12;
        for len in 0..parameter_set_end {
            assert_eq!(shape(&X265_1080P[..len]), None, "{len} bytes");
        }
        assert!(shape(&X265_1080P[..parameter_set_end]).is_some());
    }

    #[test]
    fn a_flipped_bit_changes_the_answer_at_most() {
        for bit in 0..X265_1080P.len() * 8 {
            let mut record = X265_1080P;
            record[bit / 8] ^= 1 << (bit % 8);
            let _ = shape(&record);
        }
    }

    /// A record x265 wrote, 1920 x 1080, without its SEI.
    const X265_1080P: [u8; 111] = [
        // head, 3 arrays
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0xF0, 0x00,
        0xFC, 0xFD, 0xF8, 0xF8, 0x00, 0x00, 0x0F, 0x03, // video parameter set
        0xA0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60, 0x00, 0x00,
        0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x95, 0x98, 0x09,
        // sequence parameter set
        0xA1, 0x00, 0x01, 0x00, 0x2A, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90,
        0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xA0, 0x03, 0xC0, 0x80, 0x10, 0xE5, 0x96,
        0x56, 0x69, 0x24, 0xCA, 0xF0, 0x16, 0x80, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00,
        0x0C, 0x84, // picture parameter set
        0xA2, 0x00, 0x01, 0x00, 0x07, 0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40,
    ];

    /// A sequence parameter set x265 wrote, 1366 x 766, 10 bits.
    const X265_766P: [u8; 46] = [
        0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x78, 0xA0, 0x02, 0xAC, 0x80, 0x30, 0x1D, 0x53, 0x65, 0x95, 0x9A, 0x49, 0x32,
        0xBC, 0x05, 0xA0, 0x20, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x03, 0x03, 0x21, 0x22,
        0x00,
    ];
}
