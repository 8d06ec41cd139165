//! The server's end: C0 C1 C2 in, S0 S1 S2 out.
//!
//! Invariant: nothing is written before C1 is whole, everything is written at once, and nothing
//! more until C2 is whole (H-02: strict clients break on early control messages).
//! PROTOCOL H-01 to H-09, H-25, H-26.

use super::digest::{PLAYER, SERVER};
use super::filler::Filler;
use super::refusal::{HandshakeError, admit};
use super::{BLOCK, Block, VERSION, skip, take};

/// The server's handshake. Feed it with [`recv`](Self::recv) until that says `true`.
pub struct ServerHandshake {
    random: [u8; 32],
    stage: Stage,
    digest: bool,
}

impl ServerHandshake {
    /// A handshake that has seen no byte. `random` is expanded into S1 and S2 and can be computed
    /// from them: use it for nothing else.
    pub fn new(random: [u8; 32]) -> Self {
        Self {
            random,
            stage: Stage::Hello(Vec::new()),
            digest: false,
        }
    }

    /// Takes its bytes from the front of `input` and appends S0 S1 S2 to `out` once C1 is there.
    ///
    /// `Ok(true)` when C2 was read whole; what is left of `input` then is chunks (H-03). C2 is not
    /// verified: ffmpeg signs it even after a plain S1 (H-09, H-26).
    ///
    /// # Errors
    /// The peer does not speak plain RTMP. Close without a byte; every later call fails too.
    pub fn recv(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, HandshakeError> {
        if let Stage::Hello(held) = &mut self.stage {
            take(input, held, 1 + BLOCK);
            admit(held)?;
            let c1 = held.get(1..).and_then(|c1| <&Block>::try_from(c1).ok());
            let Some(c1) = c1 else { return Ok(false) };
            self.digest = reply(&self.random, c1, out);
            self.stage = Stage::Echo { left: BLOCK };
        }
        if let Stage::Echo { left } = &mut self.stage {
            *left = skip(input, *left);
            if *left == 0 {
                self.stage = Stage::Done;
            }
        }
        Ok(matches!(self.stage, Stage::Done))
    }

    /// Whether the client signed C1 and was answered with signatures. False until C1 is whole.
    pub fn is_digest(&self) -> bool {
        self.digest
    }
}

enum Stage {
    /// C0 and C1 as far as they came, at most 1,537 bytes; no memory before the first.
    Hello(Vec<u8>),
    /// C2, of which `left` bytes are still to come, `1 ≤ left ≤ 1536`.
    Echo {
        left: usize,
    },
    Done,
}

/// Writes S0 S1 S2; true if they are signed.
fn reply(random: &[u8; 32], c1: &Block, out: &mut Vec<u8>) -> bool {
    let mut filler = Filler::new(random);
    // H-06: version bytes stay zero in plain mode. ffmpeg takes S1[4] >= 3 for a signing server
    // and fails when it then finds no digest.
    let mut s1 = [0; BLOCK];
    if let Some((_, rest)) = s1.split_first_chunk_mut::<8>() {
        filler.fill(rest);
    }
    let signed = if c1.iter().skip(4).take(4).all(|byte| *byte == 0) {
        None
    } else {
        PLAYER.find(c1)
    };
    out.reserve(1 + 2 * BLOCK);
    out.push(VERSION);
    match &signed {
        Some((scheme, digest)) => {
            for (to, from) in s1.iter_mut().skip(4).zip(SIGNING_VERSION) {
                *to = from;
            }
            SERVER.seal(&mut s1, *scheme);
            out.extend_from_slice(&s1);
            out.extend_from_slice(&SERVER.answer(digest, &mut filler));
        }
        None => {
            out.extend_from_slice(&s1);
            out.extend_from_slice(c1); // H-08: an exact echo
        }
    }
    signed.is_some()
}

/// S1[4..8] of a signing server: the first byte must be 3 or more (H-25).
const SIGNING_VERSION: [u8; 4] = [0x04, 0x05, 0x00, 0x01];

#[cfg(test)]
mod tests {
    use super::super::digest::Scheme;
    use super::*;

    const SEED: [u8; 32] = [0x5A; 32];

    /// C0 and C1 with the given bytes 4..8 and no digest.
    fn hello(version: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0x03, 0x00, 0x01, 0x02, 0x03];
        bytes.extend_from_slice(&version);
        bytes.extend((0..1528).map(|i| (i * 31 + 7) as u8));
        bytes
    }

    fn signed_hello(scheme: Scheme) -> Vec<u8> {
        let mut bytes = hello([0x09, 0x00, 0x7C, 0x02]);
        let c1: &mut Block = (&mut bytes[1..]).try_into().unwrap();
        PLAYER.seal(c1, scheme);
        bytes
    }

