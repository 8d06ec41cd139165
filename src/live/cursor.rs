//! `Cursor`: a player's place in a log.
//!
//! Invariants: a frame once begun is finished (`partial` keeps it alive past eviction), so the byte
//! stream stays valid; headers go out before the first frame after a join or a skip (PROTOCOL
//! G-14); after a skip video resumes at a join point only (G-13).
//!
//! One flush is `prepare`, `gather`, `advance`; `prepare` must precede `gather`, and `advance`
//! takes what the socket took of that very gather.

use std::sync::Arc;

use crate::config::GopCache;
use crate::ids::Seq;
use crate::live::Log;
use crate::media::{Frame, Gather, Headers, Lane, Stamp, Taste};
use crate::time::Millis;

/// A player's place. See the module head.
#[derive(Debug)]
pub struct Cursor {
    /// The next frame to look at.
    next: Seq,
    /// The frame cut by a short write.
    partial: Option<Partial>,
    /// Headers are due before the next frame.
    fresh: bool,
    gate: Gate,
    audio: bool,
    video: bool,
    stamp: Stamp,
    /// The player's clock starts at its first frame (`--player-clock zero`), not yet sent.
    zero_at_first: bool,
}

/// What video may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Everything.
    Open,
    /// Nothing until a join point.
    Key,
    /// One join point as a still picture, then `Key` at the live edge (`--gop-cache key`).
    Still,
}

#[derive(Debug)]
struct Partial {
    frame: Arc<Frame>,
    /// The plain twin of `frame` is what is being sent.
    plain: bool,
    /// 0 < sent < wire length
    sent: usize,
}

/// How far a player may fall behind before it skips.
#[derive(Clone, Copy, Debug)]
pub struct LagLimits {
    /// Age of its next frame, in ms (`--max-lag`).
    pub ms: u64,
    /// Wire bytes to the live edge (`--max-lag-bytes`).
    pub bytes: u64,
}

/// What a player of one stream is served from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The stream's frames on this worker.
    pub log: &'a Log,
    /// The newest headers.
    pub headers: &'a Headers,
    /// What the player can take.
    pub taste: &'a Taste,
}

impl Cursor {
    /// Places a new player: at the newest join point, or at the live edge waiting for the next.
    #[must_use]
    pub fn join(log: &Log, cache: GopCache, stream_id: u32) -> Self {
        let (next, gate) = match (cache, log.newest_join()) {
            (GopCache::Full, Some(join)) => (join, Gate::Key),
            (GopCache::Key, Some(join)) => (join, Gate::Still),
            (GopCache::Off, _) | (_, None) => (log.head(), Gate::Key),
        };
        Self {
            next,
            partial: None,
            fresh: true,
            gate,
            audio: true,
            video: true,
            stamp: Stamp {
                stream_id,
                base_ms: 0,
            },
            zero_at_first: false,
        }
    }

