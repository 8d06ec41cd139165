//! `metered`: the one function whose instructions are counted, and what is said of the work in it.

use std::hint::black_box;

/// What one case did while it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// Messages, players, letters: what the case's `unit` says.
    pub(crate) units: usize,
    /// Bytes that went through, 0 where that means nothing.
    pub(crate) bytes: usize,
}

/// A name to be counted by, and the work behind it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What one unit of its work is.
    pub(crate) unit: &'static str,
    /// Prepares, warms up, and does the work within [`metered`].
    pub(crate) run: fn() -> Work,
}

/// Callgrind collects from its beginning to its end. Not generic and never inlined: it has one
/// name, `METERED`.
#[inline(never)]
pub(crate) fn metered(work: &mut dyn FnMut()) {
    work();
    // Work that is called last would be jumped to, and its end would not be this function's.
    black_box(());
}

/// Does it once to warm up, for memory that is asked for only once, and once to be counted.
pub(crate) fn warm_metered(mut work: impl FnMut()) {
    work();
    metered(&mut work);
}

/// How callgrind knows the function above.
pub(crate) const METERED: &str = "counted::meter::metered*";
