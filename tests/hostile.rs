//! Hostile peers: every input of PROTOCOL §11 that the RTMP part of this server can meet.
//!
//! Invariant: whatever a peer sends, the outcome is an event, a drop or a typed error; answers and
//! half-received messages stay bounded (`common::bench` checks both after every call), and nobody
//! else's picture stops. Each test names the Z numbers it covers.
//!
//! | file | what it attacks |
//! |---|---|
//! | `handshake.rs` | the first 3,073 bytes |
//! | `chunks.rs` | the chunk stream |
//! | `values.rs` | control messages and AMF |
//! | `commands.rs` | commands and the state of a session |
//! | `media.rs` | what is inside media messages |
//! | `mutants.rs` | whole sessions, damaged at random from a seed (`SEED=n` replays) |
//! | `canary.rs` | an honest publisher and an honest player on each worker |
//! | `sockets.rs` | connections: idle, dripping, cut, unread |
//! | `crowds.rs` | floods, races and storms |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

#[path = "hostile/canary.rs"]
mod canary;
#[path = "hostile/chunks.rs"]
mod chunks;
#[path = "hostile/commands.rs"]
mod commands;
#[path = "hostile/crowds.rs"]
mod crowds;
#[path = "hostile/handshake.rs"]
mod handshake;
#[path = "hostile/media.rs"]
mod media;
#[path = "hostile/mutants.rs"]
mod mutants;
#[path = "hostile/sockets.rs"]
mod sockets;
#[path = "hostile/values.rs"]
mod values;
