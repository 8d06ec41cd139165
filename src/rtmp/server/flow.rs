//! How much a peer sent: acknowledgements owed and messages left to send.
//!
//! Invariant: both depend on the bytes and on `now` only, not on how the bytes were cut (I-03).
//! PROTOCOL K-31, K-32, U-11; INTEROP 41, 42; RELIABILITY §4 (publisher rate).

use crate::limits::SessionLimits;
use crate::rtmp::Error;
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
        self.received = self
            .received
            .wrapping_add(u64::try_from(bytes).unwrap_or(u64::MAX));
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

/// What a publisher may send: so many bytes and so many messages of media a second.
pub(super) struct MediaBudget {
    mbit_per_second: u32,
    messages_per_second: u32,
    bytes: Budget,
    messages: Budget,
}

impl MediaBudget {
    pub(super) fn new(limits: &SessionLimits, now: Millis) -> Self {
        let (mbit, messages) = (
            limits.media_mbit_per_second,
            limits.media_messages_per_second,
        );
        let bytes_per_second = u64::from(mbit) * 1_000_000 / 8;
        Self {
            mbit_per_second: mbit,
            messages_per_second: messages,
            bytes: Budget::holding(bytes_per_second, BYTES_BURST_MS, now),
            messages: Budget::holding(messages.into(), MESSAGES_BURST_MS, now),
        }
    }

    /// Takes so many messages of so many bytes together.
    pub(super) fn spend(
        &mut self,
        messages: usize,
        bytes: usize,
        now: Millis,
    ) -> Result<(), Error> {
        let thousandths = |n: usize| u64::try_from(n).unwrap_or(u64::MAX).saturating_mul(1_000);
        if !self.bytes.spend(thousandths(bytes), now) {
            return Err(Error::Bitrate {
                mbit_per_second: self.mbit_per_second,
            });
        }
        if !self.messages.spend(thousandths(messages), now) {
            return Err(Error::MessageRate {
                per_second: self.messages_per_second,
            });
        }
        Ok(())
    }
}

/// A bucket that fills with `per_second` units a second.
pub(super) struct Budget {
    per_second: u64,
    /// Thousandths of a unit: what there is and what it can hold.
    left: u64,
    full: u64,
    filled: Millis,
}

impl Budget {
    /// It holds two seconds' worth.
    pub(super) fn new(per_second: u32, now: Millis) -> Self {
        Self::holding(per_second.into(), 2_000, now)
    }

    fn holding(per_second: u64, burst_ms: u64, now: Millis) -> Self {
        let full = per_second.saturating_mul(burst_ms);
        Self {
            per_second,
            left: full,
            full,
            filled: now,
        }
    }

    /// Takes `cost` thousandths of a unit. `false` = the budget is spent.
    pub(super) fn spend(&mut self, cost: u64, now: Millis) -> bool {
        let gained = now.since(self.filled).saturating_mul(self.per_second);
        self.left = self.left.saturating_add(gained).min(self.full);
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

/// How long a publisher may send whatever it likes, in ms of its allowed bytes: a flood is ended
/// within a second, and a key frame of 8 MiB passes at once.
const BYTES_BURST_MS: u64 = 2_000;
/// The same for its messages. Longer, for these are honest: an encoder whose network stood still
/// for just less than `--publish-idle` sends at once what it has kept.
const MESSAGES_BURST_MS: u64 = 10_000;

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
        assert!(
            !budget.spend(1_000, Millis(0)),
            "time does not run backwards"
        );
    }
}
