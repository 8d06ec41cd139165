//! Log lines: one record is one line on stderr, as text or as a JSON object.
//!
//! Invariant: no byte of a peer reaches the terminal raw; control characters and those that turn
//! the writing direction are escaped, so a stream name can neither forge a line nor hide one.

use std::backtrace::Backtrace;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;
use std::thread;

use log::{Level, LevelFilter};
use serde_json::{Map, Value};

use crate::config::LogFormat;

/// Starts logging. `level` wins over `RUST_LOG`; without either, info and above is written.
pub fn start(format: LogFormat, level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info);
    match level {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    builder.format(move |out, record| {
        let time = out.timestamp_millis().to_string();
        let message = record.args().to_string();
        let line = match format {
            LogFormat::Text => text(&time, record.level(), &message),
            LogFormat::Json => json(&time, record.level(), record.target(), &message),
        };
        writeln!(out, "{line}")
    });
    // A test may have started it before; one logger is as good as another.
    let _ = builder.try_init();
    std::panic::set_hook(Box::new(move |panic| tell_panic(format, panic)));
}

/// `2026-01-31T12:00:00.000Z INFO  [w0c1.0 live/cam] text`
fn text(time: &str, level: Level, message: &str) -> String {
    format!("{time} {level:<5} {}", Escaped(message))
}

/// The same as one object; `[trace stream]` in front becomes two fields.
fn json(time: &str, level: Level, target: &str, message: &str) -> String {
    let mut object = Map::new();
    let mut put = |key: &str, value: &str| {
        object.insert(key.to_owned(), Value::from(value));
    };
    put("time", time);
    put("level", &level.as_str().to_ascii_lowercase());
    put("target", target);
    let about = message
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    let message = match about {
        Some((about, message)) => {
            let (trace, stream) = about.split_once(' ').unwrap_or((about, ""));
            put("trace", &Escaped(trace).to_string());
            if !stream.is_empty() {
                put("stream", &Escaped(stream).to_string());
            }
            message
        }
        None => message,
    };
    put("message", &Escaped(message).to_string());
    Value::Object(object).to_string()
}

/// Text with everything escaped that would not stay where it stands.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match moves(c) {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

/// Control characters, line separators, and the marks that reverse or embed a direction.
fn moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One record for the panic, with its backtrace whatever `RUST_BACKTRACE` says: a panic is our bug
/// and seldom comes twice. In text the backtrace follows line by line; it holds no peer's bytes.
fn tell_panic(format: LogFormat, panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("a thread");
    let place = panic.location().map(ToString::to_string);
    let place = place.as_deref().unwrap_or("an unknown place");
    let message = panic.payload_as_str().unwrap_or("no message");
    let backtrace = Backtrace::force_capture();
    match format {
        LogFormat::Text => {
            log::error!("panic in {thread} at {place}: {message}");
            let _ = writeln!(io::stderr(), "{backtrace}");
        }
        LogFormat::Json => {
            log::error!("panic in {thread} at {place}: {message}; backtrace: {backtrace}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-31T12:00:00.000Z";

    #[test]
    fn a_name_cannot_forge_a_second_line_or_colour_the_terminal() {
        let line = text(TIME, Level::Info, "live/a\n2026 ERROR x\u{1b}[31m\u{202e}");
        let want = "2026-01-31T12:00:00.000Z INFO  live/a\\n2026 ERROR x\\u{1b}[31m\\u{202e}";
        assert_eq!(line, want);
        assert_eq!(
            text(TIME, Level::Warn, "Bühne 一"),
            format!("{TIME} WARN  Bühne 一")
        );
    }

    #[test]
    fn a_json_line_names_the_connection_and_the_stream() {
        let line = json(
            TIME,
            Level::Info,
            "corecast::worker",
            "[w2c17.3 live/cam] closed",
        );
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["trace"], "w2c17.3");
        assert_eq!(read["stream"], "live/cam");
        assert_eq!(read["message"], "closed");
        assert_eq!(read["level"], "info");
        assert_eq!(read["time"], TIME);
    }

    #[test]
    fn quotes_and_line_ends_stay_inside_one_json_line() {
        let line = json(TIME, Level::Error, "corecast", "a \"b\"\r\n{}");
        assert!(!line.contains('\n'));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], "a \"b\"\\r\\n{}");
        assert_eq!(read.get("trace"), None);
    }
}
