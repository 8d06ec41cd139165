//! Fan-out: one frame to 10,000 players of a log, without sockets, as a worker's turn does it.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use std::sync::Arc;

use corecast::media::Frame;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

use fixtures::stage::Stage;

const PLAYERS: usize = 10_000;

/// A picture of 4,000 bytes: 25 a second, a key frame every 50.
fn frame(n: u64) -> Arc<Frame> {
    let key = n.is_multiple_of(50);
    Arc::new(fixtures::picture_frame(
        4_000,
        key,
        n * 40,
        fixtures::CHUNK_SIZE,
    ))
}

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fanout/10,000 players");
    group
        .throughput(Throughput::Elements(PLAYERS as u64))
        .sample_size(20);
    for frames in [1, 3, 25] {
        group.bench_function(BenchmarkId::new("frames a turn", frames), |b| {
            let mut stage = Stage::new();
            let mut next = (0..).map(frame);
            stage.push(next.next().unwrap());
            stage.join(PLAYERS, 1);
            stage.serve();
            b.iter(|| {
                for frame in next.by_ref().take(frames) {
                    stage.push(frame);
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
