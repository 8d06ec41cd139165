//! The proof that `corecast-load` may be believed: a relay between it and a real server does one
//! wrong thing to one player, and the tool must fail and say what was wrong, and how often.
//!
//! All runs go on at the same time, once; each test looks at some of them.

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
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use common::relay::{Fault, Relay};
use common::server::TestServer;
use corecast::rtmp::message::Kind;
use serde_json::{Value, json};

/// How the player that suffers reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// Everything, as all others do.
    All,
    /// The bytes; one other player reads everything.
    Bytes,
    /// The bytes, and nobody reads everything.
    Alone,
}

/// A finished run.
struct Run {
    reads: Reads,
    fault: Fault,
    code: Option<i32>,
    report: Value,
    table: String,
    struck: u32,
}

impl Run {
    fn of(reads: Reads, fault: Fault) -> &'static Self {
        let found = runs()
            .iter()
            .find(|run| (run.reads, run.fault) == (reads, fault));
        found.unwrap_or_else(|| panic!("no run with {fault:?} for {reads:?}"))
    }

    /// Classes of what went wrong, with their counts.
    fn losses(&self) -> Vec<(&str, u64)> {
        let losses = self.report["losses"].as_array().unwrap().iter();
        losses
            .map(|loss| {
                (
                    loss["what"].as_str().unwrap(),
                    loss["count"].as_u64().unwrap(),
                )
            })
            .collect()
    }

    fn example(&self) -> &str {
        self.report["losses"][0]["examples"][0].as_str().unwrap()
    }

    /// The run failed, and these losses are all it tells of.
    fn fails_with(&self, losses: &[(&str, u64)]) {
        let said = format!("{:?}, {:?}: {}", self.reads, self.fault, self.table);
        assert_eq!(self.struck, 1, "the relay did nothing; {said}");
        assert_eq!(self.losses(), losses, "{said}");
        self.fails();
        for (class, count) in losses {
            assert!(self.table.contains(&format!("{class}: {count}")), "{said}");
        }
    }

    fn fails(&self) {
        assert_eq!(self.code, Some(1), "{}", self.table);
        assert_eq!(self.report["passed"], false, "{}", self.table);
        assert!(self.table.contains("NOT PASSED"), "{}", self.table);
    }

    fn passes(&self) {
        assert_eq!(self.losses(), [], "{}", self.table);
        assert_eq!(self.code, Some(0), "{}", self.table);
        assert_eq!(self.report["passed"], true, "{}", self.table);
        assert_eq!(self.report["verdict"], "every player got everything");
    }
}

/// Fails of a player that reads everything.
const ALL: [Fault; 14] = [
    Fault::None,
    Fault::Drop(Kind::Video),
    Fault::Drop(Kind::Audio),
    Fault::Repeat,
    Fault::Flip,
    Fault::DropHeader(Kind::Video),
    Fault::DropHeader(Kind::Audio),
    Fault::LateStart,
    Fault::TimeBack,
    Fault::SwapNeighbours,
    Fault::SwapPictures,
    STALL,
    Fault::Cut,
    CUT_PUBLISHER,
];
/// Of one that counts bytes.
const BYTES: [Fault; 13] = [
    Fault::None,
    Fault::AwaitKey,
    Fault::Drop(Kind::Video),
    Fault::Drop(Kind::Audio),
    Fault::Repeat,
    Fault::Flip,
    Fault::DropHeader(Kind::Video),
    Fault::DropHeader(Kind::Audio),
    Fault::LateStart,
    Fault::TimeBack,
    Fault::SwapPictures,
    STALL,
    Fault::Cut,
];
const ALONE: [Fault; 3] = [Fault::None, Fault::Drop(Kind::Video), Fault::Cut];
const STALL: Fault = Fault::Stall(Duration::from_millis(1_000));
/// The publisher is the first connection.
const CUT_PUBLISHER: Fault = Fault::CutOther(0);

