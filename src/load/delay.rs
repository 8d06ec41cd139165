//! `Delays`: how long something took, as a distribution.
//!
//! Invariant: three significant digits from 1 µs to 100 s; what takes longer counts as 100 s.

use std::fmt;

use hdrhistogram::Histogram;

/// Durations in microseconds.
#[derive(Clone)]
pub struct Delays {
    /// `None` only if the constant bounds below were no valid histogram.
    histogram: Option<Histogram<u64>>,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, MAX_US, 3).ok(),
        }
    }
}

impl Delays {
    /// Counts one duration.
    pub fn record(&mut self, us: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(us.clamp(1, MAX_US));
        }
    }

    /// Adds another distribution.
    pub fn add(&mut self, other: &Self) {
        if let (Some(own), Some(other)) = (&mut self.histogram, &other.histogram) {
            // The bounds are the same, so nothing can be out of them.
            let _ = own.add(other);
        }
    }

    /// Takes all that was counted, leaving nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let taken = self.clone();
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
        taken
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// Whether none was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// p50, p90, p99 and the maximum; `None` when none was counted.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        let histogram = self
            .histogram
            .as_ref()
            .filter(|histogram| !histogram.is_empty())?;
        Some(Spread {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.50),
            p90_us: histogram.value_at_quantile(0.90),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        })
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delays({:?})", self.spread())
    }
}

/// The usual four numbers of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many were counted.
    pub count: u64,
    /// Half took at most this.
    pub p50_us: u64,
    /// Nine of ten took at most this.
    pub p90_us: u64,
    /// 99 of 100 took at most this.
    pub p99_us: u64,
    /// None took longer.
    pub max_us: u64,
}

/// `0.31 / 0.9 / 12 / 104 ms`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [self.p50_us, self.p90_us, self.p99_us, self.max_us].map(Ms);
        write!(f, "{a} / {b} / {c} / {d} ms")
    }
}

/// Microseconds, shown in milliseconds with as many digits as matter.
#[derive(Clone, Copy, Debug)]
pub struct Ms(pub u64);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 as f64 / 1_000.0;
        let digits = match self.0 {
            0..1_000 => 2,
            1_000..100_000 => 1,
            _ => 0,
        };
        write!(f, "{ms:.digits$}")
    }
}

const MAX_US: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_thousand_are_where_they_should_be() {
        let mut delays = Delays::default();
        (1..=1_000).for_each(|ms| delays.record(ms * 1_000));
        let spread = delays.spread().unwrap();
        let near = |got: u64, wanted: u64| got.abs_diff(wanted) <= wanted / 500;
        assert_eq!(spread.count, 1_000);
        assert!(near(spread.p50_us, 500_000), "{spread:?}");
        assert!(near(spread.p90_us, 900_000), "{spread:?}");
        assert!(near(spread.p99_us, 990_000), "{spread:?}");
        assert!(near(spread.max_us, 1_000_000), "{spread:?}");
    }

    #[test]
    fn nothing_counted_has_no_spread() {
        assert_eq!(Delays::default().spread(), None);
    }

    #[test]
    fn what_is_out_of_bounds_is_counted_at_the_bound() {
        let mut delays = Delays::default();
        delays.record(0);
        delays.record(u64::MAX);
        let spread = delays.spread().unwrap();
        assert_eq!(spread.count, 2);
        assert!(spread.max_us.abs_diff(MAX_US) < MAX_US / 500);
    }

    #[test]
    fn taking_leaves_nothing_and_adding_keeps_the_count() {
        let (mut a, mut b) = (Delays::default(), Delays::default());
        a.record(5);
        b.add(&a.take());
        b.record(9);
        assert!(a.is_empty());
        assert_eq!(b.len(), 2);
    }

    #[test]
    fn milliseconds_have_the_digits_that_matter() {
        let shown = [310, 12_340, 364_000].map(|us| Ms(us).to_string());
        assert_eq!(shown, ["0.31", "12.3", "364"]);
    }
}
