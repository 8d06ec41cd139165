//! Laws of the chunk layer: splits do not matter, reading undoes writing, garbage stays bounded.
//!
//! `Sender` makes chunks in every legal form, `reference` is a slow reader that follows the
//! specification and nothing else. Protocol §2, Y-03.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::collections::HashMap;

use corecast::limits::ReaderLimits;
use corecast::rtmp::Error;
use corecast::rtmp::chunk::{
    ChunkReader, ChunkWriter, Head, HeadBytes, first_head, next_head, write_control, write_message,
};
use corecast::rtmp::message::{Control, Kind, Message};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

// ---- reading ----

/// Kind, timestamp, message stream id, payload.
type Seen = (Kind, u32, u32, Vec<u8>);

/// Feeds `bytes` in pieces of the given sizes, in turns, and does what a session does with control
/// messages. Ends at the first error.
fn read(limits: ReaderLimits, bytes: &[u8], sizes: &[usize]) -> (Vec<Seen>, Option<Error>) {
    let mut reader = ChunkReader::new(limits);
    let mut seen = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (mut piece, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = later;
        loop {
            let step = reader.read(&mut piece);
            assert!(reader.partial_bytes() <= limits.partial_bytes_max as usize);
            match step {
                Ok(None) => break,
                Ok(Some(message)) => {
                    seen.push(seen_of(&message));
                    if let Err(error) = obey(&mut reader, &message) {
                        return (seen, Some(error));
                    }
                }
                Err(error) => return (seen, Some(error)),
            }
        }
        assert!(piece.is_empty(), "None means all was consumed");
    }
    (seen, None)
}

fn obey(reader: &mut ChunkReader, message: &Message) -> Result<(), Error> {
    match Control::parse(message.kind, message.payload()) {
        Some(Control::SetChunkSize(size)) => reader.set_chunk_size(size)?,
        Some(Control::Abort(csid)) => reader.abort(csid),
        _ => {}
    }
    Ok(())
}

fn seen_of(message: &Message) -> Seen {
    (
        message.kind,
        message.timestamp,
        message.stream_id,
        message.payload().to_vec(),
    )
}

fn read_whole(bytes: &[u8]) -> Vec<Seen> {
    let (seen, error) = read(LIMITS, bytes, &[usize::MAX]);
    assert_eq!(error, None);
    seen
}

// ---- the slow reference ----

#[derive(Clone, Default)]
struct Last {
    timestamp: u32,
    delta: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream_id: u32,
    partial: Option<Vec<u8>>,
}

/// Reads a whole well-formed recording by the letter of the specification; `repeats` says whether
/// its sender repeats extended timestamps (the specification: yes).
fn reference(bytes: &[u8], repeats: bool) -> Vec<Seen> {
    let mut streams: HashMap<u32, Last> = HashMap::new();
    let mut chunk_size = 128;
    let mut seen = Vec::new();
    let mut at = 0;
    let mut take = |n: usize| {
        at += n;
        (&bytes[at - n..at], at == bytes.len())
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum: u32, b| sum << 8 | u32::from(*b));
    let mut end = bytes.is_empty();
    while !end {
        let first = take(1).0[0];
        let csid = match first & 63 {
            0 => 64 + u32::from(take(1).0[0]),
            1 => {
                let id = take(2).0;
                64 + u32::from(id[0]) + 256 * u32::from(id[1])
            }
            id => u32::from(id),
        };
        let fmt = first >> 6;
        let last = streams.entry(csid).or_default();
        let mut field = 0;
        if fmt <= 2 {
            field = number(take(3).0);
        }
        if fmt <= 1 {
            last.length = number(take(3).0) as usize;
            last.kind = take(1).0[0];
        }
        if fmt == 0 {
            let id = take(4).0;
            last.stream_id = u32::from_le_bytes(id.try_into().unwrap());
        }
        if fmt <= 2 {
            last.extended = field == 0xFF_FFFF;
        }
        if last.extended && (fmt <= 2 || repeats) {
            field = number(take(4).0);
        }
        if last.partial.is_none() {
            if fmt <= 2 {
                last.delta = field;
            }
            let base = if fmt == 0 { 0 } else { last.timestamp };
            last.timestamp = base.wrapping_add(last.delta);
        }
        let mut body = last.partial.take().unwrap_or_default();
        let (piece, is_end) = take(chunk_size.min(last.length - body.len()));
        body.extend_from_slice(piece);
        end = is_end;
        if body.len() < last.length {
            last.partial = Some(body);
            continue;
        }
        if last.kind == 1 {
            chunk_size = number(&body) as usize;
        }
        seen.push((
            Kind::from_wire(last.kind),
            last.timestamp,
            last.stream_id,
            body,
        ));
    }
    seen
}

// ---- a sender of every legal form ----

