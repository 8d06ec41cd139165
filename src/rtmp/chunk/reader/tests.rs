//! Golden bytes and hostile inputs of the chunk reader; the laws are in `tests/chunk_laws.rs`.

use super::*;
use crate::rtmp::message::{HEAD_ROOM, TAIL_ROOM};

/// Kind, timestamp, message stream id and payload.
type Seen = (u8, u32, u32, Vec<u8>);

fn reader() -> ChunkReader {
    ChunkReader::new(ReaderLimits::PUBLISHER)
}

fn feed(reader: &mut ChunkReader, mut bytes: &[u8]) -> Result<Vec<Seen>, Error> {
    let mut seen = Vec::new();
    while let Some(m) = reader.read(&mut bytes)? {
        seen.push((
            m.kind.wire(),
            m.timestamp,
            m.stream_id,
            m.payload().to_vec(),
        ));
    }
    assert!(bytes.is_empty(), "None means all was consumed");
    Ok(seen)
}

/// Reads the bytes at once and one by one, and demands the same.
fn read(bytes: &[u8]) -> Result<Vec<Seen>, Error> {
    let whole = feed(&mut reader(), bytes);
    let mut by_one = reader();
    let split: Result<Vec<_>, _> = bytes.chunks(1).map(|b| feed(&mut by_one, b)).collect();
    assert_eq!(whole, split.map(|parts| parts.concat()));
    whole
}

fn times(bytes: &[u8]) -> Vec<u32> {
    read(bytes).unwrap().iter().map(|seen| seen.1).collect()
}

