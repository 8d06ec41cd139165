//! Sessions on a bench: a client's bytes go in, a willing host answers, what was said is read.
//!
//! - `clients`: whole sessions as real clients send them, in any split
//! - `table`: every state against every kind of message
//! - `traps`: the findings that cost most (PROTOCOL list T)
//! - `commands`: hostile and odd commands
//! - `time`: deadlines, floods and acknowledgements

mod clients;
mod commands;
mod table;
mod time;
mod traps;

use super::*;
use crate::ids::WorkerId;
use crate::limits::ReaderLimits;
use crate::rtmp::amf0::{Object, Value, decode, encode};
use crate::rtmp::chunk::{ChunkWriter, Head, csid};

/// A session whose host says yes to everything at once, unless `hold` is set.
struct Bench {
    session: ServerSession,
    now: Millis,
    events: Vec<Event>,
    /// Answer neither publish nor play.
    hold: bool,
    out: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let trace = ConnId {
            worker: WorkerId(2),
            index: 17,
            generation: 3,
        };
        let now = Millis(1_000);
        Self {
            session: ServerSession::new(SessionConfig::default(), [7; 32], trace, now),
            now,
            events: Vec::new(),
            hold: false,
            out: Vec::new(),
        }
    }

    /// Connected, with `streams` message streams, nothing said or told yet.
    fn connected(streams: u32) -> Self {
        let mut bench = Self::new();
        let mut client = Client::new();
        client.connect(&[("app", "live".into())]);
        for _ in 0..streams {
            client.call("createStream", 2.0, &[]);
        }
        bench.feed(&client.bytes).unwrap();
        assert!(matches!(bench.events.as_slice(), [Event::Connect(_)]));
        bench.forget();
        bench
    }

    /// Message stream 1 publishes `live/cam`.
    fn publishing() -> Self {
        let mut bench = Self::connected(1);
        bench.call(1, "publish", 5.0, &["cam".into()]).unwrap();
        bench.forget();
        bench
    }

    /// Message stream 1 plays `live/cam`.
    fn playing() -> Self {
        let mut bench = Self::connected(1);
        bench.call(1, "play", 4.0, &["cam".into()]).unwrap();
        bench.forget();
        bench
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while let Some(event) = self.session.recv(&mut bytes, self.now)? {
            self.out.append(self.session.out());
            match &event {
                Event::Connect(_) => self.session.accept_connect(),
                Event::Publish { stream_id, .. } if !self.hold => {
                    self.session.accept_publish(*stream_id, self.now);
                }
                Event::Play { stream_id, .. } if !self.hold => self.session.start_play(*stream_id),
                _ => {}
            }
            self.out.append(self.session.out());
            self.events.push(event);
        }
        self.out.append(self.session.out());
        assert!(bytes.is_empty(), "recv left bytes without an event");
        Ok(())
    }

    fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        tx: f64,
        args: &[Value<'_>],
    ) -> Result<(), Error> {
        let payload = command(name, tx, args);
        self.message(Kind::CommandAmf0, stream_id, &payload)
    }

    /// One message on a chunk stream of its own kind, format 0.
    fn message(&mut self, kind: Kind, stream_id: u32, payload: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let head = Head {
            csid: 3,
            timestamp: 40,
            kind,
            stream_id,
        };
        crate::rtmp::chunk::write_message(&mut bytes, &head, payload, 128);
        self.feed(&bytes)
    }

    /// What was said since the last look, one line a message.
    fn said(&mut self) -> Vec<String> {
        self.out.append(self.session.out());
        lines(&std::mem::take(&mut self.out))
    }

    fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn forget(&mut self) {
        self.out.append(self.session.out());
        self.out.clear();
        self.events.clear();
    }
}

/// A client's bytes, from C0 on.
struct Client {
    bytes: Vec<u8>,
    writer: ChunkWriter,
}

impl Client {
    fn new() -> Self {
        let mut bytes = vec![3];
        bytes.extend_from_slice(&[0; 1536]); // C1 of zeros, as librtmp sends it
        bytes.extend_from_slice(&[0xC2; 1536]); // C2, never verified
        Self {
            bytes,
            writer: ChunkWriter::new(128),
        }
    }

    fn connect(&mut self, keys: &[(&str, Value<'_>)]) {
        let mut object = Object::new();
        for (key, value) in keys {
            object = object.with(*key, value.clone());
        }
        let values = ["connect".into(), 1u32.into(), object.into()];
        self.send(3, Kind::CommandAmf0, 0, 0, &payload(&values));
    }

    /// A NetConnection call without command object on chunk stream 3.
    fn call(&mut self, name: &str, tx: f64, args: &[Value<'_>]) {
        self.call_on(3, 0, name, tx, args);
    }

    fn call_on(&mut self, csid: u32, stream_id: u32, name: &str, tx: f64, args: &[Value<'_>]) {
        self.send(
            csid,
            Kind::CommandAmf0,
            0,
            stream_id,
            &command(name, tx, args),
        );
    }

    fn send(&mut self, csid: u32, kind: Kind, timestamp: u32, stream_id: u32, payload: &[u8]) {
        let head = Head {
            csid,
            timestamp,
            kind,
            stream_id,
        };
        self.writer.write_message(&mut self.bytes, &head, payload);
    }

    fn control(&mut self, control: Control) {
        let mut payload = Vec::new();
        control.write(&mut payload);
        self.send(csid::CONTROL, control.kind(), 0, 0, &payload);
        if let Control::SetChunkSize(size) = control {
            self.writer.set_chunk_size(size);
        }
    }

    fn user(&mut self, event: UserControl) {
        self.control(Control::User(event));
    }
}

fn command(name: &str, tx: f64, args: &[Value<'_>]) -> Vec<u8> {
    let mut values = vec![name.into(), tx.into(), Value::Null];
    values.extend_from_slice(args);
    payload(&values)
}

fn payload(values: &[Value<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    values.iter().for_each(|value| encode(value, &mut payload));
    payload
}

/// What was said in `out` once the chunk size is ours, one line a message.
fn lines(out: &[u8]) -> Vec<String> {
    messages(out, 60_000).iter().map(line).collect()
}

/// The whole messages in `out`, its first chunks being of `chunk_size`.
fn messages(mut out: &[u8], chunk_size: u32) -> Vec<Message> {
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

fn line(message: &Message) -> String {
    if let Some(control) = Control::parse(message.kind, message.payload()) {
        return format!("{control:?}");
    }
    let decoded = decode(message.payload(), &AmfLimits::AUTHORISED).unwrap();
    let mut line = String::new();
    for (index, value) in decoded.values.iter().enumerate() {
        let text = match value {
            Value::String(text) => String::from_utf8_lossy(text).into_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => continue,
            Value::Object(object) if object.get("code").is_some() => object
                .get("code")
                .and_then(Value::as_str)
                .unwrap()
                .to_owned(),
            Value::Object(_) => "{}".to_owned(),
            other => format!("{other:?}"),
        };
        line.push_str(if index == 0 { "" } else { " " });
        line.push_str(&text);
    }
    match message.stream_id {
        0 => line,
        id => format!("{line} @{id}"),
    }
}

/// The information object's text of that key in the last message of `out`.
fn last_info(out: &[u8], key: &str) -> String {
    let said = messages(out, 60_000);
    let decoded = decode(said.last().unwrap().payload(), &AmfLimits::AUTHORISED).unwrap();
    let info = decoded.values.last().unwrap().as_object().unwrap();
    info.get(key).and_then(Value::as_str).unwrap().to_owned()
}
