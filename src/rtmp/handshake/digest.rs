//! The signatures of the "complex" handshake.
//!
//! Invariant: a digest lies wholly inside its block, whatever the pointer bytes say (Z-06).
//! PROTOCOL H-20 to H-30. The keys are public constants: this proves nothing about a peer, it only
//! makes Flash Player play H.264 and AAC.

use ring::hmac;

use super::{BLOCK, Block, filler::Filler};

/// Which half of the block holds the digest; the other holds a key only RTMPE uses (H-22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// "Scheme 1": pointer bytes at 8.
    DigestFirst,
    /// "Scheme 0": pointer bytes at 772.
    KeyFirst,
}

impl Scheme {
    /// Where the digest of `block` starts; at most `BLOCK - DIGEST`.
    pub(super) fn offset(self, block: &Block) -> usize {
        let pointer = match self {
            Self::DigestFirst => 8,
            Self::KeyFirst => 772,
        };
        let bytes = block.iter().skip(pointer).take(POINTER);
        let sum: usize = bytes.map(|byte| usize::from(*byte)).sum();
        pointer + POINTER + sum % SPREAD
    }
}

/// One end of the connection as a signer (H-20).
pub(super) struct Signer {
    /// The name alone signs the first block.
    name: &'static [u8],
    /// Name and common bytes sign the answer.
    full: &'static [u8],
}

/// Signs C1 and C2.
pub(super) const PLAYER: Signer = Signer {
    name: PLAYER_KEY.split_at(30).0,
    full: PLAYER_KEY,
};
/// Signs S1 and S2.
pub(super) const SERVER: Signer = Signer {
    name: SERVER_KEY.split_at(36).0,
    full: SERVER_KEY,
};

impl Signer {
    /// Looks for this signer's digest in `block`; `None` if neither scheme verifies.
    pub(super) fn find(&self, block: &Block) -> Option<(Scheme, Digest)> {
        // ffmpeg and nginx-rtmp sign in scheme 1, so it comes first (H-27).
        [Scheme::DigestFirst, Scheme::KeyFirst]
            .into_iter()
            .find_map(|scheme| {
                let (_, found, _) = cut(block, scheme.offset(block));
                let digest = self.digest(block, scheme);
                (found == digest).then_some((scheme, digest))
            })
    }

    /// Writes this signer's digest into `block` and returns it.
    pub(super) fn seal(&self, block: &mut Block, scheme: Scheme) -> Digest {
        let digest = self.digest(block, scheme);
        let offset = scheme.offset(block);
        for (to, from) in block.iter_mut().skip(offset).zip(digest) {
            *to = from;
        }
        digest
    }

    /// The C2 or S2 that answers a block with `peer_digest` in it (H-24).
    pub(super) fn answer(&self, peer_digest: &Digest, filler: &mut Filler) -> Block {
        let mut block = [0; BLOCK];
        if let Some((body, signature)) = block.split_last_chunk_mut::<DIGEST>() {
            filler.fill(body);
            *signature = self.signature(peer_digest, body);
        }
        block
    }

    fn signature(&self, peer_digest: &Digest, body: &[u8]) -> Digest {
        let key = hmac_sha256(self.full, &[peer_digest]);
        hmac_sha256(&key, &[body])
    }

    /// The digest `block` should have: over everything but the 32 bytes of the digest (H-23).
    fn digest(&self, block: &Block, scheme: Scheme) -> Digest {
        let (before, _, after) = cut(block, scheme.offset(block));
        hmac_sha256(self.name, &[before, after])
    }
}

/// An HMAC-SHA256.
pub(super) type Digest = [u8; DIGEST];

/// Splits a block around the digest at `offset`.
fn cut(block: &Block, offset: usize) -> (&[u8], &[u8], &[u8]) {
    let (before, rest) = block.split_at(offset);
    let (digest, after) = rest.split_at(DIGEST);
    (before, digest, after)
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    Digest::try_from(context.sign().as_ref()).unwrap_or_default()
}

/// Length of a digest and of a signature in bytes.
const DIGEST: usize = 32;
/// Bytes that are summed to find the digest.
const POINTER: usize = 4;
/// The digest starts 0 to 727 bytes behind its pointer.
const SPREAD: usize = 728;

