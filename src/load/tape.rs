//! `Tape`: an FLV file as a film that starts again when it ends.
//!
//! Invariant: message `n` is item `n mod len`; its time goes on rising over the seam. Sequence
//! headers are not among the items, so a header that changes inside the file is refused.

use std::path::Path;
use std::{fs, io};

use crate::codec::{self, Part};
use crate::load::film::{Beat, Reel, timestamp_ms};
use crate::load::flv::{self, FlvError};
use crate::rtmp::amf0;
use crate::rtmp::message::Kind;

/// The messages of a file.
#[derive(Debug)]
pub struct Tape {
    metadata: Vec<u8>,
    headers: Vec<(Kind, Vec<u8>)>,
    items: Vec<Item>,
    /// Where among the items the pictures are.
    videos: Vec<u64>,
    /// Where among the items the sounds are.
    audios: Vec<u64>,
    /// Time from the first item to its next showing, microseconds.
    length_us: u64,
}

impl Tape {
    /// Reads a file.
    ///
    /// # Errors
    /// `TapeError`: it cannot be read, is no FLV, or has no video to start from.
    pub fn open(path: &Path) -> Result<Self, TapeError> {
        Self::new(flv::read(&fs::read(path)?)?)
    }

    /// A film of these tags.
    ///
    /// # Errors
    /// As `open`.
    pub fn new(tags: Vec<flv::Tag>) -> Result<Self, TapeError> {
        let mut tape = Self {
            metadata: Vec::new(),
            headers: Vec::new(),
            items: Vec::new(),
            videos: Vec::new(),
            audios: Vec::new(),
            length_us: 0,
        };
        let mut first_ms = None;
        for tag in tags {
            let told = match tag.kind {
                Kind::Video => codec::video(&tag.payload),
                Kind::Audio => codec::audio(&tag.payload),
                _ => {
                    tape.take_data(tag.payload);
                    continue;
                }
            };
            match told.map(|told| told.part) {
                Ok(Part::Config) => tape.take_header(tag)?,
                Ok(Part::Frame { key }) => {
                    let first_ms = *first_ms.get_or_insert(tag.timestamp);
                    let at_us = u64::from(tag.timestamp.saturating_sub(first_ms)) * 1_000;
                    tape.items.push(Item {
                        kind: tag.kind,
                        key,
                        at_us,
                        payload: tag.payload,
                    });
                }
                // Ends of sequence and the like would end the stream in the middle of the loop.
                Ok(_) | Err(_) => {}
            }
        }
        tape.items.sort_by_key(|item| item.at_us);
        if !tape.items.iter().any(|item| item.key) {
            return Err(TapeError::NoKey);
        }
        for (place, item) in (0..).zip(&tape.items) {
            match item.kind {
                Kind::Video => tape.videos.push(place),
                _ => tape.audios.push(place),
            }
        }
        let last_us = tape.items.last().map_or(0, |item| item.at_us);
        tape.length_us = last_us + last_us / (tape.len() - 1).max(1) + 1_000;
        Ok(tape)
    }

    /// See [`crate::load::film::Film::metadata`].
    #[must_use]
    pub fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    /// See [`crate::load::film::Film::headers`].
    #[must_use]
    pub fn headers(&self) -> &[(Kind, Vec<u8>)] {
        &self.headers
    }

    /// The next message.
    pub fn next(&self, reel: &mut Reel) -> Beat {
        let (kind, key) = self
            .item(reel.number)
            .map_or((Kind::Video, false), |item| (item.kind, item.key));
        reel.step(kind, key, self.at_us(reel.number))
    }

    /// The payload of message `number`.
    #[must_use]
    pub fn payload(&self, number: u64) -> &[u8] {
        self.item(number).map_or(&[], |item| &item.payload)
    }

    /// The newest message before `sent` that has this payload.
    #[must_use]
    pub fn newest(&self, kind: Kind, payload: &[u8], sent: u64) -> Option<u64> {
        let places = (0..).zip(&self.items);
        let same = places.filter(|(_, item)| item.kind == kind && item.payload == payload);
        let numbers = same.filter_map(|(place, _)| {
            let rounds = sent.checked_sub(place + 1)? / self.len();
            Some(place + rounds * self.len())
        });
        numbers.max()
    }

    /// Messages of that kind before message `number`.
    #[must_use]
    pub fn before(&self, kind: Kind, number: u64) -> u64 {
        let places = self.places(kind);
        let place = number % self.len();
        let earlier = places.partition_point(|own| *own < place);
        number / self.len() * count(places) + u64::try_from(earlier).unwrap_or(0)
    }

    /// Number of the `own`th message of that kind among all; `None` if there is none of it.
    #[must_use]
    pub fn number(&self, kind: Kind, own: u64) -> Option<u64> {
        let places = self.places(kind);
        let round = own.checked_div(count(places))?;
        let place = places.get(usize::try_from(own % count(places)).ok()?)?;
        Some(round * self.len() + place)
    }

    /// The timestamp that message `number` is sent with.
    #[must_use]
    pub fn timestamp_ms(&self, number: u64) -> u32 {
        timestamp_ms(self.at_us(number))
    }

    /// Messages of that kind in a round.
    #[must_use]
    pub fn round(&self, kind: Kind) -> u64 {
        count(self.places(kind))
    }

    /// Messages of a round, at least 1.
    fn len(&self) -> u64 {
        u64::try_from(self.items.len()).unwrap_or(u64::MAX).max(1)
    }

