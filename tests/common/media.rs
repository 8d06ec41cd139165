//! Synthetic media: every frame carries its number, every config is valid.
//!
//! A number is written as `#` and sixteen hex digits somewhere in the payload, so it survives any
//! rewriting of the header in front of it, and `number` finds it in any codec.

use corecast::rtmp::message::Kind;

use super::bits::{ASC, HEIGHT, WIDTH, av1c, avcc, hvcc, opus_head};

/// One message of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub kind: Kind,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// Which video a camera makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video {
    None,
    Avc,
    Hevc,
    Av1,
    /// AVC in plain form as track 0 and again as OneTrack messages of track 1.
    AvcTwice,
}

/// Which audio a camera makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    None,
    Aac,
    Opus,
    /// AAC in plain form as track 0 and Opus as OneTrack messages of track 1.
    AacAndOpus,
}

/// Films for ever: 25 pictures and 40 audio frames a second of media time, in order of time.
#[derive(Clone, Debug)]
pub struct Camera {
    pub video: Video,
    pub audio: Audio,
    /// A key frame each so many pictures.
    gop: u64,
    /// Bytes of a picture beside its headers; key frames have four times as many.
    picture_bytes: usize,
    /// Timestamp of the configs and the first frames, milliseconds.
    pub start: u32,
    /// Timestamp of picture 0: `start`, unless the camera was restarted.
    origin: u32,
    pictures: u64,
    sounds: u64,
    waiting: Vec<Piece>,
}

impl Camera {
    pub fn new(video: Video, audio: Audio) -> Self {
        Self {
            video,
            audio,
            gop: 25,
            picture_bytes: 400,
            start: 0,
            origin: 0,
            pictures: 0,
            sounds: 0,
            waiting: Vec::new(),
        }
    }

    /// H.264 and AAC, a key frame each second.
    pub fn plain() -> Self {
        Self::new(Video::Avc, Audio::Aac)
    }

    /// The same camera with its first frames at `ms`.
    pub fn starting_at(self, ms: u32) -> Self {
        Self {
            start: ms,
            origin: ms,
            ..self
        }
    }

    /// The same camera with a key frame each `pictures` pictures.
    pub fn gop(self, pictures: u64) -> Self {
        Self {
            gop: pictures,
            ..self
        }
    }

    /// The same camera with pictures of that size.
    pub fn picture_bytes(self, bytes: usize) -> Self {
        Self {
            picture_bytes: bytes,
            ..self
        }
    }

    /// Metadata (to be sent with `send_metadata`) is apart; these are the configs.
    pub fn configs(&self) -> Vec<Piece> {
        let video = match self.video {
            Video::None => vec![],
            Video::Avc => vec![avc_config()],
            Video::Hevc => vec![hevc_config()],
            Video::Av1 => vec![av1_config()],
            Video::AvcTwice => vec![avc_config(), video_track(0x90, b"avc1", 1, &avcc())],
        };
        let audio = match self.audio {
            Audio::None => vec![],
            Audio::Aac => vec![aac_config()],
            Audio::Opus => vec![opus_config()],
            Audio::AacAndOpus => vec![aac_config(), audio_track(0x90, b"Opus", 1, &opus_head())],
        };
        let piece = |kind| {
            move |payload| Piece {
                kind,
                timestamp: self.start,
                payload,
            }
        };
        let video = video.into_iter().map(piece(Kind::Video));
        video
            .chain(audio.into_iter().map(piece(Kind::Audio)))
            .collect()
    }

    /// Pictures filmed so far; the next one has this number.
    pub fn pictures(&self) -> u64 {
        self.pictures
    }

    /// Audio frames so far.
    pub fn sounds(&self) -> u64 {
        self.sounds
    }

    /// All messages before that picture, a key frame for instance.
    pub fn before(&mut self, picture: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !(self.waiting.is_empty() && self.pictures == picture && self.video_is_next()) {
            assert!(self.pictures <= picture, "picture {picture} is filmed");
            pieces.extend(self.next());
        }
        pieces
    }