    /// The player's clock starts at 0 with the first frame it gets, headers included.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.zero_at_first = true;
        self
    }

    /// Goes to the newest join point again, as after a pause (C-71).
    pub fn rejoin(&mut self, log: &Log, cache: GopCache) {
        self.next = match (cache, log.newest_join()) {
            (GopCache::Full, Some(join)) if join >= self.next => join,
            _ => log.head(),
        };
        (self.gate, self.fresh) = (Gate::Key, true);
    }

    /// receiveAudio, receiveVideo (C-73). Switching video on waits for a join point.
    pub fn receive(&mut self, audio: Option<bool>, video: Option<bool>) {
        self.audio = audio.unwrap_or(self.audio);
        if video == Some(true) && !self.video {
            self.gate = Gate::Key;
            self.fresh = true;
        }
        self.video = video.unwrap_or(self.video);
    }

    /// Brings the cursor to the next frame that is owed: skips when it lags too far, steps over
    /// what the player does not get, and writes headers to `control` where they are due.
    /// Returns the number of frames lost to a skip.
    pub fn prepare(
        &mut self,
        source: Source<'_>,
        limits: LagLimits,
        now: Millis,
        control: &mut Vec<u8>,
    ) -> u64 {
        if self.partial.is_some() {
            return 0;
        }
        let lost = self.skip(source.log, limits, now);
        let mut walk = self.walk(source);
        let first = walk
            .next()
            .map(|owed| (owed.seq, owed.frame.timestamp_ms()));
        (self.next, self.gate) = match first {
            Some((seq, _)) => (seq, walk.gate_before),
            None => (Seq(walk.seq), walk.gate),
        };
        if let Some((seq, timestamp_ms)) = first
            && self.fresh
        {
            let headers = source
                .log
                .headers_at(seq)
                .map_or(source.headers, Arc::as_ref);
            if std::mem::take(&mut self.zero_at_first) {
                self.stamp.base_ms = timestamp_ms;
            }
            headers.write(source.taste, timestamp_ms, self.stamp, control);
            self.fresh = false;
        }
        lost
    }

    fn skip(&mut self, log: &Log, limits: LagLimits, now: Millis) -> u64 {
        if !self.is_behind(log, limits, now) {
            return 0;
        }
        let evicted = self.next < log.first();
        let target = match log.newest_join() {
            Some(join) if join > self.next => join,
            _ if evicted => log.head(),
            _ => return 0,
        };
        self.gate = Gate::Key;
        let lost = target.0 - self.next.0;
        self.next = target;
        self.fresh = true;
        lost
    }

    /// It lies further back than it may: once the cut frame is finished, it has to skip.
    #[must_use]
    pub fn is_behind(&self, log: &Log, limits: LagLimits, now: Millis) -> bool {
        self.next < log.first()
            || log.lag_ms(self.next, now) > limits.ms
            || log.lag_bytes(self.next) > limits.bytes
    }

    /// A frame has been begun and not finished: nothing else may be written before its rest.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.partial.is_some()
    }

    /// Nothing is owed: the cursor stands at the live edge.
    #[must_use]
    pub fn is_drained(&self, log: &Log) -> bool {
        self.partial.is_none() && self.next >= log.head()
    }

    /// Adds slices of at most `frames_max` frames that are owed (1: just the rest of a cut one).
    /// `heads` is scratch for players whose heads differ from the shared ones (another message
    /// stream than 1, a clock of their own) and must be empty before.
    pub fn gather<'a>(
        &'a self,
        source: Source<'a>,
        frames_max: usize,
        heads: &'a mut Vec<u8>,
        out: &mut Gather<'a>,
    ) {
        let frames_max = frames_max.min(Gather::SLICES_MAX);
        let own_heads = self.stamp != Stamp::SHARED;
        if own_heads {
            for frame in self.owed(source).take(frames_max) {
                frame.write_heads(self.stamp, heads);
            }
        }
        let mut written: &'a [u8] = heads;
        let mut skip = self.partial.as_ref().map_or(0, |partial| partial.sent);
        for frame in self.owed(source).take(frames_max) {
            let heads = if own_heads {
                frame.split_heads(self.stamp, &mut written)
            } else {
                None
            };
            if out.is_full() || own_heads && heads.is_none() {
                return;
            }
            let wanted = frame.wire_len(self.stamp) - skip;
            if frame.gather(heads, skip, out) < wanted {
                return;
            }
            skip = 0;
        }
    }

    /// Appends what is owed of a cut frame: for a player that leaves in the middle of it.
    pub fn write_rest(&self, out: &mut Vec<u8>) {
        let Some(partial) = &self.partial else { return };
        let Some(frame) = partial.form() else { return };
        let mut written = Vec::new();
        frame.write_heads(self.stamp, &mut written);
        let heads = frame.split_heads(self.stamp, &mut written.as_slice());
        let heads = heads.filter(|_| self.stamp != Stamp::SHARED);
        let mut sent = partial.sent;
        while sent < frame.wire_len(self.stamp) {
            let mut gather = Gather::new();
            sent += frame.gather(heads, sent, &mut gather);
            for slice in gather.slices() {
                out.extend_from_slice(slice);
            }
        }
    }

    /// Every frame owed, the cut one first, in the form it is sent. Headers that have become due
    /// behind a cut frame are for the next `prepare`: nothing may go ahead of them.
    fn owed<'a>(&'a self, source: Source<'a>) -> impl Iterator<Item = &'a Frame> {
        let cut = self.partial.as_ref().and_then(Partial::form);
        let rest = if self.fresh && cut.is_some() {
            None
        } else {
            Some(self.walk(source))
        };
        cut.into_iter()
            .chain(rest.into_iter().flatten().map(|owed| owed.frame))
    }

    /// Takes note that the socket took `written` bytes of the last gather.
    pub fn advance(&mut self, source: Source<'_>, mut written: usize) {
        if let Some(partial) = &mut self.partial {
            let stamp = self.stamp;
            let left = partial.form().map_or(0, |form| form.wire_len(stamp)) - partial.sent;
            if written < left {
                partial.sent += written;
                return;
            }
            written -= left;
            self.partial = None;
        }
        let mut place = (self.next, self.gate);
        let mut cut = None;
        let mut walk = self.walk(source);
        while written > 0 {
            let Some(owed) = walk.next() else { break };
            place = (Seq(walk.seq), walk.gate);
            let len = owed.frame.wire_len(self.stamp);
            if written < len {
                cut = source.log.frame(owed.seq).map(|whole| Partial {
                    frame: Arc::clone(whole),
                    plain: owed.plain,
                    sent: written,
                });
                break;
            }
            written -= len;
        }
        // After the still picture: headers may have passed between it and the live edge (G-14).
        self.fresh |= self.gate == Gate::Still && place.1 == Gate::Key;
        (self.next, self.gate) = place;
        self.partial = cut;
    }

    fn walk<'a>(&self, source: Source<'a>) -> Walk<'a> {
        Walk {
            source,
            seq: self.next.0,
            gate: self.gate,
            gate_before: self.gate,
            audio: self.audio,
            video: self.video,
        }
    }
}

