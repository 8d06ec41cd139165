//! AV1: AV1CodecConfigurationRecord and the sequence header OBU inside it.
//!
//! Invariant: walked only as far as the maximum frame size.
//!
//! AV1 ISO binding 2.3, AV1 specification 5.3-5.5. Record, in bytes:
//!
//! | at | field |
//! |---|---|
//! | 0 | marker 1, version 1: 0x81; an MPEG-2 TS descriptor (M-35) has 0x80 here and no size |
//! | 1..4 | profile, level, tier, depths, subsampling, presentation delay |
//! | 4 | OBUs |

use super::bits::Bits;
use super::cursor::Cursor;
use super::shape::Shape;

/// Largest picture size of an av1C record. Empty records (M-36) and those without OBUs have none.
pub(super) fn shape(record: &[u8]) -> Option<Shape> {
    let mut cursor = Cursor::new(record);
    if cursor.u8().ok()? != 0x81 {
        return None;
    }
    cursor.take(3).ok()?;
    while !cursor.rest().is_empty() {
        let head = cursor.u8().ok()?;
        let (obu_type, has_extension, has_size) = (head >> 3 & 0xF, head & 4 != 0, head & 2 != 0);
        if has_extension {
            cursor.u8().ok()?;
        }
        let size = if has_size {
            leb128(&mut cursor)?
        } else {
            cursor.rest().len()
        };
        let obu = cursor.take(size).ok()?;
        if obu_type == SEQUENCE_HEADER {
            return sequence_header(obu);
        }
    }
    None
}

/// A number in groups of seven bits, lowest first; at most 2³² − 1.
fn leb128(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut value = 0_u64;
    for group in 0..8_u32 {
        let byte = cursor.u8().ok()?;
        value |= u64::from(byte & 0x7F) << group.checked_mul(7)?;
        if byte & 0x80 == 0 {
            return usize::try_from(u32::try_from(value).ok()?).ok();
        }
    }
    None
}

fn sequence_header(obu: &[u8]) -> Option<Shape> {
    let mut bits = Bits::new(obu);
    let profile = bits.read(3)?;
    let (_still_picture, reduced) = (bits.flag()?, bits.flag()?);
    if reduced {
        let _level = bits.read(5)?;
    } else {
        operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.read(4)?, bits.read(4)?);
    let width = bits.read(width_bits.checked_add(1)?)?.checked_add(1)?;
    let height = bits.read(height_bits.checked_add(1)?)?.checked_add(1)?;
    Shape::video(width, height, profile_name(profile))
}

/// Walks timing, decoder model and operating points.
fn operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        let (_units_in_tick, _time_scale) = (bits.read(32)?, bits.read(32)?);
        let equal_interval = bits.flag()?;
        if equal_interval {
            uvlc(bits)?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.read(5)?.checked_add(1)?);
            let _units_in_decoding_tick = bits.read(32)?;
            let (_removal_bits, _presentation_bits) = (bits.read(5)?, bits.read(5)?);
        }
    }
    let has_display_delay = bits.flag()?;
    let last = bits.read(5)?;
    for _ in 0..=last {
        let (_idc, level) = (bits.read(12)?, bits.read(5)?);
        if level > 7 {
            let _tier = bits.flag()?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            let (_decoder, _encoder) = (bits.read(delay_bits)?, bits.read(delay_bits)?);
            let _low_delay = bits.flag()?;
        }
        if has_display_delay && bits.flag()? {
            let _delay = bits.read(4)?;
        }
    }
    Some(())
}

/// Leaves out a number whose length is told by zeros in front.
fn uvlc(bits: &mut Bits<'_>) -> Option<()> {
    let mut zeros = 0_u32;
    while !bits.flag()? {
        zeros = zeros.checked_add(1)?;
    }
    // From 32 zeros on the value is fixed and has no bits of its own.
    bits.skip(if zeros < 32 { zeros } else { 0 })
}

fn profile_name(profile: u32) -> Option<&'static str> {
    Some(match profile {
        0 => "Main",
        1 => "High",
        2 => "Professional",
        _ => return None,
    })
}