/// Joins pieces of headers and payload.
fn cat(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

const fn audio(csid: u8, time: u8, len: u8) -> [u8; 12] {
    [csid, 0, 0, time, 0, 0, len, 8, 1, 0, 0, 0]
}

#[test]
fn an_extended_timestamp_is_repeated_or_left_out() {
    // B-10: video of 300 bytes at 20,000,000 ms.
    let first = [
        6, 0xFF, 0xFF, 0xFF, 0, 0x01, 0x2C, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2D, 0x00,
    ];
    let next = [0xC6, 0x01, 0x31, 0x2D, 0x00];
    let (a, b, c) = ([1; 128], [2; 128], [3; 44]);
    let payload = cat(&[&a, &b, &c]);
    let want = vec![(9, 20_000_000, 1, payload)];
    assert_eq!(
        read(&cat(&[&first, &a, &next, &b, &next, &c])).unwrap(),
        want
    );
    assert_eq!(
        read(&cat(&[&first, &a, &[0xC6], &b, &[0xC6], &c])).unwrap(),
        want
    );
}

#[test]
fn payload_that_begins_like_the_timestamp_is_given_back() {
    // K-11: three bytes look like the timestamp, the fourth does not; the last chunk is shorter
    // than what was looked at, so the next header is among the bytes given back.
    let first = [
        6, 0xFF, 0xFF, 0xFF, 0, 0, 131, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2D, 0x00,
    ];
    let next = [0xC6, 0x01, 0x31, 0x2D];
    let ping = [2, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let payload = cat(&[&[1; 128], &next[1..]]);
    let seen = read(&cat(&[&first, &[1; 128], &next, &ping])).unwrap();
    assert_eq!(seen, [(9, 20_000_000, 1, payload), (4, 0, 0, vec![])]);
}

#[test]
fn the_verdict_over_the_timestamp_holds_for_the_connection() {
    let first = [
        6, 0xFF, 0xFF, 0xFF, 0, 0, 132, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2D, 0x00,
    ];
    let omitted = cat(&[&first, &[1; 128], &[0xC6, 9, 9, 9, 9]]);
    // The same four bytes as the timestamp, but this peer was seen to leave it out.
    let alike = cat(&[&first, &[1; 128], &[0xC6, 0x01, 0x31, 0x2D, 0x00]]);
    let seen = read(&cat(&[&omitted, &alike])).unwrap();
    assert_eq!(seen[1].3[128..], [0x01, 0x31, 0x2D, 0x00]);
}

#[test]
fn continuation_may_repeat_the_absolute_time_instead_of_the_delta() {
    let zero = [6, 0, 0, 10, 0, 0, 0, 9, 1, 0, 0, 0];
    let delta = [0x46, 0xFF, 0xFF, 0xFF, 0, 0, 129, 9, 0x01, 0x31, 0x2D, 0x00];
    let absolute = [0xC6, 0x01, 0x31, 0x2D, 0x0A, 7];
    let seen = read(&cat(&[&zero, &delta, &[1; 128], &absolute])).unwrap();
    assert_eq!((seen[1].1, seen[1].3[128]), (20_000_010, 7));
}

#[test]
fn an_extended_delta_is_added() {
    // B-11.
    let zero = audio(6, 0, 0);
    let delta = [0x46, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9, 0x01, 0x31, 0x2D, 0x00];
    assert_eq!(times(&cat(&[&zero, &delta])), [0, 20_000_000]);
}

#[test]
fn a_negative_delta_steps_back() {
    // B-12: librtmp, audio and video on one id.
    let at_100 = audio(4, 100, 0);
    let back = cat(&[
        &[
            0x44, 0xFF, 0xFF, 0xFF, 0, 0x01, 0x02, 8, 0xFF, 0xFF, 0xFF, 0xF6,
        ],
        &[0; 128],
        &[0xC4, 0xFF, 0xFF, 0xFF, 0xF6],
        &[0; 128],
        &[0xC4, 0xFF, 0xFF, 0xFF, 0xF6],
        &[0; 2],
    ]);
    assert_eq!(times(&cat(&[&at_100, &back])), [100, 90]);
}

#[test]
fn a_delta_wraps_past_2_to_the_32() {
    let last = [
        4, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    ];
    let step = [0x84, 0, 0, 20];
    assert_eq!(times(&cat(&[&last, &step])), [u32::MAX, 19]);
    // Z-23.
    let back = [0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(
        times(&cat(&[&audio(4, 1, 0), &back, &back])),
        [1, 0, u32::MAX]
    );
}

#[test]
fn an_extended_time_near_the_last_one_is_absolute() {
    // INTEROP 9: 20,000,000 and then 20,000,040 in a format 1 header, then a format 3 start.
    let first = [
        6, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2D, 0x00,
    ];
    let near = [0x46, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9, 0x01, 0x31, 0x2D, 0x28];
    let same = [0xC6, 0x01, 0x31, 0x2D, 0x28];
    let end = audio(4, 0, 0);
    let bytes = cat(&[&first, &near, &same, &end]);
    assert_eq!(times(&bytes), [20_000_000, 20_000_040, 20_000_080, 0]);
}

#[test]
fn a_message_may_begin_with_format_3() {
    // B-13: FMLE.
    let bytes = cat(&[
        &[4, 0, 0, 0x1A, 0, 0, 0x9D, 8, 1, 0, 0, 0],
        &[0; 128],
        &[0xC4],
        &[0; 29],
        &[0xC4],
        &[0; 128],
        &[0xC4],
        &[0; 29],
    ]);
    assert_eq!(times(&bytes), [26, 52]);
    // GStreamer: the time of the format 0 header is no frame step.
    let first = [4, 0, 0x10, 0, 0, 0, 0, 8, 1, 0, 0, 0];
    assert_eq!(
        times(&cat(&[&first, &[0xC4], &[0xC4]])),
        [4_096, 4_096, 4_096]
    );
    // After a delta, that delta.
    let step = [0x84, 0, 0, 23];
    assert_eq!(
        times(&cat(&[&first, &step, &[0xC4]])),
        [4_096, 4_119, 4_142]
    );
}

#[test]
fn a_fresh_chunk_stream_may_leave_out_what_is_zero() {
    // K-13: librtmp answers a ping with format 1 on id 2.
    let pong = [0x42, 0, 0, 9, 0, 0, 6, 4, 0, 7, 0, 0, 0, 1];
    assert_eq!(read(&pong).unwrap(), [(4, 9, 0, vec![0, 7, 0, 0, 0, 1])]);
    // INTEROP 11: DJI, format 2 on id 33.
    assert_eq!(read(&[0xA1, 0, 0, 9]).unwrap(), [(0, 9, 0, vec![])]);
    assert_eq!(
        read(&[0x85, 0]),
        Err(Error::FreshChunkStream { csid: 5, fmt: 2 })
    );
    assert_eq!(
        read(&[0xE1]),
        Err(Error::FreshChunkStream { csid: 33, fmt: 3 })
    );
}

#[test]
fn chunk_stream_ids_have_three_forms() {
    // K-01, K-02: 64 and 319 in two bytes, 64 again in three, 65,599 in three.
    let head = [0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    let bytes = cat(&[
        &[0x00, 0x00],
        &head,
        &[1],
        &[0x00, 0xFF],
        &head,
        &[2],
        &[0xC1, 0x00, 0x00, 3],
        &[0x01, 0xFF, 0xFF],
        &head,
        &[4],
    ]);
    let payloads: Vec<_> = read(&bytes)
        .unwrap()
        .into_iter()
        .map(|seen| seen.3[0])
        .collect();
    assert_eq!(payloads, [1, 2, 3, 4]);
}

#[test]
fn an_empty_message_is_whole_with_its_header() {
    let mut reader = reader();
    assert_eq!(
        feed(&mut reader, &audio(4, 5, 0)).unwrap(),
        [(8, 5, 1, vec![])]
    );
}

#[test]
fn every_body_comes_with_exactly_its_room() {
    // DESIGN §5.2, however the bytes arrive; the head room is there for an empty message too.
    for len in [0, 1, 100] {
        for split in [1, 5, 200] {
            let mut reader = reader();
            let bytes = cat(&[&audio(4, 5, len), &vec![1; usize::from(len)]]);
            let mut whole = None;
            for mut piece in bytes.chunks(split) {
                whole = reader.read(&mut piece).unwrap().or(whole);
            }
            let buf = whole.unwrap().body.into_vec();
            assert_eq!(buf.len(), HEAD_ROOM + usize::from(len));
            assert_eq!(buf.capacity(), buf.len() + TAIL_ROOM);
        }
    }
}

#[test]
fn a_chunk_size_holds_for_the_rest_of_a_running_message() {
    // K-23: 128 of 300 bytes, SetChunkSize 4096 on id 2, the rest in one chunk.
    let mut reader = reader();
    let half = cat(&[&[6, 0, 0, 0, 0, 0x01, 0x2C, 9, 1, 0, 0, 0], &[1; 128]]);
    assert_eq!(feed(&mut reader, &half).unwrap(), []);
    let announce = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0];
    assert_eq!(
        feed(&mut reader, &announce).unwrap(),
        [(1, 0, 0, vec![0, 0, 0x10, 0])]
    );
    reader.set_chunk_size(4_096).unwrap();
    let rest = cat(&[&[0xC6], &[1; 172]]);
    assert_eq!(feed(&mut reader, &rest).unwrap(), [(9, 0, 1, vec![1; 300])]);
}

#[test]
fn chunk_sizes_outside_the_range_are_refused_or_clamped() {
    // Z-18, K-22.
    let mut reader = reader();
    for found in [0, 1, 127, 0x8000_0000, 0x8000_1000, u32::MAX] {
        let refused = Err(Error::ChunkSize { found, min: 128 });
        assert_eq!(reader.set_chunk_size(found), refused);
    }
    assert_eq!(reader.chunk_size, 128);
    reader.set_chunk_size(0x7FFF_FFFF).unwrap();
    assert_eq!(reader.chunk_size, 0xFF_FFFF);
}

#[test]
fn a_repeated_header_goes_on_with_the_message() {
    // K-14.
    let first = audio(4, 5, 130);
    for repeated in [
        &audio(4, 9, 130)[..],
        &[0x44, 0, 0, 9, 0, 0, 130, 8],
        &[0x84, 0, 0, 9],
    ] {
        let bytes = cat(&[&first, &[1; 128], repeated, &[1; 2]]);
        assert_eq!(read(&bytes).unwrap(), [(8, 5, 1, vec![1; 130])]);
    }
}

#[test]
fn a_message_that_changes_halfway_closes() {
    // Z-16, Z-17.
    let begun = cat(&[&audio(4, 5, 130), &[1; 128]]);
    let mut other_stream = audio(4, 5, 130);
    other_stream[8] = 2;
    let changes: [&[u8]; 4] = [
        &audio(4, 5, 131),
        &other_stream,
        &[0x44, 0, 0, 9, 0, 0, 130, 9],
        &[0x44, 0, 0, 9, 1, 0, 130, 8],
    ];
    let error = Error::MessageChanged {
        csid: 4,
        kind: Kind::Audio,
        length: 130,
    };
    for change in changes {
        assert_eq!(read(&cat(&[&begun, change])), Err(error.clone()));
    }
}

#[test]
fn an_abort_discards_the_partial_message_alone() {
    // K-27, Z-25.
    let mut reader = reader();
    let begun = cat(&[&audio(4, 5, 130), &[1; 128]]);
    assert_eq!(feed(&mut reader, &begun).unwrap(), []);
    for idle in [0, 1, 2, 5, u32::MAX] {
        reader.abort(idle);
    }
    assert_eq!(reader.partial_bytes(), 128);
    reader.abort(4);
    assert_eq!(reader.partial_bytes(), 0);
    let again = cat(&[&[0xC4], &[2; 128], &[0xC4], &[2; 2]]);
    assert_eq!(
        feed(&mut reader, &again).unwrap(),
        [(8, 10, 1, vec![2; 130])]
    );
}

#[test]
fn an_abort_inside_a_chunk_skips_its_rest() {
    let mut reader = reader();
    assert_eq!(
        feed(&mut reader, &cat(&[&audio(4, 5, 10), &[1; 4]])).unwrap(),
        []
    );
    reader.abort(4);
    let rest = cat(&[&[1; 6], &audio(4, 6, 1), &[2]]);
    assert_eq!(feed(&mut reader, &rest).unwrap(), [(8, 6, 1, vec![2])]);
    assert_eq!(reader.partial_bytes(), 0);
}

#[test]
fn a_length_over_the_limit_closes_on_the_header() {
    // Z-15 and L-06.
    let stranger = |bytes: &[u8]| feed(&mut ChunkReader::new(ReaderLimits::STRANGER), bytes);
    let huge = [3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 20, 0, 0, 0, 0];
    let (found, max) = (0xFF_FFFF, 64 << 10);
    let error = Error::MessageLength {
        csid: 3,
        kind: Kind::CommandAmf0,
        found,
        max,
    };
    assert_eq!(stranger(&huge), Err(error));
    let control = [3, 0, 0, 0, 0, 0, 65, 4, 0, 0, 0, 0];
    let error = Error::MessageLength {
        csid: 3,
        kind: Kind::UserControl,
        found: 65,
        max: 64,
    };
    assert_eq!(stranger(&control), Err(error));
}

#[test]
fn chunk_streams_are_counted() {
    // Z-13.
    let limits = ReaderLimits {
        chunk_streams_max: 3,
        ..ReaderLimits::PUBLISHER
    };
    let mut reader = ChunkReader::new(limits);
    for csid in [4, 5, 6] {
        feed(&mut reader, &audio(csid, 0, 0)).unwrap();
    }
    feed(&mut reader, &audio(5, 1, 0)).unwrap();
    let error = Err(Error::ChunkStreams { csid: 7, max: 3 });
    assert_eq!(feed(&mut reader, &audio(7, 0, 0)), error);
}

#[test]
fn partial_messages_are_counted() {
    // Z-14: ids 10 to 17 each announce 8 MiB and send one chunk.
    let mut reader = reader();
    let begin = |csid| cat(&[&[csid, 0, 0, 0, 0x80, 0, 0, 9, 1, 0, 0, 0], &[0; 128]]);
    for csid in 10..18 {
        feed(&mut reader, &begin(csid)).unwrap();
    }
    assert_eq!(reader.partial_bytes(), 8 * 128);
    // A message of one chunk still passes.
    assert_eq!(feed(&mut reader, &audio(4, 0, 0)).unwrap().len(), 1);
    assert_eq!(
        feed(&mut reader, &begin(18)),
        Err(Error::PartialMessages { max: 8 })
    );
}

#[test]
fn partial_bytes_have_a_common_budget() {
    let limits = ReaderLimits {
        partial_bytes_max: 256,
        ..ReaderLimits::PUBLISHER
    };
    let mut reader = ChunkReader::new(limits);
    for csid in [4, 5] {
        feed(&mut reader, &cat(&[&audio(csid, 0, 200), &[0; 128]])).unwrap();
    }
    let error = Err(Error::PartialBytes {
        found: 257,
        max: 256,
    });
    assert_eq!(feed(&mut reader, &audio(6, 0, 1)), error);
}

#[test]
fn an_error_stays_when_read_again() {
    let mut reader = reader();
    let begun = cat(&[&audio(4, 5, 130), &[1; 128]]);
    feed(&mut reader, &begun).unwrap();
    let error = Err(Error::MessageChanged {
        csid: 4,
        kind: Kind::Audio,
        length: 130,
    });
    assert_eq!(feed(&mut reader, &audio(4, 5, 131)), error);
    assert_eq!(feed(&mut reader, &audio(4, 5, 131)), error);
}
