//! `Viewer`: what a player's far end makes of the bytes it is sent, and what it insists on.
//!
//! Invariants, checked on every message: the bytes parse; a config goes before the first frame that
//! needs it and again after a skip; video starts at a join point and goes on at one after a gap;
//! numbers rise; a gap has a known reason; time never goes back; no older publication comes back.

use corecast::codec::{self, Media};
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
    /// Headers must come before the next frame.
    headers_due: bool,
    /// Why frames may be missing since the last frame of each slot.
    excused: [bool; 4],
    /// What it is served from may have holes.
    pub holes: bool,
    /// Video may go on without a join point.
    video_open: bool,
    /// `restart` takes effect after this message.
    restart_due: bool,
    pub messages: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Publication and version of the config in force.
    config: Option<(u64, u16)>,
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
            headers_due: true,
            excused: [true; 4],
            holes: false,
            video_open: false,
            restart_due: false,
            messages: 0,
        }
    }

    /// Frames may be missing from here on.
    pub fn excuse(&mut self) {
        self.excused = [true; 4];
    }

    /// The player starts anew: headers must follow, then a join point. `cut`: after the message
    /// that is half sent.
    pub fn restart(&mut self, cut: bool) {
        if cut {
            self.restart_due = true;
            return;
        }
        self.excuse();
        self.headers_due = true;
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
                self.see_media(Marker::read(message.payload()), message);
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
        for track in codec::tracks(media, message.payload()) {
            self.see_media(Marker::read(track.body), message);
        }
    }

    fn see_media(&mut self, marker: Marker, message: &Message) {
        assert_eq!(
            message.stream_id, self.stream_id,
            "message stream of {marker:?}"
        );
        match marker.part {
            Part::Config => {
                self.tracks[marker.slot as usize].config = Some((marker.run, marker.version));
                self.headers_due = false;
            }
            Part::Frame => self.see_frame(marker, message.timestamp),
            Part::Other => self.see_time(marker, message.timestamp),
        }
    }

    fn see_frame(&mut self, marker: Marker, timestamp: u32) {
        assert!(
            !self.headers_due,
            "{marker:?} without headers after a join or a skip"
        );
        let needed = Some((marker.run, marker.version));
        let config = self.tracks[marker.slot as usize].config;
        assert_eq!(config, needed, "config in force at {marker:?}");
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
