//! `Lane`: which messages of one kind a player has got, and which are missing so far.
//!
//! Invariant: holes lie below `due`, do not overlap, and stand in the order in which they were
//! found; a number is in a hole or came. A hole is kept open for a while because its message may
//! only be late.

/// The messages of one kind, by their numbers among that kind.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Its sequence header came.
    pub(super) header: bool,
    /// A message came.
    pub(super) started: bool,
    timestamp: Option<u32>,
    /// The first number that is owed.
    first: u64,
    /// What comes next; `None` before anything is known.
    due: Option<u64>,
    holes: Vec<Hole>,
}

/// Numbers that did not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    from: u64,
    /// The number behind the last missing one: it came instead, or late.
    pub(super) to: u64,
}

impl Hole {
    /// How many are missing.
    pub(super) fn missing(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// What a message was in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Due, or beyond it.
    New,
    /// Missed before, or older than the first one that is owed.
    Late,
    /// It had come already.
    Again,
}

impl Lane {
    /// The number that comes next, if that is known.
    pub(super) fn due(&self) -> Option<u64> {
        self.due
    }

    /// The first number that is owed.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// What is owed begins with `own`, unless it began already.
    pub(super) fn begin(&mut self, own: u64) {
        if self.due.is_none() {
            (self.first, self.due) = (own, Some(own));
        }
    }

    /// Number `own` came.
    pub(super) fn take(&mut self, own: u64) -> Taken {
        self.begin(own);
        let due = self.due.unwrap_or(own);
        if own >= due {
            if own > due {
                self.holes.push(Hole { from: due, to: own });
            }
            self.due = Some(own.saturating_add(1));
            return Taken::New;
        }
        match self.hole_of(own) {
            Some(place) => {
                self.fill(place, own);
                Taken::Late
            }
            None if own < self.first => Taken::Late,
            None => Taken::Again,
        }
    }

    /// Something came that cannot be identified: it is taken for what was due.
    pub(super) fn take_unknown(&mut self) {
        self.due = self.due.map(|due| due.saturating_add(1));
    }

    /// Whether that number is missing so far.
    pub(super) fn lacks(&self, own: u64) -> bool {
        self.hole_of(own).is_some()
    }

    /// Gives up the oldest holes, all but `keep`.
    pub(super) fn settle(&mut self, keep: usize) -> Vec<Hole> {
        let end = self.holes.len().saturating_sub(keep);
        self.holes.drain(..end).collect()
    }

    /// Takes the timestamp of a message in order; the one before, if it was higher.
    pub(super) fn time(&mut self, after: u32) -> Option<u32> {
        let before = self.timestamp.replace(after)?;
        // Timestamps wrap: the upper half of the differences is behind.
        (after.wrapping_sub(before) > u32::MAX / 2).then_some(before)
    }

    fn hole_of(&self, own: u64) -> Option<usize> {
        let holds = |hole: &Hole| (hole.from..hole.to).contains(&own);
        self.holes.iter().position(holds)
    }

    fn fill(&mut self, place: usize, own: u64) {
        let hole = self.holes.remove(place);
        let parts = [
            Hole { to: own, ..hole },
            Hole {
                from: own.saturating_add(1),
                ..hole
            },
        ];
        let left = parts.into_iter().filter(|part| part.missing() > 0);
        self.holes.splice(place..place, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_known_until_it_comes_late() {
        let mut lane = Lane::default();
        let taken: Vec<Taken> = [5, 6, 10, 8, 8, 4, 11, 5]
            .map(|own| lane.take(own))
            .to_vec();
        use Taken::{Again, Late, New};
        assert_eq!(taken, [New, New, New, Late, Again, Late, New, Again]);
        assert!(lane.lacks(7) && lane.lacks(9) && !lane.lacks(8));
        assert_eq!(lane.due(), Some(12));
        let holes = [Hole { from: 7, to: 8 }, Hole { from: 9, to: 10 }];
        assert_eq!(lane.settle(1), holes[..1]);
        assert_eq!(lane.settle(0), holes[1..]);
        assert_eq!(lane.settle(0), []);
    }

    #[test]
    fn what_is_owed_begins_where_it_was_said_to() {
        let mut lane = Lane::default();
        lane.begin(3);
        lane.begin(9);
        assert_eq!(lane.take(5), Taken::New);
        assert_eq!(lane.settle(0), [Hole { from: 3, to: 5 }]);
    }

    #[test]
    fn something_unknown_takes_the_place_of_what_was_due() {
        let mut lane = Lane::default();
        lane.take_unknown();
        assert_eq!(lane.due(), None);
        lane.take(2);
        lane.take_unknown();
        assert_eq!(lane.take(4), Taken::New);
        assert_eq!(lane.settle(0), []);
    }

    #[test]
    fn a_timestamp_falls_only_below_the_one_before() {
        let mut lane = Lane::default();
        let fell = [7, 7, 5, 6, u32::MAX, 3].map(|ms| lane.time(ms));
        assert_eq!(fell, [None, None, Some(7), None, Some(6), None]);
    }
}
