//! The decoded picture: what a player recorded is looked at, not only hashed.
//!
//! Invariant: the frame compared is the same one in source and recording, and it is not a flat
//! picture.

use std::path::Path;

use crate::child::output_of;
use crate::clips::Clip;
use crate::players::decoded_frames;
use crate::tools::Tool;

/// Compares a frame of what each family of players recorded with the source; the pictures stay in
/// `dir` as PNG files.
pub(crate) fn looks_like_the_source(dir: &Path) {
    let source = dir.join("source.png");
    extract(Clip::H264Aac.path(), &source);
    for player in ["ffmpeg.flv", "rtmpdump.flv", "gstrtmp2src.flv", "vlc.out"] {
        let recording = dir.join(player);
        let picture = recording.with_extension("png");
        extract(&recording, &picture);
        let psnr_db = psnr_db(&source, &picture);
        assert!(
            psnr_db >= PSNR_MIN_DB,
            "{player}: {psnr_db} dB, {} ",
            picture.display()
        );
        decoded_frames(&recording).unwrap_or_else(|fault| panic!("{player}: {fault}"));
    }
    // A picture that differs must not pass, else the comparison says nothing.
    let other = dir.join("other.png");
    extract_frame(Clip::H264Aac.path(), FRAME - 20, &other);
    assert!(
        psnr_db(&source, &other) < PSNR_MIN_DB,
        "two different frames look the same"
    );
}

fn extract(video: &Path, picture: &Path) {
    extract_frame(video, FRAME, picture);
}

fn extract_frame(video: &Path, number: usize, picture: &Path) {
    let mut command = Tool::Ffmpeg.command();
    command.args(["-v", "error", "-y", "-i"]).arg(video);
    command
        .args(["-vf", &format!("select=eq(n\\,{number})"), "-frames:v", "1"])
        .arg(picture);
    output_of(&mut command);
}

/// Peak signal-to-noise ratio of two pictures; infinite when they are equal.
fn psnr_db(one: &Path, other: &Path) -> f64 {
    let mut command = Tool::Ffmpeg.command();
    command
        .args(["-v", "error", "-i"])
        .arg(one)
        .arg("-i")
        .arg(other);
    command.args(["-lavfi", "psnr=stats_file=-", "-f", "null", "-"]);
    let text = output_of(&mut command);
    let value = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("psnr_avg:"));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no PSNR in {text:?}"))
}

/// The frame looked at: in the third GOP, away from its key frame.
const FRAME: usize = 120;
const PSNR_MIN_DB: f64 = 30.0;
