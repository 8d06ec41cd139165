//! `ChunkReader`: bytes in, whole messages out. Under construction.

use crate::limits::ReaderLimits;
use crate::rtmp::error::Error;
use crate::rtmp::message::Message;

/// Puts messages together from chunks.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ReaderLimits,
}

impl ChunkReader {
    /// A reader at the start of a connection, chunk size 128.
    #[must_use]
    pub fn new(limits: ReaderLimits) -> Self {
        Self { limits }
    }

    /// Replaces the limits from the next chunk on.
    pub fn set_limits(&mut self, limits: ReaderLimits) {
        self.limits = limits;
    }

    /// Takes the peer's chunk size from its next chunk on.
    ///
    /// # Errors
    /// `Error::ChunkSize` (K-22).
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        let _ = size;
        Ok(())
    }

    /// Discards the partial message of a chunk stream.
    pub fn abort(&mut self, csid: u32) {
        let _ = csid;
    }

    /// Feeds bytes; stops after one whole message.
    ///
    /// # Errors
    /// The chunk layer's variants of `Error`.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        *input = &[];
        Ok(None)
    }

    /// Payload bytes of messages not whole yet.
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        0
    }
}