fn runs() -> &'static [Run] {
    static RUNS: OnceLock<Vec<Run>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let server = TestServer::start(&[]);
        let pair = |reads| move |fault| (reads, fault);
        let all = ALL.map(pair(Reads::All)).into_iter();
        let all = all.chain(BYTES.map(pair(Reads::Bytes)));
        let all: Vec<_> = all.chain(ALONE.map(pair(Reads::Alone))).collect();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..)
                .zip(all)
                .map(|(n, (reads, fault))| {
                    scope.spawn({
                        let server = &server;
                        move || run(server, n, reads, fault)
                    })
                })
                .collect();
            threads.into_iter().map(|run| run.join().unwrap()).collect()
        })
    })
}

fn run(server: &TestServer, n: usize, reads: Reads, fault: Fault) -> Run {
    // The publisher comes first, the players next; the storm comes when those are there, and
    // never reads everything.
    let (flags, victim) = match (reads, fault) {
        (Reads::All, _) => (["--players=2", "--verify=all"], 1),
        // Here the one that suffers is the one that reads everything.
        (Reads::Bytes, Fault::AwaitKey) => (["--players=1", "--storm=1"], 1),
        (Reads::Bytes, _) => (["--players=1", "--storm=1"], 2),
        (Reads::Alone, _) => (["--players=2", "--verify=0"], 1),
    };
    let stall = match fault {
        Fault::Stall(_) => ["--stall=200ms", "--duration=1500ms"],
        _ => ["--stall=20s", "--duration=1s"],
    };
    let relay = Relay::start(server.rtmp, victim, fault);
    let output = Command::new(env!("CARGO_BIN_EXE_corecast-load"))
        .arg(format!("rtmp://{}/live/verdict{n}", relay.address))
        .args([
            "--quiet",
            "--json=-",
            "--warmup=100ms",
            "--gop=10",
            "--bitrate=600",
        ])
        .args(flags)
        .args(stall)
        .output()
        .unwrap();
    let table = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout);
    Run {
        reads,
        fault,
        code: output.status.code(),
        report: report.unwrap_or_else(|error| panic!("{error}: {table}")),
        table,
        struck: relay.struck(),
    }
}

#[test]
fn a_relay_that_does_nothing_wrong_passes_and_the_report_says_who_read_how() {
    let all = Run::of(Reads::All, Fault::None);
    all.passes();
    assert_eq!(all.report["verifying_players"], 2);
    assert_eq!(all.report["counting_players"], 0);
    assert!(
        all.table.contains("all that 2 players got"),
        "{}",
        all.table
    );
    let bytes = Run::of(Reads::Bytes, Fault::None);
    bytes.passes();
    assert_eq!(bytes.report["verifying_players"], 1);
    assert_eq!(bytes.report["counting_players"], 1);
    assert_eq!(bytes.report["compared_players"], 1);
    let said = "the bytes of 1 players, 1 of them compared";
    assert!(bytes.table.contains(said), "{}", bytes.table);
}

#[test]
fn a_server_that_sends_sounds_while_it_waits_for_a_key_frame_is_compared_all_the_same() {
    let run = Run::of(Reads::Bytes, Fault::AwaitKey);
    assert_eq!(run.struck, 1);
    run.passes();
    assert_eq!(run.report["compared_players"], 1);
}

#[test]
fn a_dropped_message_is_missing() {
    for kind in [Kind::Video, Kind::Audio] {
        let run = Run::of(Reads::All, Fault::Drop(kind));
        run.fails_with(&[("messages missing", 1)]);
        let media = if kind == Kind::Video {
            "video"
        } else {
            "audio"
        };
        let said = format!("{media}: 1 messages missing before number ");
        assert!(run.example().contains(&said), "{}", run.example());
        Run::of(Reads::Bytes, Fault::Drop(kind)).fails_with(&[("bytes missing", 1)]);
    }
}

#[test]
fn a_repeated_message_is_one_too_many() {
    Run::of(Reads::All, Fault::Repeat).fails_with(&[("messages repeated", 1)]);
    Run::of(Reads::Bytes, Fault::Repeat).fails_with(&[("bytes too many", 1)]);
}

