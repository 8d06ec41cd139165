//! Counted: instructions of the hot paths, by callgrind. Unlike time they are the same twice, on
//! any machine that is busy; `scripts/instructions.sh` is the way in.
//!
//! | file | what it holds |
//! |---|---|
//! | `meter` | the function that is counted |
//! | `protocol`, `streams`, `sessions` | the cases |
//! | `callgrind` | one case under valgrind, twice |
//! | `table` | the result, and how it compares with an earlier one |
//!
//! The program starts itself under valgrind, once for each case and run. In `cargo test` it counts
//! a few cases and asserts nothing but that two runs agree.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a case may fail by panic"
)]

mod callgrind;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod meter;
mod protocol;
mod sessions;
mod streams;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use meter::Case;
use table::Row;

/// The server's, so that what memory costs is what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counts the instructions of hot paths under callgrind, each case twice.
#[derive(Debug, Parser)]
#[command(name = "instructions.sh")]
struct Flags {
    /// Cases to count; all of them if none is named
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Compare with a table printed earlier; exit code 1 if a case grew by more than 3 %
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Count three cases only
    #[arg(long)]
    short: bool,
    /// Name the cases
    #[arg(long)]
    list: bool,
    /// Do the work of one case, for callgrind to count
    #[arg(long, value_name = "CASE", hide = true)]
    only: Option<String>,
    /// What cargo says
    #[arg(long, hide = true)]
    bench: bool,
}

impl Flags {
    fn chosen(&self) -> Result<Vec<&'static Case>, String> {
        if !self.cases.is_empty() {
            return self.cases.iter().map(|name| find(name)).collect();
        }
        if self.short {
            return short();
        }
        Ok(cases().collect())
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let asked = |flag: &str| args.iter().any(|arg| arg == flag);
    let done = if asked("--bench") || asked("--only") {
        run(&Flags::parse())
    } else {
        agree()
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(flags: &Flags) -> Result<ExitCode, String> {
    if let Some(name) = &flags.only {
        let work = (find(name)?.run)();
        println!("{} {}", work.units, work.bytes);
        return Ok(ExitCode::SUCCESS);
    }
    if flags.list {
        cases().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    let before = flags.against.as_ref().map(stored).transpose()?;
    let chosen = flags.chosen()?;
    let now = count(&chosen)?;
    let Some(mut before) = before else {
        return Ok(ExitCode::SUCCESS);
    };
    if chosen.len() < cases().count() {
        before.retain(|old| chosen.iter().any(|case| case.name == old.case));
    }
    let (lines, grown) = table::compare(&before, &now);
    println!();
    lines.iter().for_each(|line| println!("{line}"));
    Ok(if grown {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// In `cargo test`: two runs agree.
fn agree() -> Result<ExitCode, String> {
    if !callgrind::is_here() && std::env::var("CORECAST_INTEROP").is_ok_and(|v| v == "skip") {
        println!("SKIPPED: CORECAST_INTEROP=skip and no valgrind, no instruction was counted");
        return Ok(ExitCode::SUCCESS);
    }
    count(&short()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Counts and prints, row by row.
fn count(chosen: &[&Case]) -> Result<Vec<Row>, String> {
    if !callgrind::is_here() {
        let text = "valgrind is missing: scripts/test.sh installs it on Debian and Ubuntu";
        return Err(text.to_owned());
    }
    println!("{}", Row::title());
    let count = |case: &&Case| {
        let row = callgrind::count_twice(case)?;
        println!("{row}");
        Ok(row)
    };
    chosen.iter().map(count).collect()
}

fn stored(file: &PathBuf) -> Result<Vec<Row>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let rows: Vec<Row> = text.lines().filter_map(Row::parse).collect();
    if rows.is_empty() {
        return Err(format!("{}: there is no table in it", file.display()));
    }
    Ok(rows)
}

fn cases() -> impl Iterator<Item = &'static Case> {
    protocol::CASES
        .iter()
        .chain(&streams::CASES)
        .chain(&sessions::CASES)
}

fn short() -> Result<Vec<&'static Case>, String> {
    SHORT.into_iter().map(find).collect()
}

fn find(name: &str) -> Result<&'static Case, String> {
    let found = cases().find(|case| case.name == name);
    found.ok_or_else(|| format!("there is no case {name}; --list names them"))
}

const SHORT: [&str; 3] = ["chunk-read-4096", "gather-tail", "mesh-letter"];
