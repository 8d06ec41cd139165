//! `Timeline`: the timestamps of one stream, repaired once for all players.
//!
//! Invariant: for each lane and track the times handed out never go back, whatever comes in. Times
//! are 64-bit milliseconds inside; the wire carries their low 32 bits, so they pass 2^24, 2^31 and
//! 2^32 without a special case (PROTOCOL K-37, K-41; RELIABILITY §2 rows 8 and 9).
//!
//! A publication's own clock is kept (K-38): only a step back of more than [`BACK_STEP_MAX_MS`]
//! (an encoder that restarted its clock) or a resumed stream moves the offset.

use super::frame::Lane;
use crate::time::Millis;

/// Where a resumed stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The last timestamp players were given, in ms.
    pub clock_ms: u64,
    /// When that was.
    pub at: Millis,
}

/// Repairs the timestamps of one publication. See the module head.
#[derive(Debug)]
pub struct Timeline {
    audio: Clock,
    video: Clock,
    /// Set until the first audio or video message of a resumed stream.
    resume: Option<Resume>,
    /// Highest time handed out, in ms.
    latest_ms: u64,
    /// Last time handed out per lane and track; tracks from 15 up share the last place.
    floor_ms: [[u64; TRACKS]; 2],
}

/// The unwrapped clock of one lane.
#[derive(Debug, Default)]
struct Clock {
    /// Last wire timestamp and its unwrapped value; `None` before the first message.
    last: Option<(u32, i64)>,
    /// Added to the unwrapped value.
    offset_ms: i64,
}

impl Timeline {
    /// A new stream (`None`: times pass as they come) or one that continues.
    #[must_use]
    pub fn new(resume: Option<Resume>) -> Self {
        Self {
            audio: Clock::default(),
            video: Clock::default(),
            resume,
            latest_ms: resume.map_or(0, |r| r.clock_ms),
            floor_ms: [[resume.map_or(0, |r| r.clock_ms); TRACKS]; 2],
        }
    }

    /// The highest time handed out so far, in ms.
    #[must_use]
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    /// The time players get for a message that carries `wire_ms`.
    ///
    /// Data has no clock of its own: encoders stamp metadata with 0 whatever the media says, so it
    /// takes the time of the media around it. `track` is `None` for a message with many tracks.
    pub fn stamp(&mut self, lane: Lane, track: Option<u8>, wire_ms: u32, now: Millis) -> u64 {
        let (lane_index, out_ms) = match lane {
            Lane::Data => {
                let media_seen = self.audio.last.is_some() || self.video.last.is_some();
                if !media_seen && self.resume.is_none() {
                    return u64::from(wire_ms);
                }
                return self.latest_ms;
            }
            Lane::Audio => (0, self.advance(lane, wire_ms, now)),
            Lane::Video => (1, self.advance(lane, wire_ms, now)),
        };
        let Some(floors_ms) = self.floor_ms.get_mut(lane_index) else {
            return out_ms;
        };
        let floors_ms = match track {
            Some(track) => {
                let track = usize::from(track).min(TRACKS - 1);
                floors_ms.get_mut(track..=track).unwrap_or_default()
            }
            None => &mut floors_ms[..],
        };
        let out_ms = floors_ms.iter().copied().fold(out_ms, u64::max);
        floors_ms.fill(out_ms);
        self.latest_ms = self.latest_ms.max(out_ms);
        out_ms
    }

    /// Unwraps `wire_ms` on its lane's clock and applies the offset.
    fn advance(&mut self, lane: Lane, wire_ms: u32, now: Millis) -> u64 {
        let latest_ms = i64::try_from(self.latest_ms).unwrap_or(i64::MAX);
        let (clock, other) = match lane {
            Lane::Video => (&mut self.video, &self.audio),
            Lane::Audio | Lane::Data => (&mut self.audio, &self.video),
        };
        let shared = other.last.is_some().then_some(other.offset_ms);
        let in_ms = match clock.last {
            Some((last_wire_ms, last_ms)) => {
                let step_ms = i64::from(wire_ms.wrapping_sub(last_wire_ms).cast_signed());
                let in_ms = last_ms + step_ms;
                if !(-BACK_STEP_MAX_MS..=LEAP_MAX_MS).contains(&step_ms) {
                    clock.offset_ms = restart_offset(in_ms, shared, latest_ms, RESTART_STEP_MS);
                }
                in_ms
            }
            None => {
                let in_ms = i64::from(wire_ms);
                if let Some(resume) = self.resume {
                    let gap_ms = i64::try_from(now.since(resume.at)).unwrap_or(0);
                    clock.offset_ms =
                        restart_offset(in_ms, shared, latest_ms, gap_ms.max(RESTART_STEP_MS));
                }
                in_ms
            }
        };
        clock.last = Some((wire_ms, in_ms));
        u64::try_from(in_ms + clock.offset_ms).unwrap_or(0)
    }
}

