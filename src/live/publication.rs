//! `Publication`: a publisher's stream on the worker that owns it, from message to frame.
//!
//! Invariant: every message is classified, timed and encoded here exactly once; whoever is
//! subscribed gets the same `Arc<Frame>` under a number that rises by one.

use std::sync::Arc;

use crate::codec::{self, Codec, Media, Part, Shape, Tag};
use crate::ids::{PlayerId, Run, StreamRef, WorkerId};
use crate::limits::METADATA_BYTES_MAX;
use crate::media::{Frame, Lane, Resume, Timeline, Traits};
use crate::rtmp::message::{Kind, Message};
use crate::time::Millis;

/// One publication and who is subscribed to it. See the module head.
#[derive(Debug)]
pub struct Publication {
    /// The publishing message stream of the publishing connection.
    pub by: PlayerId,
    /// Its number.
    pub run: Run,
    /// Other workers that mirror it.
    pub mirrors: Vec<(WorkerId, StreamRef)>,
    /// Number of the next frame.
    pub next_number: u64,
    /// What it has carried so far.
    pub report: Report,
    timeline: Timeline,
    /// Video is held back until a join point: players are in the middle of the run before.
    wait_join: bool,
    /// The lowest video track seen: its key frames are join points (G-02).
    lead_track: Option<u8>,
    /// When the last join point passed, or the first video frame.
    last_join: Option<Millis>,
    /// Audio frames since the last video frame.
    audio_run: u32,
    /// The last metadata forwarded (C-92).
    last_metadata: Option<Arc<Frame>>,
    /// The codec that each track had last, in a header or a frame.
    codecs: Vec<(Media, u8, Codec)>,
}

/// What a publication carried, for the log lines.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// When it began.
    pub started: Millis,
    /// Payload bytes.
    pub bytes: u64,
    /// Audio and video messages.
    pub frames: u64,
    /// Messages dropped because their headers made no sense.
    pub malformed: u64,
    /// The video codec and picture of the leading track.
    pub video: Option<(Codec, Option<Shape>)>,
    /// The audio codec and format of track 0.
    pub audio: Option<(Codec, Option<Shape>)>,
    /// The line that says what is live has been written.
    pub announced: bool,
}

impl Publication {
    /// A publication that starts now; `resume` when players are to be carried over.
    #[must_use]
    pub fn new(by: PlayerId, run: Run, resume: Option<Resume>, now: Millis) -> Self {
        Self {
            by,
            run,
            mirrors: Vec::new(),
            next_number: 0,
            report: Report {
                started: now,
                ..Report::default()
            },
            timeline: Timeline::new(resume),
            wait_join: resume.is_some(),
            lead_track: None,
            last_join: None,
            audio_run: 0,
            last_metadata: None,
            codecs: Vec::new(),
        }
    }

