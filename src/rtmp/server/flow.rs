//! How much a peer sent: acknowledgements owed and messages left to send.
//!
//! Invariant: both depend on the bytes and on `now` only, not on how the bytes were cut (I-03).
//! PROTOCOL K-31, K-32, U-11; INTEROP 41, 42.

use crate::time::Millis;

/// Counts received bytes and says when an acknowledgement is due.
pub(super) struct Acks {
    /// Bytes since the connection began, handshake included.
    received: u64,
    /// Value of the last acknowledgement: a place every cut of the input passes through.
    acked: u64,
    /// Half the peer's window; `None` = it wants no acknowledgements.
    step: Option<u64>,
}

impl Acks {
    /// Some encoders block until acknowledged though they never named a window (INTEROP 41).
    pub(super) fn new() -> Self {
        let mut acks = Self {
            received: 0,
            acked: 0,
            step: None,
        };
        acks.set_window(WINDOW_MAX);
        acks
    }

    /// The peer's window. A tiny one must not make an acknowledgement per byte, a huge one not
    /// none at all (INTEROP 42).
    pub(super) fn set_window(&mut self, window: u32) {
        let step = u64::from(window.clamp(WINDOW_MIN, WINDOW_MAX) / 2);
        self.step = (window != 0).then_some(step);
    }

    pub(super) fn count(&mut self, bytes: usize) {
        self.received = self.received.wrapping_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The next acknowledgement to send, if one is due.
    pub(super) fn due(&mut self) -> Option<u32> {
        let Some(step) = self.step else {
            self.acked = self.received;
            return None;
        };
        let next = self.acked.wrapping_add(step);
        if self.received < next {
            return None;
        }
        self.acked = next;
        u32::try_from(next & u64::from(u32::MAX)).ok()
    }
}

/// A bucket that fills with `per_second` messages a second and holds two seconds' worth.
pub(super) struct Budget {
    per_second: u32,
    /// Thousandths of a message.
    left: u64,
    filled: Millis,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Millis) -> Self {
        let full = u64::from(per_second) * 2_000;
        Self {
            per_second,
            left: full,
            filled: now,
        }
    }

    /// Takes `cost` thousandths of a message. `false` = the budget is spent.
    pub(super) fn spend(&mut self, cost: u64, now: Millis) -> bool {
        let rate = u64::from(self.per_second);
        let gained = now.since(self.filled).saturating_mul(rate);
        self.left = self.left.saturating_add(gained).min(rate * 2_000);
        self.filled = self.filled.max(now);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// Smallest window taken at its word, in bytes.
const WINDOW_MIN: u32 = 32 << 10;
/// Largest, and what is assumed when none was named.
const WINDOW_MAX: u32 = 2_500_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(acks: &mut Acks) -> Vec<u32> {
        std::iter::from_fn(|| acks.due()).collect()
    }

    #[test]
    fn an_acknowledgement_is_due_each_half_window_however_the_bytes_are_cut() {
        let mut whole = Acks::new();
        whole.count(2_600_000);
        let mut cut = Acks::new();
        let mut seen = Vec::new();
        for _ in 0..2_600 {
            cut.count(1_000);
            seen.extend(all(&mut cut));
        }
        assert_eq!(seen, [1_250_000, 2_500_000]);
        assert_eq!(all(&mut whole), seen);
    }

    #[test]
    fn a_window_of_one_byte_makes_no_storm_and_a_huge_one_still_acknowledges() {
        let mut acks = Acks::new();
        acks.set_window(1);
        acks.count(65_536);
        assert_eq!(all(&mut acks), [16_384, 32_768, 49_152, 65_536]);
        acks.set_window(u32::MAX);
        acks.count(1_250_000);
        assert_eq!(all(&mut acks), [1_315_536]);
    }

    #[test]
    fn a_window_of_zero_wants_none() {
        let mut acks = Acks::new();
        acks.set_window(0);
        acks.count(10_000_000);
        assert_eq!(acks.due(), None);
        acks.set_window(65_536);
        assert_eq!(acks.due(), None, "what came meanwhile is not made up for");
    }

    #[test]
    fn the_value_wraps_at_2_to_the_32() {
        let mut acks = Acks::new();
        acks.received = u64::from(u32::MAX);
        acks.acked = acks.received - 1_249_999;
        acks.count(1);
        assert_eq!(all(&mut acks), [0]);
    }

    #[test]
    fn a_budget_allows_a_burst_and_then_its_rate() {
        let mut budget = Budget::new(100, Millis(0));
        assert!((0..200).all(|_| budget.spend(1_000, Millis(0))));
        assert!(!budget.spend(1_000, Millis(0)));
        assert!(budget.spend(1_000, Millis(10)));
        assert!(!budget.spend(1_000, Millis(19)));
        assert!(budget.spend(1_000, Millis(20)));
        assert!(!budget.spend(1_000, Millis(0)), "time does not run backwards");
    }
}
