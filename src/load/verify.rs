//! `Verifier`: whether one player got what it should: headers first, a key frame first, then every
//! message once, unchanged, in order.
//!
//! Invariant: each wrong message is reported once and what follows is judged from there, so one
//! lost frame is one fault. A film made here is compared bit by bit with what was sent. A message
//! that is missing may only be late, so it is called missing when the connection ends, or when too
//! many others are missing as well.

use std::sync::Arc;

use crate::codec::{self, Part};
use crate::load::fault::{Fault, Media};
use crate::load::film::{Film, Reel};
use crate::load::lane::{Lane, Taken};
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
    /// The highest number among all messages so far, where messages are known.
    newest: Option<u64>,
    /// What the connection adds to a tape's timestamps, from its first message that is known.
    shift_ms: Option<u32>,
    faults: Vec<Fault>,
    /// A message made again, to compare with.
    again: Vec<u8>,
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A video frame from which decoding can start.
    pub key: bool,
    /// Number among all messages of the stream, where it is known and its turn.
    pub number: Option<u64>,
    /// When it was sent, where the message says so, microseconds since 1970.
    pub sent_us: Option<u64>,
}

/// Which message it is.
enum Identity {
    Known(Which),
    /// Nobody can tell.
    Unknown,
    /// It differs from what was sent there.
    Changed {
        which: Option<Which>,
        at: usize,
    },
    /// It belongs to that stream.
    Foreign(u32),
}

