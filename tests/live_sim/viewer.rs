//! `Viewer`: what a player's far end makes of the bytes it is sent, and what it insists on.
//!
//! Invariants, checked on every message: the bytes parse; the config that a frame needs and the
//! metadata sent before it are in force, and neither comes while it is in force already; video
//! starts at a join point and goes on at one after a gap; numbers rise; a gap has a known reason;
//! time never goes back; no older publication comes back.

use corecast::codec::{self, Codec, Media};
use corecast::limits::ReaderLimits;
use corecast::rtmp::chunk::ChunkReader;
use corecast::rtmp::message::{Kind, Message};

use super::marker::{Marker, Part, Slot};

/// A far end. See the module head.
#[derive(Debug)]
pub struct Viewer {
    reader: ChunkReader,
    stream_id: u32,
    /// Per slot.
    tracks: [Track; 4],
    run: u64,
    /// Why frames may be missing since the last frame of each slot.
    excused: [bool; 4],
    /// What it is served from may have holes.
    pub holes: bool,
    /// Sound without configs may come, and when it began may have been shed: the player may be
    /// thought to have heard it, or not to.
    pub mp3: Option<bool>,
    /// Video may go on without a join point.
    video_open: bool,
    /// `restart` takes effect after this message.
    restart_due: bool,
    pub messages: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Codec, settings and version of the config in force.
    config: Option<(Codec, u16, u16)>,
    /// Publication and number of the last frame.
    last: Option<(u64, u32)>,
    time_ms: Option<u64>,
}

impl Viewer {
    pub fn new(stream_id: u32, chunk_size: u32) -> Self {
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        reader.set_chunk_size(chunk_size).unwrap();
        Self {
            reader,
            stream_id,
            tracks: [Track::default(); 4],
            run: 0,
            excused: [true; 4],
            holes: false,
            mp3: None,
            video_open: false,
            restart_due: false,
            messages: 0,
        }
    }

    /// Frames may be missing from here on.
    pub fn excuse(&mut self) {
        self.excused = [true; 4];
    }

    /// The player starts anew: a join point must follow. `cut`: after the message
    /// that is half sent.
    pub fn restart(&mut self, cut: bool) {
        if cut {
            self.restart_due = true;
            return;
        }
        self.excuse();
        self.video_open = false;
    }

    /// The publication and number of the last frame of a slot.
    pub fn last(&self, slot: Slot) -> Option<(u64, u32)> {
        self.tracks[slot as usize].last
    }

    /// Takes bytes from the wire.
    pub fn read(&mut self, mut bytes: &[u8]) {
        loop {
            match self.reader.read(&mut bytes) {
                Ok(Some(message)) => self.see(&message),
                Ok(None) => return,
                Err(error) => panic!("the bytes do not parse: {error}"),
            }
        }
    }

    fn see(&mut self, message: &Message) {
        self.messages += 1;
        self.see_message(message);
        if std::mem::take(&mut self.restart_due) {
            self.restart(false);
        }
    }

    fn see_message(&mut self, message: &Message) {
        let media = match message.kind {
            Kind::Audio => Media::Audio,
            Kind::Video => Media::Video,
            Kind::DataAmf0 => {
                let news = self.see_media(DATA, Marker::read(message.payload()), message);
                assert!(news, "the same metadata again");
                return;
            }
            kind => {
                assert!(kind.is_control(), "{kind:?} in between");
                return;
            }
        };
        let tag = match media {
            Media::Audio => codec::audio(message.payload()),
            Media::Video => codec::video(message.payload()),
        };
        assert!(tag.is_ok(), "{media:?} message does not classify: {tag:?}");
        // A list of tracks comes whole though only one of them has changed.
        let mut news = false;
        for track in codec::tracks(media, message.payload()) {
            news |= self.see_media(track.codec, Marker::read(track.body), message);
        }
        let may_repeat = media == Media::Audio && self.mp3.is_some();
        assert!(news || may_repeat, "the same {media:?} config again");
    }

    /// Whether there is anything new in it.
    fn see_media(&mut self, codec: Codec, marker: Marker, message: &Message) -> bool {
        assert_eq!(
            message.stream_id, self.stream_id,
            "message stream of {marker:?}"
        );
        match marker.part {
            Part::Config => {
                let config = Some((codec, marker.setup, marker.version));
                let before = &mut self.tracks[marker.slot as usize].config;
                return std::mem::replace(before, config) != config;
            }
            Part::Frame => {
                self.see_needs(codec, marker);
                self.see_frame(marker, message.timestamp);
            }
            Part::Other => self.see_time(marker, message.timestamp),
        }
        true
    }

    /// What a decoder and a recorder must have before this frame.
    fn see_needs(&mut self, codec: Codec, marker: Marker) {
        let config = &mut self.tracks[marker.slot as usize].config;
        if codec.needs_config() {
            let needed = Some((codec, marker.setup, marker.version));
            assert_eq!(*config, needed, "config in force at {marker:?}");
        } else if self.mp3 == Some(false) && config.is_some_and(|(before, ..)| before != codec) {
            *config = None;
        }
        let metadata = self.tracks[Slot::Data as usize].config;
        let needed = (DATA, marker.setup, u16::from(marker.metadata));
        if marker.metadata > 0 {
            assert_eq!(metadata, Some(needed), "metadata in force at {marker:?}");
        }
    }

    fn see_frame(&mut self, marker: Marker, timestamp: u32) {
        assert!(
            marker.run >= self.run,
            "{marker:?} after publication {}",
            self.run
        );
        if marker.run > self.run {
            // A new publication: its video waits for a join point.
            self.run = marker.run;
            self.video_open = false;
            self.excuse();
        }
        let excused = std::mem::take(&mut self.excused[marker.slot as usize]);
        let mut gap = false;
        if let Some((run, seq)) = self.tracks[marker.slot as usize].last
            && run == marker.run
        {
            assert!(marker.seq > seq, "{marker:?} after number {seq}");
            gap = marker.seq != seq + 1;
            assert!(
                !gap || excused || self.holes,
                "a gap without a reason: {marker:?} after number {seq}"
            );
        }
        if marker.slot == Slot::Video {
            let open = self.video_open && !gap;
            assert!(
                open || marker.join,
                "video goes on without a key: {marker:?}, gap: {gap}"
            );
            self.video_open = true;
        }
        self.tracks[marker.slot as usize].last = Some((marker.run, marker.seq));
        self.see_time(marker, timestamp);
    }

    fn see_time(&mut self, marker: Marker, timestamp: u32) {
        let media = self
            .tracks
            .iter()
            .take(3)
            .any(|track| track.time_ms.is_some());
        if marker.slot == Slot::Data && !media {
            return; // encoders stamp what they send before the media with any time
        }
        let time_ms = &mut self.tracks[marker.slot as usize].time_ms;
        let now_ms = match *time_ms {
            None => u64::from(timestamp),
            Some(last_ms) => {
                let step_ms = timestamp.wrapping_sub(last_ms as u32).cast_signed();
                assert!(
                    step_ms >= 0,
                    "time goes back {step_ms} ms to {timestamp} at {marker:?}"
                );
                last_ms + u64::from(step_ms.unsigned_abs())
            }
        };
        *time_ms = Some(now_ms);
    }
}

/// What metadata is a config of.
const DATA: Codec = Codec::Unknown(0);
