//! `Config`: the settings of one run, plain values.
//!
//! Invariant: `check` passed before anything else saw the value; from then on it is shared as
//! `Arc<Config>` and never changes. Defaults are those of RELIABILITY §4 and DESIGN §8; the flag
//! that sets a field is named in its comment.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;

use crate::ids::WorkerId;

/// Plain settings, validated once, immutable afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `--rtmp`: addresses that take RTMP. `[::]` takes IPv4 as well.
    pub rtmp: Vec<SocketAddr>,
    /// `--workers`: event loops, 1 to 64; one per core unless said otherwise.
    pub workers: usize,
    /// `--pin`: which core a worker stays on.
    pub pin: Pin,
    /// `--app`: the applications that exist. Empty: any.
    pub apps: Vec<String>,
    /// `--on-duplicate`: who keeps a name that two publishers want.
    pub on_duplicate: OnDuplicate,
    /// `--takeover`: silence of a publisher, in ms, after which another may take its name.
    pub takeover_ms: u64,
    /// `--reconnect-grace`: how long players wait for a lost publisher, in ms. 0: not at all.
    pub reconnect_grace_ms: u64,
    /// `--grace-on-clean-end`: the grace also holds when the publisher said good-bye.
    pub grace_on_clean_end: bool,
    /// `--play-wait`: how long a player waits for a stream that is not there yet, in ms.
    pub play_wait_ms: u64,
    /// `--gop-cache`: where a late joiner starts.
    pub gop_cache: GopCache,
    /// `--max-lag`: media time a player may lie behind before it skips, in ms.
    pub max_lag_ms: u64,
    /// `--max-lag-bytes`: bytes a player may lie behind before it skips.
    pub max_lag_bytes: u64,
    /// `--log-bytes`: payload kept per stream for late joiners and slow players.
    pub log_bytes: u64,
    /// `--log-frames`: frames kept per stream, whatever their size.
    pub log_frames: usize,
    /// `--nagle`.
    pub nagle: Nagle,
    /// `--player-clock`.
    pub player_clock: PlayerClock,
    /// `--merge-ms`: a stream is flushed to its players at most this often, in ms; 0 = every turn.
    pub merge_ms: u64,
    /// `--linger`: how long a worker keeps a stream after its last player there left, in ms.
    pub linger_ms: u64,
    /// `--chunk-size`: RTMP chunk size we send, 128 to 65,536 bytes.
    pub chunk_size: u32,
    /// `--enhanced`: what a player gets that did not say what it can decode (M-63).
    pub enhanced: Enhanced,
    /// `--multitrack`: who gets more than the first track (M-56).
    pub multitrack: Multitrack,
    /// `--max-message`: longest message of a publisher, in bytes; below 16 MiB.
    pub max_message: u32,
    /// `--max-bitrate`: media of a publisher, in Mbit/s.
    pub max_bitrate_mbit: u32,
    /// `--max-message-rate`: media messages of a publisher in a second.
    pub max_message_rate: u32,
    /// `--max-connections`: connections of the whole process.
    pub max_connections: usize,
    /// `--max-pending`: connections that neither publish nor play yet, loopback excepted.
    pub max_pending: usize,
    /// `--max-pending-per-ip`: the same of one address.
    pub max_pending_per_ip: usize,
    /// `--max-streams`: live names of the whole process.
    pub max_streams: usize,
    /// `--mesh-letters`: letters that may wait for one worker.
    pub mesh_letters: usize,
    /// `--mesh-bytes`: media payload that may wait for one worker, in bytes.
    pub mesh_bytes: usize,
    /// `--send-buffer`: kernel send buffer of a connection, in bytes. 0: the kernel's own rule.
    pub send_buffer: usize,
    /// `--publish-idle`: silence that ends a publisher, in ms.
    pub publish_idle_ms: u64,
    /// `--write-timeout`: a player that takes no byte for this long is closed, in ms.
    pub write_timeout_ms: u64,
    /// `--drain`: time from the first SIGTERM to the end, in ms.
    pub drain_ms: u64,
    /// `--memory`: refuse to start when the worst case is larger, in bytes. 0: do not check.
    pub memory: u64,
    /// `--log-format`: how a log line looks.
    pub log_format: LogFormat,
}