/// A message of the stream.
#[derive(Clone, Copy)]
struct Which {
    /// Number among those of its kind.
    own: u64,
    /// Number among all.
    number: u64,
    sent_us: Option<u64>,
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
            newest: None,
            shift_ms: None,
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
            Ok(Part::Frame { key }) => key && media == Media::Video,
            Err(_) => false,
            // A frame whose type changed is still a frame, and a damaged one.
            Ok(_) if self.is_marked(payload) => false,
            Ok(Part::Config) => {
                self.header(media, kind, payload);
                return None;
            }
            Ok(_) => return None,
        };
        self.start(media, key);
        let which = match self.identify(media, message, sent) {
            Identity::Known(which) => self.place(media, key, &which).then_some(which),
            Identity::Foreign(found) => {
                self.faults.push(Fault::WrongStream { media, found });
                None
            }
            Identity::Changed { which, at } => {
                let number = which.map(|which| which.own);
                let number = number.or_else(|| self.lane(media).due());
                self.faults.push(Fault::Changed { media, number, at });
                match which {
                    Some(which) => {
                        self.place(media, key, &which);
                    }
                    None => self.lane(media).take_unknown(),
                }
                None
            }
            Identity::Unknown => {
                self.time(media, message.timestamp);
                None
            }
        };
        if which.is_some() {
            self.time(media, message.timestamp);
        }
        Some(Seen {
            key,
            number: which.map(|which| which.number),
            sent_us: which.and_then(|which| which.sent_us),
        })
    }

    /// Says what is missing now that everything has been sent: all of `sent`.
    pub fn finish(&mut self, sent: &Reel) {
        self.settle();
        let Some(film) = self.film.clone() else {
            return;
        };
        for (media, kind, sent) in [
            (Media::Video, Kind::Video, sent.videos),
            (Media::Audio, Kind::Audio, sent.audios),
        ] {
            if !film.has(kind) {
                continue;
            }
            let lane = self.lane(media);
            let missing = lane.due().map(|due| sent.saturating_sub(due));
            let fault = match missing {
                Some(0) => continue,
                Some(missing) if lane.started => Fault::Behind { media, missing },
                _ => Fault::Nothing(media),
            };
            self.faults.push(fault);
        }
    }

    /// Calls missing whatever is missing: nothing more is going to be read.
    pub fn settle(&mut self) {
        self.give_up(Media::Video, 0);
        self.give_up(Media::Audio, 0);
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

    /// Whether it is a frame made here, whatever its first bytes say.
    fn is_marked(&self, payload: &[u8]) -> bool {
        matches!(self.film.as_deref(), Some(Film::Made(_))) && Mark::find(payload).is_some()
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
        if let Some(before) = self.lane(media).time(after) {
            self.faults.push(Fault::TimeFell {
                media,
                before,
                after,
            });
        }
    }

    fn identify(&mut self, media: Media, message: &Message, sent: u64) -> Identity {
        let payload = message.payload();
        match self.film.clone().as_deref() {
            Some(Film::Made(made)) => {
                let mut again = std::mem::take(&mut self.again);
                let checked = made.check(message.kind, payload, &mut again);
                self.again = again;
                match checked {
                    Ok(mark) if mark.stream != self.stream => Identity::Foreign(mark.stream),
                    Ok(mark) => Identity::Known(Which::of(&mark)),
                    Err(difference) => Identity::Changed {
                        which: difference.mark.map(|mark| Which::of(&mark)),
                        at: difference.at,
                    },
                }
            }
            Some(Film::File(tape)) => self.identify_taped(media, message, tape, sent),
            None => match Mark::find(payload) {
                Some(mark) => Identity::Known(Which::of(&mark)),
                None => Identity::Unknown,
            },
        }
    }

    /// A tape's messages carry no number, and some are alike. The one that is due is taken for
    /// itself; another is looked for within a round of it, by its timestamp too if that helps.
    fn identify_taped(
        &mut self,
        media: Media,
        message: &Message,
        tape: &Tape,
        sent: u64,
    ) -> Identity {
        let (kind, payload) = (message.kind, message.payload());
        let found = match self.lane(media).due() {
            Some(due) => self.nearest(media, message, tape, due),
            // Frames of silence are all alike: only a picture tells where we are.
            None if media == Media::Audio => return Identity::Unknown,
            None => tape
                .newest(kind, payload, sent)
                .map(|number| tape.before(kind, number)),
        };
        let known = found.and_then(|own| Some((own, tape.number(kind, own)?)));
        let Some((own, number)) = known else {
            return Identity::Changed { which: None, at: 0 };
        };
        let shift_ms = message.timestamp.wrapping_sub(tape.timestamp_ms(number));
        self.shift_ms.get_or_insert(shift_ms);
        Identity::Known(Which {
            own,
            number,
            sent_us: None,
        })
    }

    /// The number next to `due`, among its kind, of a message like this one.
    fn nearest(&self, media: Media, message: &Message, tape: &Tape, due: u64) -> Option<u64> {
        let lane = match media {
            Media::Audio => &self.audio,
            Media::Video => &self.video,
        };
        let number = |own| tape.number(message.kind, own);
        let is_alike =
            |own: &u64| number(*own).is_some_and(|n| tape.payload(n) == message.payload());
        let is_timely = |own: &u64| {
            let film_ms = number(*own).map(|n| tape.timestamp_ms(n));
            let shift_ms = film_ms.map(|film_ms| message.timestamp.wrapping_sub(film_ms));
            shift_ms.is_some() && shift_ms == self.shift_ms
        };
        let is_due = is_alike(&due);
        if is_due && is_timely(&due) {
            return Some(due);
        }
        let steps = 0..=if is_due {
            TWINS_STEPS
        } else {
            tape.round(message.kind)
        };
        let around = steps.flat_map(|step| [due.checked_sub(step), due.checked_add(step)]);
        let alike: Vec<u64> = around
            .flatten()
            .filter(|own| *own >= lane.first())
            .filter(is_alike)
            .collect();
        let timely = alike.iter().find(|own| is_timely(own));
        let late = alike.iter().find(|own| **own == due || lane.lacks(**own));
        let nearest = alike.first();
        timely.or(late).or(nearest).copied()
    }

    /// Puts a message where it belongs. `false`: it is not its turn.
    fn place(&mut self, media: Media, key: bool, which: &Which) -> bool {
        let number = which.own;
        if media == Media::Video && key {
            // From the first key frame on, every sound is owed as well.
            self.audio.begin(which.number.saturating_sub(which.own));
        }
        let taken = self.lane(media).take(number);
        self.give_up(media, HOLES_MAX);
        let is_late = self.newest.is_some_and(|newest| which.number < newest);
        self.newest = self.newest.max(Some(which.number));
        let fault = match taken {
            Taken::New if !is_late => return true,
            Taken::New | Taken::Late => Fault::OutOfOrder { media, number },
            Taken::Again => Fault::Repeat { media, number },
        };
        self.faults.push(fault);
        false
    }

    /// Stops waiting for what is missing, all but the newest `keep` holes.
    fn give_up(&mut self, media: Media, keep: usize) {
        let holes = self.lane(media).settle(keep);
        self.faults.extend(holes.into_iter().map(|hole| Fault::Gap {
            media,
            missing: hole.missing(),
            number: hole.to,
        }));
    }
}

impl Which {
    fn of(mark: &Mark) -> Self {
        Self {
            own: mark.own,
            number: mark.number,
            sent_us: Some(mark.sent_us),
        }
    }
}

/// Holes kept open at most: more are no disorder but a loss.
const HOLES_MAX: usize = 16;
/// How far a message that could be the one that is due is looked for elsewhere.
const TWINS_STEPS: u64 = 64;
