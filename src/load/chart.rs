//! The chart of a run as SVG: delay and throughput over time.
//!
//! Invariant: well-formed on its own, without a script, a font or a file besides.

use std::fmt::{self, Write};

use crate::load::report::{Report, Second};

/// A run as a picture.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a>(pub &'a Report);

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let end_ms = report.seconds.last().map_or(1, |last| last.at_ms.max(1)) as f64;
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}: {} players of {} streams</text>",
            escaped(&report.url),
            report.joined,
            report.streams,
        )?;
        self.window(f, end_ms)?;
        let delay = |us: fn(&crate::load::delay::Spread) -> u64| {
            move |second: &Second| second.delays.as_ref().map(|d| us(d) as f64 / 1_000.0)
        };
        let panels = [
            Panel {
                top: 50.0,
                title: "delay, ms",
                lines: vec![
                    ("p50", "#2b7bba", points(report, delay(|d| d.p50_us))),
                    ("p90", "#e08a1e", points(report, delay(|d| d.p90_us))),
                    ("p99", "#c0392b", points(report, delay(|d| d.p99_us))),
                ],
            },
            Panel {
                top: 240.0,
                title: "throughput, Mbit/s",
                lines: vec![
                    (
                        "due",
                        "#999999",
                        points(report, |s| Some(s.mbps_expected())),
                    ),
                    ("received", "#2b7bba", points(report, |s| Some(s.mbps()))),
                ],
            },
            Panel {
                top: 430.0,
                title: "players, and server's CPU in % of a core",
                lines: vec![
                    (
                        "players",
                        "#27843b",
                        points(report, |s| Some(s.players as f64)),
                    ),
                    ("CPU %", "#c0392b", points(report, cpu)),
                ],
            },
        ];
        for panel in &panels {
            panel.draw(f, end_ms)?;
        }
        writeln!(f, "</svg>")
    }
}

impl Chart<'_> {
    /// A grey ground behind the measured window.
    fn window(&self, f: &mut fmt::Formatter<'_>, end_ms: f64) -> fmt::Result {
        let steady = || self.0.seconds.iter().filter(|second| second.steady);
        let (Some(first), Some(last)) = (steady().next(), steady().next_back()) else {
            return Ok(());
        };
        let from = x(first.at_ms.saturating_sub(first.length_ms) as f64, end_ms);
        let width = x(last.at_ms as f64, end_ms) - from;
        writeln!(
            f,
            "<rect x=\"{from:.1}\" y=\"44\" width=\"{width:.1}\" height=\"{:.0}\" \
             fill=\"#f2f2f2\"/>",
            HEIGHT - 74.0
        )
    }
}

struct Panel {
    top: f64,
    title: &'static str,
    lines: Vec<Line>,
}

/// Name, colour, and a point per second: milliseconds and value.
type Line = (&'static str, &'static str, Vec<(f64, f64)>);

impl Panel {
    fn draw(&self, f: &mut fmt::Formatter<'_>, end_ms: f64) -> fmt::Result {
        let values = self.lines.iter().flat_map(|(_, _, points)| points);
        let most = ceiling(values.map(|(_, value)| *value).fold(0.0, f64::max));
        let bottom = self.top + TALL;
        writeln!(
            f,
            "<text x=\"{LEFT}\" y=\"{:.0}\">{}</text>",
            self.top - 2.0,
            self.title
        )?;
        for share in [0.0, 0.5, 1.0] {
            let y = bottom - share * TALL;
            writeln!(
                f,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.0}\" y2=\"{y:.1}\" \
                 stroke=\"#cccccc\"/>\n\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT + WIDE,
                LEFT - 6.0,
                y + 4.0,
                most * share,
            )?;
        }
        for (share, anchor) in [(0.0, "start"), (1.0, "end")] {
            writeln!(
                f,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{:.0} s</text>",
                LEFT + share * WIDE,
                bottom + 16.0,
                share * end_ms / 1_000.0,
            )?;
        }
        for (nth, (name, colour, points)) in (0_u8..).zip(&self.lines) {
            let mut path = String::new();
            for (ms, value) in points {
                let y = bottom - value / most * TALL;
                write!(path, "{:.1},{y:.1} ", x(*ms, end_ms))?;
            }
            writeln!(
                f,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"1.5\"/>\n\
                 <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{name}</text>",
                path.trim_end(),
                LEFT + WIDE + 8.0,
                self.top + 14.0 + 16.0 * f64::from(nth),
            )?;
        }
        Ok(())
    }
}

fn points(report: &Report, value: impl Fn(&Second) -> Option<f64>) -> Vec<(f64, f64)> {
    let all = report.seconds.iter();
    all.filter_map(|second| Some((second.at_ms as f64, value(second)?)))
        .collect()
}

fn cpu(second: &Second) -> Option<f64> {
    (second.server.alive > 0).then(|| second.cpu_percent())
}

fn x(ms: f64, end_ms: f64) -> f64 {
    LEFT + ms / end_ms * WIDE
}

/// The next of 1, 2, 5, 10, 20, 50 … that is not less.
fn ceiling(value: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for round in [step, step * 2.0, step * 5.0] {
            if round >= value {
                return round;
            }
        }
        step *= 10.0;
        if step > 1e12 {
            return step;
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 620.0;
const LEFT: f64 = 60.0;
const WIDE: f64 = 750.0;
const TALL: f64 = 140.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_closed_and_has_a_line_for_each_measure() {
        let second = |at_ms| Second {
            at_ms,
            length_ms: 1_000,
            steady: at_ms > 1_000,
            bytes: at_ms * 100,
            ..Second::default()
        };
        let report = Report {
            url: "rtmp://a/<b>&c".to_owned(),
            seconds: vec![second(1_000), second(2_000), second(3_000)],
            ..Report::default()
        };
        let drawn = Chart(&report).to_string();
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
        assert_eq!(drawn.matches("<polyline").count(), 7);
        assert!(drawn.contains("&lt;b&gt;&amp;c"));
        assert!(drawn.contains("fill=\"#f2f2f2\""));
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn an_empty_run_can_be_drawn() {
        let drawn = Chart(&Report::default()).to_string();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        let ends = [0.0, 0.4, 1.0, 1.1, 4.0, 7.0, 364.0, 1_000.0].map(ceiling);
        assert_eq!(ends, [1.0, 1.0, 1.0, 2.0, 5.0, 10.0, 500.0, 1_000.0]);
    }
}