impl Config {
    /// Checks every range and every relation between settings.
    ///
    /// # Errors
    /// The first setting that is wrong, by flag, with what was found and what is allowed.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.rtmp.is_empty() {
            return Err(Invalid::Missing { flag: "--rtmp" });
        }
        for (at, address) in self.rtmp.iter().enumerate() {
            if address.port() != 0 && self.rtmp.iter().skip(at + 1).any(|other| other == address) {
                return Err(Invalid::Twice {
                    flag: "--rtmp",
                    value: address.to_string(),
                });
            }
        }
        if let Some(app) = self.apps.iter().find(|app| !is_app_name(app)) {
            return Err(Invalid::AppName { found: app.clone() });
        }
        self.check_ranges()?;
        if let Pin::List(cores) = &self.pin {
            if cores.len() < self.workers {
                return Err(Invalid::PinTooShort {
                    cores: cores.len(),
                    workers: self.workers,
                });
            }
            for (at, core) in cores.iter().enumerate() {
                if cores.iter().skip(at + 1).any(|other| other == core) {
                    return Err(Invalid::Twice {
                        flag: "--pin",
                        value: core.to_string(),
                    });
                }
            }
        }
        let mesh_bytes = u64::try_from(self.mesh_bytes).unwrap_or(u64::MAX);
        for (flag, bytes) in [
            ("--log-bytes", self.log_bytes),
            ("--mesh-bytes", mesh_bytes),
        ] {
            if bytes < u64::from(self.max_message) {
                return Err(Invalid::BelowMessage {
                    flag,
                    bytes,
                    max_message: self.max_message,
                });
            }
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), Invalid> {
        let day = 86_400_000;
        in_range("--workers", self.workers, 1, WorkerId::MAX)?;
        in_range("--takeover", self.takeover_ms, 0, day)?;
        in_range("--reconnect-grace", self.reconnect_grace_ms, 0, day)?;
        in_range("--play-wait", self.play_wait_ms, 0, day)?;
        in_range("--max-lag", self.max_lag_ms, 100, day)?;
        in_range("--max-lag-bytes", self.max_lag_bytes, 64 << 10, 1 << 40)?;
        in_range("--log-bytes", self.log_bytes, 64 << 10, 1 << 40)?;
        in_range("--log-frames", self.log_frames, 16, 1 << 20)?;
        in_range("--merge-ms", self.merge_ms, 0, 2_000)?;
        in_range("--linger", self.linger_ms, 0, day)?;
        in_range("--chunk-size", self.chunk_size, 128, 65_536)?;
        in_range("--max-message", self.max_message, 64 << 10, (16 << 20) - 1)?;
        in_range("--max-bitrate", self.max_bitrate_mbit, 1, 100_000)?;
        in_range("--max-message-rate", self.max_message_rate, 10, 1_000_000)?;
        in_range("--max-connections", self.max_connections, 1, 1 << 20)?;
        in_range("--max-pending", self.max_pending, 1, 1 << 20)?;
        in_range("--max-pending-per-ip", self.max_pending_per_ip, 1, 1 << 20)?;
        in_range("--max-streams", self.max_streams, 1, 1 << 20)?;
        in_range("--mesh-letters", self.mesh_letters, 16, 1 << 20)?;
        in_range("--mesh-bytes", self.mesh_bytes, 64 << 10, 1 << 40)?;
        if self.send_buffer != 0 {
            in_range("--send-buffer", self.send_buffer, 4 << 10, 1 << 30)?;
        }
        in_range("--publish-idle", self.publish_idle_ms, 1_000, day)?;
        in_range("--write-timeout", self.write_timeout_ms, 1_000, day)?;
        in_range("--drain", self.drain_ms, 0, day)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rtmp: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 1935))],
            workers: cores_here().min(WorkerId::MAX),
            pin: Pin::Auto,
            apps: Vec::new(),
            on_duplicate: OnDuplicate::SameSource,
            takeover_ms: 5_000,
            reconnect_grace_ms: 10_000,
            grace_on_clean_end: false,
            play_wait_ms: 3_000,
            gop_cache: GopCache::Full,
            max_lag_ms: 10_000,
            max_lag_bytes: 8 << 20,
            log_bytes: 16 << 20,
            log_frames: 8_192,
            nagle: Nagle::Off,
            player_clock: PlayerClock::Absolute,
            merge_ms: 0,
            linger_ms: 5_000,
            chunk_size: 60_000,
            enhanced: Enhanced::Forward,
            multitrack: Multitrack::Capable,
            max_message: 8 << 20,
            max_bitrate_mbit: 200,
            max_message_rate: 1_000,
            max_connections: 65_536,
            max_pending: 4_096,
            max_pending_per_ip: 32,
            max_streams: 4_096,
            mesh_letters: 1_024,
            mesh_bytes: 64 << 20,
            send_buffer: 256 << 10,
            publish_idle_ms: 10_000,
            write_timeout_ms: 30_000,
            drain_ms: 30_000,
            memory: 0,
            log_format: LogFormat::Text,
        }
    }
}

