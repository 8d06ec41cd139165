//! `Mark`: who sent a message, which one it is and when it left, inside its payload.
//!
//! Invariant: a mark that was read back is the one that was written, or its check sum is wrong and
//! nothing is read. No byte of mark or filler is 0, so no NAL unit needs escaping because of them.

use std::sync::LazyLock;

/// What every message that this tool makes carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Which of the run's streams.
    pub stream: u32,
    /// Number of the message among all of its stream, from 0.
    pub number: u64,
    /// Number among the messages of its kind (audio or video), from 0.
    pub own: u64,
    /// When it was handed to the socket, microseconds since 1970.
    pub sent_us: u64,
}

impl Mark {
    /// Appends the mark: [`MARK_BYTES`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        let stream = u64::from(self.stream);
        for value in [stream, self.number, self.own, self.sent_us, self.sum()] {
            for septet in 0..SEPTETS {
                let [low, ..] = (value >> (7 * septet)).to_le_bytes();
                out.push(low | 0x80);
            }
        }
    }

    /// Reads the mark at the front of `bytes`; `None` when there is none or a bit of it changed.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut values = bytes.strip_prefix(MAGIC)?;
        let mut next = || {
            let (digits, rest) = values.split_at_checked(10)?;
            values = rest;
            let add = |sum: u64, (place, byte): (u32, &u8)| {
                let septet = u64::from(byte & 0x7F);
                let value = septet << (7 * place);
                // The tenth septet has room for one bit only.
                let fits = byte & 0x80 != 0 && value >> (7 * place) == septet;
                fits.then_some(sum | value)
            };
            (0..).zip(digits).try_fold(0, add)
        };
        let mark = Self {
            stream: u32::try_from(next()?).ok()?,
            number: next()?,
            own: next()?,
            sent_us: next()?,
        };
        (next()? == mark.sum()).then_some(mark)
    }

    /// Looks for a mark in the first bytes of a payload, behind whatever header a codec has.
    #[must_use]
    pub fn find(payload: &[u8]) -> Option<Self> {
        (0..SEARCH_BYTES).find_map(|at| Self::read(payload.get(at..)?))
    }

    fn sum(&self) -> u64 {
        let stream = u64::from(self.stream);
        let values = [stream, self.number, self.own, self.sent_us];
        values
            .iter()
            .fold(0x5EED, |sum, value| scramble(sum ^ value))
    }
}

/// Appends `len` filler bytes that belong to that number of that stream.
pub fn fill(out: &mut Vec<u8>, stream: u32, number: u64, len: usize) {
    let seed = scramble(number ^ u64::from(stream) << 40);
    let from = usize::try_from(seed % FROM_MAX).unwrap_or(0);
    let mut left = len;
    while left > 0 {
        let piece = FILLER.get(from..).unwrap_or_default();
        let piece = piece.get(..left).unwrap_or(piece);
        out.extend_from_slice(piece);
        left -= piece.len();
    }
}

/// Mixes the bits of a number (the finalizer of SplitMix64).
#[must_use]
pub fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Bytes without a pattern and without a 0.
static FILLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let bytes = (0..FILLER_BYTES / 8).flat_map(|word| scramble(word).to_le_bytes());
    bytes.map(|byte| byte.max(1)).collect()
});

/// Bytes of a mark: the magic and five numbers of ten septets.
pub const MARK_BYTES: usize = MAGIC.len() + 5 * 10;
const MAGIC: &[u8] = b"CoreLoad";
const SEPTETS: u32 = 10;
const FILLER_BYTES: u64 = 64 << 10;
/// Two messages differ although both are filler, because they begin at different places of it.
const FROM_MAX: u64 = 8_191;
/// Longest codec header in front of a mark.
const SEARCH_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mark: Mark) -> Vec<u8> {
        let mut out = Vec::new();
        mark.write(&mut out);
        out
    }

    const MARK: Mark = Mark {
        stream: 7,
        number: u64::MAX,
        own: 0,
        sent_us: 1_800_000_000_000_000,
    };

    #[test]
    fn a_mark_is_read_back_from_behind_a_header() {
        let bytes = written(MARK);
        assert_eq!(bytes.len(), MARK_BYTES);
        assert!(!bytes.contains(&0));
        assert_eq!(Mark::read(&bytes), Some(MARK));
        assert_eq!(
            Mark::find(&[b"\x17\x01\0\0\0", &bytes[..]].concat()),
            Some(MARK)
        );
    }

    #[test]
    fn any_flipped_bit_of_a_mark_makes_it_unreadable() {
        let bytes = written(MARK);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::read(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_mark_cut_short_is_none() {
        let bytes = written(MARK);
        for len in 0..bytes.len() {
            assert_eq!(Mark::read(&bytes[..len]), None);
        }
    }

    #[test]
    fn filler_has_the_asked_length_no_zero_and_differs_by_number() {
        let filler = |number, len| {
            let mut out = Vec::new();
            fill(&mut out, 3, number, len);
            out
        };
        for len in [0, 1, 1_000, 200_000] {
            assert_eq!(filler(1, len).len(), len);
        }
        assert!(!filler(1, 70_000).contains(&0));
        assert_ne!(filler(1, 64), filler(2, 64));
    }
}
