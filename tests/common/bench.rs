//! `Bench`: a bare server session, a host that says yes, and a client that may send anything.
//!
//! Law, checked after every call: answers that wait stay below what a session may owe, and partial
//! messages below what its reader may hold (I-05, L-08).

use corecast::ids::{ConnId, WorkerId};
use corecast::limits::{AmfLimits, ReaderLimits, SessionLimits};
use corecast::rtmp::Error;
use corecast::rtmp::amf0::{Object, Value, decode, encode};
use corecast::rtmp::chunk::{ChunkReader, ChunkWriter, Head, csid, write_message};
use corecast::rtmp::message::{Control, Kind, Message};
use corecast::rtmp::server::{Event, ServerSession, SessionConfig};
use corecast::time::Millis;

/// A session and what came of it.
pub struct Bench {
    pub session: ServerSession,
    pub now: Millis,
    pub told: Vec<Event>,
    /// Everything it said since the last `said`.
    pub out: Vec<u8>,
    /// The host answers neither publish nor play.
    pub hold: bool,
}

impl Bench {
    /// Accepted, not a byte exchanged.
    pub fn new() -> Self {
        let trace = ConnId {
            worker: WorkerId(0),
            index: 1,
            generation: 1,
        };
        let now = Millis(1_000);
        Self {
            session: ServerSession::new(SessionConfig::default(), [7; 32], trace, now),
            now,
            told: Vec::new(),
            out: Vec::new(),
            hold: false,
        }
    }

    /// Handshake done, nothing else.
    pub fn shaken() -> Self {
        let mut bench = Self::new();
        bench.feed(&hello()).unwrap();
        bench.forget();
        bench
    }

    /// Connected, with message streams from 1 up, each made.
    pub fn connected(streams: u32) -> Self {
        let mut bench = Self::shaken();
        let mut client = Client::bare();
        client.connect(&[("app", "live".into())]);
        for _ in 0..streams {
            client.call(0, "createStream", 2.0, &[]);
        }
        bench.feed(&client.bytes).unwrap();
        assert!(matches!(bench.told.as_slice(), [Event::Connect(_)]));
        bench.forget();
        bench
    }

    /// Message stream 1 publishes `live/cam`.
    pub fn publishing() -> Self {
        let mut bench = Self::connected(1);
        bench.call(1, "publish", 5.0, &["cam".into()]).unwrap();
        assert!(matches!(bench.told.as_slice(), [Event::Publish { .. }]));
        bench.forget();
        bench
    }

    /// Message stream 1 plays `live/cam`.
    pub fn playing() -> Self {
        let mut bench = Self::connected(1);
        bench.call(1, "play", 4.0, &["cam".into()]).unwrap();
        bench.forget();
        bench
    }

    /// Every state that takes bytes after the handshake, with its name.
    pub fn every_state() -> [(&'static str, Self); 4] {
        [
            ("shaken", Self::shaken()),
            ("connected", Self::connected(1)),
            ("publishing", Self::publishing()),
            ("playing", Self::playing()),
        ]
    }

    /// Lets the session digest bytes; the host answers every event at once.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let outcome = self.session.recv(&mut bytes, self.now);
            self.settle();
            let Some(event) = outcome? else { break };
            match &event {
                Event::Connect(_) => self.session.accept_connect(),
                Event::Publish { stream_id, .. } if !self.hold => {
                    self.session.accept_publish(*stream_id, self.now);
                }
                Event::Play { stream_id, .. } if !self.hold => self.session.start_play(*stream_id),
                _ => {}
            }
            self.settle();
            self.told.push(event);
        }
        assert!(bytes.is_empty(), "recv left bytes without an event");
        Ok(())
    }

    /// A command without command object on chunk stream 3, format 0.
    pub fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        tx: f64,
        args: &[Value<'_>],
    ) -> Result<(), Error> {
        self.message(Kind::CommandAmf0, stream_id, &command(name, tx, args))
    }

    /// One message on chunk stream 3, format 0, chunk size 128.
    pub fn message(&mut self, kind: Kind, stream_id: u32, payload: &[u8]) -> Result<(), Error> {
        self.feed(&message(3, kind, stream_id, payload))
    }

    /// One message that must be digested, after enough time that no budget is short.
    pub fn gently(&mut self, kind: Kind, stream_id: u32, payload: &[u8]) {
        self.now = self.now + 20;
        if let Err(error) = self.message(kind, stream_id, payload) {
            panic!("{kind:?} of {} bytes: {error}", payload.len());
        }
    }

    /// What was said since the last look, one line a message.
    pub fn said(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        messages(&out, 60_000).iter().map(line).collect()
    }

    /// What was told since the last look.
    pub fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.told)
    }

    /// The media messages told since the last look.
    pub fn media(&mut self) -> Vec<Message> {
        let media = |event| match event {
            Event::Media { message, .. } => Some(message),
            _ => None,
        };
        self.told().into_iter().filter_map(media).collect()
    }

    pub fn forget(&mut self) {
        self.out.clear();
        self.told.clear();
    }

    /// Proves that the session still works: a ping is answered.
    pub fn assert_alive(&mut self) {
        self.out.clear();
        self.now = self.now + 50;
        self.message(Kind::UserControl, 0, &[0, 6, 1, 2, 3, 4])
            .unwrap();
        assert_eq!(self.said(), ["User(PingResponse(16909060))"]);
    }

    fn settle(&mut self) {
        let owed = self.session.out().len();
        assert!(owed <= OWED_MAX, "{owed} bytes of answers from one call");
        let partial = self.session.partial_bytes();
        let budget = ReaderLimits::PUBLISHER.partial_bytes_max as usize;
        assert!(partial <= budget, "{partial} bytes of partial messages");
        self.out.append(self.session.out());
    }
}

