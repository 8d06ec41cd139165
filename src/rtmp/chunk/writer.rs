//! Chunk headers and whole messages written as chunks.
//!
//! Invariant: once the first chunk of a message is written all of it is (K-28). The stateless
//! functions use header formats 0 and 3 only, so their bytes depend on nothing but the message;
//! `ChunkWriter` remembers what it sent and leaves out what the reader knows (K-17).

use std::collections::BTreeMap;

use super::{EXTENDED, Head, csid};
use crate::rtmp::message::{Control, Kind};
use crate::wire::put_u24;

/// Writes messages with compressed headers, formats 0 to 3 (K-17). For one connection.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: u32,
    sent: BTreeMap<u32, Sent>,
}

impl ChunkWriter {
    /// A writer at the start of a connection. `chunk_size` is 128 until another was announced.
    #[must_use]
    pub fn new(chunk_size: u32) -> Self {
        Self {
            chunk_size: chunk_size.max(1),
            sent: BTreeMap::new(),
        }
    }

    /// Cuts from the next message on at `size`; the caller has just written the announcement.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.max(1);
    }

    /// Appends one message in the shortest form the reader is sure to understand.
    /// `payload` ≤ 0xFF_FFFF bytes, `head.csid` 2 to 65,599.
    pub fn write_message(&mut self, out: &mut Vec<u8>, head: &Head, payload: &[u8]) {
        let len = wire_len(payload);
        let form = self.form(head, len);
        self.remember(head, len, form);
        match form {
            Form::Whole => return write_message(out, head, payload, self.chunk_size),
            Form::Delta(delta) => {
                put_basic(out, 1, head.csid);
                put_u24(out, delta);
                put_u24(out, len);
                out.push(head.kind.wire());
            }
            Form::SameLength(delta) => {
                put_basic(out, 2, head.csid);
                put_u24(out, delta);
            }
            Form::Same(_) => put_basic(out, 3, head.csid),
        }
        // These forms carry no extended timestamp, so neither do the separators.
        put_chunks(
            out,
            payload,
            self.chunk_size,
            &next_head(&Head {
                timestamp: 0,
                ..*head
            }),
        );
    }

    fn form(&self, head: &Head, len: u32) -> Form {
        let Some(sent) = self.sent.get(&head.csid) else {
            return Form::Whole;
        };
        let delta = head.timestamp.wrapping_sub(sent.timestamp);
        // A delta that needs the extended field is read as an absolute time by some (INTEROP 9);
        // a backward step is one.
        if sent.stream_id != head.stream_id || delta >= EXTENDED {
            return Form::Whole;
        }
        if sent.kind != head.kind || sent.len != len {
            return Form::Delta(delta);
        }
        if sent.delta == Some(delta) {
            Form::Same(delta)
        } else {
            Form::SameLength(delta)
        }
    }

    fn remember(&mut self, head: &Head, len: u32, form: Form) {
        let delta = match form {
            Form::Delta(delta) | Form::SameLength(delta) | Form::Same(delta) => Some(delta),
            // K-06: readers disagree what a format 3 after a format 0 adds, except after time 0.
            Form::Whole => (head.timestamp == 0).then_some(0),
        };
        let sent = Sent {
            timestamp: head.timestamp,
            delta,
            len,
            kind: head.kind,
            stream_id: head.stream_id,
        };
        self.sent.insert(head.csid, sent);
    }
}

/// What the reader at the other end knows of one chunk stream.
#[derive(Clone, Copy, Debug)]
struct Sent {
    timestamp: u32,
    /// What a format 3 start would add; `None` when readers disagree.
    delta: Option<u32>,
    len: u32,
    kind: Kind,
    stream_id: u32,
}

/// Header formats 0 to 3 of a message's first chunk, with the time step they convey.
#[derive(Clone, Copy, Debug)]
enum Form {
    Whole,
    Delta(u32),
    SameLength(u32),
    Same(u32),
}

/// A chunk header by value: up to 3 basic, 11 message and 4 extended timestamp bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadBytes {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl HeadBytes {
    /// Longest chunk header there is, in bytes.
    pub const MAX: usize = 18;

    /// The header.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn basic(fmt: u8, csid: u32) -> Self {
        debug_assert!((2..=65_599).contains(&csid), "chunk stream id {csid}");
        let mut head = Self {
            bytes: [0; Self::MAX],
            len: 0,
        };
        let [low, high, ..] = csid.wrapping_sub(64).to_le_bytes();
        match csid {
            ..64 => head.push([fmt << 6 | low.wrapping_add(64)]),
            64..320 => head.push([fmt << 6, low]),
            _ => head.push([fmt << 6 | 1, low, high]),
        }
        head
    }

    fn push<const N: usize>(&mut self, piece: [u8; N]) {
        for byte in piece {
            if let Some(to) = self.bytes.get_mut(usize::from(self.len)) {
                *to = byte;
                self.len += 1;
            }
        }
    }

    fn push_u24(&mut self, value: u32) {
        let [_, a, b, c] = value.to_be_bytes();
        self.push([a, b, c]);
    }
}

