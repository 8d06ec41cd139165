//! Checked big-endian reading from a slice and writing to a `Vec`.
//!
//! Invariant: no read goes past the end and none moves the place when it fails, so a caller may
//! try again with more bytes.

use thiserror::Error;

/// Reads numbers and byte runs from the front of a slice. Big-endian unless the name says `le`.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes not read yet, without reading them.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left; then nothing is read.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let (head, tail) = self
            .bytes
            .split_at_checked(n)
            .ok_or_else(|| self.short(n))?;
        self.bytes = tail;
        Ok(head)
    }

    /// One byte.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn u8(&mut self) -> Result<u8, Short> {
        let [a] = self.array()?;
        Ok(a)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Three bytes, 0 to `0xFF_FFFF`.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn u24(&mut self) -> Result<u32, Short> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes in two's complement, as composition times are.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn i24(&mut self) -> Result<i32, Short> {
        let [a, b, c] = self.array()?;
        Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Four bytes, least significant first: the message stream id of a chunk header (K-03).
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn u32_le(&mut self) -> Result<u32, Short> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn u64(&mut self) -> Result<u64, Short> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Eight bytes as an IEEE 754 double, any bit pattern.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn f64(&mut self) -> Result<f64, Short> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// The next `N` bytes by value.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, tail) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or_else(|| self.short(N))?;
        self.bytes = tail;
        Ok(*head)
    }

    fn short(&self, wanted: usize) -> Short {
        Short {
            wanted,
            left: self.bytes.len(),
        }
    }
}

/// A read wanted more bytes than were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{wanted} bytes wanted, {left} left")]
pub struct Short {
    /// Bytes the read needed.
    pub wanted: usize,
    /// Bytes there were.
    pub left: usize,
}

/// Appends two bytes.
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends the low three bytes of `value`.
pub fn put_u24(out: &mut Vec<u8>, value: u32) {
    let [_, a, b, c] = value.to_be_bytes();
    out.extend_from_slice(&[a, b, c]);
}

/// Appends four bytes.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends eight bytes.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an IEEE 754 double.
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_reads_what_was_written() {
        let mut out = Vec::new();
        put_u16(&mut out, 0xFFFE);
        put_u24(&mut out, 0x12_3456);
        put_u32(&mut out, 0xFFFF_FFF6);
        put_u64(&mut out, u64::MAX - 1);
        put_f64(&mut out, -2000.0);
        let mut r = Reader::new(&out);
        assert_eq!(r.u16(), Ok(0xFFFE));
        assert_eq!(r.u24(), Ok(0x12_3456));
        assert_eq!(r.u32(), Ok(0xFFFF_FFF6));
        assert_eq!(r.u64(), Ok(u64::MAX - 1));
        assert_eq!(r.f64(), Ok(-2000.0));
        assert!(r.is_empty());
    }

    #[test]
    fn a_short_read_says_what_was_missing_and_reads_nothing() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u32(), Err(Short { wanted: 4, left: 3 }));
        assert_eq!(r.bytes(4), Err(Short { wanted: 4, left: 3 }));
        assert_eq!(r.u24(), Ok(0x01_0203));
        assert_eq!(r.u8(), Err(Short { wanted: 1, left: 0 }));
    }

    #[test]
    fn a_three_byte_number_keeps_its_sign() {
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xD8]).i24(), Ok(-40));
        assert_eq!(Reader::new(&[0x00, 0x00, 0x50]).i24(), Ok(80));
        assert_eq!(Reader::new(&[0x80, 0x00, 0x00]).i24(), Ok(-8_388_608));
    }

    #[test]
    fn the_message_stream_id_is_little_endian() {
        assert_eq!(Reader::new(&[1, 0, 0, 0]).u32_le(), Ok(1));
    }
}
