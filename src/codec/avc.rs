//! H.264: AVCDecoderConfigurationRecord and the sequence parameter set inside it.
//!
//! Invariant: only what stands in front of the cropping rectangle is walked, each loop bounded by
//! what the standard allows.
//!
//! ISO/IEC 14496-15 5.3.3.1, H.264 7.3.2.1.1 and 7.4.2.1.1. Record, in bytes:
//!
//! | at | field |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..4 | profile, compatibility, level |
//! | 4 | reserved 6 bits; NAL length size − 1 |
//! | 5 | reserved 3 bits; number of sequence parameter sets |
//! | 6 | each: length, 16 bits; NAL unit |

use super::bits::Bits;
use super::cursor::Cursor;
use super::shape::Shape;

/// Picture size of an avcC record; of its first readable parameter set, for some encoders send
/// several (INTEROP 50).
pub(super) fn shape(record: &[u8]) -> Option<Shape> {
    let mut cursor = Cursor::new(record);
    if cursor.u8().ok()? != 1 {
        return None;
    }
    cursor.take(4).ok()?;
    let count = cursor.u8().ok()? & 0x1F;
    for _ in 0..count {
        let len = usize::from(cursor.u16().ok()?);
        let nal = cursor.take(len).ok()?;
        if let Some(shape) = sequence_parameter_set(nal) {
            return Some(shape);
        }
    }
    None
}

fn sequence_parameter_set(nal: &[u8]) -> Option<Shape> {
    let mut bits = Bits::nal(nal);
    let (_forbidden_and_importance, nal_type) = (bits.read(3)?, bits.read(5)?);
    if nal_type != 7 {
        return None;
    }
    let (profile_idc, constraints, _level) = (bits.read(8)?, bits.read(8)?, bits.read(8)?);
    let _id = bits.ue()?;
    // Without these fields pictures are 4:2:0.
    let chroma = if HIGH_PROFILES.contains(&profile_idc) {
        chroma(&mut bits)?
    } else {
        1
    };
    let _log2_max_frame_num = bits.ue()?;
    picture_order(&mut bits)?;
    let (_max_num_ref_frames, _gaps_allowed) = (bits.ue()?, bits.flag()?);
    let (width_in_blocks, height_in_units) = (bits.ue()?, bits.ue()?);
    let frames_only = bits.flag()?;
    if !frames_only {
        let _adaptive = bits.flag()?;
    }
    let _direct_8x8 = bits.flag()?;
    // A height unit is one macroblock of a frame, or one of each field.
    let fields = if frames_only { 1 } else { 2 };
    let width = width_in_blocks.checked_add(1)?.checked_mul(16)?;
    let height = height_in_units
        .checked_add(1)?
        .checked_mul(16)?
        .checked_mul(fields)?;
    let (crop_x, crop_y) = if bits.flag()? {
        let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma == 1 {
            fields.checked_mul(2)?
        } else {
            fields
        };
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        (
            left.checked_add(right)?.checked_mul(unit_x)?,
            top.checked_add(bottom)?.checked_mul(unit_y)?,
        )
    } else {
        (0, 0)
    };
    let profile = profile_name(profile_idc, constraints);
    Shape::video(
        width.checked_sub(crop_x)?,
        height.checked_sub(crop_y)?,
        profile,
    )
}

/// Reads the fields of the high profiles; gives ChromaArrayType.
fn chroma(bits: &mut Bits<'_>) -> Option<u32> {
    let format = bits.ue()?;
    if format > 3 {
        return None;
    }
    let separate_planes = format == 3 && bits.flag()?;
    let (_luma_depth, _chroma_depth, _bypass) = (bits.ue()?, bits.ue()?, bits.flag()?);
    if bits.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(if separate_planes { 0 } else { format })
}

fn scaling_list(bits: &mut Bits<'_>, len: u32) -> Option<()> {
    let mut last = 8_i32;
    for _ in 0..len {
        last = last.checked_add(bits.se()?)?.rem_euclid(256);
        // The rest repeats the value before.
        if last == 0 {
            break;
        }
    }
    Some(())
}

