//! The load tool: flags, run, report, exit code.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use corecast::load::bare::{self, Bare};
use corecast::load::chart::Chart;
use corecast::load::flags::Flags;
use corecast::load::report::{Report, Second};
use corecast::load::run::run;
use corecast::load::table::{Progress, Table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(listen) = flags.bare_loop {
        let settings = bare::Settings {
            listen,
            merge_ms: flags.merge.0,
            nagle: flags.nagle,
        };
        return match Bare::new(settings).and_then(Bare::run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&anyhow::Error::new(error).context(listen)),
        };
    }
    let report = match measure(&flags) {
        Ok(report) => report,
        Err(error) => return refuse(&error),
    };
    match tell(&flags, &report) {
        Ok(()) if report.passed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => refuse(&error),
    }
}

fn measure(flags: &Flags) -> anyhow::Result<Report> {
    let plan = flags.plan()?;
    let quiet = flags.quiet;
    let mut progress = |second: &Second| {
        if !quiet {
            // Nobody may be reading any more; the run goes on for its verdict.
            let _ = writeln!(io::stderr(), "{}", Progress(second));
        }
    };
    Ok(run(&plan, &mut progress)?)
}

/// Writes what was found to where it was asked for. Standard output holds the table or the JSON.
fn tell(flags: &Flags, report: &Report) -> anyhow::Result<()> {
    let table = Table(report).to_string();
    let json = || format!("{:#}\n", report.to_json());
    match &flags.json {
        Some(path) if path == Path::new("-") => {
            io::stderr().write_all(table.as_bytes())?;
            io::stdout().write_all(json().as_bytes())?;
        }
        Some(path) => {
            save(path, &json())?;
            io::stdout().write_all(table.as_bytes())?;
        }
        None => io::stdout().write_all(table.as_bytes())?,
    }
    if let Some(path) = &flags.chart {
        save(path, &Chart(report).to_string())?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("corecast-load: {error:#}");
    ExitCode::from(2)
}
