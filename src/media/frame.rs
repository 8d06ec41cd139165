//! `Frame`: one media message in the form every player wants it, made once and shared.
//!
//! Invariant: a frame never changes after `build`. Its bytes depend on nothing but the message: the
//! head is always fmt 0 with an absolute timestamp and message stream 1, so any player may start,
//! skip or resume at any frame (PROTOCOL K-38, G-12).
//!
//! ```text
//! buf: [ head room 16: RTMP head, right-aligned | payload | FLV previous tag size 4 ]
//!                      ^ head_at                ^ HEAD_ROOM
//! ```
//!
//! The payload is contiguous for whoever reads codecs; on the RTMP wire the fmt 3 separators
//! between chunks are slices of `more`.

use super::headers::is_clear;
use super::known::Mark;
use crate::codec::{self, Plain, Tag};
use crate::media::Gather;
use crate::rtmp::chunk::{Head, csid, first_head, next_head};
use crate::rtmp::message::{Body, HEAD_ROOM, Kind, TAIL_ROOM};

/// An immutable media message, shared as `Arc<Frame>`. See the module head.
#[derive(Debug)]
pub struct Frame {
    buf: Box<[u8]>,
    /// Where the RTMP head starts: `head_at ≤ HEAD_ROOM`.
    head_at: u8,
    /// The fmt 3 head between chunks, with the extended timestamp if there is one (K-10).
    more: [u8; MORE_MAX],
    more_len: u8,
    chunk_size: u32,
    /// Fmt 3 heads on the wire: every player asks for the length, with each message.
    separators: u32,
    timestamp_ms: u64,
    traits: Traits,
    tag: Option<Tag>,
    plain: Form,
    /// What a player knows once it has this frame: the headers in it; see [`Frame::bare`].
    marks: Box<[Mark]>,
}

/// What the log, the cursors and the headers need to know of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Audio, video or data.
    pub lane: Lane,
    /// A player may start here: a key frame of the leading video track, or any frame of a stream
    /// that has no video.
    pub join: bool,
    /// Metadata or a sequence header: always passes, is kept for late joiners.
    pub header: bool,
}

/// How one player's copies of the heads differ from the shared ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Message stream id of the play.
    pub stream_id: u32,
    /// The time on the stream's clock that is the player's zero, in ms.
    pub base_ms: u64,
}

/// A frame's heads written anew for one player; the payload stays shared.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    first: &'a [u8],
    next: &'a [u8],
}

/// The three kinds of media message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Type 8.
    Audio,
    /// Type 9.
    Video,
    /// Type 18.
    Data,
}

/// What a player without any E-RTMP capability gets instead of this frame.
#[derive(Debug)]
enum Form {
    /// This very frame.
    Same,
    /// Its plain twin: track 0 only, no ModEx, legacy header where one exists (M-56, M-65, M-66).
    Twin(Box<Frame>),
    /// Nothing: the message holds only further tracks.
    Nothing,
}

impl Frame {
    /// Makes the frame of a message. `tag` is its classification (`None` for data), `chunk_size`
    /// the process-wide outgoing chunk size.
    #[must_use]
    pub fn build(
        body: Body,
        traits: Traits,
        tag: Option<Tag>,
        timestamp_ms: u64,
        chunk_size: u32,
    ) -> Self {
        let plain = tag.map_or(Form::Same, |tag| {
            if !(tag.enhanced || tag.multitrack || tag.mod_ex) {
                return Form::Same;
            }
            match codec::plain(&tag, body.payload()) {
                Plain::Same => Form::Same,
                Plain::Nothing => Form::Nothing,
                Plain::Rewritten(payload) => {
                    let twin_tag = match tag.media {
                        codec::Media::Audio => codec::audio(&payload),
                        codec::Media::Video => codec::video(&payload),
                    };
                    let body = Body::with_payload(&payload);
                    Form::Twin(Box::new(Self::encode(
                        body,
                        traits,
                        twin_tag.ok(),
                        timestamp_ms,
                        chunk_size,
                    )))
                }
            }
        });
        Self {
            plain,
            ..Self::encode(body, traits, tag, timestamp_ms, chunk_size)
        }
    }

