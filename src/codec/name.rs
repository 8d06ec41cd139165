//! `Codec`: every codec a message can name, by its FLV id or its FourCC.
//!
//! Invariant: a codec has one value however it was named, so a track that moves from the legacy
//! to the enhanced form keeps its identity; the form itself is `Tag::enhanced`.
//!
//! PROTOCOL M-01, M-03, M-21, M-31.

use std::fmt;

use super::Media;

/// A codec. `Display` gives the name people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264: id 7, `avc1`.
    Avc,
    /// H.265: `hvc1`, and id 12 by a convention of CDNs.
    Hevc,
    /// H.266: `vvc1`.
    Vvc,
    /// AV1: `av01`, and id 13 by the same convention.
    Av1,
    /// VP8: `vp08`.
    Vp8,
    /// VP9: `vp09`.
    Vp9,
    /// Sorenson H.263: id 2.
    H263,
    /// Screen video: id 3.
    Screen,
    /// Screen video version 2: id 6.
    Screen2,
    /// On2 VP6: id 4.
    Vp6,
    /// On2 VP6 with alpha: id 5.
    Vp6Alpha,
    /// AAC: format 10, `mp4a`.
    Aac,
    /// MP3: formats 2 and 14 (8 kHz), `.mp3`.
    Mp3,
    /// Opus: `Opus`.
    Opus,
    /// FLAC: `fLaC`.
    Flac,
    /// AC-3: `ac-3`.
    Ac3,
    /// E-AC-3: `ec-3`.
    Eac3,
    /// Speex: format 11.
    Speex,
    /// G.711 A-law: format 7.
    G711A,
    /// G.711 µ-law: format 8.
    G711U,
    /// Linear PCM: formats 0 (platform endian) and 3 (little endian).
    Pcm,
    /// ADPCM: format 1.
    Adpcm,
    /// Nellymoser: formats 4 (16 kHz), 5 (8 kHz) and 6.
    Nelly,
    /// Device-specific sound: format 15.
    Device,
    /// None of these: the FourCC as a big-endian number, or the legacy id below 16; 0 for none.
    Unknown(u32),
}

impl Codec {
    /// The codec a legacy tag names with its 4-bit id.
    pub(super) fn from_id(media: Media, id: u8) -> Self {
        match (media, id) {
            (Media::Audio, 0 | 3) => Self::Pcm,
            (Media::Audio, 1) => Self::Adpcm,
            (Media::Audio, 2 | 14) => Self::Mp3,
            (Media::Audio, 4..=6) => Self::Nelly,
            (Media::Audio, 7) => Self::G711A,
            (Media::Audio, 8) => Self::G711U,
            (Media::Audio, 10) => Self::Aac,
            (Media::Audio, 11) => Self::Speex,
            (Media::Audio, 15) => Self::Device,
            (Media::Video, 2) => Self::H263,
            (Media::Video, 3) => Self::Screen,
            (Media::Video, 4) => Self::Vp6,
            (Media::Video, 5) => Self::Vp6Alpha,
            (Media::Video, 6) => Self::Screen2,
            (Media::Video, 7) => Self::Avc,
            (Media::Video, 12) => Self::Hevc,
            (Media::Video, 13) => Self::Av1,
            _ => Self::Unknown(u32::from(id)),
        }
    }

    /// The codec an enhanced tag names; letter case matters (M-21).
    pub(super) fn from_fourcc(media: Media, fourcc: [u8; 4]) -> Self {
        match (media, &fourcc) {
            (Media::Audio, b"mp4a") => Self::Aac,
            (Media::Audio, b".mp3") => Self::Mp3,
            (Media::Audio, b"Opus") => Self::Opus,
            (Media::Audio, b"fLaC") => Self::Flac,
            (Media::Audio, b"ac-3") => Self::Ac3,
            (Media::Audio, b"ec-3") => Self::Eac3,
            (Media::Video, b"avc1") => Self::Avc,
            (Media::Video, b"hvc1") => Self::Hevc,
            (Media::Video, b"vvc1") => Self::Vvc,
            (Media::Video, b"av01") => Self::Av1,
            (Media::Video, b"vp08") => Self::Vp8,
            (Media::Video, b"vp09") => Self::Vp9,
            _ => Self::Unknown(u32::from_be_bytes(fourcc)),
        }
    }

    /// The FourCC by which capabilities are negotiated; `None` for codecs that only have an id.
    #[must_use]
    pub fn fourcc(self) -> Option<[u8; 4]> {
        Some(match self {
            Self::Avc => *b"avc1",
            Self::Hevc => *b"hvc1",
            Self::Vvc => *b"vvc1",
            Self::Av1 => *b"av01",
            Self::Vp8 => *b"vp08",
            Self::Vp9 => *b"vp09",
            Self::Aac => *b"mp4a",
            Self::Mp3 => *b".mp3",
            Self::Opus => *b"Opus",
            Self::Flac => *b"fLaC",
            Self::Ac3 => *b"ac-3",
            Self::Eac3 => *b"ec-3",
            Self::Unknown(fourcc) if fourcc >= 16 => fourcc.to_be_bytes(),
            _ => return None,
        })
    }

