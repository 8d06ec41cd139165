//! `Known`: which sequence headers and metadata a player already has, so that it is sent them again
//! only when they changed: ffmpeg's Matroska muxer rewrites the file's head at every header it is
//! given, and damages it (INTEROP 48, RELIABILITY D3).
//!
//! Invariants: one mark for each kind of header of a track at most, all of a track for one codec; a
//! mark is of the content alone, so one publication's header and the next one's are the same if
//! their bytes are, in whatever form of message they came. Header and media are compared as
//! integers; what is forgotten or finds no room is sent once more.

use std::hash::{DefaultHasher, Hasher};
use std::num::NonZeroU64;

use crate::codec::{self, Codec, Media, Part, Tag};
use crate::limits::KNOWN_HEADERS_MAX;
use crate::media::Frame;

/// What one header is about, and a hash of what it says, in 64 bits from the top: kind of message
/// 2, track 8, part 2, codec 5; content 46, 0 for none; the last is always set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(NonZeroU64);

/// The headers in force at a player. See the module head.
#[derive(Clone, Debug)]
pub struct Known(Store);

/// Metadata, setup of sound and picture, channels and colours are five; only a stream of several
/// tracks costs an allocation.
#[derive(Clone, Debug)]
enum Store {
    Few([Option<Mark>; FEW]),
    Many(Vec<Option<Mark>>),
}

impl Mark {
    fn new(lane: u64, track: u8, part: u64, codec: Codec, content: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        let hash = match content {
            [] => 0,
            _ => (hasher.finish() & CONTENT_MASK).max(1),
        };
        let about = lane << 15 | u64::from(track) << 7 | part << 5 | u64::from(codec.number());
        Self(NonZeroU64::MIN | (about << CONTENT_BITS | hash) << 1)
    }

    /// Of the headers in a header message, one for each track; of a frame without a header, its
    /// codec.
    pub(super) fn all_of(tag: Option<&Tag>, payload: &[u8]) -> Box<[Self]> {
        let Some(tag) = tag else {
            return [Self::new(DATA, 0, CONFIG, Codec::Unknown(0), payload)].into();
        };
        let lane = lane(tag.media);
        let part = match tag.part {
            Part::Config => CONFIG,
            Part::ChannelConfig => CHANNELS,
            Part::ColorInfo => COLOR,
            _ => return [Self::new(lane, tag.track, CONFIG, tag.codec, &[])].into(),
        };
        codec::tracks(tag.media, payload)
            .map(|t| Self::new(lane, t.track, part, t.codec, t.body))
            .collect()
    }

    /// Everything but the content.
    fn about(self) -> u64 {
        self.0.get() >> ABOUT_AT
    }

    /// Kind of message and track.
    fn track(self) -> u64 {
        self.about() >> 7
    }

    fn part(self) -> u64 {
        self.about() >> 5 & 3
    }

    fn codec(self) -> u64 {
        self.about() & 31
    }

    fn is_empty(self) -> bool {
        self.0.get() & CONTENT_MASK << 1 == 0
    }

    /// Where this one is in force, `other` would change nothing. An empty header says nothing to
    /// who has a full one (M-36).
    fn covers(self, other: Self) -> bool {
        self == other || self.about() == other.about() && other.is_empty()
    }

    /// Once `newer` has been sent, this one is not in force any more: the track has another codec
    /// (M-11), or a setup that what came with the one before does not belong to.
    fn is_undone_by(self, newer: Self) -> bool {
        let anew = newer.part() == CONFIG && self.part() != CONFIG && !newer.is_empty();
        self.track() == newer.track() && (self.codec() != newer.codec() || anew)
    }
}

impl Known {
    /// Nothing is new to the player in a message in this form; of a frame without a header, that
    /// its codec is in force or no other.
    #[must_use]
    pub fn covers(&self, frame: &Frame) -> bool {
        if frame.is_bare() {
            return !self.has_other_codec(frame.marks());
        }
        let known = |mark: &Mark| self.marks().any(|held| held.covers(*mark));
        !frame.marks().is_empty() && frame.marks().iter().all(known)
    }

    /// The player is sent this message, in this form.
    pub fn note(&mut self, frame: &Frame) {
        for mark in frame.marks() {
            if frame.is_bare() {
                self.undo(*mark);
            } else if !self.marks().any(|held| held.covers(*mark)) {
                self.undo(*mark);
                self.put(*mark);
            }
        }
    }

    /// The player is about to get media of this codec on that track, and no header.
    pub(super) fn expect(&mut self, media: Media, track: u8, codec: Codec) {
        self.undo(Mark::new(lane(media), track, CONFIG, codec, &[]));
    }

    fn has_other_codec(&self, marks: &[Mark]) -> bool {
        let other = |held: Mark, mark: &Mark| held.is_undone_by(*mark);
        self.marks()
            .any(|held| marks.iter().any(|mark| other(held, mark)))
    }

    fn undo(&mut self, newer: Mark) {
        for slot in self.slots_mut() {
            if slot.is_some_and(|held| held.is_undone_by(newer)) {
                *slot = None;
            }
        }
    }

    fn put(&mut self, mark: Mark) {
        let same = |held: Mark| held.about() == mark.about();
        let old = self.slots().iter().position(|slot| slot.is_some_and(same));
        let place = old.or_else(|| self.slots().iter().position(Option::is_none));
        match place.and_then(|place| self.slots_mut().get_mut(place)) {
            Some(slot) => *slot = Some(mark),
            None => self.grow(mark),
        }
    }

    fn grow(&mut self, mark: Mark) {
        match &mut self.0 {
            Store::Few(few) => {
                let mut many = Vec::with_capacity(4 * FEW);
                many.extend_from_slice(few);
                many.push(Some(mark));
                self.0 = Store::Many(many);
            }
            Store::Many(many) if many.len() < KNOWN_HEADERS_MAX => many.push(Some(mark)),
            Store::Many(_) => {}
        }
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        self.slots().iter().filter_map(|slot| *slot)
    }

    fn slots(&self) -> &[Option<Mark>] {
        match &self.0 {
            Store::Few(few) => few,
            Store::Many(many) => many,
        }
    }

    fn slots_mut(&mut self) -> &mut [Option<Mark>] {
        match &mut self.0 {
            Store::Few(few) => few,
            Store::Many(many) => many,
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self(Store::Few([None; FEW]))
    }
}

fn lane(media: Media) -> u64 {
    match media {
        Media::Audio => 0,
        Media::Video => 1,
    }
}

/// The kind of message that metadata is.
const DATA: u64 = 2;

// Parts.
const CONFIG: u64 = 0;
const CHANNELS: u64 = 1;
const COLOR: u64 = 2;

/// Headers that need no allocation.
const FEW: usize = 5;

/// Two headers that follow each other are taken for one by mistake once in 2⁴⁶ changes.
const CONTENT_BITS: u32 = 46;
const CONTENT_MASK: u64 = (1 << CONTENT_BITS) - 1;
const ABOUT_AT: u32 = CONTENT_BITS + 1;
