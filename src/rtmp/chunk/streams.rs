//! What the reader remembers of each chunk stream: the last header and the partial message.
//!
//! Invariant: `partial` is shorter than `length`, except between the last byte and `take_whole`;
//! the number of streams is bounded by whoever inserts. Protocol §2.1, §2.3.

use std::collections::BTreeMap;

use super::header::{Header, Time};
use crate::rtmp::message::{Body, Kind, Message};

/// All chunk streams of one connection that have state. A connection that has sent nothing owns
/// no memory here.
#[derive(Debug, Default)]
pub(super) struct ChunkStreams {
    slots: Vec<ChunkStream>,
    /// Place + 1 of the ids below 64, which is nearly all that exist; 0 for none.
    low: Option<Box<[u16; 64]>>,
    /// Place of the others.
    high: BTreeMap<u32, u16>,
}

impl ChunkStreams {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn find(&self, csid: u32) -> Option<Place> {
        if csid >= 64 {
            return self.high.get(&csid).map(|place| Place(*place));
        }
        let entry = self.low.as_ref()?.get(csid as usize)?;
        entry.checked_sub(1).map(Place)
    }

    /// Adds a stream that `find` did not know. The caller keeps the number below 65,535.
    pub(super) fn insert(&mut self, csid: u32) -> Place {
        let place = u16::try_from(self.slots.len()).unwrap_or(u16::MAX - 1);
        self.slots.push(ChunkStream::fresh());
        if csid >= 64 {
            self.high.insert(csid, place);
        } else {
            let low = self.low.get_or_insert_with(|| Box::new([0; 64]));
            if let Some(entry) = low.get_mut(csid as usize) {
                *entry = place.saturating_add(1);
            }
        }
        Place(place)
    }

    pub(super) fn at(&self, place: Place) -> Option<&ChunkStream> {
        self.slots.get(usize::from(place.0))
    }

    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut ChunkStream> {
        self.slots.get_mut(usize::from(place.0))
    }

    /// Messages that have begun and are not whole.
    pub(super) fn partials(&self) -> usize {
        self.slots
            .iter()
            .filter(|stream| stream.partial.is_some())
            .count()
    }
}

/// Where a chunk stream lives; never reused, streams are not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u16);

/// One chunk stream.
#[derive(Debug)]
pub(super) struct ChunkStream {
    /// Absolute time of the latest message.
    timestamp: u32,
    /// What a message that begins with format 3 adds (K-06).
    delta: u32,
    /// The four raw bytes that format 3 chunks repeat (K-09).
    extended: Option<u32>,
    length: u32,
    kind: Kind,
    stream_id: u32,
    partial: Option<Body>,
}

impl ChunkStream {
    /// A stream before its first chunk: everything zero (INTEROP 11).
    pub(super) fn fresh() -> Self {
        Self {
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            kind: Kind::Other(0),
            stream_id: 0,
            partial: None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    /// Bytes the running message still lacks; `None` when none is running.
    pub(super) fn lacks(&self) -> Option<usize> {
        self.partial
            .as_ref()
            .map(|body| (self.length as usize).saturating_sub(body.len()))
    }

    /// Length and kind of the message that `header` begins.
    pub(super) fn announced(&self, header: &Header) -> (u32, Kind) {
        match *header {
            Header::Whole { length, kind, .. } | Header::Delta { length, kind, .. } => {
                (length, kind)
            }
            Header::SameLength { .. } | Header::Same => (self.length, self.kind),
        }
    }

    /// Whether `header` may stand in the middle of the running message (K-14). Some senders repeat
    /// a whole header there; it must not announce another message.
    pub(super) fn continues(&self, header: &Header) -> bool {
        match *header {
            Header::Whole {
                length,
                kind,
                stream_id,
                ..
            } => (length, kind, stream_id) == (self.length, self.kind, self.stream_id),
            Header::Delta { length, kind, .. } => (length, kind) == (self.length, self.kind),
            Header::SameLength { .. } | Header::Same => true,
        }
    }

    /// What may stand behind a format 3 header if the sender repeats the extended timestamp: the
    /// bytes it sent, or the message's absolute time. `None`: nothing may.
    pub(super) fn repeats(&self) -> Option<[[u8; 4]; 2]> {
        let absolute = match self.partial {
            Some(_) => self.timestamp,
            None => self.timestamp.wrapping_add(self.delta),
        };
        self.extended
            .map(|raw| [raw.to_be_bytes(), absolute.to_be_bytes()])
    }

    /// Takes a header in: begins its message, or goes on with the running one, whose time it does
    /// not change (K-08, K-14).
    pub(super) fn take_header(&mut self, header: &Header) {
        if let Header::Whole { time, .. }
        | Header::Delta { time, .. }
        | Header::SameLength { time } = *header
        {
            self.extended = time.extended();
        }
        if self.partial.is_some() {
            return;
        }
        (self.length, self.kind) = self.announced(header);
        match *header {
            Header::Whole {
                time, stream_id, ..
            } => {
                self.stream_id = stream_id;
                self.timestamp = time.value();
                // INTEROP 10: FMLE repeats the time of its first header as the step, GStreamer
                // means 0. Only a step of about a frame is believed.
                let step = time.value();
                self.delta = if step <= PLAUSIBLE_STEP_MS { step } else { 0 };
            }
            Header::Delta { time, .. } | Header::SameLength { time } => {
                self.delta = self.step(time);
                self.timestamp = self.timestamp.wrapping_add(self.delta);
            }
            Header::Same => self.timestamp = self.timestamp.wrapping_add(self.delta),
        }
        self.partial = Some(Body::unallocated());
    }

    /// Appends payload to the running message; false when it was discarded.
    pub(super) fn extend(&mut self, piece: &[u8]) -> bool {
        let Some(body) = &mut self.partial else {
            return false;
        };
        body.extend(piece, self.length as usize);
        true
    }

    /// The running message, if its last byte has arrived.
    pub(super) fn take_whole(&mut self) -> Option<Message> {
        let body = self
            .partial
            .take_if(|body| body.len() >= self.length as usize)?;
        let (kind, timestamp, stream_id) = (self.kind, self.timestamp, self.stream_id);
        Some(Message {
            kind,
            timestamp,
            stream_id,
            body,
        })
    }

    /// Drops the running message and says how many bytes it held; headers are kept (K-27).
    pub(super) fn discard(&mut self) -> usize {
        self.partial.take().map_or(0, |body| body.len())
    }

    /// The step a format 1 or 2 header means. Some senders put the absolute time into the
    /// extended field (INTEROP 9): it is believed when it lies close to the last time, and far
    /// enough from 0 not to be a small step back (B-12).
    fn step(&self, time: Time) -> u32 {
        let value = time.value();
        let from_last = value.wrapping_sub(self.timestamp);
        let absolute = time.extended().is_some() && near_zero(from_last) && !near_zero(value);
        if absolute { from_last } else { value }
    }
}

/// Whether a wrapped difference of times is a few seconds at most, either way.
fn near_zero(difference: u32) -> bool {
    difference.cast_signed().unsigned_abs() <= ABSOLUTE_WITHIN_MS
}

/// Longest time in a format 0 header that a following format 3 start adds again.
const PLAUSIBLE_STEP_MS: u32 = 100;

/// How close to the last time an extended value is taken for an absolute one.
const ABSOLUTE_WITHIN_MS: u32 = 5_000;
