//! The table in the head of `tests/traps.rs` against the sources it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_trap_has_tests_and_every_named_test_exists() {
    let rows = rows();
    for (trap, test) in &rows {
        let (file, name) = test.split_once("::").unwrap();
        assert!(has_test(&read(file), name), "trap {trap}: no test {test}");
    }
    let found: BTreeSet<u8> = rows.iter().map(|(trap, _)| *trap).collect();
    let wanted: BTreeSet<u8> = (1..=17).filter(|trap| *trap != 16).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_test_of_this_crate_stands_in_the_table() {
    let rows = rows();
    for file in ["media", "sockets", "wire"].map(|file| format!("tests/traps/{file}.rs")) {
        for line in read(&file).lines() {
            let name = line
                .strip_prefix("fn t")
                .and_then(|rest| rest.split_once("()"));
            if let Some((name, _)) = name {
                let test = format!("{file}::t{name}");
                assert!(rows.iter().any(|(_, known)| *known == test), "{test}");
            }
        }
    }
}

#[test]
fn a_test_is_told_from_a_function_and_from_another_name() {
    let text = "#[test]\nfn one() {}\n    #[test]\n    fn two() {}\nfn three() {}\n";
    assert!(has_test(text, "one") && has_test(text, "two"));
    assert!(!has_test(text, "three") && !has_test(text, "on") && !has_test(text, "four"));
}

fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}()");
    let is_test = |pair: &[&str]| pair[0] == "#[test]" && pair[1].starts_with(&head);
    lines.windows(2).any(is_test)
}

/// Trap and test of each row.
fn rows() -> Vec<(u8, String)> {
    let text = read("tests/traps.rs");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! | ")?.split(" | ");
        let trap = cells.next()?.parse().ok()?;
        let test = cells.next()?.trim_end_matches('|').trim();
        Some((trap, test.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}
