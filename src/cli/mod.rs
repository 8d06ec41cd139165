//! The command line: flags and their environment twins, turned into a checked `Config`.
//!
//! `units` reads durations and sizes, `check` prints what `--check` prints.
//! Invariant: every default stands in `Config::default` alone; `the_defaults_are_those_of_config`
//! keeps the texts below equal to it.

pub mod check;
pub mod units;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, ValueEnum};

use crate::config::{
    Config, Enhanced, GopCache, LogFormat, Multitrack, Nagle, OnDuplicate, Pin, PlayerClock,
};
use units::{Count, Duration, Size, count, size_u32, size_usize};

/// Live-streaming server: one RTMP stream served from every core of the machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "corecast", version, max_term_width = 100, after_help = AFTER_HELP)]
#[command(next_line_help = false)]
pub struct Flags {
    /// Address that takes RTMP; repeat it or separate with commas. A lone port listens on every
    /// address; [::] takes IPv4 too
    #[arg(long, env = "CORECAST_RTMP", value_name = "IP:PORT", help_heading = LISTEN)]
    #[arg(value_delimiter = ',', default_value = "[::]:1935", value_parser = address)]
    pub rtmp: Vec<SocketAddr>,

    /// Application that exists, such as live; repeat it or separate with commas
    /// [default: any name]
    #[arg(long, env = "CORECAST_APP", value_name = "NAME", help_heading = LISTEN)]
    #[arg(value_delimiter = ',')]
    pub app: Vec<String>,

    /// Event loops, 1 to 64; auto is one per core
    #[arg(long, env = "CORECAST_WORKERS", value_name = "COUNT", help_heading = CORES)]
    #[arg(default_value = "auto")]
    pub workers: Count,

    /// Core of each worker: auto (one core each if there are enough), none, or a list (0,2-5)
    #[arg(long, env = "CORECAST_PIN", value_name = "auto|none|LIST", help_heading = CORES)]
    #[arg(default_value = "auto")]
    pub pin: Pin,

    /// Who keeps a name that two publishers want
    #[arg(long, env = "CORECAST_ON_DUPLICATE", value_name = "RULE", help_heading = PUBLISH)]
    #[arg(value_enum, default_value = "same-source")]
    pub on_duplicate: OnDuplicate,

    /// Silence after which another source may take a publisher's name
    #[arg(long, env = "CORECAST_TAKEOVER", value_name = "TIME", help_heading = PUBLISH)]
    #[arg(default_value = "5s")]
    pub takeover: Duration,

    /// Silence that ends a publisher
    #[arg(long, env = "CORECAST_PUBLISH_IDLE", value_name = "TIME", help_heading = PUBLISH)]
    #[arg(default_value = "10s")]
    pub publish_idle: Duration,

    /// How long players stay connected while a lost publisher reconnects; 0 is off
    #[arg(long, env = "CORECAST_RECONNECT_GRACE", value_name = "TIME", help_heading = PUBLISH)]
    #[arg(default_value = "10s")]
    pub reconnect_grace: Duration,

    /// Keep players over the grace time also when the publisher ended cleanly
    #[arg(long, env = "CORECAST_GRACE_ON_CLEAN_END", value_name = "yes|no")]
    #[arg(help_heading = PUBLISH, action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[arg(num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", default_value = "no")]
    pub grace_on_clean_end: bool,

    /// Longest message of a publisher, up to 16777215 bytes
    #[arg(long, env = "CORECAST_MAX_MESSAGE", value_name = "SIZE", help_heading = PUBLISH)]
    #[arg(default_value = "8MiB", value_parser = size_u32)]
    pub max_message: u32,

    /// Media a publisher may send, in Mbit/s, before its connection ends
    #[arg(long, env = "CORECAST_MAX_BITRATE", value_name = "MBIT", help_heading = PUBLISH)]
    #[arg(default_value = "200")]
    pub max_bitrate: u32,

    /// Media messages a publisher may send in a second before its connection ends
    #[arg(long, env = "CORECAST_MAX_MESSAGE_RATE", value_name = "COUNT", help_heading = PUBLISH)]
    #[arg(default_value = "1000")]
    pub max_message_rate: u32,

    /// How long a player waits for a stream that is not there yet; 0 refuses at once
    #[arg(long, env = "CORECAST_PLAY_WAIT", value_name = "TIME", help_heading = PLAY)]
    #[arg(default_value = "3s")]
    pub play_wait: Duration,

    /// Where a late joiner starts
    #[arg(long, env = "CORECAST_GOP_CACHE", value_name = "START", help_heading = PLAY)]
    #[arg(value_enum, default_value = "full")]
    pub gop_cache: GopCache,

