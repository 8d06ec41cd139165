//! `Bits`: bit by bit through a configuration record.
//!
//! Invariant: past the end every read is `None`, and no Exp-Golomb prefix is followed beyond 31
//! zeros (Z-65); so a parser on top ends after at most as many steps as the record has bits.

use std::slice::Iter;

/// A reader of bits, most significant first.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: Iter<'a, u8>,
    current: u8,
    /// Bits of `current` not yet read, 0..=8.
    left: u8,
    /// Zero bytes in a row before the next one; `None` where bytes are not escaped.
    zeros: Option<u8>,
}

impl<'a> Bits<'a> {
    /// Reads `bytes` as they are.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            current: 0,
            left: 0,
            zeros: None,
        }
    }

    /// Reads the payload of a NAL unit, leaving out emulation prevention (00 00 **03**).
    pub(super) fn nal(bytes: &'a [u8]) -> Self {
        Self {
            zeros: Some(0),
            ..Self::new(bytes)
        }
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.next_byte()?;
            self.left = 8;
        }
        self.left = self.left.saturating_sub(1);
        Some(self.current >> self.left & 1 == 1)
    }

    /// `count` bits as a number; `count` ≤ 32.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32, "a number of {count} bits");
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Leaves out `count` bits.
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.flag()?;
        }
        Some(())
    }

    /// An unsigned Exp-Golomb number, at most 2³² − 2.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while !self.flag()? {
            zeros = zeros.checked_add(1).filter(|zeros| *zeros < 32)?;
        }
        let base = 1_u32.checked_shl(zeros)?.checked_sub(1)?;
        base.checked_add(self.read(zeros)?)
    }

    /// A signed Exp-Golomb number.
    pub(super) fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let half = code.checked_add(1)? >> 1;
        i32::try_from(if code & 1 == 1 {
            half
        } else {
            half.checked_neg()?
        })
        .ok()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let mut byte = *self.bytes.next()?;
        if let Some(zeros) = self.zeros {
            let mut zeros = zeros;
            if zeros >= 2 && byte == 3 {
                byte = *self.bytes.next()?;
                zeros = 0;
            }
            self.zeros = Some(if byte == 0 {
                zeros.saturating_add(1)
            } else {
                0
            });
        }
        Some(byte)
    }
}

/// Builds records for tests.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Writer {
    bits: Vec<bool>,
}

#[cfg(test)]
impl Writer {
    pub(super) fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.bits
            .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    pub(super) fn zeros(&mut self, count: usize) -> &mut Self {
        self.bits.extend(std::iter::repeat_n(false, count));
        self
    }

    pub(super) fn ue(&mut self, value: u32) -> &mut Self {
        let coded = value + 1;
        let len = 32 - coded.leading_zeros();
        self.zeros(len as usize - 1).put(coded, len)
    }

    /// The bits, padded with zeros to whole bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter()
                .enumerate()
                .map(|(at, bit)| u8::from(*bit) << (7 - at))
                .sum()
        };
        self.bits.chunks(8).map(byte).collect()
    }

    /// The same with emulation prevention.
    pub(super) fn nal(&self) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for byte in self.bytes() {
            if byte <= 3 && out.ends_with(&[0, 0]) {
                out.push(3);
            }
            out.push(byte);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_numbers_count_up() {
        // 1, 010, 011, 00100, 00101 and padding
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let numbers: Vec<_> = (0..5).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn signed_numbers_alternate() {
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let numbers: Vec<_> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(numbers, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn thirty_one_zeros_are_a_number_and_sixty_four_are_not() {
        let mut largest = [0xFF_u8; 8];
        largest[..4].copy_from_slice(&[0, 0, 0, 1]);
        assert_eq!(Bits::new(&largest).ue(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&largest).se(), Some(-i32::MAX));
        let mut zeros = [0xFF_u8; 16];
        zeros[..8].copy_from_slice(&[0; 8]);
        assert_eq!(Bits::new(&zeros).ue(), None);
    }

    #[test]
    fn emulation_prevention_is_left_out_of_nal_units_only() {
        let bytes = [0, 0, 3, 0, 0, 3, 1, 3];
        let mut nal = Bits::nal(&bytes);
        assert_eq!(nal.read(32), Some(0));
        assert_eq!(nal.read(16), Some(0x0103));
        assert_eq!(nal.flag(), None);
        assert_eq!(Bits::new(&bytes).read(32), Some(0x0000_0300));
    }
}
