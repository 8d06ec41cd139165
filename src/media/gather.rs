//! `Gather`: slices of frames and control bytes on their way into one `writev`.
//!
//! Invariant: `bytes` is the sum of the lengths of the slices held; a slice is either held whole
//! or not at all.

use std::io::IoSlice;

use arrayvec::ArrayVec;

/// Up to [`Gather::SLICES_MAX`] byte slices for one vectored write. Lives on the stack.
#[derive(Debug)]
pub struct Gather<'a> {
    slices: ArrayVec<IoSlice<'a>, SLICES_MAX>,
    bytes: usize,
}

impl<'a> Gather<'a> {
    /// Slices of one write. The kernel takes 1,024; 128 keep the array at 2 KiB of stack, and a
    /// flush that owes more writes twice.
    pub const SLICES_MAX: usize = SLICES_MAX;

    /// Bytes after which no further frame is added: more than a player's send buffer takes.
    pub const BYTES_MAX: usize = 512 << 10;

    /// An empty gather.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self {
            slices: ArrayVec::new(),
            bytes: 0,
        }
    }

    /// Adds a slice. `false` when there is no room: nothing was added.
    #[must_use]
    #[inline]
    pub fn push(&mut self, bytes: &'a [u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let is_held = self.slices.try_push(IoSlice::new(bytes)).is_ok();
        if is_held {
            self.bytes += bytes.len();
        }
        is_held
    }

    /// Nothing more should be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slices.is_full() || self.bytes >= Self::BYTES_MAX
    }

    /// Sum of all slices, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slices, in order.
    #[must_use]
    pub fn slices(&self) -> &[IoSlice<'a>] {
        &self.slices
    }
}

impl Default for Gather<'_> {
    fn default() -> Self {
        Self::new()
    }
}

const SLICES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_in_order_whole_and_bounded_however_many_there_are() {
        let pieces: Vec<Vec<u8>> = (1..=200).map(|len| vec![len; usize::from(len)]).collect();
        for count in 0..=200 {
            let mut gather = Gather::new();
            let taken = pieces
                .iter()
                .take(count)
                .filter(|piece| gather.push(piece))
                .count();
            assert_eq!(taken, count.min(Gather::SLICES_MAX));
            let slices: Vec<&[u8]> = gather.slices().iter().map(|slice| &**slice).collect();
            assert!(slices.iter().eq(pieces.iter().take(taken)), "{count}");
            assert_eq!(gather.bytes(), slices.concat().len());
            assert!(gather.push(&[]), "nothing always fits");
            assert_eq!(gather.slices().len(), taken);
        }
    }
}
