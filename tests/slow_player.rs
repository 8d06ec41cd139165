//! A player that stops reading: it skips to a key frame or is cut, and nobody else notices.
//! PROTOCOL G-13 to G-16; issue "First light", done when 5.

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

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Player, Publisher, Word, play_config};
use common::link::{Dial, PATIENCE};
use common::media::{Camera, avc_config};
use common::server::TestServer;
use common::tally::Tally;
use corecast::rtmp::message::Kind;

#[test]
fn one_of_two_hundred_stops_reading_and_the_others_get_every_frame_within_the_memory_sum() {
    let server = TestServer::with_workers(4, &CROWD);
    let address = server.rtmp;
    let mut camera = Camera::plain().picture_bytes(3_000);
    let mut publisher = Publisher::start(address, "live/cam", &camera).unwrap();
    let progress: Vec<_> = (0..199).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let last_picture = GOPS * 25 - 1;
    let mut stalled = sleeper(&server);
    let viewers: Vec<_> = progress
        .iter()
        .map(|seen| watch(&server, Arc::clone(seen), last_picture))
        .collect();
    let mut resident = 0;
    for gop in 1..=GOPS {
        publisher.pieces(&camera.before(gop * 25)).unwrap();
        // Nobody but the sleeper falls back by more than a GOP, however slow this machine is.
        let behind = |seen: &Arc<AtomicU64>| seen.load(Ordering::Relaxed) + 25 < gop * 25;
        wait("the crowd", || !progress.iter().any(behind));
        resident = resident.max(server.resident_bytes());
    }
    let mut per_worker = [0; 4];
    for viewer in viewers {
        let (worker, tally) = viewer.join().expect("a viewer sees it through");
        tally.assert_whole();
        assert_eq!(tally.video.last, Some(last_picture));
        assert_eq!(tally.video.first, Some(0));
        per_worker[usize::from(worker)] += 1;
    }
    assert!(
        per_worker.iter().filter(|n| **n > 0).count() >= 2,
        "{per_worker:?}"
    );
    let allowed = memory_sum(&CROWD);
    assert!(resident > 1 << 20, "resident bytes were not read");
    assert!(
        resident < allowed,
        "{resident} bytes resident, --check promises {allowed}"
    );
    // Awake again: what the kernel had, a gap, a key frame, the live edge.
    stalled.until_picture(last_picture);
    stalled.tally.assert_lawful();
    assert!(
        stalled.tally.video.missing > 25,
        "nothing was skipped: {}",
        stalled.tally
    );
    stalled.tally.assert_headers_once();
    publisher.stop();
    stalled.until_ended();
    let line = server.line_with("stream live/cam ended");
    assert!(line.contains("players peak 200"), "{line}");
    assert!(!line.contains("frames skipped 0,"), "{line}");
}

