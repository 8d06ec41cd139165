//! The columns of the matrix: every way a real tool plays a stream.
//!
//! Invariant: a player records what it was sent, unaltered, into files of its own folder, so
//! that what it heard can be judged after it ended.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::child::Child;
use crate::packets::{FRAMEHASH, Recording};
use crate::server::{Server, client_port};
use crate::tools::Tool;

/// A player of the matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Column {
    Ffmpeg,
    Ffprobe,
    Rtmpdump,
    /// rtmpdump with a SWF hash: it asks for the digest handshake.
    RtmpdumpSwf,
    GstRtmp2Src,
    /// The newest ffmpeg, silent about Enhanced RTMP.
    FfmpegNew,
    /// The newest ffmpeg with the list of the enhanced codecs it plays.
    FfmpegNewEnhanced,
    Mpv,
    Vlc,
    /// nginx pulls from us and ffmpeg plays from nginx.
    NginxPull,
    /// The same with the newest ffmpeg.
    NginxPullNew,
    /// ffmpeg that comes when the stream has been running for a while.
    LateFfmpeg,
    LateRtmpdump,
}

/// Where a stream is: `rtmp://127.0.0.1:PORT/APP/NAME` and what players put behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) app: &'static str,
    pub(crate) name: &'static str,
    pub(crate) query: &'static str,
}

impl Place {
    /// The stream's address without a query.
    pub(crate) fn url(self) -> String {
        format!("rtmp://127.0.0.1:{}/{}/{}", self.port, self.app, self.name)
    }
}

/// What a player has to show.
pub(crate) enum Heard {
    Packets(Recording),
    /// Frames that came out of its decoder.
    Frames(usize),
}

/// A started player.
pub(crate) struct Player {
    pub(crate) column: Column,
    pub(crate) child: Child,
    /// Where its files are.
    stem: PathBuf,
    /// nginx in front of it, in the pull column.
    peer: Option<Server>,
}

impl Column {
    /// Whether it is started while the stream is running.
    pub(crate) fn is_late(self) -> bool {
        matches!(self, Self::LateFfmpeg | Self::LateRtmpdump)
    }

    /// Whether nginx stands between the server and the tool.
    pub(crate) fn is_through_nginx(self) -> bool {
        matches!(self, Self::NginxPull | Self::NginxPullNew)
    }

    /// Whether it hands on bytes without looking into them, so that no codec is foreign to it.
    pub(crate) fn is_transparent(self) -> bool {
        matches!(
            self,
            Self::Rtmpdump | Self::RtmpdumpSwf | Self::LateRtmpdump | Self::GstRtmp2Src
        )
    }

    /// Starts it; its files go to `dir`.
    pub(crate) fn start(self, dir: &Path, place: Place) -> Player {
        let name = format!("{self:?}").to_lowercase();
        let stem = dir.join(&name);
        let peer = self
            .is_through_nginx()
            .then(|| Server::start_peer(dir, place.port, place.app));
        let url = match &peer {
            Some(peer) => format!("rtmp://127.0.0.1:{}/pull/{}", peer.port, place.name),
            None => place.url() + place.query,
        };
        let child = self.spawn(&name, dir, &stem, &url);
        Player {
            column: self,
            child,
            stem,
            peer,
        }
    }

    fn spawn(self, name: &str, dir: &Path, stem: &Path, url: &str) -> Child {
        let file = |extension: &str| stem.with_extension(extension).display().to_string();
        let mut command = self.tool().command();
        match self {
            Self::Ffmpeg | Self::NginxPull | Self::LateFfmpeg => {
                command
                    .args(["-v", "warning", "-y", "-i", url])
                    .args(FRAMEHASH);
                command.arg(file("hash"));
                command
                    .args(["-map", "0", "-c", "copy", "-copyinkf"])
                    .arg(file("flv"))
            }
            Self::FfmpegNew | Self::FfmpegNewEnhanced | Self::NginxPullNew => {
                command.args(["-v", "warning", "-y"]);
                if self == Self::FfmpegNewEnhanced {
                    command.args([
                        "-rtmp_enhanced_codecs",
                        "avc1,hvc1,av01,vp09,vvc1,mp4a,ac-3,Opus,fLaC",
                    ]);
                }
                command.args(["-i", url]).args(FRAMEHASH).arg(file("hash"))
            }
            Self::Ffprobe => command
                .args(["-v", "warning", "-show_packets", "-show_data_hash", "md5"])
                .args(["-of", "compact=p=0", "-show_entries"])
                .args(["packet=codec_type,stream_index,dts,data_hash", url]),
            Self::Rtmpdump | Self::LateRtmpdump => {
                command.args(["--live", "-r", url, "-o", &file("flv")])
            }
            Self::RtmpdumpSwf => command
                .args(["--live", "-r", url, "-o", &file("flv"), "-x", "4711", "-w"])
                .arg("0123456789abcdef".repeat(4)),
            Self::GstRtmp2Src => command
                .args([
                    "-q",
                    "rtmp2src",
                    &format!("location={url}"),
                    "!",
                    "filesink",
                ])
                .arg(format!("location={}", file("flv"))),
            Self::Mpv => command
                .args([
                    "--no-config",
                    "--msg-level=all=warn",
                    "--of=framemd5",
                    "--ovc=rawvideo",
                ])
                .args(["--oac=pcm_s16le", &format!("--o={}", file("frames")), url]),
            // It may run as nobody, so what it writes goes to a file that we opened: its
            // standard output. Matroska, because VLC's own TS muxer now and then leaves out the
            // parameter sets of a whole stream, whoever serves it; and a wait for video that
            // begins after the audio, as a file's header cannot be added to.
            Self::Vlc => command
                .args(["-I", "dummy", "--no-color", "--play-and-exit"])
                .args(["--sout-mux-caching", "3000", "--sout", VLC_SINK])
                .args([url, "vlc://quit"]),
        };
        Child::start(name, dir, &mut command)
    }

