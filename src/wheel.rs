//! Timer wheel: 512 slots of 64 ms, one for everything a worker waits for.
//!
//! Invariant: a token inserted for `at` comes back exactly once, from the first `fire` whose `now`
//! has reached the end of the 64 ms slot that holds `at`: never early, and never lost however late
//! or rarely `fire` is called. Nothing is ever taken out of the wheel. A connection that lives on
//! overwrites its own deadline, and compares and inserts again when the token fires (*lazy
//! re-arm*), so activity costs a store. DESIGN §8 Timers.

use crate::time::Millis;

/// The wheel. `T` is a small token that the caller can tell from a stale one by itself.
#[derive(Debug)]
pub struct Wheel<T> {
    /// Entries by `tick % SLOTS`; one of a later round simply stays when its slot is swept.
    slots: Vec<Vec<Entry<T>>>,
    /// First tick that has not been swept; no entry lies before it.
    cursor: u64,
    /// Tick of the earliest entry; `NO_TICK` when there is none.
    earliest: u64,
    len: usize,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose past ends at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Self {
            slots,
            cursor: now.0 / SLOT_MS,
            earliest: NO_TICK,
            len: 0,
        }
    }

    /// Asks for `token` at `at`, at most one slot (64 ms) late. A time that has passed fires with
    /// the next slot; [`Millis::NEVER`] asks for nothing.
    pub fn insert(&mut self, at: Millis, token: T) {
        if at == Millis::NEVER {
            return;
        }
        // Rounded up, so that a fired token's deadline has always passed.
        let tick = at.0.div_ceil(SLOT_MS).max(self.cursor);
        if let Some(slot) = self.slots.get_mut(slot_of(tick)) {
            slot.push(Entry { tick, token });
            self.len += 1;
            self.earliest = self.earliest.min(tick);
        }
    }

    /// Appends to `due` every token whose slot has passed at `now`, in no promised order. A clock
    /// that stands still or runs back fires nothing.
    pub fn fire(&mut self, now: Millis, due: &mut Vec<T>) {
        let last = now.0 / SLOT_MS;
        if last < self.cursor {
            return;
        }
        let first = self.earliest;
        // What is inserted from here on, even for a time long past, waits for the next slot: a
        // caller that inserts while it works through `due` cannot keep itself busy for ever.
        self.cursor = last.saturating_add(1);
        if first > last {
            return;
        }
        let before = due.len();
        for tick in (first..=last).take(SLOTS) {
            if let Some(slot) = self.slots.get_mut(slot_of(tick)) {
                due.extend(
                    slot.extract_if(.., |entry| entry.tick <= last)
                        .map(|e| e.token),
                );
            }
        }
        self.len -= due.len() - before;
        self.earliest = self.find_earliest();
    }

    /// When the earliest token fires, for the poll's timeout; `None` when the wheel is empty.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        (self.earliest != NO_TICK).then(|| Millis(self.earliest.saturating_mul(SLOT_MS)))
    }

    /// Tokens in the wheel, stale ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Walks one round from the cursor. The first slot with an entry of this very round decides;
    /// only when all entries lie beyond the horizon are all of them looked at.
    fn find_earliest(&self) -> u64 {
        let mut beyond = NO_TICK;
        for tick in (self.cursor..=NO_TICK).take(SLOTS) {
            let slot = self
                .slots
                .get(slot_of(tick))
                .map(Vec::as_slice)
                .unwrap_or_default();
            let earliest = slot.iter().map(|entry| entry.tick).min().unwrap_or(NO_TICK);
            if earliest == tick {
                return tick;
            }
            beyond = beyond.min(earliest);
        }
        beyond
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    tick: u64,
    token: T,
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a remainder by 512 fits every usize"
)]
fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

