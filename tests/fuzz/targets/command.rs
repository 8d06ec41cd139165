//! Messages of every kind for a session, whole and in valid chunks: the fuzzer's effort goes into
//! what they say.
//!
//! Input: mood of the host, then messages: kind, message stream, action of the host, time, length,
//! payload.
//!
//! Laws: those of `host`; a control message that was read is written as it came; an aggregate
//! makes no more bytes than it has.

use corecast::rtmp::chunk::{Head, write_message};
use corecast::rtmp::message::{Body, Control, Kind, Message, split_aggregate};

use super::host::{Host, Mood};
use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let mood = Mood(taker.u8());
    // Without a handshake no message is read.
    let mood = Mood(if mood.preamble() == 1 {
        mood.0 & !0x18
    } else {
        mood.0
    });
    let mut host = Host::new(mood);
    let mut chunk_size = 128;
    let mut bytes = Vec::new();
    while !taker.is_empty() && !host.is_over() {
        let kind = Kind::from_wire(taker.u8());
        let stream_id = u32::from(taker.u8());
        let action = taker.u8();
        let timestamp = u32::from(taker.u8()) << 12;
        let len = usize::from(taker.u16());
        let payload = taker.bytes(len);
        let head = Head {
            csid: 3,
            timestamp,
            kind,
            stream_id,
        };
        bytes.clear();
        write_message(&mut bytes, &head, payload, chunk_size);
        host.feed(&bytes);
        if let Some(control) = controlled(kind, payload)
            && let Control::SetChunkSize(size) = control
        {
            chunk_size = size.clamp(1, 0xFF_FFFF);
        }
        if kind == Kind::Aggregate {
            taken_apart(payload, timestamp);
        }
        host.act(action);
    }
    host.silence();
}

fn controlled(kind: Kind, payload: &[u8]) -> Option<Control> {
    let control = Control::parse(kind, payload)?;
    assert_eq!(control.kind(), kind);
    let mut written = Vec::new();
    control.write(&mut written);
    assert_eq!(written.len(), control.wire_len() as usize);
    assert_eq!(Control::parse(kind, &written), Some(control));
    Some(control)
}

fn taken_apart(payload: &[u8], timestamp: u32) {
    let message = Message {
        kind: Kind::Aggregate,
        timestamp,
        stream_id: 1,
        body: Body::with_payload(payload),
    };
    let split = split_aggregate(&message, 64);
    assert!(split.messages.len() <= 64);
    let bytes: usize = split
        .messages
        .iter()
        .map(|message| message.body.len() + 11)
        .sum();
    assert!(bytes <= payload.len());
    if let Some(first) = split.messages.first() {
        assert_eq!(first.timestamp, timestamp);
    }
}
