//! Mesh: what a frame costs that goes to another worker: post, letter, take.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use corecast::codec;
use corecast::ids::{Run, StreamRef, WorkerId};
use corecast::limits::MeshLimits;
use corecast::live::Mail;
use corecast::media::{Frame, Lane, Traits};
use corecast::mesh::Mesh;
use corecast::rtmp::message::Body;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

const LIMITS: MeshLimits = MeshLimits {
    letters_max: 1_024,
    bytes_max: 64 << 20,
};

fn frame() -> Arc<Frame> {
    let mut payload = vec![7; 4_000];
    payload.splice(..5, [0x17, 1, 0, 0, 0]);
    let tag = codec::video(&payload).unwrap();
    let traits = Traits {
        lane: Lane::Video,
        join: true,
        header: false,
    };
    Arc::new(Frame::build(
        Body::with_payload(&payload),
        traits,
        Some(tag),
        40,
        60_000,
    ))
}

fn mail(frame: &Arc<Frame>, number: u64) -> Mail {
    Mail::Frame {
        to: StreamRef { index: 1, epoch: 1 },
        run: Run(1),
        number,
        frame: Arc::clone(frame),
        headers: None,
    }
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