/// OBU type.
const SEQUENCE_HEADER: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::Writer;

    #[test]
    fn records_of_two_encoders_tell_their_size() {
        let expected = Shape::Video {
            width: 1920,
            height: 1080,
            profile: Some("High"),
        };
        assert_eq!(shape(&LIBAOM_1080P), Some(expected));
        let expected = Shape::Video {
            width: 640,
            height: 360,
            profile: Some("Main"),
        };
        assert_eq!(shape(&SVT_360P), Some(expected));
    }

    #[test]
    fn timing_and_operating_points_are_stepped_over() {
        let mut bits = Writer::default();
        bits.put(0, 5); // Main, moving, not reduced
        bits.put(1, 1).put(1, 32).put(25, 32).put(1, 1).ue(2); // timing, equal intervals of 3
        bits.put(1, 1).put(9, 5).put(1, 32).put(9, 5).put(9, 5); // decoder model, delays of 10 bits
        bits.put(1, 1).put(1, 5); // display delay, two points
        bits.put(1, 12).put(8, 5).put(0, 1); // level above 7 has a tier
        bits.put(1, 1).zeros(21).put(1, 1).zeros(4);
        bits.put(0, 12).put(4, 5).put(0, 1).put(0, 1);
        bits.put(10, 4).put(10, 4).put(1279, 11).put(719, 11);
        let expected = Shape::Video {
            width: 1280,
            height: 720,
            profile: Some("Main"),
        };
        assert_eq!(sequence_header(&bits.bytes()), Some(expected));
    }

    #[test]
    fn a_still_picture_header_is_short() {
        let mut bits = Writer::default();
        bits.put(0b00011, 5)
            .put(4, 5)
            .put(7, 4)
            .put(7, 4)
            .put(255, 8)
            .put(127, 8);
        let expected = Shape::Video {
            width: 256,
            height: 128,
            profile: Some("Main"),
        };
        assert_eq!(sequence_header(&bits.bytes()), Some(expected));
    }

    #[test]
    fn other_obus_are_stepped_over() {
        let mut record = SVT_360P[..4].to_vec();
        // metadata with an extension byte; its size, 2, spelled in two bytes
        record.extend_from_slice(&[0x2E, 0x00, 0x82, 0x00, 0xFF, 0xFF]);
        record.extend_from_slice(&SVT_360P[4..]);
        assert!(shape(&record).is_some());
    }

    #[test]
    fn records_without_a_sequence_header_are_unknown() {
        assert_eq!(shape(&[]), None);
        assert_eq!(shape(&[0x81, 0x04, 0x0C, 0x00]), None);
        // a size that never ends, and one beyond the record
        assert_eq!(
            shape(&[
                0x81, 0, 0, 0, 0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80
            ]),
            None
        );
        assert_eq!(
            shape(&[0x81, 0, 0, 0, 0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
            None
        );
        // MPEG-2 TS descriptor
        assert_eq!(shape(&[0x80, 0x04, 0x81, 0x04, 0x0C, 0x00]), None);
    }

    #[test]
    fn a_flipped_bit_changes_the_answer_at_most() {
        for bit in 0..SVT_360P.len() * 8 {
            let mut record = SVT_360P;
            record[bit / 8] ^= 1 << (bit % 8);
            let _ = shape(&record);
        }
    }

    /// A record libaom wrote, 1920 x 1080, 4:4:4.
    const LIBAOM_1080P: [u8; 20] = [
        0x81, 0x28, 0x00, 0x00, // head
        0x0A, 0x0E, // sequence header, 14 bytes
        0x20, 0x00, 0x00, 0x42, 0xAB, 0xBF, 0xC3, 0x73, 0x2B, 0xE4, 0x80, 0x86, 0x80, 0x10,
    ];

    /// A record SVT-AV1 wrote, 640 x 360.
    const SVT_360P: [u8; 17] = [
        0x81, 0x01, 0x0C, 0x00, // head
        0x0A, 0x0B, // sequence header, 11 bytes
        0x00, 0x00, 0x00, 0x0C, 0xC4, 0xFF, 0x67, 0x00, 0xBE, 0x00, 0x10,
    ];
}
