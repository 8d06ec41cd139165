//! Sizes: columns of a line, lines of a file, lines of a function; and the head of a file.
//!
//! Invariant: generated code and fixtures have no exemption; what is too long is split by noun.

use super::Violation;
use super::source::Source;

/// What is too long.
pub(crate) fn sizes(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let rule = format!("a file of {lines} lines, at most {FILE_LINES_MAX}");
        found.push(source.violation(FILE_LINES_MAX + 1, rule));
    }
    for (line, text) in (1..).zip(source.text.lines()) {
        let columns = text.chars().count();
        if columns > COLUMNS_MAX {
            let rule = format!("a line of {columns} columns, at most {COLUMNS_MAX}");
            found.push(source.violation(line, rule));
        }
    }
    for at in 0..source.tokens.len() {
        // `fn(u8)` is a type, not a function.
        let is_named = source
            .tokens
            .get(at + 1)
            .is_some_and(|token| token.is_word());
        if source.word(at) != "fn" || !is_named {
            continue;
        }
        let lines = source.line(source.item_end(at)) + 1 - source.line(at);
        if lines > FUNCTION_LINES_MAX {
            let name = source.word(at + 1);
            let rule = format!("function `{name}` of {lines} lines, at most {FUNCTION_LINES_MAX}");
            found.push(source.violation(source.line(at), rule));
        }
    }
    found
}

/// A file that does not begin with a sentence about itself.
pub(crate) fn head(source: &Source) -> Option<Violation> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first
        .strip_prefix("//!")
        .is_some_and(|text| !text.trim().is_empty());
    (!says).then(|| source.violation(1, "a file begins with `//!` and what it is"))
}

const COLUMNS_MAX: usize = 100;
/// The house aims at 500.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn a_line_is_measured_in_characters() {
    let fits = format!("{}\n{}", "x".repeat(100), "ü".repeat(100));
    assert!(sizes(&Source::new("src/a.rs", &fits)).is_empty());
    let found = sizes(&Source::new("src/a.rs", &format!("a\n{}", "x".repeat(101))));
    assert_eq!(
        found[0].to_string(),
        "src/a.rs:2: a line of 101 columns, at most 100"
    );
}

#[test]
fn a_file_of_601_lines_is_rejected() {
    assert!(sizes(&Source::new("src/a.rs", &"\n".repeat(600))).is_empty());
    let found = sizes(&Source::new("src/a.rs", &"\n".repeat(601)));
    assert_eq!(
        found[0].to_string(),
        "src/a.rs:601: a file of 601 lines, at most 600"
    );
}

#[test]
fn a_function_of_71_lines_is_rejected_and_braces_in_literals_do_not_hide_it() {
    let function = |body: usize| {
        let text = "    g('}', \"}\"); // }\n".repeat(body);
        format!(
            "trait T {{\n    fn short(&self, x: [u8; 4]);\n}}\nfn long(f: fn(u8)) {{\n{text}}}\n"
        )
    };
    assert!(sizes(&Source::new("src/a.rs", &function(68))).is_empty());
    let found = sizes(&Source::new("src/a.rs", &function(69)));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "src/a.rs:4: function `long` of 71 lines, at most 70"
    );
}

#[test]
fn a_file_without_a_head_is_rejected() {
    for text in [
        "",
        "use std::io;",
        "//!\n//! Late.",
        "// A comment.",
        "\n//! Late.",
    ] {
        assert!(head(&Source::new("src/a.rs", text)).is_some(), "{text:?}");
    }
    assert_eq!(head(&Source::new("src/a.rs", "//! What it is.\n")), None);
}
