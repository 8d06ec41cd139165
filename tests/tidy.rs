//! The house rules, executable: floors, outside crates, sizes, words, and the top of the tree.
//!
//! Invariant: a rule that is not checked here (or by a lint) is a wish. Each rule has tests of its
//! own beside it, with snippets it must reject. DESIGN §2, STYLE §7.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::source::Source;

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

#[test]
fn a_module_knows_only_the_floors_below_it() {
    report(sources(&["src"]).iter().flat_map(floors::inside));
}

#[test]
fn an_outside_crate_is_known_only_where_it_belongs() {
    report(sources(&["src"]).iter().flat_map(floors::outside));
}

#[test]
fn every_dependency_has_a_rule() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    report(floors::unruled("Cargo.toml", &manifest));
}

#[test]
fn files_functions_and_lines_keep_to_their_size() {
    report(
        sources(&["src", "tests", "benches"])
            .iter()
            .flat_map(shape::sizes),
    );
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    report(
        sources(&["src", "tests", "benches"])
            .iter()
            .flat_map(shape::head),
    );
}

#[test]
fn nothing_is_left_over_and_nothing_is_badly_named() {
    report(
        sources(&["src", "tests", "benches"])
            .iter()
            .flat_map(words::leftovers),
    );
    report(sources(&["src"]).iter().flat_map(words::names));
}

#[test]
fn the_top_of_the_tree_holds_what_it_should_and_nothing_else() {
    report(top_level(&entries()));
}

/// One broken rule, printed as `file:line: rule`.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

fn report(violations: impl IntoIterator<Item = Violation>) {
    let lines: Vec<String> = violations
        .into_iter()
        .map(|found| found.to_string())
        .collect();
    assert!(
        lines.is_empty(),
        "{} house rules broken:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below the folders, with the files that are test code marked as such.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    let named = |path: &PathBuf| {
        let name = path
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        Source::new(&name, &fs::read_to_string(path).unwrap())
    };
    let mut sources: Vec<Source> = paths.iter().map(named).collect();
    source::mark_test_files(&mut sources);
    assert!(!sources.is_empty(), "no sources below {}", root().display());
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// First parts of all tracked paths; without git, of what lies in the folder.
fn entries() -> BTreeSet<String> {
    let git = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z"])
        .output();
    if let Ok(output) = git
        && output.status.success()
        && !output.stdout.is_empty()
    {
        let paths = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = |path: &str| path.split('/').next().map(str::to_owned);
        return paths
            .split('\0')
            .filter(|path| !path.is_empty())
            .filter_map(first)
            .collect();
    }
    let names = fs::read_dir(root()).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !IGNORED.contains(&name.as_str()) && !name.ends_with('~'))
        .collect()
}

fn top_level(entries: &BTreeSet<String>) -> Vec<Violation> {
    let unknown = entries
        .iter()
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()));
    let missing = REQUIRED.iter().filter(|name| !entries.contains(**name));
    unknown
        .map(|name| (name.clone(), "does not belong at the top of the tree"))
        .chain(missing.map(|name| ((*name).to_owned(), "is missing at the top of the tree")))
        .map(|(file, rule)| Violation {
            file,
            line: 1,
            rule: rule.to_owned(),
        })
        .collect()
}

/// What the top of the tree may hold.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "tests",
    "benches",
    "scripts",
    "README.md",
    "LICENSE",
    ".gitignore",
    ".ci",
];
/// What it must hold for anything here to make sense.
const REQUIRED: [&str; 5] = ["Cargo.toml", "Cargo.lock", "src", "tests", ".gitignore"];
/// Not part of the tree, seen only where git cannot be asked.
const IGNORED: [&str; 2] = [".git", "target"];

#[test]
fn a_stranger_and_a_gap_at_the_top_of_the_tree_are_found() {
    let entries: BTreeSet<String> = REQUIRED
        .iter()
        .skip(1)
        .chain(&["notes.txt"])
        .map(|name| (*name).to_owned())
        .collect();
    let found: Vec<String> = top_level(&entries)
        .iter()
        .map(Violation::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "notes.txt:1: does not belong at the top of the tree",
            "Cargo.toml:1: is missing at the top of the tree",
        ]
    );
}