    /// The last timestamp given to players, in ms.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.timeline.latest_ms()
    }

    /// Turns a message into a frame; `None` when it is not to be passed on.
    pub fn frame(&mut self, message: Message, chunk_size: u32, now: Millis) -> Option<Frame> {
        let (lane, tag) = match message.kind {
            Kind::Audio => (Lane::Audio, Some(codec::audio(message.payload()))),
            Kind::Video => (Lane::Video, Some(codec::video(message.payload()))),
            _ => (Lane::Data, None),
        };
        let tag = match tag.transpose() {
            Ok(tag) => tag,
            Err(malformed) => {
                if self.report.malformed == 0 {
                    log::debug!("{}: dropped a {lane:?} message: {malformed}", self.by.conn);
                }
                self.report.malformed += 1;
                return None;
            }
        };
        self.report.bytes += u64::try_from(message.body.len()).unwrap_or(0);
        let header = lane.is_header(tag.as_ref(), message.payload());
        if let Some(tag) = &tag {
            self.report.note(tag, message.payload());
        }
        let join = tag.as_ref().is_some_and(|tag| self.is_join(tag, now));
        if self.wait_join && lane == Lane::Video && !header {
            if !join {
                return None;
            }
            self.wait_join = false;
        }
        let track = match &tag {
            Some(tag) if tag.many_tracks => None,
            Some(tag) => Some(tag.track),
            None => Some(0),
        };
        let media_ms = self.timeline.stamp(lane, track, message.timestamp, now);
        let timestamp_ms = if header {
            lane.header_ms(media_ms)
        } else {
            media_ms
        };
        let traits = Traits { lane, join, header };
        let bare = tag.is_some_and(|tag| self.is_bare(&tag));
        let frame = Frame::build(message.body, traits, tag, timestamp_ms, chunk_size);
        Some(if bare { frame.bare() } else { frame })
    }

    /// No header has announced the codec of this frame, the first of it on its track.
    fn is_bare(&mut self, tag: &Tag) -> bool {
        let frame = matches!(tag.part, Part::Frame { .. });
        if !frame
            && !matches!(
                tag.part,
                Part::Config | Part::ChannelConfig | Part::ColorInfo
            )
        {
            return false;
        }
        let is_it = |known: &&mut (Media, u8, Codec)| (known.0, known.1) == (tag.media, tag.track);
        if let Some((_, _, codec)) = self.codecs.iter_mut().find(is_it) {
            let before = std::mem::replace(codec, tag.codec);
            return frame && before != tag.codec;
        }
        let room = self.codecs.len() < TRACKS_MAX;
        if room {
            self.codecs.push((tag.media, tag.track, tag.codec));
        }
        room && frame
    }

    /// GStreamer repeats its metadata many times a second: it passes when it has changed (C-92).
    pub fn is_repeated_metadata(&mut self, frame: &Arc<Frame>) -> bool {
        let traits = frame.traits();
        if traits.lane != Lane::Data || !traits.header {
            return false;
        }
        let last = self.last_metadata.as_ref();
        if last.is_some_and(|last| last.payload() == frame.payload()) {
            return true;
        }
        let kept = frame.payload().len() <= METADATA_BYTES_MAX;
        self.last_metadata = kept.then(|| Arc::clone(frame));
        false
    }

    fn is_join(&mut self, tag: &Tag, now: Millis) -> bool {
        let Part::Frame { key } = tag.part else {
            return false;
        };
        match tag.media {
            Media::Video => {
                self.audio_run = 0;
                let lead = *self.lead_track.get_or_insert(tag.track);
                if tag.track > lead {
                    return false;
                }
                self.lead_track = Some(tag.track);
                let since = *self.last_join.get_or_insert(now);
                // Intra refresh has no key frames at all: start joiners anyway (G-06).
                let join = key || now.since(since) > KEYLESS_MAX_MS;
                if join {
                    self.last_join = Some(now);
                }
                join
            }
            Media::Audio => {
                self.audio_run = self.audio_run.saturating_add(1);
                self.audio_run > AUDIO_ONLY_AFTER && tag.track == 0
            }
        }
    }
}

impl Report {
    fn note(&mut self, tag: &Tag, payload: &[u8]) {
        self.frames += 1;
        if tag.track != 0 || !matches!(tag.part, Part::Config | Part::Frame { .. }) {
            return;
        }
        let slot = match tag.media {
            Media::Audio => &mut self.audio,
            Media::Video => &mut self.video,
        };
        if tag.part == Part::Config {
            let shape = codec::shape(tag, tag.body(payload));
            if shape.is_some() || slot.is_none() {
                *slot = Some((tag.codec, shape));
            }
        } else if slot.as_ref().is_none_or(|(codec, _)| *codec != tag.codec) {
            *slot = Some((tag.codec, None));
        }
    }

    /// Codecs and formats for a log line: `H.264 1280x720 + AAC 48000 Hz 2 ch`.
    #[must_use]
    pub fn tracks(&self) -> String {
        let name = |(codec, shape): &(Codec, Option<Shape>)| match shape {
            Some(Shape::Video { width, height, .. }) => format!("{codec} {width}x{height}"),
            Some(Shape::Audio {
                rate_hz, channels, ..
            }) => {
                format!("{codec} {rate_hz} Hz {channels} ch")
            }
            None => codec.to_string(),
        };
        let parts: Vec<String> = self.video.iter().chain(&self.audio).map(name).collect();
        if parts.is_empty() {
            "no media".to_owned()
        } else {
            parts.join(" + ")
        }
    }

    /// Average payload rate until `now`, in kbit/s.
    #[must_use]
    pub fn kbps(&self, now: Millis) -> u64 {
        self.bytes.saturating_mul(8) / now.since(self.started).max(1)
    }
}

/// Video without a key frame for this long starts joiners at the next frame (G-06).
const KEYLESS_MAX_MS: u64 = 10_000;

/// So many audio frames without video make a stream audio only (G-05, SRS's figure).
const AUDIO_ONLY_AFTER: u32 = 115;

