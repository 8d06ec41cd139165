//! A chunk stream in pieces: what comes out depends on the bytes alone.
//!
//! Input: limits (bit 0), cuts, the stream.
//!
//! Law: messages, the error and what is left partial are the same whole, in the pieces that the
//! input asks for, and byte by byte.

use corecast::rtmp::Error;
use corecast::rtmp::chunk::ChunkReader;

use super::chunk::{obey, reader};
use super::taker::{Cuts, Digest, Taker};

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let flags = taker.u8();
    let mut cuts = Cuts::take(&mut taker);
    let stream = taker.rest;
    let whole = read_all(flags, std::iter::once(stream));
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| (!rest.is_empty()).then(|| cuts.piece(&mut rest)));
    assert_eq!(read_all(flags, pieces), whole, "in pieces");
    if stream.len() <= 1_024 {
        assert_eq!(read_all(flags, stream.chunks(1)), whole, "byte by byte");
    }
}

/// The messages as a number, the error, and the bytes left partial.
type Outcome = ((usize, u64), Option<Error>, usize);

fn read_all<'a>(flags: u8, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (_, mut reader) = reader(flags);
    let mut messages = Digest::default();
    for piece in pieces {
        if let Err(error) = read(&mut reader, piece, &mut messages) {
            return (messages.value(), Some(error), 0);
        }
    }
    (messages.value(), None, reader.partial_bytes())
}

fn read(reader: &mut ChunkReader, mut piece: &[u8], messages: &mut Digest) -> Result<(), Error> {
    while let Some(message) = reader.read(&mut piece)? {
        messages.add((
            message.kind,
            message.timestamp,
            message.stream_id,
            message.payload(),
        ));
        obey(reader, &message)?;
    }
    assert!(piece.is_empty());
    Ok(())
}
