//! Cheap bytes for the random parts of the handshake.
//!
//! Invariant: the same seed yields the same bytes, so a test can replay a connection. Nothing here
//! protects a secret (H-07): the seed can be computed from the output and must not be used twice.

/// A splitmix generator fed by a 32-byte seed.
pub(super) struct Filler {
    state: u64,
}

impl Filler {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let (words, _) = seed.as_chunks::<8>();
        let state = words
            .iter()
            .fold(0, |state, word| mix(state ^ u64::from_be_bytes(*word)));
        Self { state }
    }

    /// Overwrites the whole of `bytes`.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.state = self.state.wrapping_add(STEP);
            for (to, from) in chunk.iter_mut().zip(mix(self.state).to_be_bytes()) {
                *to = from;
            }
        }
    }
}

/// The finisher of splitmix64.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// 2^64 divided by the golden ratio: every state is visited once.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_byte_changes_the_bytes() {
        let mut plain = [0; 64];
        Filler::new(&[0; 32]).fill(&mut plain);
        for at in 0..32 {
            let mut seed = [0; 32];
            seed[at] = 1;
            let mut other = [0; 64];
            Filler::new(&seed).fill(&mut other);
            assert_ne!(plain, other, "seed byte {at}");
        }
    }

    #[test]
    fn the_last_odd_bytes_are_filled_too() {
        let mut bytes = [0; 1528];
        Filler::new(&[7; 32]).fill(&mut bytes);
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        assert!(
            zeros < 30,
            "{zeros} zeros of 1528 are not what chance gives"
        );
        let mut tail = [0; 3];
        Filler::new(&[7; 32]).fill(&mut tail);
        assert_eq!(tail[..], bytes[..3]);
    }
}