    fn tool(self) -> Tool {
        match self {
            Self::Ffmpeg | Self::NginxPull | Self::LateFfmpeg => Tool::Ffmpeg,
            Self::Ffprobe => Tool::Ffprobe,
            Self::Rtmpdump | Self::RtmpdumpSwf | Self::LateRtmpdump => Tool::Rtmpdump,
            Self::GstRtmp2Src => Tool::Gst,
            Self::FfmpegNew | Self::FfmpegNewEnhanced | Self::NginxPullNew => Tool::FfmpegNew,
            Self::Mpv => Tool::Mpv,
            Self::Vlc => Tool::Vlc,
        }
    }
}

impl Player {
    /// The local port of its connection to the server, while it has one.
    pub(crate) fn port_towards(&self, server: &Server) -> Option<u16> {
        let process = self.peer.as_ref().map_or(&self.child, |peer| &peer.child);
        client_port(process.id(), server.port)
    }

    /// Waits until `deadline` for the player to leave by itself; says whether it did. One that
    /// stays is asked to stop, so that its files are whole.
    pub(crate) fn leave(&mut self, deadline: Instant) -> bool {
        if self.child.wait_until(deadline).is_some() {
            return true;
        }
        self.child.signal("INT");
        if self.child.wait_until(Instant::now() + LAST_WISH).is_none() {
            self.child.kill_9();
        }
        false
    }

    /// What it recorded; `reader` reads the files of players that do not hash by themselves.
    pub(crate) fn heard(&self, reader: Tool) -> Result<Heard, String> {
        let file = |extension: &str| self.stem.with_extension(extension);
        match self.column {
            Column::Ffprobe => Ok(Heard::Packets(Recording::from_ffprobe(
                &self.child.stdout(),
            ))),
            Column::Mpv => {
                let frames = std::fs::read_to_string(file("frames")).unwrap_or_default();
                Ok(Heard::Frames(
                    frames.lines().filter(|line| line.starts_with("0,")).count(),
                ))
            }
            Column::Vlc => decoded_frames(&file("out")).map(Heard::Frames),
            _ if self.column.is_transparent() => {
                if std::fs::metadata(file("flv")).map_or(0, |meta| meta.len()) < EMPTY_FLV {
                    return Err("nothing received".to_owned());
                }
                Recording::of_file(reader, &file("flv")).map(Heard::Packets)
            }
            _ => {
                let text = std::fs::read_to_string(file("hash")).unwrap_or_default();
                Ok(Heard::Packets(Recording::from_framehash(&text)))
            }
        }
    }

    /// Its own last lines and, for the pull column, nginx's.
    pub(crate) fn last_words(&self) -> String {
        let mut words = self.child.last_words();
        if let Some(peer) = &self.peer {
            let log = peer.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(12);
            words.extend(
                lines[tail..]
                    .iter()
                    .map(|line| format!("    nginx: {line:.300}\n")),
            );
        }
        words
    }
}

/// Frames that Debian's ffmpeg decodes from a file; any complaint is a fault.
pub(crate) fn decoded_frames(path: &Path) -> Result<usize, String> {
    let mut command = Tool::Ffmpeg.command();
    command.args(["-v", "error", "-i"]).arg(path);
    command.args([
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ]);
    let output = command.output().expect("run ffmpeg");
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !complaints.trim().is_empty() {
        return Err(format!("decoding says: {}", complaints.trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|line| line.starts_with("0,")).count())
}

const VLC_SINK: &str = "#std{access=file,mux=avformat{mux=matroska},dst=-}";
/// How long a player may take to close its files after it was asked to stop.
const LAST_WISH: std::time::Duration = std::time::Duration::from_secs(3);
/// An FLV file header and its first tag size: anything longer holds a tag.
const EMPTY_FLV: u64 = 14;
