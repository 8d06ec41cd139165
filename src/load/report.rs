//! `Report`: what a run found, for people and for programs.
//!
//! Invariant: `passed` is true only if every player joined, stayed, and got everything, and if
//! that was found out for each of them; the verdict says what kept it from being true.

use serde_json::{Value, json};

use crate::load::delay::{Delays, Spread};
use crate::load::loss::Loss;
use crate::load::procfs::Usage;

/// A finished run.
#[derive(Debug, Default)]
pub struct Report {
    /// The server's URL.
    pub url: String,
    /// Streams of the run.
    pub streams: u32,
    /// Players planned, but for the storm.
    pub players_wanted: u32,
    /// Storm planned.
    pub storm_wanted: u32,
    /// Idle connections planned.
    pub idle_wanted: u32,
    /// One entry a second.
    pub seconds: Vec<Second>,
    /// The measured window.
    pub steady: Steady,
    /// Players that got a key frame, but for the storm.
    pub joined: u64,
    /// The storm's players that got a key frame.
    pub storm_joined: u64,
    /// Players among both that read everything; the others counted.
    pub verifying: u64,
    /// Idle connections that the server accepted.
    pub idle_connected: u64,
    /// Those among them that it kept to the end.
    pub idle_held: u64,
    /// The server's resident memory before the first connection, bytes.
    pub rss_before_bytes: u64,
    /// From letting the first player in to the last key frame, milliseconds.
    pub join_ms: u64,
    /// Connecting to the first key frame.
    pub keys: Delays,
    /// The same of the storm.
    pub storm_keys: Delays,
    /// Messages that were compared with what was sent.
    pub checked: u64,
    /// Players that only counted and were compared with one that read everything.
    pub compared: u64,
    /// Players that only counted and could be compared with none.
    pub uncompared: u64,
    /// Silences longer than the limit.
    pub stalls: u64,
    /// Connections that could not be made or ended.
    pub gone: u64,
    /// What went wrong: how much of each thing, with examples; by frequency.
    pub losses: Vec<(&'static str, u64, Vec<Loss>)>,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// End of the second, milliseconds since the run began.
    pub at_ms: u64,
    /// Its length, milliseconds.
    pub length_ms: u64,
    /// Whether it lies in the measured window.
    pub steady: bool,
    /// Publishers up at its end.
    pub publishers: u64,
    /// Players up at its end.
    pub players: u64,
    /// Idle connections up at its end.
    pub idle: u64,
    /// Players that got their first key frame in it.
    pub joins: u64,
    /// Bytes that players read.
    pub bytes: u64,
    /// Payload bytes sent, times the players of each stream.
    pub expected: u64,
    /// Sending to reading.
    pub delays: Option<Spread>,
    /// Stalls so far.
    pub stalls: u64,
    /// Connections lost so far.
    pub gone: u64,
    /// The server since the second before.
    pub server: Usage,
    /// TCP buffers of the machine.
    pub tcp_bytes: u64,
}

impl Second {
    /// Mbit/s that players read.
    #[must_use]
    pub fn mbps(&self) -> f64 {
        rate(self.bytes, self.length_ms)
    }

    /// Mbit/s that they should have read, without overhead.
    #[must_use]
    pub fn mbps_expected(&self) -> f64 {
        rate(self.expected, self.length_ms)
    }

    /// Share of one core that the server used, in percent.
    #[must_use]
    pub fn cpu_percent(&self) -> f64 {
        self.server.cpu_ms() as f64 * 100.0 / self.length_ms.max(1) as f64
    }
}

/// The measured window.
#[derive(Debug, Default)]
pub struct Steady {
    /// Its length, milliseconds; 0 if the run never came so far.
    pub length_ms: u64,
    /// Players up, times milliseconds.
    pub player_ms: u64,
    /// Connections up at its end: publishers, players, idle ones.
    pub connections: u64,
    /// Bytes that players read.
    pub bytes: u64,
    /// Payload bytes sent, times the players of each stream.
    pub expected: u64,
    /// Sending to reading, of players that check.
    pub delays: Delays,
    /// The server's use.
    pub server: Usage,
    /// This tool's own use.
    pub own: Usage,
    /// TCP buffers of the machine, the most at any second's end.
    pub tcp_bytes: u64,
    /// How late messages were sent.
    pub late: Delays,
}

impl Steady {
    /// Players up on average.
    #[must_use]
    pub fn players(&self) -> f64 {
        self.player_ms as f64 / self.length_ms.max(1) as f64
    }

    /// Milliseconds of the server's CPU that one player cost in one second; `None` if no server
    /// process was named, or none could be read.
    #[must_use]
    pub fn cpu_ms_per_player_second(&self) -> Option<f64> {
        let measured = self.server.alive > 0 && self.player_ms > 0;
        measured.then(|| self.server.cpu_ms() as f64 * 1_000.0 / self.player_ms as f64)
    }
}

impl Report {
    /// Whether every player got everything, and every connection stayed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.steady.length_ms > 0 && self.is_whole() && self.uncompared == 0
    }

