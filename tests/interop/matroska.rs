//! A running `ffmpeg -c copy show.mkv` whose publisher crashes, comes back and is taken over.
//!
//! Invariant: ffmpeg writes the head of a Matroska file anew when it is given a sequence header in
//! the middle, and spoils it even when nothing changed. So the file is whole if and only if
//! headers that did not change are not sent again.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::{Child, output_of};
use crate::clips::FRAME_RATE;
use crate::matrix::fresh_dir;
use crate::packets::Recording;
use crate::players::decoded_frames;
use crate::reconnect::{ON_AIR, await_publisher, falling_times, publish};
use crate::server::{Server, is_reference};
use crate::tools::{Tool, ready};

#[test]
fn a_running_mkv_survives_a_reconnect_and_a_takeover_of_its_publisher() {
    if !ready() || is_reference() {
        return;
    }
    let dir = fresh_dir("matroska");
    let server = Server::start(&dir, &["--play-wait", "30s", "--reconnect-grace", "10s"]);
    let url = format!("rtmp://127.0.0.1:{}/live/cam", server.port);
    let mut recorders = RECORDERS.map(|tool| record(&dir, tool, &url));
    let on_air = |round| {
        let publisher = publish(&dir, round, &url);
        await_publisher(&server, round);
        sleep(ON_AIR);
        publisher
    };
    on_air(0).kill_9();
    sleep(Duration::from_millis(500));
    let mut evicted = on_air(1);
    let mut last = on_air(2);
    assert!(!evicted.is_running(), "the name was not taken over");
    last.signal("INT");
    last.wait_until(Instant::now() + Duration::from_secs(3));
    for recorder in &mut recorders {
        recorder.succeed_within(Duration::from_secs(6));
    }
    for tool in RECORDERS {
        judge(&file(&dir, tool));
    }
    let log = server.stop();
    let ends = log.matches("stream live/cam ended").count();
    assert_eq!(ends, 1, "all publishers are one stream\n{log}");
}

fn record(dir: &Path, tool: Tool, url: &str) -> Child {
    let mut command = tool.command();
    command
        .args(["-v", "warning", "-y", "-i", url, "-c", "copy"])
        .arg(file(dir, tool));
    Child::start(&format!("recorder_{tool:?}"), dir, &mut command)
}

fn file(dir: &Path, tool: Tool) -> std::path::PathBuf {
    dir.join(format!("{tool:?}.mkv"))
}

/// No reader has anything to say against the file; its times rise; it holds three lives.
fn judge(file: &Path) {
    for reader in RECORDERS {
        let mut read = reader.command();
        read.args(["-v", "warning", "-i"]).arg(file);
        read.args(["-map", "0", "-c", "copy", "-f", "null", "-"]);
        let output = read.output().expect("run ffmpeg");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaints.is_empty(),
            "{reader:?} reads {}: {complaints}",
            file.display()
        );
    }
    let recording = Recording::of_file(Tool::Ffmpeg, file).expect("readable");
    let kinds: Vec<&str> = recording.tracks.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["video", "audio"], "{}", file.display());
    for track in &recording.tracks {
        let falls = falling_times(track);
        assert!(falls.is_none(), "{}: {falls:?}", track.kind);
    }
    let frames = decoded_frames(file).expect("a clean recording");
    assert!(frames >= 3 * FRAME_RATE, "{frames} frames of three lives");
    // The muxer's last act is to write how long it is.
    let mut probe = Tool::Ffprobe.command();
    probe.args(["-v", "error", "-show_entries", "format=duration"]);
    let length = output_of(probe.args(["-of", "csv=p=0"]).arg(file));
    let length_s: f64 = length.trim().parse().expect("a length in seconds");
    assert!(
        length_s * FRAME_RATE as f64 >= frames as f64,
        "{length_s} s"
    );
}

const RECORDERS: [Tool; 2] = [Tool::Ffmpeg, Tool::FfmpegNew];
