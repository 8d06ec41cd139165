//! `Clock`: microseconds since 1970 that never go back, the same for all threads of a run.
//!
//! Invariant: two processes on one machine read nearly the same time, so one may publish and the
//! other measure; within a process differences are exact.

use std::time::{Duration, Instant, SystemTime};

use crate::time::Millis;

/// Set once at the start and copied to every thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
    base_us: u64,
}

impl Clock {
    /// Reads the wall clock once; from then on time passes at the monotonic clock's pace.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            base: Instant::now(),
            base_us: wall.map_or(0, micros),
        }
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.base_us + self.since_start_us()
    }

    /// Microseconds since `start`.
    #[must_use]
    pub fn since_start_us(&self) -> u64 {
        micros(self.base.elapsed())
    }

    /// The sessions' clock.
    #[must_use]
    pub fn millis(&self) -> Millis {
        Millis(self.since_start_us() / 1_000)
    }
}

/// Whole microseconds; 584,000 years are the most that is told.
#[must_use]
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