#[test]
fn a_player_that_takes_no_byte_is_cut_after_the_write_timeout_and_the_others_stay() {
    let flags = [&SMALL[..], &["--write-timeout", "1s"]].concat();
    let server = TestServer::start(&flags);
    let mut camera = Camera::plain().picture_bytes(8_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut stalled = sleeper(&server);
    let trace = stalled.link.trace.clone().unwrap();
    let mut other = Player::connect(server.rtmp, "live/cam").unwrap();
    let until = Instant::now() + PATIENCE;
    let cut = |line: &String| line.contains(&format!("[{trace}]")) && line.contains("took no byte");
    while !server.lines().iter().any(cut) {
        assert!(Instant::now() < until, "the sleeper is still there");
        let next = camera.pictures() + 5;
        publisher.pieces(&camera.before(next)).unwrap();
        other.until_picture(next - 1);
        thread::sleep(Duration::from_millis(5));
    }
    let next = camera.pictures() + 25;
    publisher.pieces(&camera.before(next)).unwrap();
    other.until_picture(next - 1);
    other.tally.assert_whole();
    // What the kernel had is still there; then the connection is found cut.
    let gone = loop {
        match stalled.recv(PATIENCE) {
            Some(Word::Closed | Word::Broken(_)) => break true,
            Some(_) => {}
            None => break false,
        }
    };
    assert!(gone, "the sleeper's connection is open");
    stalled.tally.assert_lawful();
}

#[test]
fn a_player_behind_by_time_skips_to_the_newest_key_frame() {
    let server = TestServer::start(&["--max-lag", "500ms", "--send-buffer", "16KiB"]);
    let mut camera = Camera::plain().picture_bytes(8_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    let mut stalled = sleeper(&server);
    for gop in 1..=4 {
        publisher.pieces(&camera.before(gop * 25)).unwrap();
        witness.until_picture(gop * 25 - 1);
    }
    // The lag is a matter of time: let it pass, then give the server a key frame to skip to.
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(800) {
        thread::sleep(Duration::from_millis(20));
    }
    publisher.pieces(&camera.before(130)).unwrap();
    witness.until_picture(129);
    stalled.until_picture(129);
    stalled.tally.assert_lawful();
    witness.tally.assert_whole();
    assert!(
        stalled.tally.video.missing > 0,
        "nothing was skipped: {}",
        stalled.tally
    );
    stalled.tally.assert_headers_once();
}

#[test]
fn a_player_that_is_slow_but_within_the_limits_loses_nothing() {
    let server = TestServer::start(&["--send-buffer", "16KiB"]);
    let mut camera = Camera::plain().picture_bytes(4_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    let mut slow = sleeper(&server);
    // About 1.1 MB: far more than both kernels hold, far less than --max-lag-bytes.
    publisher.pieces(&camera.before(250)).unwrap();
    witness.until_picture(249);
    slow.until_picture(249);
    slow.tally.assert_whole();
    assert_eq!(slow.tally.video.first, Some(0));
}

#[test]
fn a_skipping_player_gets_the_headers_that_changed_before_its_key_frame() {
    let server = TestServer::start(&SMALL);
    let mut camera = Camera::plain().picture_bytes(8_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    let mut stalled = sleeper(&server);
    for gop in 1..=4 {
        publisher.pieces(&camera.before(gop * 25)).unwrap();
        witness.until_picture(gop * 25 - 1);
    }
    let mut other = avc_config();
    other.push(0);
    publisher.send(Kind::Video, 4_000, &other).unwrap();
    for gop in 5..=12 {
        publisher.pieces(&camera.before(gop * 25)).unwrap();
        witness.until_picture(gop * 25 - 1);
    }
    let mut configs = Vec::new();
    while stalled.tally.video.last != Some(299) {
        let message = stalled.media(PATIENCE).expect("another message");
        if message.kind == Kind::Video && message.payload()[1] == 0 {
            configs.push(message.payload().to_vec());
        }
    }
    stalled.tally.assert_lawful();
    let tally = &stalled.tally;
    assert!(tally.video.missing > 100, "nothing was skipped: {tally}");
    assert_eq!(configs, [avc_config(), other]);
    assert_eq!(tally.audio.configs, 1, "it did not change: {tally}");
}

#[test]
fn a_slow_player_gets_the_end_of_its_show_and_nothing_of_the_next_under_the_same_name() {
    let server = TestServer::start(&["--send-buffer", "16KiB"]);
    let mut camera = Camera::plain().picture_bytes(4_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut slow: Vec<Player> = (0..6).map(|_| sleeper(&server)).collect();
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.pieces(&camera.before(250)).unwrap();
    publisher.stop();
    witness.until_ended();
    let sounds = camera.sounds();
    // The next show is told apart by its times.
    let mut camera = Camera::plain().starting_at(1_000_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut next = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.pieces(&camera.before(50)).unwrap();
    next.until_picture(49);
    next.tally.assert_whole();
    assert_eq!(next.tally.video.first_timestamp, Some(1_000_000));
    for player in &mut slow {
        player.until_ended();
        player.until_closed();
        player.tally.assert_whole();
        let last = (player.tally.video.last, player.tally.audio.last);
        assert_eq!(last, (Some(249), Some(sounds - 1)));
        assert_eq!(player.tally.video.last_timestamp, Some(249 * 40));
    }
}

#[test]
fn a_slow_player_that_changes_streams_in_the_middle_of_a_frame_understands_what_follows() {
    let server = TestServer::start(&["--send-buffer", "16KiB"]);
    let mut long = Camera::plain().picture_bytes(500_000);
    let mut first = Publisher::start(server.rtmp, "live/cam", &long).unwrap();
    let mut short = Camera::plain().starting_at(100_000);
    let mut second = Publisher::start(server.rtmp, "live/b", &short).unwrap();
    let mut slow = sleeper(&server);
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    first.pieces(&long.before(3)).unwrap();
    witness.until_picture(2);
    // No kernel holds half a megabyte for it: it is in the middle of a picture.
    slow.link.call(1, "play", &["b".into()]).unwrap();
    let mut other = Player::connect(server.rtmp, "live/b").unwrap();
    second.pieces(&short.before(60)).unwrap();
    other.until_picture(59);
    slow.until_status("NetStream.Play.Start");
    slow.tally = Tally::default();
    slow.until_picture(59);
    slow.tally.assert_lawful();
    assert!(
        slow.tally.video.first_timestamp >= Some(100_000),
        "{}",
        slow.tally
    );
}

/// A player with hardly any kernel buffer that has been accepted and then stops reading.
fn sleeper(server: &TestServer) -> Player {
    let dial = Dial::new(server.rtmp).receive_buffer(4_096);
    Player::dial(&dial, play_config(server.rtmp, "live/cam")).expect("play is accepted")
}

/// Joins at once, then reads on a thread of its own until that picture.
fn watch(server: &TestServer, seen: Arc<AtomicU64>, last: u64) -> thread::JoinHandle<(u8, Tally)> {
    let mut player = Player::connect(server.rtmp, "live/cam").expect("play is accepted");
    let build = thread::Builder::new().stack_size(256 << 10);
    let spawned = build.spawn(move || {
        while player.tally.video.last != Some(last) {
            assert!(
                player.media(PATIENCE).is_some(),
                "it ends at {}",
                player.tally
            );
            if let Some(picture) = player.tally.video.last {
                seen.store(picture + 1, Ordering::Relaxed);
            }
        }
        (player.link.worker(), player.tally)
    });
    spawned.expect("a thread")
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + 3 * PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "{what} is not there");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What `--check` says the process itself can need with these flags, in bytes.
fn memory_sum(flags: &[&str]) -> u64 {
    let binary = env!("CARGO_BIN_EXE_corecast");
    let check = Command::new(binary)
        .args(["--check", "--workers", "4", "--pin", "none"])
        .args(flags)
        .output()
        .unwrap();
    assert!(check.status.success());
    let text = String::from_utf8(check.stdout).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("worst case, process"));
    let words: Vec<&str> = line.expect("a sum").split_whitespace().collect();
    let [.., number, unit] = words[..] else {
        panic!("no sum in {words:?}");
    };
    let unit = match unit {
        "KiB" => 1_u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => panic!("unit {other}"),
    };
    (number.parse::<f64>().unwrap() * unit as f64) as u64
}

/// Pictures of the crowd's film, in seconds.
const GOPS: u64 = 16;

/// Little buffered anywhere, so that one who sleeps is soon behind.
const SMALL: [&str; 4] = ["--send-buffer", "16KiB", "--max-lag-bytes", "400KiB"];

/// The same with tables so small that the memory sum means something.
const CROWD: [&str; 16] = [
    "--send-buffer",
    "16KiB",
    "--max-lag-bytes",
    "400KiB",
    "--log-bytes",
    "2MiB",
    "--log-frames",
    "1024",
    "--max-message",
    "64KiB",
    "--mesh-bytes",
    "4MiB",
    "--max-streams",
    "2",
    "--max-connections",
    "400",
];
