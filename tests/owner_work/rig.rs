//! `Rig`: all workers of a process in one thread, with everything countable about a turn counted.
//!
//! The streams, ports and cursors are the server's own; what is missing is sockets and the poll.
//! Worker 0 owns the one stream. `benches/scale.rs` builds its model on the same counts.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use corecast::config::{Config, Enhanced, Multitrack};
use corecast::ids::{ConnId, PlayerId, Run, Seq, StreamName, StreamRef, WorkerId};
use corecast::limits::MeshLimits;
use corecast::live::{
    Cursor, Directory, Effect, Joined, LagLimits, Live, Mail, Policy, Settings, Source,
};
use corecast::media::{Gather, Taste};
use corecast::mesh::{Mesh, Park, Port, Tally};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::message::{Body, Kind, Message};
use corecast::time::Millis;
use mio::Waker;

/// The workers of one process. See the module head.
pub struct Rig {
    pub nodes: Vec<Node>,
    live: (StreamRef, Run),
    /// Messages published, headers included.
    published: u64,
}

/// One worker.
pub struct Node {
    pub live: Live,
    pub port: Port<Mail>,
    /// By the index of their connections.
    players: Vec<(StreamRef, Cursor)>,
    players_due: Vec<PlayerId>,
    taste: Taste,
    /// What it has done so far.
    pub count: Received,
}

/// What a number of turns cost the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Mails posted: each holds one reference to the frame.
    pub mails: u64,
    /// Letters sent.
    pub letters: u64,
    /// Bells rung: one `write` each.
    pub rings: u64,
    /// Letters received.
    pub answers: u64,
    /// Players it had to look after.
    pub players: u64,
    /// References to the newest frame when the owner's part of the last turn was over, and when all
    /// players had been served.
    pub references: [usize; 2],
}

/// What a worker got, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Letters taken.
    pub letters: u64,
    /// Mails in them.
    pub mails: u64,
    /// Players flushed.
    pub flushes: u64,
    /// Bytes gathered for them.
    pub bytes: u64,
}

impl Rig {
    /// Between messages: 72 a second.
    pub const MESSAGE_MS: u64 = 14;

    /// Workers with no player yet, and a stream on worker 0 with headers and a key frame.
    pub fn new(workers: usize) -> Self {
        Self::with_bells(workers, Vec::new())
    }

    /// The same; `bells[i]` wakes worker `i`.
    pub fn with_bells(workers: usize, bells: Vec<Option<Waker>>) -> Self {
        let config = Config::default();
        let policy = Policy {
            on_duplicate: config.on_duplicate,
            takeover_ms: config.takeover_ms,
            streams_max: config.max_streams,
        };
        let directory = Arc::new(Directory::new(policy));
        let ports = Mesh::build(workers, bells, MeshLimits::of(&config));
        let mut nodes: Vec<Node> = ports
            .into_iter()
            .take(workers)
            .map(|port| Node {
                live: Live::new(port.me(), Settings::new(&config), Arc::clone(&directory)),
                port,
                players: Vec::new(),
                players_due: Vec::new(),
                taste: Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable),
                count: Received::default(),
            })
            .collect();
        let owner = &mut nodes[0];
        let by = player(WorkerId(0), u32::MAX);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let live = owner
            .live
            .publish(&name(), by, peer, Millis(0), &mut owner.port)
            .unwrap();
        let mut rig = Self {
            nodes,
            live,
            published: 0,
        };
        rig.turn(2, false);
        rig
    }

    /// Lets `players` more watch on `worker`, and serves them what is there.
    pub fn watch(&mut self, worker: usize, players: usize) {
        let now = self.now();
        for _ in 0..players {
            let node = &mut self.nodes[worker];
            let at = u32::try_from(node.players.len()).unwrap();
            let player = player(node.port.me(), at);
            let joined = node
                .live
                .play(&name(), player, now, &mut node.port)
                .unwrap();
            match joined {
                Joined::Now(stream, cursor) => node.players.push((stream, cursor)),
                Joined::Waiting(_) => self.settle(worker),
            }
        }
        self.serve(worker);
    }

    /// Subscription and snapshot of a worker's first player.
    fn settle(&mut self, worker: usize) {
        self.nodes[worker].port.flush();
        let now = self.now();
        for at in [0, worker] {
            self.nodes[at].take(now);
            self.nodes[at].port.flush();
        }
    }

    /// One turn of the owner with `messages` messages, then one of every other worker. `asleep`:
    /// they wait in their polls, as when nothing else is to be done.
    pub fn turn(&mut self, messages: usize, asleep: bool) -> Owned {
        if asleep {
            for node in &self.nodes[1..] {
                assert_eq!(node.port.park(), Park::Sleep);
            }
        }
        let before = self.nodes[0].port.tally();
        let (answers, players) = (self.nodes[0].count.letters, self.nodes[0].count.flushes);
        for _ in 0..messages {
            self.append();
        }
        self.nodes[0].port.flush();
        let sent = self.references();
        let after: Tally = self.nodes[0].port.tally();
        for at in (1..self.nodes.len()).chain([0]) {
            self.nodes[at].port.unpark();
            self.serve(at);
        }
        let owner = self.nodes[0].count;
        Owned {
            mails: after.mails - before.mails,
            letters: after.letters - before.letters,
            rings: after.rings - before.rings,
            answers: owner.letters - answers,
            players: owner.flushes - players,
            references: [sent, self.references()],
        }
    }

    /// The owner's part of a message: made, logged, posted.
    pub fn append(&mut self) {
        let (message, now) = (message(self.published), self.now());
        self.published += 1;
        let owner = &mut self.nodes[0];
        let (stream, run) = self.live;
        owner
            .live
            .append(stream, run, message, now, &mut owner.port);
    }

    /// A worker's turn: mail in, players served, mail out.
    pub fn serve(&mut self, at: usize) {
        let now = self.now();
        let node = &mut self.nodes[at];
        node.take(now);
        node.flush(now);
        node.port.flush();
    }

    /// The time: the stream's own.
    pub fn now(&self) -> Millis {
        Millis(self.published * Self::MESSAGE_MS)
    }

    fn references(&self) -> usize {
        let stream = self.nodes[0].live.stream(self.live.0).unwrap();
        let newest = Seq(stream.log().head().0 - 1);
        Arc::strong_count(stream.log().frame(newest).unwrap())
    }
}

