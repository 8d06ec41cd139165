//! `Film`: what a publisher shows, made here or read from a file, message by message for ever.
//!
//! Invariant: a [`Reel`] yields the same beats each time it starts; beats come in order of time.
//! Messages of both kinds share one row of numbers, and each kind has its own.

use crate::load::made::Made;
use crate::load::tape::Tape;
use crate::rtmp::message::Kind;

/// What all streams of a run show.
#[derive(Debug)]
pub enum Film {
    /// Made here: marked, checked to the last bit.
    Made(Made),
    /// From a file, over and over.
    File(Tape),
}

impl Film {
    /// `onMetaData` and its value, without `@setDataFrame`.
    #[must_use]
    pub fn metadata(&self) -> &[u8] {
        match self {
            Self::Made(made) => made.metadata(),
            Self::File(tape) => tape.metadata(),
        }
    }

    /// Sequence headers, to be sent before the first beat.
    #[must_use]
    pub fn headers(&self) -> &[(Kind, Vec<u8>)] {
        match self {
            Self::Made(made) => made.headers(),
            Self::File(tape) => tape.headers(),
        }
    }

    /// The next message.
    pub fn next(&self, reel: &mut Reel) -> Beat {
        match self {
            Self::Made(made) => made.next(reel),
            Self::File(tape) => tape.next(reel),
        }
    }

    /// The payload of a beat of that stream, as it leaves at `sent_us`; `out` is overwritten.
    pub fn write(&self, beat: &Beat, stream: u32, sent_us: u64, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Made(made) => made.write(beat.kind, &beat.mark(stream, sent_us), out),
            Self::File(tape) => out.extend_from_slice(tape.payload(beat.number)),
        }
    }

    /// Whether it has messages of that kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.headers().iter().any(|(of, _)| *of == kind)
    }
}

/// A place in a film.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reel {
    /// Messages so far; the next has this number.
    pub number: u64,
    /// Video messages so far.
    pub videos: u64,
    /// Audio messages so far.
    pub audios: u64,
}

impl Reel {
    /// Takes a beat of that kind, due at `at_us`.
    pub(super) fn step(&mut self, kind: Kind, key: bool, at_us: u64) -> Beat {
        let own = if kind == Kind::Video {
            &mut self.videos
        } else {
            &mut self.audios
        };
        let beat = Beat {
            kind,
            key,
            number: self.number,
            own: *own,
            at_us,
        };
        *own += 1;
        self.number += 1;
        beat
    }
}

/// One message of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Audio or video.
    pub kind: Kind,
    /// A video frame from which decoding can start.
    pub key: bool,
    /// Number among all messages.
    pub number: u64,
    /// Number among those of its kind.
    pub own: u64,
    /// Media time, microseconds since the film began.
    pub at_us: u64,
}

impl Beat {
    /// The timestamp it is sent with, wrapping after 49 days.
    #[must_use]
    pub fn timestamp_ms(&self) -> u32 {
        timestamp_ms(self.at_us)
    }

    fn mark(&self, stream: u32, sent_us: u64) -> crate::load::mark::Mark {
        crate::load::mark::Mark {
            stream,
            number: self.number,
            own: self.own,
            sent_us,
        }
    }
}

/// Media time as a timestamp, wrapping after 49 days.
pub(super) fn timestamp_ms(at_us: u64) -> u32 {
    u32::try_from(at_us / 1_000 % (1 << 32)).unwrap_or(0)
}
