//! `ChunkReader`: bytes in, whole messages out.
//!
//! Invariant: what comes out depends on the bytes alone, never on how they were split. Payload
//! goes straight from the input to the message's body; between calls only the beginning of a chunk
//! header is kept. All limits are checked on the header, before any payload. Protocol §2.

use super::header::{Basic, Header};
use super::streams::{ChunkStream, ChunkStreams, Place};
use super::{DEFAULT_CHUNK_SIZE, HeadBytes};
use crate::limits::ReaderLimits;
use crate::rtmp::error::Error;
use crate::rtmp::message::{Kind, Message};
use crate::wire::{Reader, Short};

/// Puts the messages of one connection together from its chunks.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ReaderLimits,
    /// 1 to `0xFF_FFFF`; sizes no allocation.
    chunk_size: u32,
    streams: ChunkStreams,
    /// The chunk whose payload is arriving; `None` before a header.
    open: Option<Open>,
    /// Bytes taken from earlier inputs that stand in front of the next one.
    kept: Kept,
    /// Whether the peer repeats the extended timestamp, once seen (K-11).
    habit: Option<Habit>,
    /// Payload bytes in all partial messages.
    partial_bytes: usize,
}

impl ChunkReader {
    /// A reader at the start of a connection: chunk size 128 (K-21).
    #[must_use]
    pub fn new(limits: ReaderLimits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: ChunkStreams::default(),
            open: None,
            kept: Kept::default(),
            habit: None,
            partial_bytes: 0,
        }
    }

    /// Replaces the limits from the next chunk on; for when publish is accepted.
    pub fn set_limits(&mut self, limits: ReaderLimits) {
        self.limits = limits;
    }

    /// Takes the peer's chunk size from its next chunk on, also in the middle of messages (K-23).
    /// `size` is the raw number of the message; above `0xFF_FFFF` it counts as that.
    ///
    /// # Errors
    /// `Error::ChunkSize` when it is 0, has the top bit set or is below the floor (K-22).
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        let min = self.limits.chunk_size_min.max(1);
        if size < min || size > i32::MAX.unsigned_abs() {
            return Err(Error::ChunkSize { found: size, min });
        }
        self.chunk_size = size.min(CHUNK_SIZE_MAX);
        Ok(())
    }

    /// Discards the partial message of a chunk stream; any id, idle and unknown ones too (K-27).
    pub fn abort(&mut self, csid: u32) {
        let place = self.streams.find(csid);
        if let Some(stream) = place.and_then(|place| self.streams.at_mut(place)) {
            let dropped = stream.discard();
            self.partial_bytes = self.partial_bytes.saturating_sub(dropped);
        }
    }

    /// Feeds bytes from the front of `input`; stops after one whole message. Call it until it
    /// says `None`: then all of `input` was consumed and more is needed.
    ///
    /// # Errors
    /// The chunk layer's variants of `Error`; the connection cannot go on.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            if let Some(open) = self.open.take() {
                let message = self.payload(open, input);
                if message.is_some() || self.open.is_some() {
                    return Ok(message);
                }
            } else if !self.header(input)? {
                return Ok(None);
            }
        }
    }

    /// Payload bytes of messages that are not whole yet.
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    /// Moves payload into the body of the open chunk's message, which is returned when whole.
    fn payload(&mut self, open: Open, input: &mut &[u8]) -> Option<Message> {
        let Open { place, mut left } = open;
        if !self.kept.is_empty() {
            let front = self.kept.take_front(left);
            left -= self.fill(place, front.as_slice());
        }
        let (piece, rest) = input.split_at_checked(left).unwrap_or((input, &[]));
        *input = rest;
        // An empty message is filled too: that gives its body the head room.
        if !piece.is_empty() || left == 0 {
            left -= self.fill(place, piece);
        }
        if left > 0 {
            self.open = Some(Open { place, left });
            return None;
        }
        let message = self.streams.at_mut(place)?.take_whole()?;
        self.partial_bytes = self.partial_bytes.saturating_sub(message.body.len());
        Some(message)
    }

    /// Appends to a message, unless it was aborted halfway through this chunk.
    fn fill(&mut self, place: Place, piece: &[u8]) -> usize {
        if self
            .streams
            .at_mut(place)
            .is_some_and(|stream| stream.extend(piece))
        {
            self.partial_bytes += piece.len();
        }
        piece.len()
    }

    /// Reads one chunk header; false when all of `input` was taken and it is not whole yet.
    fn header(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        let parsed = if self.kept.is_empty() {
            self.parse(input)
        } else {
            self.parse(self.kept.joined(input).as_slice())
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(Stop::Wrong(error)) => return Err(error),
            Err(Stop::Short) => {
                self.kept = self.kept.joined(input);
                *input = &[];
                return Ok(false);
            }
        };
        self.accept(&parsed)?;
        let from_kept = self.kept.take_front(parsed.used).as_slice().len();
        *input = input.get(parsed.used - from_kept..).unwrap_or_default();
        Ok(true)
    }

    /// Reads a header without changing anything, so that it may be tried again with more bytes.
    fn parse(&self, bytes: &[u8]) -> Result<Parsed, Stop> {
        let mut r = Reader::new(bytes);
        let basic = Basic::read(&mut r)?;
        let place = self.streams.find(basic.csid);
        if place.is_none() {
            self.check_fresh(basic)?;
        }
        let header = Header::read(basic.fmt, &mut r)?;
        let mut habit = self.habit;
        if let Header::Same = header
            && let Some(candidates) = self.stream(place).and_then(ChunkStream::repeats)
        {
            let seen = match habit {
                Some(seen) => seen,
                None => Habit::seen(candidates, r.rest())?,
            };
            if seen == Habit::Repeats {
                r.u32()?;
            }
            habit = Some(seen);
        }
        Ok(Parsed {
            csid: basic.csid,
            place,
            header,
            habit,
            used: bytes.len() - r.len(),
        })
    }

    /// Checks a header against the limits, then lets it change the chunk stream and opens the
    /// chunk's payload.
    fn accept(&mut self, parsed: &Parsed) -> Result<(), Error> {
        let Parsed { csid, header, .. } = *parsed;
        let fresh = ChunkStream::fresh();
        let stream = self.stream(parsed.place).unwrap_or(&fresh);
        let lacks = match stream.lacks() {
            Some(_) if !stream.continues(&header) => {
                let (kind, length) = (stream.kind(), stream.length());
                return Err(Error::MessageChanged { csid, kind, length });
            }
            Some(lacks) => lacks,
            None => {
                let (length, kind) = stream.announced(&header);
                self.check_message(csid, kind, length)?;
                length as usize
            }
        };
        let left = lacks.min(self.chunk_size as usize);
        let found = self.partial_bytes.saturating_add(left);
        let max = self.limits.partial_bytes_max;
        if found > max as usize {
            return Err(Error::PartialBytes {
                found: u32::try_from(found).unwrap_or(max),
                max,
            });
        }
        let place = parsed.place.unwrap_or_else(|| self.streams.insert(csid));
        if let Some(stream) = self.streams.at_mut(place) {
            stream.take_header(&header);
        }
        self.habit = parsed.habit;
        self.open = Some(Open { place, left });
        Ok(())
    }

    /// May a chunk stream without state begin like this (K-13, L-07)?
    fn check_fresh(&self, basic: Basic) -> Result<(), Error> {
        let Basic { fmt, csid } = basic;
        // INTEROP 11: DJI cameras begin chunk stream 33 with format 2; librtmp begins 2 with 1.
        let allowed = fmt < 2 || (fmt == 2 && csid == DJI_CSID);
        if !allowed {
            return Err(Error::FreshChunkStream { csid, fmt });
        }
        let max = self.limits.chunk_streams_max;
        if self.streams.len() >= usize::from(max) {
            return Err(Error::ChunkStreams { csid, max });
        }
        Ok(())
    }

    /// May a message like this begin (L-06, L-08)?
    fn check_message(&self, csid: u32, kind: Kind, length: u32) -> Result<(), Error> {
        let of_kind = if kind.is_control() {
            CONTROL_BYTES_MAX
        } else {
            u32::MAX
        };
        let max = self.limits.message_bytes_max.min(of_kind);
        if length > max {
            return Err(Error::MessageLength {
                csid,
                kind,
                found: length,
                max,
            });
        }
        // A message of one chunk is over before another can begin: only longer ones count.
        let max = self.limits.partial_messages_max;
        if length > self.chunk_size && self.streams.partials() >= usize::from(max) {
            return Err(Error::PartialMessages { max });
        }
        Ok(())
    }

    fn stream(&self, place: Option<Place>) -> Option<&ChunkStream> {
        place.and_then(|place| self.streams.at(place))
    }
}

