//! The chunk stream: messages cut into chunks and put together again.
//!
//! `reader` makes messages of bytes, `writer` makes bytes of messages. `header` is what a chunk
//! header says by itself, `streams` what the reader remembers of the earlier ones. None of them
//! does I/O. Protocol §2.

mod header;
mod reader;
mod streams;
mod writer;

pub use reader::ChunkReader;
pub use writer::{ChunkWriter, HeadBytes, first_head, next_head, write_control, write_message};

use super::message::Kind;

/// Everything a chunk header says of a message, except its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Chunk stream id, 2 to 65,599.
    pub csid: u32,
    /// Absolute, milliseconds.
    pub timestamp: u32,
    /// What the payload is.
    pub kind: Kind,
    /// Message stream id.
    pub stream_id: u32,
}

/// The chunk stream ids we send on; all below 32, nginx-rtmp's default ceiling (DESIGN §5.3).
pub mod csid {
    /// Protocol and user control.
    pub const CONTROL: u32 = 2;
    /// Commands and their answers.
    pub const COMMAND: u32 = 3;
    /// Audio.
    pub const AUDIO: u32 = 4;
    /// Data messages and status.
    pub const DATA: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
}

/// Chunk size of either side until it announces another (K-21).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// A 24-bit timestamp field of this value says that four more bytes follow (K-04).
const EXTENDED: u32 = 0xFF_FFFF;
