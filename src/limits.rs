//! Every bound of the program, in one place, each with its reason.

use std::fmt;

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
    /// mail is kept.
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
/// Protocol bytes that may wait for one peer; more means it asks and never reads.
pub const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Stack of a worker thread, in bytes: no recursion follows wire data (RELIABILITY §4).
pub const WORKER_STACK_BYTES: usize = 1 << 20;
/// Metadata kept per stream, in bytes; sequence headers share the bound of one more of these.
pub const METADATA_BYTES_MAX: usize = 64 << 10;
/// What a frame costs besides its payload, in bytes: head room, heads, counts, allocator.
pub const FRAME_OVERHEAD_BYTES: usize = 256;
/// What an idle connection costs, in bytes: `Conn`, its session, its place in the tables.
pub const CONNECTION_BYTES: usize = 4 << 10;

/// One bounded thing: so many, so large, for this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryTerm {
    /// What is counted.
    pub name: &'static str,
    /// How many there can be.
    pub count: u64,
    /// How large one can be, in bytes.
    pub bytes: u64,
    /// What sets the bound.
    pub reason: &'static str,
}

impl MemoryTerm {
    /// All of them, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count.saturating_mul(self.bytes)
    }
}

/// The most memory the process can be made to use, term by term (DESIGN §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemorySum {
    /// Memory of the process.
    pub terms: Vec<MemoryTerm>,
    /// Memory that the kernel holds for the process; it is in no process's resident size.
    pub kernel: Vec<MemoryTerm>,
}

impl MemorySum {
    /// Everything, in bytes: process and kernel.
    #[must_use]
    pub fn total(&self) -> u64 {
        let parts = self.terms.iter().chain(&self.kernel);
        parts.fold(0, |sum: u64, term| sum.saturating_add(term.total()))
    }

    /// The process's part, in bytes.
    #[must_use]
    pub fn process(&self) -> u64 {
        self.terms
            .iter()
            .fold(0, |sum: u64, term| sum.saturating_add(term.total()))
    }
}

impl fmt::Display for MemorySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, how: &str, sum: u64, why: &str| {
            let line = format!("  {name:<26}{how:>24}{:>12}  {why}", Approx(sum).to_string());
            writeln!(f, "{}", line.trim_end())
        };
        for term in self.terms.iter().chain(&self.kernel) {
            let how = format!("{} x {}", term.count, Approx(term.bytes));
            line(f, term.name, &how, term.total(), term.reason)?;
        }
        line(f, "worst case, process", "", self.process(), "")?;
        line(f, "worst case, with kernel", "", self.total(), "")
    }
}

/// Bytes for the eye: three digits and a unit.
#[derive(Clone, Copy, Debug)]
pub struct Approx(pub u64);

impl fmt::Display for Approx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, name)) = units.iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(f, "{} B", self.0);
        };
        let whole = self.0 >> shift;
        let tenth = ((self.0 >> (shift - 10)) & 1_023) * 10 / 1_024;
        match (whole, tenth) {
            (100.., _) | (_, 0) => write!(f, "{whole} {name}"),
            _ => write!(f, "{whole}.{tenth} {name}"),
        }
    }
}

/// The worst case for these settings: every table full, every peer as greedy as it may be.
#[must_use]
pub fn worst_case(config: &Config) -> MemorySum {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let term = |name, count, bytes, reason| MemoryTerm {
        name,
        count,
        bytes,
        reason,
    };
    let connections = wide(config.max_connections);
    let workers = wide(config.workers);
    // A publisher holds a name and a connection, so neither bound alone counts them.
    let streams = wide(config.max_streams).min(connections);
    let log_frames = wide(config.log_frames);
    let partial = u64::from(ReaderLimits::PUBLISHER.partial_bytes_max);
    let stranger = u64::from(ReaderLimits::STRANGER.partial_bytes_max);
    let owed = wide(CONTROL_BYTES_MAX) + wide(CONNECTION_BYTES);
    let frame = log_frames * wide(FRAME_OVERHEAD_BYTES);
    let worker = wide(SCRATCH_BYTES) + wide(WORKER_STACK_BYTES);
    let terms = vec![
        term("connections", connections, owed + stranger, "--max-connections"),
        term("messages being received", streams, partial, "of a publisher"),
        term("stream logs", streams, config.log_bytes, "--max-streams, --log-bytes"),
        term("frames of the logs", streams, frame, "--log-frames, heads and counts"),
        term("stream headers", streams, 2 * wide(METADATA_BYTES_MAX), "metadata and codec setup"),
        term("mirrors of the logs", streams * workers, log_frames * 8, "one place a frame"),
        term("frames cut by a write", connections, u64::from(config.max_message), "--max-message"),
        term("inboxes", workers, wide(config.mesh_bytes), "--mesh-bytes"),
        term("workers", workers, worker, "read buffer and stack"),
    ];
    // The kernel doubles SO_SNDBUF for its own book-keeping; 4 MiB is tcp_wmem's usual ceiling.
    let send = match wide(config.send_buffer) {
        0 => 4 << 20,
        asked => asked.saturating_mul(2),
    };
    let kernel = vec![term("kernel send buffers", connections, send, "--send-buffer, doubled")];
    MemorySum { terms, kernel }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_sum_of_its_terms_and_grows_with_each_setting() {
        let base = Config::default();
        let sum = worst_case(&base);
        let parts: u64 = sum.terms.iter().chain(&sum.kernel).map(MemoryTerm::total).sum();
        assert_eq!(sum.total(), parts);
        let more = [
            Config { max_connections: base.max_connections + 1, ..base.clone() },
            Config { max_streams: base.max_streams + 1, ..base.clone() },
            Config { log_bytes: base.log_bytes + 1, ..base.clone() },
            Config { log_frames: base.log_frames + 1, ..base.clone() },
            Config { workers: base.workers + 1, ..base.clone() },
            Config { mesh_bytes: base.mesh_bytes + 1, ..base.clone() },
            Config { send_buffer: base.send_buffer + 1, ..base.clone() },
            Config { max_message: base.max_message + 1, ..base.clone() },
        ];
        for config in more {
            assert!(worst_case(&config).total() > sum.total(), "{config:?}");
        }
    }

    #[test]
    fn streams_count_no_further_than_connections() {
        let few = Config { max_connections: 10, ..Config::default() };
        let log = worst_case(&few).terms.into_iter().find(|term| term.name == "stream logs");
        assert_eq!(log.map(|term| term.count), Some(10));
    }

    #[test]
    fn a_byte_count_for_the_eye_has_three_digits_at_most() {
        let shown = |bytes| Approx(bytes).to_string();
        assert_eq!(shown(1_023), "1023 B");
        assert_eq!(shown(1_536), "1.5 KiB");
        assert_eq!(shown(16 << 20), "16 MiB");
        assert_eq!(shown(u64::MAX), "16383 PiB");
    }
}
