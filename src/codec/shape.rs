//! `Shape`: picture size or sample rate, read from a configuration record.
//!
//! Invariant: for people only. Nothing is decided, sized or refused because of a shape, and a
//! record that is cut short, absurd or of a kind not known here is `None` (M-10, Z-64, Z-65).

use std::fmt;

use super::{Codec, Tag, aac, av1, avc, flac, hevc, opus};

/// What a configuration record says about the media, for log lines and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Of a video track.
    Video {
        /// Visible width in pixels, 1..=16,888.
        width: u32,
        /// Visible height in pixels, 1..=16,888.
        height: u32,
        /// Name of the profile, if it is one of the usual.
        profile: Option<&'static str>,
    },
    /// Of an audio track.
    Audio {
        /// Samples per second after decoding; 1..=16,777,215.
        rate_hz: u32,
        /// Channels after decoding, at least 1.
        channels: u8,
    },
}

impl Shape {
    /// A picture size, if it is one that a decoder of any level takes.
    pub(super) fn video(width: u32, height: u32, profile: Option<&'static str>) -> Option<Self> {
        let sane = 1..=SIDE_MAX;
        (sane.contains(&width) && sane.contains(&height)).then_some(Self::Video {
            width,
            height,
            profile,
        })
    }

    /// A sound format, if neither number is 0.
    pub(super) fn audio(rate_hz: u32, channels: u8) -> Option<Self> {
        (rate_hz > 0 && channels > 0).then_some(Self::Audio { rate_hz, channels })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video {
                width,
                height,
                profile: Some(profile),
            } => {
                write!(f, "{width}x{height} {profile}")
            }
            Self::Video {
                width,
                height,
                profile: None,
            } => write!(f, "{width}x{height}"),
            Self::Audio { rate_hz, channels } => write!(f, "{rate_hz} Hz {channels} ch"),
        }
    }
}

/// Reads the shape out of the body of a `Config` message. VP8, VP9 and H.266 records are not
/// read: the first two hold no size.
#[must_use]
pub fn shape(tag: &Tag, config_body: &[u8]) -> Option<Shape> {
    match tag.codec {
        Codec::Avc => avc::shape(config_body),
        Codec::Hevc => hevc::shape(config_body),
        Codec::Av1 => av1::shape(config_body),
        Codec::Aac => aac::shape(config_body),
        Codec::Opus => opus::shape(config_body),
        Codec::Flac => flac::shape(config_body),
        _ => None,
    }
}

/// Longest side H.265 level 6.2 permits (√(8 × 35,651,584)); H.264 and AV1 stay below.
const SIDE_MAX: u32 = 16_888;