    /// Media time a player may lie behind before it skips to the newest key frame
    #[arg(long, env = "CORECAST_MAX_LAG", value_name = "TIME", help_heading = PLAY)]
    #[arg(default_value = "10s")]
    pub max_lag: Duration,

    /// Bytes a player may lie behind before it skips to the newest key frame
    #[arg(long, env = "CORECAST_MAX_LAG_BYTES", value_name = "SIZE", help_heading = PLAY)]
    #[arg(default_value = "8MiB")]
    pub max_lag_bytes: Size,

    /// A player that takes no byte for this long is closed
    #[arg(long, env = "CORECAST_WRITE_TIMEOUT", value_name = "TIME", help_heading = PLAY)]
    #[arg(default_value = "30s")]
    pub write_timeout: Duration,

    /// What a player gets that did not say which Enhanced RTMP codecs it takes
    #[arg(long, env = "CORECAST_ENHANCED", value_name = "RULE", help_heading = PLAY)]
    #[arg(value_enum, default_value = "forward")]
    pub enhanced: Enhanced,

    /// Who gets more than the first track of a multitrack stream
    #[arg(long, env = "CORECAST_MULTITRACK", value_name = "WHO", help_heading = PLAY)]
    #[arg(value_enum, default_value = "capable")]
    pub multitrack: Multitrack,

    /// Whether the kernel may gather a player's small writes until an acknowledgement comes
    #[arg(long, env = "CORECAST_NAGLE", value_name = "RULE", help_heading = PLAY)]
    #[arg(value_enum, default_value = "off")]
    pub nagle: Nagle,

    /// What a player's timestamps count from: the publisher's zero, or the player's first frame
    #[arg(long, env = "CORECAST_PLAYER_CLOCK", value_name = "ZERO", help_heading = PLAY)]
    #[arg(value_enum, default_value = "absolute")]
    pub player_clock: PlayerClock,

    /// Milliseconds of media that travel together, 0 to 2000: less CPU, that much more delay
    #[arg(long, env = "CORECAST_MERGE_MS", value_name = "MS", help_heading = PLAY)]
    #[arg(default_value = "0")]
    pub merge_ms: u64,

    /// RTMP chunk size sent to players, 128 to 65536 bytes
    #[arg(long, env = "CORECAST_CHUNK_SIZE", value_name = "BYTES", help_heading = PLAY)]
    #[arg(default_value = "60000", value_parser = size_u32)]
    pub chunk_size: u32,

    /// Connections of the whole process; auto is the open-file limit less 256, at most 65536
    #[arg(long, env = "CORECAST_MAX_CONNECTIONS", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "auto")]
    pub max_connections: Count,

    /// Connections that neither publish nor play yet, but for this machine's own; beyond it the
    /// oldest make room
    #[arg(long, env = "CORECAST_MAX_PENDING", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "4096", value_parser = count)]
    pub max_pending: usize,

    /// The same of one IPv4 address or IPv6 /64
    #[arg(long, env = "CORECAST_MAX_PENDING_PER_IP", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "32", value_parser = count)]
    pub max_pending_per_ip: usize,

    /// Live streams of the whole process
    #[arg(long, env = "CORECAST_MAX_STREAMS", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "4096", value_parser = count)]
    pub max_streams: usize,

    /// Media kept per stream for late joiners and slow players
    #[arg(long, env = "CORECAST_LOG_BYTES", value_name = "SIZE", help_heading = BOUNDS)]
    #[arg(default_value = "16MiB")]
    pub log_bytes: Size,

    /// Frames kept per stream, whatever their size
    #[arg(long, env = "CORECAST_LOG_FRAMES", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "8192", value_parser = count)]
    pub log_frames: usize,

    /// How long a worker keeps a stream after its last player there left
    #[arg(long, env = "CORECAST_LINGER", value_name = "TIME", help_heading = BOUNDS)]
    #[arg(default_value = "5s")]
    pub linger: Duration,

    /// Media that may wait for one worker; beyond it frames are dropped to the next key frame
    #[arg(long, env = "CORECAST_MESH_BYTES", value_name = "SIZE", help_heading = BOUNDS)]
    #[arg(default_value = "64MiB", value_parser = size_usize)]
    pub mesh_bytes: usize,

    /// Letters that may wait for one worker
    #[arg(long, env = "CORECAST_MESH_LETTERS", value_name = "COUNT", help_heading = BOUNDS)]
    #[arg(default_value = "1024", value_parser = count)]
    pub mesh_letters: usize,

    /// Kernel send buffer of a connection; 0 leaves it to the kernel
    #[arg(long, env = "CORECAST_SEND_BUFFER", value_name = "SIZE", help_heading = BOUNDS)]
    #[arg(default_value = "256KiB", value_parser = size_usize)]
    pub send_buffer: usize,

