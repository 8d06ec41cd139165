//! `Verifier`: whether one player got what it should: headers first, a key frame first, then every
//! message once, unchanged, in order.
//!
//! Invariant: each wrong message is reported once and what follows is judged from there, so one
//! lost frame is one fault. A film made here is compared bit by bit with what was sent.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::codec::{self, Part};
use crate::load::film::{Film, Reel};
use crate::load::mark::Mark;
use crate::load::tape::Tape;
use crate::rtmp::message::{Kind, Message};

/// Judges the media messages of one player.
#[derive(Debug)]
pub struct Verifier {
    /// `None`: somebody else publishes; marks are read where there are some.
    film: Option<Arc<Film>>,
    stream: u32,
    video: Lane,
    audio: Lane,
    /// The newest message, where messages are known.
    last_number: Option<u64>,
    faults: Vec<Fault>,
    /// A message made again, to compare with.
    again: Vec<u8>,
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A video frame from which decoding can start.
    pub key: bool,
    /// Number among all messages of the stream, where it is known.
    pub number: Option<u64>,
    /// When it was sent, where the message says so, microseconds since 1970.
    pub sent_us: Option<u64>,
}

/// What a player did not get as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A frame before its sequence header.
    #[error("{0} without its header")]
    MissingHeader(Media),
    /// The first picture cannot be decoded alone.
    #[error("the first picture is no key frame")]
    LateStart,
    /// Messages that never came.
    #[error("{media}: {missing} messages missing before number {number}")]
    Gap {
        /// Kind of message.
        media: Media,
        /// How many.
        missing: u64,
        /// Number of the message that came instead.
        number: u64,
    },
    /// A message that had come before.
    #[error("{media}: number {number} came again")]
    Repeat {
        /// Kind of message.
        media: Media,
        /// Its number.
        number: u64,
    },
    /// A message that is not what was sent.
    #[error("{media}: number {number} differs from what was sent, at byte {at}")]
    Changed {
        /// Kind of message.
        media: Media,
        /// The number that was due.
        number: u64,
        /// First byte that differs; 0 when nothing about it is right.
        at: usize,
    },
    /// A header that is not what was sent.
    #[error("the {0} header differs from what was sent")]
    HeaderChanged(Media),
    /// A message of another stream.
    #[error("{media}: a message of stream {found}")]
    WrongStream {
        /// Kind of message.
        media: Media,
        /// Stream it was sent on.
        found: u32,
    },
    /// A timestamp below the one before.
    #[error("{media}: the timestamp fell from {before} to {after} ms")]
    TimeFell {
        /// Kind of message.
        media: Media,
        /// Timestamp of the message before.
        before: u32,
        /// Its own.
        after: u32,
    },
    /// The end is missing.
    #[error("{media}: the last {missing} messages never came")]
    Behind {
        /// Kind of message.
        media: Media,
        /// How many.
        missing: u64,
    },
    /// Not one message of a kind came.
    #[error("{0}: nothing came")]
    Nothing(Media),
}

/// Audio or video, for messages to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
        })
    }
}

#[derive(Debug, Default)]
struct Lane {
    header: bool,
    started: bool,
    timestamp: Option<u32>,
    /// What is due next: a number of its kind (made films, marks) or of all messages (tapes).
    due: Option<u64>,
}