/// Which core a worker stays on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Worker n on the n-th core of the process, as long as there is a core for each worker.
    Auto,
    /// The kernel decides.
    None,
    /// Worker n on the n-th core named here; at least as many as workers.
    List(Vec<usize>),
}

/// Who keeps a name that two publishers want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The same peer address takes its name back at once; a stranger only from a silent one.
    SameSource,
    /// The first keeps it.
    Reject,
    /// The newest gets it.
    Replace,
    /// The first keeps it unless it has been silent for `takeover_ms`.
    ReplaceIfIdle,
}

/// Where a late joiner starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GopCache {
    /// At the newest key frame, with everything since.
    Full,
    /// With the newest key frame alone, then live.
    Key,
    /// At the next key frame to come.
    Off,
}

/// What a player gets that advertised no Enhanced RTMP codecs, when the stream has one (M-63).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enhanced {
    /// The stream as it is; most players decode more than they say.
    Forward,
    /// The stream without its enhanced tracks.
    Strict,
}

/// Who gets the tracks after the first (M-56).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multitrack {
    /// Players that said they can take them.
    Capable,
    /// Every player.
    All,
}

/// What a player's timestamps count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerClock {
    /// The publisher's own zero (K-38): the shared heads as they are.
    Absolute,
    /// The player's first frame.
    Zero,
}

/// Whether the kernel may hold the small tail of a player's write until what is in flight has been
/// acknowledged (Nagle's algorithm): fewer packets where acknowledgements come late, at most a
/// round trip more delay. No gain over loopback, whose acknowledgements come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagle {
    /// On workers with many players.
    Auto,
    /// Always.
    On,
    /// Never: TCP_NODELAY.
    Off,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, text.
    Text,
    /// One JSON object per line.
    Json,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A number outside its range.
    #[error("{flag}: {found} is outside {min} to {max}")]
    Range {
        /// The flag, as typed.
        flag: &'static str,
        /// What was given.
        found: u64,
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
    },
    /// A flag that needs at least one value has none.
    #[error("{flag}: at least one value is needed")]
    Missing {
        /// The flag, as typed.
        flag: &'static str,
    },
    /// A value that may stand only once stands twice.
    #[error("{flag}: {value} is given twice")]
    Twice {
        /// The flag, as typed.
        flag: &'static str,
        /// The repeated value.
        value: String,
    },
    /// A name that no application can have.
    #[error(
        "--app: {found:?} is no application name (1 to 128 of A-Z a-z 0-9 _ . -, no leading dot)"
    )]
    AppName {
        /// What was given.
        found: String,
    },
    /// Not a core for each worker.
    #[error(
        "--pin: {cores} core(s) named for {workers} workers; name one for each, or set --workers"
    )]
    PinTooShort {
        /// Cores in the list.
        cores: usize,
        /// Workers to be pinned.
        workers: usize,
    },
    /// A store of frames that could not hold the largest one: it would never pass.
    #[error("{flag}: {bytes} bytes cannot hold one message of --max-message {max_message}")]
    BelowMessage {
        /// The flag of the store.
        flag: &'static str,
        /// Bytes it may hold.
        bytes: u64,
        /// The longest message.
        max_message: u32,
    },
}

