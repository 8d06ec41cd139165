//! A cursor and a log: what one player is given.

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