/// One message to be sent.
#[derive(Clone, Debug)]
struct Plan {
    csid: u32,
    kind: Kind,
    time: Time,
    len: usize,
    stream_id: u32,
    /// Header format wanted; a lower one is used when it cannot say what is needed.
    fmt: u8,
}

#[derive(Clone, Debug)]
enum Time {
    At(u32),
    Step(u32),
    SameStep,
}

/// Cuts planned messages into chunks.
struct Sender {
    chunk_size: usize,
    repeats: bool,
    sent: HashMap<u32, Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    timestamp: u32,
    /// What a reader adds to a message that begins with format 3; `None` when readers disagree.
    delta: Option<u32>,
    /// The raw field of the last format 0, 1 or 2 header.
    field: u32,
    len: usize,
    kind: Kind,
    stream_id: u32,
}

impl Sender {
    /// The chunks of one message, and what a reader should make of them.
    fn send(&mut self, plan: &Plan) -> (Vec<Vec<u8>>, Seen) {
        let sent = self.sent.get(&plan.csid).copied();
        let before = sent.map_or(0, |sent| sent.timestamp);
        let timestamp = match plan.time {
            Time::At(timestamp) => timestamp,
            Time::Step(step) => before.wrapping_add(step),
            Time::SameStep => before.wrapping_add(sent.and_then(|s| s.delta).unwrap_or(20)),
        };
        let (fmt, field) = self.form(plan, timestamp);
        let head = Head {
            csid: plan.csid,
            timestamp,
            kind: plan.kind,
            stream_id: plan.stream_id,
        };
        let payload: Vec<u8> = (0..plan.len).map(filler).collect();
        let mut first = basic(fmt, plan.csid);
        if fmt < 3 {
            first.extend(&field.min(0xFF_FFFF).to_be_bytes()[1..]);
        }
        if fmt < 2 {
            first.extend(&(plan.len as u32).to_be_bytes()[1..]);
            first.push(plan.kind.wire());
        }
        if fmt == 0 {
            first.extend(plan.stream_id.to_le_bytes());
        }
        let extended = field >= 0xFF_FFFF;
        let mut next = basic(3, plan.csid);
        if extended && (fmt < 3 || self.repeats) {
            first.extend(field.to_be_bytes());
        }
        if extended && self.repeats {
            next.extend(field.to_be_bytes());
        }
        let mut chunks = vec![first];
        for (i, piece) in payload.chunks(self.chunk_size).enumerate() {
            if i > 0 {
                chunks.push(next.clone());
            }
            chunks.last_mut().unwrap().extend(piece);
        }
        let delta = match fmt {
            0 => (timestamp <= 100).then_some(timestamp),
            3 => sent.unwrap().delta,
            _ => Some(field),
        };
        let (len, kind, stream_id) = (plan.len, plan.kind, plan.stream_id);
        self.sent.insert(
            plan.csid,
            Sent {
                timestamp,
                delta,
                field,
                len,
                kind,
                stream_id,
            },
        );
        (chunks, (head.kind, timestamp, head.stream_id, payload))
    }

    /// The highest format up to the wanted one that can say it, and its raw time field.
    fn form(&self, plan: &Plan, timestamp: u32) -> (u8, u32) {
        let Some(sent) = self.sent.get(&plan.csid) else {
            return (0, timestamp);
        };
        let delta = timestamp.wrapping_sub(sent.timestamp);
        // A delta about as large as the time itself would be taken for an absolute time.
        let near = |a: u32| a.cast_signed().unsigned_abs() <= 5_000;
        let alike = delta >= 0xFF_FFFF && near(delta.wrapping_sub(sent.timestamp)) && !near(delta);
        if plan.fmt == 0 || sent.stream_id != plan.stream_id || alike {
            (0, timestamp)
        } else if plan.fmt == 1 || sent.kind != plan.kind || sent.len != plan.len {
            (1, delta)
        } else if plan.fmt == 2 || sent.delta != Some(delta) {
            (2, delta)
        } else {
            (3, sent.field)
        }
    }
}

/// The bytes of one chunk and, for a last one, the message it completes.
type Chunk = (Vec<u8>, Option<Seen>);

/// A basic header with format `fmt`.
fn basic(fmt: u8, csid: u32) -> Vec<u8> {
    match csid {
        0..64 => vec![fmt << 6 | csid as u8],
        64..320 => vec![fmt << 6, (csid - 64) as u8],
        _ => vec![fmt << 6 | 1, (csid - 64) as u8, ((csid - 64) >> 8) as u8],
    }
}

/// Payload that never looks like a timestamp of these tests.
fn filler(i: usize) -> u8 {
    0x20 + (i % 61) as u8
}

