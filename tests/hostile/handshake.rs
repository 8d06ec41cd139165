//! The first 3,073 bytes: Z-03 to Z-08 without sockets.

use corecast::rtmp::Error;
use corecast::rtmp::handshake::HandshakeError;

use crate::common::bench::{Bench, hello};

#[test]
fn z03_other_protocols_are_refused_without_a_byte() {
    let cases: [(&str, &[u8]); 6] = [
        ("TLS ClientHello", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]),
        ("HTTP GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("HTTP POST, RTMPT", b"POST /open/1 HTTP/1.1\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("PROXY", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
        ("noise", &[0xFF; 4_000]),
    ];
    for (name, bytes) in cases {
        for cut in [1, bytes.len()] {
            let mut bench = Bench::new();
            let outcome = bytes.chunks(cut).try_for_each(|piece| bench.feed(piece));
            let found = matches!(
                outcome,
                Err(Error::Handshake(HandshakeError::NotRtmp { first, .. })) if first == bytes[0]
            );
            assert!(found, "{name}: {outcome:?}");
            assert!(bench.out.is_empty() && bench.session.is_closing(), "{name}");
        }
    }
}

#[test]
fn z04_an_encrypted_handshake_is_refused_without_a_byte() {
    let mut bytes = hello();
    bytes[0] = 6;
    bytes[5..9].copy_from_slice(&[0x80, 0, 3, 2]);
    let mut bench = Bench::new();
    let outcome = bench.feed(&bytes);
    assert_eq!(outcome, Err(Error::Handshake(HandshakeError::Encrypted)));
    assert!(bench.out.is_empty());
}

#[test]
fn z05_a_version_without_a_digest_gets_the_plain_handshake() {
    for version in [[9, 0, 0x7C, 2], [1, 2, 3, 4], [0xFF; 4]] {
        let mut bytes = hello();
        bytes[5..9].copy_from_slice(&version);
        let mut bench = Bench::new();
        bench.feed(&bytes).unwrap();
        assert_eq!(bench.out.len(), 3_073);
        assert_eq!(bench.out[1_537..], bytes[1..1_537], "S2 echoes C1");
        assert!(!bench.session.peer().digest);
    }
}

#[test]
fn z06_digest_pointers_of_all_ones_stay_inside_the_block() {
    for at in [8, 768, 772, 1_532] {
        for pointer in [[0xFF; 4], [0xFF, 0xFF, 0xFF, 0xD9], [0; 4]] {
            let mut bytes = hello();
            bytes[5..9].copy_from_slice(&[9, 0, 0x7C, 2]);
            bytes[1 + at..5 + at].copy_from_slice(&pointer);
            let mut bench = Bench::new();
            bench.feed(&bytes).unwrap();
            assert_eq!(bench.out.len(), 3_073, "pointer {pointer:02x?} at {at}");
        }
    }
}

#[test]
fn z07_a_flood_instead_of_c2_dies_by_the_rules_of_chunks() {
    for filler in [0x00, 0x03, 0x5A, 0xC3, 0xFF] {
        let mut bench = Bench::new();
        bench.feed(&hello()[..1_537]).unwrap();
        let flood = vec![filler; 64 << 10];
        let mut outcome = Ok(());
        for _ in 0..256 {
            outcome = outcome.and_then(|()| bench.feed(&flood));
        }
        assert!(outcome.is_err(), "{filler:02x}");
        assert!(bench.out.len() < 16 << 10, "{} bytes said", bench.out.len());
    }
}

#[test]
fn z08_a_session_may_end_at_every_byte_of_the_handshake() {
    let bytes = hello();
    for end in 0..=bytes.len() {
        let mut bench = Bench::new();
        bench.feed(&bytes[..end]).unwrap();
        let answered = if end < 1_537 { 0 } else { 3_073 };
        assert_eq!(bench.out.len(), answered, "after {end} bytes");
        assert_eq!(bench.session.partial_bytes(), 0);
    }
}