impl Verifier {
    /// A player of that stream.
    #[must_use]
    pub fn new(film: Option<Arc<Film>>, stream: u32) -> Self {
        Self {
            film,
            stream,
            video: Lane::default(),
            audio: Lane::default(),
            last_number: None,
            faults: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Judges one message; `sent` messages have been sent so far. `None` for all that is no frame.
    pub fn take(&mut self, message: &Message, sent: u64) -> Option<Seen> {
        let (payload, kind) = (message.payload(), message.kind);
        let media = match kind {
            Kind::Video => Media::Video,
            Kind::Audio => Media::Audio,
            _ => return None,
        };
        let told = match media {
            Media::Video => codec::video(payload),
            Media::Audio => codec::audio(payload),
        };
        let key = match told.map(|tag| tag.part) {
            Ok(Part::Config) => {
                self.header(media, kind, payload);
                return None;
            }
            Ok(Part::Frame { key }) => key,
            Ok(_) => return None,
            Err(_) => false,
        };
        self.start(media, key);
        self.time(media, message.timestamp);
        let (number, sent_us) = match self.film.clone().as_deref() {
            Some(Film::Made(made)) => {
                let mut again = std::mem::take(&mut self.again);
                let checked = made.check(kind, payload, &mut again);
                self.again = again;
                match checked {
                    Ok(mark) => self.marked(media, &mark),
                    Err(at) => self.changed(media, at),
                }
            }
            Some(Film::File(tape)) => (self.taped(media, kind, tape, payload, sent), None),
            None => match Mark::find(payload) {
                Some(mark) => self.marked(
                    media,
                    &Mark {
                        stream: self.stream,
                        ..mark
                    },
                ),
                None => (None, None),
            },
        };
        self.last_number = number.or(self.last_number);
        Some(Seen {
            key: key && media == Media::Video,
            number,
            sent_us,
        })
    }

    /// Says what is missing now that everything has been sent: all of `sent`.
    pub fn finish(&mut self, sent: &Reel) {
        let Some(film) = self.film.clone() else {
            return;
        };
        for (media, kind) in [(Media::Video, Kind::Video), (Media::Audio, Kind::Audio)] {
            if !film.has(kind) {
                continue;
            }
            let Some(due) = self.lane(media).due else {
                self.faults.push(Fault::Nothing(media));
                continue;
            };
            let missing = match (&*film, media) {
                (Film::Made(_), Media::Video) => sent.videos.saturating_sub(due),
                (Film::Made(_), Media::Audio) => sent.audios.saturating_sub(due),
                (Film::File(tape), _) => between(tape, kind, due, sent.number),
            };
            if missing > 0 {
                self.faults.push(Fault::Behind { media, missing });
            }
        }
    }

    /// Whether it has every header that its stream has.
    #[must_use]
    pub fn has_headers(&self) -> bool {
        let lacks = |kind, lane: &Lane| {
            !lane.header && self.film.as_ref().is_some_and(|film| film.has(kind))
        };
        !lacks(Kind::Video, &self.video) && !lacks(Kind::Audio, &self.audio)
    }

    /// Takes the faults found since the last call.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    fn lane(&mut self, media: Media) -> &mut Lane {
        match media {
            Media::Audio => &mut self.audio,
            Media::Video => &mut self.video,
        }
    }

    fn header(&mut self, media: Media, kind: Kind, payload: &[u8]) {
        self.lane(media).header = true;
        let sent = self
            .film
            .as_ref()
            .map(|film| film.headers())
            .unwrap_or_default();
        let same = sent
            .iter()
            .find(|(of, _)| *of == kind)
            .is_none_or(|(_, own)| own == payload);
        if !same {
            self.faults.push(Fault::HeaderChanged(media));
        }
    }

    /// The first frame of a kind.
    fn start(&mut self, media: Media, key: bool) {
        let lane = self.lane(media);
        if std::mem::replace(&mut lane.started, true) {
            return;
        }
        let has_header = lane.header;
        if !has_header {
            self.faults.push(Fault::MissingHeader(media));
        }
        if media == Media::Video && !key {
            self.faults.push(Fault::LateStart);
        }
    }

    fn time(&mut self, media: Media, after: u32) {
        let before = self.lane(media).timestamp.replace(after).unwrap_or(after);
        // Timestamps wrap: the upper half of the differences is behind.
        if after.wrapping_sub(before) > u32::MAX / 2 {
            self.faults.push(Fault::TimeFell {
                media,
                before,
                after,
            });
        }
    }

    fn marked(&mut self, media: Media, mark: &Mark) -> (Option<u64>, Option<u64>) {
        if mark.stream != self.stream {
            self.faults.push(Fault::WrongStream {
                media,
                found: mark.stream,
            });
            return (None, None);
        }
        let due = *self.lane(media).due.get_or_insert(mark.own);
        if mark.own < due {
            self.faults.push(Fault::Repeat {
                media,
                number: mark.own,
            });
            return (None, None);
        }
        if mark.own > due {
            self.faults.push(Fault::Gap {
                media,
                missing: mark.own - due,
                number: mark.own,
            });
        }
        self.lane(media).due = Some(mark.own + 1);
        (Some(mark.number), Some(mark.sent_us))
    }

    /// A message that cannot be identified is taken for the one that was due.
    fn changed(&mut self, media: Media, at: usize) -> (Option<u64>, Option<u64>) {
        let number = self.lane(media).due.unwrap_or(0);
        self.lane(media).due = Some(number + 1);
        self.faults.push(Fault::Changed { media, number, at });
        (None, None)
    }

    fn taped(
        &mut self,
        media: Media,
        kind: Kind,
        tape: &Tape,
        payload: &[u8],
        sent: u64,
    ) -> Option<u64> {
        let known = self.lane(media).due;
        let due = match known {
            Some(due) => due,
            // Frames of silence are all alike: only a key frame tells where we are.
            None if media == Media::Audio && self.last_number.is_none() => return None,
            None => match self.last_number {
                Some(last) => tape.after(last, kind)?,
                None => tape.newest(kind, payload, sent).unwrap_or(0),
            },
        };
        let mut number = due;
        if tape.payload(due) != payload {
            match next_like(tape, kind, payload, due) {
                Some(found) => {
                    let missing = between(tape, kind, due, found);
                    let is_repeat = self.is_newest(tape, kind, payload, due);
                    if is_repeat {
                        self.faults.push(Fault::Repeat { media, number: due });
                        return None;
                    }
                    number = found;
                    self.faults.push(Fault::Gap {
                        media,
                        missing,
                        number,
                    });
                }
                None => self.faults.push(Fault::Changed {
                    media,
                    number,
                    at: 0,
                }),
            }
        }
        self.lane(media).due = tape.after(number, kind);
        Some(number)
    }

    /// Whether the message right before `due` had this payload.
    fn is_newest(&self, tape: &Tape, kind: Kind, payload: &[u8], due: u64) -> bool {
        tape.newest(kind, payload, due)
            .is_some_and(|last| between(tape, kind, last, due) == 1)
    }
}

/// The first message at or behind `from` with that payload, within one round.
fn next_like(tape: &Tape, kind: Kind, payload: &[u8], from: u64) -> Option<u64> {
    let mut number = from;
    loop {
        if tape.payload(number) == payload {
            return Some(number);
        }
        number = tape.after(number, kind)?;
        if std::ptr::eq(tape.payload(number), tape.payload(from)) {
            return None;
        }
    }
}

/// Messages of a kind from `from` up to, but without, `to`.
fn between(tape: &Tape, kind: Kind, from: u64, to: u64) -> u64 {
    let mut count = 0;
    let mut number = Some(from);
    while let Some(at) = number.filter(|&at| at < to) {
        count += 1;
        number = tape.after(at, kind);
    }
    count
}