/// The header of a message's first chunk: format 0, absolute timestamp, extended when it is
/// `0xFF_FFFF` or more (K-04). `len` ≤ `0xFF_FFFF`.
#[must_use]
pub fn first_head(head: &Head, len: u32) -> HeadBytes {
    debug_assert!(len <= LEN_MAX, "message of {len} bytes");
    let mut bytes = HeadBytes::basic(0, head.csid);
    bytes.push_u24(head.timestamp.min(EXTENDED));
    bytes.push_u24(len);
    bytes.push([head.kind.wire()]);
    bytes.push(head.stream_id.to_le_bytes());
    if head.timestamp >= EXTENDED {
        bytes.push(head.timestamp.to_be_bytes());
    }
    bytes
}

/// The header of a message's other chunks after `first_head`: format 3. Repeats the extended
/// timestamp, else players die after 4 h 39 min (K-10).
#[must_use]
pub fn next_head(head: &Head) -> HeadBytes {
    let mut bytes = HeadBytes::basic(3, head.csid);
    if head.timestamp >= EXTENDED {
        bytes.push(head.timestamp.to_be_bytes());
    }
    bytes
}

/// Appends one message cut at `chunk_size` (≥ 1), header formats 0 and 3 only.
/// `payload` ≤ `0xFF_FFFF` bytes.
pub fn write_message(out: &mut Vec<u8>, head: &Head, payload: &[u8], chunk_size: u32) {
    out.extend_from_slice(first_head(head, wire_len(payload)).as_slice());
    put_chunks(out, payload, chunk_size, &next_head(head));
}

/// Appends a control message: chunk stream 2, message stream 0, time 0 (K-18). At most 10 bytes of
/// payload: one chunk at every chunk size.
pub fn write_control(out: &mut Vec<u8>, control: &Control) {
    let head = Head {
        csid: csid::CONTROL,
        timestamp: 0,
        kind: control.kind(),
        stream_id: 0,
    };
    out.extend_from_slice(first_head(&head, control.wire_len()).as_slice());
    control.write(out);
}

fn put_basic(out: &mut Vec<u8>, fmt: u8, csid: u32) {
    out.extend_from_slice(HeadBytes::basic(fmt, csid).as_slice());
}

/// Appends the payload with `next` between its chunks.
fn put_chunks(out: &mut Vec<u8>, payload: &[u8], chunk_size: u32, next: &HeadBytes) {
    let size = usize::try_from(chunk_size.max(1)).unwrap_or(usize::MAX);
    for (i, piece) in payload.chunks(size).enumerate() {
        if i > 0 {
            out.extend_from_slice(next.as_slice());
        }
        out.extend_from_slice(piece);
    }
}

fn wire_len(payload: &[u8]) -> u32 {
    debug_assert!(
        payload.len() <= 0xFF_FFFF,
        "message of {} bytes",
        payload.len()
    );
    u32::try_from(payload.len()).unwrap_or(LEN_MAX)
}

