//! What is fuzzed: one function for each parser and machine that bytes of a stranger reach.
//!
//! Invariant: a target is a function of its input alone, returns on every input, and panics when a
//! law of the code is broken. libFuzzer drives them (`scripts/fuzz.sh`), and `fuzz_regressions.rs`
//! replays seeds and old crashes through them in every test run.
//!
//! | file | what it is fed |
//! |---|---|
//! | `handshake` | a client's or a server's half of the handshake, in pieces |
//! | `chunk` | a chunk stream: bounds, and what the writers make of its messages |
//! | `split` | a chunk stream, whole and in pieces |
//! | `amf0`, `amf3` | values |
//! | `command` | messages for a connected session, kind by kind |
//! | `session` | a connection from accept to close, with pieces, pauses and moods of the host |
//! | `media` | audio, video and data messages |
//! | `url` | app, tcUrl and stream name |
//! | `taker`, `host` | reading an input; a session's host, as a worker would answer |

// Not all of it is used by both of those who include it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    unreachable_pub
)]

mod amf0;
mod amf3;
mod chunk;
mod command;
mod handshake;
mod host;
mod media;
mod session;
mod split;
mod taker;
mod url;

/// One thing to fuzz.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Live memory a run may have: this many times the input and `memory_base` bytes more. Beside
    /// what is tested it holds what the harness itself keeps.
    pub memory_factor: usize,
    pub memory_base: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), memory_factor: usize) -> Target {
    Target {
        name,
        run,
        memory_factor,
        memory_base: 64 << 10,
    }
}

/// A target that compares two decoded values, each of which may take 4 times its bytes and 64 KiB.
const fn values(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        memory_factor: 12,
        memory_base: 128 << 10,
    }
}

/// A target around a session, which may owe its peer 64 KiB of answers.
const fn machine(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        memory_factor: 16,
        memory_base: 384 << 10,
    }
}

pub const TARGETS: [Target; 9] = [
    target("handshake", handshake::run, 4),
    target("chunk", chunk::run, 16),
    target("split", split::run, 4),
    values("amf0", amf0::run),
    values("amf3", amf3::run),
    machine("command", command::run),
    machine("session", session::run),
    target("media", media::run, 12),
    target("url", url::run, 32),
];
