//! `Tally`: checks and counts what a player receives.
//!
//! Law: of each kind the config comes before the first frame, the first picture is a key frame,
//! numbers rise by one except where a gap is allowed, gaps in the pictures end at a key frame, and
//! timestamps never go back (compared as a wrapping difference).

use std::fmt;

use corecast::rtmp::message::{Kind, Message};

use super::media::number;

/// Running check of one player.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub video: Track,
    pub audio: Track,
    /// Data messages by order of arrival: their payloads.
    pub data: Vec<Vec<u8>>,
    /// What broke the law, in words; empty is good.
    pub faults: Vec<String>,
}

/// One kind.
#[derive(Clone, Debug, Default)]
pub struct Track {
    pub configs: u64,
    pub frames: u64,
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub first_timestamp: Option<u32>,
    pub last_timestamp: Option<u32>,
    /// Numbers that never came between the first and the last.
    pub missing: u64,
}

impl Tally {
    /// Takes one received message.
    pub fn take(&mut self, message: &Message) {
        let payload = message.payload();
        match message.kind {
            Kind::Video => {
                let (config, key) = video_sort(payload);
                self.frame("picture", config, key, message);
            }
            Kind::Audio => {
                let config = match payload.first() {
                    Some(first) if first >> 4 == 9 => first & 15 == 0,
                    _ => payload.get(1) == Some(&0),
                };
                self.frame("audio frame", config, true, message);
            }
            _ => self.data.push(payload.to_vec()),
        }
    }

    /// Panics with every fault, unless there is none; and if a frame is missing.
    pub fn assert_whole(&self) {
        self.assert_lawful();
        assert_eq!(
            (self.video.missing, self.audio.missing),
            (0, 0),
            "frames are missing: {self}"
        );
    }

    /// Panics with every fault, unless there is none. Gaps are allowed.
    pub fn assert_lawful(&self) {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
    }

    /// Panics unless sound, picture and metadata were announced exactly once.
    pub fn assert_headers_once(&self) {
        let metadata = self.data.iter().filter(|data| named(data, b"onMetaData"));
        let headers = (self.video.configs, self.audio.configs, metadata.count());
        assert_eq!(headers, (1, 1, 1), "headers of {self}");
    }

    fn frame(&mut self, name: &str, config: bool, key: bool, message: &Message) {
        let track = match message.kind {
            Kind::Video => &mut self.video,
            _ => &mut self.audio,
        };
        if config {
            track.configs += 1;
            return;
        }
        let Some(found) = number(message.payload()) else {
            return;
        };
        let faults = &mut self.faults;
        if track.configs == 0 {
            faults.push(format!("{name} {found} came before its config"));
        }
        match track.last {
            None if !key => faults.push(format!("the first picture is {found}, not a key frame")),
            Some(last) if found <= last => faults.push(format!("{name} {found} came after {last}")),
            Some(last) if found > last + 1 => {
                track.missing += found - last - 1;
                if !key {
                    faults.push(format!(
                        "picture {found} follows {last} and is not a key frame"
                    ));
                }
            }
            _ => {}
        }
        let back = |last| (message.timestamp.wrapping_sub(last) as i32) < 0;
        if let Some(last) = track.last_timestamp.filter(|last| back(*last)) {
            let at = message.timestamp;
            faults.push(format!("{name} {found}: {at} after {last} ms"));
        }
        track.frames += 1;
        track.first.get_or_insert(found);
        track.last = Some(found);
        track.first_timestamp.get_or_insert(message.timestamp);
        track.last_timestamp = Some(message.timestamp);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            video,
            audio,
            data,
            faults,
        } = self;
        write!(
            f,
            "video {video:?}, audio {audio:?}, {} data, faults {faults:?}",
            data.len()
        )
    }
}

/// Whether a data message has that name: an AMF0 string.
fn named(data: &[u8], name: &[u8]) -> bool {
    data.get(3..).is_some_and(|rest| rest.starts_with(name))
}

/// Whether a video payload of track 0 is a config, and whether it is a key frame.
fn video_sort(payload: &[u8]) -> (bool, bool) {
    let first = payload.first().copied().unwrap_or_default();
    if first & 0x80 != 0 {
        (first & 15 == 0, first >> 4 & 7 == 1)
    } else {
        (payload.get(1) == Some(&0), first >> 4 == 1)
    }
}