    fn item(&self, number: u64) -> Option<&Item> {
        self.items.get(usize::try_from(number % self.len()).ok()?)
    }

    /// Media time of message `number`, microseconds since the film began.
    fn at_us(&self, number: u64) -> u64 {
        let at_us = self.item(number).map_or(0, |item| item.at_us);
        number / self.len() * self.length_us + at_us
    }

    fn places(&self, kind: Kind) -> &[u64] {
        match kind {
            Kind::Video => &self.videos,
            _ => &self.audios,
        }
    }

    fn take_data(&mut self, payload: Vec<u8>) {
        let is_metadata =
            amf0::first_string(&payload).is_some_and(|(name, _)| name == b"onMetaData");
        if is_metadata && self.metadata.is_empty() {
            self.metadata = payload;
        }
    }

    fn take_header(&mut self, tag: flv::Tag) -> Result<(), TapeError> {
        match self.headers.iter().find(|(kind, _)| *kind == tag.kind) {
            None => self.headers.push((tag.kind, tag.payload)),
            Some((_, known)) if *known == tag.payload => {}
            Some(_) => return Err(TapeError::HeaderChanges),
        }
        Ok(())
    }
}

fn count(places: &[u64]) -> u64 {
    u64::try_from(places.len()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Item {
    kind: Kind,
    key: bool,
    at_us: u64,
    payload: Vec<u8>,
}

/// Why a file cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no FLV.
    #[error(transparent)]
    Flv(#[from] FlvError),
    /// Nothing to start from.
    #[error("the file has no video key frame")]
    NoKey,
    /// A second, different sequence header.
    #[error("the file's codec settings change in the middle")]
    HeaderChanges,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: Kind, timestamp: u32, payload: &[u8]) -> flv::Tag {
        flv::Tag {
            kind,
            timestamp,
            payload: payload.to_vec(),
        }
    }

    /// Two pictures 40 ms apart with a sound between them.
    fn tape() -> Tape {
        let tags = vec![
            tag(Kind::DataAmf0, 0, b"\x02\0\x0AonMetaData\x05"),
            tag(Kind::Video, 0, &[0x17, 0, 0, 0, 0, 1]),
            tag(Kind::Audio, 0, &[0xAF, 0, 0x11, 0x90]),
            tag(Kind::Video, 500, &[0x17, 1, 0, 0, 0, 10]),
            tag(Kind::Audio, 520, &[0xAF, 1, 20]),
            tag(Kind::Video, 540, &[0x27, 1, 0, 0, 0, 30]),
            tag(Kind::Video, 540, &[0x17, 2, 0, 0, 0]),
        ];
        Tape::new(tags).unwrap()
    }

    #[test]
    fn headers_and_metadata_stand_apart_and_an_end_is_dropped() {
        let tape = tape();
        assert_eq!(tape.headers().len(), 2);
        assert!(!tape.metadata().is_empty());
        assert_eq!(tape.items.len(), 3);
    }

    #[test]
    fn time_starts_at_0_and_rises_over_the_seam() {
        let (tape, mut reel) = (tape(), Reel::default());
        let beats: Vec<Beat> = (0..6).map(|_| tape.next(&mut reel)).collect();
        let ms: Vec<u32> = beats.iter().map(Beat::timestamp_ms).collect();
        assert_eq!(ms, [0, 20, 40, 61, 81, 101]);
        assert_eq!(tape.payload(4), [0xAF, 1, 20]);
        assert_eq!((beats[4].kind, beats[4].own), (Kind::Audio, 1));
        assert!(beats[3].key);
    }

    #[test]
    fn a_payload_is_found_in_the_newest_round_that_was_sent() {
        let tape = tape();
        let key = tape.payload(0).to_vec();
        assert_eq!(tape.newest(Kind::Video, &key, 0), None);
        assert_eq!(tape.newest(Kind::Video, &key, 1), Some(0));
        assert_eq!(tape.newest(Kind::Video, &key, 3), Some(0));
        assert_eq!(tape.newest(Kind::Video, &key, 4), Some(3));
        assert_eq!(tape.newest(Kind::Audio, &key, 4), None);
    }

    #[test]
    fn numbers_among_a_kind_and_among_all_lead_to_each_other() {
        let (tape, mut reel) = (tape(), Reel::default());
        for _ in 0..9 {
            let (videos, audios) = (reel.videos, reel.audios);
            let beat = tape.next(&mut reel);
            assert_eq!(tape.number(beat.kind, beat.own), Some(beat.number));
            assert_eq!(tape.before(Kind::Video, beat.number), videos);
            assert_eq!(tape.before(Kind::Audio, beat.number), audios);
            assert_eq!(tape.timestamp_ms(beat.number), beat.timestamp_ms());
        }
        let silent = Tape::new(vec![tag(Kind::Video, 0, &[0x17, 1, 0, 0, 0, 10])]).unwrap();
        assert_eq!(silent.number(Kind::Audio, 0), None);
    }

    #[test]
    fn a_file_that_cannot_be_looped_is_refused() {
        let sound = vec![tag(Kind::Audio, 0, &[0xAF, 1, 20])];
        assert!(matches!(Tape::new(sound), Err(TapeError::NoKey)));
        let changing = vec![
            tag(Kind::Video, 0, &[0x17, 0, 0, 0, 0, 1]),
            tag(Kind::Video, 0, &[0x17, 0, 0, 0, 0, 2]),
        ];
        assert!(matches!(Tape::new(changing), Err(TapeError::HeaderChanges)));
    }
}