    /// Whether this is a codec we know by name.
    #[must_use]
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// A number of its own for every codec we know by name, 1 to 31; 0 for all others.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unknown(_) => 0,
            Self::Avc => 1,
            Self::Hevc => 2,
            Self::Vvc => 3,
            Self::Av1 => 4,
            Self::Vp8 => 5,
            Self::Vp9 => 6,
            Self::H263 => 7,
            Self::Screen => 8,
            Self::Screen2 => 9,
            Self::Vp6 => 10,
            Self::Vp6Alpha => 11,
            Self::Aac => 12,
            Self::Mp3 => 13,
            Self::Opus => 14,
            Self::Flac => 15,
            Self::Ac3 => 16,
            Self::Eac3 => 17,
            Self::Speex => 18,
            Self::G711A => 19,
            Self::G711U => 20,
            Self::Pcm => 21,
            Self::Adpcm => 22,
            Self::Nelly => 23,
            Self::Device => 24,
        }
    }

    /// Whether no frame can be decoded before a sequence header was seen (G-10). AV1, VP9 and
    /// Opus have one but work without (INTEROP 54, M-22).
    #[must_use]
    pub fn needs_config(self) -> bool {
        matches!(
            self,
            Self::Avc | Self::Hevc | Self::Vvc | Self::Aac | Self::Flac
        )
    }

    /// Whether the enhanced form can be rewritten without loss as a legacy one (M-65).
    #[must_use]
    pub fn has_legacy_form(self) -> bool {
        matches!(self, Self::Avc | Self::Aac | Self::Mp3)
    }

    /// Whether a coded frame in the enhanced form starts with a composition offset (M-34).
    pub(super) fn has_cts(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Vvc)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avc => "H.264",
            Self::Hevc => "H.265",
            Self::Vvc => "H.266",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H263 => "H.263",
            Self::Screen => "Screen Video",
            Self::Screen2 => "Screen Video 2",
            Self::Vp6 => "VP6",
            Self::Vp6Alpha => "VP6A",
            Self::Aac => "AAC",
            Self::Mp3 => "MP3",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Speex => "Speex",
            Self::G711A => "G.711 A-law",
            Self::G711U => "G.711 µ-law",
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Nelly => "Nellymoser",
            Self::Device => "device sound",
            Self::Unknown(0) => "none",
            Self::Unknown(id @ 1..16) => return write!(f, "codec id {id}"),
            Self::Unknown(fourcc) => {
                return write!(f, "\"{}\"", fourcc.to_be_bytes().escape_ascii());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fourcc_names_the_codec_that_answers_with_it() {
        let audio = [b"mp4a", b".mp3", b"Opus", b"fLaC", b"ac-3", b"ec-3"];
        let video = [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09"];
        for (media, list) in [(Media::Audio, audio), (Media::Video, video)] {
            for fourcc in list {
                let codec = Codec::from_fourcc(media, *fourcc);
                assert!(codec.is_known(), "{codec}");
                assert_eq!(codec.fourcc(), Some(*fourcc));
            }
        }
    }

    #[test]
    fn every_codec_that_is_known_has_a_number_of_its_own() {
        let fourccs = [
            b"vvc1", b"vp08", b"vp09", b"Opus", b"fLaC", b"ac-3", b"ec-3",
        ];
        let fourccs =
            fourccs.map(|name| [Media::Audio, Media::Video].map(|m| Codec::from_fourcc(m, *name)));
        let ids = (0..16).map(|id| [Media::Audio, Media::Video].map(|m| Codec::from_id(m, id)));
        let codecs: HashSet<Codec> = fourccs.into_iter().chain(ids).flatten().collect();
        let known = codecs.iter().filter(|codec| codec.is_known());
        let numbers: HashSet<u8> = known.clone().map(|codec| codec.number()).collect();
        assert_eq!((known.count(), numbers.len()), (24, 24));
        assert!(numbers.iter().all(|number| (1..32).contains(number)));
    }

    #[test]
    fn letter_case_and_media_kind_matter() {
        assert!(!Codec::from_fourcc(Media::Audio, *b"opus").is_known());
        assert!(!Codec::from_fourcc(Media::Video, *b"Opus").is_known());
    }

    #[test]
    fn unknown_names_are_safe_to_log() {
        assert_eq!(
            Codec::from_fourcc(Media::Video, *b"a\"\n\x00").to_string(),
            r#""a\"\n\x00""#
        );
        assert_eq!(Codec::from_id(Media::Video, 9).to_string(), "codec id 9");
        assert_eq!(Codec::Unknown(0).to_string(), "none");
    }

    #[test]
    fn an_id_without_a_fourcc_has_none() {
        assert_eq!(Codec::from_id(Media::Video, 4).fourcc(), None);
        assert_eq!(Codec::from_id(Media::Video, 9).fourcc(), None);
        assert_eq!(
            Codec::from_fourcc(Media::Video, *b"zzzz").fourcc(),
            Some(*b"zzzz")
        );
    }
}
