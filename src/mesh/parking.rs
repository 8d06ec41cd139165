//! Parking: how a sleeping worker is woken without a system call for an awake one.
//!
//! Invariant: whenever the receiver sleeps in its poll with a letter in its inbox, some sender has
//! claimed its wake. It is the store-buffer (Dekker) pattern: each side writes one place, then
//! reads the other's, and at least one of them must see the other. No release/acquire pair gives
//! that; only the two `SeqCst` fences do, whatever the channel guarantees by itself.
//! DESIGN §5.7. `tests/parking_model.rs` runs this very code under loom.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The protocol around one flag; one per inbox, shared by its receiver and all its senders.
#[derive(Debug, Default)]
pub struct Parking<F> {
    /// Up while the receiver may be asleep and nobody has claimed its wake.
    asleep: F,
}

impl<F: Flag> Parking<F> {
    /// A parking place whose receiver is awake.
    pub fn new(lowered: F) -> Self {
        Self { asleep: lowered }
    }

    /// The receiver, before a poll that may block: announces its sleep, then looks once more.
    /// After the poll, whatever ended it, it must call [`Parking::unpark`].
    #[must_use]
    pub fn park(&self, inbox_is_empty: impl FnOnce() -> bool) -> Park {
        self.asleep.swap(true);
        // Receiver's half of the pair: the flag must be visible before the inbox is read. Without
        // it the read may overtake the swap, find nothing, and the sender finds the flag down.
        self.asleep.fence();
        if inbox_is_empty() {
            return Park::Sleep;
        }
        self.asleep.swap(false);
        Park::Poll
    }

    /// The receiver, after the poll. A sender that claimed a wake meanwhile costs one empty turn.
    pub fn unpark(&self) {
        self.asleep.swap(false);
    }

    /// A sender, after its letter is in the inbox: whether it is the one that must ring.
    #[must_use]
    pub fn claim_wake(&self) -> bool {
        // Sender's half of the pair: the letter must be in the inbox before the flag is read.
        // Without it the read may overtake the send and miss a receiver that saw no letter.
        self.asleep.fence();
        // Read before swapping: the flag of an awake receiver stays shared in every cache.
        self.asleep.is_raised() && self.asleep.swap(false)
    }
}

/// What the receiver may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Park {
    /// Block in the poll until an event, a bell or the next deadline.
    Sleep,
    /// Letters wait: poll with a zero timeout.
    Poll,
}

/// The atomic under [`Parking`]: the machine's own, or loom's in the model. Everything may be
/// relaxed but the fence, which carries the argument.
pub trait Flag {
    /// Relaxed load.
    fn is_raised(&self) -> bool;
    /// Relaxed swap; returns what the flag was. The receiver could do with stores, but loom (0.7)
    /// lets a store come between the read and the write of another thread's swap and would then
    /// report wakes lost that no machine loses. Beside a poll, a swap costs nothing.
    fn swap(&self, raised: bool) -> bool;
    /// A `SeqCst` fence.
    fn fence(&self);
}

impl Flag for AtomicBool {
    fn is_raised(&self) -> bool {
        self.load(Ordering::Relaxed)
    }

    fn swap(&self, raised: bool) -> bool {
        self.swap(raised, Ordering::Relaxed)
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_rung_and_only_once() {
        let parking = Parking::new(AtomicBool::new(false));
        assert!(!parking.claim_wake());
        assert_eq!(parking.park(|| true), Park::Sleep);
        assert!(parking.claim_wake());
        assert!(!parking.claim_wake());
    }

    #[test]
    fn a_receiver_that_finds_a_letter_does_not_sleep_and_is_not_rung() {
        let parking = Parking::new(AtomicBool::new(false));
        assert_eq!(parking.park(|| false), Park::Poll);
        assert!(!parking.claim_wake());
    }

    #[test]
    fn a_receiver_back_from_its_poll_is_not_rung() {
        let parking = Parking::new(AtomicBool::new(false));
        assert_eq!(parking.park(|| true), Park::Sleep);
        parking.unpark();
        assert!(!parking.claim_wake());
    }
}
