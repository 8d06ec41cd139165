//! Refusals as a broadcaster sees them: the tool itself must show the reason, and leave.
//!
//! Invariant: a refused client ends by itself within seconds and what it prints names the
//! reason (DESIGN, first light, 6).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::clips::Clip;
use crate::matrix::fresh_dir;
use crate::server::{Server, is_reference};
use crate::tools::{Tool, ready};

#[test]
fn a_wrong_app_is_named_in_every_client() {
    if !ready() || is_reference() {
        return;
    }
    let dir = fresh_dir("refused app");
    let server = Server::start(&dir, &["--app", "live"]);
    let url = format!("rtmp://127.0.0.1:{}/wrong/cam", server.port);
    refused(&dir, "ffmpeg-publish", &mut publish(&url), &["wrong"]);
    refused(&dir, "ffmpeg-play", &mut play(&url), &["wrong"]);
    server.stop();
}

#[test]
fn a_missing_stream_ends_the_player_with_the_reason() {
    if !ready() || is_reference() {
        return;
    }
    let dir = fresh_dir("refused stream");
    let server = Server::start(&dir, &["--play-wait", "0"]);
    let url = format!("rtmp://127.0.0.1:{}/live/nobody", server.port);
    refused(&dir, "ffmpeg", &mut play(&url), &["nobody"]);
    let mut rtmpdump = Tool::Rtmpdump.command();
    rtmpdump.args(["--live", "-r", &url, "-o", "/dev/null"]);
    refused(&dir, "rtmpdump", &mut rtmpdump, &["StreamNotFound"]);
    let mut gst = Tool::Gst.command();
    gst.args(["rtmp2src", &format!("location={url}"), "!", "fakesink"]);
    refused(&dir, "gst", &mut gst, &["nobody"]);
    server.stop();
}

#[test]
fn an_occupied_name_is_refused_and_its_owner_goes_on() {
    if !ready() || is_reference() {
        return;
    }
    let dir = fresh_dir("refused name");
    let server = Server::start(&dir, &["--on-duplicate", "reject"]);
    let url = format!("rtmp://127.0.0.1:{}/live/cam", server.port);
    let mut owner = Child::start("owner", &dir, &mut publish(&url));
    std::thread::sleep(Duration::from_secs(2));
    refused(&dir, "intruder", &mut publish(&url), &["cam"]);
    owner.succeed_within(Duration::from_secs(12));
    server.stop();
}

fn publish(url: &str) -> Command {
    let mut command = Tool::Ffmpeg.command();
    command
        .args(["-v", "info", "-re", "-i"])
        .arg(Clip::H264Aac.path());
    command.args(["-c", "copy", "-f", "flv", url]);
    command
}

fn play(url: &str) -> Command {
    let mut command = Tool::Ffmpeg.command();
    command.args(["-v", "info", "-i", url, "-c", "copy", "-f", "null", "-"]);
    command
}

/// The client must fail, soon, with all of `words` in what it prints beside its own command line.
fn refused(dir: &Path, name: &str, command: &mut Command, words: &[&str]) {
    let mut child = Child::start(name, dir, command);
    let status = child.wait_until(Instant::now() + Duration::from_secs(5));
    let status = status.unwrap_or_else(|| panic!("{name} hangs\n{}", child.last_words()));
    assert!(
        !status.success(),
        "{name} was not refused\n{}",
        child.last_words()
    );
    let printed: String = (child.stdout() + &child.stderr())
        .lines()
        // ffmpeg repeats its argument in its last line; that is no reason.
        .filter(|line| !line.starts_with("rtmp://"))
        .collect();
    for word in words {
        assert!(
            printed.contains(word),
            "{name} does not say {word:?}\n{}",
            child.last_words()
        );
    }
}
