//! From the first signal to the exit code: SIGTERM or SIGINT drains, a second one cuts.
//!
//! Invariant: the process ends within `--drain` plus `DRAIN_SLACK` of the first signal and within
//! `CUT_SLACK` of the second, whatever the workers do (RELIABILITY F1).

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Server, banner};
use crate::config::{Config, LogFormat};

/// Runs the server until a signal ends it.
///
/// # Errors
/// It could not start: the error's text is one line that names the flag and the reason.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signal handlers")?;
    let format = config.log_format;
    let drain = Duration::from_millis(config.drain_ms);
    let mut server = Server::start(config)?;
    let text = banner::banner(server.config(), server.addresses(), server.pins());
    if format == LogFormat::Text {
        // A full disk behind stderr must not keep a server from its work.
        let _ = writeln!(io::stderr(), "{text}");
    }
    if let Some(signal) = signals.forever().next() {
        log::info!(
            "{}: draining for {} s at most, a second signal cuts",
            name(signal),
            drain.as_secs_f32()
        );
    }
    Ok(finish(&mut server, &mut signals, drain))
}

/// Drains, and cuts when asked to or when time is up.
fn finish(server: &mut Server, signals: &mut Signals, drain: Duration) -> ExitCode {
    let begun = Instant::now();
    let mut last = begun + drain + DRAIN_SLACK;
    let mut cut = false;
    server.drain(drain);
    while !server.is_finished() {
        if Instant::now() >= last {
            log::error!("stopped: some workers did not end in time");
            return ExitCode::FAILURE;
        }
        if !cut && let Some(signal) = signals.pending().next() {
            log::warn!("{}: cutting all connections", name(signal));
            cut = true;
            last = Instant::now() + CUT_SLACK;
            server.cut();
        }
        server.post();
        thread::sleep(TICK);
    }
    let seconds = begun.elapsed().as_secs_f32();
    if cut {
        log::warn!("stopped: cut after {seconds:.1} s");
        return ExitCode::FAILURE;
    }
    log::info!("stopped: drained in {seconds:.1} s");
    ExitCode::SUCCESS
}

fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("signal")
}

/// How often the end of the workers is looked for once a drain has begun.
const TICK: Duration = Duration::from_millis(10);
/// The workers cut stragglers themselves at the deadline; this is for their last writes.
const DRAIN_SLACK: Duration = Duration::from_millis(1_500);
const CUT_SLACK: Duration = Duration::from_millis(800);
