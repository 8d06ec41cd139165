//! One row of the matrix: one publisher feeds every player of the row at once, then each player
//! is judged by what the table promises it (PROTOCOL Y-01).
//!
//! Invariant: every player of a row is judged, and the row fails with all its faults, not only
//! the first. A player that cannot read a codec (M-64) may fail as it likes, but it may not cost
//! its neighbours a packet.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::clips::{Clip, FRAMES, SECONDS};
use crate::packets::{Coverage, Recording, Terms};
use crate::players::{Column, Heard, Place, Player};
use crate::publishers::Publisher;
use crate::server::{Server, is_reference};
use crate::tools::{Tool, work_dir};

/// A publisher with everybody who watches it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) publisher: Publisher,
    pub(crate) clip: Clip,
    pub(crate) app: &'static str,
    pub(crate) stream: &'static str,
    /// What the publisher puts behind the name.
    pub(crate) query: &'static str,
    /// What the players put behind it.
    pub(crate) play_query: &'static str,
    /// Flags of the server.
    pub(crate) flags: &'static [&'static str],
    pub(crate) table: &'static [(Column, Expect)],
}

/// What a player must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// Every elementary stream, packet by packet.
    Same,
    /// Only the first video and the first audio track, packet by packet (M-56).
    FirstTracks,
    /// The audio, packet by packet, and no video (M-63, strict).
    AudioOnly,
    /// Every frame, decoded.
    Frames,
    /// The codec is foreign to it (M-64): no promise but that its neighbours do not suffer.
    Unreadable,
}

/// A player of the row at work.
struct Seat {
    player: Player,
    expect: Expect,
    /// Its local port, which tells its worker in the server's log.
    port: Option<u16>,
}

/// A row at work.
struct Stage {
    dir: PathBuf,
    server: Server,
    place: Place,
    players: Vec<Seat>,
    faults: Vec<String>,
}

impl Row {
    /// An ordinary row; the fields say what is special about it.
    pub(crate) const fn new(name: &'static str, table: &'static [(Column, Expect)]) -> Self {
        Self {
            name,
            publisher: Publisher::Ffmpeg,
            clip: Clip::H264Aac,
            app: "live",
            stream: "cam",
            query: "",
            play_query: "",
            flags: &[],
            table,
        }
    }

    /// Publishes, plays and judges. Hands back the folder with all that was recorded.
    pub(crate) fn run(&self) -> PathBuf {
        let dir = fresh_dir(self.name);
        self.clip.path();
        let mut stage = self.open(&dir);
        stage.seat(self, false);
        stage.await_players();
        stage.note_ports();
        let mut show = self
            .publisher
            .start(&dir, self.clip, stage.place, self.query);
        sleep(LATE);
        stage.seat(self, true);
        sleep(SEATED);
        stage.note_ports();
        show.child
            .succeed_within(Duration::from_secs(SECONDS as u64 + 10));
        stage.await_leaving();
        let reader = self.clip.ffmpeg();
        let source = Recording::of_file(reader, &show.source).expect("the source");
        let report = self.judge(&mut stage, &source, reader);
        print!("{report}");
        append_to_matrix(&report);
        stage.server.stop();
        let faults = stage.faults.join("\n");
        assert!(
            faults.is_empty(),
            "row {}, files in {}\n{faults}",
            self.name,
            dir.display()
        );
        dir
    }

