//! The binary from outside: help, settings, start-up failures, signals and log lines.
//!
//! Every failure must come within a second, with its exit code, in one line that names the flag.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_corecast");

fn corecast() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CORECAST_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG");
    command
}

fn run(flags: &[&str]) -> Output {
    corecast().args(flags).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command that must fail while starting, within a second, in one line.
fn refused(mut command: Command, code: i32, says: &[&str]) {
    let begun = Instant::now();
    let output = command.output().unwrap();
    let took = begun.elapsed();
    let line = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(took < Duration::from_secs(1), "took {took:?}: {line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    assert!(line.matches("os error").count() <= 1, "said twice: {line}");
    for word in says {
        assert!(line.contains(word), "{word:?} is missing in {line}");
    }
}

/// A server that is up; killed when the test ends early.
struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Running {
    fn start(flags: &[&str]) -> Self {
        Self::spawn(corecast().args(flags))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// Reads up to the first line that holds `word`.
    fn line_with(&mut self, word: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "no {word:?} in:\n{seen}"
            );
            if line.contains(word) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(mut self, within: Duration) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running after {within:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every flag, in the order of `--help`.
fn flags() -> Vec<&'static str> {
    "rtmp app workers pin on-duplicate takeover publish-idle reconnect-grace \
     grace-on-clean-end max-message max-bitrate max-message-rate play-wait gop-cache max-lag \
     max-lag-bytes write-timeout enhanced multitrack nagle player-clock merge-ms chunk-size \
     max-connections max-pending max-pending-per-ip max-streams log-bytes log-frames linger \
     mesh-bytes mesh-letters send-buffer memory drain log-format log-level check"
        .split(' ')
        .collect()
}

#[test]
fn help_is_grouped_and_shows_each_flag_with_its_variable_and_default() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&output);
    for heading in [
        "Listening:",
        "Cores:",
        "Publishers:",
        "Players:",
        "Bounds:",
        "Operating:",
    ] {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading}");
    }
    let shown: Vec<&str> = help.split("\n      --").skip(1).collect();
    assert_eq!(shown.len(), flags().len());
    for (about, flag) in shown.iter().zip(flags()) {
        assert!(about.starts_with(&format!("{flag} ")) || about.starts_with(&format!("{flag}[=")));
        let twin = format!("[env: CORECAST_{}=", flag.replace('-', "_").to_uppercase());
        assert!(about.contains(&twin), "{about}");
        assert!(about.contains("[default:"), "{about}");
    }
    assert!(help.contains("Exit codes: 0"), "{help}");
}

#[test]
fn the_readme_explains_every_flag() {
    let readme = include_str!("../README.md");
    for flag in flags() {
        assert!(readme.contains(&format!("| `--{flag}")), "--{flag}");
    }
}

#[test]
fn version_is_the_packages() {
    let output = run(&["--version"]);
    assert_eq!(
        stdout(&output),
        format!("corecast {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_prints_every_setting_and_the_memory_sum_without_listening() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&[
        "--check",
        "--rtmp",
        &address,
        "--max-streams",
        "7",
        "--drain=2m",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    for flag in flags()
        .iter()
        .filter(|flag| !["check", "log-level"].contains(flag))
    {
        assert!(told.contains(&format!("\n  --{flag} ")), "--{flag}: {told}");
    }
    let words: Vec<&str> = told.split_whitespace().collect();
    assert!(
        words.windows(2).any(|pair| pair == ["--max-streams", "7"]),
        "{told}"
    );
    assert!(
        words.windows(2).any(|pair| pair == ["--drain", "2m"]),
        "{told}"
    );
    assert!(told.contains("7 x 16 MiB"), "{told}");
    assert!(told.contains("worst case, with kernel"), "{told}");
}

#[test]
fn check_exits_2_on_settings_that_cannot_be_used() {
    let check = |flags: &[&str]| {
        let mut command = corecast();
        command.arg("--check").args(flags);
        command
    };
    refused(
        check(&["--workers", "65"]),
        2,
        &["--workers: 65 is outside 1 to 64"],
    );
    refused(check(&["--app", "a/b"]), 2, &["--app", "a/b"]);
    refused(
        check(&["--max-message", "16MiB"]),
        2,
        &["--max-message", "16777215"],
    );
    refused(
        check(&["--memory", "1MiB"]),
        2,
        &["--memory", "1 MiB", "--check"],
    );
    refused(
        check(&["--workers", "1", "--pin", "900"]),
        2,
        &["--pin: core 900"],
    );
    refused(
        check(&["--rtmp", "127.0.0.1:1,127.0.0.1:1"]),
        2,
        &["--rtmp: 127.0.0.1:1"],
    );
}

#[test]
fn a_variable_sets_what_its_flag_sets_and_the_flag_wins() {
    let reads = |flags: &[&str]| {
        let output = corecast()
            .env("CORECAST_CHECK", "yes")
            .env("CORECAST_GOP_CACHE", "key")
            .env("CORECAST_RTMP", "127.0.0.1:1,[::1]:2")
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let words = reads(&[]);
    assert!(words.windows(2).any(|pair| pair == ["--gop-cache", "key"]));
    assert!(
        words
            .windows(2)
            .any(|pair| pair == ["--rtmp", "127.0.0.1:1,[::1]:2"])
    );
    let words = reads(&["--gop-cache", "off"]);
    assert!(words.windows(2).any(|pair| pair == ["--gop-cache", "off"]));
}

#[test]
fn a_bad_flag_or_value_exits_2_and_says_what_would_be_right() {
    let told = |flags: &[&str], word: &str, hint: &str| {
        let output = run(flags);
        let line = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.contains(word) && line.contains(hint), "{line}");
    };
    told(&["--rtpm", "1935"], "--rtpm", "--rtmp");
    told(&["--drain", "soon"], "--drain", "10s");
    told(&["--log-bytes", "16MiBs"], "--log-bytes", "16MiB");
    told(&["--gop-cache", "half"], "--gop-cache", "full");
    told(
        &["--rtmp", "localhost"],
        "--rtmp",
        "an IP address and a port",
    );
}

#[test]
fn a_busy_port_is_named_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = corecast();
    command.args(["--rtmp", &address]);
    refused(
        command,
        1,
        &[
            "--rtmp",
            &address,
            "in use",
            "another program listens there",
        ],
    );
}

#[test]
fn a_second_server_does_not_take_half_of_the_first_ones_connections() {
    let mut first = Running::start(&["--rtmp", "127.0.0.1:0"]);
    let address = listening(&first.line_with("listening on"));
    let mut command = corecast();
    command.args(["--rtmp", &address]);
    refused(command, 1, &["--rtmp", &address, "in use"]);
}

#[test]
fn a_foreign_address_is_named_with_the_reason() {
    let mut command = corecast();
    command.args(["--rtmp", "192.0.2.1:1935"]);
    refused(
        command,
        1,
        &["--rtmp 192.0.2.1:1935", "no interface of this machine"],
    );
}

#[test]
fn a_privileged_port_is_named_with_the_reason() {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let open = first
        .ok()
        .and_then(|text| text.trim().parse::<u16>().ok())
        .unwrap_or(1_024)
        <= 81;
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if open || root {
        eprintln!("skipped: port 81 is open to this user; bind.rs tests the words");
        return;
    }
    let mut command = corecast();
    command.args(["--rtmp", "127.0.0.1:81"]);
    refused(command, 1, &["--rtmp 127.0.0.1:81", "ports below 1024"]);
}

#[test]
fn too_few_file_descriptors_are_refused_with_the_figures() {
    let limited = |flags: &str| {
        let mut command = Command::new("sh");
        let line = format!("ulimit -n 64; exec '{BINARY}' --rtmp 127.0.0.1:0 {flags}");
        command.args(["-c", &line]);
        command
    };
    refused(
        limited("--workers 2"),
        2,
        &["--max-connections", "only 64 are allowed", "ulimit -n"],
    );
    refused(
        limited("--check --workers 2"),
        2,
        &["--max-connections", "70 open files"],
    );
    let output = limited("--check --workers 1 --max-connections 4")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn more_workers_than_cores_start_with_a_warning() {
    let cores = std::thread::available_parallelism().unwrap().get();
    if cores >= 64 {
        eprintln!("skipped: this machine has a core for each of 64 workers");
        return;
    }
    let workers = (cores + 1).to_string();
    let mut server = Running::start(&["--rtmp", "127.0.0.1:0", "--workers", &workers]);
    let line = server.line_with("--workers: ");
    assert!(line.contains(" WARN "), "{line}");
    assert!(
        line.contains(&format!("{workers} workers share {cores} core(s)")),
        "{line}"
    );
    server.line_with(&format!("{workers} workers"));
    server.signal("TERM");
    assert_eq!(server.end(Duration::from_secs(5)), Some(0));
}

#[test]
fn a_pin_list_with_a_missing_core_is_refused() {
    let mut command = corecast();
    command.args(["--rtmp", "127.0.0.1:0", "--workers", "2", "--pin", "0,900"]);
    refused(
        command,
        2,
        &["--pin: core 900 is not available", "may run on"],
    );
}

#[test]
fn the_banner_holds_lines_to_paste_with_the_real_port() {
    let mut server = Running::start(&["--rtmp", "127.0.0.1:0", "--app", "show"]);
    let address = listening(&server.line_with("listening on"));
    let publish = server.line_with("publish a test picture");
    assert!(
        publish
            .trim_end()
            .ends_with(&format!("-f flv rtmp://{address}/show/cam"))
    );
    let watch = server.line_with("watch");
    assert!(
        watch
            .trim_end()
            .ends_with(&format!("ffplay rtmp://{address}/show/cam"))
    );
    server.signal("INT");
    server.line_with("SIGINT: draining");
    assert_eq!(server.end(Duration::from_secs(5)), Some(0));
}

#[test]
fn a_second_signal_ends_within_a_second() {
    let mut server = Running::start(&["--rtmp", "127.0.0.1:0", "--drain", "20s"]);
    server.line_with("stop ");
    server.signal("TERM");
    server.signal("TERM");
    // Without connections the drain may win the race: 0. Cut: 1. Nothing else.
    let code = server.end(Duration::from_secs(1));
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

#[test]
fn a_json_log_is_json_from_the_first_line_to_the_last() {
    let mut server = Running::start(&["--rtmp", "127.0.0.1:0", "--log-format", "json"]);
    let first = server.line_with("listening on");
    server.signal("TERM");
    let mut lines = vec![first];
    lines.extend((&mut server.lines).lines().map(Result::unwrap));
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        let read: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(
            read["time"].is_string() && read["message"].is_string(),
            "{line}"
        );
        assert_eq!(read["level"], "info", "{line}");
    }
    assert_eq!(server.end(Duration::from_secs(5)), Some(0));
}

#[test]
fn the_flag_for_the_level_wins_over_rust_log() {
    let quiet = |flags: &[&str]| {
        let mut command = corecast();
        command
            .env("RUST_LOG", "error")
            .args(["--rtmp", "127.0.0.1:0"])
            .args(flags);
        let mut server = Running::spawn(&mut command);
        let mut first = String::new();
        server.lines.read_line(&mut first).unwrap();
        !first.contains(" INFO ")
    };
    assert!(quiet(&[]));
    assert!(!quiet(&["--log-level", "info"]));
}

/// `127.0.0.1:40000` out of `… listening on 127.0.0.1:40000 for rtmp, …`.
fn listening(line: &str) -> String {
    let rest = line.split("listening on ").nth(1).expect(line);
    rest.split_whitespace().next().expect(line).to_owned()
}
