//! `Log`: the bounded history of one stream on one worker.
//!
//! Invariants: sequence numbers of the frames held are consecutive; `bytes` is the sum of their
//! memory; every join point still inside is listed in `joins`, in order; `setups` knows the headers
//! that were valid before each frame still inside (PROTOCOL G-08). The log never holds more than
//! [`LogLimits`] says, so it is at once the GOP cache, the slow-player rule and the memory bound
//! (G-04, DESIGN §6.3).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::Seq;
use crate::media::{Frame, Headers, Stamp};
use crate::time::Millis;

/// Bounded frames of one stream. See the module head.
#[derive(Debug)]
pub struct Log {
    entries: VecDeque<Entry>,
    first: Seq,
    joins: VecDeque<Seq>,
    /// The headers valid before a frame, from the place where they became so; the first entry
    /// reaches back to `first`.
    setups: VecDeque<Setup>,
    /// Memory of the frames held, in bytes.
    bytes: usize,
    /// Wire bytes ever pushed: a cursor's lag is a difference of two such sums.
    pushed_bytes: u64,
    limits: LogLimits,
}

/// How much a log may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Most memory, in bytes (`--log-bytes`).
    pub bytes: usize,
    /// Most frames (`--log-frames`; RELIABILITY §4 says 2,500 after SRS's figure).
    pub frames: usize,
    /// History kept for players that lag, in ms (`--max-lag`); frames since the newest join point
    /// stay longer.
    pub lag_ms: u64,
}

#[derive(Debug)]
struct Entry {
    frame: Arc<Frame>,
    /// When it was pushed on this worker.
    at: Millis,
    /// `pushed_bytes` before this frame.
    sum: u64,
}

#[derive(Debug)]
struct Setup {
    from: Seq,
    headers: Arc<Headers>,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new(limits: LogLimits) -> Self {
        Self {
            entries: VecDeque::new(),
            first: Seq(0),
            joins: VecDeque::new(),
            setups: VecDeque::new(),
            bytes: 0,
            pushed_bytes: 0,
            limits,
        }
    }

    /// Appends a frame, then evicts what the limits no longer allow. `headers` are those valid
    /// before this frame.
    pub fn push(&mut self, frame: Arc<Frame>, headers: &Arc<Headers>, now: Millis) -> Seq {
        let seq = self.head();
        if frame.traits().join {
            self.joins.push_back(seq);
        }
        if self
            .setups
            .back()
            .is_none_or(|last| !Arc::ptr_eq(&last.headers, headers))
        {
            self.bytes += if self.setups.is_empty() {
                0
            } else {
                SETUP_BYTES
            };
            self.setups.push_back(Setup {
                from: seq,
                headers: Arc::clone(headers),
            });
        }
        let sum = self.pushed_bytes;
        self.pushed_bytes += u64::try_from(frame.wire_len(Stamp::SHARED)).unwrap_or(0);
        self.bytes += frame.memory_bytes();
        self.entries.push_back(Entry {
            frame,
            at: now,
            sum,
        });
        self.evict(now);
        seq
    }

    fn evict(&mut self, now: Millis) {
        while let Some(front) = self.entries.front() {
            let before_join = self.joins.back().is_some_and(|join| self.first < *join);
            let age_ms = now.since(front.at);
            let stale = age_ms > self.limits.lag_ms && before_join || age_ms > GOP_AGE_MAX_MS;
            let over = self.bytes > self.limits.bytes || self.entries.len() > self.limits.frames;
            if !(stale || over) {
                return;
            }
            self.bytes -= front.frame.memory_bytes();
            self.entries.pop_front();
            self.first = self.first.next();
            while self.joins.front().is_some_and(|join| *join < self.first) {
                self.joins.pop_front();
            }
            while self
                .setups
                .get(1)
                .is_some_and(|next| next.from <= self.first)
            {
                self.setups.pop_front();
                self.bytes -= SETUP_BYTES;
            }
        }
    }

    /// Forgets everything before the live edge: a stream that starts anew.
    pub fn clear(&mut self) {
        self.first = self.head();
        self.entries.clear();
        self.joins.clear();
        self.setups.clear();
        self.bytes = 0;
    }

    /// The place the next frame will get: the live edge.
    #[must_use]
    pub fn head(&self) -> Seq {
        Seq(self.first.0 + self.entries.len() as u64)
    }

    /// The oldest place still held; equals `head` when empty.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The frame at `seq`, if it is still held.
    #[must_use]
    pub fn frame(&self, seq: Seq) -> Option<&Arc<Frame>> {
        self.entry(seq).map(|entry| &entry.frame)
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        let index = usize::try_from(seq.0.checked_sub(self.first.0)?).ok()?;
        self.entries.get(index)
    }

    /// The newest place a player may start at.
    #[must_use]
    pub fn newest_join(&self) -> Option<Seq> {
        self.joins.back().copied()
    }

    /// The headers valid before the frame at `seq`, if it is still held.
    #[must_use]
    pub fn headers_at(&self, seq: Seq) -> Option<&Arc<Headers>> {
        self.entry(seq)?;
        let after = self.setups.partition_point(|setup| setup.from <= seq);
        self.setups
            .get(after.checked_sub(1)?)
            .map(|setup| &setup.headers)
    }

