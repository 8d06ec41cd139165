//! `Encoder`: a simulated publisher's side: numbered messages in the forms real encoders send.
//!
//! Invariant: a config goes before the first frame that needs it; after a config change video goes
//! on with a key frame. Which frame is a join point is worked out here from PROTOCOL §7, not asked
//! of the code under test.

use std::collections::VecDeque;

use corecast::rtmp::message::{Body, Kind, Message};

use super::dice::Dice;
use super::marker::{Marker, Part, Slot};

/// A running encoder.
#[derive(Debug)]
pub struct Encoder {
    pub style: Style,
    run: u64,
    setup: u16,
    wire_ms: u32,
    seq: [u32; 4],
    version: [u16; 4],
    metadata_version: u16,
    metadata_sent: bool,
    due: VecDeque<Due>,
    gop_max: u64,
    gop_left: u64,
    large: bool,
    /// Messages to come without anything odd: nobody may be left out by them.
    calm: usize,
    keyless: bool,
    last_join: Option<u64>,
    /// The leading track's frame that is being made is a join point.
    joined: bool,
    audio_run: u32,
    video_off: u32,
}

/// What it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// H.264 and AAC in the forms of FLV 10.1.
    Legacy,
    /// The same with MP3, which has no config.
    Mp3,
    AudioOnly,
    /// H.264 with a FourCC: legacy players get the legacy form.
    Avc1,
    /// HEVC: no legacy form.
    Hvc1,
    /// Track 0 in legacy form, track 1 as multitrack, now and then both in one message.
    Multitrack,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    Metadata,
    Config(Slot),
    BothConfigs,
    Video { key: bool },
    BothVideo { key: bool },
    Second { key: bool },
    Audio,
    Cue,
    EndOfSequence,
    Malformed,
}

impl Style {
    pub const ALL: [Self; 6] = [
        Self::Legacy,
        Self::AudioOnly,
        Self::Avc1,
        Self::Hvc1,
        Self::Multitrack,
        Self::Mp3,
    ];
}

impl Encoder {
    /// Of two encoders with the same `setup` and style the headers are the same at first.
    pub fn new(run: u64, setup: u16, style: Style, dice: &mut Dice) -> Self {
        let near = |at: u64, dice: &mut Dice| (at - dice.between(0, 3_000)) as u32;
        let wire_ms = match dice.below(6) {
            0 => near(1 << 24, dice),
            1 => near(1 << 31, dice),
            2 => near(1 << 32, dice),
            3 => dice.next() as u32,
            _ => 0,
        };
        let mut encoder = Self {
            style,
            run,
            setup,
            wire_ms,
            seq: [0; 4],
            version: [1; 4],
            metadata_version: 1,
            metadata_sent: false,
            due: VecDeque::new(),
            gop_max: dice.pick(&[2, 8, 25, 60, 250]),
            gop_left: 0,
            large: dice.chance(10),
            calm: 0,
            keyless: dice.chance(5),
            last_join: None,
            joined: false,
            audio_run: 0,
            video_off: 0,
        };
        if dice.chance(20) {
            encoder.due.push_back(Due::Cue);
        }
        encoder.put_headers(dice);
        encoder
    }

    /// Metadata and configs, as at the start and after a change.
    fn put_headers(&mut self, dice: &mut Dice) {
        if dice.chance(80) {
            self.due.push_back(Due::Metadata);
        }
        match self.style {
            Style::AudioOnly => {}
            Style::Multitrack if dice.chance(50) => self.due.push_back(Due::BothConfigs),
            Style::Multitrack => {
                self.due.push_back(Due::Config(Slot::Video));
                self.due.push_back(Due::Config(Slot::SecondVideo));
            }
            _ => self.due.push_back(Due::Config(Slot::Video)),
        }
        self.put_audio_config();
        self.gop_left = 0;
    }

    fn put_audio_config(&mut self) {
        if self.style != Style::Mp3 {
            self.due.push_back(Due::Config(Slot::Audio));
        }
    }

