//! `Made`: a stream this tool makes itself: valid headers, marked frames of realistic sizes.
//!
//! Invariant: a payload is a function of its mark and its kind, so a receiver can make it again
//! and compare every bit. Sizes of a GOP add up to the bitrate.

use std::fmt;

use crate::load::film::{Beat, Reel};
use crate::load::mark::{MARK_BYTES, Mark, fill, scramble};
use crate::load::record::{ASC, HEIGHT, WIDTH, avcc, hvcc};
use crate::rtmp::amf0::{self, Object, Value};
use crate::rtmp::message::Kind;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Video codec and the form of its messages.
    pub shape: Shape,
    /// Audio and video together, bits a second.
    pub bitrate: u64,
    /// Pictures a second, 1..=240.
    pub fps: u32,
    /// Pictures from one key frame to the next.
    pub gop: u32,
    /// AAC beside the pictures.
    pub audio: bool,
}

/// Video codec and the form of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// H.264 in the form every server knows
    H264,
    /// HEVC as Enhanced RTMP (hvc1)
    Hevc,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
        })
    }
}

/// A stream made here.
#[derive(Debug)]
pub struct Made {
    recipe: Recipe,
    metadata: Vec<u8>,
    headers: Vec<(Kind, Vec<u8>)>,
    audio_bytes: usize,
    /// Bytes of an average picture that is no key frame.
    picture_bytes: u64,
}

impl Made {
    /// A film by that recipe.
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        let video = match recipe.shape {
            Shape::H264 => [&[0x17, 0, 0, 0, 0], avcc().as_slice()].concat(),
            Shape::Hevc => [b"\x90hvc1", hvcc().as_slice()].concat(),
        };
        let mut headers = vec![(Kind::Video, video)];
        let mut audio_bitrate = 0;
        if recipe.audio {
            headers.push((Kind::Audio, [&[0xAF, 0], ASC.as_slice()].concat()));
            audio_bitrate = (recipe.bitrate / 8).min(AUDIO_BITRATE_MAX);
        }
        let audio_bytes = audio_bitrate * SAMPLES / (8 * RATE);
        let gop_bytes = (recipe.bitrate - audio_bitrate) * u64::from(recipe.gop)
            / (8 * u64::from(recipe.fps).max(1));
        Self {
            recipe,
            metadata: metadata(&recipe),
            headers,
            audio_bytes: usize::try_from(audio_bytes).unwrap_or(0).max(LEAST_BYTES),
            picture_bytes: gop_bytes / (KEY_WEIGHT + u64::from(recipe.gop.max(1)) - 1),
        }
    }

    /// See [`crate::load::film::Film::metadata`].
    #[must_use]
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// See [`crate::load::film::Film::headers`].
    #[must_use]
    pub fn headers(&self) -> &[(Kind, Vec<u8>)] {
        &self.headers
    }

    /// The next message: whichever kind is due first, video before audio.
    pub fn next(&self, reel: &mut Reel) -> Beat {
        let video_us = reel.videos * 1_000_000 / u64::from(self.recipe.fps).max(1);
        let audio_us = reel.audios * SAMPLES * 1_000_000 / RATE;
        if self.recipe.audio && audio_us < video_us {
            reel.step(Kind::Audio, false, audio_us)
        } else {
            let key = self.is_key(reel.videos);
            reel.step(Kind::Video, key, video_us)
        }
    }

    /// Appends the payload with that mark.
    pub fn write(&self, kind: Kind, mark: &Mark, out: &mut Vec<u8>) {
        let end = out.len() + self.size(kind, mark.own);
        if kind == Kind::Audio {
            out.extend_from_slice(&[0xAF, 1]);
        } else {
            let key = self.is_key(mark.own);
            match (self.recipe.shape, key) {
                (Shape::H264, true) => out.extend_from_slice(&[0x17, 1, 0, 0, 0]),
                (Shape::H264, false) => out.extend_from_slice(&[0x27, 1, 0, 0, 0]),
                (Shape::Hevc, true) => out.extend_from_slice(b"\x93hvc1"),
                (Shape::Hevc, false) => out.extend_from_slice(b"\xA3hvc1"),
            }
            let nal = u32::try_from(end.saturating_sub(out.len() + 4)).unwrap_or(u32::MAX);
            out.extend_from_slice(&nal.to_be_bytes());
            out.extend_from_slice(match (self.recipe.shape, key) {
                (Shape::H264, true) => &[0x65],
                (Shape::H264, false) => &[0x41],
                (Shape::Hevc, true) => &[0x26, 0x01],
                (Shape::Hevc, false) => &[0x02, 0x01],
            });
        }
        mark.write(out);
        let filler = end.saturating_sub(out.len());
        fill(out, mark.stream, mark.number, filler);
    }

    /// Reads a payload's mark and compares all of it with what was sent under that mark. `again`
    /// is scratch.
    ///
    /// # Errors
    /// Where it differs.
    pub fn check(
        &self,
        kind: Kind,
        payload: &[u8],
        again: &mut Vec<u8>,
    ) -> Result<Mark, Difference> {
        let Some(mark) = Mark::find(payload) else {
            return Err(Difference { at: 0, mark: None });
        };
        again.clear();
        self.write(kind, &mark, again);
        if payload == again.as_slice() {
            return Ok(mark);
        }
        let same = payload.iter().zip(again.iter()).take_while(|(a, b)| a == b);
        Err(Difference {
            at: same.count(),
            mark: Some(mark),
        })
    }

    fn is_key(&self, own: u64) -> bool {
        own.is_multiple_of(u64::from(self.recipe.gop.max(1)))
    }

    /// Payload bytes: key frames are some eight times as large as the others, which differ by
    /// up to 40 % around their mean.
    fn size(&self, kind: Kind, own: u64) -> usize {
        if kind == Kind::Audio {
            return self.audio_bytes;
        }
        let bytes = if self.is_key(own) {
            self.picture_bytes * KEY_WEIGHT
        } else {
            self.picture_bytes * (600 + scramble(own) % 801) / 1_000
        };
        usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .max(LEAST_BYTES)
    }
}

