//! What can be wrong in the bytes of an RTMP peer; every variant closes the connection.
//!
//! Invariant: a variant carries what was found and what was allowed, never text from the wire.
//! Things a server shrugs off (drop and count) are not errors and not here.

use thiserror::Error;

use super::amf0::AmfError;
use super::handshake::HandshakeError;
use super::message::Kind;
use super::server::Stage;

/// Why a connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    // ---- chunk layer ----
    /// Chunk size 0, with the top bit set, or below the floor (K-22).
    #[error("chunk size {found:#x} is outside {min}..=0x7fffffff")]
    ChunkSize {
        /// The value of the message.
        found: u32,
        /// Smallest size allowed.
        min: u32,
    },
    /// The first chunk of a chunk stream leaves out what only an earlier one could say (K-13).
    #[error("chunk stream {csid} starts with header format {fmt}")]
    FreshChunkStream {
        /// The chunk stream.
        csid: u32,
        /// Its header format, 2 or 3.
        fmt: u8,
    },
    /// One chunk stream id more than may have state (L-07).
    #[error("chunk stream {csid} is one more than the {max} allowed")]
    ChunkStreams {
        /// The id that did not fit.
        csid: u32,
        /// Most ids with state.
        max: u16,
    },
    /// A message header announces more than its kind may have (L-06).
    #[error("{kind:?} message of {found} bytes on chunk stream {csid}, {max} allowed")]
    MessageLength {
        /// The chunk stream.
        csid: u32,
        /// Kind of the message.
        kind: Kind,
        /// Announced length in bytes.
        found: u32,
        /// Longest length allowed in bytes.
        max: u32,
    },
    /// A header in the middle of a message announces another message (K-14).
    #[error("{kind:?} message of {length} bytes on chunk stream {csid} changes halfway")]
    MessageChanged {
        /// The chunk stream.
        csid: u32,
        /// Kind of the message that was being received.
        kind: Kind,
        /// Its announced length in bytes.
        length: u32,
    },
    /// One half-received message more than allowed (L-08).
    #[error("more than {max} messages partially received")]
    PartialMessages {
        /// Most partial messages at one time.
        max: u16,
    },
    /// The partial messages would hold more than their common budget (L-08).
    #[error("{found} bytes of partial messages, {max} allowed")]
    PartialBytes {
        /// Bytes there would be at the end of the chunk.
        found: u32,
        /// Bytes allowed.
        max: u32,
    },

    // ---- session ----
    /// The peer does not speak plain RTMP; nothing was sent.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A command's values are damaged before connect, or break a limit.
    #[error(transparent)]
    Amf(#[from] AmfError),
    /// Aggregates in a row that could not be taken apart (K-46).
    #[error("{in_a_row} damaged aggregate messages in a row")]
    Aggregates {
        /// How many.
        in_a_row: u8,
    },
    /// The first command is not `connect`, or is none at all (C-06, C-07).
    #[error("the first command is not connect")]
    NotConnect,
    /// More control messages and commands than a second may have (U-11).
    #[error("more than {per_second} control messages a second")]
    ControlFlood {
        /// Sustained messages a second.
        per_second: u32,
    },
    /// A publisher sends more media than it may (`--max-bitrate`).
    #[error("more than {mbit_per_second} Mbit/s of media")]
    Bitrate {
        /// What it may send, in Mbit/s.
        mbit_per_second: u32,
    },
    /// A publisher sends more media messages than it may (`--max-message-rate`).
    #[error("more than {per_second} media messages a second")]
    MessageRate {
        /// What it may send in a second.
        per_second: u32,
    },
    /// The peer keeps asking and does not read the answers (I-05).
    #[error("{found} bytes of answers unread, {max} allowed")]
    Unread {
        /// Bytes waiting.
        found: usize,
        /// Most bytes that may wait.
        max: usize,
    },
    /// A deadline passed.
    #[error("{0}")]
    Timeout(Stage),
}