    /// Number of the last frame of a slot, if there was one.
    pub fn last(&self, slot: Slot) -> Option<u32> {
        self.seq[slot as usize].checked_sub(1)
    }

    /// The next messages begin with a key frame; an audio-only stream sends enough to be joined.
    pub fn refresh(&mut self, dice: &mut Dice) -> usize {
        self.due.clear();
        self.video_off = 0;
        self.keyless = false;
        self.put_headers(dice);
        if self.style != Style::AudioOnly {
            self.due.push_back(Due::Video { key: true });
            self.gop_left = self.gop_max;
        }
        self.due.push_back(Due::Audio);
        let messages = if self.style == Style::AudioOnly {
            130
        } else {
            12
        };
        // One is counted down before each message.
        self.calm = messages + 1;
        messages
    }

    pub fn next(&mut self, dice: &mut Dice, now: u64) -> Message {
        self.calm = self.calm.saturating_sub(1);
        let due = match self.due.pop_front() {
            Some(due) => due,
            None => self.choose(dice),
        };
        self.make(due, dice, now)
    }

    fn choose(&mut self, dice: &mut Dice) -> Due {
        if self.calm == 0 && dice.chance(4) {
            return self.oddity(dice);
        }
        let step = dice.between(10, 30) as u32;
        self.wire_ms = self.wire_ms.wrapping_add(step);
        let video = self.style != Style::AudioOnly && self.video_off == 0;
        self.video_off = self.video_off.saturating_sub(1);
        if !video || dice.chance(45) {
            return Due::Audio;
        }
        let key = self.gop_left == 0 && !(self.keyless && self.seq[0] > 0);
        self.gop_left = if key {
            dice.between(1, self.gop_max)
        } else {
            self.gop_left.max(1) - 1
        };
        if self.keyless {
            self.gop_left = self.gop_left.max(1);
        }
        match self.style {
            Style::Multitrack if dice.chance(30) => Due::BothVideo { key },
            Style::Multitrack => {
                self.due.push_back(Due::Second { key });
                Due::Video { key }
            }
            _ => Due::Video { key },
        }
    }

    fn oddity(&mut self, dice: &mut Dice) -> Due {
        match dice.below(12) {
            // A clock that jumps: a little back, to zero, ahead.
            0 => self.wire_ms = self.wire_ms.wrapping_sub(dice.between(1, 2_500) as u32),
            1 => self.wire_ms = 0,
            2 => self.wire_ms = self.wire_ms.wrapping_add(dice.between(1, 60_000) as u32),
            // A codec change.
            3 => {
                for version in &mut self.version {
                    *version += 1;
                }
                self.put_headers(dice);
            }
            4 => {
                self.version[Slot::Audio as usize] += 1;
                self.put_audio_config();
            }
            5 => self.put_headers(dice),
            6 => {
                self.metadata_version += 1;
                self.due.push_back(Due::Metadata);
            }
            7 => self.due.push_back(Due::Cue),
            8 if self.style != Style::AudioOnly => self.due.push_back(Due::EndOfSequence),
            9 => self.due.push_back(Due::Malformed),
            10 => self.due.push_back(Due::Metadata),
            // The camera stands still: sound alone for longer than G-05 asks.
            11 if dice.chance(30) => self.video_off = 200,
            _ => {}
        }
        self.due.pop_front().unwrap_or(Due::Audio)
    }

