//! The load tool's command line, turned into a checked `Plan`.
//!
//! Invariant: a plan that comes out of here names a server that may be loaded: a loopback address,
//! or one that `--allow-remote` speaks for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Parser;

use crate::cli::units::Duration;
use crate::load::film::Film;
use crate::load::made::{Made, Recipe, Shape};
use crate::load::plan::Plan;
use crate::load::tape::{Tape, TapeError};
use crate::rtmp::client::{Address, AddressError};

/// Publishers and players by the thousand, and whether each got everything.
#[derive(Clone, Debug, Parser)]
#[command(name = "corecast-load", version, max_term_width = 100, after_help = AFTER_HELP)]
#[command(args_override_self = true)]
pub struct Flags {
    /// Stream to publish and play, such as rtmp://127.0.0.1/live/load; with more publishers than
    /// one a number is put behind its name
    #[arg(required_unless_present = "bare_loop", default_value = "")]
    #[arg(hide_default_value = true)]
    pub url: String,

    /// Streams that are published; 0 plays what somebody else publishes
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub publishers: u32,

    /// Players of each stream
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub players: u32,

    /// Players of each stream that read and check everything; the others count bytes, see below
    /// [default: one of 50, at least 1]
    #[arg(long, value_name = "COUNT|all")]
    pub verify: Option<Verify>,

    /// Players that join in the measured window, spread over the streams
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub storm: u32,

    /// Connections that are accepted and then ask for nothing; they stay to the end, and come with
    /// the players
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub idle: u32,

    /// Publishers that connect in a second; 0: all at once
    #[arg(long, value_name = "RATE", default_value_t = 200)]
    pub publish_rate: u32,

    /// Players, and idle connections, that connect in a second; 0: all at once
    #[arg(long, value_name = "RATE", default_value_t = 1_000)]
    pub join_rate: u32,

    /// Players of the storm that connect in a second; 0: all at once
    #[arg(long, value_name = "RATE", default_value_t = 2_000)]
    pub storm_rate: u32,

    /// FLV file to publish, over and over, instead of a stream that is made here
    #[arg(long, value_name = "FLV")]
    #[arg(conflicts_with_all = ["bitrate", "fps", "gop", "codec_shape", "no_audio"])]
    pub file: Option<PathBuf>,

    /// Audio and video together, in kbit/s
    #[arg(long, value_name = "KBIT", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(32..=1_000_000))]
    pub bitrate: u64,

    /// Pictures a second
    #[arg(long, value_name = "COUNT", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=240))]
    pub fps: u32,

    /// Pictures from one key frame to the next
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub gop: u32,

    /// Video codec
    #[arg(long, value_name = "SHAPE", value_enum, default_value_t = Shape::H264)]
    pub codec_shape: Shape,

    /// No audio beside the pictures
    #[arg(long)]
    pub no_audio: bool,

    /// Time from the last join to the measured window
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub warmup: Duration,

    /// The measured window
    #[arg(long, value_name = "TIME", default_value = "15s")]
    pub duration: Duration,

    /// Longest wait for those who come late
    #[arg(long, value_name = "TIME", default_value = "15s")]
    pub join_timeout: Duration,

    /// Longest wait for what is under way at the end
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub drain: Duration,

    /// A player that gets nothing for so long although its stream goes on has stalled
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub stall: Duration,

    /// Threads for players that count bytes; one more publishes and checks
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,

    /// Players that count bytes look for them only so often, all at once, as if they lived on
    /// machines of their own: the server then pays for what it sends, and not for waking this tool
    /// on the same machine; acknowledgements come that much later
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub read_every: Duration,

    /// Processes of the server, to measure their CPU time and memory
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub server_pid: Vec<u32>,

    /// Writes the report as JSON; - is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,

    /// Draws delay and throughput over time
    #[arg(long, value_name = "FILE.svg")]
    pub chart: Option<PathBuf>,

    /// No line each second
    #[arg(long)]
    pub quiet: bool,

    /// Is a server instead, the barest there can be: one stream, one send to each player for each
    /// message; a yardstick for real ones
    #[arg(long, value_name = "IP:PORT", conflicts_with = "url")]
    pub bare_loop: Option<SocketAddr>,

    /// The bare loop collects messages for so long before it sends
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        requires = "bare_loop"
    )]
    pub merge: Duration,

    /// The bare loop leaves Nagle's algorithm on
    #[arg(long, requires = "bare_loop")]
    pub nagle: bool,

    /// Loads a server that is not on this machine. Only with its owner's consent
    #[arg(long)]
    pub allow_remote: bool,
}

impl Flags {
    /// The plan these flags make.
    ///
    /// # Errors
    /// `BadFlag`: something cannot work.
    pub fn plan(&self) -> Result<Plan, BadFlag> {
        let address = Address::parse(&self.url)?;
        if address.tls {
            return Err(BadFlag::Tls);
        }
        let place = (address.host.as_str(), address.port);
        let found = place.to_socket_addrs().ok().and_then(|mut all| all.next());
        let target = found.ok_or_else(|| BadFlag::NoAddress(address.host.clone()))?;
        if !target.ip().is_loopback() && !self.allow_remote {
            return Err(BadFlag::Remote(target.ip()));
        }
        if self.duration.0 == 0 {
            return Err(BadFlag::NoWindow);
        }
        let verify = match self.verify {
            Some(Verify::All) => self.players,
            Some(Verify::Some(count)) => count.min(self.players),
            None => (self.players / 50).max(1).min(self.players),
        };
        Ok(Plan {
            address,
            target,
            film: self.film()?,
            enhanced: self.codec_shape == Shape::Hevc || self.file.is_some(),
            streams: self.publishers.max(1),
            players: self.players,
            verify,
            storm: self.storm,
            idle: self.idle,
            publish_rate: self.publish_rate,
            join_rate: self.join_rate,
            storm_rate: self.storm_rate,
            threads: usize::from(self.threads),
            read_every_ms: self.read_every.0,
            join_timeout_ms: self.join_timeout.0,
            warmup_ms: self.warmup.0,
            duration_ms: self.duration.0,
            drain_ms: self.drain.0,
            stall_ms: self.stall.0,
            server_pids: self.server_pid.clone(),
        })
    }

