//! `Stage`: one worker's streams with one publisher, and viewers that read at any pace; no sockets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use corecast::config::{Config, Enhanced, Multitrack};
use corecast::ids::{ConnId, PlayerId, Run, StreamName, StreamRef, WorkerId};
use corecast::live::{Cursor, Directory, Joined, LagLimits, Live, Mail, Post, Settings, Source};
use corecast::live::{Policy, Stream};
use corecast::media::{Gather, Taste};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::message::{Body, Kind, Message};
use corecast::time::Millis;

use super::bench::messages;

/// A worker whose stream `live/cam` is published.
pub struct Stage {
    pub live: Live,
    pub now: Millis,
    pub config: Config,
    stream: StreamRef,
    run: Run,
    next_player: u32,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let policy = Policy {
            on_duplicate: config.on_duplicate,
            takeover_ms: config.takeover_ms,
            streams_max: config.max_streams,
        };
        let directory = Arc::new(Directory::new(policy));
        let mut live = Live::new(WorkerId(0), Settings::new(&config), directory);
        let (now, peer) = (Millis(1_000), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let name = StreamName::new("live/cam");
        let (stream, run) = live
            .publish(&name, player(0, 1), peer, now, &mut Nowhere)
            .unwrap();
        Self {
            live,
            now,
            config,
            stream,
            run,
            next_player: 1,
        }
    }

    /// The publisher sends a message.
    pub fn send(&mut self, kind: Kind, timestamp: u32, payload: &[u8]) {
        let message = Message {
            kind,
            timestamp,
            stream_id: 1,
            body: Body::with_payload(payload),
        };
        self.live
            .append(self.stream, self.run, message, self.now, &mut Nowhere);
        self.live.check();
    }

    pub fn stream(&self) -> &Stream {
        self.live.stream(self.stream).unwrap()
    }

    /// A player that said this of itself.
    pub fn viewer(&mut self, caps: &Caps, enhanced: Enhanced, stream_id: u32) -> Viewer {
        let who = player(self.next_player, stream_id);
        self.next_player += 1;
        let name = StreamName::new("live/cam");
        let Ok(Joined::Now(_, cursor)) = self.live.play(&name, who, self.now, &mut Nowhere) else {
            panic!("a published stream starts at once");
        };
        Viewer {
            cursor,
            taste: Taste::new(caps, enhanced, Multitrack::Capable),
            control: Vec::new(),
            lost: 0,
        }
    }
}

/// A player without a socket.
pub struct Viewer {
    cursor: Cursor,
    taste: Taste,
    control: Vec<u8>,
    /// Frames it lost by skipping.
    pub lost: u64,
}

impl Viewer {
    /// What its socket takes next when it has room for `room` bytes: as a connection flushes.
    pub fn pull(&mut self, stage: &Stage, room: usize) -> Vec<u8> {
        let limits = LagLimits {
            ms: stage.config.max_lag_ms,
            bytes: stage.config.max_lag_bytes,
        };
        let source = Source {
            log: stage.stream().log(),
            headers: stage.stream().headers(),
            taste: &self.taste,
        };
        self.lost += self
            .cursor
            .prepare(source, limits, stage.now, &mut self.control);
        let mut out = Vec::new();
        if !self.cursor.is_mid_frame() {
            out.append(&mut self.control);
        }
        let before = out.len();
        let mut heads = Vec::new();
        let mut gather = Gather::new();
        self.cursor.gather(source, 64, &mut heads, &mut gather);
        for slice in gather.slices() {
            out.extend_from_slice(slice);
        }
        out.truncate(room.max(before));
        let taken = out.len() - before;
        drop(gather);
        self.cursor.advance(source, taken);
        out
    }

    /// Everything it is owed, as bytes.
    pub fn drain(&mut self, stage: &Stage) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let bytes = self.pull(stage, usize::MAX);
            if bytes.is_empty() {
                return all;
            }
            all.extend(bytes);
        }
    }

    /// Everything it is owed, as messages.
    pub fn watch(&mut self, stage: &Stage) -> Vec<Message> {
        messages(&self.drain(stage), stage.config.chunk_size)
    }
}

struct Nowhere;

impl Post for Nowhere {
    fn post(&mut self, _: WorkerId, _: Mail) {}
}

fn player(index: u32, stream_id: u32) -> PlayerId {
    PlayerId {
        conn: ConnId {
            worker: WorkerId(0),
            index,
            generation: 1,
        },
        stream_id,
    }
}
