//! `Gather`: slices of frames and control bytes on their way into one `writev`.
//!
//! Invariant: `bytes` is the sum of the lengths of the slices held; a slice is either held whole
//! or not at all.

use std::io::IoSlice;

/// Up to [`Gather::SLICES_MAX`] byte slices for one vectored write. Lives on the stack.
#[derive(Debug)]
pub struct Gather<'a> {
    slices: [IoSlice<'a>; SLICES_MAX],
    len: usize,
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
    pub fn new() -> Self {
        Self { slices: [IoSlice::new(&[]); Self::SLICES_MAX], len: 0, bytes: 0 }
    }

    /// Adds a slice. `false` when there is no room: nothing was added.
    #[must_use]
    pub fn push(&mut self, bytes: &'a [u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        match self.slices.get_mut(self.len) {
            Some(slot) => {
                *slot = IoSlice::new(bytes);
                self.len += 1;
                self.bytes += bytes.len();
                true
            }
            None => false,
        }
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
        self.slices.get(..self.len).unwrap_or_default()
    }
}

impl Default for Gather<'_> {
    fn default() -> Self {
        Self::new()
    }
}

const SLICES_MAX: usize = 128;
