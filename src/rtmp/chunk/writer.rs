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
