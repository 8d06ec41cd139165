//! The import rule: which module may know which, and which outside crate is known where.
//!
//! Invariant: a path counts wherever it stands, in a `use` or in the middle of a line, by `crate`
//! or by enough `super`s to reach the root. Only test code may look everywhere. DESIGN §2.

use super::Violation;
use super::source::Source;

/// Forbidden edges between modules.
pub(crate) fn inside(source: &Source) -> Vec<Violation> {
    let from = source.module();
    let mut found = Vec::new();
    if floor(from).is_none() {
        found.push(source.violation(1, format!("module `{from}` has no floor: give it one")));
        return found;
    }
    for at in (0..source.tokens.len()).filter(|at| !source.is_test[*at]) {
        let Some(path) = after_root(source, at) else {
            continue;
        };
        for (to, line) in roots(source, path) {
            if let Some(rule) = forbidden(from, &to) {
                found.push(source.violation(line, rule));
            }
        }
    }
    found
}

/// Outside crates in modules that must not know them.
pub(crate) fn outside(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for at in (0..source.tokens.len()).filter(|at| !source.is_test[*at]) {
        let Some((name, places)) = CRATES.iter().find(|rule| rule.0 == source.word(at)) else {
            continue;
        };
        let before = at.checked_sub(1).map_or("", |n| source.word(n));
        // In `::mio::Poll` nothing but `use` or punctuation stands before the first `::`.
        let is_absolute = before == "::"
            && at
                .checked_sub(2)
                .and_then(|n| source.tokens.get(n))
                .is_none_or(|token| token.text == "use" || !(token.is_word() || token.text == ">"));
        let is_path = source.word(at + 1) == "::" && (before != "::" || is_absolute);
        let is_import = ["use", "crate"].contains(&before);
        if (is_path || is_import) && !places.iter().any(|place| is_within(source.place(), place)) {
            let rule = format!("crate `{name}` may be known only in: {}", places.join(", "));
            found.push(source.violation(source.line(at), rule));
        }
    }
    found
}

/// Dependencies in the manifest that no rule speaks of.
pub(crate) fn unruled(file: &str, manifest: &str) -> Vec<Violation> {
    let mut section = "";
    let mut found = Vec::new();
    for (line, text) in (1..).zip(manifest.lines()) {
        if text.starts_with('[') {
            section = text.trim();
        }
        let Some((name, _)) = text.split_once('=').filter(|_| section == "[dependencies]") else {
            continue;
        };
        let name = name
            .trim()
            .split('.')
            .next()
            .unwrap_or_default()
            .replace('-', "_");
        if !name.starts_with('#') && !CRATES.iter().any(|rule| rule.0 == name) {
            let rule =
                format!("crate `{name}` has no rule: say in tests/tidy/floors.rs who uses it");
            found.push(Violation {
                file: file.to_owned(),
                line,
                rule,
            });
        }
    }
    found
}

/// Where the path goes on after the crate's root, if the token at `at` begins one that does.
fn after_root(source: &Source, at: usize) -> Option<usize> {
    if source.reads(at, "crate ::") {
        return Some(at + 2);
    }
    let is_first = at
        .checked_sub(1)
        .is_none_or(|before| source.word(before) != "::");
    if !is_first || !source.reads(at, "super ::") {
        return None;
    }
    let supers = (0..)
        .take_while(|n| source.reads(at + 2 * n, "super ::"))
        .count();
    let reaches_root = supers == source.depth() + source.inline_mods[at];
    reaches_root.then_some(at + 2 * supers)
}

/// The modules a path names at the root: one, or those of a group.
fn roots(source: &Source, at: usize) -> Vec<(String, usize)> {
    if source.word(at) != "{" {
        return vec![(source.word(at).to_owned(), source.line(at))];
    }
    let (mut depth, mut is_next, mut names) = (0_usize, false, Vec::new());
    for token in source.tokens.iter().skip(at) {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                is_next = depth == 1;
            }
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," => is_next = depth == 1,
            _ if is_next => {
                names.push((token.text.clone(), token.line));
                is_next = false;
            }
            _ => {}
        }
    }
    names
}

