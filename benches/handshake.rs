//! Handshake: what one connection costs the server, plain and with digests.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use corecast::rtmp::handshake::{ClientHandshake, ServerHandshake};
use criterion::{BatchSize, Criterion, criterion_group};

fn serve(c: &mut Criterion) {
    for (name, digest) in [("plain", false), ("digest", true)] {
        let mut c0_c1 = Vec::new();
        ClientHandshake::new([7; 32], digest).start(&mut c0_c1);
        c.bench_function(&format!("handshake/{name} to S2"), |b| {
            b.iter_batched(
                || (ServerHandshake::new([9; 32]), Vec::with_capacity(4_096)),
                |(mut server, mut out)| {
                    let done = server
                        .recv(&mut black_box(c0_c1.as_slice()), &mut out)
                        .unwrap();
                    (done, out)
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, serve);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
