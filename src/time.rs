//! `Millis`: the one clock value of the program, handed down from the event loop.
//!
//! Invariant: nothing below the worker reads a clock; every `now` is a `Millis` that came in as
//! an argument, so tests may run at any speed and start at any uptime.

use std::ops::{Add, Sub};

/// Milliseconds on the process's monotonic clock, counted from its start. 64 bits: it never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// A deadline that no clock reaches.
    pub const NEVER: Self = Self(u64::MAX);

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Millis {
    type Output = Self;

    fn add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Sub<u64> for Millis {
    type Output = Self;

    fn sub(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}
