//! Why a peer was turned away, and what it probably speaks.
//!
//! Invariant: a refused peer was sent nothing. The guess serves the log line only: a health check
//! or a browser at the wrong port is no error of ours (INTEROP 5). PROTOCOL H-04, Z-03, Z-04.

use std::fmt;

use super::ENCRYPTED;

/// Why the handshake cannot go on. The connection is to be closed without a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// C0 asked for RTMPE, which is not offered (H-31).
    #[error("peer asks for encrypted RTMP (version 6), only plain RTMP (version 3) is spoken")]
    Encrypted,
    /// The first bytes are not RTMP.
    #[error("not RTMP: first byte {first:#04x}, looks like {guess}")]
    NotRtmp {
        /// The byte found where C0 was expected.
        first: u8,
        /// What the bytes look like.
        guess: Guess,
    },
    /// The server answered with another version than the one asked for (H-10).
    #[error("server answers with RTMP version {found}, asked for 3")]
    Version {
        /// S0 as received.
        found: u8,
    },
}

impl HandshakeError {
    /// What the peer probably speaks.
    pub fn guess(&self) -> Guess {
        match self {
            Self::Encrypted => Guess::Rtmpe,
            Self::NotRtmp { guess, .. } => *guess,
            Self::Version { .. } => Guess::Unknown,
        }
    }
}

/// A protocol recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guess {
    /// A TLS ClientHello: RTMPS or HTTPS on the plain port.
    Tls,
    /// An HTTP or RTSP request, or an HTTP/2 preface.
    Http,
    /// An SSH banner.
    Ssh,
    /// The PROXY protocol of a load balancer, version 1 or 2.
    ProxyProtocol,
    /// The preface an SRS edge puts in front of RTMP.
    SrsProxy,
    /// Encrypted RTMP.
    Rtmpe,
    /// Nothing known.
    Unknown,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Http => "HTTP",
            Self::Ssh => "SSH",
            Self::ProxyProtocol => "the PROXY protocol",
            Self::SrsProxy => "the SRS proxy preface",
            Self::Rtmpe => "RTMPE",
            Self::Unknown => "nothing known",
        })
    }
}

/// Judges the first bytes of a connection, at any length (none, one, all of C0 and C1).
///
/// Versions 0 to 31 are RTMP by H-04. TLS (0x16) and PROXY version 2 (0x0D) fall into that range,
/// so their second and fourth byte decide; both arrive long before C1 is complete.
pub(super) fn admit(opening: &[u8]) -> Result<(), HandshakeError> {
    let foreign = match opening {
        [ENCRYPTED, ..] => return Err(HandshakeError::Encrypted),
        [0x16, 0x03, ..] | [0x0D, 0x0A, 0x0D, 0x0A, ..] => true,
        [first, ..] => *first >= FIRST_FOREIGN,
        [] => false,
    };
    match opening.first() {
        Some(first) if foreign => Err(HandshakeError::NotRtmp {
            first: *first,
            guess: guess(opening),
        }),
        _ => Ok(()),
    }
}

fn guess(opening: &[u8]) -> Guess {
    PREFIXES
        .iter()
        .find(|(prefix, _)| {
            opening
                .iter()
                .zip(prefix.iter())
                .all(|(found, known)| found == known)
        })
        .map_or(Guess::Unknown, |(_, guess)| *guess)
}

/// Versions from here on were never given to RTMP (H-04).
const FIRST_FOREIGN: u8 = 0x20;

/// Checked in this order over as many bytes as are there: a lone `P` is HTTP, `PROX` is not.
const PREFIXES: [(&[u8], Guess); 17] = [
    (&[0x16, 0x03], Guess::Tls),
    (&[0x0D, 0x0A, 0x0D, 0x0A], Guess::ProxyProtocol),
    (&[0xF3], Guess::SrsProxy),
    (b"GET ", Guess::Http),
    (b"POST ", Guess::Http),
    (b"PUT ", Guess::Http),
    (b"PATCH ", Guess::Http),
    (b"PRI * ", Guess::Http),
    (b"PROPFIND ", Guess::Http),
    (b"HEAD ", Guess::Http),
    (b"OPTIONS ", Guess::Http),
    (b"DELETE ", Guess::Http),
    (b"DESCRIBE ", Guess::Http),
    (b"CONNECT ", Guess::Http),
    (b"TRACE ", Guess::Http),
    (b"SSH-", Guess::Ssh),
    (b"PROXY ", Guess::ProxyProtocol),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_0_to_31_are_admitted_but_for_6() {
        for version in 0..=31 {
            let verdict = admit(&[version, 0, 0, 0, 0]);
            if version == 6 {
                assert_eq!(verdict, Err(HandshakeError::Encrypted));
            } else {
                assert_eq!(verdict, Ok(()), "version {version}");
            }
        }
        assert_eq!(admit(&[]), Ok(()));
    }

    #[test]
    fn versions_from_32_on_are_refused() {
        for first in 32..=255 {
            assert!(admit(&[first]).is_err(), "version {first}");
        }
    }

    #[test]
    fn other_protocols_are_named() {
        let cases: [(&[u8], Guess); 11] = [
            (&[0x16, 0x03, 0x01, 0x02, 0x00], Guess::Tls),
            (b"GET / HTTP/1.1\r\n", Guess::Http),
            (b"P", Guess::Http),
            (b"POST /open/1 HTTP/1.1", Guess::Http),
            (b"OPTIONS rtsp://h/live RTSP/1.0", Guess::Http),
            (b"SSH-2.0-OpenSSH_9.2", Guess::Ssh),
            (b"PROXY TCP4 192.0.2.1", Guess::ProxyProtocol),
            (b"\r\n\r\n\0\r\nQUIT\n", Guess::ProxyProtocol),
            (&[0xF3, 0x00, 0x04, 192, 0, 2, 1], Guess::SrsProxy),
            (b"POSE", Guess::Unknown),
            (&[0xFF; 8], Guess::Unknown),
        ];
        for (opening, expected) in cases {
            let error = admit(opening).unwrap_err();
            assert_eq!(error.guess(), expected, "{opening:?}");
            assert!(matches!(error, HandshakeError::NotRtmp { first, .. } if first == opening[0]));
        }
    }
}
