//! Mesh: what a frame costs that goes to another worker: post, letter, take.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use std::hint::black_box;
use std::sync::Arc;

use corecast::ids::WorkerId;
use corecast::media::Frame;
use corecast::mesh::Mesh;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

use fixtures::{MESH_LIMITS as LIMITS, mail};

fn frame() -> Arc<Frame> {
    let frame = fixtures::picture_frame(4_000, true, 40, fixtures::CHUNK_SIZE);
    Arc::new(frame)
}

/// One turn of the owner and one of the mirror, for letters of several sizes.
fn letters(c: &mut Criterion) {
    let frame = frame();
    let mut group = c.benchmark_group("mesh/letter");
    for mails in [1, 10, 100] {
        group.throughput(Throughput::Elements(mails));
        group.bench_function(BenchmarkId::new("mails", mails), |b| {
            let mut ports = Mesh::build(2, Vec::new(), LIMITS).into_iter();
            let (mut owner, mut mirror) = (ports.next().unwrap(), ports.next().unwrap());
            b.iter(|| {
                for number in 0..mails {
                    owner.post(WorkerId(1), mail(&frame, number));
                }
                owner.flush();
                black_box(mirror.take().unwrap().mail.len())
            });
        });
    }
    group.finish();
}

/// The owner's turn for one frame, by the number of workers with players.
fn spread(c: &mut Criterion) {
    let frame = frame();
    let mut group = c.benchmark_group("mesh/one frame to workers");
    for workers in [2_u8, 8, 32] {
        group.bench_function(BenchmarkId::from_parameter(workers), |b| {
            let count = usize::from(workers);
            let mut ports = Mesh::build(count, Vec::new(), LIMITS);
            b.iter(|| {
                let (owner, mirrors) = ports.split_first_mut().unwrap();
                for worker in 1..workers {
                    owner.post(WorkerId(worker), mail(&frame, 1));
                }
                owner.flush();
                mirrors
                    .iter_mut()
                    .filter_map(|mirror| mirror.take())
                    .count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, letters, spread);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