/// Why `from` may not know `to`, if it may not.
fn forbidden(from: &str, to: &str) -> Option<String> {
    let (Some(upper), Some(lower)) = (floor(from), floor(to)) else {
        return Some(format!(
            "`{from}` names `{to}`, which is no module of the floor plan"
        ));
    };
    let is_boot = upper >= BOOT && lower < ROOT;
    (from != to && !is_boot && lower >= upper)
        .then(|| format!("`{from}` must not know `{to}`: not on a floor below its own"))
}

/// Floor in tenths: the ground has steps, of which each may know the ones below.
fn floor(module: &str) -> Option<u32> {
    FLOORS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(floor, _)| *floor)
}

/// Whether `rtmp/handshake/digest` is within `rtmp` or `rtmp/handshake*`; `*` is everywhere.
fn is_within(place: &str, rule: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(start) => place.starts_with(start),
        None => place
            .strip_prefix(rule)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// The floor plan of DESIGN §2.
const FLOORS: [(u32, &[&str]); 10] = [
    (0, &["ids", "time", "wire"]),
    (1, &["config", "wheel"]),
    // Sums up the settings.
    (2, &["limits"]),
    (10, &["rtmp", "codec"]),
    (20, &["media"]),
    (30, &["live"]),
    (40, &["mesh", "stats"]),
    (50, &["worker"]),
    (BOOT, &["cli", "server", "logging", "load", "main", "bin"]),
    (ROOT, &["lib"]),
];
/// From here on everything below may be known, and its own floor.
const BOOT: u32 = 60;
/// `lib.rs`: declares everything, known to nobody.
const ROOT: u32 = 70;

/// Where the outside crates belong.
const CRATES: [(&str, &[&str]); 17] = [
    ("log", &["*"]),
    ("thiserror", &["*"]),
    // The digest of the handshake; above the worker's floor, seeds.
    (
        "ring",
        &["rtmp/handshake*", "worker", "server", "main", "bin"],
    ),
    ("arrayvec", &["media"]),
    ("slab", &["live", "worker"]),
    ("crossbeam_channel", &["mesh"]),
    ("mio", &["mesh", "worker", "server", "load", "bin"]),
    ("socket2", &["mesh", "worker", "server", "load", "bin"]),
    ("hdrhistogram", &["load"]),
    ("clap", BOOT_FLOOR),
    ("anyhow", BOOT_FLOOR),
    ("signal_hook", BOOT_FLOOR),
    ("core_affinity", BOOT_FLOOR),
    ("env_logger", BOOT_FLOOR),
    ("rlimit", BOOT_FLOOR),
    ("mimalloc", BOOT_FLOOR),
    ("serde_json", BOOT_FLOOR),
];
const BOOT_FLOOR: &[&str] = &["cli", "server", "logging", "load", "main", "bin"];

#[cfg(test)]
fn lines(violations: &[Violation]) -> Vec<usize> {
    violations.iter().map(|found| found.line).collect()
}

#[test]
fn an_import_from_a_higher_floor_is_rejected_however_it_is_written() {
    let text = "use crate::ids::Seq;\n\
                use crate::live::Live;\n\
                use crate::{time::Millis, wire::{self, Reader}, media};\n\
                fn f() -> crate::worker::Worker { super::super::mesh::g() }\n\
                use crate::*;\n\
                // crate::live\n\
                use super::super::super::live::Log;\n\
                use crate::rtmp::amf0;";
    let found = inside(&Source::new("src/rtmp/chunk.rs", text));
    assert_eq!(lines(&found), [2, 3, 4, 4, 5]);
    assert_eq!(
        found[0].to_string(),
        "src/rtmp/chunk.rs:2: `rtmp` must not know `live`: not on a floor below its own"
    );
}

#[test]
fn neighbours_on_a_floor_do_not_know_each_other() {
    for (file, text) in [
        ("src/rtmp/mod.rs", "use crate::codec::Tag;"),
        ("src/codec/mod.rs", "use super::rtmp::Kind;"),
        ("src/mesh/port.rs", "crate::stats::count()"),
        ("src/ids.rs", "use crate::time::Millis;"),
        ("src/config.rs", "use crate::limits::worst_case;"),
        ("src/worker/mod.rs", "use crate::server::run;"),
        ("src/server.rs", "use crate::lib::x;"),
    ] {
        assert_eq!(inside(&Source::new(file, text)).len(), 1, "{file}: {text}");
    }
}

#[test]
fn what_the_floor_plan_allows_is_allowed() {
    for (file, text) in [
        ("src/wheel.rs", "use crate::time::Millis;"),
        ("src/limits.rs", "use crate::config::Config;"),
        (
            "src/media/frame.rs",
            "use crate::rtmp::chunk; use crate::codec::Tag;",
        ),
        (
            "src/live/mod.rs",
            "use crate::live::log::Log; use self::log::Cursor;",
        ),
        (
            "src/mesh/port.rs",
            "use super::super::live::Post; use super::Letter;",
        ),
        (
            "src/server.rs",
            "use crate::{cli, worker::{Worker, WorkerSeed}};",
        ),
        ("src/lib.rs", "pub mod live; pub use crate::live::Live;"),
        (
            "src/rtmp/chunk.rs",
            "mod csid { use super::super::x; } pub(crate) struct Y;",
        ),
        ("src/wire.rs", "mod a { mod b { use super::super::c; } }"),
        (
            "src/wire.rs",
            "#[cfg(test)] mod tests { use crate::live::Live; use super::*; }",
        ),
    ] {
        let found = inside(&Source::new(file, text));
        assert!(found.is_empty(), "{file}: {text}: {found:?}");
    }
}

#[test]
fn a_module_nobody_planned_is_rejected() {
    assert_eq!(lines(&inside(&Source::new("src/glue.rs", ""))), [1]);
    assert_eq!(
        lines(&inside(&Source::new(
            "src/live/log.rs",
            "\nuse crate::glue::x;"
        ))),
        [2]
    );
}

#[test]
fn an_outside_crate_on_the_wrong_floor_is_rejected() {
    for (file, text) in [
        ("src/live/mod.rs", "use mio::Waker;"),
        ("src/rtmp/server.rs", "let h = ring::hmac::sign(k);"),
        ("src/wire.rs", "use ::anyhow::Result;"),
        ("src/wire.rs", "fn f(x: ::anyhow::Error) {}"),
        ("src/worker/conn.rs", "use crossbeam_channel as channel;"),
        ("src/mesh/mod.rs", "extern crate clap;"),
        ("src/client.rs", "use {std::io, socket2::Socket};"),
        ("src/workers.rs", "use socket2::Socket;"),
    ] {
        assert_eq!(outside(&Source::new(file, text)).len(), 1, "{file}: {text}");
    }
}

#[test]
fn an_outside_crate_where_it_belongs_is_allowed() {
    for (file, text) in [
        ("src/rtmp/handshake.rs", "use ring::hmac;"),
        ("src/rtmp/handshake/digest.rs", "use ring::hmac;"),
        (
            "src/mesh/port.rs",
            "use crossbeam_channel::Sender; use mio::Waker;",
        ),
        ("src/worker/accept.rs", "use socket2::Socket;"),
        (
            "src/live/mod.rs",
            "use slab::Slab; use super::log::Log; a::mio::b(); fn f(mio: u8, x: X) { x.clap }",
        ),
        ("src/wire.rs", "#[cfg(test)] mod tests { use mio::Poll; }"),
    ] {
        let found = outside(&Source::new(file, text));
        assert!(found.is_empty(), "{file}: {text}: {found:?}");
    }
}

#[test]
fn a_dependency_without_a_rule_is_found() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nsignal-hook = \"1\"\nserde = \"1\"\n\
                    # note = 1\n[dev-dependencies]\nloom = \"0.7\"";
    let found = unruled("Cargo.toml", manifest);
    assert_eq!(lines(&found), [5]);
}
