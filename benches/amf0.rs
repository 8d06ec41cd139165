//! AMF0: a connect command as Flash sends it, decoded and encoded.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use corecast::limits::AmfLimits;
use corecast::rtmp::amf0::{self, Object, Value};
use criterion::{Criterion, criterion_group};

fn connect() -> Vec<Value<'static>> {
    let object = Object::new()
        .with("app", "live")
        .with("flashVer", "LNX 10,0,32,18")
        .with("tcUrl", "rtmp://127.0.0.1:1935/live")
        .with("fpad", false)
        .with("capabilities", 15.0)
        .with("audioCodecs", 4_071.0)
        .with("videoCodecs", 252.0)
        .with("videoFunction", 1.0);
    vec![
        Value::from("connect"),
        Value::from(1.0),
        Value::from(object),
    ]
}

fn encoded() -> Vec<u8> {
    let mut out = Vec::new();
    connect()
        .iter()
        .for_each(|value| amf0::encode(value, &mut out));
    out
}

fn decode(c: &mut Criterion) {
    let bytes = encoded();
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
    let values = connect();
    let mut out = Vec::with_capacity(1_024);
    c.bench_function("amf0/encode connect", |b| {
        b.iter(|| {
            out.clear();
            black_box(&values)
                .iter()
                .for_each(|value| amf0::encode(value, &mut out));
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