    fn make(&mut self, due: Due, dice: &mut Dice, now: u64) -> Message {
        let (kind, payload) = match due {
            Due::Metadata => (Kind::DataAmf0, self.metadata()),
            Due::Cue => (Kind::DataAmf0, self.cue()),
            Due::Config(Slot::Audio) => (Kind::Audio, self.config(Slot::Audio)),
            Due::Config(slot) => (Kind::Video, self.config(slot)),
            Due::BothConfigs => (Kind::Video, self.both(ENHANCED | 1 << 4, 0, 0, true)),
            Due::Audio => (Kind::Audio, self.audio(dice)),
            Due::Video { key } => (Kind::Video, self.video(key, dice, now)),
            Due::Second { key } => (Kind::Video, self.second(key, dice)),
            Due::BothVideo { key } => {
                self.note_video(key, now);
                let size = self.size(dice);
                (
                    Kind::Video,
                    self.both(frame_type(key) | ENHANCED, 1, size, key),
                )
            }
            Due::EndOfSequence => (Kind::Video, self.end_of_sequence()),
            Due::Malformed => (Kind::Video, vec![0x97]),
        };
        let timestamp = if kind == Kind::DataAmf0 && dice.chance(50) {
            0
        } else {
            self.wire_ms
        };
        Message {
            kind,
            timestamp,
            stream_id: 1,
            body: Body::with_payload(&payload),
        }
    }

    fn size(&self, dice: &mut Dice) -> usize {
        let large = self.large && self.calm == 0;
        match dice.below(200) {
            0 if large => dice.between(60_000, 150_000) as usize,
            0..40 if large => dice.between(500, 6_000) as usize,
            0..20 => 0,
            _ => dice.between(1, 120) as usize,
        }
    }

    fn marker(&self, slot: Slot, part: Part, join: bool) -> Marker {
        let place = slot as usize;
        let config = part == Part::Config;
        Marker {
            run: if config { 0 } else { self.run },
            seq: if config { 0 } else { self.seq[place] },
            setup: self.setup,
            version: self.version[place],
            metadata: if config || !self.metadata_sent {
                0
            } else {
                self.metadata_version as u8
            },
            slot,
            part,
            join,
        }
    }

    /// Takes the next number of a slot for a frame.
    fn frame(&mut self, slot: Slot, join: bool) -> Marker {
        let marker = self.marker(slot, Part::Frame, join);
        self.seq[slot as usize] += 1;
        marker
    }

    /// Whether a frame of the leading track is a join point: a key, or any after 10 s without.
    fn note_video(&mut self, key: bool, now: u64) -> bool {
        self.audio_run = 0;
        let since = *self.last_join.get_or_insert(now);
        let join = key || now - since > 10_000;
        if join {
            self.last_join = Some(now);
        }
        self.joined = join;
        join
    }

    fn video(&mut self, key: bool, dice: &mut Dice, now: u64) -> Vec<u8> {
        let join = self.note_video(key, now);
        let mut out = match self.style {
            Style::Avc1 => enhanced(frame_type(key), 1, b"avc1"),
            Style::Hvc1 if dice.chance(50) => enhanced(frame_type(key), 3, b"hvc1"),
            Style::Hvc1 => enhanced(frame_type(key), 1, b"hvc1"),
            _ => vec![frame_type(key) | 7, 1],
        };
        if out.first().is_some_and(|first| first & 0x0F != 3) {
            out.extend_from_slice(&[0, 0, 40]); // composition offset
        }
        let size = self.size(dice);
        self.frame(Slot::Video, join).write(size, &mut out);
        out
    }

    fn second(&mut self, key: bool, dice: &mut Dice) -> Vec<u8> {
        self.audio_run = 0;
        // one track, CodedFramesX, track id 1
        let mut out = vec![ENHANCED | frame_type(key) | 6, 0x03];
        out.extend_from_slice(b"avc1\x01");
        let size = self.size(dice);
        self.frame(Slot::SecondVideo, false).write(size, &mut out);
        out
    }