    /// Writes the RTMP head into the head room and the tail behind the payload.
    fn encode(
        body: Body,
        traits: Traits,
        tag: Option<Tag>,
        timestamp_ms: u64,
        chunk_size: u32,
    ) -> Self {
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let marks = if traits.header && !(tag.is_none() && is_clear(body.payload())) {
            Mark::all_of(tag.as_ref(), body.payload())
        } else {
            Box::default()
        };
        let head = wire_head(traits.lane, timestamp_ms, 1);
        let first = first_head(&head, len);
        let first = first.as_slice();
        let separator = next_head(&head);
        let separator = separator.as_slice();
        let mut buf = body.into_vec();
        buf.extend_from_slice(&len.saturating_add(FLV_TAG_HEAD).to_be_bytes());
        let head_at = HEAD_ROOM.saturating_sub(first.len());
        for (slot, byte) in buf.iter_mut().skip(head_at).zip(first) {
            *slot = *byte;
        }
        let mut more = [0; MORE_MAX];
        for (slot, byte) in more.iter_mut().zip(separator) {
            *slot = *byte;
        }
        Self {
            marks,
            buf: buf.into_boxed_slice(),
            head_at: u8::try_from(head_at).unwrap_or(0),
            more,
            more_len: u8::try_from(separator.len().min(MORE_MAX)).unwrap_or(0),
            chunk_size,
            separators: len.saturating_sub(1) / chunk_size.max(1),
            timestamp_ms,
            traits,
            tag,
            plain: Form::Same,
        }
    }

    /// The same, known as the first of its track's codec that no header has announced: players
    /// that had another codec on that track need its header again when it comes back (M-11).
    #[must_use]
    pub fn bare(mut self) -> Self {
        let payload = self.payload();
        self.marks = Mark::all_of(self.tag.as_ref(), payload);
        if let Form::Twin(twin) = self.plain {
            self.plain = Form::Twin(Box::new(twin.bare()));
        }
        self
    }

    /// The same message at another time: what a late joiner or a skipped player gets of a header.
    #[must_use]
    pub fn restamped(&self, timestamp_ms: u64) -> Self {
        let timestamp_ms = self.traits.lane.header_ms(timestamp_ms);
        let body = Body::with_payload(self.payload());
        Self::build(body, self.traits, self.tag, timestamp_ms, self.chunk_size)
    }

