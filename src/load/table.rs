//! A report as people read it: one line a second while it runs, a table at the end.
//!
//! Invariant: what was not measured is said to be so, never shown as 0.

use std::fmt;

use crate::load::delay::Delays;
use crate::load::report::{Report, Second, rate};

/// The line of one second.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a>(pub &'a Second);

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0;
        let mark = if second.steady { '*' } else { ' ' };
        write!(
            f,
            "{:>5.1}s{mark} {} up, {} playing (+{}), {:.1} of {:.1} Mbit/s",
            second.at_ms as f64 / 1_000.0,
            second.publishers,
            second.players,
            second.joins,
            second.mbps(),
            second.mbps_expected(),
        )?;
        if let Some(delays) = second.delays {
            write!(f, ", delay {delays}")?;
        }
        if second.server.alive > 0 {
            let mib = second.server.rss_bytes >> 20;
            write!(f, ", server {:.0}% {mib} MiB", second.cpu_percent())?;
        }
        if second.idle > 0 {
            write!(f, ", {} idle", second.idle)?;
        }
        if second.stalls + second.gone > 0 {
            write!(f, ", {} stalls, {} gone", second.stalls, second.gone)?;
        }
        Ok(())
    }
}

/// The table at the end.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        self.joins(f)?;
        self.steady(f)?;
        row(f, "stalls", format_args!("{}", report.stalls))?;
        let (checked, verifying) = (report.checked, report.verifying);
        row(
            f,
            "checked",
            format_args!("{checked} messages bit by bit, all that {verifying} players got"),
        )?;
        if report.counting() > 0 {
            let (counting, compared) = (report.counting(), report.compared);
            row(
                f,
                "counted",
                format_args!(
                    "the bytes of {counting} players, {compared} of them compared (blind to \
                     changed bits and order)"
                ),
            )?;
        }
        if report.losses.is_empty() {
            row(f, "losses", format_args!("none"))?;
        }
        for (what, count, examples) in &report.losses {
            row(f, "LOST", format_args!("{what}: {count}"))?;
            for example in examples {
                row(f, "", format_args!("  {example}"))?;
            }
        }
        for doubt in report.doubts() {
            row(f, "note", format_args!("{doubt}"))?;
        }
        row(f, "verdict", format_args!("{}", report.verdict()))
    }
}

impl Table<'_> {
    fn joins(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        row(
            f,
            "server",
            format_args!("{}, {} streams", report.url, report.streams),
        )?;
        row(
            f,
            "players",
            format_args!(
                "{} of {} joined, {:.0} a second",
                report.joined,
                report.players_wanted,
                report.joins_per_second()
            ),
        )?;
        let key = "key frame after connect";
        row(f, key, format_args!("{}", Shown(&report.keys)))?;
        if report.storm_wanted > 0 {
            let (joined, wanted) = (report.storm_joined, report.storm_wanted);
            row(f, "storm", format_args!("{joined} of {wanted} joined"))?;
            row(f, key, format_args!("{}", Shown(&report.storm_keys)))?;
        }
        if report.idle_wanted > 0 {
            let (connected, held) = (report.idle_connected, report.idle_held);
            let wanted = report.idle_wanted;
            row(
                f,
                "idle connections",
                format_args!("{connected} of {wanted} accepted, {held} kept to the end"),
            )?;
        }
        Ok(())
    }

    fn steady(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steady = &self.0.steady;
        if steady.length_ms == 0 {
            return Ok(());
        }
        let seconds = steady.length_ms as f64 / 1_000.0;
        let players = steady.players();
        row(
            f,
            "measured",
            format_args!("{seconds:.1} s with {players:.1} players"),
        )?;
        row(
            f,
            "throughput",
            format_args!(
                "{:.1} Mbit/s, {:.1} of it payload that was due",
                rate(steady.bytes, steady.length_ms),
                rate(steady.expected, steady.length_ms)
            ),
        )?;
        row(f, "delay", format_args!("{}", Shown(&steady.delays)))?;
        row(
            f,
            "",
            format_args!("(of players that read everything; the others cannot tell)"),
        )?;
        self.server(f)?;
        let tcp = mib(steady.tcp_bytes);
        row(
            f,
            "TCP buffers",
            format_args!("{tcp:.1} MiB at most, of the whole machine"),
        )
    }

    fn server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steady = &self.0.steady;
        let server = &steady.server;
        let name = "server's CPU";
        if server.alive == 0 {
            return row(f, name, format_args!("not measured: no --server-pid"));
        }
        let (user, system) = (server.user_ms, server.system_ms);
        match steady.cpu_ms_per_player_second() {
            Some(cost) => row(
                f,
                name,
                format_args!("{cost:.3} ms per player-second ({user} ms user, {system} ms system)"),
            )?,
            None => row(f, name, format_args!("{user} ms user, {system} ms system"))?,
        }
        let seconds = steady.length_ms as f64 / 1_000.0;
        row(
            f,
            "server's memory",
            format_args!(
                "{:.1} MiB resident, {:.1} kB more for each of {} connections",
                mib(server.rss_bytes),
                self.0.rss_per_connection() as f64 / 1_000.0,
                steady.connections
            ),
        )?;
        row(
            f,
            "context switches",
            format_args!(
                "{:.0} a second, {:.0} of them forced",
                (server.switches_own + server.switches_forced) as f64 / seconds,
                server.switches_forced as f64 / seconds
            ),
        )
    }
}

