//! The table of counted instructions: what it says of growth, and that it can be read back. The
//! counting itself is tested where it is done, in `benches/counted`: two runs agree.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail by panic"
)]

#[path = "../benches/counted/table.rs"]
mod table;

use table::{Row, compare};

fn row(case: &str, instructions: u64, units: u64) -> Row {
    Row {
        case: case.to_owned(),
        instructions,
        units,
        bytes: 0,
        unit: "message and player".to_owned(),
    }
}

#[test]
fn a_printed_table_reads_back_as_the_same_rows() {
    let rows = [
        row("gather-tail", 40_027_150, 25_000),
        Row {
            bytes: 1_234_567,
            ..row("a-name-of-some-twenty-seven", 7, 1)
        },
    ];
    let mut text = format!("rustc 1.95.0\n\n{}\n", Row::title());
    rows.iter()
        .for_each(|row| text.push_str(&format!("{row}\n")));
    text.push_str("gather-tail  1,601.1 -> 1,700.0 each, +6.2 %\n");
    let read: Vec<Row> = text.lines().filter_map(Row::parse).collect();
    assert_eq!(read, rows);
    let shown = rows[0].to_string();
    assert!(
        shown.contains("40,027,150") && shown.contains("1,601.1"),
        "{shown}"
    );
}

#[test]
fn growth_of_more_than_three_percent_is_reported_and_less_is_not() {
    let before = [row("a", 10_000, 10)];
    for (instructions, units, grew) in [
        (10_300, 10, false),
        (10_301, 10, true),
        (9_000, 10, false),
        // Twice the units, twice the instructions: the same each.
        (20_000, 20, false),
        (10_000, 5, true),
    ] {
        let (lines, grown) = compare(&before, &[row("a", instructions, units)]);
        assert_eq!(grown, grew, "{instructions} for {units}: {lines:?}");
        assert_eq!(lines[0].ends_with("GREW"), grew, "{lines:?}");
    }
    let (lines, _) = compare(&before, &[row("a", 12_345, 10)]);
    assert!(lines[0].contains("+23.5 %"), "{lines:?}");
}

#[test]
fn a_case_of_one_table_only_is_named_and_is_no_growth() {
    let (lines, grown) = compare(&[row("old", 1, 1)], &[row("new", 1_000, 1)]);
    assert!(!grown);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("new ") && lines[0].ends_with("is new"));
    assert!(lines[1].starts_with("old ") && lines[1].ends_with("was not counted now"));
}
