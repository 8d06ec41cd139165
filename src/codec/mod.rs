//! What is inside an audio or video message, only as far as a relay needs.
//!
//! Invariant: classification reads tag headers and nothing behind them; whatever bytes come in,
//! every function here returns. Configuration records are opened only by [`shape`], for people,
//! and a record that cannot be read is `None`, never an error.
//!
//! PROTOCOL §6.1-§6.4 (FLV 10.1 tags, Enhanced RTMP v2).
//!
//! | file | holds |
//! |---|---|
//! | `name` | `Codec`: ids and FourCCs |
//! | `legacy` | the one-byte tags of FLV 10.1, with AVC and AAC packet types |
//! | `enhanced` | FourCC tags: ModEx, multitrack, packet types |
//! | `multitrack` | `tracks`, `one_track`: walking and splitting a message |
//! | `plain` | what a player that knows less than the publisher is sent |
//! | `shape` | picture size, sample rate: `avc`, `hevc`, `av1`, `aac`, `opus`, `flac` |
//! | `bits`, `cursor` | checked readers over bits and bytes |

mod aac;
mod av1;
mod avc;
mod bits;
mod cursor;
mod enhanced;
mod flac;
mod hevc;
mod legacy;
mod multitrack;
mod name;
mod opus;
mod plain;
mod shape;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod property_tests;

use thiserror::Error;

pub use multitrack::{Track, Tracks, one_track, tracks};
pub use name::Codec;
pub use plain::{Plain, plain, without_mod_ex};
pub use shape::{Shape, shape};

/// What one audio or video message is, from its headers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Which kind of message it came in.
    pub media: Media,
    /// The codec; `Unknown(0)` where the message names none (silence, enhanced command, damage).
    pub codec: Codec,
    /// What the message is for.
    pub part: Part,
    /// Track id, 0 for everything outside multitrack; the first one listed of many (M-52).
    pub track: u8,
    /// Composition offset in signed milliseconds, −2²³..2²³; 0 where the form has none (M-34).
    pub cts_ms: i32,
    /// FourCC form (audio format 9, video bit 7).
    pub enhanced: bool,
    /// Wrapped as multitrack, even when it holds track 0 only.
    pub multitrack: bool,
    /// Holds a list of tracks, each with its size; [`tracks`] walks it, [`one_track`] splits it.
    pub many_tracks: bool,
    /// Carries at least one ModEx wrapper (M-38).
    pub mod_ex: bool,
    /// Offset of the codec bytes in the payload; of the first track's if there are many.
    pub body_at: u32,
}

impl Tag {
    /// The codec bytes: configuration record, access unit. Of a list of tracks, all from the
    /// first track's bytes on; use [`tracks`] there.
    ///
    /// A `Config` whose body is empty is relayed but must not replace a known one (M-36 for av01,
    /// INTEROP 51 for AAC).
    #[must_use]
    pub fn body<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        usize::try_from(self.body_at)
            .ok()
            .and_then(|at| payload.get(at..))
            .unwrap_or_default()
    }

    /// Whether this is a video frame from which decoding can start.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.part == Part::Frame { key: true }
    }
}

/// The two media kinds of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Sequence header: what a decoder needs before the first frame.
    Config,
    /// Coded media. `key` is false for all audio.
    Frame {
        /// A video frame that needs no other frame (M-05, M-37).
        key: bool,
    },
    /// End of sequence: relayed, not cached, not a key frame although often flagged so (M-06).
    End,
    /// Enhanced video metadata, `colorInfo`; the last one belongs to the late joiner (M-40).
    ColorInfo,
    /// Enhanced audio MultichannelConfig; belongs with the sequence header (M-23).
    ChannelConfig,
    /// Start or end of a client-side seek: never cached (M-07).
    Command,
    /// An audio message of 0 bytes (M-08).
    Silence,
    /// Reserved or unknown: relayed, never cached, never a key frame (M-39).
    Opaque,
}

/// A message whose headers do not hold together: drop it, count it, keep the connection
/// (M-09, M-51).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A video message of 0 bytes (M-08).
    #[error("video message without a byte")]
    Empty,
    /// The headers promise more bytes than the message has.
    #[error("header wants {wanted} bytes, {left} are left")]
    Short {
        /// Bytes the field needs.
        wanted: usize,
        /// Bytes the message still had.
        left: usize,
    },
    /// A multitrack message inside a multitrack message (M-50).
    #[error("multitrack inside multitrack")]
    Nested,
    /// More tracks in one message than anyone sends (Z-68).
    #[error("more than {max} tracks in one message")]
    Tracks {
        /// Tracks allowed.
        max: usize,
    },
}

/// Classifies the payload of an audio message.
///
/// # Errors
/// [`Malformed`] when the header is cut short or contradicts itself.
pub fn audio(payload: &[u8]) -> Result<Tag, Malformed> {
    match payload.first() {
        Some(first) if first >> 4 == 9 => enhanced::tag(Media::Audio, payload),
        Some(_) => legacy::audio(payload),
        None => Ok(Tag::bare(Media::Audio, Part::Silence)),
    }
}

/// Classifies the payload of a video message.
///
/// # Errors
/// [`Malformed`] when the message is empty, or its header is cut short or contradicts itself.
pub fn video(payload: &[u8]) -> Result<Tag, Malformed> {
    match payload.first() {
        Some(first) if first & 0x80 != 0 => enhanced::tag(Media::Video, payload),
        Some(_) => legacy::video(payload),
        None => Err(Malformed::Empty),
    }
}

impl Tag {
    /// A tag of a message that names neither codec nor track.
    fn bare(media: Media, part: Part) -> Self {
        Self {
            media,
            codec: Codec::Unknown(0),
            part,
            track: 0,
            cts_ms: 0,
            enhanced: false,
            multitrack: false,
            many_tracks: false,
            mod_ex: false,
            body_at: 0,
        }
    }
}
