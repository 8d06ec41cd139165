//! The source clips: made once per run by the encoders of the two ffmpegs.
//!
//! Invariant: a key frame every `Clip::gop` frames and nowhere else, so that "starts at a key
//! frame" is a question of arithmetic, for codecs that the old tools cannot read too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::child::output_of;
use crate::tools::{Tool, work_dir};

/// What is on the programme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clip {
    /// H.264 with B-frames and AAC.
    H264Aac,
    Aac,
    H264,
    HevcAac,
    Av1Opus,
    Vp9Flac,
    VvcAc3,
    /// Two H.264 videos and two AAC tracks.
    Multitrack,
}

impl Clip {
    /// The FLV file, made at first use.
    pub(crate) fn path(self) -> &'static Path {
        static PATHS: [OnceLock<PathBuf>; 8] = [const { OnceLock::new() }; 8];
        PATHS[self as usize].get_or_init(|| self.make())
    }

    /// The ffmpeg generation that can read and write it.
    pub(crate) fn ffmpeg(self) -> Tool {
        match self {
            Self::H264Aac | Self::Aac | Self::H264 => Tool::Ffmpeg,
            _ => Tool::FfmpegNew,
        }
    }

    /// Frames from one key frame to the next.
    pub(crate) fn gop(self) -> usize {
        match self {
            // Its encoder wants a multiple of its own structure.
            Self::VvcAc3 => 48,
            _ => GOP,
        }
    }

    fn make(self) -> PathBuf {
        let folder = work_dir().join("clips");
        std::fs::create_dir_all(&folder).expect("clip folder");
        let name = format!("{self:?}.flv").to_lowercase();
        let encoded = folder.join(format!("encoded-{name}"));
        let mut command = self.ffmpeg().command();
        command.args(["-v", "error", "-y"]);
        self.inputs(&mut command);
        command.args([
            "-t",
            &SECONDS.to_string(),
            "-pix_fmt",
            "yuv420p",
            "-ar",
            "48000",
        ]);
        command
            .args(["-g", &self.gop().to_string()])
            .args(self.encoders().split_whitespace());
        // Encoder libraries write their banners past ffmpeg's own log level.
        output_of(command.env("SVT_LOG", "1").arg(&encoded));
        // A second muxing, as publishing is one: the muxer writes VP9's configuration anew.
        let path = folder.join(name);
        let mut remux = self.ffmpeg().command();
        remux.args(["-v", "error", "-y", "-i"]).arg(&encoded);
        output_of(remux.args(["-map", "0", "-c", "copy"]).arg(&path));
        path
    }

    fn inputs(self, command: &mut Command) {
        let size = if self == Self::VvcAc3 {
            "160x90"
        } else {
            "320x180"
        };
        let picture = format!("testsrc2=s={size}:r={FRAME_RATE}");
        let other_picture = format!("testsrc=s=160x90:r={FRAME_RATE}");
        let (tone, other_tone) = ("sine=f=440:r=48000", "sine=f=880:r=48000");
        let inputs = match self {
            Self::Aac => vec![tone],
            Self::H264 => vec![&*picture],
            Self::Multitrack => vec![&*picture, tone, &*other_picture, other_tone],
            _ => vec![&*picture, tone],
        };
        for input in &inputs {
            command.args(["-f", "lavfi", "-i", input]);
        }
        for index in 0..inputs.len() {
            command.args(["-map", &index.to_string()]);
        }
    }

    fn encoders(self) -> &'static str {
        match self {
            Self::H264Aac => "-c:v libx264 -preset veryfast -bf 2 -sc_threshold 0 -c:a aac -ac 2",
            Self::Aac => "-c:a aac -ac 2",
            Self::H264 => "-c:v libx264 -preset veryfast -bf 0 -sc_threshold 0",
            Self::HevcAac => {
                "-c:v libx265 -preset ultrafast -c:a aac -ac 2 \
                 -x265-params log-level=none:scenecut=0:keyint=50:min-keyint=50:open-gop=0"
            }
            Self::Av1Opus => "-c:v libsvtav1 -preset 10 -c:a libopus -ac 2",
            Self::Vp9Flac => "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a flac -ac 2",
            Self::VvcAc3 => {
                "-c:v libvvenc -preset faster -vvenc-params intraperiod=48 -c:a ac3 -ac 2"
            }
            Self::Multitrack => "-c:v libx264 -preset veryfast -sc_threshold 0 -c:a aac -ac 1",
        }
    }
}

/// Length of every clip.
pub(crate) const SECONDS: usize = 6;
/// Frames per second of every video track.
pub(crate) const FRAME_RATE: usize = 25;
/// Frames from one key frame to the next in all clips but one: two seconds.
pub(crate) const GOP: usize = 2 * FRAME_RATE;
/// Frames of a whole clip.
pub(crate) const FRAMES: usize = SECONDS * FRAME_RATE;
