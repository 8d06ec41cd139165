//! Cases of streams: a log, its players, and the way to another worker.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use corecast::config::Config;
use corecast::ids::{PlayerId, Run, StreamName, StreamRef, WorkerId};
use corecast::live::{Directory, Live, Log, Mail, Policy, Settings};
use corecast::media::Headers;
use corecast::mesh::{Mesh, Port};
use corecast::rtmp::message::Message;
use corecast::time::Millis;

use crate::fixtures::film::{Piece, frames, headers, media};
use crate::fixtures::stage::{LOG, Stage};
use crate::fixtures::{CHUNK_SIZE, MESH_LIMITS, mail, picture_frame, player};
use crate::meter::{Case, Work, metered, warm_metered};

pub(crate) const CASES: [Case; 9] = [
    case("gather-tail", "message and player", || gather(1, 1)),
    case("gather-own-heads", "message and player", || gather(1, 2)),
    case("gather-25-merged", "message and player", || gather(25, 1)),
    case("late-join", "player", late_join),
    case("log-append", "message", log_append),
    case("live-append", "message", || append(0)),
    case("live-turn-players", "message and player", || {
        append(PLAYERS)
    }),
    case("mesh-letter", "letter of 1 mail", letter),
    case("mesh-crossing", "message", crossing),
];

const fn case(name: &'static str, unit: &'static str, run: fn() -> Work) -> Case {
    Case { name, unit, run }
}

/// Players at the live edge, one flush each for every `merged` messages.
fn gather(merged: usize, stream_id: u32) -> Work {
    let mut stage = Stage::new();
    for frame in frames(&headers()) {
        stage.push(frame);
    }
    stage.join(PLAYERS as usize, stream_id);
    let mut turns = frames(&media(3));
    // A key frame and what goes with a join are not the tail.
    let counted = turns.split_off(100);
    turns.into_iter().for_each(|frame| stage.push(frame));
    stage.serve();
    let (mut units, mut bytes) = (0, 0);
    for turn in counted.chunks_exact(merged).take(25) {
        turn.iter().for_each(|frame| stage.push(Arc::clone(frame)));
        metered(&mut || bytes += stage.serve());
        units += turn.len() * PLAYERS as usize;
    }
    Work { units, bytes }
}

/// A cursor, headers and the first write, which is the second and a half since a key frame.
fn late_join() -> Work {
    let mut stage = Stage::new();
    let pieces = [headers(), media(4)].concat();
    for frame in frames(&pieces) {
        stage.push(frame);
    }
    let mut bytes = 0;
    warm_metered(|| bytes = stage.greet(100));
    Work { units: 100, bytes }
}

/// A log that is full: each frame drives another out, and that one's memory is freed.
fn log_append() -> Work {
    let headers = Arc::<Headers>::default();
    let mut log = Log::new(LOG);
    let mut frames = frames(&media(16));
    let mut fresh = frames.split_off(frames.len() - 72);
    for frame in frames {
        let now = Millis(frame.timestamp_ms());
        log.push(frame, &headers, now);
    }
    let (units, first) = (fresh.len(), log.first());
    metered(&mut || {
        for frame in fresh.drain(..) {
            let now = Millis(frame.timestamp_ms());
            log.push(frame, &headers, now);
        }
    });
    assert!(log.first() > first, "nothing was driven out");
    Work { units, bytes: 0 }
}

/// A publisher's second from message to log, and the players who hear of it at the turn's end.
fn append(players: u32) -> Work {
    let mut pair = Pair::new();
    for index in 0..players {
        pair.play(0, 10 + index);
    }
    let mut second = pair.roll();
    let units = second.len();
    let mut dirty = Vec::new();
    let mut work = || {
        for message in second.drain(..) {
            let now = pair.append(message);
            dirty.clear();
            serve(&mut pair.live[0], now, &mut dirty);
        }
    };
    metered(&mut work);
    assert_eq!(dirty.len(), players as usize);
    Work {
        units: units * dirty.len().max(1),
        bytes: 0,
    }
}

