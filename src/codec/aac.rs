//! AAC: AudioSpecificConfig.
//!
//! Invariant: rate and channels are those after decoding, spectral band replication and
//! parametric stereo included, in all three ways of announcing them.
//!
//! ISO/IEC 14496-3 1.6.2.1 and 4.4.1. In bits: object type 5 (31: and 6 more), frequency index 4
//! (15: and 24 more), channel configuration 4; object types 5 and 29 (explicit SBR, PS) put the
//! extension frequency and the core's object type behind that, others may do so at the very end.

use super::bits::Bits;
use super::shape::Shape;

/// Sample rate and channels of an AudioSpecificConfig.
pub(super) fn shape(config: &[u8]) -> Option<Shape> {
    let mut bits = Bits::new(config);
    let mut object = object_type(&mut bits)?;
    let mut rate_hz = frequency(&mut bits)?;
    let configuration = bits.read(4)?;
    let parametric = object == PS;
    let extended = matches!(object, SBR | PS);
    if extended {
        rate_hz = frequency(&mut bits)?;
        object = object_type(&mut bits)?;
        if object == ER_BSAC {
            let _extension_channels = bits.read(4)?;
        }
    }
    let listed = channels(configuration);
    // Only the general audio coders have a body known here, and with it the channel list.
    let body = if is_general_audio(object) {
        general_audio(&mut bits, object, listed)
    } else {
        None
    };
    let channels = listed.or(body)?;
    if extended {
        return Shape::audio(rate_hz, stereo_if(parametric, channels));
    }
    if listed.is_some()
        && body.is_some()
        && let Some((extension_hz, parametric)) = trailing_extension(&mut bits)
    {
        return Shape::audio(extension_hz, stereo_if(parametric, channels));
    }
    Shape::audio(rate_hz, channels)
}

/// Parametric stereo makes two channels out of one, and is defined for one only.
fn stereo_if(parametric: bool, channels: u8) -> u8 {
    if parametric && channels == 1 {
        2
    } else {
        channels
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => bits.read(6)?.checked_add(32),
        object => Some(object),
    }
}

fn frequency(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(4)? {
        15 => bits.read(24),
        index => FREQUENCIES_HZ.get(usize::try_from(index).ok()?).copied(),
    }
}

/// Channels of a channel configuration; `None` for 0 (listed in the config) and reserved ones.
fn channels(configuration: u32) -> Option<u8> {
    Some(match configuration {
        1 => 1,
        2 => 2,
        3 => 3,
        4 => 4,
        5 => 5,
        6 => 6,
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        _ => return None,
    })
}

fn is_general_audio(object: u32) -> bool {
    matches!(object, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// Walks GASpecificConfig; gives the channels, counted where `listed` does not say them.
fn general_audio(bits: &mut Bits<'_>, object: u32, listed: Option<u8>) -> Option<u8> {
    let (_short_frames, depends_on_core) = (bits.flag()?, bits.flag()?);
    if depends_on_core {
        let _delay = bits.read(14)?;
    }
    let has_extension = bits.flag()?;
    // What follows a channel list is not walked: nobody looks for an extension there.
    let Some(channels) = listed else {
        return program_config(bits);
    };
    if matches!(object, 6 | 20) {
        let _layer = bits.read(3)?;
    }
    if has_extension {
        match object {
            ER_BSAC => bits.skip(16)?,
            17 | 19 | 20 | 23 => bits.skip(3)?,
            _ => {}
        }
        let _version_3 = bits.flag()?;
    }
    Some(channels)
}

/// Counts the channels of a program_config_element.
fn program_config(bits: &mut Bits<'_>) -> Option<u8> {
    let (_instance, _profile, _frequency) = (bits.read(4)?, bits.read(2)?, bits.read(4)?);
    let (front, side, back) = (bits.read(4)?, bits.read(4)?, bits.read(4)?);
    let (low, _data, _coupling) = (bits.read(2)?, bits.read(3)?, bits.read(4)?);
    for mixdown_bits in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(mixdown_bits)?;
        }
    }
    let mut channels = u8::try_from(low).ok()?;
    for _ in 0..front.checked_add(side)?.checked_add(back)? {
        let is_pair = bits.flag()?;
        channels = channels.checked_add(if is_pair { 2 } else { 1 })?;
        let _element = bits.read(4)?;
    }
    Some(channels)
}