    fn answer_to(hello: &[u8]) -> (Vec<u8>, bool) {
        let mut handshake = ServerHandshake::new(SEED);
        let mut out = Vec::new();
        let mut input = hello;
        assert_eq!(handshake.recv(&mut input, &mut out), Ok(false));
        assert!(input.is_empty());
        (out, handshake.is_digest())
    }

    #[test]
    fn a_plain_s1_has_zero_version_bytes() {
        // H-06, the regression that kills ffmpeg play; Z-05: a version without a digest is plain.
        for version in [[0; 4], [0x09, 0x00, 0x7C, 0x02], [0x0D, 0x0E, 0x0A, 0x0D]] {
            let (out, digest) = answer_to(&hello(version));
            assert!(!digest);
            assert_eq!(out.len(), 3073);
            assert_eq!(out[0], 0x03);
            assert_eq!(out[5..9], [0; 4], "S1[4..8] for {version:02x?}");
        }
    }

    #[test]
    fn a_plain_s2_echoes_c1_exactly() {
        let hello = hello([0x09, 0x00, 0x7C, 0x02]);
        let (out, _) = answer_to(&hello);
        assert_eq!(out[1537..], hello[1..]);
    }

    #[test]
    fn a_signed_c1_is_answered_in_its_scheme() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            let (out, digest) = answer_to(&signed_hello(scheme));
            assert!(digest);
            assert_eq!(out.len(), 3073);
            assert!(out[5] >= 3, "S1[4] tells the client to look for a digest");
            let s1: &Block = out[1..1537].try_into().unwrap();
            assert_eq!(SERVER.find(s1).unwrap().0, scheme);
        }
    }

    #[test]
    fn byte_by_byte_gives_the_same_answer() {
        for hello in [hello([0; 4]), signed_hello(Scheme::KeyFirst)] {
            let mut bytes = hello.clone();
            bytes.extend_from_slice(&[0xC2; BLOCK]);
            let mut handshake = ServerHandshake::new(SEED);
            let mut out = Vec::new();
            for (at, byte) in bytes.iter().enumerate() {
                let mut input = std::slice::from_ref(byte);
                let done = handshake.recv(&mut input, &mut out).unwrap();
                assert!(input.is_empty());
                assert_eq!(done, at + 1 == bytes.len());
                assert_eq!(
                    out.len(),
                    if at >= BLOCK { 3073 } else { 0 },
                    "after byte {at}"
                );
            }
            assert_eq!(out, answer_to(&hello).0);
        }
    }

    #[test]
    fn bytes_behind_c2_are_left_for_the_chunk_reader() {
        let mut bytes = hello([0; 4]);
        bytes.extend_from_slice(&[0xC2; BLOCK]);
        bytes.extend_from_slice(b"connect");
        let mut input = bytes.as_slice();
        let mut out = Vec::new();
        let mut handshake = ServerHandshake::new(SEED);
        assert_eq!(handshake.recv(&mut input, &mut out), Ok(true));
        assert_eq!(input, b"connect");
        assert_eq!(handshake.recv(&mut input, &mut out), Ok(true));
        assert_eq!(input, b"connect", "a finished handshake takes nothing");
        assert_eq!(out.len(), 3073);
    }

    #[test]
    fn old_versions_are_answered_with_3() {
        for version in [0, 1, 2, 4, 5, 7, 22, 31] {
            let mut hello = hello([0; 4]);
            hello[0] = version;
            assert_eq!(answer_to(&hello).0[0], 0x03);
        }
    }

    #[test]
    fn a_refused_peer_gets_no_byte_and_the_same_error_again() {
        let openings: [&[u8]; 4] = [
            &[0x06],
            b"GET / HTTP/1.1\r\n\r\n",
            &[0x16, 0x03, 0x01],
            b"SSH-2.0-x\r\n",
        ];
        for opening in openings {
            let mut handshake = ServerHandshake::new(SEED);
            let mut out = Vec::new();
            let error = handshake.recv(&mut { opening }, &mut out).unwrap_err();
            let again = handshake
                .recv(&mut [0; 4096].as_slice(), &mut out)
                .unwrap_err();
            assert_eq!(error, again);
            assert!(out.is_empty());
        }
    }

    #[test]
    fn the_state_holds_less_than_4_kib() {
        let mut handshake = ServerHandshake::new(SEED);
        let mut out = Vec::new();
        for byte in &hello([0; 4])[..BLOCK] {
            handshake
                .recv(&mut std::slice::from_ref(byte), &mut out)
                .unwrap();
        }
        let Stage::Hello(held) = &handshake.stage else {
            panic!("C1 is not whole yet")
        };
        assert!(held.capacity() + size_of::<ServerHandshake>() < 4096);
    }
}