/// Sends the plans, chunks interleaved: each `pick` sends one chunk of one of the chunk streams
/// that have something to send. Returns the bytes and the messages in order of completion.
fn interleaved(plans: &[Plan], picks: &[usize], mut sender: Sender) -> (Vec<u8>, Vec<Seen>) {
    let mut queues: Vec<(u32, Vec<Chunk>)> = Vec::new();
    for plan in plans {
        let (chunks, seen) = sender.send(plan);
        let mut chunks: Vec<_> = chunks.into_iter().map(|chunk| (chunk, None)).collect();
        chunks.last_mut().unwrap().1 = Some(seen);
        match queues.iter_mut().find(|(csid, _)| *csid == plan.csid) {
            Some((_, queue)) => queue.extend(chunks),
            None => queues.push((plan.csid, chunks)),
        }
    }
    let mut queues: Vec<_> = queues
        .into_iter()
        .map(|(_, queue)| queue.into_iter())
        .collect();
    let (mut bytes, mut order) = (Vec::new(), Vec::new());
    let mut picks = picks.iter().cycle();
    while !queues.is_empty() {
        let pick = picks.next().unwrap() % queues.len();
        match queues[pick].next() {
            Some((chunk, seen)) => {
                bytes.extend(chunk);
                order.extend(seen);
            }
            None => drop(queues.remove(pick)),
        }
    }
    // An end that is no timestamp: a reader that has seen no repeated one yet looks past the last.
    bytes.extend([2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
    order.push((Kind::Ack, 0, 0, Vec::new()));
    (bytes, order)
}

// ---- strategies ----

fn plan() -> impl Strategy<Value = Plan> {
    let time = prop_oneof![
        1 => select(TIMES).prop_map(Time::At),
        3 => (0_u32..200).prop_map(Time::Step),
        1 => (1_u32..200).prop_map(|back| Time::Step(back.wrapping_neg())),
        1 => select(&[0xFF_FFFE, 0xFF_FFFF, 0x100_0000, 0x0131_2D00][..]).prop_map(Time::Step),
        3 => Just(Time::SameStep),
    ];
    let kind = select(&[Kind::Audio, Kind::Video, Kind::DataAmf0, Kind::Other(7)][..]);
    let len = select(&[0_usize, 1, 3, 127, 128, 129, 130, 256, 300, 4_095, 4_096][..]);
    let csid = select(&[3_u32, 4, 6, 33, 63, 200, 400][..]);
    (csid, kind, time, len, 1_u32..3, 0_u8..4).prop_map(
        |(csid, kind, time, len, stream_id, fmt)| Plan {
            csid,
            kind,
            time,
            len,
            stream_id,
            fmt,
        },
    )
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        vec(1_usize..7, 1..9),
        vec(1_usize..700, 1..9)
    ]
}

/// Well-formed chunks in any order and form, some of them damaged afterwards.
fn recording(damage: bool) -> impl Strategy<Value = Vec<u8>> {
    let hits = if damage { 1..6 } else { 0..1 };
    let byte = select(&[0_u8, 1, 2, 3, 8, 0x44, 0x84, 0xC4, 0xC6, 0x7F, 0xFF][..]);
    let hits = vec((any::<prop::sample::Index>(), byte), hits);
    (
        vec(plan(), 1..12),
        vec(0_usize..8, 1..20),
        any::<bool>(),
        hits,
    )
        .prop_map(|(plans, picks, repeats, hits)| {
            let sender = Sender {
                chunk_size: 128,
                repeats,
                sent: HashMap::new(),
            };
            let (mut bytes, _) = interleaved(&plans, &picks, sender);
            for (place, byte) in hits {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// ---- laws ----

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_split_of_a_good_recording_reads_alike(bytes in recording(false), sizes in sizes()) {
        prop_assert_eq!(read(LIMITS, &bytes, &sizes), read(LIMITS, &bytes, &[usize::MAX]));
    }

    #[test]
    fn any_split_of_a_damaged_recording_reads_alike(bytes in recording(true), sizes in sizes()) {
        for limits in [LIMITS, TIGHT] {
            prop_assert_eq!(read(limits, &bytes, &sizes), read(limits, &bytes, &[usize::MAX]));
        }
    }

    #[test]
    fn any_split_of_garbage_reads_alike(bytes in vec(any::<u8>(), 0..3_000), sizes in sizes()) {
        for limits in [LIMITS, TIGHT, ReaderLimits::STRANGER] {
            prop_assert_eq!(read(limits, &bytes, &sizes), read(limits, &bytes, &[usize::MAX]));
        }
    }

    #[test]
    fn every_form_and_order_of_chunks_reads_as_it_was_meant(
        plans in vec(plan(), 1..24),
        picks in vec(0_usize..8, 1..40),
        chunk_size in select(&[128_usize, 129, 4_096][..]),
        repeats: bool,
    ) {
        let sender = Sender { chunk_size, repeats, sent: HashMap::new() };
        let (chunks, meant) = interleaved(&plans, &picks, sender);
        let mut bytes = Vec::new();
        write_control(&mut bytes, &Control::SetChunkSize(chunk_size as u32));
        bytes.extend(chunks);
        let seen = read_whole(&bytes);
        prop_assert_eq!(&seen[1..], &meant[..]);
        prop_assert_eq!(seen, reference(&bytes, repeats));
    }

    #[test]
    fn the_stateful_writer_is_understood_by_everyone(
        plans in vec(plan(), 1..24),
        chunk_size in select(&[128_u32, 1_000, 60_000][..]),
    ) {
        let mut writer = ChunkWriter::new(128);
        let mut bytes = Vec::new();
        let mut meant = Vec::new();
        let announce = chunk_size.to_be_bytes();
        let head = Head { csid: 2, timestamp: 0, kind: Kind::SetChunkSize, stream_id: 0 };
        writer.write_message(&mut bytes, &head, &announce);
        writer.set_chunk_size(chunk_size);
        meant.push((head.kind, 0, 0, announce.to_vec()));
        let mut clock = 0_u32;
        for plan in &plans {
            clock = match plan.time {
                Time::At(timestamp) => timestamp,
                Time::Step(step) => clock.wrapping_add(step),
                Time::SameStep => clock.wrapping_add(20),
            };
            let Plan { csid, kind, stream_id, len, .. } = *plan;
            let payload: Vec<u8> = (0..len).map(filler).collect();
            let head = Head { csid, timestamp: clock, kind, stream_id };
            writer.write_message(&mut bytes, &head, &payload);
            meant.push((kind, clock, stream_id, payload));
        }
        prop_assert_eq!(&read_whole(&bytes), &meant);
        prop_assert_eq!(&reference(&bytes, true), &meant);
    }
}

#[test]
fn reading_undoes_writing_for_every_size_and_time() {
    for chunk_size in [128, 4_096, 65_536] {
        for len in SIZES {
            let payload: Vec<u8> = (0..len).map(filler).collect();
            for timestamp in TIMES.iter().copied() {
                let head = Head {
                    csid: 6,
                    timestamp,
                    kind: Kind::Video,
                    stream_id: 1,
                };
                let mut bytes = Vec::new();
                write_control(&mut bytes, &Control::SetChunkSize(chunk_size));
                write_message(&mut bytes, &head, &payload, chunk_size);
                write_message(&mut bytes, &head, &payload, chunk_size);
                let message = (Kind::Video, timestamp, 1, payload.clone());
                assert_eq!(read_whole(&bytes)[1..], [message.clone(), message]);
                assert_eq!(
                    wire_len(&head, len, chunk_size as usize) * 2 + 16,
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn the_longest_message_there_is_survives() {
    let limits = ReaderLimits {
        message_bytes_max: 0xFF_FFFF,
        ..ReaderLimits::PUBLISHER
    };
    let payload: Vec<u8> = (0..0xFF_FFFF).map(filler).collect();
    let head = Head {
        csid: 6,
        timestamp: 0xFF_FFFF,
        kind: Kind::Video,
        stream_id: 1,
    };
    let mut bytes = Vec::new();
    write_control(&mut bytes, &Control::SetChunkSize(60_000));
    write_message(&mut bytes, &head, &payload, 60_000);
    let (seen, error) = read(limits, &bytes, &[256 << 10]);
    assert_eq!(error, None);
    assert!(seen[1] == (Kind::Video, 0xFF_FFFF, 1, payload), "differs");
}

/// Bytes of a message by its heads, as the frame builder counts them.
fn wire_len(head: &Head, len: usize, chunk_size: usize) -> usize {
    let (first, next): (HeadBytes, HeadBytes) = (first_head(head, len as u32), next_head(head));
    let separators = len.div_ceil(chunk_size).saturating_sub(1);
    first.as_slice().len() + len + separators * next.as_slice().len()
}

/// Y-03; the largest, `0xFF_FFFF`, has a test of its own.
const SIZES: [usize; 9] = [0, 1, 127, 128, 129, 4_095, 4_096, 65_535, 65_536];

/// Y-03.
const TIMES: &[u32] = &[
    0,
    0xFF_FFFE,
    0xFF_FFFF,
    0x100_0000,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
];

/// What a publisher has.
const LIMITS: ReaderLimits = ReaderLimits::PUBLISHER;

/// So small that ordinary recordings run into every one of them.
const TIGHT: ReaderLimits = ReaderLimits {
    message_bytes_max: 300,
    partial_bytes_max: 400,
    partial_messages_max: 2,
    chunk_streams_max: 4,
    chunk_size_min: 1,
};