impl Partial {
    fn form(&self) -> Option<&Frame> {
        if self.plain {
            self.frame.plain()
        } else {
            Some(&self.frame)
        }
    }
}

/// The frames a player gets, from its place on. `seq` and `gate` are where it stands after the
/// frame last yielded.
struct Walk<'a> {
    source: Source<'a>,
    seq: u64,
    gate: Gate,
    gate_before: Gate,
    audio: bool,
    video: bool,
}

struct Owed<'a> {
    seq: Seq,
    frame: &'a Frame,
    plain: bool,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Owed<'a>;

    fn next(&mut self) -> Option<Owed<'a>> {
        loop {
            let seq = Seq(self.seq);
            let whole = self.source.log.frame(seq)?;
            self.gate_before = self.gate;
            self.seq += 1;
            if !self.passes(whole) {
                continue;
            }
            let Some(frame) = self.source.taste.choose(whole) else {
                continue;
            };
            if self.gate == Gate::Still && whole.traits().join {
                let head = self.source.log.head().0.max(self.seq);
                // A picture at the live edge is no still: what follows belongs to it.
                let live = self.seq == head && whole.traits().lane == Lane::Video;
                self.gate = if live { Gate::Open } else { Gate::Key };
                self.seq = head;
            }
            let plain = !std::ptr::eq(frame, Arc::as_ref(whole));
            return Some(Owed { seq, frame, plain });
        }
    }
}