/// SBR and PS announced behind the config, where older decoders do not look: the extension's
/// rate and whether PS is on.
fn trailing_extension(bits: &mut Bits<'_>) -> Option<(u32, bool)> {
    if bits.read(11)? != 0x2B7 || object_type(bits)? != SBR || !bits.flag()? {
        return None;
    }
    let rate_hz = frequency(bits)?;
    let parametric = bits.read(11) == Some(0x548) && bits.flag() == Some(true);
    Some((rate_hz, parametric))
}

/// Object type: spectral band replication, HE-AAC.
const SBR: u32 = 5;
/// Object type: error resilient BSAC.
const ER_BSAC: u32 = 22;
/// Object type: parametric stereo, HE-AAC v2.
const PS: u32 = 29;
/// Sample rates by index.
const FREQUENCIES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(rate_hz: u32, channels: u8) -> Option<Shape> {
        Some(Shape::Audio { rate_hz, channels })
    }

    #[test]
    fn a_low_complexity_config_names_rate_and_channels() {
        assert_eq!(shape(&[0x12, 0x10]), audio(44_100, 2));
        assert_eq!(shape(&[0x11, 0x90]), audio(48_000, 2));
        assert_eq!(shape(&[0x11, 0xB8]), audio(48_000, 8));
    }

    #[test]
    fn a_frequency_may_be_spelled_out() {
        // type 2, index 15, 24 bits of 44,056, channels 1, body 000
        assert_eq!(shape(&[0x17, 0x80, 0x56, 0x0C, 0x08]), audio(44_056, 1));
    }

    #[test]
    fn explicit_band_replication_doubles_the_rate() {
        // type 5, index 7 (22,050), channels 2, extension index 4 (44,100), type 2, body 000
        assert_eq!(shape(&[0x2B, 0x92, 0x08, 0x00]), audio(44_100, 2));
        // A body that is cut short takes nothing away from that.
        assert_eq!(shape(&[0x2B, 0x92, 0x08]), audio(44_100, 2));
    }

    #[test]
    fn explicit_parametric_stereo_makes_two_channels() {
        // type 29, index 6 (24,000), channels 1, extension index 3 (48,000), type 2, body 000
        assert_eq!(shape(&[0xEB, 0x09, 0x88, 0x00]), audio(48_000, 2));
    }

    #[test]
    fn an_extension_behind_the_config_counts() {
        // type 2, index 7 (22,050), channels 1, body 000, 0x2B7, type 5, present, index 4 (44,100)
        assert_eq!(shape(&[0x13, 0x88, 0x56, 0xE5, 0xA0]), audio(44_100, 1));
        // the same, 0x548, present
        assert_eq!(
            shape(&[0x13, 0x88, 0x56, 0xE5, 0xA5, 0x48, 0x80]),
            audio(44_100, 2)
        );
        // the same without the extension
        assert_eq!(shape(&[0x13, 0x88]), audio(22_050, 1));
    }

    #[test]
    fn a_channel_list_is_counted() {
        let config = [
            0x11, 0x80, // type 2, index 3 (48,000), channels 0, body 000
            0x04, 0xC8, // instance 0, profile 1, index 3, front 2, …
            0x05, 0x00, // … side 0, back 1, low 1, data 0, coupling 0
            0x01, 0x08, 0x80, // no mixdowns; front single and pair, back pair
        ];
        assert_eq!(shape(&config), audio(48_000, 6));
    }

    #[test]
    fn empty_short_and_reserved_configs_have_no_shape() {
        assert_eq!(shape(&[]), None);
        assert_eq!(shape(&[0x12]), None);
        // frequency index 13
        assert_eq!(shape(&[0x16, 0x90]), None);
    }
}
