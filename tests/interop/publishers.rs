//! The rows of the matrix: every way a real tool publishes a stream.
//!
//! Invariant: what a publisher sends is also in a file, so that every player can be judged by it.

use std::path::{Path, PathBuf};

use crate::child::Child;
use crate::clips::{Clip, FRAME_RATE, FRAMES, GOP, SECONDS};
use crate::players::Place;
use crate::server::Server;
use crate::tools::Tool;

/// Who publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Publisher {
    /// The ffmpeg generation of the clip.
    Ffmpeg,
    /// The newest ffmpeg, whatever the clip.
    FfmpegNew,
    /// The same with timestamps that start at so many seconds.
    FfmpegFrom(u32),
    GstRtmp2Sink,
    GstRtmpSink,
    /// ffmpeg publishes to nginx and nginx pushes to us.
    NginxPush,
}

/// A publisher at work.
pub(crate) struct Show {
    pub(crate) child: Child,
    /// The file that says what was sent.
    pub(crate) source: PathBuf,
    /// nginx between the publisher and us.
    _peer: Option<Server>,
}

impl Publisher {
    /// Starts to publish `clip` (GStreamer: a picture of its own) to `place`, with `query` behind
    /// the name.
    pub(crate) fn start(self, dir: &Path, clip: Clip, place: Place, query: &str) -> Show {
        let url = format!("{}{query}", place.url());
        let by = |tool, options: &[&str], url: &str| {
            Show::new(ffmpeg(dir, tool, clip, options, url), clip.path())
        };
        match self {
            Self::Ffmpeg => by(clip.ffmpeg(), &[], &url),
            Self::FfmpegNew => by(Tool::FfmpegNew, &[], &url),
            Self::FfmpegFrom(seconds) => {
                let offset = ["-output_ts_offset", &*seconds.to_string()];
                by(clip.ffmpeg(), &offset, &url)
            }
            Self::GstRtmp2Sink => gst(dir, "rtmp2sink", &url),
            Self::GstRtmpSink => gst(dir, "rtmpsink", &url),
            Self::NginxPush => {
                let folder = dir.join("push");
                std::fs::create_dir_all(&folder).expect("folder for nginx");
                let peer = Server::start_peer(&folder, place.port, place.app);
                let url = format!("rtmp://127.0.0.1:{}/push/{}{query}", peer.port, place.name);
                Show {
                    _peer: Some(peer),
                    ..by(clip.ffmpeg(), &[], &url)
                }
            }
        }
    }
}

impl Show {
    fn new(child: Child, source: &Path) -> Self {
        Self {
            child,
            source: source.to_owned(),
            _peer: None,
        }
    }
}

fn ffmpeg(dir: &Path, tool: Tool, clip: Clip, options: &[&str], url: &str) -> Child {
    let mut command = tool.command();
    command
        .args(["-v", "warning", "-re", "-i"])
        .arg(clip.path());
    command
        .args(["-map", "0", "-c", "copy"])
        .args(options)
        .args(["-f", "flv", url]);
    Child::start("publisher", dir, &mut command)
}

/// A live pipeline; the tee keeps what the muxer gave the sink.
fn gst(dir: &Path, sink: &str, url: &str) -> Show {
    let source = dir.join("source.flv");
    let audio_buffers = SECONDS * 48_000 / 1_024;
    let pipeline = format!(
        "videotestsrc is-live=true num-buffers={FRAMES} pattern=ball \
         ! video/x-raw,width=320,height=180,framerate={FRAME_RATE}/1 \
         ! x264enc bframes=2 key-int-max={GOP} option-string=scenecut=0 speed-preset=veryfast \
         bitrate=300 ! h264parse ! mux. \
         audiotestsrc is-live=true samplesperbuffer=1024 num-buffers={audio_buffers} \
         ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! mux. \
         flvmux name=mux streamable=true ! tee name=t \
         t. ! queue max-size-time=0 max-size-bytes=0 ! filesink location={} \
         t. ! queue ! {sink} location={url}",
        source.display()
    );
    let mut command = Tool::Gst.command();
    command.args(["-q", "-e"]).args(pipeline.split_whitespace());
    Show::new(Child::start("publisher", dir, &mut command), &source)
}