    /// The frames from the newest join point to the live edge, for a snapshot.
    #[must_use]
    pub fn since_join(&self) -> Vec<Arc<Frame>> {
        let Some(join) = self.newest_join() else {
            return Vec::new();
        };
        let skip = usize::try_from(join.0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        self.entries
            .iter()
            .skip(skip)
            .map(|entry| Arc::clone(&entry.frame))
            .collect()
    }

    /// How long the frame at `seq` has been waiting, in ms; 0 at the live edge.
    #[must_use]
    pub fn lag_ms(&self, seq: Seq, now: Millis) -> u64 {
        self.entry(seq).map_or(0, |entry| now.since(entry.at))
    }

    /// Wire bytes from `seq` to the live edge.
    #[must_use]
    pub fn lag_bytes(&self, seq: Seq) -> u64 {
        self.entry(seq)
            .map_or(0, |entry| self.pushed_bytes - entry.sum)
    }

    /// Memory of the frames held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Checks the invariants; tests call it after each step.
    pub fn check(&self) {
        let bytes: usize = self
            .entries
            .iter()
            .map(|entry| entry.frame.memory_bytes())
            .sum();
        let setups = self.setups.len().saturating_sub(1) * SETUP_BYTES;
        assert_eq!(bytes + setups, self.bytes, "byte sum");
        assert!(self.entries.len() <= self.limits.frames, "frame limit");
        let empty = self.entries.is_empty();
        assert!(empty || self.bytes <= self.limits.bytes, "byte limit");
        for join in &self.joins {
            let frame = self.frame(*join);
            assert!(
                frame.is_some_and(|f| f.traits().join),
                "join point {join:?}"
            );
        }
        let joins = self
            .entries
            .iter()
            .filter(|entry| entry.frame.traits().join)
            .count();
        assert_eq!(joins, self.joins.len(), "every join point is listed");
        let reaches = self
            .setups
            .front()
            .is_some_and(|setup| setup.from <= self.first);
        assert!(
            reaches || self.entries.is_empty(),
            "headers of the first frame"
        );
        let rising = self.setups.iter().zip(self.setups.iter().skip(1));
        assert!(
            rising.clone().all(|(a, b)| a.from < b.from),
            "one set of headers a place"
        );
    }
}

/// What each further set of headers is charged with: the list of tracks is copied for it. A
/// publisher that changes them with every frame shortens its own log.
const SETUP_BYTES: usize = 2 << 10;

/// A GOP older than this is not kept for joiners: they would see video from too long ago (G-04).
const GOP_AGE_MAX_MS: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::tests::{LIMITS, fill, frame, inter, key, sound};
    use crate::media::Lane;

    #[test]
    fn the_oldest_frames_go_when_the_log_is_full() {
        let mut log = Log::new(LogLimits {
            frames: 3,
            ..LIMITS
        });
        let frames = [key(0), inter(40), inter(80), inter(120), inter(160)];
        fill(&mut log, &mut Arc::default(), &frames, Millis(0));
        assert_eq!((log.first(), log.head()), (Seq(2), Seq(5)));
        assert_eq!(log.newest_join(), None, "the key frame is gone");
        assert!(log.frame(Seq(1)).is_none() && log.frame(Seq(5)).is_none());
    }

    #[test]
    fn bytes_bound_the_log_too() {
        let bytes = 2 * key(0).memory_bytes();
        let mut log = Log::new(LogLimits { bytes, ..LIMITS });
        fill(
            &mut log,
            &mut Arc::default(),
            &[key(0), key(40), key(80)],
            Millis(0),
        );
        assert_eq!((log.first(), log.memory_bytes()), (Seq(1), bytes));
    }

    #[test]
    fn old_frames_stay_as_long_as_they_are_the_newest_gop() {
        let mut log = Log::new(LogLimits {
            lag_ms: 1_000,
            ..LIMITS
        });
        fill(
            &mut log,
            &mut Arc::default(),
            &[key(0), inter(40)],
            Millis(0),
        );
        fill(
            &mut log,
            &mut Arc::default(),
            &[inter(5_000)],
            Millis(5_000),
        );
        assert_eq!(log.first(), Seq(0));
        fill(&mut log, &mut Arc::default(), &[key(5_040)], Millis(5_040));
        assert_eq!(log.first(), Seq(2));
    }

    #[test]
    fn a_gop_without_end_is_not_kept() {
        let mut log = Log::new(LIMITS);
        fill(&mut log, &mut Arc::default(), &[key(0)], Millis(0));
        fill(
            &mut log,
            &mut Arc::default(),
            &[inter(1)],
            Millis(GOP_AGE_MAX_MS + 1),
        );
        assert_eq!((log.first(), log.newest_join()), (Seq(1), None));
    }

    #[test]
    fn every_place_knows_the_headers_that_were_valid_there() {
        let mut log = Log::new(LogLimits {
            frames: 5,
            ..LIMITS
        });
        let mut headers = Arc::default();
        let config = frame(Lane::Video, false, true, 0);
        fill(
            &mut log,
            &mut headers,
            &[sound(0), config, key(40)],
            Millis(0),
        );
        let held = |log: &Log, seq| log.headers_at(Seq(seq)).map(|h| h.configs().count());
        assert_eq!(
            [held(&log, 0), held(&log, 1), held(&log, 2)],
            [Some(0), Some(0), Some(1)]
        );
        fill(&mut log, &mut headers, &vec![inter(80); 4], Millis(0));
        assert_eq!(
            [held(&log, 1), held(&log, 2), held(&log, 7)],
            [None, Some(1), None]
        );
    }

    #[test]
    fn a_snapshot_begins_at_the_newest_join_point() {
        let mut log = Log::new(LIMITS);
        let frames = [key(0), inter(40), key(80), sound(90), inter(120)];
        fill(&mut log, &mut Arc::default(), &frames, Millis(0));
        let times: Vec<u64> = log.since_join().iter().map(|f| f.timestamp_ms()).collect();
        assert_eq!(times, [80, 90, 120]);
    }
}