/// Slots of a round; with 64 ms each the horizon is 32.7 s, beyond every default deadline but
/// those of minutes, which cost one look a round.
const SLOTS: usize = 512;
/// Width of a slot and largest lateness, in ms.
const SLOT_MS: u64 = 64;
/// Beyond every tick a `Millis` can reach.
const NO_TICK: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    const HORIZON_MS: u64 = SLOTS as u64 * SLOT_MS;

    fn fired(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.fire(Millis(now), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn a_token_fires_once_and_never_early() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(100), 7);
        assert_eq!(wheel.next_due(), Some(Millis(128)));
        assert_eq!(fired(&mut wheel, 127), []);
        assert_eq!(fired(&mut wheel, 128), [7]);
        assert_eq!(fired(&mut wheel, 10_000), []);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_deadline_on_the_edge_of_a_slot_is_not_late_at_all() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(64), 1);
        assert_eq!(fired(&mut wheel, 64), [1]);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_waits_for_its_own_round() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(640), 1);
        wheel.insert(Millis(640 + HORIZON_MS), 2);
        wheel.insert(Millis(640 + 3 * HORIZON_MS), 3);
        assert_eq!(fired(&mut wheel, 640), [1]);
        assert_eq!(wheel.next_due(), Some(Millis(640 + HORIZON_MS)));
        assert_eq!(fired(&mut wheel, 640 + HORIZON_MS), [2]);
        assert_eq!(fired(&mut wheel, 639 + 3 * HORIZON_MS), []);
        assert_eq!(fired(&mut wheel, 640 + 3 * HORIZON_MS), [3]);
    }

    #[test]
    fn a_tick_that_comes_days_late_still_finds_everything() {
        let mut wheel = Wheel::new(Millis(5));
        for token in 0..2_000_u32 {
            wheel.insert(Millis(u64::from(token) * 37), token);
        }
        let all: Vec<u32> = (0..2_000).collect();
        assert_eq!(fired(&mut wheel, 86_400_000 * 3), all);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_deadline_in_the_past_fires_with_the_next_slot_and_not_in_the_same_call() {
        let mut wheel = Wheel::new(Millis(0));
        assert_eq!(fired(&mut wheel, 1_000), []);
        wheel.insert(Millis(3), 1);
        assert_eq!(fired(&mut wheel, 1_000), []);
        assert_eq!(wheel.next_due(), Some(Millis(1_024)));
        assert_eq!(fired(&mut wheel, 1_024), [1]);
    }

    #[test]
    fn a_clock_that_runs_back_fires_nothing_and_loses_nothing() {
        let mut wheel = Wheel::new(Millis(10_000));
        wheel.insert(Millis(10_100), 1);
        assert_eq!(fired(&mut wheel, 0), []);
        assert_eq!(fired(&mut wheel, 10_112), [1]);
    }

    #[test]
    fn never_is_not_kept_and_the_end_of_time_is_safe() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis::NEVER, 1);
        assert!(wheel.is_empty());
        wheel.insert(Millis(u64::MAX - 1), 2);
        assert_eq!(fired(&mut wheel, u64::MAX - 64), []);
        assert_eq!(wheel.len(), 1);
        assert!(wheel.next_due().is_some());
    }

    #[test]
    fn an_overwritten_deadline_costs_one_early_look_and_then_fires_on_time() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(1_000), 1);
        let deadline = Millis(5_000);
        for token in fired(&mut wheel, 1_024) {
            wheel.insert(deadline, token);
        }
        assert_eq!(fired(&mut wheel, 4_999), []);
        assert_eq!(fired(&mut wheel, 5_056), [1]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert { in_ms: u64 },
        InsertLate { ago_ms: u64 },
        Advance { ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..40_000_u64).prop_map(|in_ms| Step::Insert { in_ms }),
            1 => (0..4 * HORIZON_MS).prop_map(|in_ms| Step::Insert { in_ms }),
            1 => (0..5_000_u64).prop_map(|ago_ms| Step::InsertLate { ago_ms }),
            4 => (0..300_u64).prop_map(|ms| Step::Advance { ms }),
            1 => (0..3 * HORIZON_MS).prop_map(|ms| Step::Advance { ms }),
        ]
    }

    proptest! {
        #[test]
        fn the_wheel_fires_what_a_heap_fires(
            start in 0..10_000_000_u64,
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut now = Millis(start);
            let mut wheel = Wheel::new(now);
            // The model: (slot end in ms, token), and the end of the last slot that has fired.
            let mut heap = BinaryHeap::new();
            let mut floor = start / SLOT_MS * SLOT_MS;
            for (token, step) in (0_u32..).zip(steps) {
                let at = match step {
                    Step::Insert { in_ms } => Some(now + in_ms),
                    Step::InsertLate { ago_ms } => Some(now - ago_ms),
                    Step::Advance { ms } => {
                        now = now + ms;
                        None
                    }
                };
                if let Some(at) = at {
                    wheel.insert(at, token);
                    heap.push(Reverse((at.0.next_multiple_of(SLOT_MS).max(floor), token)));
                } else {
                    let mut expected = Vec::new();
                    while let Some(&Reverse((end, token))) = heap.peek() && end <= now.0 {
                        expected.push(token);
                        heap.pop();
                    }
                    floor = floor.max(now.0 / SLOT_MS * SLOT_MS + SLOT_MS);
                    expected.sort_unstable();
                    prop_assert_eq!(fired(&mut wheel, now.0), expected);
                }
                prop_assert_eq!(wheel.len(), heap.len());
                prop_assert_eq!(
                    wheel.next_due(),
                    heap.peek().map(|&Reverse((end, _))| Millis(end))
                );
            }
        }
    }
}
