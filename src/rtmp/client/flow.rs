//! `Flow`: what keeps the two ends of a connection satisfied with each other: acks and pings.
//!
//! Invariant: `acked ≤ received`; at most one ack is owed at a time, and its window is never below
//! `WINDOW_MIN`, so a server cannot make a client send acks in a storm (K-31, Z-26).

use crate::time::Millis;

/// Counters of one connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Bytes taken from the server in all, handshake included.
    received: u64,
    /// Value of `received` when the last ack was sent.
    acked: u64,
    /// Bytes after which the server wants an ack; `None`: it wants none.
    window: Option<u32>,
    /// The window we told the server last (K-34).
    told: Option<u32>,
    /// Start of the second in which `pings` are counted.
    second: Millis,
    /// Pings of that second.
    pings: u32,
}

impl Flow {
    pub(super) fn new(now: Millis) -> Self {
        Self {
            received: 0,
            acked: 0,
            window: Some(WINDOW_DEFAULT),
            told: None,
            second: now,
            pings: 0,
        }
    }

    /// Counts bytes taken from the server. The number for an ack, when one is due (K-32).
    #[allow(
        clippy::cast_possible_truncation,
        reason = "an ack carries the count modulo 2^32"
    )]
    pub(super) fn receive(&mut self, bytes: usize) -> Option<u32> {
        self.received = self
            .received
            .wrapping_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let half = u64::from(self.window? / 2);
        if self.received.wrapping_sub(self.acked) < half {
            return None;
        }
        self.acked = self.received;
        Some(self.received as u32)
    }

    /// The server's window for our acks; 0 means it wants none.
    pub(super) fn set_window(&mut self, bytes: u32) {
        self.window = (bytes != 0).then(|| bytes.max(WINDOW_MIN));
    }

    /// The server limits what it lets us send unacknowledged. The window to tell it, when it
    /// differs from what it was told last.
    pub(super) fn limit_peer(&mut self, bytes: u32) -> Option<u32> {
        if self.told == Some(bytes) {
            return None;
        }
        self.told = Some(bytes);
        Some(bytes)
    }

    /// Counts a ping. How many this second holds, when that is more than `PINGS_MAX` (U-11).
    pub(super) fn ping(&mut self, now: Millis) -> Option<u32> {
        if now.since(self.second) >= 1_000 {
            self.second = now;
            self.pings = 0;
        }
        self.pings = self.pings.saturating_add(1);
        (self.pings > PINGS_MAX).then_some(self.pings)
    }
}

/// Ack window of a server that names none (INTEROP 41).
const WINDOW_DEFAULT: u32 = 2_500_000;
/// Smallest window followed.
const WINDOW_MIN: u32 = 4_096;
/// Most pings answered in one second (U-11).
pub(super) const PINGS_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_due_at_half_the_window_and_counts_from_there() {
        let mut flow = Flow::new(Millis(0));
        flow.set_window(10_000);
        assert_eq!(flow.receive(4_999), None);
        assert_eq!(flow.receive(1), Some(5_000));
        assert_eq!(flow.receive(4_999), None);
        assert_eq!(flow.receive(5_001), Some(15_000));
    }

    #[test]
    fn a_tiny_window_is_raised_and_a_window_of_zero_asks_for_no_acks() {
        let mut flow = Flow::new(Millis(0));
        flow.set_window(1);
        assert_eq!(flow.receive(2_047), None);
        assert_eq!(flow.receive(1), Some(2_048));
        flow.set_window(0);
        assert_eq!(flow.receive(100_000_000), None);
    }

    #[test]
    fn the_count_of_an_ack_wraps_at_2_to_the_32() {
        let mut flow = Flow::new(Millis(0));
        assert_eq!(
            flow.receive(usize::try_from(u32::MAX).unwrap()),
            Some(u32::MAX)
        );
        assert_eq!(flow.receive(2_500_000), Some(2_499_999));
    }

    #[test]
    fn the_same_peer_bandwidth_is_answered_once() {
        let mut flow = Flow::new(Millis(0));
        assert_eq!(flow.limit_peer(5_000_000), Some(5_000_000));
        assert_eq!(flow.limit_peer(5_000_000), None);
        assert_eq!(flow.limit_peer(2_500_000), Some(2_500_000));
    }

    #[test]
    fn the_hundred_and_first_ping_of_a_second_is_one_too_many() {
        let mut flow = Flow::new(Millis(7));
        for _ in 0..PINGS_MAX {
            assert_eq!(flow.ping(Millis(1_006)), None);
        }
        assert_eq!(flow.ping(Millis(1_006)), Some(PINGS_MAX + 1));
        assert_eq!(flow.ping(Millis(1_007)), None);
    }
}
