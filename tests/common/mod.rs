//! What the integration tests share: a real server process, blocking RTMP clients, and media
//! whose payloads are numbered so that a gap, a duplicate or a swap is seen.
//!
//! | file | what it holds |
//! |---|---|
//! | `server.rs` | `TestServer`: the binary on a port of its own, its log lines, its end |
//! | `link.rs` | `Dial`, `Link`: a TCP connection that drives a `ClientSession` |
//! | `client.rs` | `Publisher` and `Player` over a `Link` |
//! | `media.rs` | numbered frames and valid configs of each codec, `Camera` that films them |
//! | `bits.rs` | bit strings and the parameter sets made of them |
//! | `bench.rs` | `Bench`: a bare server session fed with any bytes, its bounds watched |
//! | `pair.rs` | `Pair`: both sessions on a bench, without sockets |
//! | `relay.rs` | `Relay`: a relay that does one wrong thing to one connection |
//! | `stage.rs` | `Stage`: a worker's streams and viewers of any pace, without sockets |
//! | `tally.rs` | `Tally`: what a player must be able to say of what it received |

// Each test crate uses a part of this and sees all of it.
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

pub mod bench;
pub mod bits;
pub mod client;
pub mod link;
pub mod media;
pub mod pair;
pub mod relay;
pub mod server;
pub mod stage;
pub mod tally;