/// A client's bytes.
pub struct Client {
    pub bytes: Vec<u8>,
    pub writer: ChunkWriter,
}

impl Client {
    /// From C0 on.
    pub fn new() -> Self {
        Self {
            bytes: hello(),
            ..Self::bare()
        }
    }

    /// Behind the handshake.
    pub fn bare() -> Self {
        Self {
            bytes: Vec::new(),
            writer: ChunkWriter::new(128),
        }
    }

    pub fn connect(&mut self, keys: &[(&str, Value<'_>)]) {
        let mut object = Object::new();
        for (key, value) in keys {
            object = object.with(*key, value.clone());
        }
        let values = ["connect".into(), 1u32.into(), object.into()];
        self.send(3, Kind::CommandAmf0, 0, 0, &payload(&values));
    }

    /// A command without command object on chunk stream 3.
    pub fn call(&mut self, stream_id: u32, name: &str, tx: f64, args: &[Value<'_>]) {
        let bytes = command(name, tx, args);
        self.send(3, Kind::CommandAmf0, 0, stream_id, &bytes);
    }

    pub fn send(&mut self, csid: u32, kind: Kind, timestamp: u32, stream_id: u32, payload: &[u8]) {
        let head = Head {
            csid,
            timestamp,
            kind,
            stream_id,
        };
        self.writer.write_message(&mut self.bytes, &head, payload);
    }

    pub fn control(&mut self, control: Control) {
        let mut payload = Vec::new();
        control.write(&mut payload);
        self.send(csid::CONTROL, control.kind(), 0, 0, &payload);
        if let Control::SetChunkSize(size) = control {
            self.writer.set_chunk_size(size);
        }
    }
}

/// C0, a C1 of zeros as librtmp sends it, and a C2 that echoes nothing.
pub fn hello() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend_from_slice(&[0; 1536]);
    bytes.extend_from_slice(&[0xC2; 1536]);
    bytes
}

/// One whole message: format 0, chunk size 128.
pub fn message(csid: u32, kind: Kind, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = Head {
        csid,
        timestamp: 40,
        kind,
        stream_id,
    };
    write_message(&mut bytes, &head, payload, 128);
    bytes
}

/// A format 0 chunk header alone, with any length, on a chunk stream id of 2 to 63.
pub fn head(csid: u8, time: u32, length: u32, kind: u8, stream_id: u32) -> Vec<u8> {
    let mut bytes = vec![csid];
    bytes.extend_from_slice(&time.to_be_bytes()[1..]);
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.push(kind);
    bytes.extend_from_slice(&stream_id.to_le_bytes());
    bytes
}

/// A command without command object.
pub fn command(name: &str, tx: f64, args: &[Value<'_>]) -> Vec<u8> {
    let mut values = vec![name.into(), tx.into(), Value::Null];
    values.extend_from_slice(args);
    payload(&values)
}

pub fn payload(values: &[Value<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    values.iter().for_each(|value| encode(value, &mut payload));
    payload
}

/// The whole messages in `out`, its first chunks being of `chunk_size`.
pub fn messages(mut out: &[u8], chunk_size: u32) -> Vec<Message> {
    let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
    reader.set_chunk_size(chunk_size).unwrap();
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut out).unwrap() {
        if let Some(Control::SetChunkSize(size)) = Control::parse(message.kind, message.payload()) {
            reader.set_chunk_size(size).unwrap();
        }
        messages.push(message);
    }
    assert_eq!(reader.partial_bytes(), 0, "half a message in the output");
    messages
}

/// A message in words: the control, or its name, transaction and status code.
pub fn line(message: &Message) -> String {
    if let Some(control) = Control::parse(message.kind, message.payload()) {
        return format!("{control:?}");
    }
    let decoded = decode(message.payload(), &AmfLimits::AUTHORISED).unwrap();
    let word = |value: &Value<'_>| match value {
        Value::String(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Boolean(yes) => Some(yes.to_string()),
        other => {
            let code = other.as_object()?.get("code")?;
            code.as_str().map(str::to_owned)
        }
    };
    let words: Vec<String> = decoded.values.iter().filter_map(word).collect();
    match message.stream_id {
        0 => words.join(" "),
        id => format!("{} @{id}", words.join(" ")),
    }
}

/// What one call may leave in a session's output: its bound and the last answer beyond it.
const OWED_MAX: usize = SessionLimits::DEFAULT.output_bytes_max + (8 << 10);