/// A chunk whose header was read.
#[derive(Clone, Copy, Debug)]
struct Open {
    place: Place,
    /// Payload bytes of this chunk still to come. 0 only before a message of length 0 (K-15).
    left: usize,
}

/// What senders do in format 3 chunks of a message with an extended timestamp: the specification
/// wants it repeated, OBS before 30.2 and old librtmp leave it out (INTEROP 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Repeats,
    Omits,
}

impl Habit {
    /// The verdict over the bytes behind a format 3 header. One byte that fits no candidate is
    /// enough to see payload; only four that fit are an extended timestamp.
    fn seen(candidates: [[u8; 4]; 2], rest: &[u8]) -> Result<Self, Short> {
        let front = rest.get(..4).unwrap_or(rest);
        if !candidates
            .iter()
            .any(|candidate| candidate.starts_with(front))
        {
            Ok(Self::Omits)
        } else if front.len() < 4 {
            Err(Short {
                wanted: 4,
                left: front.len(),
            })
        } else {
            Ok(Self::Repeats)
        }
    }
}

/// A whole header, read but not yet accepted.
#[derive(Debug)]
struct Parsed {
    csid: u32,
    place: Option<Place>,
    header: Header,
    habit: Option<Habit>,
    /// Bytes of it.
    used: usize,
}

/// Why a header could not be read.
#[derive(Debug)]
enum Stop {
    Short,
    Wrong(Error),
}

impl From<Short> for Stop {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// The beginning of a chunk header. More than a header only for a moment: the bytes looked at for
/// an extended timestamp may turn out to be payload.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    bytes: [u8; HeadBytes::MAX],
    len: usize,
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// These bytes and as many of `input` as a header can need.
    fn joined(mut self, input: &[u8]) -> Self {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(input) {
            *to = *from;
            self.len += 1;
        }
        self
    }

    /// Removes up to `n` bytes from the front and returns them.
    fn take_front(&mut self, n: usize) -> Self {
        let n = n.min(self.len);
        let (front, rest) = self.as_slice().split_at_checked(n).unwrap_or_default();
        let (front, rest) = (Self::default().joined(front), Self::default().joined(rest));
        *self = rest;
        front
    }
}

/// Largest chunk size that differs from a larger one: no message is longer (K-22).
const CHUNK_SIZE_MAX: u32 = 0xFF_FFFF;

/// Longest control message, kinds 1 to 6 (L-06).
const CONTROL_BYTES_MAX: u32 = 64;

/// Where DJI cameras begin with format 2.
const DJI_CSID: u32 = 33;

#[cfg(test)]
mod tests;
