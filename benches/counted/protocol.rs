//! Cases below the streams: chunks, AMF0, handshake, frames.

use std::hint::black_box;

use corecast::codec;
use corecast::limits::{AmfLimits, ReaderLimits};
use corecast::media::{Frame, Lane, Traits};
use corecast::rtmp::amf0;
use corecast::rtmp::chunk::{ChunkReader, ChunkWriter};
use corecast::rtmp::handshake::{ClientHandshake, ServerHandshake};
use corecast::rtmp::message::Kind;

use crate::fixtures::film::{Piece, media, wire};
use crate::fixtures::{self, CHUNK_SIZE};
use crate::meter::{Case, Work, metered, warm_metered};

pub(crate) const CASES: [Case; 8] = [
    case("chunk-read-128", "message", || chunk_read(128)),
    case("chunk-read-4096", "message", || chunk_read(4_096)),
    case("chunk-write-4096", "message", chunk_write),
    case("frame-build", "message", frame_build),
    case("amf0-decode-connect", "command", amf0_decode),
    case("amf0-encode-status", "command", amf0_encode),
    case("handshake-plain", "connection", || handshake(false)),
    case("handshake-digest", "connection", || handshake(true)),
];

const fn case(name: &'static str, unit: &'static str, run: fn() -> Work) -> Case {
    Case { name, unit, run }
}

/// A publisher's second, as the worker reads it: in pieces of a scratch buffer's size at most.
fn chunk_read(chunk_size: u32) -> Work {
    let pieces = media(1);
    let wire = wire(&pieces, chunk_size);
    warm_metered(|| {
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        reader.set_chunk_size(chunk_size).unwrap();
        let mut input = black_box(wire.as_slice());
        let mut messages = 0;
        while let Some(message) = reader.read(&mut input).unwrap() {
            black_box(message);
            messages += 1;
        }
        assert_eq!(messages, pieces.len());
    });
    Work {
        units: pieces.len(),
        bytes: wire.len(),
    }
}

fn chunk_write() -> Work {
    let pieces = media(1);
    let mut out = Vec::with_capacity(1 << 20);
    warm_metered(|| {
        out.clear();
        let mut writer = ChunkWriter::new(4_096);
        for piece in black_box(&pieces) {
            writer.write_message(&mut out, &piece.head(), &piece.payload);
        }
    });
    Work {
        units: pieces.len(),
        bytes: out.len(),
    }
}

/// Classified and encoded for every player: the payload stays where the reader put it.
fn frame_build() -> Work {
    let pieces = media(1);
    let build = |piece: &Piece, body| {
        let (lane, tag) = match piece.kind {
            Kind::Audio => (Lane::Audio, codec::audio(&piece.payload)),
            _ => (Lane::Video, codec::video(&piece.payload)),
        };
        let traits = Traits {
            lane,
            join: false,
            header: false,
        };
        let at_ms = u64::from(piece.timestamp);
        Frame::build(body, traits, Some(tag.unwrap()), at_ms, CHUNK_SIZE)
    };
    for counted in [false, true] {
        let bodies = pieces.iter().map(|piece| piece.message().body);
        let mut bodies: Vec<_> = bodies.collect();
        let mut frames = Vec::with_capacity(pieces.len());
        let mut work = || {
            let all = pieces.iter().zip(bodies.drain(..));
            frames.extend(all.map(|(piece, body)| build(piece, body)));
        };
        if counted {
            metered(&mut work);
        } else {
            work();
        }
    }
    Work {
        units: pieces.len(),
        bytes: 0,
    }
}

fn amf0_decode() -> Work {
    let bytes = fixtures::encoded(&fixtures::connect());
    warm_metered(|| {
        for _ in 0..REPEATS {
            let decoded = amf0::decode(black_box(&bytes), &AmfLimits::STRANGER);
            assert_eq!(decoded.unwrap().values.len(), 3);
        }
    });
    Work {
        units: REPEATS,
        bytes: REPEATS * bytes.len(),
    }
}

fn amf0_encode() -> Work {
    let values = fixtures::on_status();
    let mut out = Vec::with_capacity(1_024);
    warm_metered(|| {
        for _ in 0..REPEATS {
            out.clear();
            fixtures::encode_into(black_box(&values), &mut out);
        }
    });
    Work {
        units: REPEATS,
        bytes: REPEATS * out.len(),
    }
}

/// C0 and C1 in, S0, S1 and S2 out.
fn handshake(digest: bool) -> Work {
    let mut c0_c1 = Vec::new();
    ClientHandshake::new([7; 32], digest).start(&mut c0_c1);
    let mut out = Vec::with_capacity(4_096);
    warm_metered(|| {
        for _ in 0..REPEATS {
            out.clear();
            let mut server = ServerHandshake::new([9; 32]);
            let mut input = black_box(c0_c1.as_slice());
            server.recv(&mut input, &mut out).unwrap();
            assert_eq!((input.len(), out.len()), (0, 1 + 2 * 1_536));
        }
    });
    Work {
        units: REPEATS,
        bytes: 0,
    }
}

const REPEATS: usize = 100;
