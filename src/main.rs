//! The binary: flags, settings, server, exit code.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use corecast::cli::Flags;
use corecast::cli::check::Settings;
use corecast::config::Config;
use corecast::server::machine::Machine;
use corecast::{logging, server};

/// Frames are made on one core and freed on another; that costs glibc's allocator 1.3 to 3.8
/// times as much (DESIGN §6.7).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let (check, log_level) = (flags.check, flags.log_level);
    let config = match settings(flags) {
        Ok(config) => config,
        Err(error) => return refuse(&error, ExitCode::from(UNUSABLE)),
    };
    if check {
        // Whoever reads the report may have closed the pipe early; the verdict stays.
        let _ = write!(io::stdout(), "{}", Settings(&config));
        return ExitCode::SUCCESS;
    }
    logging::start(config.log_format, log_level);
    server::run(config).unwrap_or_else(|error| refuse(&error, ExitCode::FAILURE))
}

/// Settings that are right in themselves and fit this machine.
fn settings(flags: Flags) -> anyhow::Result<Config> {
    let machine = Machine::survey()?;
    let config = flags.into_config(machine.connections_auto());
    config.check()?;
    machine.check(&config)?;
    Ok(config)
}

fn refuse(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "corecast: {error:#}");
    code
}

/// Exit code of flags and settings that cannot be used; clap's own is the same.
const UNUSABLE: u8 = 2;
