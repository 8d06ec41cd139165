//! A peer's half of the handshake, in pieces.
//!
//! Input: flags (1: it is a server's half, 2: we sign), cuts, the bytes.
//!
//! Laws: the outcome does not depend on the cuts; nothing is written before C1 is whole and
//! nothing to a refused peer; exactly the handshake's own bytes are taken; a refusal lasts; and
//! what our own two ends say to each other always ends well.

use corecast::rtmp::handshake::{ClientHandshake, Guess, HandshakeError, ServerHandshake};

use super::taker::{Cuts, Taker};

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let flags = taker.u8();
    let sign = flags & 2 != 0;
    let mut cuts = Cuts::take(&mut taker);
    let stream = taker.rest;
    if flags & 1 == 0 {
        let whole = serve(stream, None);
        assert_eq!(serve(stream, Some(&mut cuts)), whole);
    } else {
        let whole = dial(stream, sign, None);
        assert_eq!(dial(stream, sign, Some(&mut cuts)), whole);
    }
    if stream.len() <= 64 {
        our_ends_agree(stream, sign);
    }
}

/// Outcome, bytes left over, what was written.
type End = (Result<bool, HandshakeError>, usize, Vec<u8>);

fn serve<'a>(stream: &'a [u8], cuts: Option<&mut Cuts<'a>>) -> End {
    let mut server = ServerHandshake::new([0x5A; 32]);
    let mut seen = 0;
    let end = feed(stream, cuts, |piece, out| {
        let before = piece.len();
        let outcome = server.recv(piece, out);
        seen += before - piece.len();
        assert!(seen <= TOTAL, "the handshake takes its own bytes only");
        match outcome {
            Ok(done) => {
                assert_eq!(done, seen == TOTAL);
                assert_eq!(out.len(), if seen > BLOCK { TOTAL } else { 0 });
                assert!(done || piece.is_empty());
            }
            Err(_) => assert!(out.is_empty(), "a refused peer gets no byte"),
        }
        outcome
    });
    if let (Err(error), _, _) = end {
        let mut out = Vec::new();
        let again = server.recv(&mut &[3; 4_000][..], &mut out).unwrap_err();
        assert_eq!(without_guess(again), without_guess(error));
        assert!(out.is_empty());
        assert!(!error.to_string().is_empty());
    }
    end
}

fn dial<'a>(stream: &'a [u8], sign: bool, cuts: Option<&mut Cuts<'a>>) -> End {
    let mut client = ClientHandshake::new([0xA5; 32], sign);
    let mut seen = 0;
    feed(stream, cuts, |piece, out| {
        let before = piece.len();
        let outcome = client.recv(piece, out);
        seen += before - piece.len();
        match outcome {
            Ok(done) => {
                assert_eq!(done, seen == TOTAL);
                assert_eq!(out.len(), if seen > BLOCK { TOTAL } else { 1 + BLOCK });
                assert!(done || piece.is_empty());
            }
            Err(_) => assert_eq!(out.len(), 1 + BLOCK, "no C2 for a stranger"),
        }
        outcome
    })
}

fn feed<'a>(
    mut stream: &'a [u8],
    mut cuts: Option<&mut Cuts<'a>>,
    mut recv: impl FnMut(&mut &[u8], &mut Vec<u8>) -> Result<bool, HandshakeError>,
) -> End {
    let mut out = Vec::new();
    loop {
        let mut piece = match &mut cuts {
            Some(cuts) => cuts.piece(&mut stream),
            None => std::mem::take(&mut stream),
        };
        match recv(&mut piece, &mut out) {
            Ok(false) if !stream.is_empty() => {}
            Ok(done) => return (Ok(done), piece.len() + stream.len(), out),
            // How much of a refused peer's bytes was taken is nobody's business.
            Err(error) => return (Err(without_guess(error)), 0, out),
        }
    }
}

/// What a stranger may be speaking is guessed from as much as has come so far.
fn without_guess(error: HandshakeError) -> HandshakeError {
    match error {
        HandshakeError::NotRtmp { first, .. } => HandshakeError::NotRtmp {
            first,
            guess: Guess::Unknown,
        },
        error => error,
    }
}

fn our_ends_agree(random: &[u8], sign: bool) {
    let mut seed = [0; 32];
    seed.iter_mut()
        .zip(random)
        .for_each(|(to, from)| *to = *from);
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut client = ClientHandshake::new(seed, sign);
    let mut server = ServerHandshake::new([!seed[0]; 32]);
    client.start(&mut to_server);
    assert_eq!(server.recv(&mut &to_server[..], &mut to_client), Ok(false));
    to_server.clear();
    assert_eq!(client.recv(&mut &to_client[..], &mut to_server), Ok(true));
    to_client.clear();
    assert_eq!(server.recv(&mut &to_server[..], &mut to_client), Ok(true));
    assert_eq!(server.is_digest(), sign);
    assert!(to_client.is_empty());
}

/// Bytes of C1, S1, C2 or S2.
const BLOCK: usize = 1_536;
/// Bytes of one side's handshake.
const TOTAL: usize = 1 + 2 * BLOCK;
