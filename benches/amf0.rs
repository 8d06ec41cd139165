//! AMF0: a connect command as Flash sends it, decoded and encoded.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use std::hint::black_box;

use corecast::limits::AmfLimits;
use corecast::rtmp::amf0;
use criterion::{Criterion, criterion_group};

fn decode(c: &mut Criterion) {
    let bytes = fixtures::encoded(&fixtures::connect());
    c.bench_function("amf0/decode connect", |b| {
        b.iter(|| {
            amf0::decode(black_box(&bytes), &AmfLimits::STRANGER)
                .unwrap()
                .values
                .len()
        });
    });
    let metadata = [
        b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData".as_slice(),
        &bytes,
    ]
    .concat();
    c.bench_function("amf0/first string", |b| {
        b.iter(|| amf0::first_string(black_box(&metadata)).unwrap().1);
    });
}

fn encode(c: &mut Criterion) {
    let values = fixtures::connect();
    let mut out = Vec::with_capacity(1_024);
    c.bench_function("amf0/encode connect", |b| {
        b.iter(|| {
            out.clear();
            fixtures::encode_into(black_box(&values), &mut out);
            out.len()
        });
    });
}

criterion_group!(benches, decode, encode);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