impl Walk<'_> {
    fn passes(&mut self, frame: &Frame) -> bool {
        let traits = frame.traits();
        if traits.header {
            return true;
        }
        // Audio starts at a join point of its own, but opens no gate: video may be in mid-GOP.
        let key = traits.join && traits.lane == Lane::Video;
        if key && self.gate == Gate::Key {
            self.gate = Gate::Open;
        }
        match traits.lane {
            Lane::Data => true,
            Lane::Audio => self.audio,
            Lane::Video => self.video && (self.gate == Gate::Open || key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Enhanced, Multitrack};
    use crate::limits::ReaderLimits;
    use crate::live::LogLimits;
    use crate::live::tests::{LIMITS, fill, frame, inter, key, sound};
    use crate::rtmp::caps::Caps;
    use crate::rtmp::chunk::ChunkReader;

    const NEVER: LagLimits = LagLimits {
        ms: u64::MAX,
        bytes: u64::MAX,
    };

    /// A stream's log and its only player.
    struct Bench {
        log: Log,
        headers: Arc<Headers>,
        taste: Taste,
        reader: ChunkReader,
    }

    impl Bench {
        fn new(limits: LogLimits, frames: &[Arc<Frame>]) -> Self {
            let taste = Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable);
            let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
            reader.set_chunk_size(128).unwrap();
            let mut bench = Self {
                log: Log::new(limits),
                headers: Arc::default(),
                taste,
                reader,
            };
            bench.push(frames);
            bench
        }

        fn push(&mut self, frames: &[Arc<Frame>]) {
            fill(&mut self.log, &mut self.headers, frames, Millis(0));
        }

        /// One flush of at most `budget` bytes: timestamp and first byte of what arrives whole.
        fn flush(&mut self, cursor: &mut Cursor, limits: LagLimits, budget: usize) -> Vec<Seen> {
            let source = Source {
                log: &self.log,
                headers: &self.headers,
                taste: &self.taste,
            };
            let (mut control, mut heads) = (Vec::new(), Vec::new());
            cursor.prepare(source, limits, Millis(0), &mut control);
            let mut gather = Gather::new();
            cursor.gather(source, usize::MAX, &mut heads, &mut gather);
            let slices = gather.slices().iter();
            let mut bytes: Vec<u8> = slices.flat_map(|slice| slice.to_vec()).collect();
            bytes.truncate(budget);
            drop(gather);
            cursor.advance(source, bytes.len());
            control.append(&mut bytes);
            let mut input = control.as_slice();
            let mut seen = Vec::new();
            while let Some(message) = self.reader.read(&mut input).unwrap() {
                seen.push((message.timestamp, message.payload()[..2].to_vec()));
            }
            seen
        }

        fn flush_all(&mut self, cursor: &mut Cursor) -> Vec<Seen> {
            self.flush(cursor, NEVER, usize::MAX)
        }
    }

    type Seen = (u32, Vec<u8>);

    fn config() -> Arc<Frame> {
        frame(Lane::Video, false, true, 0)
    }

    fn times(seen: &[Seen]) -> Vec<u32> {
        seen.iter().map(|(timestamp, _)| *timestamp).collect()
    }

    #[test]
    fn a_late_joiner_starts_at_the_latest_keyframe() {
        let mut bench = Bench::new(
            LIMITS,
            &[config(), key(40), inter(80), key(120), inter(160)],
        );
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        let seen = bench.flush_all(&mut cursor);
        // The sequence header carries the time of the key frame (K-39).
        assert_eq!(times(&seen), [120, 120, 160]);
        assert_eq!(seen[0].1, [0x17, 0]);
        assert!(cursor.is_drained(&bench.log));
    }

    #[test]
    fn without_a_gop_cache_audio_starts_at_once_and_video_at_the_next_key_frame() {
        let mut bench = Bench::new(LIMITS, &[config(), key(40), inter(80)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Off, 1);
        bench.push(&[inter(120), sound(130), key(160), inter(200)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [130, 130, 160, 200]);
    }

    #[test]
    fn a_still_picture_is_followed_by_the_live_edge() {
        let mut bench = Bench::new(LIMITS, &[config(), key(40), inter(80), inter(120)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Key, 1);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [40, 40]);
        bench.push(&[inter(160), key(200)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [200, 200]);
    }

    #[test]
    fn an_audio_join_point_does_not_let_video_through_in_mid_gop() {
        let join = frame(Lane::Audio, true, false, 80);
        let mut bench = Bench::new(LIMITS, &[key(0), inter(40), join]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        bench.push(&[inter(120), sound(130), key(160)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [80, 130, 160]);
    }

    #[test]
    fn a_slow_player_skips_to_the_newest_key_frame_and_gets_headers_again() {
        let mut bench = Bench::new(LIMITS, &[config(), key(0), inter(40)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        bench.flush_all(&mut cursor);
        bench.push(&[inter(80), config(), key(120), inter(160)]);
        let limits = LagLimits { bytes: 50, ..NEVER };
        let seen = bench.flush(&mut cursor, limits, usize::MAX);
        assert_eq!(times(&seen), [120, 120, 160]);
        assert_eq!(seen[0].1, [0x17, 0]);
    }

    #[test]
    fn a_player_whose_place_was_evicted_waits_for_the_next_key_frame() {
        let mut bench = Bench::new(
            LogLimits {
                frames: 2,
                ..LIMITS
            },
            &[key(0)],
        );
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        bench.push(&[inter(40), inter(80), inter(120)]);
        assert!(bench.flush_all(&mut cursor).is_empty());
        bench.push(&[inter(160), key(200)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [200]);
    }

    #[test]
    fn a_frame_once_begun_is_finished_although_the_log_has_dropped_it() {
        let mut bench = Bench::new(
            LogLimits {
                frames: 2,
                ..LIMITS
            },
            &[key(0)],
        );
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        assert!(bench.flush(&mut cursor, NEVER, 5).is_empty());
        assert!(cursor.is_mid_frame());
        bench.push(&[inter(40), inter(80), key(120)]);
        let mut seen = bench.flush_all(&mut cursor);
        seen.append(&mut bench.flush_all(&mut cursor));
        assert_eq!(times(&seen), [0, 120]);
    }

    #[test]
    fn headers_due_after_a_pause_wait_for_a_cut_frame_and_for_nothing_else() {
        let mut bench = Bench::new(LIMITS, &[config(), key(0)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        assert_eq!(times(&bench.flush(&mut cursor, NEVER, 5)), [0]);
        bench.push(&[config(), key(80)]);
        cursor.rejoin(&bench.log, GopCache::Full);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [0]);
        assert_eq!(bench.flush_all(&mut cursor)[0], (80, vec![0x17, 0]));
    }

    #[test]
    fn video_that_was_switched_off_comes_back_with_a_key_frame() {
        let mut bench = Bench::new(LIMITS, &[key(0)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        bench.flush_all(&mut cursor);
        cursor.receive(None, Some(false));
        bench.push(&[inter(40), sound(50)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [50]);
        cursor.receive(None, Some(true));
        bench.push(&[inter(80), key(120)]);
        assert_eq!(times(&bench.flush_all(&mut cursor)), [120]);
    }
}
