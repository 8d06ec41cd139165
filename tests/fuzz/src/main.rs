//! The fuzzing binary: libFuzzer in front of one of the targets, named by `CORECAST_FUZZ_TARGET`.
//!
//! Law, checked around every input: live memory of a run stays below what its target allows for
//! an input of that length (RELIABILITY A6), and the run takes at most 100 ms.

#![no_main]

mod counted;
#[path = "../targets/mod.rs"]
mod targets;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: counted::Counted = counted::Counted;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: choose(),
    |data: &[u8]| {
        let Some(target) = TARGET.get() else { return };
        let started = Instant::now();
        run(target, data);
        // Other programs may hold the core: only what is slow each time counts.
        if started.elapsed() > SLOW {
            let fastest = (0..3).map(|_| {
                let started = Instant::now();
                (target.run)(data);
                started.elapsed()
            });
            let fastest = fastest.min().unwrap_or_default();
            assert!(fastest <= SLOW, "slow input: {fastest:?}");
        }
    }
);

fn run(target: &Target, data: &[u8]) {
    let before = counted::mark();
    (target.run)(data);
    let peak = counted::peak().saturating_sub(before);
    let allowed = data.len() * target.memory_factor + target.memory_base;
    assert!(
        peak <= allowed,
        "{peak} bytes of live memory for {} bytes of input, {allowed} allowed",
        data.len()
    );
    let left = counted::live().saturating_sub(before);
    assert!(left == 0, "{left} bytes are still held after the run");
}

fn choose() {
    let name = std::env::var("CORECAST_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!(
            "CORECAST_FUZZ_TARGET={name:?}: name one of {}",
            names.join(" ")
        );
        std::process::exit(2);
    };
    // Whatever is made once per process belongs to no input.
    (target.run)(&[]);
    let _ = TARGET.set(target);
}

/// RELIABILITY A1.
const SLOW: Duration = Duration::from_millis(100);