    /// Refuse to start when the worst case needs more memory than this; 0 does not check
    #[arg(long, env = "CORECAST_MEMORY", value_name = "SIZE", help_heading = BOUNDS)]
    #[arg(default_value = "0B")]
    pub memory: Size,

    /// Time from the first SIGTERM or Ctrl-C until the last connection is cut
    #[arg(long, env = "CORECAST_DRAIN", value_name = "TIME", help_heading = OPERATE)]
    #[arg(default_value = "30s")]
    pub drain: Duration,

    /// How a log line looks; lines go to stderr
    #[arg(long, env = "CORECAST_LOG_FORMAT", value_name = "FORMAT", help_heading = OPERATE)]
    #[arg(value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// Least important level that is logged: error, warn, info, debug, trace or off
    /// [default: RUST_LOG if it is set, else info]
    #[arg(long, env = "CORECAST_LOG_LEVEL", value_name = "LEVEL", help_heading = OPERATE)]
    pub log_level: Option<log::LevelFilter>,

    /// Check the settings, print them with the worst-case memory sum, and exit: 0 good, 2 not
    #[arg(long, env = "CORECAST_CHECK", value_name = "yes|no", help_heading = OPERATE)]
    #[arg(action = ArgAction::Set)]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    #[arg(num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", default_value = "no")]
    pub check: bool,
}

impl Flags {
    /// The settings typed; `connections_auto` stands in for `--max-connections auto`.
    #[must_use]
    pub fn into_config(self, connections_auto: usize) -> Config {
        let fitting = Config::default();
        Config {
            rtmp: self.rtmp,
            workers: self.workers.or(fitting.workers),
            pin: self.pin,
            apps: self.app,
            on_duplicate: self.on_duplicate,
            takeover_ms: self.takeover.0,
            reconnect_grace_ms: self.reconnect_grace.0,
            grace_on_clean_end: self.grace_on_clean_end,
            play_wait_ms: self.play_wait.0,
            gop_cache: self.gop_cache,
            max_lag_ms: self.max_lag.0,
            max_lag_bytes: self.max_lag_bytes.0,
            log_bytes: self.log_bytes.0,
            log_frames: self.log_frames,
            nagle: self.nagle,
            player_clock: self.player_clock,
            merge_ms: self.merge_ms,
            linger_ms: self.linger.0,
            chunk_size: self.chunk_size,
            enhanced: self.enhanced,
            multitrack: self.multitrack,
            max_message: self.max_message,
            max_bitrate_mbit: self.max_bitrate,
            max_message_rate: self.max_message_rate,
            max_connections: self.max_connections.or(connections_auto),
            max_pending: self.max_pending,
            max_pending_per_ip: self.max_pending_per_ip,
            max_streams: self.max_streams,
            mesh_letters: self.mesh_letters,
            mesh_bytes: self.mesh_bytes,
            send_buffer: self.send_buffer,
            publish_idle_ms: self.publish_idle.0,
            write_timeout_ms: self.write_timeout.0,
            drain_ms: self.drain.0,
            memory: self.memory.0,
            log_format: self.log_format,
        }
    }
}

impl FromStr for Pin {
    type Err = BadPin;

    fn from_str(text: &str) -> Result<Self, BadPin> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let core = |text: &str| text.trim().parse().map_err(|_| BadPin::NotCores);
            let (first, last): (usize, usize) = (core(first)?, core(last)?);
            if last < first || last > CORE_MAX {
                return Err(BadPin::Span { first, last });
            }
            cores.extend(first..=last);
        }
        Ok(Self::List(cores))
    }
}

/// Text that is no pin rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPin {
    /// Something else than numbers, commas and dashes.
    #[error("auto, none, or cores such as 0,2-5")]
    NotCores,
    /// A span that runs backwards or past any machine.
    #[error("cores {first}-{last} are no span within 0-{CORE_MAX}")]
    Span {
        /// Where the span starts.
        first: usize,
        /// Where it ends.
        last: usize,
    },
}

/// Text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an IP address and a port, such as 0.0.0.0:1935, [::1]:1935 or a port alone")]
pub struct BadAddress;

/// Reads `IP:PORT`, an IP alone (port 1935) or a port alone (all addresses).
fn address(text: &str) -> Result<SocketAddr, BadAddress> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    let alone = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = alone.unwrap_or(text).parse::<IpAddr>() {
        return Ok(SocketAddr::from((ip, RTMP_PORT)));
    }
    text.parse().map_err(|_| BadAddress)
}

impl Count {
    fn or(self, fitting: usize) -> usize {
        match self {
            Self::Auto => fitting,
            Self::Exactly(count) => count,
        }
    }
}

