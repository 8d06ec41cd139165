//! Chunk layer: messages to bytes and back, with the sizes of a 1 Mbit/s stream.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;

use std::hint::black_box;

use corecast::limits::ReaderLimits;
use corecast::rtmp::chunk::{ChunkReader, ChunkWriter, write_message};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

use fixtures::video_head as head;

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk/read");
    for (bytes, chunk_size) in [(340, 128), (4_000, 128), (4_000, 60_000), (60_000, 4_096)] {
        let mut wire = Vec::new();
        for n in 0..100 {
            write_message(&mut wire, &head(n * 40), &vec![7; bytes], chunk_size);
        }
        group.throughput(Throughput::Bytes(wire.len() as u64));
        let id = BenchmarkId::from_parameter(format!("{bytes}B in {chunk_size}"));
        group.bench_with_input(id, &wire, |b, wire| {
            b.iter(|| {
                let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
                reader.set_chunk_size(chunk_size).unwrap();
                let mut input = black_box(wire.as_slice());
                let mut messages = 0;
                while reader.read(&mut input).unwrap().is_some() {
                    messages += 1;
                }
                messages
            });
        });
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let payload = vec![7; 4_000];
    let mut out = Vec::with_capacity(1 << 20);
    let mut group = c.benchmark_group("chunk/write 100 of 4000B");
    group.bench_function("whole heads", |b| {
        b.iter(|| {
            out.clear();
            for n in 0..100 {
                write_message(&mut out, black_box(&head(n * 40)), &payload, 60_000);
            }
        });
    });
    group.bench_function("compressed heads", |b| {
        b.iter(|| {
            out.clear();
            let mut writer = ChunkWriter::new(60_000);
            for n in 0..100 {
                writer.write_message(&mut out, black_box(&head(n * 40)), &payload);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, read, write);

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if std::env::args().any(|arg| arg == "--bench") {
        benches();
    }
}