    /// The outcome as a sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.steady.length_ms == 0 {
            "NOT PASSED: the run never came to its measured window".to_owned()
        } else if !self.is_whole() {
            "NOT PASSED: not every player got everything".to_owned()
        } else if self.uncompared > 0 {
            format!("NOT PASSED: {}", self.unknown())
        } else if self.players_wanted + self.storm_wanted == 0 {
            "every connection was kept".to_owned()
        } else {
            "every player got everything".to_owned()
        }
    }

    /// Players that only counted.
    #[must_use]
    pub fn counting(&self) -> u64 {
        (self.joined + self.storm_joined).saturating_sub(self.verifying)
    }

    /// Whether nothing is known to be missing.
    fn is_whole(&self) -> bool {
        self.losses.is_empty()
            && self.gone == 0
            && self.joined == u64::from(self.players_wanted)
            && self.storm_joined == u64::from(self.storm_wanted)
            && self.idle_held == u64::from(self.idle_wanted)
    }

    fn unknown(&self) -> String {
        format!(
            "{} players only counted bytes and can be compared with none that reads everything \
             (see --verify)",
            self.uncompared
        )
    }

    /// Reasons to mistrust the numbers, or to know less than one might think.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(late) = self
            .steady
            .late
            .spread()
            .filter(|late| late.p99_us > LATE_US)
        {
            doubts.push(format!(
                "messages were sent up to {} ms late (p99): this tool had too little CPU time, so \
                 delays are its own in part",
                late.p99_us / 1_000
            ));
        }
        // Otherwise this is the verdict.
        if self.uncompared > 0 && !self.is_whole() {
            doubts.push(self.unknown());
        }
        doubts
    }

    /// Everything, for programs. Times in milliseconds, sizes in bytes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let losses = self.losses.iter().map(|(what, count, examples)| {
            let examples: Vec<String> = examples.iter().map(ToString::to_string).collect();
            json!({ "what": what, "count": count, "examples": examples })
        });
        json!({
            "url": self.url,
            "passed": self.passed(),
            "verdict": self.verdict(),
            "streams": self.streams,
            "players": { "wanted": self.players_wanted, "joined": self.joined },
            "storm": {
                "wanted": self.storm_wanted,
                "joined": self.storm_joined,
                "key_ms": spread_json(self.storm_keys.spread()),
            },
            "idle": {
                "wanted": self.idle_wanted,
                "connected": self.idle_connected,
                "held": self.idle_held,
            },
            "joins_per_second": self.joins_per_second(),
            "key_ms": spread_json(self.keys.spread()),
            "steady": self.steady_json(),
            "checked_messages": self.checked,
            "verifying_players": self.verifying,
            "counting_players": self.counting(),
            "compared_players": self.compared,
            "uncompared_players": self.uncompared,
            "stalls": self.stalls,
            "gone": self.gone,
            "losses": losses.collect::<Vec<Value>>(),
            "doubts": self.doubts(),
            "seconds": self.seconds.iter().map(second_json).collect::<Vec<Value>>(),
        })
    }

    /// Players that joined, by the time it took.
    #[must_use]
    pub fn joins_per_second(&self) -> f64 {
        self.joined as f64 * 1_000.0 / self.join_ms.max(1) as f64
    }

    /// Bytes by which the server's resident memory grew since the run began, for each connection
    /// of the measured window's end; what they share is in it.
    #[must_use]
    pub fn rss_per_connection(&self) -> u64 {
        let grown = self
            .steady
            .server
            .rss_bytes
            .saturating_sub(self.rss_before_bytes);
        grown / self.steady.connections.max(1)
    }

    fn steady_json(&self) -> Value {
        let steady = &self.steady;
        let server = (steady.server.alive > 0).then(|| {
            json!({
                "cpu_ms": steady.server.cpu_ms(),
                "user_ms": steady.server.user_ms,
                "system_ms": steady.server.system_ms,
                "cpu_ms_per_player_second": steady.cpu_ms_per_player_second(),
                "rss_bytes": steady.server.rss_bytes,
                "rss_before_bytes": self.rss_before_bytes,
                "rss_bytes_per_connection": self.rss_per_connection(),
                "context_switches": {
                    "voluntary": steady.server.switches_own,
                    "involuntary": steady.server.switches_forced,
                },
            })
        });
        json!({
            "length_ms": steady.length_ms,
            "connections": steady.connections,
            "players": steady.players(),
            "mbps": rate(steady.bytes, steady.length_ms),
            "mbps_expected": rate(steady.expected, steady.length_ms),
            "delay_ms": spread_json(steady.delays.spread()),
            "server": server,
            "tcp_bytes": steady.tcp_bytes,
            "own_cpu_ms": steady.own.cpu_ms(),
            "late_ms": spread_json(steady.late.spread()),
        })
    }
}

fn second_json(second: &Second) -> Value {
    json!({
        "at_ms": second.at_ms,
        "steady": second.steady,
        "publishers": second.publishers,
        "players": second.players,
        "idle": second.idle,
        "joins": second.joins,
        "mbps": second.mbps(),
        "mbps_expected": second.mbps_expected(),
        "delay_ms": spread_json(second.delays),
        "stalls": second.stalls,
        "gone": second.gone,
        "cpu_percent": (second.server.alive > 0).then(|| second.cpu_percent()),
        "rss_bytes": (second.server.alive > 0).then_some(second.server.rss_bytes),
        "tcp_bytes": second.tcp_bytes,
    })
}

fn spread_json(spread: Option<Spread>) -> Value {
    spread.map_or(Value::Null, |spread| {
        let ms = |us: u64| us as f64 / 1_000.0;
        json!({
            "count": spread.count,
            "p50": ms(spread.p50_us),
            "p90": ms(spread.p90_us),
            "p99": ms(spread.p99_us),
            "max": ms(spread.max_us),
        })
    })
}

/// Mbit/s.
pub(super) fn rate(bytes: u64, ms: u64) -> f64 {
    bytes as f64 * 8.0 / 1_000.0 / ms.max(1) as f64
}

/// Later than this is worth a remark.
const LATE_US: u64 = 10_000;
