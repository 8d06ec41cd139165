//! `corecast-load` from outside: its verdict, its exit code, what it writes. Nothing about time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::media::{self, Camera};
use common::relay::{Fault, Relay};
use common::server::TestServer;
use corecast::rtmp::message::Kind;
use serde_json::{Value, json};

fn load(server: &TestServer, flags: &[&str]) -> Command {
    load_at(server.rtmp, flags)
}

fn load_at(address: SocketAddr, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
    let url = format!("rtmp://{address}/live/load");
    command
        .arg(url)
        .args(["--warmup", "200ms", "--duration", "1s"])
        .args(flags);
    command
}

fn run(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let both = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(both).unwrap())
}

fn report(server: &TestServer, flags: &[&str]) -> (Option<i32>, Value) {
    report_at(server.rtmp, flags)
}

fn report_at(address: SocketAddr, flags: &[&str]) -> (Option<i32>, Value) {
    let mut command = load_at(address, flags);
    command.args(["--quiet", "--json", "-"]);
    let (output, said) = run(command);
    let json = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        json.unwrap_or_else(|error| panic!("{error}: {said}")),
    )
}

#[test]
fn forty_players_that_check_every_bit_all_get_everything() {
    let server = TestServer::start(&[]);
    let (code, report) = report(&server, &["--players", "40", "--verify", "all"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["players"]["joined"], 40);
    assert_eq!(report["losses"].as_array().unwrap().len(), 0);
    // 40 players get at least the 72 messages of the measured second.
    assert!(
        report["checked_messages"].as_u64().unwrap() > 40 * 72,
        "{report:#}"
    );
    assert!(report["steady"]["delay_ms"]["count"].as_u64().unwrap() > 0);
}

#[test]
fn players_that_only_count_are_compared_by_the_byte_on_every_stream() {
    let server = TestServer::start(&[]);
    let pid = server.pid().to_string();
    let flags = [
        "--publishers",
        "3",
        "--players",
        "10",
        "--storm",
        "15",
        "--server-pid",
        &pid,
    ];
    let (code, report) = report(&server, &flags);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["compared_players"], 3 * 9 + 15);
    assert_eq!(report["uncompared_players"], 0);
    assert_eq!(report["storm"]["joined"], 15);
    assert!(report["steady"]["server"]["rss_bytes"].as_u64().unwrap() > 0);
    assert!(!report["seconds"].as_array().unwrap().is_empty());
}

#[test]
fn idle_connections_are_kept_to_the_end_beside_players_and_counted() {
    let server = TestServer::start(&[]);
    let pid = server.pid().to_string();
    let flags = ["--players=3", "--idle=20", "--server-pid", &pid];
    let (code, report) = report(&server, &flags);
    assert_eq!(code, Some(0), "{report:#}");
    let all = json!({ "wanted": 20, "connected": 20, "held": 20 });
    assert_eq!(report["idle"], all);
    assert_eq!(report["steady"]["connections"], 1 + 3 + 20);
    let memory = &report["steady"]["server"];
    assert!(memory["rss_before_bytes"].as_u64().unwrap() > 0);
    assert!(memory["rss_bytes_per_connection"].as_u64().unwrap() > 0);
    let (output, said) = run(load(
        &server,
        &["--publishers=0", "--players=0", "--idle=7"],
    ));
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told = "7 of 7 accepted, 7 kept to the end";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("every connection was kept"), "{said}");
    assert!(said.contains(", 7 idle"), "no progress: {said}");
}

#[test]
fn an_idle_connection_answers_pings_and_its_loss_fails_the_run() {
    let server = TestServer::start(&[]);
    let flags = ["--publishers=0", "--players=0", "--idle=3"];
    let relay = Relay::start(server.rtmp, 1, Fault::Ping);
    let (code, report) = report_at(relay.address, &flags);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!((relay.struck(), relay.pongs()), (1, 1));
    let relay = Relay::start(server.rtmp, 1, Fault::CutConnected);
    let (code, report) = report_at(relay.address, &flags);
    assert_eq!(code, Some(1), "{report:#}");
    let two = json!({ "wanted": 3, "connected": 3, "held": 2 });
    assert_eq!(report["idle"], two);
    assert_eq!(report["losses"][0]["what"], "disconnected");
    assert_eq!(report["losses"][0]["count"], 1);
    let refusing = TestServer::start(&["--app", "other"]);
    let (code, report) = report_at(refusing.rtmp, &flags);
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["losses"][0]["what"], "refused");
    assert_eq!(report["losses"][0]["count"], 3);
}

#[test]
fn hevc_passes_and_a_chart_is_drawn() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("run.svg");
    let mut command = load(
        &server,
        &["--players", "6", "--codec-shape", "hevc", "--chart"],
    );
    command.arg(&chart);
    let (output, said) = run(command);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("every player got everything"), "{said}");
    assert!(said.contains("6 playing"), "no progress: {said}");
    assert!(fs::read_to_string(chart).unwrap().ends_with("</svg>\n"));
}

