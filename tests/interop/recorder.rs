//! The README's recorder, `ffmpeg -i rtmp://… -c copy FILE`, on a stream that is on the air.
//!
//! Invariant: a late joiner sees the streams that are there and no others. Metadata with any time
//! but 0 is a subtitle stream to ffmpeg, and Matroska then waits for its packets for ever.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use crate::child::{Child, output_of};
use crate::clips::Clip;
use crate::matrix::fresh_dir;
use crate::players::decoded_frames;
use crate::server::{Server, is_reference};
use crate::tools::{Tool, ready};

#[test]
fn a_recorder_that_joins_late_sees_two_streams_and_ends_with_the_show() {
    if !ready() || is_reference() {
        return;
    }
    for (recorder, file) in [(Tool::Ffmpeg, "show.mkv"), (Tool::FfmpegNew, "show.ts")] {
        let dir = fresh_dir(&format!("recorder_{recorder:?}"));
        let server = Server::start(&dir, &[]);
        let url = format!("rtmp://127.0.0.1:{}/live/cam", server.port);
        let mut publish = Tool::Ffmpeg.command();
        publish
            .args(["-v", "warning", "-re", "-i"])
            .arg(Clip::H264Aac.path())
            .args(["-map", "0", "-c", "copy", "-f", "flv", &url]);
        let mut publisher = Child::start("publisher", &dir, &mut publish);
        sleep(JOIN_AFTER);
        let show = dir.join(file);
        let mut record = recorder.command();
        record
            .args(["-v", "warning", "-y", "-i", &url, "-c", "copy"])
            .arg(&show);
        let mut player = Child::start("recorder", &dir, &mut record);
        publisher.succeed_within(Duration::from_secs(15));
        player.succeed_within(Duration::from_secs(6));
        let mut probe = Tool::Ffprobe.command();
        probe
            .args(["-v", "error", "-show_entries", "stream=index,codec_name"])
            .args(["-of", "csv=p=0"])
            .arg(&show);
        let streams = output_of(&mut probe);
        // A stream of a program is listed twice.
        let streams: BTreeSet<&str> = streams.split_whitespace().collect();
        let mut codecs: Vec<&str> = streams.iter().filter_map(|s| s.split(',').nth(1)).collect();
        codecs.sort_unstable();
        assert_eq!(codecs, ["aac", "h264"], "{recorder:?}");
        let frames = decoded_frames(&show).expect("a clean recording");
        assert!(frames >= FRAMES_MIN, "{recorder:?} has {frames} frames");
        server.stop();
    }
}

/// In the middle of the second GOP.
const JOIN_AFTER: Duration = Duration::from_millis(2_500);

/// Of the 150 frames of the clip: those from the second key frame on.
const FRAMES_MIN: usize = 100;
