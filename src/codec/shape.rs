//! `Shape`: picture size or sample rate, read from a configuration record.
use super::Tag;

/// What a configuration record says about the media, for log lines and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Of a video track.
    Video {
        /// Visible width in pixels, 1..=16,888.
        width: u32,
        /// Visible height in pixels, 1..=16,888.
        height: u32,
        /// Profile name, if it is one with a name.
        profile: Option<&'static str>,
    },
    /// Of an audio track.
    Audio {
        /// Samples per second after decoding.
        rate_hz: u32,
        /// Channels after decoding, 1..=255.
        channels: u8,
    },
}

/// Reads the shape out of a configuration record.
#[must_use]
pub fn shape(_tag: &Tag, _config_body: &[u8]) -> Option<Shape> {
    None
}