    /// The message's payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let end = self.buf.len().saturating_sub(TAIL_ROOM);
        self.buf.get(HEAD_ROOM..end).unwrap_or_default()
    }

    /// Milliseconds on the stream's repaired clock; the wire carries the low 32 bits.
    #[must_use]
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// What kind of frame it is.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// How it was classified; `None` for data.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// What a player knows once it has this frame; nothing for all media but [`Frame::bare`].
    #[must_use]
    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// A player may be spared it, or knows more once it has it.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !self.marks.is_empty()
    }

    /// See [`Frame::bare`].
    #[must_use]
    pub fn is_bare(&self) -> bool {
        !self.traits.header && self.is_news()
    }

    /// It only tells the server to forget the metadata; no player gets it (C-90).
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.traits.header && self.tag.is_none() && is_clear(self.payload())
    }

    /// What a player without E-RTMP gets: this frame, its twin, or nothing.
    #[must_use]
    pub fn plain(&self) -> Option<&Self> {
        match &self.plain {
            Form::Same => Some(self),
            Form::Twin(twin) => Some(twin),
            Form::Nothing => None,
        }
    }

    /// Process memory the frame holds, twin included, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let twin = match &self.plain {
            Form::Twin(twin) => twin.memory_bytes(),
            Form::Same | Form::Nothing => 0,
        };
        self.buf.len() + size_of::<Self>() + size_of_val(&*self.marks) + twin
    }

    /// Length on the RTMP wire under `stamp`, in bytes.
    #[must_use]
    pub fn wire_len(&self, stamp: Stamp) -> usize {
        let payload = self.payload().len();
        let separators = usize::try_from(self.separators).unwrap_or(usize::MAX);
        let (head, more) = self.head_lens(stamp);
        head + payload + separators * more
    }

    /// Length of the first head and of one separator under `stamp`.
    fn head_lens(&self, stamp: Stamp) -> (usize, usize) {
        let wire_ms = wire_ms(self.timestamp_ms.saturating_sub(stamp.base_ms));
        let extended = if wire_ms >= EXTENDED_FROM { 4 } else { 0 };
        (FIRST_HEAD + extended, NEXT_HEAD + extended)
    }

    /// Adds the wire bytes from offset `skip` on to `out`, as many as fit, and says how many.
    /// `heads` replaces the frame's own heads: what [`Frame::write_heads`] wrote.
    pub fn gather<'a>(
        &'a self,
        heads: Option<Heads<'a>>,
        mut skip: usize,
        out: &mut Gather<'a>,
    ) -> usize {
        let before = out.bytes();
        let payload_at = HEAD_ROOM;
        let end = self.buf.len().saturating_sub(TAIL_ROOM);
        let mut piece = |bytes: &'a [u8]| {
            if skip >= bytes.len() {
                skip -= bytes.len();
                return true;
            }
            let rest = bytes.get(skip..).unwrap_or_default();
            skip = 0;
            out.push(rest)
        };
        let own_more = self.more.get(..usize::from(self.more_len));
        let mut chunk_end = end.min(payload_at + self.chunk_bytes());
        let (more, mut open) = match heads {
            Some(Heads { first, next }) => {
                let chunk = self.buf.get(payload_at..chunk_end).unwrap_or_default();
                (next, piece(first) && piece(chunk))
            }
            None => {
                let chunk = self.buf.get(usize::from(self.head_at)..chunk_end);
                let open = piece(chunk.unwrap_or_default());
                (own_more.unwrap_or_default(), open)
            }
        };
        while open && chunk_end < end {
            let next_end = end.min(chunk_end + self.chunk_bytes());
            let chunk = self.buf.get(chunk_end..next_end).unwrap_or_default();
            open = piece(more) && piece(chunk);
            chunk_end = next_end;
        }
        out.bytes() - before
    }

    /// Appends the frame's first head and its separator under `stamp`.
    pub fn write_heads(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let len = u32::try_from(self.payload().len()).unwrap_or(u32::MAX);
        let at_ms = self.timestamp_ms.saturating_sub(stamp.base_ms);
        let head = wire_head(self.traits.lane, at_ms, stamp.stream_id);
        out.extend_from_slice(first_head(&head, len).as_slice());
        out.extend_from_slice(next_head(&head).as_slice());
    }

    /// Takes the heads that [`Frame::write_heads`] wrote from the front of `written`.
    pub fn split_heads<'a>(&self, stamp: Stamp, written: &mut &'a [u8]) -> Option<Heads<'a>> {
        let (first_len, next_len) = self.head_lens(stamp);
        let (first, rest) = written.split_at_checked(first_len)?;
        let (next, rest) = rest.split_at_checked(next_len)?;
        *written = rest;
        Some(Heads { first, next })
    }

    /// The outgoing chunk size it was made for.
    #[must_use]
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    fn chunk_bytes(&self) -> usize {
        usize::try_from(self.chunk_size.max(1)).unwrap_or(usize::MAX)
    }
}

impl Stamp {
    /// The shared heads as they are.
    pub const SHARED: Self = Self {
        stream_id: 1,
        base_ms: 0,
    };
}

impl Lane {
    /// The time a header of this lane is sent with when the media around it is at `media_ms`.
    ///
    /// Metadata always says 0: at any other time ffmpeg takes it for a subtitle stream, and then a
    /// recorder that copies all streams waits for that stream's next packet for ever.
    #[must_use]
    pub fn header_ms(self, media_ms: u64) -> u64 {
        match self {
            Self::Data => 0,
            Self::Audio | Self::Video => media_ms,
        }
    }

    /// The message kind that carries it.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Audio => Kind::Audio,
            Self::Video => Kind::Video,
            Self::Data => Kind::DataAmf0,
        }
    }
}

/// The chunk head of a media message on `stream_id`.
pub(super) fn wire_head(lane: Lane, timestamp_ms: u64, stream_id: u32) -> Head {
    let csid = match lane {
        Lane::Audio => csid::AUDIO,
        Lane::Video => csid::VIDEO,
        Lane::Data => csid::DATA,
    };
    Head {
        csid,
        timestamp: wire_ms(timestamp_ms),
        kind: lane.kind(),
        stream_id,
    }
}

/// The wire's 32 bits of a 64-bit time: it wraps after 49.7 days (K-37).
#[allow(
    clippy::cast_possible_truncation,
    reason = "the wire clock wraps by definition"
)]
fn wire_ms(timestamp_ms: u64) -> u32 {
    timestamp_ms as u32
}

