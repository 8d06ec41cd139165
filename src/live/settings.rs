//! `Settings`: the part of the configuration that concerns streams.

use crate::config::{Config, GopCache};
use crate::live::LogLimits;

/// The operator's settings as far as streams go.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `--gop-cache`.
    pub gop_cache: GopCache,
    /// What a log may hold.
    pub log: LogLimits,
    /// `--reconnect-grace` in ms.
    pub grace_ms: u64,
    /// `--grace-on-clean-end`.
    pub grace_on_clean_end: bool,
    /// `--play-wait` in ms.
    pub play_wait_ms: u64,
    /// `--linger` in ms.
    pub linger_ms: u64,
    /// `--merge-ms`.
    pub merge_ms: u64,
    /// `--chunk-size`.
    pub chunk_size: u32,
}

impl Settings {
    /// The part of the configuration that concerns streams.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            gop_cache: config.gop_cache,
            log: LogLimits {
                bytes: usize::try_from(config.log_bytes).unwrap_or(usize::MAX),
                frames: config.log_frames,
                lag_ms: config.max_lag_ms,
            },
            grace_ms: config.reconnect_grace_ms,
            grace_on_clean_end: config.grace_on_clean_end,
            play_wait_ms: config.play_wait_ms,
            linger_ms: config.linger_ms,
            merge_ms: config.merge_ms,
            chunk_size: config.chunk_size,
        }
    }
}