/// Spells a choice of a setting as it is typed.
macro_rules! choices {
    ($choice:ty { $($variant:ident = $name:literal, $help:literal;)+ }) => {
        impl ValueEnum for $choice {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(match self {
                    $(Self::$variant => clap::builder::PossibleValue::new($name).help($help),)+
                })
            }
        }
    };
}

choices!(OnDuplicate {
    SameSource = "same-source", "The same address takes it back; a stranger from a silent one";
    Reject = "reject", "The first keeps it";
    Replace = "replace", "The newest gets it";
    ReplaceIfIdle = "replace-if-idle", "The first keeps it unless silent for --takeover";
});
choices!(GopCache {
    Full = "full", "At the newest key frame, with all since";
    Key = "key", "With the newest key frame alone, then live";
    Off = "off", "At the next key frame to come";
});
choices!(Enhanced {
    Forward = "forward", "The stream as it is";
    Strict = "strict", "The stream without the tracks that are in a new codec";
});
choices!(Multitrack {
    Capable = "capable", "Players that said they can";
    All = "all", "Every player";
});
choices!(Nagle {
    Auto = "auto", "On a worker with more than 100 players";
    On = "on", "Always: fewer packets, up to a round trip more delay";
    Off = "off", "Never: TCP_NODELAY";
});
choices!(PlayerClock {
    Absolute = "absolute", "The publisher's own zero";
    Zero = "zero", "The player's first frame";
});
choices!(LogFormat {
    Text = "text", "Time, level, text";
    Json = "json", "One object per line";
});

/// RTMP's registered port.
pub const RTMP_PORT: u16 = 1935;
const CORE_MAX: usize = 1_023;

const LISTEN: &str = "Listening";
const CORES: &str = "Cores";
const PUBLISH: &str = "Publishers";
const PLAY: &str = "Players";
const BOUNDS: &str = "Bounds";
const OPERATE: &str = "Operating";
const AFTER_HELP: &str = "\
TIME: 500ms, 10s, 2m, 1h, or seconds. SIZE: 64k, 16MiB, 1GiB, or bytes.
Every flag can also be set by the environment variable shown with it; a flag wins over it.
Exit codes: 0 stopped after a drain, 1 failed while starting or running, 2 unusable settings.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn typed(flags: &[&str]) -> Config {
        let line = std::iter::once(&"corecast").chain(flags);
        Flags::try_parse_from(line).unwrap().into_config(65_536)
    }

    #[test]
    fn the_defaults_are_those_of_config() {
        assert_eq!(typed(&[]), Config::default());
    }

    #[test]
    fn every_flag_has_a_twin_in_the_environment_a_heading_and_a_help_text() {
        for arg in Flags::command().get_arguments() {
            let long = arg.get_long().unwrap();
            let twin = format!("CORECAST_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(
                arg.get_env().and_then(|name| name.to_str()),
                Some(&*twin),
                "--{long}"
            );
            assert!(arg.get_help_heading().is_some(), "--{long}");
            assert!(arg.get_help().is_some(), "--{long}");
            let told = arg.get_help().unwrap().to_string();
            let default = !arg.get_default_values().is_empty() || told.contains("[default:");
            assert!(default, "--{long} shows no default");
        }
        Flags::command().debug_assert();
    }

    #[test]
    fn a_port_or_an_address_alone_is_enough_to_listen() {
        let one = |text| typed(&["--rtmp", text]).rtmp;
        assert_eq!(one("1936"), ["[::]:1936".parse().unwrap()]);
        assert_eq!(one("127.0.0.1"), ["127.0.0.1:1935".parse().unwrap()]);
        assert_eq!(one("::1"), ["[::1]:1935".parse().unwrap()]);
        let two = ["0.0.0.0:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(one("0.0.0.0:1,[::1]:2"), two);
        assert_eq!(
            typed(&["--rtmp", "0.0.0.0:1", "--rtmp", "[::1]:2"]).rtmp,
            two
        );
        assert_eq!(address("example.org:1935"), Err(BadAddress));
    }

    #[test]
    fn a_pin_list_takes_spans() {
        assert_eq!("0,2-4".parse(), Ok(Pin::List(vec![0, 2, 3, 4])));
        assert_eq!(
            "5-2".parse::<Pin>(),
            Err(BadPin::Span { first: 5, last: 2 })
        );
        assert_eq!("all".parse::<Pin>(), Err(BadPin::NotCores));
        assert!("0-99999999999".parse::<Pin>().is_err());
    }

    #[test]
    fn a_switch_works_bare_and_with_a_value() {
        assert!(typed(&["--grace-on-clean-end"]).grace_on_clean_end);
        assert!(!typed(&["--grace-on-clean-end=no"]).grace_on_clean_end);
    }
}
