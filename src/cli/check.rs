//! What `--check` prints: every setting as it is in effect, then the worst-case memory sum.

use std::fmt;

use clap::ValueEnum;

use super::units::{Duration, Size};
use crate::config::Config;
use crate::limits::worst_case;

/// The report on settings that passed their check.
#[derive(Debug)]
pub struct Settings<'a>(pub &'a Config);

impl fmt::Display for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "settings in effect")?;
        for (flag, value) in rows(self.0) {
            writeln!(f, "  --{flag:<22} {value}")?;
        }
        writeln!(
            f,
            "memory, every table full and every peer as greedy as allowed"
        )?;
        write!(f, "{}", worst_case(self.0))
    }
}

/// Flag and value of each setting, in the order of `--help`.
fn rows(config: &Config) -> Vec<(&'static str, String)> {
    let list = |items: Vec<String>| items.join(",");
    let time = |ms: u64| Duration(ms).to_string();
    let size = |bytes: u64| Size(bytes).to_string();
    let bytes = |bytes: usize| size(u64::try_from(bytes).unwrap_or(u64::MAX));
    let apps = match config.apps.as_slice() {
        [] => "any".to_owned(),
        apps => apps.join(","),
    };
    vec![
        (
            "rtmp",
            list(config.rtmp.iter().map(ToString::to_string).collect()),
        ),
        ("app", apps),
        ("workers", config.workers.to_string()),
        ("pin", config.pin.to_string()),
        ("on-duplicate", choice(config.on_duplicate)),
        ("takeover", time(config.takeover_ms)),
        ("publish-idle", time(config.publish_idle_ms)),
        ("reconnect-grace", time(config.reconnect_grace_ms)),
        ("grace-on-clean-end", yes_no(config.grace_on_clean_end)),
        ("max-message", size(u64::from(config.max_message))),
        ("max-bitrate", config.max_bitrate_mbit.to_string()),
        ("max-message-rate", config.max_message_rate.to_string()),
        ("play-wait", time(config.play_wait_ms)),
        ("gop-cache", choice(config.gop_cache)),
        ("max-lag", time(config.max_lag_ms)),
        ("max-lag-bytes", size(config.max_lag_bytes)),
        ("write-timeout", time(config.write_timeout_ms)),
        ("enhanced", choice(config.enhanced)),
        ("multitrack", choice(config.multitrack)),
        ("nagle", choice(config.nagle)),
        ("player-clock", choice(config.player_clock)),
        ("merge-ms", config.merge_ms.to_string()),
        ("chunk-size", config.chunk_size.to_string()),
        ("max-connections", config.max_connections.to_string()),
        ("max-pending", config.max_pending.to_string()),
        ("max-pending-per-ip", config.max_pending_per_ip.to_string()),
        ("max-streams", config.max_streams.to_string()),
        ("log-bytes", size(config.log_bytes)),
        ("log-frames", config.log_frames.to_string()),
        ("linger", time(config.linger_ms)),
        ("mesh-bytes", bytes(config.mesh_bytes)),
        ("mesh-letters", config.mesh_letters.to_string()),
        ("send-buffer", bytes(config.send_buffer)),
        ("memory", size(config.memory)),
        ("drain", time(config.drain_ms)),
        ("log-format", choice(config.log_format)),
    ]
}

fn choice<C: ValueEnum>(choice: C) -> String {
    let named = choice.to_possible_value();
    named.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn every_setting_is_printed_in_the_order_of_the_help() {
        let flags: Vec<String> = Flags::command()
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .filter(|long| !["check", "log-level"].contains(&long.as_str()))
            .collect();
        let printed: Vec<&str> = rows(&Config::default())
            .into_iter()
            .map(|row| row.0)
            .collect();
        assert_eq!(printed, flags);
    }

    #[test]
    fn what_is_printed_can_be_typed_again() {
        let config = Config {
            takeover_ms: 1_500,
            send_buffer: 70_000,
            ..Config::default()
        };
        let mut line = vec!["corecast".to_owned()];
        for (flag, value) in rows(&config).into_iter().filter(|row| row.0 != "app") {
            line.push(format!("--{flag}={value}"));
        }
        assert_eq!(Flags::try_parse_from(line).unwrap().into_config(1), config);
    }
}
