//! Every bound of the program, in one place, each with its reason.

/// Bounds of the AMF0/AMF3 decoders (RELIABILITY §4: depth 16; values and strings differ before
/// and after a connection is authorised).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmfLimits {
    /// Deepest nesting of objects and arrays. 2 MiB of stack die at ~8,000 levels of recursion.
    pub depth_max: u8,
    /// Most values in one message; a value costs ~40 bytes decoded, a null 1 byte on the wire.
    pub values_max: u32,
    /// Longest string value in bytes.
    pub string_bytes_max: u32,
    /// Longest property name in bytes.
    pub key_bytes_max: u32,
}

impl AmfLimits {
    /// Before publish or play was accepted.
    pub const STRANGER: Self =
        Self { depth_max: 16, values_max: 1_024, string_bytes_max: 8 << 10, key_bytes_max: 256 };
    /// Afterwards.
    pub const AUTHORISED: Self =
        Self { depth_max: 16, values_max: 8_192, string_bytes_max: 64 << 10, key_bytes_max: 256 };
}

/// Bounds of one chunk reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// Longest message of kinds 8 to 22, in bytes.
    pub message_bytes_max: u32,
    /// Sum of all partial messages of the connection, in bytes, counted as they arrive.
    pub partial_bytes_max: u32,
    /// Messages that may be partially received at one time.
    pub partial_messages_max: u16,
    /// Chunk stream ids with state.
    pub chunk_streams_max: u16,
    /// Smallest chunk size a peer may choose; smaller ones are a CPU amplifier.
    pub chunk_size_min: u32,
}

impl ReaderLimits {
    /// Before publish was accepted: enough for any connect or metadata of a real client.
    pub const STRANGER: Self = Self {
        message_bytes_max: 64 << 10,
        partial_bytes_max: 64 << 10,
        partial_messages_max: 8,
        chunk_streams_max: 8,
        chunk_size_min: 128,
    };
    /// After publish was accepted (`--max-message` replaces `message_bytes_max`).
    pub const PUBLISHER: Self = Self {
        message_bytes_max: 8 << 20,
        partial_bytes_max: 16 << 20,
        partial_messages_max: 8,
        chunk_streams_max: 64,
        chunk_size_min: 128,
    };
}
