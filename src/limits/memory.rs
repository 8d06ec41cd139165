//! The most memory the process can be made to use, as a sum with a reason for each term.

use std::fmt;

use super::{
    BATCH_BYTES_MAX, CONNECTION_BYTES, CONTROL_BYTES_MAX, FRAME_OVERHEAD_BYTES, HEADERS_BYTES_MAX,
    ReaderLimits, SCRATCH_BYTES, WORKER_STACK_BYTES,
};
use crate::config::Config;

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
            let line = format!(
                "  {name:<26}{how:>24}{:>12}  {why}",
                Approx(sum).to_string()
            );
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
        let units = [
            (50, "PiB"),
            (40, "TiB"),
            (30, "GiB"),
            (20, "MiB"),
            (10, "KiB"),
        ];
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
    let connections = wide(config.max_connections);
    let workers = wide(config.workers);
    // A publisher holds a name and a connection, so neither bound alone counts them.
    let streams = wide(config.max_streams).min(connections);
    let frames = wide(config.log_frames);
    let stranger = u64::from(ReaderLimits::STRANGER.partial_bytes_max);
    let owed = wide(CONTROL_BYTES_MAX + HEADERS_BYTES_MAX + CONNECTION_BYTES);
    let partial = u64::from(ReaderLimits::PUBLISHER.partial_bytes_max);
    let (cut, per_log) = (
        u64::from(config.max_message),
        frames * wide(FRAME_OVERHEAD_BYTES),
    );
    let (mirrors, per_mirror) = (streams * workers, frames * wide(LOG_PLACE_BYTES));
    let (headers, per_worker) = (
        wide(HEADERS_BYTES_MAX),
        wide(SCRATCH_BYTES + BATCH_BYTES_MAX + WORKER_STACK_BYTES),
    );
    let terms = [
        (
            "connections",
            connections,
            owed + stranger,
            "--max-connections",
        ),
        (
            "messages being received",
            connections,
            partial,
            "of whoever has published",
        ),
        (
            "unfinished sessions",
            wide(config.max_pending),
            wide(PENDING_BYTES),
            "--max-pending, list and addresses",
        ),
        (
            "stream logs",
            streams,
            config.log_bytes,
            "--max-streams, --log-bytes",
        ),
        (
            "frames of the logs",
            streams,
            per_log,
            "--log-frames, heads and counts",
        ),
        (
            "stream headers",
            mirrors,
            headers,
            "metadata and codec setup",
        ),
        (
            "mirrors of the logs",
            mirrors,
            per_mirror,
            "a place for each frame",
        ),
        ("frames cut by a write", connections, cut, "--max-message"),
        ("inboxes", workers, wide(config.mesh_bytes), "--mesh-bytes"),
        ("workers", workers, per_worker, "buffers and stack"),
    ];
    MemorySum {
        terms: terms.map(MemoryTerm::from).into(),
        kernel: vec![kernel_term(config, connections)],
    }
}

/// What the kernel holds in send buffers.
fn kernel_term(config: &Config, connections: u64) -> MemoryTerm {
    // The kernel doubles SO_SNDBUF for its own book-keeping; 4 MiB is tcp_wmem's usual ceiling.
    let send = match wide(config.send_buffer) {
        0 => 4 << 20,
        asked => asked.saturating_mul(2),
    };
    let name = "kernel send buffers";
    MemoryTerm::from((name, connections, send, "--send-buffer, doubled"))
}

impl From<(&'static str, u64, u64, &'static str)> for MemoryTerm {
    fn from((name, count, bytes, reason): (&'static str, u64, u64, &'static str)) -> Self {
        Self {
            name,
            count,
            bytes,
            reason,
        }
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A log's place for one frame, in bytes: pointer, time, byte sum; twice, as the ring doubles when
/// it is full.
const LOG_PLACE_BYTES: usize = 48;

/// What an unfinished session costs besides its connection, in bytes: twice its place in a
/// worker's list (12) and in the table of addresses (25, at most 7/8 full), as both double when
/// they are full.
const PENDING_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_sum_of_its_terms_and_grows_with_each_setting() {
        let base = Config::default();
        let sum = worst_case(&base);
        let parts: u64 = sum
            .terms
            .iter()
            .chain(&sum.kernel)
            .map(MemoryTerm::total)
            .sum();
        assert_eq!(sum.total(), parts);
        let more = [
            Config {
                max_connections: base.max_connections + 1,
                ..base.clone()
            },
            Config {
                max_pending: base.max_pending + 1,
                ..base.clone()
            },
            Config {
                max_streams: base.max_streams + 1,
                ..base.clone()
            },
            Config {
                log_bytes: base.log_bytes + 1,
                ..base.clone()
            },
            Config {
                log_frames: base.log_frames + 1,
                ..base.clone()
            },
            Config {
                workers: base.workers + 1,
                ..base.clone()
            },
            Config {
                mesh_bytes: base.mesh_bytes + 1,
                ..base.clone()
            },
            Config {
                send_buffer: base.send_buffer + 1,
                ..base.clone()
            },
            Config {
                max_message: base.max_message + 1,
                ..base
            },
        ];
        for config in more {
            assert!(worst_case(&config).total() > sum.total(), "{config:?}");
        }
    }

    #[test]
    fn streams_count_no_further_than_connections() {
        let few = Config {
            max_connections: 10,
            ..Config::default()
        };
        let log = worst_case(&few)
            .terms
            .into_iter()
            .find(|term| term.name == "stream logs");
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
