//! `Wire`: where each message ended in the bytes of one player's connection.
//!
//! Invariant: numbers are consecutive; a connection with a gap, or with a fault that changes its
//! bytes, measures nothing.

/// Ends of messages, in bytes since the connection began.
#[derive(Debug, Default)]
pub struct Wire {
    first: u64,
    ends: Vec<u64>,
    broken: bool,
}

impl Wire {
    /// Message `number` ended at `end`.
    pub fn push(&mut self, number: u64, end: u64) {
        if self.ends.is_empty() {
            self.first = number;
        }
        let due = self.first + u64::try_from(self.ends.len()).unwrap_or(u64::MAX);
        self.broken |= number != due;
        self.ends.push(end);
    }

    /// Its bytes are not those that others should have got.
    pub fn spoil(&mut self) {
        self.broken = true;
    }

    /// Number of the first message; `None` when there is none or the row has gaps.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        (!self.broken && !self.ends.is_empty()).then_some(self.first)
    }

    /// Bytes from the end of message `number` to the end of the last.
    #[must_use]
    pub fn bytes_after(&self, number: u64) -> Option<u64> {
        let place = usize::try_from(number.checked_sub(self.first()?)?).ok()?;
        Some(self.ends.last()? - self.ends.get(place)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_from_the_end_of_a_message_to_the_end_of_the_last() {
        let mut wire = Wire::default();
        for (number, end) in [(7, 1_000), (8, 1_500), (9, 1_600)] {
            wire.push(number, end);
        }
        assert_eq!(wire.first(), Some(7));
        assert_eq!(wire.bytes_after(7), Some(600));
        assert_eq!(wire.bytes_after(9), Some(0));
        assert_eq!(wire.bytes_after(6), None);
        assert_eq!(wire.bytes_after(10), None);
    }

    #[test]
    fn a_row_with_a_gap_measures_nothing() {
        let mut wire = Wire::default();
        wire.push(7, 1_000);
        wire.push(9, 1_600);
        assert_eq!(wire.first(), None);
        assert_eq!(wire.bytes_after(7), None);
    }

    #[test]
    fn a_spoiled_row_measures_nothing() {
        let mut wire = Wire::default();
        wire.push(7, 1_000);
        wire.spoil();
        assert_eq!(wire.bytes_after(7), None);
    }
}
