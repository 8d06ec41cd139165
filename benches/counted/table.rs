//! What was counted as a table, and what became of the counts since an earlier table.
//!
//! ```text
//! case                    instructions   units       bytes      each  a byte  unit
//! chunk-read-4096               80,224      72     142,164   1,114.2     0.6  message
//! ```
//!
//! Invariant: a printed table read back gives the same rows, whatever lines stand around it.

use std::fmt;

/// Growth that is reported, in per mille.
pub(crate) const GROWTH_MAX: u64 = 30;

/// The count of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) instructions: u64,
    /// 1 or more.
    pub(crate) units: u64,
    /// 0: means nothing here.
    pub(crate) bytes: u64,
    pub(crate) unit: String,
}

impl Row {
    /// The line above all rows.
    pub(crate) fn title() -> String {
        format!(
            "{:<22} {:>13} {:>7} {:>11} {:>9} {:>7}  unit",
            "case", "instructions", "units", "bytes", "each", "a byte"
        )
    }

    /// Reads a line that `Display` wrote; `None` for any other line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let case = words.next()?.to_owned();
        let mut number = || words.next()?.replace(',', "").parse().ok();
        let (instructions, units, bytes) = (number()?, number()?, number()?);
        let unit = words.skip(2).collect::<Vec<_>>().join(" ");
        (units > 0).then_some(Self {
            case,
            instructions,
            units,
            bytes,
            unit,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = tenths(self.instructions, self.units);
        let a_byte = match self.bytes {
            0 => "-".to_owned(),
            bytes => tenths(self.instructions, bytes),
        };
        write!(
            f,
            "{:<22} {:>13} {:>7} {:>11} {each:>9} {a_byte:>7}  {}",
            self.case,
            grouped(self.instructions),
            grouped(self.units),
            grouped(self.bytes),
            self.unit
        )
    }
}

/// What became of the cases of an earlier table, one line each; and whether one costs more than
/// `GROWTH_MAX` more. A case that is in one table only is said to be, no more.
pub(crate) fn compare(before: &[Row], now: &[Row]) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut grown = false;
    for row in now {
        let Some(old) = before.iter().find(|old| old.case == row.case) else {
            lines.push(format!("{:<22} is new", row.case));
            continue;
        };
        // By the unit: the case may have been given another number of them.
        let was = u128::from(old.instructions) * u128::from(row.units);
        let is = u128::from(row.instructions) * u128::from(old.units);
        let grew = is * 1_000 > was * (1_000 + u128::from(GROWTH_MAX));
        grown |= grew;
        lines.push(format!(
            "{:<22} {:>9} -> {:>9} each, {}{}",
            row.case,
            tenths(old.instructions, old.units),
            tenths(row.instructions, row.units),
            percent(was, is),
            if grew { "   GREW" } else { "" }
        ));
    }
    let gone = |old: &&Row| !now.iter().any(|row| row.case == old.case);
    let gone = before.iter().filter(gone);
    lines.extend(gone.map(|old| format!("{:<22} was not counted now", old.case)));
    (lines, grown)
}

fn percent(was: u128, is: u128) -> String {
    let sign = if is < was { '-' } else { '+' };
    let tenths = (is.abs_diff(was) * 1_000 + was / 2) / was.max(1);
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

fn tenths(sum: u64, count: u64) -> String {
    let tenths = (u128::from(sum) * 10 + u128::from(count) / 2) / u128::from(count.max(1));
    let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
    format!("{}.{}", grouped(whole), tenths % 10)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
