//! Every bound of the program, in one place, each with its reason.
//!
//! `memory` sums them up: the most the process can be made to use.

mod memory;

pub use memory::{Approx, MemorySum, MemoryTerm, worst_case};

use crate::config::Config;

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
    pub const STRANGER: Self = Self {
        depth_max: 16,
        values_max: 1_024,
        string_bytes_max: 8 << 10,
        key_bytes_max: 256,
    };
    /// Afterwards.
    pub const AUTHORISED: Self = Self {
        depth_max: 16,
        values_max: 8_192,
        string_bytes_max: 64 << 10,
        key_bytes_max: 256,
    };
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

/// Bounds of one server session (RELIABILITY §4). All durations in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The chunk reader's bounds until a publish is accepted.
    pub stranger: ReaderLimits,
    /// The chunk reader's bounds from then on.
    pub publisher: ReaderLimits,
    /// The AMF decoder's bounds until a publish or a play is accepted.
    pub amf_stranger: AmfLimits,
    /// The AMF decoder's bounds from then on.
    pub amf_authorised: AmfLimits,
    /// Message streams that exist at one time.
    pub message_streams_max: u32,
    /// Control messages and commands a second, sustained; a burst may be twice that (U-11).
    pub control_per_second: u32,
    /// Media a publisher may send, in Mbit/s (`--max-bitrate`); for two seconds it may be more.
    pub media_mbit_per_second: u32,
    /// Media messages a publisher may send in a second (`--max-message-rate`); ten seconds' worth
    /// may come at once. Each costs every player a look, whatever its size.
    pub media_messages_per_second: u32,
    /// Replies waiting in the session before a peer that keeps asking is closed, in bytes (I-05).
    pub output_bytes_max: usize,
    /// Accept → C2 read.
    pub handshake_ms: u64,
    /// C2 read → connect received.
    pub connect_ms: u64,
    /// Accept → publish or play asked for, absolute: no traffic renews it.
    pub role_ms: u64,
    /// Last role ended → next one asked for. FMLE publishes again on the same connection
    /// (INTEROP 33).
    pub roleless_ms: u64,
    /// Silence in both directions before a ping is sent.
    pub ping_after_ms: u64,
    /// Ping → any byte.
    pub pong_ms: u64,
    /// Publish accepted → first audio or video message.
    pub first_media_ms: u64,
    /// Last audio or video message → the publisher counts as gone.
    pub media_idle_ms: u64,
}

impl SessionLimits {
    /// RELIABILITY §4.
    pub const DEFAULT: Self = Self {
        stranger: ReaderLimits::STRANGER,
        publisher: ReaderLimits::PUBLISHER,
        amf_stranger: AmfLimits::STRANGER,
        amf_authorised: AmfLimits::AUTHORISED,
        message_streams_max: 8,
        control_per_second: 100,
        media_mbit_per_second: 200,
        media_messages_per_second: 1_000,
        output_bytes_max: 64 << 10,
        handshake_ms: 5_000,
        connect_ms: 10_000,
        role_ms: 15_000,
        roleless_ms: 60_000,
        ping_after_ms: 30_000,
        pong_ms: 15_000,
        first_media_ms: 15_000,
        media_idle_ms: 10_000,
    };
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bounds of one worker's inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshLimits {
    /// Letters that may wait (`--mesh-letters`); a letter is all that one turn has for one peer.
    pub letters_max: usize,
    /// Media payload that may wait, in bytes (`--mesh-bytes`); beyond it media is shed, control
    /// mail is kept. At least the largest message, or a frame of that size could never pass.
    pub bytes_max: usize,
}

impl MeshLimits {
    /// The bounds that the settings ask for.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            letters_max: config.mesh_letters,
            bytes_max: config.mesh_bytes,
        }
    }
}

/// One worker's buffer for all its reads, in bytes: a connection's share of one turn.
pub const SCRATCH_BYTES: usize = 256 << 10;
/// One worker's copy of a stream's news, in bytes: more than a player's send buffer takes.
pub const BATCH_BYTES_MAX: usize = 512 << 10;
/// Protocol bytes that may wait for one peer, one set of headers not counted; more means that it
/// asks and never reads.
pub const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Stack of a worker thread, in bytes: no recursion follows wire data (RELIABILITY §4).
pub const WORKER_STACK_BYTES: usize = 1 << 20;
/// Metadata kept per stream, in bytes (RELIABILITY §4).
pub const METADATA_BYTES_MAX: usize = 64 << 10;
/// Metadata and sequence headers of all tracks kept per stream, in bytes: every joiner is sent
/// them privately. Real ones are below 2 KiB.
pub const HEADERS_BYTES_MAX: usize = 128 << 10;
/// Headers that a player is known to have, 8 bytes each: metadata, and three kinds for each of the
/// 16 tracks of sound and of picture that are kept (M-54). Beyond it they are sent again.
pub const KNOWN_HEADERS_MAX: usize = 97;
/// What a frame costs besides its payload, in bytes: head room, heads, counts, allocator.
pub const FRAME_OVERHEAD_BYTES: usize = 256;
/// What an idle connection costs, in bytes: `Conn`, its session, its place in the tables.
pub const CONNECTION_BYTES: usize = 4 << 10;
