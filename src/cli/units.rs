//! Durations and sizes as people type them: `10s`, `500ms`, `16MiB`, `64k`.
//!
//! Invariant: what `Duration` and `Size` print can be typed again and means the same.

use std::fmt;
use std::str::FromStr;

/// A length of time in milliseconds. A bare number counts seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub u64);

impl FromStr for Duration {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let (count, unit) = split(text).ok_or(BadUnit::Duration)?;
        let ms = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(BadUnit::Duration),
        };
        count
            .checked_mul(ms)
            .map(Self)
            .ok_or(BadUnit::TooLarge { max: u64::MAX })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0s"),
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// A number of bytes. `k`, `m`, `g` and `KiB`, `MiB`, `GiB` count in 1,024s; `kB`, `MB`, `GB` in
/// 1,000s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let (count, unit) = split(text).ok_or(BadUnit::Size)?;
        let bytes = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            _ => return Err(BadUnit::Size),
        };
        count
            .checked_mul(bytes)
            .map(Self)
            .ok_or(BadUnit::TooLarge { max: u64::MAX })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |&(shift, _): &(u32, &str)| self.0 >> shift << shift == self.0;
        match units.iter().find(|unit| self.0 != 0 && whole(unit)) {
            Some((shift, name)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A count that may be left to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// `auto`: as fits the machine.
    Auto,
    /// Exactly this many.
    Exactly(usize),
}

impl FromStr for Count {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        plain_count(text)
            .map(Self::Exactly)
            .ok_or(BadUnit::CountOrAuto)
    }
}

/// Text that is no duration, size or count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnit {
    /// Not a duration.
    #[error("a time is a whole number with ms, s, m or h, such as 500ms, 10s or 2m")]
    Duration,
    /// Not a size.
    #[error("a size is a whole number with k, MiB or GiB, such as 64k or 16MiB")]
    Size,
    /// Neither a count nor `auto`.
    #[error("a whole number or auto")]
    CountOrAuto,
    /// Digits and underscores only.
    #[error("a whole number")]
    Count,
    /// More than a machine number holds.
    #[error("at most {max}")]
    TooLarge {
        /// The largest value that can be held.
        max: u64,
    },
}

/// Reads a count: digits, with `_` between them for the eye.
///
/// # Errors
/// `BadUnit::Count` when the text is anything else.
pub fn count(text: &str) -> Result<usize, BadUnit> {
    plain_count(text).ok_or(BadUnit::Count)
}

/// Reads a size that must fit 32 bits.
///
/// # Errors
/// `BadUnit` for text that is no size, or for one of 4 GiB and more.
pub fn size_u32(text: &str) -> Result<u32, BadUnit> {
    let size: Size = text.parse()?;
    u32::try_from(size.0).map_err(|_| BadUnit::TooLarge {
        max: u64::from(u32::MAX),
    })
}

/// Reads a size that must fit the address space.
///
/// # Errors
/// `BadUnit` for text that is no size, or for one too large.
pub fn size_usize(text: &str) -> Result<usize, BadUnit> {
    let size: Size = text.parse()?;
    usize::try_from(size.0).map_err(|_| BadUnit::TooLarge {
        max: u64::try_from(usize::MAX).unwrap_or(u64::MAX),
    })
}

fn plain_count(text: &str) -> Option<usize> {
    let (count, unit) = split(text)?;
    usize::try_from(count).ok().filter(|_| unit.is_empty())
}

/// The number in front and the letters behind it; `None` without digits in front.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds_and_every_unit_is_read() {
        let ms = |text: &str| text.parse::<Duration>().map(|read| read.0);
        assert_eq!(ms("10"), Ok(10_000));
        assert_eq!(ms("10s"), Ok(10_000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        assert_eq!(ms("0"), Ok(0));
    }

    #[test]
    fn sizes_count_in_1024s_unless_they_end_in_kb_mb_gb() {
        let bytes = |text: &str| text.parse::<Size>().map(|read| read.0);
        assert_eq!(bytes("64k"), Ok(65_536));
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("16 mib"), Ok(16 << 20));
        assert_eq!(bytes("2G"), Ok(2 << 30));
        assert_eq!(bytes("64MB"), Ok(64_000_000));
        assert_eq!(bytes("60_000"), Ok(60_000));
    }

    #[test]
    fn nonsense_is_refused_and_never_rounded() {
        for bad in ["", "s", "-1s", "1.5s", "10sec", "1d", "0x10", "10s5"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
        }
        for bad in ["", "k", "-1", "1.5MiB", "16Mib/s", "99999999999999999999"] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
        assert!("99999999999TiB".parse::<Size>().is_err());
        assert!(count("10s").is_err());
        assert!(size_u32("4GiB").is_err());
        assert!("many".parse::<Count>().is_err());
    }

    #[test]
    fn what_is_printed_can_be_typed_again() {
        for ms in [0, 1, 500, 999, 1_000, 1_001, 60_000, 61_000, 7_200_000] {
            assert_eq!(Duration(ms).to_string().parse(), Ok(Duration(ms)));
        }
        for bytes in [0, 1, 1_023, 1_024, 60_000, 8 << 20, (16 << 20) - 1, 5 << 40] {
            assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
    }
}