#[test]
fn a_file_is_published_over_and_over_and_checked() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.flv");
    fs::write(&file, clip(40)).unwrap();
    let flags = [
        "--players",
        "12",
        "--verify",
        "4",
        "--file",
        file.to_str().unwrap(),
    ];
    let (code, report) = report(&server, &flags);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["compared_players"], 8);
}

#[test]
fn a_server_that_dies_fails_the_run_and_the_losses_are_named() {
    let mut server = TestServer::start(&[]);
    let mut command = load(&server, &["--players", "10", "--duration", "60s"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    // A star marks a second of the measured window.
    let seen = lines.take_while(|line| !line.contains("s*")).count();
    assert!(seen < 60, "the measured window never began");
    server.signal("KILL");
    server.exit(common::link::PATIENCE);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("disconnected: 11"), "{said}");
    assert!(said.contains("publisher of load: disconnected"), "{said}");
    assert!(said.contains("NOT PASSED"), "{said}");
}

#[test]
fn a_refused_publisher_fails_the_run_with_the_servers_words() {
    let server = TestServer::start(&["--app", "other"]);
    let (output, said) = run(load(&server, &["--players", "2"]));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("refused: 1"), "{said}");
    assert!(said.contains("never came to its measured window"), "{said}");
}

#[test]
fn flags_that_cannot_work_exit_with_2_in_one_line() {
    let server = TestServer::start(&[]);
    for (flags, says) in [
        (&["--players", "900000"][..], "open files"),
        (&["--file", "/no/such/file.flv"], "/no/such/file.flv"),
        (&["--duration", "0s"], "--duration"),
        (&["--codec-shape", "theora"], "theora"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
        command
            .arg(format!("rtmp://{}/live/load", server.rtmp))
            .args(flags);
        let (output, said) = run(command);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(says), "{flags:?}: {said}");
    }
    for (url, says) in [
        ("rtmp://192.0.2.1/live/load", "--allow-remote"),
        ("http://127.0.0.1/live/load", "rtmp://"),
        ("rtmp://127.0.0.1/live", "no stream"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
        command.arg(url);
        let (output, said) = run(command);
        assert_eq!(output.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains(says), "{url}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{url}: {said}");
    }
}

#[test]
fn the_bare_loop_hands_out_everything_with_and_without_merging() {
    for flags in [&[][..], &["--merge", "50ms", "--nagle"]] {
        let address = free_address();
        let mut yardstick = Command::new(env!("CARGO_BIN_EXE_corecast-load"))
            .args(["--bare-loop", &address.to_string()])
            .args(flags)
            .spawn()
            .unwrap();
        let until = Instant::now() + common::link::PATIENCE;
        while TcpStream::connect(address).is_err() && Instant::now() < until {
            sleep(Duration::from_millis(10));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast-load"));
        command
            .arg(format!("rtmp://{address}/live/load"))
            .args(["--players", "20"]);
        let (output, said) = run({
            command.args(["--warmup", "100ms", "--duration", "500ms", "--gop", "10"]);
            command
        });
        yardstick.kill().unwrap();
        yardstick.wait().unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

#[test]
fn all_scenarios_of_the_load_script_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_corecast-load"))
        .parent()
        .unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/load.sh"))
        .arg("--short")
        .env("CORECAST_BIN_DIR", built)
        .env("CORECAST_LOAD_DIR", folder.path())
        .env("PORT", free.port().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    for name in ["one", "many", "join", "publish", "mixed"] {
        let json = fs::read(folder.path().join(format!("{name}.json"))).unwrap();
        let report: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(report["passed"], true, "{name}: {said}");
        assert!(folder.path().join(format!("{name}.svg")).exists());
    }
}

/// An address that nobody listened on a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// An FLV file of the tests' camera.
fn clip(messages: usize) -> Vec<u8> {
    let camera = Camera::plain();
    let mut out = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    put_tag(&mut out, 18, 0, &media::metadata());
    for piece in camera.configs().into_iter().chain(camera.take(messages)) {
        let kind = if piece.kind == Kind::Video { 9 } else { 8 };
        put_tag(&mut out, kind, piece.timestamp, &piece.payload);
    }
    out
}

fn put_tag(out: &mut Vec<u8>, kind: u8, timestamp: u32, payload: &[u8]) {
    let size = payload.len() as u32;
    let [high, time @ ..] = timestamp.to_be_bytes();
    out.push(kind);
    out.extend(&size.to_be_bytes()[1..]);
    out.extend(time);
    out.extend([high, 0, 0, 0]);
    out.extend(payload);
    out.extend((size + 11).to_be_bytes());
}
