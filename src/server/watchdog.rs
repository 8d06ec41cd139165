//! The watchdog: a thread that looks at each worker's pulse and ends the process when one is stuck.
//!
//! Invariants: it counts only time in which it was awake itself, so a process that was stopped, or
//! a machine that was, does not look like a stuck worker; it says once that a worker is stuck and
//! once that it goes on. Half a server is worse than a restart (RELIABILITY F3, F4).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::abort;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::ids::WorkerId;
use crate::worker::{Beat, Pulse, Step};

/// What the watchdog knows of one worker.
#[derive(Debug)]
pub(super) struct Patient {
    pub(super) id: WorkerId,
    pub(super) pulse: Arc<Pulse>,
    /// `PROCESS/task/THREAD`, once its thread runs.
    pub(super) task: Arc<OnceLock<PathBuf>>,
}

/// Starts the thread; it ends when the sender at the other end of `stop` is dropped.
///
/// # Errors
/// The system starts no thread.
pub(super) fn start(patients: Vec<Patient>, stop: Receiver<()>) -> io::Result<()> {
    thread::Builder::new()
        .name("watchdog".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || watch(&patients, &stop))
        .map(drop)
}

fn watch(patients: &[Patient], stop: &Receiver<()>) {
    let mut watches: Vec<Watch> = patients.iter().map(|_| Watch::default()).collect();
    loop {
        let begun = Instant::now();
        match stop.recv_timeout(Duration::from_millis(TICK_MS)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let slept_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (patient, watch) in patients.iter().zip(&mut watches) {
            let beat = patient.pulse.beat();
            let (id, step) = (patient.id.0, beat.step);
            match watch.look(beat, slept_ms) {
                Finding::Well => {}
                Finding::Stuck => log::warn!(
                    "worker {id} has been stuck for {STUCK_MS} ms, {step}; {}",
                    kernel_view(patient)
                ),
                Finding::GoesOn { after_ms } => {
                    log::warn!("worker {id} goes on after about {after_ms} ms");
                }
                Finding::Dead => {
                    log::error!(
                        "worker {id} has been stuck for {DEAD_MS} ms, {step}; {}; stopping the \
                         process, its core dump has the backtrace of thread worker-{id}",
                        kernel_view(patient)
                    );
                    abort();
                }
            }
        }
    }
}

/// What the kernel says of the thread: whether it runs or waits, and in which call.
fn kernel_view(patient: &Patient) -> String {
    let Some(task) = patient.task.get() else {
        return "its thread is unknown".to_owned();
    };
    let read = |file: &str| {
        let path = PathBuf::from("/proc").join(task).join(file);
        fs::read_to_string(path).unwrap_or_default()
    };
    let status = read("status");
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .map_or("unknown", str::trim);
    match read("wchan").trim() {
        "" | "0" => format!("thread state {state}"),
        wchan => format!("thread state {state} in {wchan}"),
    }
}

/// One worker as it was seen last.
#[derive(Debug, Default)]
struct Watch {
    seen: Option<Beat>,
    stuck_ms: u64,
}

/// What a look at a worker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Well,
    /// For [`STUCK_MS`], just now.
    Stuck,
    GoesOn {
        after_ms: u64,
    },
    /// For [`DEAD_MS`].
    Dead,
}

impl Watch {
    /// A look, `slept_ms` after the one before.
    fn look(&mut self, beat: Beat, slept_ms: u64) -> Finding {
        let before_ms = self.stuck_ms;
        if beat.step == Step::Parked || self.seen != Some(beat) {
            self.seen = Some(beat);
            self.stuck_ms = 0;
            return if before_ms >= STUCK_MS {
                Finding::GoesOn {
                    after_ms: before_ms,
                }
            } else {
                Finding::Well
            };
        }
        self.stuck_ms += slept_ms.min(2 * TICK_MS);
        if self.stuck_ms >= DEAD_MS {
            Finding::Dead
        } else if before_ms < STUCK_MS && self.stuck_ms >= STUCK_MS {
            Finding::Stuck
        } else {
            Finding::Well
        }
    }
}

/// How often it looks, in ms.
const TICK_MS: u64 = 100;
/// A worker this long in one step is reported, in ms (RELIABILITY §4).
const STUCK_MS: u64 = 1_000;
/// This long in one step ends the process, in ms.
const DEAD_MS: u64 = 10_000;
const STACK_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(turn: u64, step: Step) -> Beat {
        Beat { turn, step }
    }

    /// What a worker in this step of one turn gets in so many looks.
    fn looks(watch: &mut Watch, step: Step, count: usize) -> Vec<Finding> {
        (0..count)
            .map(|_| watch.look(beat(7, step), 100))
            .filter(|finding| *finding != Finding::Well)
            .collect()
    }

    #[test]
    fn a_stuck_worker_is_told_once_and_is_dead_after_ten_seconds() {
        let mut watch = Watch::default();
        assert_eq!(looks(&mut watch, Step::Flush, 10), []);
        assert_eq!(looks(&mut watch, Step::Flush, 90), [Finding::Stuck]);
        assert_eq!(looks(&mut watch, Step::Flush, 1), [Finding::Dead]);
    }

    #[test]
    fn a_worker_that_goes_on_is_told_and_has_its_patience_back() {
        let mut watch = Watch::default();
        assert_eq!(looks(&mut watch, Step::Read, 21), [Finding::Stuck]);
        let on = watch.look(beat(7, Step::Accept), 100);
        assert_eq!(on, Finding::GoesOn { after_ms: 2_000 });
        assert_eq!(looks(&mut watch, Step::Accept, 99), [Finding::Stuck]);
    }

    #[test]
    fn a_parked_worker_may_sleep_for_ever_and_a_busy_one_turn() {
        let mut watch = Watch::default();
        assert_eq!(looks(&mut watch, Step::Parked, 10_000), []);
        for turn in 0..10_000 {
            assert_eq!(watch.look(beat(turn, Step::Flush), 100), Finding::Well);
        }
    }

    #[test]
    fn a_process_that_was_stopped_for_an_hour_is_not_stuck() {
        let mut watch = Watch::default();
        watch.look(beat(7, Step::Read), 100);
        assert_eq!(watch.look(beat(7, Step::Read), 3_600_000), Finding::Well);
    }
}
