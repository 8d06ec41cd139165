//! `Counted`: the system's allocator with a count of live bytes and their peak.
//!
//! Invariant: `live` is the sum of the sizes asked for and not given back. The fuzzer runs inputs
//! on one thread, so a mark and a peak belong to the same run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes asked for and not given back.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// Starts a new peak at what is live now, and returns that.
pub(crate) fn mark() -> usize {
    let live = live();
    PEAK.store(live, Relaxed);
    live
}

/// The most that was live since `mark`.
pub(crate) fn peak() -> usize {
    PEAK.load(Relaxed)
}

pub(crate) struct Counted;

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if live > PEAK.load(Relaxed) {
        PEAK.store(live, Relaxed);
    }
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

// SAFETY: every call goes to `System` unchanged; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: `place` came from `System` with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        shrink(layout.size());
        // SAFETY: `place` came from `System` with this layout; the caller vouches for `size`.
        unsafe { System.realloc(place, layout, size) }
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
