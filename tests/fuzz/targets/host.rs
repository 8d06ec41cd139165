//! `Host`: what stands around a server session, answering as a worker would, and watching.
//!
//! Laws: events come in an order that makes sense (one role for each message stream, media of an
//! accepted publish only, nothing once the session is closing); all input is taken unless an
//! answer is owed; answers that wait and partial messages stay below their bounds; what is said
//! is a chunk stream of whole, readable messages; deadlines neither spin nor let a silent
//! session live.

use std::collections::BTreeMap;

use corecast::ids::{ConnId, WorkerId};
use corecast::limits::{AmfLimits, ReaderLimits, SessionLimits};
use corecast::rtmp::Error;
use corecast::rtmp::amf0::{Value, decode, encode, first_string};
use corecast::rtmp::chunk::{ChunkReader, Head, write_message};
use corecast::rtmp::handshake::HandshakeError;
use corecast::rtmp::message::{Control, Kind, Message};
use corecast::rtmp::server::{Event, Refusal, ServerSession, SessionConfig, code};
use corecast::time::Millis;

use super::taker::Digest;

/// How a host behaves, from one byte of the input.
#[derive(Clone, Copy)]
pub struct Mood(pub u8);

impl Mood {
    fn refuses_connect(self) -> bool {
        self.0 & 7 == 1
    }

    fn refuses_roles(self) -> bool {
        self.0 & 7 == 2
    }

    /// Publish and play are answered when the input says so.
    fn is_slow(self) -> bool {
        self.0 & 7 == 3 || self.0 & 7 == 4
    }

    /// The peer reads nothing.
    fn is_unread(self) -> bool {
        matches!(self.0 & 7, 4 | 5)
    }

    /// What came before the input: 0 a handshake, 1 nothing, 2 connect and createStream, 3 publish.
    pub fn preamble(self) -> u8 {
        self.0 >> 3 & 3
    }

    /// The input is fed a second time, cut otherwise.
    pub fn is_law(self) -> bool {
        self.0 & 0x20 != 0
    }
}

/// What a message stream is known to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    AsksPublish,
    Publishes,
    AsksPlay,
    Plays,
}

pub struct Host {
    pub session: ServerSession,
    pub now: Millis,
    /// Events and the error, for comparison.
    pub told: Digest,
    mood: Mood,
    limits: SessionLimits,
    connected: bool,
    roles: BTreeMap<u32, Role>,
    /// Reads what the session says; handshake bytes of it still to come.
    reader: ChunkReader,
    handshake_left: usize,
}

impl Host {
    pub fn new(mood: Mood) -> Self {
        let now = Millis(1_000);
        let trace = ConnId {
            worker: WorkerId(0),
            index: 1,
            generation: 1,
        };
        let config = SessionConfig::default();
        let mut host = Self {
            session: ServerSession::new(config, [7; 32], trace, now),
            now,
            told: Digest::default(),
            mood,
            limits: config.limits,
            connected: false,
            roles: BTreeMap::new(),
            reader: ChunkReader::new(ReaderLimits::PUBLISHER),
            handshake_left: 1 + 2 * 1_536,
        };
        host.preamble();
        host
    }

    fn preamble(&mut self) {
        if self.mood.preamble() != 1 {
            let mut hello = vec![0; 1 + 2 * 1_536];
            hello[0] = 3;
            self.feed(&hello);
        }
        if self.mood.preamble() >= 2 {
            let app = corecast::rtmp::amf0::Object::new().with("app", "live");
            self.call(0, &["connect".into(), 1u32.into(), app.into()]);
            self.call(0, &["createStream".into(), 2u32.into(), Value::Null]);
        }
        if self.mood.preamble() == 3 {
            let values = ["publish".into(), 3u32.into(), Value::Null, "cam".into()];
            self.call(1, &values);
        }
    }

