//! The client's end: C0 C1 C2 out, S0 S1 S2 in.
//!
//! Invariant: C2 is written as soon as S1 is whole and S2 is never looked at (INTEROP 3).
//! PROTOCOL H-10, H-23, H-24.

use super::digest::{PLAYER, SERVER, Scheme};
use super::filler::Filler;
use super::refusal::HandshakeError;
use super::{BLOCK, Block, VERSION, skip, take};

/// The client's handshake: [`start`](Self::start), then [`recv`](Self::recv) until it says `true`.
pub struct ClientHandshake {
    filler: Filler,
    sign: bool,
    stage: Stage,
}

impl ClientHandshake {
    /// `digest` signs C1 as Flash and ffmpeg do; without it C1 is plain. `random` can be computed
    /// from what is sent: use it for nothing else.
    pub fn new(random: [u8; 32], digest: bool) -> Self {
        Self {
            filler: Filler::new(&random),
            sign: digest,
            stage: Stage::Silent,
        }
    }

    /// Appends C0 and C1 to `out`. Only the first call does something.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.stage, Stage::Silent) {
            return;
        }
        let mut c1 = [0; BLOCK];
        if let Some((_, rest)) = c1.split_first_chunk_mut::<8>() {
            self.filler.fill(rest);
        }
        if self.sign {
            for (to, from) in c1.iter_mut().skip(4).zip(SIGNING_VERSION) {
                *to = from;
            }
            PLAYER.seal(&mut c1, Scheme::DigestFirst);
        }
        out.push(VERSION);
        out.extend_from_slice(&c1);
        self.stage = Stage::Hello(Vec::new());
    }

    /// Takes its bytes from the front of `input` and appends C2 to `out` once S1 is there.
    ///
    /// `Ok(true)` when S2 was read whole; what is left of `input` then is chunks.
    ///
    /// # Errors
    /// The server does not answer with version 3. Close; every later call says the same.
    pub fn recv(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, HandshakeError> {
        self.start(out);
        if let Stage::Hello(held) = &mut self.stage {
            take(input, held, 1 + BLOCK);
            match held.split_first() {
                Some((&VERSION, s1)) => match <&Block>::try_from(s1) {
                    Ok(s1) => out.extend_from_slice(&answer(s1, self.sign, &mut self.filler)),
                    Err(_) => return Ok(false),
                },
                Some((&found, _)) => return Err(HandshakeError::Version { found }),
                None => return Ok(false),
            }
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
}

enum Stage {
    /// C0 and C1 are not written yet.
    Silent,
    /// S0 and S1 as far as they came, at most 1,537 bytes.
    Hello(Vec<u8>),
    /// S2, of which `left` bytes are still to come, `1 ≤ left ≤ 1536`.
    Echo {
        left: usize,
    },
    Done,
}

/// C2: signed for a signing server, else the exact echo that FMS insists on (H-10).
fn answer(s1: &Block, sign: bool, filler: &mut Filler) -> Block {
    match SERVER.find(s1).filter(|_| sign) {
        Some((_, digest)) => PLAYER.answer(&digest, filler),
        None => *s1,
    }
}

/// C1[4..8] of a signing client, the version most servers know.
const SIGNING_VERSION: [u8; 4] = [0x80, 0x00, 0x07, 0x02];

#[cfg(test)]
mod tests {
    use super::super::ServerHandshake;
    use super::*;

    /// Runs both ends against each other, `step` bytes at a time; returns C0 C1 C2 and S0 S1 S2.
    fn run(digest: bool, step: usize) -> (Vec<u8>, Vec<u8>, bool) {
        let mut client = ClientHandshake::new([1; 32], digest);
        let mut server = ServerHandshake::new([2; 32]);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.start(&mut up);
        let (mut up_at, mut down_at) = (0, 0);
        let (mut client_done, mut server_done) = (false, false);
        while !(client_done && server_done) {
            let up_end = (up_at + step).min(up.len());
            let down_end = (down_at + step).min(down.len());
            assert!(up_end > up_at || down_end > down_at, "both ends wait");
            server_done |= server.recv(&mut &up[up_at..up_end], &mut down).unwrap();
            up_at = up_end;
            client_done |= client.recv(&mut &down[down_at..down_end], &mut up).unwrap();
            down_at = down_end;
        }
        (up, down, server.is_digest())
    }

    #[test]
    fn both_ends_finish_and_cuts_do_not_matter() {
        for digest in [false, true] {
            let whole = run(digest, 8192);
            assert_eq!(whole.0.len(), 1 + 2 * BLOCK);
            assert_eq!(whole.1.len(), 1 + 2 * BLOCK);
            assert_eq!(whole.2, digest);
            for step in [1, 7, 1536] {
                assert_eq!(run(digest, step), whole, "{step} bytes at a time");
            }
        }
    }

    #[test]
    fn a_plain_c2_echoes_s1_exactly() {
        let (up, down, _) = run(false, 8192);
        assert_eq!(up[5..9], [0; 4], "C1[4..8]");
        assert_eq!(up[1 + BLOCK..], down[1..1 + BLOCK]);
    }

    #[test]
    fn a_signed_c2_does_not_echo() {
        let (up, down, _) = run(true, 8192);
        assert_ne!(up[1 + BLOCK..], down[1..1 + BLOCK]);
    }

    #[test]
    fn a_signing_client_echoes_to_a_plain_server() {
        let mut client = ClientHandshake::new([1; 32], true);
        let mut out = Vec::new();
        client.start(&mut out);
        out.clear();
        let mut down = vec![0x03];
        down.extend_from_slice(&[0x11; 2 * BLOCK]);
        down.extend_from_slice(b"rest");
        let mut input = down.as_slice();
        assert_eq!(client.recv(&mut input, &mut out), Ok(true));
        assert_eq!(out, [0x11; BLOCK]);
        assert_eq!(input, b"rest");
    }

    #[test]
    fn another_version_is_an_error() {
        let mut client = ClientHandshake::new([1; 32], false);
        let mut out = Vec::new();
        let error = client
            .recv(&mut b"HTTP/1.1 400".as_slice(), &mut out)
            .unwrap_err();
        assert_eq!(error, HandshakeError::Version { found: b'H' });
    }
}
