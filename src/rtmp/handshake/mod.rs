//! The RTMP handshake, plain and signed, for both roles.
//!
//! Invariant: a machine holds less than 4 KiB, takes exactly its own bytes from the input (what
//! follows belongs to the chunk reader) and never writes a byte to a peer it refuses.
//! PROTOCOL §1 and §1.1 (H-01 to H-34).
//!
//! * `server` — C0 C1 C2 in, S0 S1 S2 out
//! * `client` — the other end
//! * `digest` — where the signatures sit and what signs them
//! * `filler` — cheap bytes for the parts that are "random"
//! * `refusal` — why a peer was turned away, and what it probably speaks

mod client;
mod digest;
mod filler;
mod refusal;
mod server;

pub use client::ClientHandshake;
pub use refusal::{Guess, HandshakeError};
pub use server::ServerHandshake;

/// The bytes of C1, S1, C2 or S2.
///
/// ```text
/// plain   0..4 time | 4..8 zero    | 8..1536 filler
/// signed  0..4 time | 4..8 version | filler with a 32-byte digest somewhere inside (H-21)
/// ```
type Block = [u8; BLOCK];

/// Moves bytes from the front of `input` until `held` has `total` of them.
fn take(input: &mut &[u8], held: &mut Vec<u8>, total: usize) {
    let wanted = total.saturating_sub(held.len()).min(input.len());
    let (now, later) = input.split_at(wanted);
    if !now.is_empty() {
        held.reserve_exact(total.saturating_sub(held.len()));
        held.extend_from_slice(now);
    }
    *input = later;
}

/// Drops up to `left` bytes from the front of `input`; returns how many are still to come.
fn skip(input: &mut &[u8], left: usize) -> usize {
    let (gone, later) = input.split_at(left.min(input.len()));
    *input = later;
    left.saturating_sub(gone.len())
}

/// Length of C1, S1, C2 and S2 in bytes (H-01).
const BLOCK: usize = 1536;
/// The version of plain RTMP, the only one spoken here.
const VERSION: u8 = 0x03;
/// The version that announces RTMPE.
const ENCRYPTED: u8 = 0x06;