impl Node {
    /// All letters, and what they mean for players.
    pub fn take(&mut self, now: Millis) {
        while let Some(letter) = self.port.take() {
            self.count.letters += 1;
            for mail in letter.mail {
                self.count.mails += 1;
                self.live.deliver(letter.from, mail, now, &mut self.port);
            }
        }
        for effect in self.live.take_effects() {
            match effect {
                Effect::Start { stream, cursor, .. } => self.players.push((stream, cursor)),
                other => panic!("nobody waits too long and nobody is evicted here: {other:?}"),
            }
        }
    }

    /// Every player with news takes all it is owed, as if its socket did.
    pub fn flush(&mut self, now: Millis) {
        let (mut streams, mut players) = (Vec::new(), std::mem::take(&mut self.players_due));
        players.clear();
        self.live.take_due(now, &mut streams);
        for stream in streams {
            self.live
                .players_after(stream, None, usize::MAX, &mut players);
            self.live.served(stream);
        }
        let (mut control, mut heads) = (Vec::new(), Vec::new());
        for player in &players {
            let place = usize::try_from(player.conn.index).unwrap();
            let (stream, cursor) = &mut self.players[place];
            let stream = self.live.stream(*stream).unwrap();
            let source = Source {
                log: stream.log(),
                headers: stream.headers(),
                taste: &self.taste,
            };
            control.clear();
            cursor.prepare(source, LIMITS, now, &mut control);
            heads.clear();
            let mut gather = Gather::new();
            cursor.gather(source, Gather::SLICES_MAX, &mut heads, &mut gather);
            let bytes = gather.bytes();
            black_box(gather.slices());
            drop(gather);
            cursor.advance(source, bytes);
            self.count.flushes += 1;
            self.count.bytes += bytes as u64;
        }
        self.players_due = players;
    }
}

/// 1 Mbit/s at 72 messages a second: pictures and sound as one size.
pub const PAYLOAD_BYTES: usize = 1_736;

/// Headers first, then a key frame every 144 messages (2 s).
fn message(n: u64) -> Message {
    let head: [u8; 5] = match n {
        0 => [0x17, 0, 0, 0, 0],
        n if n % 144 == 1 => [0x17, 1, 0, 0, 0],
        _ => [0x27, 1, 0, 0, 0],
    };
    let mut payload = vec![7; PAYLOAD_BYTES];
    payload.splice(..head.len(), head);
    Message {
        kind: Kind::Video,
        timestamp: u32::try_from(n * Rig::MESSAGE_MS).unwrap(),
        stream_id: 1,
        body: Body::with_payload(&payload),
    }
}

fn name() -> StreamName {
    StreamName::new("live/cam")
}

fn player(worker: WorkerId, index: u32) -> PlayerId {
    PlayerId {
        conn: ConnId {
            worker,
            index,
            generation: 1,
        },
        stream_id: 1,
    }
}

/// The default `--max-lag` and `--max-lag-bytes`.
const LIMITS: LagLimits = LagLimits {
    ms: 10_000,
    bytes: 8 << 20,
};