/// Longest message the header can announce, in bytes.
const LEN_MAX: u32 = 0xFF_FFFF;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::message::{BandwidthLimit, UserControl};

    fn control(control: Control) -> Vec<u8> {
        let mut out = Vec::new();
        write_control(&mut out, &control);
        out
    }

    const VIDEO: Head = Head {
        csid: csid::VIDEO,
        timestamp: 20_000_000,
        kind: Kind::Video,
        stream_id: 1,
    };

    #[test]
    fn control_messages_are_the_golden_bytes() {
        // K-21, K-36, U-01.
        let set_chunk_size = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0];
        assert_eq!(control(Control::SetChunkSize(4_096)), set_chunk_size);
        let window = [2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x4C, 0x4B, 0x40];
        assert_eq!(control(Control::WindowAckSize(5_000_000)), window);
        let bandwidth = [2, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0x4C, 0x4B, 0x40, 2];
        let limit = BandwidthLimit::Dynamic;
        assert_eq!(
            control(Control::SetPeerBandwidth {
                size: 5_000_000,
                limit
            }),
            bandwidth
        );
        let begin = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(control(Control::User(UserControl::StreamBegin(1))), begin);
    }

    #[test]
    fn a_command_head_is_the_golden_bytes() {
        // K-20: the createStream result, 29 bytes.
        let head = Head {
            csid: 3,
            timestamp: 0,
            kind: Kind::CommandAmf0,
            stream_id: 0,
        };
        assert_eq!(
            first_head(&head, 29).as_slice(),
            [3, 0, 0, 0, 0, 0, 0x1D, 20, 0, 0, 0, 0]
        );
    }

    #[test]
    fn an_extended_timestamp_is_in_every_chunk() {
        // B-10.
        let payload: Vec<u8> = (0..=255).chain(0..44).collect();
        let mut out = Vec::new();
        write_message(&mut out, &VIDEO, &payload, 128);
        let first = [
            6, 0xFF, 0xFF, 0xFF, 0, 0x01, 0x2C, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2D, 0x00,
        ];
        let next = [0xC6, 0x01, 0x31, 0x2D, 0x00];
        let want = [
            &first,
            &payload[..128],
            &next,
            &payload[128..256],
            &next,
            &payload[256..],
        ]
        .concat();
        assert_eq!(out, want);
    }

    #[test]
    fn only_times_that_fill_the_field_are_extended() {
        // K-04.
        let at = |timestamp| first_head(&Head { timestamp, ..VIDEO }, 0);
        assert_eq!(at(0xFF_FFFE).as_slice()[..4], [6, 0xFF, 0xFF, 0xFE]);
        assert_eq!(at(0xFF_FFFE).as_slice().len(), 12);
        assert_eq!(at(0xFF_FFFF).as_slice()[..4], [6, 0xFF, 0xFF, 0xFF]);
        assert_eq!(at(0xFF_FFFF).as_slice()[12..], [0x00, 0xFF, 0xFF, 0xFF]);
        assert_eq!(
            next_head(&Head {
                timestamp: 0xFF_FFFE,
                ..VIDEO
            })
            .as_slice(),
            [0xC6]
        );
    }

    #[test]
    fn chunk_stream_ids_take_their_shortest_form() {
        let basic = |csid| {
            next_head(&Head {
                csid,
                timestamp: 0,
                ..VIDEO
            })
        };
        assert_eq!(basic(2).as_slice(), [0xC2]);
        assert_eq!(basic(63).as_slice(), [0xFF]);
        assert_eq!(basic(64).as_slice(), [0xC0, 0]);
        assert_eq!(basic(319).as_slice(), [0xC0, 0xFF]);
        assert_eq!(basic(320).as_slice(), [0xC1, 0x00, 0x01]);
        assert_eq!(basic(65_599).as_slice(), [0xC1, 0xFF, 0xFF]);
        assert_eq!(
            HeadBytes::MAX,
            first_head(&Head { csid: 320, ..VIDEO }, 0).as_slice().len()
        );
    }

    #[test]
    fn the_stateful_writer_leaves_out_what_the_reader_knows() {
        let mut writer = ChunkWriter::new(128);
        let mut head_of = |timestamp, stream_id, payload: &[u8]| {
            let mut out = Vec::new();
            let head = Head {
                timestamp,
                stream_id,
                ..VIDEO
            };
            writer.write_message(&mut out, &head, payload);
            out.truncate(out.len() - payload.len());
            out
        };
        // The first message on an id, K-17.
        assert_eq!(
            head_of(40, 1, &[1; 4]),
            [6, 0, 0, 40, 0, 0, 4, 9, 1, 0, 0, 0]
        );
        // Equal step, but readers disagree on a format 3 after a format 0, K-06.
        assert_eq!(head_of(80, 1, &[1; 4]), [0x86, 0, 0, 40]);
        assert_eq!(head_of(120, 1, &[1; 4]), [0xC6]);
        assert_eq!(head_of(160, 1, &[1; 5]), [0x46, 0, 0, 40, 0, 0, 5, 9]);
        // Backwards, another message stream, and a step too large for 24 bits: all from scratch.
        assert_eq!(head_of(150, 1, &[1; 5]).len(), 12);
        assert_eq!(head_of(150, 2, &[1; 5]).len(), 12);
        assert_eq!(head_of(150 + 0xFF_FFFF, 2, &[1; 5]).len(), 16);
        // After an extended one a short step needs no extended field.
        assert_eq!(head_of(151 + 0xFF_FFFF, 2, &[1; 5]), [0x86, 0, 0, 1]);
    }
}
