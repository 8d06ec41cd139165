//! `Batch`: news of a stream put end to end once, for all players that stand at the same place.
//!
//! Invariant: its bytes are what a level cursor of that taste would gather from `from` to `to`, bit
//! for bit; so a player that took only part of them goes on from its own cursor.
//!
//! A write of 25 slices costs the kernel and the cursor a third more than one of the same bytes in
//! one piece; one copy for 64 players does not count.

use crate::ids::{Seq, StreamRef};
use crate::limits::BATCH_BYTES_MAX;
use crate::live::{Cursor, Source};
use crate::media::{Gather, Stamp, Taste};

/// A stretch of a log as bytes. See the module head.
#[derive(Debug, Default)]
pub struct Batch {
    key: Option<Key>,
    bytes: Vec<u8>,
}

/// Who it is for.
#[derive(Debug)]
struct Key {
    stream: StreamRef,
    from: Seq,
    to: Seq,
    taste: Taste,
}

impl Batch {
    /// Fewest frames worth a copy.
    pub const FRAMES_MIN: u64 = 4;

    /// It is for nobody until it is filled again; the memory stays.
    pub fn clear(&mut self) {
        self.key = None;
        self.bytes.clear();
    }

    /// Empties it, and fills it with what `cursor` is owed if that pays: its player is level, and
    /// owes several frames without headers among them.
    pub fn fill(&mut self, stream: StreamRef, source: Source<'_>, cursor: &Cursor) {
        self.clear();
        let from = cursor.place();
        let owed = source.log.head().0.saturating_sub(from.0);
        if owed < Self::FRAMES_MIN || !cursor.is_level() {
            return;
        }
        self.bytes.reserve_exact(BATCH_BYTES_MAX);
        let mut to = from;
        while let Some(whole) = source.log.frame(to)
            && !whole.is_news()
        {
            if let Some(frame) = source.taste.choose(whole) {
                let len = frame.wire_len(Stamp::SHARED);
                let mut gather = Gather::new();
                if self.bytes.len() + len > BATCH_BYTES_MAX
                    || frame.gather(None, 0, &mut gather) < len
                {
                    break;
                }
                for slice in gather.slices() {
                    self.bytes.extend_from_slice(slice);
                }
            }
            to = Seq(to.0 + 1);
        }
        if to.0 - from.0 >= Self::FRAMES_MIN && !self.bytes.is_empty() {
            self.key = Some(Key {
                stream,
                from,
                to,
                taste: source.taste.clone(),
            });
        }
    }

    /// The bytes, and the place behind them, if they are what this player is owed next.
    #[must_use]
    pub fn for_player(
        &self,
        stream: StreamRef,
        taste: &Taste,
        cursor: &Cursor,
    ) -> Option<(&[u8], Seq)> {
        let key = self.key.as_ref()?;
        let fits = key.stream == stream
            && key.from == cursor.place()
            && cursor.is_level()
            && key.taste == *taste;
        fits.then_some((self.bytes.as_slice(), key.to))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Enhanced, GopCache, Multitrack};
    use crate::live::tests::{LIMITS, fill, frame, inter, key, sound};
    use crate::live::{LagLimits, Log};
    use crate::media::{Frame, Headers, Lane};
    use crate::rtmp::caps::Caps;
    use crate::rtmp::message::Body;
    use crate::time::Millis;

    const STREAM: StreamRef = StreamRef { index: 3, epoch: 7 };

    struct Bench {
        log: Log,
        headers: Arc<Headers>,
        taste: Taste,
    }

    impl Bench {
        /// A stream and a player that has all of it.
        fn new() -> (Self, Cursor) {
            let mut bench = Self {
                log: Log::new(LIMITS),
                headers: Arc::default(),
                taste: Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable),
            };
            bench.push(&[key(0), inter(40)]);
            let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
            bench.take(&mut cursor, usize::MAX);
            (bench, cursor)
        }

        fn push(&mut self, frames: &[Arc<Frame>]) {
            fill(&mut self.log, &mut self.headers, frames, Millis(0));
        }