#[test]
fn a_flipped_bit_is_a_changed_message() {
    let run = Run::of(Reads::All, Fault::Flip);
    run.fails_with(&[("messages changed", 1)]);
    let said = "differs from what was sent, at byte ";
    assert!(run.example().contains(said), "{}", run.example());
}

#[test]
fn a_missing_header_is_missed_by_every_player() {
    for reads in [Reads::All, Reads::Bytes] {
        for (kind, said) in [
            (Kind::Video, "video without its header"),
            (Kind::Audio, "audio without its header"),
        ] {
            let run = Run::of(reads, Fault::DropHeader(kind));
            run.fails_with(&[("header missing", 1)]);
            assert!(run.example().contains(said), "{}", run.example());
        }
    }
}

#[test]
fn a_late_start_is_told_by_every_player() {
    for reads in [Reads::All, Reads::Bytes] {
        Run::of(reads, Fault::LateStart).fails_with(&[("late start", 1)]);
    }
}

#[test]
fn a_timestamp_that_goes_back_once_is_told_once() {
    Run::of(Reads::All, Fault::TimeBack).fails_with(&[("timestamps falling", 1)]);
}

#[test]
fn swapped_messages_are_out_of_order_and_nothing_else() {
    for fault in [Fault::SwapNeighbours, Fault::SwapPictures] {
        Run::of(Reads::All, fault).fails_with(&[("messages out of order", 1)]);
    }
}

#[test]
fn a_player_that_gets_nothing_for_too_long_has_stalled() {
    for reads in [Reads::All, Reads::Bytes] {
        let run = Run::of(reads, STALL);
        assert_eq!(run.struck, 1);
        run.fails();
        // A busy machine may stall the other player too.
        let losses = run.losses();
        assert!(matches!(losses[..], [("stalled", 1..)]), "{}", run.table);
        assert_eq!(run.report["stalls"], json!(losses[0].1));
        assert!(
            run.example().contains("more than 200 ms"),
            "{}",
            run.example()
        );
    }
}

#[test]
fn a_connection_that_is_cut_is_a_disconnect() {
    for reads in [Reads::All, Reads::Bytes, Reads::Alone] {
        let run = Run::of(reads, Fault::Cut);
        run.fails_with(&[("disconnected", 1)]);
        assert_eq!(run.report["gone"], 1);
        assert!(run.example().starts_with("player "), "{}", run.example());
    }
}

#[test]
fn a_publisher_that_is_cut_fails_the_run_with_a_sentence() {
    let run = Run::of(Reads::All, CUT_PUBLISHER);
    assert_eq!(run.struck, 1);
    run.fails();
    let said = "publisher of verdict13: disconnected: ";
    assert!(run.table.contains(said), "{}", run.table);
    // What it had sent last may have been lost with it.
    let others = ["disconnected", "end missing"];
    let named = |(class, _): &(&str, u64)| others.contains(class);
    assert!(run.losses().iter().all(named), "{}", run.table);
    assert_eq!(run.report["gone"], 1);
}

#[test]
fn players_that_count_are_blind_to_what_the_help_says_and_to_nothing_else() {
    let help = Command::new(env!("CARGO_BIN_EXE_corecast-load"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "They are blind to changed bits, to the order of messages and to timestamps";
    assert!(help.contains(said), "{help}");
    for fault in [Fault::Flip, Fault::SwapPictures, Fault::TimeBack] {
        let run = Run::of(Reads::Bytes, fault);
        assert_eq!(run.struck, 1, "{fault:?}");
        run.passes();
    }
}

#[test]
fn players_that_can_be_compared_with_none_do_not_pass() {
    for fault in [Fault::None, Fault::Drop(Kind::Video)] {
        let run = Run::of(Reads::Alone, fault);
        run.fails();
        assert_eq!(run.losses(), []);
        assert_eq!(run.report["uncompared_players"], 2);
        let said = "NOT PASSED: 2 players only counted bytes and can be compared with none";
        assert!(run.table.contains(said), "{}", run.table);
    }
}
