//! Cases of whole connections: what a client says in one life, said to a server's session.

use std::hint::black_box;

use corecast::ids::ConnId;
use corecast::rtmp::client::{Address, ClientConfig, ClientEvent, ClientSession, Step};
use corecast::rtmp::server::{Event, ServerSession, SessionConfig};
use corecast::time::Millis;

use crate::fixtures::film::{Piece, headers, media};
use crate::fixtures::player;
use crate::meter::{Case, Work, metered};

pub(crate) const CASES: [Case; 3] = [
    case("session-publisher", "life with 1 s of media", publisher),
    case("session-media", "message", messages),
    case("session-player", "life up to the first frame", viewer),
];

const fn case(name: &'static str, unit: &'static str, run: fn() -> Work) -> Case {
    Case { name, unit, run }
}

/// Connect, publish, media, the end.
fn publisher() -> Work {
    let talk = Talk::publish(&media(1));
    talk.held(0, talk.said.len());
    let bytes = metered_by(|| talk.held(0, talk.said.len()).1);
    Work { units: 1, bytes }
}

/// The media alone.
fn messages() -> Work {
    let pieces = media(1);
    let talk = Talk::publish(&pieces);
    let from = talk.said.len() - pieces.len() - 1;
    let (mut host, _) = talk.held(0, from);
    let bytes = metered_by(|| talk.go_on(&mut host, from, from + pieces.len()));
    assert_eq!(host.media, headers().len() + pieces.len());
    Work {
        units: pieces.len(),
        bytes,
    }
}

/// Connect and play, and what the server answers.
fn viewer() -> Work {
    let talk = Talk::play();
    talk.held(0, talk.said.len());
    let bytes = metered_by(|| talk.held(0, talk.said.len()).1);
    Work { units: 1, bytes }
}

fn metered_by(mut work: impl FnMut() -> usize) -> usize {
    let mut bytes = 0;
    metered(&mut || bytes = work());
    bytes
}

/// What a client said, cut where it waited for an answer or for the next frame.
struct Talk {
    said: Vec<Vec<u8>>,
}

impl Talk {
    /// A publisher's life with these messages.
    fn publish(pieces: &[Piece]) -> Self {
        let (mut client, mut talk) = Self::begin(ClientConfig::publish);
        for piece in headers().iter().chain(pieces) {
            client
                .send_media(piece.kind, piece.timestamp, &piece.payload)
                .unwrap();
            talk.note(&mut client);
        }
        client.stop();
        talk.note(&mut client);
        talk
    }

    fn play() -> Self {
        Self::begin(ClientConfig::play).1
    }

    /// Talks with a server until media may flow.
    fn begin(role: fn(&Address) -> ClientConfig) -> (ClientSession, Self) {
        let address = Address::parse("rtmp://127.0.0.1/live/cam").unwrap();
        let mut client = ClientSession::new(role(&address), [1; 32], NOW);
        let (mut talk, mut host) = (Self { said: Vec::new() }, Host::new());
        while client.step() != Step::Ready {
            let from = talk.said.len();
            talk.note(&mut client);
            assert!(talk.said.len() > from, "stuck at {:?}", client.step());
            talk.go_on(&mut host, from, from + 1);
            let answer = std::mem::take(&mut host.answer);
            let mut input = answer.as_slice();
            while let Some(event) = client.recv(&mut input, NOW).unwrap() {
                assert!(!matches!(event, ClientEvent::Ended { .. }), "{event:?}");
            }
        }
        talk.note(&mut client);
        (client, talk)
    }

    fn note(&mut self, client: &mut ClientSession) {
        let said = std::mem::take(client.out());
        if !said.is_empty() {
            self.said.push(said);
        }
    }

    /// Says a part of it to a new session.
    fn held(&self, from: usize, to: usize) -> (Host, usize) {
        let mut host = Host::new();
        let bytes = self.go_on(&mut host, from, to);
        (host, bytes)
    }

    fn go_on(&self, host: &mut Host, from: usize, to: usize) -> usize {
        let said = &self.said[from..to];
        said.iter().for_each(|said| host.hear(said));
        said.iter().map(Vec::len).sum()
    }
}

/// A server's session and a host that says yes to everything.
struct Host {
    session: ServerSession,
    answer: Vec<u8>,
    media: usize,
}

impl Host {
    fn new() -> Self {
        let trace: ConnId = player(1, 2).conn;
        Self {
            session: ServerSession::new(SessionConfig::default(), [2; 32], trace, NOW),
            answer: Vec::with_capacity(8 << 10),
            media: 0,
        }
    }

    fn hear(&mut self, mut input: &[u8]) {
        let session = &mut self.session;
        self.answer.clear();
        while let Some(event) = session.recv(&mut input, NOW).unwrap() {
            match &event {
                Event::Connect(_) => session.accept_connect(),
                Event::Publish { stream_id, .. } => session.accept_publish(*stream_id, NOW),
                Event::Play { stream_id, .. } => session.start_play(*stream_id),
                Event::Media { .. } => self.media += 1,
                _ => {}
            }
            black_box(event);
        }
        self.answer.append(session.out());
    }
}

const NOW: Millis = Millis(1_000);