    /// The camera of an encoder that was started again: numbers go on, so that players can be
    /// checked across the restart, and timestamps begin at `ms`.
    pub fn restarted(self, ms: u32) -> Self {
        let filmed = (self.pictures * 40) as u32;
        Self {
            start: ms,
            origin: ms.wrapping_sub(filmed),
            ..self
        }
    }

    fn video_is_next(&self) -> bool {
        let first = self.audio == Audio::None || self.pictures * 40 <= self.sounds * 25;
        self.video != Video::None && first
    }

    fn film(&mut self) {
        let number = self.pictures;
        let key = number.is_multiple_of(self.gop);
        let size = if key {
            self.picture_bytes * 4
        } else {
            self.picture_bytes
        };
        let payloads = match self.video {
            Video::None => vec![],
            Video::Avc => vec![avc_frame(number, key, size)],
            Video::Hevc => vec![hevc_frame(number, key, size)],
            Video::Av1 => vec![av1_frame(number, key, size)],
            Video::AvcTwice => {
                let first = if key { 0x90 } else { 0xA0 };
                let body = avc_track_body(number, key, size);
                vec![
                    avc_frame(number, key, size),
                    video_track(first | 1, b"avc1", 1, &body),
                ]
            }
        };
        self.pictures += 1;
        let timestamp = self.time(number * 40);
        let kind = Kind::Video;
        self.waiting
            .extend(payloads.into_iter().map(|payload| Piece {
                kind,
                timestamp,
                payload,
            }));
    }

    fn listen(&mut self) {
        let number = self.sounds;
        let payloads = match self.audio {
            Audio::None => vec![],
            Audio::Aac => vec![aac_frame(number)],
            Audio::Opus => vec![opus_frame(number)],
            Audio::AacAndOpus => {
                vec![
                    aac_frame(number),
                    audio_track(0x91, b"Opus", 1, &marked(number, 40)),
                ]
            }
        };
        self.sounds += 1;
        let timestamp = self.time(number * 25);
        let kind = Kind::Audio;
        self.waiting
            .extend(payloads.into_iter().map(|payload| Piece {
                kind,
                timestamp,
                payload,
            }));
    }

    fn time(&self, ms: u64) -> u32 {
        self.origin.wrapping_add(ms as u32)
    }
}

impl Iterator for Camera {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        assert!(
            self.video != Video::None || self.audio != Audio::None,
            "nothing to film"
        );
        while self.waiting.is_empty() {
            if self.video_is_next() {
                self.film();
            } else {
                self.listen();
            }
        }
        Some(self.waiting.remove(0))
    }
}

/// The number of a frame; `None` for configs, metadata and strangers' media.
pub fn number(payload: &[u8]) -> Option<u64> {
    payload
        .windows(17)
        .filter(|window| window[0] == b'#')
        .find_map(|window| {
            let digits = std::str::from_utf8(&window[1..]).ok()?;
            u64::from_str_radix(digits, 16).ok()
        })
}

/// `onMetaData` and an ECMA array, without `@setDataFrame`.
pub fn metadata() -> Vec<u8> {
    let mut out = vec![2, 0, 10];
    out.extend(b"onMetaData");
    let numbers = [
        ("width", f64::from(WIDTH)),
        ("height", f64::from(HEIGHT)),
        ("framerate", 25.0),
        ("videocodecid", 7.0),
        ("audiocodecid", 10.0),
    ];
    out.extend([8, 0, 0, 0, numbers.len() as u8]);
    for (name, value) in numbers {
        out.extend((name.len() as u16).to_be_bytes());
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(value.to_be_bytes());
    }
    out.extend([0, 0, 9]);
    out
}

pub fn avc_config() -> Vec<u8> {
    [vec![0x17, 0, 0, 0, 0], avcc()].concat()
}

pub fn avc_frame(number: u64, key: bool, size: usize) -> Vec<u8> {
    let first = if key { 0x17 } else { 0x27 };
    [
        vec![first, 1, 0, 0, 0],
        nal(if key { &[0x65] } else { &[0x41] }, number, size),
    ]
    .concat()
}