        fn source(&self) -> Source<'_> {
            Source {
                log: &self.log,
                headers: &self.headers,
                taste: &self.taste,
            }
        }

        fn take(&self, cursor: &mut Cursor, most: usize) -> Vec<u8> {
            let limits = LagLimits {
                ms: u64::MAX,
                bytes: u64::MAX,
            };
            let (mut control, mut heads) = (Vec::new(), Vec::new());
            cursor.prepare(self.source(), limits, Millis(0), &mut control);
            let mut gather = Gather::new();
            cursor.gather(self.source(), usize::MAX, &mut heads, &mut gather);
            let mut bytes: Vec<u8> = gather.slices().iter().flat_map(|s| s.to_vec()).collect();
            drop(gather);
            bytes.truncate(most);
            cursor.advance(self.source(), bytes.len());
            bytes
        }

        fn batch(&self, cursor: &Cursor) -> Batch {
            let mut batch = Batch::default();
            batch.fill(STREAM, self.source(), cursor);
            batch
        }
    }

    #[test]
    fn a_batch_is_what_the_cursor_would_gather() {
        let (mut bench, mut cursor) = Bench::new();
        bench.push(&[sound(50), inter(80), sound(90), inter(120), key(160)]);
        let batch = bench.batch(&cursor);
        let (bytes, to) = batch.for_player(STREAM, &bench.taste, &cursor).unwrap();
        let mut own = Cursor::join(&bench.log, GopCache::Off, 1);
        std::mem::swap(&mut own, &mut cursor);
        assert_eq!(bytes, bench.take(&mut own, usize::MAX));
        assert_eq!((own.place(), own.is_level()), (to, true));
    }

    #[test]
    fn a_batch_ends_at_a_header_and_few_frames_make_none() {
        let (mut bench, cursor) = Bench::new();
        bench.push(&[sound(50), inter(80), sound(90)]);
        let none = bench.batch(&cursor);
        assert!(none.for_player(STREAM, &bench.taste, &cursor).is_none());
        bench.push(&[inter(120), frame(Lane::Video, false, true, 130), key(160)]);
        let batch = bench.batch(&cursor);
        let (_, to) = batch.for_player(STREAM, &bench.taste, &cursor).unwrap();
        assert_eq!(to.0, cursor.place().0 + 4);
    }

    #[test]
    fn a_batch_keeps_to_its_bound() {
        let (mut bench, cursor) = Bench::new();
        let large = || {
            let body = Body::with_payload(&vec![0x27; BATCH_BYTES_MAX / 5]);
            Arc::new(Frame::build(body, inter(80).traits(), None, 80, 60_000))
        };
        bench.push(&[large(), large(), large(), large(), large()]);
        let batch = bench.batch(&cursor);
        let (_, to) = batch.for_player(STREAM, &bench.taste, &cursor).unwrap();
        assert_eq!(to.0, cursor.place().0 + 4, "a fifth would not fit");
        assert!(batch.bytes.capacity() <= BATCH_BYTES_MAX);
    }

    #[test]
    fn a_batch_is_for_nobody_who_stands_elsewhere_or_is_owed_something_else() {
        let (mut bench, cursor) = Bench::new();
        bench.push(&[sound(50), inter(80), sound(90), inter(120)]);
        let batch = bench.batch(&cursor);
        let fits = |stream, taste: &Taste, cursor: &Cursor| {
            batch.for_player(stream, taste, cursor).is_some()
        };
        assert!(fits(STREAM, &bench.taste, &cursor));
        let other = StreamRef { epoch: 8, ..STREAM };
        assert!(!fits(other, &bench.taste, &cursor));
        let picky = Taste::new(&Caps::default(), Enhanced::Strict, Multitrack::Capable);
        assert!(!fits(STREAM, &picky, &cursor));
        let fresh = Cursor::join(&bench.log, GopCache::Full, 1);
        assert!(!fits(STREAM, &bench.taste, &fresh), "it needs headers");
        let (_, mut silent) = Bench::new();
        silent.receive(Some(false), None);
        assert!(!fits(STREAM, &bench.taste, &silent), "it takes no sound");
        let (_, mut cut) = Bench::new();
        assert!(fits(STREAM, &bench.taste, &cut));
        bench.take(&mut cut, 5);
        assert!(!fits(STREAM, &bench.taste, &cut), "it is in mid-frame");
    }
}