/// The offset with which a clock that starts anew continues `step_ms` after `latest_ms`: the other
/// lane's where that fits, so that audio and video stay in step, else one of its own.
fn restart_offset(in_ms: i64, shared: Option<i64>, latest_ms: i64, step_ms: i64) -> i64 {
    if let Some(offset_ms) = shared {
        let lead_ms = in_ms + offset_ms - latest_ms;
        if (-LANE_SKEW_MAX_MS..=LANE_SKEW_MAX_MS).contains(&lead_ms) {
            return offset_ms;
        }
    }
    latest_ms + step_ms - in_ms
}

/// A lane that steps back further than this has restarted its clock; less is jitter and is clamped.
const BACK_STEP_MAX_MS: i64 = 3_000;

/// A lane that leaps ahead further than this has restarted its clock too: in serial arithmetic a
/// step back of more than 2^31 ms, such as to 0, is one ahead.
const LEAP_MAX_MS: i64 = 24 * 3_600_000;

/// Step from the last time before a restart to the first after it: one frame at 25 fps.
const RESTART_STEP_MS: i64 = 40;

/// How far apart audio and video may be and still count as one clock.
const LANE_SKEW_MAX_MS: i64 = 3_000;

const TRACKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn video(t: &mut Timeline, ms: u32) -> u64 {
        t.stamp(Lane::Video, Some(0), ms, Millis(0))
    }

    #[test]
    fn a_fresh_stream_keeps_its_own_clock() {
        let mut t = Timeline::new(None);
        assert_eq!(video(&mut t, 20_000_000), 20_000_000);
        assert_eq!(
            t.stamp(Lane::Audio, Some(0), 20_000_010, Millis(0)),
            20_000_010
        );
        assert_eq!(t.stamp(Lane::Data, Some(0), 0, Millis(0)), 20_000_010);
    }

    #[test]
    fn time_passes_two_to_the_32_without_going_back() {
        let mut t = Timeline::new(None);
        let mut last = video(&mut t, u32::MAX - 100);
        let mut wire = u32::MAX - 100;
        for _ in 0..20 {
            wire = wire.wrapping_add(40);
            let out = video(&mut t, wire);
            assert_eq!(out, last + 40);
            last = out;
        }
        assert!(last > u64::from(u32::MAX));
    }

    #[test]
    fn a_small_step_back_is_clamped_and_a_large_one_continues_the_clock() {
        let mut t = Timeline::new(None);
        assert_eq!(video(&mut t, 10_000), 10_000);
        assert_eq!(video(&mut t, 9_000), 10_000);
        assert_eq!(video(&mut t, 10_040), 10_040);
        assert_eq!(video(&mut t, 0), 10_080);
        assert_eq!(video(&mut t, 40), 10_120);
    }

    #[test]
    fn audio_and_video_stay_in_step_when_the_encoder_restarts_its_clock() {
        let mut t = Timeline::new(None);
        video(&mut t, 50_000);
        t.stamp(Lane::Audio, Some(0), 50_010, Millis(0));
        let v = video(&mut t, 0);
        let a = t.stamp(Lane::Audio, Some(0), 15, Millis(0));
        assert_eq!(a, v + 15);
    }

    #[test]
    fn a_resumed_stream_continues_after_the_gap_that_passed() {
        let resume = Resume {
            clock_ms: 8_000,
            at: Millis(100_000),
        };
        let mut t = Timeline::new(Some(resume));
        assert_eq!(t.stamp(Lane::Data, Some(0), 0, Millis(102_500)), 8_000);
        assert_eq!(t.stamp(Lane::Video, Some(0), 0, Millis(102_500)), 10_500);
        assert_eq!(t.stamp(Lane::Audio, Some(0), 20, Millis(102_510)), 10_520);
        assert_eq!(t.stamp(Lane::Video, Some(0), 40, Millis(102_540)), 10_540);
    }

    #[test]
    fn random_times_never_go_back() {
        let mut t = Timeline::new(None);
        let mut x = 0x2545_F491_u32;
        let mut last = [0_u64; 2];
        for i in 0..10_000_usize {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            let lane = if i % 2 == 0 { Lane::Audio } else { Lane::Video };
            let out = t.stamp(lane, Some(0), x, Millis(i as u64));
            assert!(out >= last[i % 2], "step {i}: {out} after {}", last[i % 2]);
            last[i % 2] = out;
        }
    }
}