/// A distribution or its absence.
struct Shown<'a>(&'a Delays);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.spread() {
            Some(spread) => write!(f, "{spread} (p50 / p90 / p99 / max of {})", spread.count),
            None => f.write_str("not measured"),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{name:<24} {text}")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::loss::{Loss, What, Who};
    use crate::load::report::Steady;

    fn report() -> Report {
        Report {
            players_wanted: 2,
            joined: 2,
            steady: Steady {
                length_ms: 2_000,
                player_ms: 4_000,
                ..Steady::default()
            },
            ..Report::default()
        }
    }

    #[test]
    fn what_was_not_measured_is_said_to_be_so() {
        let shown = Table(&report()).to_string();
        assert!(
            shown.contains("delay                    not measured"),
            "{shown}"
        );
        assert!(shown.contains("not measured: no --server-pid"), "{shown}");
        assert!(shown.contains("every player got everything"), "{shown}");
    }

    #[test]
    fn cpu_time_is_divided_by_players_and_seconds() {
        let mut report = report();
        report.steady.server.alive = 1;
        report.steady.server.user_ms = 10;
        report.steady.server.system_ms = 30;
        assert_eq!(report.steady.cpu_ms_per_player_second(), Some(10.0));
        let shown = Table(&report).to_string();
        assert!(shown.contains("10.000 ms per player-second"), "{shown}");
        let json = report.to_json();
        assert_eq!(json["steady"]["server"]["cpu_ms_per_player_second"], 10.0);
    }

    #[test]
    fn memory_is_shared_by_all_connections_even_if_none_plays() {
        let mut report = Report {
            rss_before_bytes: 5 << 20,
            idle_wanted: 1_000,
            idle_connected: 1_000,
            idle_held: 1_000,
            ..Report::default()
        };
        report.steady.length_ms = 1_000;
        report.steady.connections = 1_000;
        report.steady.server.alive = 1;
        report.steady.server.rss_bytes = (5 << 20) + 2_300_000;
        assert!(report.passed());
        let shown = Table(&report).to_string();
        let memory = "7.2 MiB resident, 2.3 kB more for each of 1000 connections";
        assert!(shown.contains(memory), "{shown}");
        assert!(shown.contains("every connection was kept"), "{shown}");
        report.idle_held = 999;
        assert!(!report.passed());
    }

    #[test]
    fn players_that_could_be_compared_with_none_fail_the_run_by_name() {
        let report = Report {
            uncompared: 1,
            ..report()
        };
        assert!(!report.passed());
        assert!(report.verdict().contains("can be compared with none"));
        assert!(report.doubts().is_empty());
    }

    #[test]
    fn a_loss_fails_the_run_and_is_shown_with_an_example() {
        let mut report = report();
        let loss = Loss {
            who: Who::Player(7),
            stream: "load".to_owned(),
            what: What::NoKey,
        };
        report.losses.push((loss.what.class(), 3, vec![loss]));
        assert!(!report.passed());
        let shown = Table(&report).to_string();
        assert!(shown.contains("no key frame: 3"), "{shown}");
        assert!(
            shown.contains("player 7 of load: got no key frame"),
            "{shown}"
        );
        assert!(shown.contains("NOT PASSED"), "{shown}");
        assert_eq!(report.to_json()["passed"], false);
    }

    #[test]
    fn a_player_that_never_joined_or_a_run_without_a_window_fails() {
        let missing = Report {
            joined: 1,
            ..report()
        };
        assert!(!missing.passed());
        let gone = Report {
            gone: 1,
            ..report()
        };
        assert!(!gone.passed());
        let storm = Report {
            storm_wanted: 1,
            ..report()
        };
        assert!(!storm.passed());
        let early = Report {
            steady: Steady::default(),
            ..report()
        };
        assert!(!early.passed());
        assert!(
            Table(&early)
                .to_string()
                .contains("never came to its measured window")
        );
    }

    #[test]
    fn a_second_is_one_line() {
        let mut second = Second {
            at_ms: 12_000,
            length_ms: 1_000,
            steady: true,
            publishers: 1,
            players: 500,
            bytes: 62_500_000,
            expected: 62_000_000,
            ..Second::default()
        };
        assert_eq!(
            Progress(&second).to_string(),
            " 12.0s* 1 up, 500 playing (+0), 500.0 of 496.0 Mbit/s"
        );
        second.stalls = 2;
        assert!(Progress(&second).to_string().ends_with("2 stalls, 0 gone"));
    }
}