/// Cores the process may run on, at least 1.
#[must_use]
pub fn cores_here() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::List(cores) => {
                for (at, core) in cores.iter().enumerate() {
                    write!(f, "{}{core}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

fn in_range<N>(flag: &'static str, found: N, min: N, max: N) -> Result<(), Invalid>
where
    N: TryInto<u64> + PartialOrd,
{
    if found >= min && found <= max {
        return Ok(());
    }
    let wide = |n: N| n.try_into().unwrap_or(u64::MAX);
    Err(Invalid::Range {
        flag,
        found: wide(found),
        min: wide(min),
        max: wide(max),
    })
}

fn is_app_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn an_error_names_the_flag_and_both_bounds() {
        let config = Config {
            workers: 65,
            ..Config::default()
        };
        let told = config.check().unwrap_err().to_string();
        assert_eq!(told, "--workers: 65 is outside 1 to 64");
    }

    #[test]
    fn a_message_of_16_mib_is_one_byte_too_long_for_a_24_bit_length() {
        let config = |max_message| Config {
            max_message,
            log_bytes: 1 << 30,
            ..Config::default()
        };
        assert!(config(16 << 20).check().is_err());
        assert_eq!(config((16 << 20) - 1).check(), Ok(()));
    }

    #[test]
    fn the_largest_message_fits_a_log_and_an_inbox() {
        let told = |config: Config| config.check().unwrap_err().to_string();
        let log = Config {
            log_bytes: (8 << 20) - 1,
            ..Config::default()
        };
        let want = "--log-bytes: 8388607 bytes cannot hold one message of --max-message 8388608";
        assert_eq!(told(log), want);
        let mesh = Config {
            mesh_bytes: (8 << 20) - 1,
            ..Config::default()
        };
        assert!(told(mesh).starts_with("--mesh-bytes: "));
    }

    #[test]
    fn a_pin_list_needs_a_core_for_each_worker_and_none_twice() {
        let pinned = |cores: &[usize]| Config {
            workers: 2,
            pin: Pin::List(cores.to_vec()),
            ..Config::default()
        };
        assert!(matches!(
            pinned(&[0]).check(),
            Err(Invalid::PinTooShort {
                cores: 1,
                workers: 2
            })
        ));
        assert!(matches!(
            pinned(&[1, 1]).check(),
            Err(Invalid::Twice { flag: "--pin", .. })
        ));
        assert_eq!(pinned(&[0, 1]).check(), Ok(()));
    }

    #[test]
    fn the_same_address_twice_is_refused_but_port_0_twice_is_two_ports() {
        let listening = |port| Config {
            rtmp: vec![SocketAddr::from(([127, 0, 0, 1], port)); 2],
            ..Config::default()
        };
        assert!(matches!(
            listening(1935).check(),
            Err(Invalid::Twice { flag: "--rtmp", .. })
        ));
        assert_eq!(listening(0).check(), Ok(()));
    }

    #[test]
    fn an_application_name_cannot_hide_a_path_or_a_control_character() {
        for bad in ["", ".live", "a/b", "a b", "li\u{1b}ve", &"x".repeat(129)] {
            let config = Config {
                apps: vec![bad.to_owned()],
                ..Config::default()
            };
            assert!(
                matches!(config.check(), Err(Invalid::AppName { .. })),
                "{bad:?}"
            );
        }
    }
}