    fn call(&mut self, stream_id: u32, values: &[Value<'_>]) {
        let mut payload = Vec::new();
        values.iter().for_each(|value| encode(value, &mut payload));
        let head = Head {
            csid: 3,
            timestamp: 0,
            kind: Kind::CommandAmf0,
            stream_id,
        };
        let mut bytes = Vec::new();
        write_message(&mut bytes, &head, &payload, 128);
        self.feed(&bytes);
    }

    /// Whether the connection is over.
    pub fn is_over(&self) -> bool {
        self.session.is_closing()
    }

    /// The session gets bytes; its events are answered.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            let closing = self.session.is_closing();
            let before = self.session.out().len().max(self.limits.output_bytes_max);
            let outcome = self.session.recv(&mut bytes, self.now);
            let found = self.session.out().len();
            assert!(
                found <= before + REPLY_BYTES_MAX,
                "{found} bytes of answers wait"
            );
            let max = self.limits.publisher.partial_bytes_max as usize;
            assert!(self.session.partial_bytes() <= max);
            match outcome {
                Ok(Some(event)) => {
                    assert!(!closing, "an event of a closing session: {event:?}");
                    self.told.add(format!("{event:?}"));
                    self.answer(&event);
                }
                Ok(None) => {
                    assert!(bytes.is_empty(), "bytes were left without an event");
                    break;
                }
                Err(error) => {
                    self.failed(&error);
                    assert!(bytes.is_empty());
                    break;
                }
            }
        }
        if !self.mood.is_unread() {
            self.drain();
        }
    }

    fn failed(&mut self, error: &Error) {
        assert!(self.session.is_closing());
        assert!(error.to_string().len() < 300);
        // What a stranger may be speaking is guessed from as much as has come so far.
        let text = match error {
            Error::Handshake(HandshakeError::NotRtmp { .. }) => "not RTMP".to_owned(),
            error => format!("{error:?}"),
        };
        self.told.add(text);
    }

    fn answer(&mut self, event: &Event) {
        match event {
            Event::Connect(connect) => {
                assert!(!self.connected && self.roles.is_empty(), "connects once");
                self.connected = true;
                assert!(connect.tc_url.len() <= 512);
                let mut held = &[0xFF; 8][..];
                assert_eq!(self.session.recv(&mut held, self.now), Ok(None));
                assert_eq!(held.len(), 8, "input waits for the answer to connect");
                if self.mood.refuses_connect() {
                    self.session.refuse_connect(&refusal(code::INVALID_APP));
                    assert!(self.session.is_closing());
                } else {
                    self.session.accept_connect();
                }
            }
            Event::Publish {
                stream_id, target, ..
            } => {
                self.asks(*stream_id, Role::AsksPublish, target.name.as_str());
            }
            Event::Play { stream_id, target } => {
                self.asks(*stream_id, Role::AsksPlay, target.name.as_str());
            }
            Event::Media { stream_id, message } => self.media(*stream_id, message),
            Event::Unpublish { stream_id } => {
                let role = self.roles.remove(stream_id);
                assert!(
                    matches!(role, Some(Role::AsksPublish | Role::Publishes)),
                    "{role:?}"
                );
            }
            Event::StopPlay { stream_id } => {
                let role = self.roles.remove(stream_id);
                assert!(
                    matches!(role, Some(Role::AsksPlay | Role::Plays)),
                    "{role:?}"
                );
            }
            Event::Pause { stream_id, .. } | Event::Receive { stream_id, .. } => {
                let role = self.roles.get(stream_id);
                assert!(
                    matches!(role, Some(Role::AsksPlay | Role::Plays)),
                    "{role:?}"
                );
            }
        }
    }

    fn asks(&mut self, stream_id: u32, role: Role, name: &str) {
        assert!(self.connected);
        assert!((1..=self.limits.message_streams_max).contains(&stream_id));
        assert!((2..=4).contains(&name.split('/').count()), "{name:?}");
        let had = self.roles.insert(stream_id, role);
        assert_eq!(had, None, "message stream {stream_id} asks twice");
        if !self.mood.is_slow() {
            self.settle(stream_id);
        }
    }

    /// Answers what a message stream asked for.
    fn settle(&mut self, stream_id: u32) {
        let refuses = self.mood.refuses_roles();
        match self.roles.get(&stream_id) {
            Some(Role::AsksPublish) if refuses => {
                self.session
                    .refuse_publish(stream_id, &refusal(code::BAD_NAME));
            }
            Some(Role::AsksPlay) if refuses => {
                self.session
                    .refuse_play(stream_id, &refusal(code::STREAM_NOT_FOUND));
            }
            Some(Role::AsksPublish) => {
                self.session.accept_publish(stream_id, self.now);
                self.roles.insert(stream_id, Role::Publishes);
            }
            Some(Role::AsksPlay) => {
                self.session.start_play(stream_id);
                self.roles.insert(stream_id, Role::Plays);
            }
            _ => {}
        }
    }

    fn media(&mut self, stream_id: u32, message: &Message) {
        assert_eq!(self.roles.get(&stream_id), Some(&Role::Publishes));
        assert_eq!(message.stream_id, stream_id);
        let payload = message.payload();
        assert!(payload.len() <= self.limits.publisher.message_bytes_max as usize);
        self.told.add((message.timestamp, payload));
        match message.kind {
            Kind::Audio | Kind::Video => {}
            Kind::DataAmf0 => {
                let (name, _) = first_string(payload).expect("data has a name");
                assert_ne!(name, b"@setDataFrame");
            }
            kind => panic!("{kind:?} came out as media"),
        }
    }

    /// Time passes and the host does something, both from a byte of the input.
    pub fn act(&mut self, code: u8) {
        self.now = self.now + PAUSES_MS[usize::from(code & 7)];
        self.time_out();
        let stream_id = 1 + u32::from(code >> 3 & 1);
        match code >> 4 {
            1 => self.settle(stream_id),
            2 if self.roles.get(&stream_id) == Some(&Role::Plays) => {
                self.session.end_play(stream_id);
                self.roles.remove(&stream_id);
            }
            3 if self.roles.get(&stream_id) == Some(&Role::Publishes) => {
                let refusal = refusal(code::PUBLISH_REJECTED);
                self.session.end_publish(stream_id, &refusal);
                self.roles.remove(&stream_id);
            }
            4 => {
                self.session
                    .request_reconnect(Some("rtmp://127.0.0.1/live"));
            }
            5 => self.session.sent(self.now),
            6 => self.session.shutdown(),
            // Verdicts nobody asked for find nothing.
            7 => {
                self.session.accept_connect();
                self.session.end_publish(99, &refusal(code::BAD_NAME));
                self.session.start_play(99);
            }
            8 => self.drain(),
            _ => {}
        }
    }

    /// Asks for what is due, as often as that is said to be due.
    fn time_out(&mut self) {
        for _ in 0..8 {
            if self.session.next_timeout() > self.now {
                return;
            }
            if let Err(error) = self.session.timeout(self.now) {
                return self.failed(&error);
            }
        }
        panic!("deadlines spin at {:?}", self.now);
    }

    /// The peer says nothing any more: the session ends by itself. Returns how.
    pub fn silence(&mut self) {
        let end = self.now + SILENCE_MAX_MS;
        while !self.session.is_closing() {
            let next = self.session.next_timeout();
            assert!(next <= end, "a silent session lives until {next:?}");
            self.now = self.now.max(next);
            self.time_out();
        }
        assert_eq!(self.session.next_timeout(), Millis::NEVER);
        self.feed(&[3; 100]);
        self.drain();
        assert_eq!(
            self.reader.partial_bytes(),
            0,
            "the last message is not whole"
        );
    }

    /// Takes what the session says and reads it as a client would.
    fn drain(&mut self) {
        let out = std::mem::take(self.session.out());
        let skipped = self.handshake_left.min(out.len());
        self.handshake_left -= skipped;
        let mut said = &out[skipped..];
        while let Some(message) = self.reader.read(&mut said).expect("our own chunks") {
            match message.kind {
                Kind::CommandAmf0 | Kind::DataAmf0 => {
                    let values = decode(message.payload(), &AmfLimits::AUTHORISED);
                    let values = values.expect("our own values");
                    assert!(values.complete && values.error.is_none());
                    assert!(matches!(values.values.first(), Some(Value::String(_))));
                }
                kind => {
                    let control = Control::parse(kind, message.payload());
                    let control = control.expect("a command or a control message");
                    if let Control::SetChunkSize(size) = control {
                        self.reader
                            .set_chunk_size(size)
                            .expect("our own chunk size");
                    }
                }
            }
        }
    }
}

fn refusal(code: &'static str) -> Refusal {
    Refusal::new(code, "No.")
}

/// From within a frame to beyond every deadline.
const PAUSES_MS: [u64; 8] = [0, 0, 1, 33, 500, 5_000, 20_000, 3_600_000];
/// More than one message can be answered with.
const REPLY_BYTES_MAX: usize = 4 << 10;
/// Longest life of a session whose peer is silent: the longest of its deadlines, twice.
const SILENCE_MAX_MS: u64 = 120_000;