    fn open(&self, dir: &Path) -> Stage {
        let mut flags = vec!["--play-wait", "30s"];
        flags.extend(self.flags);
        let server = Server::start(dir, &flags);
        let place = Place {
            port: server.port,
            app: self.app,
            name: self.stream,
            query: self.play_query,
        };
        Stage {
            dir: dir.to_owned(),
            server,
            place,
            players: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// One line a player; faults are collected in the stage.
    fn judge(&self, stage: &mut Stage, source: &Recording, reader: Tool) -> String {
        let mut report = String::new();
        for seat in &stage.players {
            let (player, expect) = (&seat.player, seat.expect);
            let column = player.column;
            let verdict = match player.heard(reader_of(column, reader)) {
                _ if expect == Expect::Unreadable => Ok("not readable for it".to_owned()),
                Err(fault) => Err(fault),
                Ok(Heard::Frames(frames)) => self.count(column, frames),
                Ok(Heard::Packets(heard)) => {
                    heard.compare(&expect.wanted_from(source), self.terms(column))
                }
            };
            let worker = seat.port.and_then(|port| stage.server.worker_serving(port));
            let worker = worker.map_or_else(|| "?".to_owned(), |worker| worker.to_string());
            let cell = format!("{} × {column:?} (worker {worker})", self.name);
            let line = match &verdict {
                Ok(words) => format!("{cell}: {expect:?}, {words}"),
                Err(fault) => format!("{cell}: FAILED {expect:?}: {fault:.400}"),
            };
            if verdict.is_err() {
                stage
                    .faults
                    .push(format!("  {line}\n{}", player.last_words()));
            }
            writeln!(report, "{line}").expect("a string takes all");
        }
        if !stage.faults.is_empty() {
            stage.faults.push(stage.server.child.last_words());
        }
        report
    }

    fn count(&self, column: Column, frames: usize) -> Result<String, String> {
        let wanted = match self.terms(column).coverage {
            Coverage::Whole => FRAMES,
            Coverage::FromKey => FRAMES - 2 * self.clip.gop(),
        };
        let words = format!("{frames} frames of {FRAMES} decoded");
        let undecoded = if column == Column::Vlc {
            VLC_UNDECODED
        } else {
            UNDECODED
        };
        if frames + undecoded >= wanted {
            Ok(words)
        } else {
            Err(words)
        }
    }

    fn terms(&self, column: Column) -> Terms {
        // nginx connects upstream only when its own publisher has started, so the first packets
        // are gone by then; a late player starts at a key frame by design.
        let is_cut = column.is_late() || self.publisher == Publisher::NginxPush;
        let through_nginx = column.is_through_nginx() || self.publisher == Publisher::NginxPush;
        Terms {
            gop: self.clip.gop(),
            coverage: if is_cut {
                Coverage::FromKey
            } else {
                Coverage::Whole
            },
            // rtmp2src drops the tag that is in its hands when the stream ends.
            tail_lost: usize::from(column == Column::GstRtmp2Src),
            jitter_ms: if through_nginx { 25 } else { 1 },
        }
    }
}

impl Expect {
    fn wanted_from(self, source: &Recording) -> Recording {
        match self {
            Self::FirstTracks => source.filtered(|_, number| number == 0),
            Self::AudioOnly => source.filtered(|kind, _| kind == "audio"),
            _ => source.clone(),
        }
    }
}

impl Stage {
    fn seat(&mut self, row: &Row, late: bool) {
        for (column, expect) in row
            .table
            .iter()
            .filter(|(column, _)| column.is_late() == late)
        {
            self.players.push(Seat {
                player: column.start(&self.dir, self.place),
                expect: *expect,
                port: None,
            });
        }
    }

    /// Until every early player is connected: its whole recording is compared.
    fn await_players(&self) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.server.connections() < self.players.len() {
            if Instant::now() > deadline {
                let words: String = self
                    .players
                    .iter()
                    .map(|seat| seat.player.last_words())
                    .collect();
                let connected = self.server.connections();
                panic!(
                    "{connected} of {} players connected\n{words}",
                    self.players.len()
                );
            }
            sleep(Duration::from_millis(20));
        }
        // Connected is not yet playing: handshake, connect and createStream come first.
        sleep(Duration::from_millis(400));
    }

    /// Remembers from which port each player came.
    fn note_ports(&mut self) {
        for seat in &mut self.players {
            seat.port = seat.port.or_else(|| seat.player.port_towards(&self.server));
        }
    }

    /// The end of the show is news to every player (C-67): none has to be told twice.
    fn await_leaving(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        for seat in &mut self.players {
            let column = seat.player.column;
            let left = seat.player.leave(deadline);
            if !left && seat.expect != Expect::Unreadable && !is_reference() {
                self.faults.push(format!(
                    "  {column:?} did not leave {FAREWELL:?} after the end"
                ));
            }
        }
    }
}

/// Clears and makes the folder of a test.
pub(crate) fn fresh_dir(name: &str) -> PathBuf {
    let dir = work_dir().join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).expect("folder of the test");
    dir
}

/// Dumps are read by the generation that knows the codec.
fn reader_of(column: Column, reader: Tool) -> Tool {
    if column.is_transparent() {
        reader
    } else {
        Tool::Ffmpeg
    }
}

/// Adds a row to `matrix.txt`, the result that stays after the run.
fn append_to_matrix(report: &str) {
    static MATRIX: LazyLock<Mutex<File>> = LazyLock::new(|| {
        Mutex::new(File::create(work_dir().join("matrix.txt")).expect("matrix.txt"))
    });
    let mut matrix = MATRIX.lock().expect("no row fails while it writes");
    matrix.write_all(report.as_bytes()).expect("append the row");
}

/// When the late players come.
const LATE: Duration = Duration::from_millis(3_000);
/// How long a late player takes to connect.
const SEATED: Duration = Duration::from_millis(1_000);
/// How long after the end of the show a player may stay.
const FAREWELL: Duration = Duration::from_secs(6);
/// Frames that a player may keep in its decoder when the stream ends.
const UNDECODED: usize = 3;
/// VLC leaves its queue when the input ends.
const VLC_UNDECODED: usize = 5;