/// One mail from a worker to another.
fn letter() -> Work {
    let frame = Arc::new(picture_frame(4_000, true, 40, CHUNK_SIZE));
    let mut ports = Mesh::build(2, Vec::new(), MESH_LIMITS);
    let (owner, mirror) = ports.split_at_mut(1);
    warm_metered(|| {
        for number in 0..LETTERS {
            owner[0].post(WorkerId(1), mail(&frame, number as u64));
            owner[0].flush();
            black_box(mirror[0].take().unwrap());
        }
    });
    Work {
        units: LETTERS,
        bytes: 0,
    }
}

/// A publisher's second on its way to a player of another worker, a letter for each message.
fn crossing() -> Work {
    let mut pair = Pair::new();
    pair.play(1, 10);
    let mut second = pair.roll();
    let units = second.len();
    let mut dirty = Vec::new();
    let mut work = || {
        for message in second.drain(..) {
            let now = pair.append(message);
            pair.deliver(now);
            dirty.clear();
            serve(&mut pair.live[1], now, &mut dirty);
        }
    };
    metered(&mut work);
    assert_eq!(dirty.len(), 1);
    Work { units, bytes: 0 }
}

/// Two workers and a stream that the first one owns.
struct Pair {
    live: [Live; 2],
    ports: Vec<Port<Mail>>,
    name: StreamName,
    published: (StreamRef, Run),
}

impl Pair {
    fn new() -> Self {
        let config = Config::default();
        let directory = Arc::new(Directory::new(Policy {
            on_duplicate: config.on_duplicate,
            takeover_ms: config.takeover_ms,
            streams_max: config.max_streams,
        }));
        let live = |id| {
            let settings = Settings::new(&config);
            Live::new(WorkerId(id), settings, Arc::clone(&directory))
        };
        let mut live = [live(0), live(1)];
        let mut ports = Mesh::build(2, Vec::new(), MESH_LIMITS);
        let name = StreamName::new("live/cam");
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let published = live[0]
            .publish(&name, player(0, 0), peer, Millis(0), &mut ports[0])
            .unwrap();
        Self {
            live,
            ports,
            name,
            published,
        }
    }

    fn play(&mut self, worker: u8, index: u32) {
        let (live, port) = (usize::from(worker), usize::from(worker));
        let who = player(worker, index);
        self.live[live]
            .play(&self.name, who, Millis(0), &mut self.ports[port])
            .unwrap();
        self.deliver(Millis(0));
    }

    /// Appends headers and the first second, and returns the next one.
    fn roll(&mut self) -> Vec<Message> {
        let media = media(2);
        let (first, second): (Vec<_>, _) = media.into_iter().partition(|p| p.timestamp < 1_000);
        for piece in headers().iter().chain(&first) {
            let now = self.append(piece.message());
            self.deliver(now);
            for live in &mut self.live {
                serve(live, now, &mut Vec::new());
            }
        }
        second.iter().map(Piece::message).collect()
    }

    fn append(&mut self, message: Message) -> Millis {
        let now = Millis(u64::from(message.timestamp));
        let (stream, run) = self.published;
        self.live[0].append(stream, run, message, now, &mut self.ports[0]);
        now
    }

    /// Delivers all mail, and what it leads to.
    fn deliver(&mut self, now: Millis) {
        loop {
            self.ports.iter_mut().for_each(Port::flush);
            let mut letters = 0;
            for (live, port) in self.live.iter_mut().zip(&mut self.ports) {
                while let Some(letter) = port.take() {
                    letters += 1;
                    for mail in letter.mail {
                        live.deliver(letter.from, mail, now, port);
                    }
                }
            }
            if letters == 0 {
                return;
            }
        }
    }
}

const PLAYERS: u32 = 1_000;
const LETTERS: usize = 100;

/// One whole pass over every stream with news, without the writing.
fn serve(live: &mut Live, now: Millis, players: &mut Vec<PlayerId>) {
    let mut due = Vec::new();
    live.take_due(now, &mut due);
    for stream in due {
        live.players_after(stream, None, usize::MAX, players);
        live.served(stream);
    }
}
