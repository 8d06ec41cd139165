//! A server made of bytes: scripts are written in advance and fed to a session in any pieces.

mod hostile;
mod idle;
mod play;
mod publish;

use super::{Address, ClientConfig, ClientError, ClientEvent, ClientSession, command};
use crate::limits::{AmfLimits, ReaderLimits};
use crate::rtmp::amf0::{self, Object, Value};
use crate::rtmp::chunk::{ChunkReader, Head, write_control, write_message};
use crate::rtmp::message::{Control, Kind, Message};
use crate::time::Millis;

/// What a server will say, all of it.
#[derive(Clone)]
struct Script(Vec<u8>);

impl Script {
    /// S0, S1 and S2; the session looks at S0 alone.
    fn new() -> Self {
        let mut bytes = vec![3];
        bytes.extend([0; 2 * 1_536]);
        Self(bytes)
    }

    fn connected() -> Self {
        Self::new().command(0, "_result", 1.0, &[success()])
    }

    /// Up to the answer of createStream: stream 1.
    fn created(role_transaction: f64) -> Self {
        Self::connected().command(
            0,
            "_result",
            role_transaction,
            &[Value::Null, Value::Number(1.0)],
        )
    }

    fn publishing() -> Self {
        Self::created(4.0).status(1, "status", "NetStream.Publish.Start")
    }

    fn playing() -> Self {
        Self::created(2.0).status(1, "status", "NetStream.Play.Start")
    }

    fn command(self, stream_id: u32, name: &str, transaction: f64, args: &[Value<'_>]) -> Self {
        let payload = command::command(name, transaction, args);
        self.message(3, Kind::CommandAmf0, stream_id, 0, &payload)
    }

    fn status(self, stream_id: u32, level: &str, code: &str) -> Self {
        let info = Object::new().with("level", level).with("code", code);
        let info = info.with("description", "why");
        self.command(
            stream_id,
            "onStatus",
            0.0,
            &[Value::Null, Value::Object(info)],
        )
    }

    fn message(
        mut self,
        csid: u32,
        kind: Kind,
        stream_id: u32,
        timestamp: u32,
        payload: &[u8],
    ) -> Self {
        let head = Head {
            csid,
            timestamp,
            kind,
            stream_id,
        };
        write_message(&mut self.0, &head, payload, 128);
        self
    }

    fn control(mut self, control: Control) -> Self {
        write_control(&mut self.0, &control);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// What came of a run.
struct Run {
    session: ClientSession,
    /// Debug form of each event.
    events: Vec<String>,
    /// The first error.
    error: Option<ClientError>,
    /// All that was sent.
    out: Vec<u8>,
}

impl Run {
    fn of(config: ClientConfig, script: &Script) -> Self {
        Self::in_pieces(config, &[&script.0])
    }

    fn in_pieces(config: ClientConfig, pieces: &[&[u8]]) -> Self {
        let session = ClientSession::new(config, [9; 32], Millis(0));
        let mut run = Self {
            session,
            events: Vec::new(),
            error: None,
            out: Vec::new(),
        };
        for piece in pieces {
            run.feed(piece, Millis(0));
        }
        run
    }

    fn feed(&mut self, mut piece: &[u8], now: Millis) {
        loop {
            let outcome = self.session.recv(&mut piece, now);
            self.out.append(self.session.out());
            match outcome {
                Ok(Some(event)) => self.events.push(show_event(&event)),
                Ok(None) => break,
                Err(error) => {
                    assert!(self.error.is_none(), "a second error: {error:?}");
                    self.error = Some(error);
                }
            }
        }
        assert!(piece.is_empty(), "input was left");
    }

    /// The messages that followed the handshake, in words.
    fn sent(&mut self) -> Vec<String> {
        self.out.append(self.session.out());
        let mut bytes = &self.out[1 + 2 * 1_536..];
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        let mut sent = Vec::new();
        while let Some(message) = reader.read(&mut bytes).unwrap() {
            if let Some(Control::SetChunkSize(size)) =
                Control::parse(message.kind, message.payload())
            {
                reader.set_chunk_size(size).unwrap();
            }
            sent.push(show_message(&message));
        }
        sent
    }
}

/// The run is the same whole, in two pieces cut at every place, and byte by byte.
fn same_at_every_split(config: &ClientConfig, script: &Script) -> Run {
    let whole = Run::of(config.clone(), script);
    let check = |run: Run, how: &str| {
        assert_eq!(run.events, whole.events, "{how}");
        assert_eq!(
            format!("{:?}", run.error),
            format!("{:?}", whole.error),
            "{how}"
        );
        assert!(run.out == whole.out, "the output differs {how}");
    };
    for cut in 0..=script.0.len() {
        let (a, b) = script.0.split_at(cut);
        check(
            Run::in_pieces(config.clone(), &[a, b]),
            &format!("cut at {cut}"),
        );
    }
    let bytes: Vec<&[u8]> = script.0.chunks(1).collect();
    check(Run::in_pieces(config.clone(), &bytes), "byte by byte");
    whole
}

fn address() -> Address {
    Address::parse("rtmp://h/live/cam?k=v").unwrap()
}

fn publisher() -> ClientConfig {
    ClientConfig {
        chunk_size: 4_096,
        ..ClientConfig::publish(&address())
    }
}

fn player() -> ClientConfig {
    ClientConfig {
        chunk_size: 128,
        ..ClientConfig::play(&address())
    }
}

fn success() -> Value<'static> {
    Object::new()
        .with("level", "status")
        .with("code", "NetConnection.Connect.Success")
        .into()
}

fn show_event(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Media(message) => format!("media {}", show_message(message)),
        ClientEvent::Status(status) => format!("{} {}", status.level, status.code),
        ClientEvent::Ended { why } => format!("ended: {why}"),
        ClientEvent::Ready { stream_id } => format!("ready {stream_id}"),
        other => format!("{other:?}"),
    }
}

fn show_message(message: &Message) -> String {
    let place = format!(
        "{:?} @{} {}ms",
        message.kind, message.stream_id, message.timestamp
    );
    match (
        message.kind,
        Control::parse(message.kind, message.payload()),
    ) {
        (_, Some(control)) => format!("{control:?}"),
        (Kind::CommandAmf0, _) => {
            let values = amf0::decode(message.payload(), &AmfLimits::AUTHORISED)
                .unwrap()
                .values;
            let words: Vec<String> = values.iter().map(show_value).collect();
            format!("@{} {}", message.stream_id, words.join(" "))
        }
        _ => format!("{place} {:02x?}", message.payload()),
    }
}

fn show_value(value: &Value<'_>) -> String {
    match value {
        Value::String(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Null => "null".to_owned(),
        Value::StrictArray(items) => {
            format!(
                "[{}]",
                items.iter().map(show_value).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Object(object) => {
            let pair = |(key, value): (&[u8], &Value<'_>)| {
                format!("{}={}", String::from_utf8_lossy(key), show_value(value))
            };
            format!(
                "{{{}}}",
                object.iter().map(pair).collect::<Vec<_>>().join(" ")
            )
        }
        other => format!("{other:?}"),
    }
}
