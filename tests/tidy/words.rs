//! Words: leftovers of work in progress, macros that print, and names that say nothing.
//!
//! Invariant: leftovers are found in comments and literals too, so this file spells its list in
//! halves. STYLE §6, §7.

use super::Violation;
use super::source::Source;

/// Marks and macros that must not be committed, anywhere.
pub(crate) fn leftovers(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(source.text.lines()) {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words.find(|word| MARKS.contains(word)) {
            found.push(source.violation(line, format!("`{mark}` is left over")));
        }
    }
    for at in (0..source.tokens.len()).filter(|at| source.word(at + 1) == "!") {
        let word = source.word(at);
        // `todo != 1` is a comparison.
        if MACROS.contains(&word) && source.word(at + 2) != "=" {
            found.push(source.violation(source.line(at), format!("`{word}!` is left over")));
        }
    }
    found
}

/// Names and types the product's own code does without.
pub(crate) fn names(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for part in source
        .place()
        .split('/')
        .filter(|part| DRAWERS.contains(part))
    {
        found.push(source.violation(1, format!("`{part}` names a drawer, not a thing")));
    }
    let may_print = PRINTERS.contains(&source.module());
    for at in 0..source.tokens.len() {
        let (word, next) = (source.word(at), source.word(at + 1));
        let rule = match word {
            "fn" if next.starts_with("get_") => format!("`{next}`: drop the `get_`"),
            "mod" if DRAWERS.contains(&next) => format!("`{next}` names a drawer, not a thing"),
            "Rc" if source.reads(at, "Rc < RefCell") => {
                "`Rc<RefCell`: split the borrow or queue an effect".to_owned()
            }
            "print" | "println" if next == "!" && !may_print => {
                format!("`{word}!` belongs in main, cli and bin: use `log`")
            }
            _ => continue,
        };
        found.push(source.violation(source.line(at), rule));
    }
    found
}

const MARKS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
const MACROS: [&str; 3] = ["dbg", "todo", "unimplemented"];
const DRAWERS: [&str; 6] = ["util", "utils", "helper", "helpers", "misc", "common"];
/// Modules that talk to a terminal.
const PRINTERS: [&str; 3] = ["main", "cli", "bin"];

#[test]
fn marks_are_found_in_comments_and_strings_but_only_as_whole_words() {
    for mark in MARKS {
        for text in [
            format!("// {mark}: later"),
            format!("\n\"{mark}\""),
            format!("/*{mark}*/"),
        ] {
            assert_eq!(
                leftovers(&Source::new("src/a.rs", &text)).len(),
                1,
                "{text}"
            );
        }
        let part = format!("let {mark}S = A_{mark}; // {}", mark.to_lowercase());
        assert!(
            leftovers(&Source::new("src/a.rs", &part)).is_empty(),
            "{part}"
        );
    }
}

#[test]
fn macros_of_unfinished_work_are_rejected() {
    for word in MACROS {
        let found = leftovers(&Source::new(
            "tests/a.rs",
            &format!("\nfn f() {{ {word}!(x) }}"),
        ));
        assert_eq!(
            found[0].to_string(),
            format!("tests/a.rs:2: `{word}!` is left over")
        );
    }
    let text = "// dbg!(x)\nlet todo = \"todo!()\"; if todo != 1 {}";
    assert_eq!(leftovers(&Source::new("src/a.rs", text)).len(), 0);
}

#[test]
fn names_that_say_nothing_and_shared_cells_are_rejected() {
    for (file, text) in [
        ("src/live/utils.rs", ""),
        ("src/misc/mod.rs", ""),
        ("src/live/mod.rs", "mod helpers;"),
        ("src/live/mod.rs", "pub fn get_name(&self) {}"),
        ("src/live/mod.rs", "x: Rc<RefCell<Y>>"),
        ("src/live/mod.rs", "x: std::rc::Rc < RefCell<Y>>"),
        ("src/server.rs", "println!(\"up\")"),
        ("src/worker/mod.rs", "std::print!(\"x\")"),
    ] {
        assert_eq!(names(&Source::new(file, text)).len(), 1, "{file}: {text}");
    }
}

#[test]
fn what_looks_alike_is_allowed() {
    for (file, text) in [
        ("src/bin/corecast-load.rs", "println!(\"table\")"),
        ("src/cli.rs", "println!(\"version\")"),
        (
            "src/live/mod.rs",
            "fn get(&self) {} let x = y.get_mut(0); // println! get_x",
        ),
        (
            "src/live/mod.rs",
            "x: Rc<str>; y: RefCell<u8>; let println = \"fn get_x\";",
        ),
    ] {
        let found = names(&Source::new(file, text));
        assert!(found.is_empty(), "{file}: {text}: {found:?}");
    }
}
