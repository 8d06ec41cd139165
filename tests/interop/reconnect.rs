//! `kill -9` of the publisher and its return: one running recording goes on.
//!
//! Invariant: the recording's timestamps rise and every frame of it decodes, whichever worker
//! the publisher comes back on (reconnect grace; issue 2, done when 4).

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::clips::{Clip, FRAME_RATE};
use crate::matrix::fresh_dir;
use crate::packets::{FRAMEHASH, Packet, Recording, Track};
use crate::players::decoded_frames;
use crate::server::{Server, is_reference, worker_of};
use crate::tools::{Tool, ready};

#[test]
fn a_recording_survives_a_killed_publisher_on_every_worker() {
    if !ready() || is_reference() {
        return;
    }
    let dir = fresh_dir("reconnect");
    let server = Server::start(&dir, &["--play-wait", "30s", "--reconnect-grace", "10s"]);
    let url = format!("rtmp://127.0.0.1:{}/live/cam", server.port);
    let mut player = record(&dir, &url);
    let moves = kill_and_return(&dir, &server, &url);
    let status = player.wait_until(Instant::now() + Duration::from_secs(6));
    assert!(
        status.is_some(),
        "the player did not leave after the end\n{}",
        player.last_words()
    );
    assert!(
        moves.other >= 1 && moves.same >= 1,
        "both kinds of return must be seen: {moves:?}\n{}",
        server.child.last_words()
    );
    judge(&dir, &moves);
    let log = server.stop();
    assert_eq!(
        log.matches("stream live/cam ended").count(),
        1,
        "the stream of all these publishers ends once\n{log}"
    );
}

/// How often the publisher came back to the worker that had it, and to the other.
#[derive(Default, Debug)]
struct Moves {
    same: usize,
    other: usize,
}

/// Publishes again and again until both kinds of return were seen; the last publisher ends
/// cleanly.
fn kill_and_return(dir: &Path, server: &Server, url: &str) -> Moves {
    let mut moves = Moves::default();
    let mut last = None;
    for round in 0..ROUNDS_MAX {
        let mut publisher = publish(dir, round, url);
        let worker = await_publisher(server, round);
        sleep(ON_AIR);
        match last.replace(worker) {
            None => {}
            Some(before) if before == worker => moves.same += 1,
            Some(_) => moves.other += 1,
        }
        if moves.same > 0 && moves.other > 0 {
            publisher.signal("INT");
            publisher.wait_until(Instant::now() + Duration::from_secs(3));
            break;
        }
        publisher.kill_9();
        sleep(OFF_AIR);
    }
    moves
}

fn record(dir: &Path, url: &str) -> Child {
    let mut command = Tool::Ffmpeg.command();
    command
        .args(["-v", "warning", "-y", "-i", url])
        .args(FRAMEHASH)
        .arg(dir.join("player.hash"));
    command
        .args(["-map", "0", "-c", "copy", "-copyinkf"])
        .arg(dir.join("player.flv"));
    Child::start("player", dir, &mut command)
}

pub(crate) fn publish(dir: &Path, round: usize, url: &str) -> Child {
    let mut command = Tool::Ffmpeg.command();
    command
        .args(["-v", "warning", "-re", "-i"])
        .arg(Clip::H264Aac.path());
    command.args(["-map", "0", "-c", "copy", "-f", "flv", url]);
    Child::start(&format!("publisher{round}"), dir, &mut command)
}

/// Waits until the publisher number `round` is on the air and says on which worker.
pub(crate) fn await_publisher(server: &Server, round: usize) -> u32 {
    let deadline = Instant::now() + ON_AIR_AT_LAST;
    loop {
        let log = server.log();
        if let Some(worker) = publishing_worker(&log, round) {
            return worker;
        }
        let late = Instant::now() > deadline;
        assert!(!late, "publisher {round} is not in the log:\n{log}");
        sleep(Duration::from_millis(50));
    }
}

/// The worker of the publisher number `round`, from the lines
/// `stream live/cam live: …, published by w1c7.9`: worker 1's.
fn publishing_worker(log: &str, round: usize) -> Option<u32> {
    let mut traces: Vec<&str> = log
        .lines()
        .filter_map(|line| line.rsplit_once("published by "))
        .map(|(_, trace)| trace.trim())
        .collect();
    traces.dedup();
    worker_of(traces.get(round)?)
}

/// Times rise on every track, the frames of every life are there, and all of them decode.
fn judge(dir: &Path, moves: &Moves) {
    let text = std::fs::read_to_string(dir.join("player.hash")).expect("the recording");
    let heard = Recording::from_framehash(&text);
    assert_eq!(heard.tracks.len(), 2, "audio and video");
    for track in &heard.tracks {
        let falls = falling_times(track);
        assert!(
            falls.is_none(),
            "{}: times do not rise: {falls:?}",
            track.kind
        );
    }
    let lives = 1 + moves.same + moves.other;
    let frames = decoded_frames(&dir.join("player.flv")).expect("a clean recording");
    let wanted = lives * FRAME_RATE;
    assert!(
        frames >= wanted,
        "{frames} frames of {lives} lives, {wanted} wanted"
    );
    println!("reconnect: {frames} frames, {moves:?}");
}

/// The first two packets of a track whose times do not rise.
pub(crate) fn falling_times(track: &Track) -> Option<&[Packet]> {
    let mut pairs = track.packets.windows(2);
    pairs.find(|pair| pair[1].dts_ms <= pair[0].dts_ms)
}

/// How long a publisher's start may take.
const ON_AIR_AT_LAST: Duration = Duration::from_secs(8);
/// A publisher's life, long enough for some frames of a GOP.
pub(crate) const ON_AIR: Duration = Duration::from_millis(2_000);
/// The gap, well within the grace.
const OFF_AIR: Duration = Duration::from_millis(700);
/// The kernel picks the worker by the connection's ports: fifteen returns see both kinds but for
/// one run in sixteen thousand.
const ROUNDS_MAX: usize = 16;
