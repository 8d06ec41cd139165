//! `Gather`: slices of frames and control bytes on their way into one `writev`.
//!
//! Invariant: `bytes` is the sum of the lengths of the slices held; a slice is either held whole
//! or not at all.

use std::io::IoSlice;

/// Up to [`Gather::SLICES_MAX`] byte slices for one vectored write. Lives on the stack as long as
/// they are few: a flush at the live edge owes one or two, and clearing and moving room for all of
/// them took a third of its instructions.
#[derive(Debug)]
pub struct Gather<'a> {
    few: [IoSlice<'a>; FEW],
    /// All slices as soon as there are more than `FEW`; empty until then.
    many: Vec<IoSlice<'a>>,
    len: usize,
    bytes: usize,
}

impl<'a> Gather<'a> {
    /// Slices of one write. The kernel takes 1,024; 128 keep the list at 2 KiB, and a flush that
    /// owes more writes twice.
    pub const SLICES_MAX: usize = 128;

    /// Bytes after which no further frame is added: more than a player's send buffer takes.
    pub const BYTES_MAX: usize = 512 << 10;

    /// An empty gather.
    #[must_use]
    pub fn new() -> Self {
        Self {
            few: [IoSlice::new(&[]); FEW],
            many: Vec::new(),
            len: 0,
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
        if self.len == Self::SLICES_MAX {
            return false;
        }
        match self.few.get_mut(self.len) {
            Some(slot) => *slot = IoSlice::new(bytes),
            None => self.push_many(bytes),
        }
        self.len += 1;
        self.bytes += bytes.len();
        true
    }

    #[inline(never)]
    fn push_many(&mut self, bytes: &'a [u8]) {
        if self.many.is_empty() {
            self.many.reserve_exact(Self::SLICES_MAX);
            self.many.extend_from_slice(&self.few);
        }
        self.many.push(IoSlice::new(bytes));
    }

    /// Nothing more should be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == Self::SLICES_MAX || self.bytes >= Self::BYTES_MAX
    }

    /// Sum of all slices, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slices, in order.
    #[must_use]
    pub fn slices(&self) -> &[IoSlice<'a>] {
        self.few.get(..self.len).unwrap_or(&self.many)
    }
}

impl Default for Gather<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Slices without an allocation: control bytes, and a turn's frames at the live edge with heads of
/// their own.
const FEW: usize = 32;

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