/// H.264 end of sequence, as ffmpeg and gst send it last (M-05).
pub fn avc_end() -> Vec<u8> {
    vec![0x17, 2, 0, 0, 0]
}

pub fn aac_config() -> Vec<u8> {
    vec![0xAF, 0, ASC[0], ASC[1]]
}

pub fn aac_frame(number: u64) -> Vec<u8> {
    [vec![0xAF, 1, 0x21], marked(number, 60)].concat()
}

pub fn hevc_config() -> Vec<u8> {
    enhanced(0x90, b"hvc1", &hvcc())
}

pub fn hevc_frame(number: u64, key: bool, size: usize) -> Vec<u8> {
    // Even pictures with a composition offset of 0 spelled out, odd ones as CodedFramesX.
    let (first, head): (u8, &[u8]) = if key {
        (0x90, &[0x26, 0x01])
    } else {
        (0xA0, &[0x02, 0x01])
    };
    let picture = nal(head, number, size);
    if number.is_multiple_of(2) {
        enhanced(first | 1, b"hvc1", &[vec![0, 0, 0], picture].concat())
    } else {
        enhanced(first | 3, b"hvc1", &picture)
    }
}

pub fn av1_config() -> Vec<u8> {
    enhanced(0x90, b"av01", &av1c())
}

pub fn av1_frame(number: u64, key: bool, size: usize) -> Vec<u8> {
    // A frame OBU without a size field.
    let body = [vec![0x30], marked(number, size)].concat();
    enhanced(if key { 0x91 } else { 0xA1 }, b"av01", &body)
}

pub fn opus_config() -> Vec<u8> {
    enhanced(0x90, b"Opus", &opus_head())
}

pub fn opus_frame(number: u64) -> Vec<u8> {
    enhanced(0x91, b"Opus", &[vec![0xFC], marked(number, 60)].concat())
}

/// A plain enhanced tag: first byte (audio: 9 and the packet type; video: 8 + frame type and the
/// packet type), FourCC, body.
pub fn enhanced(first: u8, four_cc: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&[first], four_cc.as_slice(), body].concat()
}

/// A OneTrack video message; `first` as in `enhanced`.
pub fn video_track(first: u8, four_cc: &[u8; 4], track: u8, body: &[u8]) -> Vec<u8> {
    [
        &[first & 0xF0 | 6, first & 0x0F],
        four_cc.as_slice(),
        &[track],
        body,
    ]
    .concat()
}

/// A OneTrack audio message; `first` as in `enhanced`.
pub fn audio_track(first: u8, four_cc: &[u8; 4], track: u8, body: &[u8]) -> Vec<u8> {
    [
        &[first & 0xF0 | 5, first & 0x0F],
        four_cc.as_slice(),
        &[track],
        body,
    ]
    .concat()
}

/// A ManyTracks video message of one codec.
pub fn video_tracks(first: u8, four_cc: &[u8; 4], tracks: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = [&[first & 0xF0 | 6, 0x10 | first & 0x0F], four_cc.as_slice()].concat();
    for (track, body) in tracks {
        out.push(*track);
        out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend(body);
    }
    out
}

/// Composition offset 0 and the picture: the body of an avc1 CodedFrames packet.
pub fn avc_track_body(number: u64, key: bool, size: usize) -> Vec<u8> {
    [
        vec![0, 0, 0],
        nal(if key { &[0x65] } else { &[0x41] }, number, size),
    ]
    .concat()
}

fn nal(head: &[u8], number: u64, size: usize) -> Vec<u8> {
    let body = [head.to_vec(), marked(number, size)].concat();
    [(body.len() as u32).to_be_bytes().to_vec(), body].concat()
}

fn marked(number: u64, size: usize) -> Vec<u8> {
    let mut out = format!("#{number:016x}").into_bytes();
    // Filler that depends on the number: a frame with another's tail is not equal to it.
    let rest = size.saturating_sub(out.len()) as u64;
    out.extend((0..rest).map(|i| ((number.wrapping_mul(31).wrapping_add(i * 7)) % 191 + 64) as u8));
    out
}
