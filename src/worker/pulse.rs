//! `Pulse`: a worker's sign of life.
//!
//! Invariant: the worker writes it at each step of its turn, and only it; a parked worker has said
//! so before it slept. The watchdog reads it and nothing else of the worker.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A worker's sign of life. See the module head.
// A line of its own: the watchdog's look must not cost a neighbour a miss.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Pulse(AtomicU64);

/// What a worker does in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It sleeps until something happens, or has not begun, or has ended.
    Parked,
    /// It reads from sockets and digests what came.
    Read,
    /// It takes newcomers in.
    Accept,
    /// It carries out what other workers wrote.
    Mail,
    /// It looks at deadlines and streams' clocks.
    Timers,
    /// It writes to sockets.
    Flush,
    /// It frees what has ended.
    Reap,
}

/// What a pulse was at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The turn, counted.
    pub turn: u64,
    /// The step of it.
    pub step: Step,
}

impl Pulse {
    /// The worker begins this step.
    pub fn mark(&self, turn: u64, step: Step) {
        // A sign of life orders nothing else.
        self.0
            .store((turn << STEP_BITS) | step as u64, Ordering::Relaxed);
    }

    /// What the worker last said.
    #[must_use]
    pub fn beat(&self) -> Beat {
        let bits = self.0.load(Ordering::Relaxed);
        let place = usize::try_from(bits & ((1 << STEP_BITS) - 1)).unwrap_or(0);
        Beat {
            turn: bits >> STEP_BITS,
            step: STEPS.get(place).copied().unwrap_or(Step::Parked),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parked => "parked",
            Self::Read => "reading",
            Self::Accept => "accepting",
            Self::Mail => "taking mail",
            Self::Timers => "firing timers",
            Self::Flush => "writing",
            Self::Reap => "reaping",
        })
    }
}

const STEPS: [Step; 7] = [
    Step::Parked,
    Step::Read,
    Step::Accept,
    Step::Mail,
    Step::Timers,
    Step::Flush,
    Step::Reap,
];
const STEP_BITS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_what_was_marked() {
        let pulse = Pulse::default();
        assert_eq!(pulse.beat().step, Step::Parked);
        for step in STEPS {
            pulse.mark(1_000_007, step);
            let turn = 1_000_007;
            assert_eq!(pulse.beat(), Beat { turn, step });
        }
    }
}