    fn film(&self) -> Result<Option<Arc<Film>>, BadFlag> {
        if self.publishers == 0 {
            return Ok(None);
        }
        if let Some(path) = &self.file {
            let tape = Tape::open(path).map_err(|error| BadFlag::File {
                path: path.clone(),
                error,
            })?;
            return Ok(Some(Arc::new(Film::File(tape))));
        }
        Ok(Some(Arc::new(Film::Made(Made::new(Recipe {
            shape: self.codec_shape,
            bitrate: self.bitrate * 1_000,
            fps: self.fps,
            gop: self.gop,
            audio: !self.no_audio,
        })))))
    }
}

/// How many players check everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Every one.
    All,
    /// So many of each stream.
    Some(u32),
}

impl FromStr for Verify {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::Some)
    }
}

/// Flags that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum BadFlag {
    /// Not a URL of a stream.
    #[error(transparent)]
    Url(#[from] AddressError),
    /// Not spoken by this tool.
    #[error("rtmps is not supported here")]
    Tls,
    /// Unknown host.
    #[error("{0} has no address")]
    NoAddress(String),
    /// Somebody else's machine, perhaps.
    #[error("{0} is not a loopback address; --allow-remote loads it all the same")]
    Remote(std::net::IpAddr),
    /// Nothing to measure.
    #[error("--duration must be longer than 0")]
    NoWindow,
    /// The file cannot be published.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: TapeError,
    },
}

const AFTER_HELP: &str = "\
Exit code: 0 if every player got everything and no connection was lost or stalled, 1 if not or
if that cannot be told, 2 if the run could not begin.

Players that read everything (--verify) find a message that is missing, repeated, changed in any
bit, out of order or of another stream, a missing or changed header, a start without a key frame,
and a timestamp that falls. The others do so up to their first key frame. From there they only
count bytes, and are compared with a player of their stream that reads everything: they find whole
messages missing or too many (of 90 bytes or more), stalls, and the end of a connection. They are
blind to changed bits, to the order of messages and to timestamps. The report says how many players
did which; one that counts and can be compared with none fails the run.

One stream, many players:  corecast-load rtmp://127.0.0.1/live/load --players 1000
Many streams:              … --publishers 200 --players 10
Join storm:                … --players 1000 --storm 2000 --storm-rate 2000
Publish storm:             … --publishers 500 --publish-rate 0 --players 1
Cost of a player:          … --server-pid $(pidof corecast)
Memory of a connection:    … --publishers 0 --players 0 --idle 5000 --server-pid $(pidof corecast)";

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(flags: &[&str]) -> Result<Plan, BadFlag> {
        let line = ["corecast-load", "rtmp://127.0.0.1:1/live/load"];
        Flags::try_parse_from(line.iter().chain(flags))
            .unwrap()
            .plan()
    }

    #[test]
    fn one_player_in_fifty_checks_unless_told_otherwise() {
        let verify = |flags: &[&str]| plan(flags).unwrap().verify;
        assert_eq!(verify(&["--players", "1000"]), 20);
        assert_eq!(verify(&["--players", "3"]), 1);
        assert_eq!(verify(&["--players", "0"]), 0);
        assert_eq!(verify(&["--players", "40", "--verify", "all"]), 40);
        assert_eq!(verify(&["--players", "4", "--verify", "9"]), 4);
    }

    #[test]
    fn another_machine_is_loaded_only_when_allowed() {
        let to = |flags: &[&str]| {
            let line = ["corecast-load", "rtmp://192.0.2.7/live/load"];
            Flags::try_parse_from(line.iter().chain(flags))
                .unwrap()
                .plan()
        };
        assert!(matches!(to(&[]), Err(BadFlag::Remote(_))));
        assert!(to(&["--allow-remote"]).is_ok());
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for flags in [
            &["--file", "a.flv", "--fps", "30"][..],
            &["--fps", "0"],
            &["--codec-shape", "theora"],
            &["--verify", "most"],
            &["--threads", "0"],
            &["--bitrate", "-5"],
        ] {
            let line = ["corecast-load", "rtmp://127.0.0.1/live/load"];
            let parsed = Flags::try_parse_from(line.iter().chain(flags));
            assert!(parsed.is_err(), "{flags:?}");
        }
        assert!(matches!(plan(&["--duration", "0"]), Err(BadFlag::NoWindow)));
        let missing = plan(&["--file", "/no/such/file.flv"]);
        assert!(matches!(missing, Err(BadFlag::File { .. })));
    }

    #[test]
    fn without_publishers_there_is_no_film_and_one_stream() {
        let plan = plan(&["--publishers", "0"]).unwrap();
        assert!(plan.film.is_none());
        assert_eq!((plan.streams, plan.publishers()), (1, 0));
    }
}
