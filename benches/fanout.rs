//! Fan-out: one frame to 10,000 players of a log, without sockets, as a worker's turn does it.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use corecast::codec;
use corecast::config::{Enhanced, GopCache, Multitrack};
use corecast::live::{Cursor, LagLimits, Log, LogLimits, Source};
use corecast::media::{Frame, Gather, Headers, Lane, Taste, Traits};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::message::Body;
use corecast::time::Millis;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

const PLAYERS: usize = 10_000;
const LIMITS: LagLimits = LagLimits {
    ms: 10_000,
    bytes: 8 << 20,
};

/// A picture of 4,000 bytes, a second apart from none: 25 a second, a key frame every 50.
fn frame(n: u64) -> Arc<Frame> {
    let key = n.is_multiple_of(50);
    let mut payload = vec![7; 4_000];
    payload.splice(..5, [if key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
    let tag = codec::video(&payload).unwrap();
    let traits = Traits {
        lane: Lane::Video,
        join: key,
        header: false,
    };
    Arc::new(Frame::build(
        Body::with_payload(&payload),
        traits,
        Some(tag),
        n * 40,
        60_000,
    ))
}

struct Stage {
    log: Log,
    headers: Arc<Headers>,
    taste: Taste,
    players: Vec<Cursor>,
    frames: u64,
}

impl Stage {
    fn new() -> Self {
        let limits = LogLimits {
            bytes: 16 << 20,
            frames: 8_192,
            lag_ms: 10_000,
        };
        let mut stage = Self {
            log: Log::new(limits),
            headers: Arc::default(),
            taste: Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable),
            players: Vec::new(),
            frames: 0,
        };
        stage.push();
        let join = || Cursor::join(&stage.log, GopCache::Full, 1);
        stage.players = (0..PLAYERS).map(|_| join()).collect();
        stage
    }

    fn now(&self) -> Millis {
        Millis(self.frames * 40)
    }

    fn push(&mut self) {
        let now = self.now();
        self.log.push(frame(self.frames), &self.headers, now);
        self.frames += 1;
    }

    /// Every player takes all it is owed, as if its socket did. Returns the bytes.
    fn serve(&mut self) -> usize {
        let now = self.now();
        let source = Source {
            log: &self.log,
            headers: &self.headers,
            taste: &self.taste,
        };
        let (mut control, mut heads, mut sum) = (Vec::new(), Vec::new(), 0);
        for cursor in &mut self.players {
            cursor.prepare(source, LIMITS, now, &mut control);
            heads.clear();
            let mut gather = Gather::new();
            cursor.gather(source, Gather::SLICES_MAX, &mut heads, &mut gather);
            let bytes = black_box(gather.slices())
                .iter()
                .map(|slice| slice.len())
                .sum();
            drop(gather);
            cursor.advance(source, bytes);
            sum += bytes;
        }
        sum
    }
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fanout/10,000 players");
    group
        .throughput(Throughput::Elements(PLAYERS as u64))
        .sample_size(20);
    for frames in [1, 3, 25] {
        group.bench_function(BenchmarkId::new("frames a turn", frames), |b| {
            let mut stage = Stage::new();
            stage.serve();
            b.iter(|| {
                for _ in 0..frames {
                    stage.push();
                }
                stage.serve()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fan_out);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
