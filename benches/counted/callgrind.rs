//! One case under callgrind, as often as it takes to believe the number.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::meter::{Case, METERED};
use crate::table::Row;

/// Whether valgrind is there.
pub(crate) fn is_here() -> bool {
    let mut valgrind = Command::new("valgrind");
    let quiet = valgrind.arg("--version").stdout(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Counts a case twice.
///
/// # Errors
/// The two counts differ, or there is none; in words.
pub(crate) fn count_twice(case: &Case) -> Result<Row, String> {
    let first = count(case, 1)?;
    let second = count(case, 2)?;
    if first != second {
        return Err(format!(
            "{}: {} instructions, and {} in a second run of the same",
            case.name, first.instructions, second.instructions
        ));
    }
    Ok(first)
}

/// Where callgrind leaves what it found, for callgrind_annotate.
pub(crate) fn profile(case: &str, run: u32) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("instructions")
        .join(format!("{case}.{run}.out"))
}

fn count(case: &Case, run: u32) -> Result<Row, String> {
    let said = |error: std::io::Error| format!("{}: {error}", case.name);
    let profile = profile(case.name, run);
    if let Some(folder) = profile.parent() {
        fs::create_dir_all(folder).map_err(said)?;
    }
    let mut out_file = OsString::from("--callgrind-out-file=");
    out_file.push(&profile);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=no"])
        .arg(format!("--toggle-collect={METERED}"))
        .arg(out_file)
        .arg(std::env::current_exe().map_err(said)?)
        .args(["--only", case.name])
        // What the environment holds lies on the stack and moves what is aligned there.
        .env_clear()
        // A long copy would be one instruction on the machine and, to callgrind, one a byte.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS")
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .output()
        .map_err(said)?;
    let told = String::from_utf8_lossy(&output.stdout);
    let mut work = told.split_whitespace().map(str::parse);
    let (Some(Ok(units)), Some(Ok(bytes)), true) =
        (work.next(), work.next(), output.status.success())
    else {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}: {error}", case.name, output.status));
    };
    let found = fs::read_to_string(&profile).map_err(said)?;
    let instructions = total(&found).ok_or_else(|| format!("{}: no total", case.name))?;
    if instructions == 0 {
        return Err(format!("{}: {METERED} was never entered", case.name));
    }
    Ok(Row {
        case: case.name.to_owned(),
        instructions,
        units,
        bytes,
        unit: case.unit.to_owned(),
    })
}

/// The sum over all functions in a profile.
fn total(profile: &str) -> Option<u64> {
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"));
    total?.trim().parse().ok()
}