    /// Tracks 0 and 1 in one message: many tracks of one codec.
    fn both(&mut self, first: u8, packet: u8, size: usize, config: bool) -> Vec<u8> {
        let config = config && packet == 0;
        let mut out = vec![first | 6, 0x10 | packet];
        out.extend_from_slice(b"avc1");
        for (id, slot) in [(0, Slot::Video), (1, Slot::SecondVideo)] {
            let mut track = Vec::new();
            if config {
                track = avc_record();
                self.marker(slot, Part::Config, false).write(0, &mut track);
            } else {
                track.extend_from_slice(&[0, 0, 40]); // composition offset
                let join = slot == Slot::Video && self.joined;
                self.frame(slot, join).write(size, &mut track);
            }
            out.push(id);
            out.extend_from_slice(&(track.len() as u32).to_be_bytes()[1..]);
            out.append(&mut track);
        }
        out
    }

    fn audio(&mut self, dice: &mut Dice) -> Vec<u8> {
        self.audio_run += 1;
        let join = self.audio_run > 115;
        let mut out = if self.style == Style::Mp3 {
            vec![0x2F]
        } else {
            vec![0xAF, 1]
        };
        let size = self.size(dice) % 4_000;
        self.frame(Slot::Audio, join).write(size, &mut out);
        out
    }

    fn config(&self, slot: Slot) -> Vec<u8> {
        let mut out = match (slot, self.style) {
            (Slot::Audio, _) => vec![0xAF, 0, 0x12, 0x10], // AAC LC, 44,100 Hz, stereo
            (Slot::SecondVideo, _) => {
                let mut out = vec![ENHANCED | 0x10 | 6, 0x00]; // one track, sequence start
                out.extend_from_slice(b"avc1\x01");
                out.extend_from_slice(&avc_record());
                out
            }
            (_, Style::Avc1) => [enhanced(0x10, 0, b"avc1"), avc_record()].concat(),
            (_, Style::Hvc1) => enhanced(0x10, 0, b"hvc1"),
            _ => [vec![0x17, 0, 0, 0, 0], avc_record()].concat(),
        };
        self.marker(slot, Part::Config, false).write(0, &mut out);
        out
    }

    fn end_of_sequence(&self) -> Vec<u8> {
        let mut out = vec![0x17, 2, 0, 0, 0];
        self.marker(Slot::Video, Part::Other, false)
            .write(0, &mut out);
        out
    }

    fn metadata(&mut self) -> Vec<u8> {
        self.metadata_sent = true;
        let marker = Marker {
            version: self.metadata_version,
            ..self.marker(Slot::Data, Part::Config, false)
        };
        data(b"onMetaData", marker)
    }

    fn cue(&mut self) -> Vec<u8> {
        let marker = self.marker(Slot::Data, Part::Other, false);
        self.seq[Slot::Data as usize] += 1;
        data(b"onCuePoint", marker)
    }
}

fn frame_type(key: bool) -> u8 {
    if key { 0x10 } else { 0x20 }
}

fn enhanced(frame_type: u8, packet: u8, fourcc: &[u8; 4]) -> Vec<u8> {
    let mut out = vec![ENHANCED | frame_type | packet];
    out.extend_from_slice(fourcc);
    out
}

/// A data message: name, then the marker as a string.
fn data(name: &[u8], marker: Marker) -> Vec<u8> {
    let mut out = Vec::new();
    for (len, bytes) in [(name.len(), name), (Marker::LEN, &[][..])] {
        out.push(0x02); // AMF0 string
        out.extend_from_slice(&(len as u16).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    marker.write(0, &mut out);
    out
}

/// An avcC record: High 3.1, one SPS, one PPS.
fn avc_record() -> Vec<u8> {
    let mut out = vec![1, 0x64, 0, 0x1F, 0xFF, 0xE1];
    let sps = [
        0x67, 0x64, 0, 0x1F, 0xAC, 0xD9, 0x40, 0x50, 0x05, 0xBB, 0x01, 0x10,
    ];
    out.extend_from_slice(&[0, sps.len() as u8]);
    out.extend_from_slice(&sps);
    out.extend_from_slice(&[1, 0, 4, 0x68, 0xEB, 0xE3, 0xCB]);
    out
}

/// The video header's FourCC bit.
const ENHANCED: u8 = 0x80;
