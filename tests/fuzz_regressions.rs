//! Replays the seeds and every input that once broke something, through the fuzz targets.
//!
//! Invariant: an input in `tests/fuzz/regressions/TARGET/` stays there for good; its name says what
//! it broke. `scripts/fuzz.sh` finds new ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use targets::{TARGETS, Target};

#[path = "fuzz/targets/mod.rs"]
mod targets;

#[test]
fn every_seed_and_every_old_crash_keeps_the_laws() {
    let mut failed = Vec::new();
    for target in &TARGETS {
        for file in inputs("seeds", target)
            .iter()
            .chain(&inputs("regressions", target))
        {
            let input = fs::read(file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                failed.push(file.clone());
            }
        }
    }
    assert!(failed.is_empty(), "inputs that break a law: {failed:#?}");
}

#[test]
fn every_target_has_seeds_and_all_of_them_are_small() {
    let mut bytes = 0;
    for target in &TARGETS {
        let seeds = inputs("seeds", target);
        assert!(!seeds.is_empty(), "no seed for {}", target.name);
        bytes += seeds
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum::<u64>();
    }
    assert!(
        bytes <= SEED_BYTES_MAX,
        "{bytes} bytes of seeds, {SEED_BYTES_MAX} allowed"
    );
}

#[test]
fn cut_and_flipped_seeds_keep_the_laws() {
    for target in &TARGETS {
        for file in inputs("seeds", target) {
            let seed = fs::read(&file).unwrap();
            for step in 1..=MUTANTS {
                let at = seed.len() * step / (MUTANTS + 1);
                (target.run)(&seed[..at]);
                let mut flipped = seed.clone();
                if let Some(byte) = flipped.get_mut(at) {
                    *byte ^= 1 << (step % 8);
                }
                (target.run)(&flipped);
            }
        }
    }
}

#[test]
fn the_script_knows_every_target() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fuzz.sh");
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let line = format!("\nall=({})\n", names.join(" "));
    assert!(
        fs::read_to_string(script).unwrap().contains(&line),
        "{line}"
    );
}

fn inputs(kind: &str, target: &Target) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join("tests/fuzz").join(kind).join(target.name)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// They are read on every clone.
const SEED_BYTES_MAX: u64 = 300_000;
/// Cuts and flips of each seed.
const MUTANTS: usize = 8;
