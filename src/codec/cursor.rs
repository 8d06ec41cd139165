//! `Cursor`: checked big-endian reads over a payload, with the offset at hand.
//!
//! Invariant: `at` never passes the end; a read that would is `Malformed::Short` and moves nothing.

use super::Malformed;

/// A place in a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte to be read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The same as a tag stores it. Headers end within 600 KB (8 ModEx rounds of 64 KiB), so the
    /// number always fits.
    pub(super) fn offset(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// Everything not yet read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// What there is to say when `wanted` bytes are not there.
    pub(super) fn short(&self, wanted: usize) -> Malformed {
        let left = self.rest().len();
        Malformed::Short { wanted, left }
    }

    /// The next `wanted` bytes.
    pub(super) fn take(&mut self, wanted: usize) -> Result<&'a [u8], Malformed> {
        let taken = self
            .rest()
            .get(..wanted)
            .ok_or_else(|| self.short(wanted))?;
        // Cannot overflow: the sum is at most the length of a slice.
        self.at = self.at.saturating_add(wanted);
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// 24 bits, unsigned, as a length.
    pub(super) fn u24(&mut self) -> Result<usize, Malformed> {
        let [high, middle, low] = self.array()?;
        Ok(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
    }

    /// 24 bits, signed.
    pub(super) fn i24(&mut self) -> Result<i32, Malformed> {
        let [high, middle, low] = self.array()?;
        // Placed in the upper three bytes, so that the shift back brings the sign along.
        Ok(i32::from_be_bytes([high, middle, low, 0]) >> 8)
    }

    pub(super) fn fourcc(&mut self) -> Result<[u8; 4], Malformed> {
        self.array()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let array = *self
            .rest()
            .first_chunk::<N>()
            .ok_or_else(|| self.short(N))?;
        self.at = self.at.saturating_add(N);
        Ok(array)
    }
}