const _: () = assert!(772 + POINTER + (SPREAD - 1) + DIGEST <= BLOCK);

const PLAYER_KEY: &[u8] = b"Genuine Adobe Flash Player 001\
    \xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57\
    \x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE";
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001\
    \xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57\
    \x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE";

const _: () = assert!(PLAYER_KEY.len() == 62 && SERVER_KEY.len() == 68);

#[cfg(test)]
mod tests {
    use super::*;

    /// The block of H-28: `b[i] = 7 * i + 3` behind a zero time and the version.
    fn pattern(version: [u8; 4]) -> Block {
        let mut block: Block = std::array::from_fn(|i| (7 * i + 3) as u8);
        block[..4].fill(0);
        block[4..8].copy_from_slice(&version);
        block
    }

    fn hex(digest: &[u8]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn c1_digests_match_the_vector_h_28() {
        let c1 = pattern([0x80, 0x00, 0x07, 0x02]);
        assert_eq!(Scheme::DigestFirst.offset(&c1), 290);
        assert_eq!(
            hex(&PLAYER.digest(&c1, Scheme::DigestFirst)),
            "0b441119ef46c4660e578ac88d3bf4c2d8901ff9a39c94bb92cb345f63928860"
        );
        assert_eq!(Scheme::KeyFirst.offset(&c1), 942);
        assert_eq!(
            hex(&PLAYER.digest(&c1, Scheme::KeyFirst)),
            "8e211aefe949d44221d8905aa6154973bcab5ecb43dc582f65b1de1c2f94e4d5"
        );
    }

    #[test]
    fn s1_digests_match_the_vector_h_29() {
        let s1 = pattern([0x04, 0x05, 0x00, 0x01]);
        assert_eq!(
            hex(&SERVER.digest(&s1, Scheme::DigestFirst)),
            "b330fbd5abbf20bacdc87364069c111940b5c8273c3a360c430cf378980cedae"
        );
        assert_eq!(
            hex(&SERVER.digest(&s1, Scheme::KeyFirst)),
            "62d848235ce0ca8996a2fed778bc1895dc4b2e69fa934f9ef2faf08891d4ee61"
        );
    }

    #[test]
    fn answers_match_the_vector_h_30() {
        let c1 = pattern([0x80, 0x00, 0x07, 0x02]);
        let digest = PLAYER.digest(&c1, Scheme::DigestFirst);
        assert_eq!(
            hex(&SERVER.signature(&digest, &c1[..1504])),
            "a5877c291e2e832b28c6de3b6b7da32e86c61ce294275359d6c3d8ffed2e69fa"
        );
        let s1 = pattern([0x04, 0x05, 0x00, 0x01]);
        let digest = SERVER.digest(&s1, Scheme::DigestFirst);
        assert_eq!(
            hex(&PLAYER.signature(&digest, &s1[..1504])),
            "59c8283d839f59f8f2d43365930ee6678b57fda452e29c16722d0f0f0e3bd5d5"
        );
    }

    #[test]
    fn a_sealed_block_is_found_in_its_own_scheme() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            let mut block = pattern([0x80, 0x00, 0x07, 0x02]);
            let digest = PLAYER.seal(&mut block, scheme);
            assert_eq!(PLAYER.find(&block), Some((scheme, digest)));
            assert_eq!(SERVER.find(&block), None);
            block[1535] ^= 1;
            assert_eq!(PLAYER.find(&block), None);
        }
    }

    #[test]
    fn pointers_of_all_ones_stay_inside_the_block() {
        let block = [0xFF; BLOCK];
        assert_eq!(Scheme::DigestFirst.offset(&block), 304);
        assert_eq!(Scheme::KeyFirst.offset(&block), 1068);
        assert_eq!(PLAYER.find(&block), None);
    }

    #[test]
    fn the_highest_pointer_still_leaves_room_for_a_digest() {
        let mut block = [0; BLOCK];
        block[772..776].copy_from_slice(&[255, 255, 217, 0]); // sum 727
        assert_eq!(Scheme::KeyFirst.offset(&block), 1503);
        let digest = PLAYER.seal(&mut block, Scheme::KeyFirst);
        assert_eq!(PLAYER.find(&block), Some((Scheme::KeyFirst, digest)));
    }
}