/// How a payload is not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// First byte that differs; 0 when nothing about it is right.
    pub at: usize,
    /// Its mark, if no bit of that changed.
    pub mark: Option<Mark>,
}

fn metadata(recipe: &Recipe) -> Vec<u8> {
    let codec = match recipe.shape {
        Shape::H264 => 7.0,
        // M-45: the FourCC as a number.
        Shape::Hevc => f64::from(u32::from_be_bytes(*b"hvc1")),
    };
    let mut object = Object::new()
        .with("width", f64::from(WIDTH))
        .with("height", f64::from(HEIGHT))
        .with("framerate", f64::from(recipe.fps))
        .with("videocodecid", codec);
    if recipe.audio {
        object = object
            .with("audiocodecid", 10.0)
            .with("audiosamplerate", 48_000.0);
    }
    let mut out = Vec::new();
    amf0::encode(&Value::String(b"onMetaData"), &mut out);
    amf0::encode(&Value::EcmaArray(object), &mut out);
    out
}

/// Shortest message: mark, longest header and a little filler.
pub const LEAST_BYTES: usize = MARK_BYTES + 40;
/// Size of a key frame in average pictures.
const KEY_WEIGHT: u64 = 8;
const AUDIO_BITRATE_MAX: u64 = 128_000;
/// Samples of an AAC frame.
const SAMPLES: u64 = 1_024;
const RATE: u64 = 48_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, Codec, Part, Shape as Told};

    fn recipe(shape: Shape) -> Recipe {
        Recipe {
            shape,
            bitrate: 1_000_000,
            fps: 25,
            gop: 50,
            audio: true,
        }
    }

    /// The first `seconds` of a film, with payloads.
    fn shown(made: &Made, seconds: u64) -> Vec<(Beat, Vec<u8>)> {
        let mut reel = Reel::default();
        std::iter::from_fn(|| {
            let beat = made.next(&mut reel);
            let mut out = Vec::new();
            let mark = Mark {
                stream: 1,
                number: beat.number,
                own: beat.own,
                sent_us: 5,
            };
            made.write(beat.kind, &mark, &mut out);
            (beat.at_us < seconds * 1_000_000).then_some((beat, out))
        })
        .collect()
    }

    #[test]
    fn the_headers_are_valid_and_tell_the_size() {
        for (shape, codec) in [(Shape::H264, Codec::Avc), (Shape::Hevc, Codec::Hevc)] {
            let made = Made::new(recipe(shape));
            let video = &made.headers()[0].1;
            let tag = codec::video(video).unwrap();
            assert_eq!((tag.codec, tag.part), (codec, Part::Config));
            let told = codec::shape(&tag, tag.body(video));
            assert!(
                matches!(
                    told,
                    Some(Told::Video {
                        width: 1_280,
                        height: 720,
                        ..
                    })
                ),
                "{told:?}"
            );
            let audio = &made.headers()[1].1;
            let tag = codec::audio(audio).unwrap();
            let told = codec::shape(&tag, tag.body(audio));
            assert!(matches!(
                told,
                Some(Told::Audio {
                    rate_hz: 48_000,
                    channels: 2
                })
            ));
        }
    }

    #[test]
    fn frames_are_what_their_headers_say_and_one_in_a_gop_is_key() {
        for shape in [Shape::H264, Shape::Hevc] {
            let made = Made::new(recipe(shape));
            for (beat, payload) in shown(&made, 5) {
                let tag = match beat.kind {
                    Kind::Video => codec::video(&payload).unwrap(),
                    _ => codec::audio(&payload).unwrap(),
                };
                assert_eq!(tag.part, Part::Frame { key: beat.key });
                let is_key = beat.kind == Kind::Video && beat.own % 50 == 0;
                assert_eq!(beat.key, is_key);
            }
        }
    }

    #[test]
    fn a_second_has_72_messages_in_order_of_time_and_the_bitrate_asked_for() {
        let made = Made::new(recipe(Shape::H264));
        let shown = shown(&made, 20);
        assert_eq!(shown.len(), 20 * 72 - 2);
        assert!(shown.is_sorted_by_key(|(beat, _)| beat.at_us));
        assert!(shown.iter().map(|(beat, _)| beat.number).eq(0..20 * 72 - 2));
        let bits = 8 * shown
            .iter()
            .map(|(_, payload)| payload.len())
            .sum::<usize>();
        let wanted = 20_000_000;
        assert!(bits.abs_diff(wanted) < wanted / 50, "{bits}");
        let size = |key| {
            let of = |(beat, _): &&(Beat, Vec<u8>)| beat.kind == Kind::Video && beat.key == key;
            let sizes: Vec<usize> = shown.iter().filter(of).map(|(_, p)| p.len()).collect();
            sizes.iter().sum::<usize>() / sizes.len()
        };
        assert!(size(true) > 6 * size(false));
    }

    #[test]
    fn a_payload_passes_its_check_and_any_changed_byte_fails_it() {
        let made = Made::new(recipe(Shape::H264));
        let mut again = Vec::new();
        for (beat, payload) in shown(&made, 1) {
            let mark = made.check(beat.kind, &payload, &mut again).unwrap();
            assert_eq!((mark.number, mark.own), (beat.number, beat.own));
            for at in [0, 1, 12, 40, payload.len() / 2, payload.len() - 1] {
                let mut damaged = payload.clone();
                damaged[at] ^= 4;
                assert!(
                    made.check(beat.kind, &damaged, &mut again).is_err(),
                    "byte {at}"
                );
            }
            let cut = &payload[..payload.len() - 1];
            assert!(made.check(beat.kind, cut, &mut again).is_err());
        }
    }
}
