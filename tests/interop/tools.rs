//! The real tools: where each is found and what to do when one is missing.
//!
//! Invariant: a missing tool fails the test with the way to install it. Only
//! `CORECAST_INTEROP=skip` turns the matrix off, and then the run says so.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of the matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    /// Debian's ffmpeg, the old generation: no Enhanced RTMP.
    Ffmpeg,
    Ffprobe,
    /// The newest ffmpeg, from the virtual environment that `scripts/test.sh` makes.
    FfmpegNew,
    Rtmpdump,
    Gst,
    Mpv,
    Vlc,
    Nginx,
}

impl Tool {
    const ALL: [Self; 8] = [
        Self::Ffmpeg,
        Self::Ffprobe,
        Self::FfmpegNew,
        Self::Rtmpdump,
        Self::Gst,
        Self::Mpv,
        Self::Vlc,
        Self::Nginx,
    ];

    /// A command for this tool.
    pub(crate) fn command(self) -> Command {
        let path = self
            .path()
            .unwrap_or_else(|| panic!("missing {}", self.hint()));
        if self != Self::Vlc || !is_root() {
            return Command::new(path);
        }
        // VLC refuses to run as root, so a root session lends it the identity of nobody.
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(path);
        command.env("HOME", "/nonexistent");
        command
    }

    fn path(self) -> Option<PathBuf> {
        if self == Self::FfmpegNew {
            return newest_ffmpeg();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join(self.program()))
            .find(|file| file.is_file())
    }

    fn program(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Ffprobe => "ffprobe",
            Self::FfmpegNew => "the newest ffmpeg",
            Self::Rtmpdump => "rtmpdump",
            Self::Gst => "gst-launch-1.0",
            Self::Mpv => "mpv",
            Self::Vlc => "cvlc",
            Self::Nginx => "nginx",
        }
    }

    fn hint(self) -> String {
        let packages = match self {
            Self::Ffmpeg | Self::Ffprobe => "the package ffmpeg",
            Self::FfmpegNew => "PyPI's imageio-ffmpeg in target/interop-venv",
            Self::Rtmpdump => "the package rtmpdump",
            Self::Gst => "the packages gstreamer1.0-tools, -libav and -plugins-good, -bad, -ugly",
            Self::Mpv => "the package mpv",
            Self::Vlc => "the packages vlc-bin and vlc-plugin-base",
            Self::Nginx => "the packages nginx and libnginx-mod-rtmp",
        };
        format!("{}: {packages}", self.program())
    }
}

/// Whether the matrix is to run. Fails with the whole list when tools are missing; false, and
/// said aloud, when the caller asked to skip.
pub(crate) fn ready() -> bool {
    if std::env::var("CORECAST_INTEROP").is_ok_and(|value| value == "skip") {
        println!("SKIPPED: CORECAST_INTEROP=skip, the real tools were not run");
        return false;
    }
    let missing: Vec<String> = Tool::ALL
        .into_iter()
        .filter(|t| t.path().is_none())
        .map(Tool::hint)
        .collect();
    assert!(
        missing.is_empty(),
        "tools of the interop matrix are missing:\n  {}\nscripts/test.sh installs them on Debian \
         and Ubuntu; CORECAST_INTEROP=skip leaves the matrix out",
        missing.join("\n  ")
    );
    true
}

/// The folder that holds everything this test run writes.
pub(crate) fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop")
}

/// `CORECAST_NEW_FFMPEG`, else the binary that PyPI's imageio-ffmpeg carries.
fn newest_ffmpeg() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CORECAST_NEW_FFMPEG") {
        return Some(PathBuf::from(path)).filter(|file| file.is_file());
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("interop-venv/lib");
    let python = std::fs::read_dir(venv).ok()?.find_map(Result::ok)?.path();
    let binaries = python.join("site-packages/imageio_ffmpeg/binaries");
    std::fs::read_dir(binaries)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("ffmpeg-"))
        })
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