/// Tracks whose codecs are watched: as many as a stream keeps headers of (M-54).
const TRACKS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;
    use crate::rtmp::message::Body;

    fn publication(resume: Option<Resume>) -> Publication {
        let conn = ConnId {
            worker: WorkerId(0),
            index: 1,
            generation: 1,
        };
        Publication::new(PlayerId { conn, stream_id: 1 }, Run(1), resume, Millis(0))
    }

    fn send(p: &mut Publication, kind: Kind, payload: &[u8], now: u64) -> Option<Frame> {
        let body = Body::with_payload(payload);
        p.frame(
            Message {
                kind,
                timestamp: 0,
                stream_id: 1,
                body,
            },
            128,
            Millis(now),
        )
    }

    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 9];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0, 9];
    const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 9];
    const SOUND: &[u8] = &[0xAF, 1, 9];
    // AMF0: "onMetaData", then a number.
    const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x00\x00\x00\x00\x00\x00\x00\x00\x00";

    fn is_join(p: &mut Publication, kind: Kind, payload: &[u8], now: u64) -> bool {
        send(p, kind, payload, now).is_some_and(|frame| frame.traits().join)
    }

    #[test]
    fn a_key_frame_is_a_join_point_and_a_sequence_header_is_none() {
        let mut p = publication(None);
        let config = send(&mut p, Kind::Video, CONFIG, 0).unwrap();
        assert!(config.traits().header && !config.traits().join);
        assert!(is_join(&mut p, Kind::Video, KEY, 0));
        assert!(!is_join(&mut p, Kind::Video, INTER, 0));
    }

    #[test]
    fn video_without_key_frames_is_joined_after_ten_seconds() {
        let mut p = publication(None);
        assert!(!is_join(&mut p, Kind::Video, INTER, 0));
        assert!(!is_join(&mut p, Kind::Video, INTER, KEYLESS_MAX_MS));
        assert!(is_join(&mut p, Kind::Video, INTER, KEYLESS_MAX_MS + 1));
        assert!(!is_join(&mut p, Kind::Video, INTER, KEYLESS_MAX_MS + 2));
    }

    #[test]
    fn audio_is_a_join_point_once_video_has_been_away_for_long() {
        let mut p = publication(None);
        for _ in 0..AUDIO_ONLY_AFTER {
            assert!(!is_join(&mut p, Kind::Audio, SOUND, 0));
        }
        assert!(is_join(&mut p, Kind::Audio, SOUND, 0));
        send(&mut p, Kind::Video, INTER, 0);
        assert!(!is_join(&mut p, Kind::Audio, SOUND, 0));
    }

    #[test]
    fn a_resumed_publication_holds_video_back_until_a_key_frame() {
        let mut p = publication(Some(Resume {
            clock_ms: 1_000,
            at: Millis(0),
        }));
        assert!(send(&mut p, Kind::Video, INTER, 0).is_none());
        assert!(send(&mut p, Kind::Video, CONFIG, 0).is_some());
        for _ in 0..=AUDIO_ONLY_AFTER {
            assert!(send(&mut p, Kind::Audio, SOUND, 0).is_some());
        }
        assert!(
            send(&mut p, Kind::Video, INTER, 0).is_none(),
            "an audio join point is no key"
        );
        assert!(send(&mut p, Kind::Video, KEY, 0).is_some());
        assert!(send(&mut p, Kind::Video, INTER, 0).is_some());
    }

    #[test]
    fn a_message_that_makes_no_sense_is_dropped_and_counted() {
        let mut p = publication(None);
        assert!(send(&mut p, Kind::Video, &[], 0).is_none());
        assert_eq!(p.report.malformed, 1);
    }

    #[test]
    fn metadata_too_large_to_keep_is_not_kept_to_compare_with() {
        let mut p = publication(None);
        let huge = [METADATA, &vec![0; METADATA_BYTES_MAX]].concat();
        for _ in 0..2 {
            let frame = Arc::new(send(&mut p, Kind::DataAmf0, &huge, 0).unwrap());
            assert!(!p.is_repeated_metadata(&frame));
            assert_eq!(Arc::strong_count(&frame), 1);
        }
    }

    #[test]
    fn repeated_metadata_passes_only_when_it_has_changed() {
        let mut p = publication(None);
        let mut repeated = |payload: &[u8]| {
            let frame = Arc::new(send(&mut p, Kind::DataAmf0, payload, 0).unwrap());
            p.is_repeated_metadata(&frame)
        };
        let other = [METADATA, &[5]].concat();
        let sent = [METADATA, METADATA, &other, METADATA];
        assert_eq!(sent.map(&mut repeated), [false, true, false, false]);
    }

    #[test]
    fn the_first_frame_of_a_codec_that_no_header_announced_is_bare() {
        const MP3: &[u8] = &[0x2F, 9];
        const AAC: &[u8] = &[0xAF, 0, 0x12, 0x10];
        let mut p = publication(None);
        let sent = [CONFIG, KEY, INTER].map(|payload| (Kind::Video, payload));
        let sounds = [MP3, MP3, SOUND, SOUND, AAC, MP3, AAC, SOUND];
        let sent = sent
            .into_iter()
            .chain(sounds.map(|payload| (Kind::Audio, payload)));
        let bare: Vec<bool> = sent
            .map(|(kind, payload)| send(&mut p, kind, payload, 0).unwrap().is_bare())
            .collect();
        let (yes, no) = (true, false);
        assert_eq!(bare, [no, no, no, yes, no, yes, no, no, yes, no, no]);
    }
}