/// Basic header 1 + message header 11.
const FIRST_HEAD: usize = 12;

/// Basic header 1.
const NEXT_HEAD: usize = 1;

/// From here on a timestamp takes the extended field (K-04).
const EXTENDED_FROM: u32 = 0xFF_FFFF;

/// Basic header 1 + extended timestamp 4: our chunk stream ids are below 64.
const MORE_MAX: usize = 5;

/// Bytes of an FLV tag head, counted in the previous tag size.
const FLV_TAG_HEAD: u32 = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ReaderLimits;
    use crate::rtmp::chunk::ChunkReader;

    fn frame(len: usize, timestamp_ms: u64, chunk_size: u32) -> Frame {
        let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let traits = Traits {
            lane: Lane::Video,
            join: true,
            header: false,
        };
        Frame::build(
            Body::with_payload(&payload),
            traits,
            None,
            timestamp_ms,
            chunk_size,
        )
    }

    fn wire(frame: &Frame, stamp: Stamp, skip: usize, step: usize) -> Vec<u8> {
        let mut written = Vec::new();
        frame.write_heads(stamp, &mut written);
        let mut rest = &written[..];
        let heads = frame.split_heads(stamp, &mut rest);
        assert!(rest.is_empty());
        let heads = heads.filter(|_| stamp != Stamp::SHARED);
        let mut out = Vec::new();
        let mut skip = skip;
        while skip < frame.wire_len(stamp) {
            let mut gather = Gather::new();
            frame.gather(heads, skip, &mut gather);
            let bytes: Vec<u8> = gather.slices().iter().flat_map(|s| s.to_vec()).collect();
            let take = bytes.len().min(step);
            out.extend_from_slice(&bytes[..take]);
            skip += take;
        }
        out
    }

    fn read_back(bytes: &[u8], chunk_size: u32) -> (u32, u32, Vec<u8>) {
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        reader.set_chunk_size(chunk_size).unwrap();
        let mut input = bytes;
        let message = reader.read(&mut input).unwrap().unwrap();
        assert!(input.is_empty());
        (
            message.timestamp,
            message.stream_id,
            message.payload().to_vec(),
        )
    }

    #[test]
    fn the_gathered_bytes_read_back_as_the_message_at_every_size_and_time() {
        for len in [0, 1, 127, 128, 129, 59_999, 60_000, 60_001, 200_000] {
            for ts in [0_u64, 0xFF_FFFE, 0xFF_FFFF, 0x1_0000_0000 + 5] {
                for chunk in [128, 60_000] {
                    let f = frame(len, ts, chunk);
                    let bytes = wire(&f, Stamp::SHARED, 0, usize::MAX);
                    assert_eq!(bytes.len(), f.wire_len(Stamp::SHARED));
                    let (timestamp, stream_id, payload) = read_back(&bytes, chunk);
                    assert_eq!(u64::from(timestamp), ts & 0xFFFF_FFFF);
                    assert_eq!((stream_id, &payload[..]), (1, f.payload()));
                }
            }
        }
    }

    #[test]
    fn short_writes_of_any_size_give_the_same_bytes() {
        let f = frame(1_000, 0x0131_2D00, 128);
        let whole = wire(&f, Stamp::SHARED, 0, usize::MAX);
        for step in [1, 2, 3, 7, 16, 129, 500] {
            assert_eq!(wire(&f, Stamp::SHARED, 0, step), whole, "step {step}");
        }
        for skip in 0..whole.len() {
            assert_eq!(
                wire(&f, Stamp::SHARED, skip, usize::MAX),
                whole[skip..],
                "skip {skip}"
            );
        }
    }

    #[test]
    fn a_stamp_changes_stream_id_and_time_and_nothing_else() {
        for (ts, base_ms) in [
            (90_000, 0),
            (90_000, 80_000),
            (20_000_000, 19_999_990),
            (5, 9),
        ] {
            let f = frame(300, ts, 128);
            let stamp = Stamp {
                stream_id: 7,
                base_ms,
            };
            let bytes = wire(&f, stamp, 0, 5);
            assert_eq!(bytes.len(), f.wire_len(stamp));
            let (timestamp, stream_id, payload) = read_back(&bytes, 128);
            let expected = ts.saturating_sub(base_ms) as u32;
            assert_eq!(
                (timestamp, stream_id, &payload[..]),
                (expected, 7, f.payload())
            );
        }
    }
}
