//! RTMP: the protocol, without a socket.
//!
//! | folder or file | what it holds | PROTOCOL |
//! |---|---|---|
//! | `handshake/` | plain and digest handshake, both sides | §1 |
//! | `chunk/` | chunk stream: bytes ⇄ messages | §2 |
//! | `message` | [`message::Message`], protocol and user control, aggregates | §2.6, §3 |
//! | `amf0/`, `amf3` | values of commands and data messages | §4 |
//! | `command` | commands, typed, and the answers to them | §5 |
//! | `caps` | what a client declares of Enhanced RTMP | §6.5 |
//! | `url` | app, stream name and tcUrl → one stream name | §5.2 |
//! | `server/` | [`server::ServerSession`]: the server's side of a connection | §5, §13 |
//! | `client/` | [`client::ClientSession`]: the client's side, for tests and the load tool | §7 |
//! | `error` | [`Error`]: what the peer did wrong | |
//!
//! Invariant: whatever bytes a peer sends, the outcome is an event or a typed error; a panic in
//! here is a bug of ours.

pub mod amf0;
pub mod amf3;
pub mod caps;
pub mod chunk;
pub mod client;
pub mod error;
pub mod handshake;
pub mod message;
pub mod server;
pub mod url;

pub use error::Error;