fn picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            let _log2_max_lsb = bits.ue()?;
        }
        1 => {
            let _always_zero = bits.flag()?;
            let (_non_reference, _top_to_bottom) = (bits.se()?, bits.se()?);
            let cycle = bits.ue()?;
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

fn profile_name(profile_idc: u32, constraints: u32) -> Option<&'static str> {
    Some(match profile_idc {
        66 if constraints & 0x40 != 0 => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        _ => return None,
    })
}

/// Profiles whose parameter set has chroma format, depths and scaling lists.
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::Writer;

    fn video(width: u32, height: u32, profile: &'static str) -> Option<Shape> {
        Some(Shape::Video {
            width,
            height,
            profile: Some(profile),
        })
    }

    #[test]
    fn records_of_x264_tell_their_size() {
        assert_eq!(shape(&X264_1080P), video(1920, 1080, "High"));
        assert_eq!(shape(&X264_INTERLACED), video(1920, 1080, "High"));
        assert_eq!(shape(&X264_480P), video(854, 480, "Constrained Baseline"));
        assert_eq!(shape(&X264_422), video(1366, 768, "High 4:2:2"));
        assert_eq!(shape(&X264_444), video(321, 241, "High 4:4:4 Predictive"));
    }

    /// Baseline up to and without the cropping flag.
    fn baseline(width_in_blocks: u32, height_in_units: u32) -> Writer {
        let mut bits = Writer::default();
        bits.put(0x67, 8).put(66, 8).put(0, 8).put(30, 8); // NAL header, profile, flags, level
        bits.ue(0).ue(0).ue(2).ue(1).put(0, 1); // id, frame number, order type, references, gaps
        bits.ue(width_in_blocks - 1)
            .ue(height_in_units - 1)
            .put(1, 1)
            .put(1, 1);
        bits
    }

    #[test]
    fn the_second_parameter_set_counts_when_the_first_is_broken() {
        let good = baseline(40, 23).put(0, 1).nal();
        let mut record = vec![1, 66, 0, 30, 0xFF, 0xE2, 0, 1, 0x67, 0];
        record.push(u8::try_from(good.len()).unwrap());
        record.extend_from_slice(&good);
        assert_eq!(shape(&record), video(640, 368, "Baseline"));
    }

    #[test]
    fn order_by_cycle_and_scaling_lists_are_stepped_over() {
        let mut bits = Writer::default();
        bits.put(0x67, 8).put(100, 8).put(0, 8).put(30, 8);
        bits.ue(0).ue(1).ue(0).ue(0).put(0, 1).put(1, 1); // id, 4:2:0, depths, bypass, lists
        bits.put(1, 1);
        for _ in 0..16 {
            bits.ue(0); // no difference: all sixteen values are there
        }
        bits.put(1, 1).ue(16); // difference −8: 0, so the rest is not there
        bits.put(0, 6);
        bits.ue(0)
            .ue(1)
            .put(0, 1)
            .ue(0)
            .ue(0)
            .ue(3)
            .ue(1)
            .ue(2)
            .ue(3); // cycle of three
        bits.ue(1).put(0, 1).ue(119).ue(67).put(1, 1).put(1, 1);
        bits.put(1, 1).ue(0).ue(0).ue(0).ue(4); // cut 8 lines
        assert_eq!(
            sequence_parameter_set(&bits.nal()),
            video(1920, 1080, "High")
        );
    }

    #[test]
    fn absurd_sizes_and_endless_prefixes_are_unknown() {
        assert_eq!(
            sequence_parameter_set(&baseline(60_000, 60_000).put(0, 1).nal()),
            None
        );
        assert_eq!(
            sequence_parameter_set(&baseline(1 << 30, 1 << 30).put(0, 1).nal()),
            None
        );
        // more is cut off than there is
        let mut bits = baseline(1, 1);
        bits.put(1, 1).ue(8).ue(8).ue(0).ue(0);
        assert_eq!(sequence_parameter_set(&bits.nal()), None);
        // 64 zeros where the identifier should be
        let mut bits = Writer::default();
        bits.put(0x67, 8)
            .put(66, 8)
            .put(0, 8)
            .put(30, 8)
            .zeros(64)
            .put(1, 1)
            .zeros(200);
        assert_eq!(sequence_parameter_set(&bits.nal()), None);
    }

    #[test]
    fn a_count_or_length_beyond_the_record_is_unknown() {
        // 31 parameter sets announced, one of 65,535 bytes
        assert_eq!(shape(&[1, 66, 0, 30, 0xFF, 0xFF, 0xFF, 0xFF, 0x67]), None);
        assert_eq!(shape(&[1, 66, 0, 30, 0xFF, 0xE0]), None);
        for len in 0..20 {
            assert_eq!(shape(&X264_1080P[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_flipped_bit_changes_the_answer_at_most() {
        for bit in 0..X264_444.len() * 8 {
            let mut record = X264_444;
            record[bit / 8] ^= 1 << (bit % 8);
            let _ = shape(&record);
        }
    }

    /// 1920 x 1080, High.
    const X264_1080P: [u8; 48] = [
        0x01, 0x64, 0x00, 0x28, 0xFF, 0xE1, 0x00,
        0x1B, // head, one parameter set and its length
        0x67, 0x64, 0x00, 0x28, 0xAC, 0xD9, 0x40, 0x78, 0x02, 0x27, 0xE5, 0xC0, 0x44, 0x00, 0x00,
        0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xC8, 0x3C, 0x60, 0xC6, 0x58, 0x01, 0x00, 0x06,
        0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0, 0xFD, 0xF8, 0xF8, 0x00, // picture parameter set
    ];

    /// 1920 x 1080, coded in fields.
    const X264_INTERLACED: [u8; 47] = [
        0x01, 0x64, 0x00, 0x28, 0xFF, 0xE1, 0x00,
        0x1A, // head, one parameter set and its length
        0x67, 0x64, 0x00, 0x28, 0xAC, 0xD9, 0x40, 0x78, 0x04, 0x4F, 0xDE, 0x02, 0x20, 0x00, 0x00,
        0x03, 0x00, 0x20, 0x00, 0x00, 0x06, 0x43, 0xE2, 0xC5, 0xB2, 0xC0, 0x01, 0x00, 0x06, 0x68,
        0xFB, 0xA3, 0xCB, 0x22, 0xC0, 0xFD, 0xF8, 0xF8, 0x00, // picture parameter set
    ];

    /// 854 x 480, Baseline.
    const X264_480P: [u8; 41] = [
        0x01, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0x00,
        0x19, // head, one parameter set and its length
        0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xD8, 0x3D, 0xE6, 0xF0, 0x11, 0x00, 0x00, 0x03, 0x00,
        0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x0F, 0x16, 0x2E, 0x48, 0x01, 0x00, 0x05, 0x68, 0xCB,
        0x83, 0xCB, 0x20, // picture parameter set
    ];

    /// 1366 x 768, 4:2:2, with quantiser matrices.
    const X264_422: [u8; 49] = [
        0x01, 0x7A, 0x00, 0x20, 0xFF, 0xE1, 0x00,
        0x1B, // head, one parameter set and its length
        0x67, 0x7A, 0x00, 0x20, 0xBC, 0xD9, 0x40, 0x56, 0x06, 0x1E, 0x6F, 0x01, 0x10, 0x00, 0x00,
        0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x07,
        0x68, 0xEB, 0xE3, 0xCB, 0x30, 0x02, 0xC0, 0xFE, 0xF8, 0xF8,
        0x00, // picture parameter set
    ];

    /// 321 x 241, 4:4:4, with quantiser matrices.
    const X264_444: [u8; 51] = [
        0x01, 0xF4, 0x00, 0x0D, 0xFF, 0xE1, 0x00,
        0x1C, // head, one parameter set and its length
        0x67, 0xF4, 0x00, 0x0D, 0x91, 0x9B, 0x28, 0x2A, 0x10, 0xF0, 0x84, 0x21, 0x80, 0x88, 0x00,
        0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x01, 0x90, 0x78, 0xA1, 0x4C, 0xB0, 0x01, 0x00,
        0x08, 0x68, 0xEB, 0xE3, 0xC4, 0x4C, 0x00, 0x04, 0x40, 0xFF, 0xF8, 0xF8,
        0x00, // picture parameter set
    ];
}
