//! Frame: a message becomes a frame, and a frame becomes slices for a socket.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use std::hint::black_box;

use corecast::codec;
use corecast::media::{Frame, Gather, Lane, Stamp, Traits};
use corecast::rtmp::message::Body;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group};

const TRAITS: Traits = Traits {
    lane: Lane::Video,
    join: false,
    header: false,
};

fn body(bytes: usize) -> Body {
    Body::with_payload(&fixtures::picture(bytes, false))
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame/classify and build");
    for bytes in [340, 4_000, 60_000] {
        group.bench_function(BenchmarkId::from_parameter(bytes), |b| {
            b.iter_batched(
                || body(bytes),
                |body| {
                    let tag = codec::video(body.payload()).unwrap();
                    Frame::build(body, TRAITS, Some(tag), black_box(40_000), 60_000)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn gather(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame/gather");
    for (bytes, chunk_size) in [(4_000, 60_000), (200_000, 60_000), (200_000, 4_096)] {
        let frame = fixtures::picture_frame(bytes, false, 40_000, chunk_size);
        let id = BenchmarkId::from_parameter(format!("{bytes}B in {chunk_size}"));
        group.bench_function(id, |b| {
            let stamp = Stamp {
                stream_id: 2,
                base_ms: 30_000,
            };
            let mut written = Vec::with_capacity(64);
            b.iter(|| {
                written.clear();
                black_box(&frame).write_heads(stamp, &mut written);
                let heads = frame.split_heads(stamp, &mut &written[..]);
                let mut gather = Gather::new();
                frame.gather(heads, 0, &mut gather);
                gather.bytes()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, build, gather);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
