//! `Pair`: a client session and a server session on a bench, with a clock that the test moves
//! and a wire that delivers in pieces of random length.

use corecast::ids::{ConnId, WorkerId};
use corecast::rtmp;
use corecast::rtmp::chunk::{Head, csid, write_message};
use corecast::rtmp::client::{
    ClientConfig, ClientError, ClientEvent, ClientSession, Ending, Status,
};
use corecast::rtmp::message::Kind;
use corecast::rtmp::server::{Event, Refusal, ServerSession, SessionConfig};
use corecast::time::Millis;

use super::media::Piece;

/// Two sessions, a wire and a host that answers as it was told.
pub struct Pair {
    pub seed: u64,
    random: u64,
    pub now: Millis,
    pub client: ClientSession,
    pub server: ServerSession,
    up: Vec<u8>,
    down: Vec<u8>,
    /// The answer to each question; `None`: accept.
    pub refuse_connect: Option<Refusal>,
    pub refuse_publish: Option<Refusal>,
    pub refuse_play: Option<Refusal>,
    pub heard: Vec<ClientEvent>,
    pub told: Vec<Event>,
    pub client_error: Option<ClientError>,
    pub server_error: Option<rtmp::Error>,
    /// The client no longer takes or gives bytes.
    pub frozen: bool,
}

impl Pair {
    pub fn new(seed: u64, config: ClientConfig) -> Self {
        // Any uptime: nothing may depend on a clock that starts at zero.
        let now = Millis(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20);
        let trace = ConnId {
            worker: WorkerId(1),
            index: 2,
            generation: 3,
        };
        Self {
            seed,
            random: seed | 1,
            now,
            client: ClientSession::new(config, [1; 32], now),
            server: ServerSession::new(SessionConfig::default(), [2; 32], trace, now),
            up: Vec::new(),
            down: Vec::new(),
            refuse_connect: None,
            refuse_publish: None,
            refuse_play: None,
            heard: Vec::new(),
            told: Vec::new(),
            client_error: None,
            server_error: None,
            frozen: false,
        }
    }

    /// Runs until nothing is on the wire and nobody has anything to say.
    pub fn drive(&mut self) {
        loop {
            if !self.frozen {
                self.up.append(self.client.out());
            }
            let sent = self.server.out().len();
            self.down.append(self.server.out());
            if sent > 0 && !self.frozen {
                self.server.sent(self.now);
            }
            if self.up.is_empty() && (self.down.is_empty() || self.frozen) {
                return;
            }
            if self.roll(2) == 0 {
                self.deliver_up();
            } else if !self.frozen {
                self.deliver_down();
            }
        }
    }

    /// Lets `ms` pass, stopping at every deadline of either side.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        loop {
            self.drive();
            let due = self.client.next_timeout().min(self.server.next_timeout());
            self.now = self.now.max(due.min(until));
            if let Err(error) = self.client.timeout(self.now) {
                self.client_error = Some(error);
            }
            if let Err(error) = self.server.timeout(self.now) {
                self.server_error = Some(error);
            }
            self.drive();
            if due > until {
                return;
            }
        }
    }

    /// As the host does with a frame for a player.
    pub fn host_sends(&mut self, stream_id: u32, piece: &Piece) {
        let csid = match piece.kind {
            Kind::Audio => csid::AUDIO,
            Kind::Video => csid::VIDEO,
            _ => csid::DATA,
        };
        let head = Head {
            csid,
            timestamp: piece.timestamp,
            kind: piece.kind,
            stream_id,
        };
        let size = SessionConfig::default().chunk_size;
        write_message(self.server.out(), &head, &piece.payload, size);
    }

    fn deliver_up(&mut self) {
        let mut piece = self.cut(true);
        while !piece.is_empty() {
            let mut input = piece.as_slice();
            let outcome = self.server.recv(&mut input, self.now);
            let left = input.len();
            piece.drain(..piece.len() - left);
            self.down.append(self.server.out());
            match outcome {
                Ok(Some(event)) => self.host(event),
                Ok(None) => assert!(piece.is_empty(), "the server left input behind"),
                Err(error) => {
                    assert!(self.server_error.is_none(), "a second error: {error}");
                    self.server_error = Some(error);
                }
            }
        }
        // The last byte may have brought more than one event.
        while let Ok(Some(event)) = self.server.recv(&mut &[][..], self.now) {
            self.host(event);
        }
    }

    fn deliver_down(&mut self) {
        let piece = self.cut(false);
        let mut input = piece.as_slice();
        loop {
            match self.client.recv(&mut input, self.now) {
                Ok(Some(event)) => self.heard.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert!(self.client_error.is_none(), "a second error: {error}");
                    self.client_error = Some(error);
                }
            }
        }
        assert!(input.is_empty(), "the client left input behind");
    }

    fn host(&mut self, event: Event) {
        match &event {
            Event::Connect(_) => match &self.refuse_connect {
                None => self.server.accept_connect(),
                Some(refusal) => self.server.refuse_connect(refusal),
            },
            Event::Publish { stream_id, .. } => match &self.refuse_publish {
                None => self.server.accept_publish(*stream_id, self.now),
                Some(refusal) => self.server.refuse_publish(*stream_id, refusal),
            },
            Event::Play { stream_id, .. } => match &self.refuse_play {
                None => self.server.start_play(*stream_id),
                Some(refusal) => self.server.refuse_play(*stream_id, refusal),
            },
            _ => {}
        }
        self.told.push(event);
    }

    /// A piece of the wire's content: often a byte or a few, sometimes all.
    fn cut(&mut self, up: bool) -> Vec<u8> {
        let len = if up { self.up.len() } else { self.down.len() } as u64;
        let most = [1, 3, 17, 200, 5_000, len][self.roll(6) as usize];
        let take = (1 + self.roll(most.max(1))).min(len) as usize;
        let wire = if up { &mut self.up } else { &mut self.down };
        wire.drain(..take).collect()
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub fn codes(&self) -> Vec<&str> {
        let code = |event: &'static str| event;
        let show = |event| match event {
            &ClientEvent::Status(Status { ref code, .. }) => code.as_str(),
            ClientEvent::Connected { .. } => code("connected"),
            ClientEvent::Ready { .. } => code("ready"),
            ClientEvent::StreamEof { .. } => code("eof"),
            ClientEvent::Ended { .. } => code("ended"),
            ClientEvent::Pong { .. } => code("pong"),
            ClientEvent::Reconnect { .. } => code("reconnect"),
            ClientEvent::Media(_) => code("media"),
        };
        self.heard.iter().map(show).collect()
    }

    pub fn ending(&self) -> Option<&Ending> {
        self.heard.iter().find_map(|event| match event {
            ClientEvent::Ended { why } => Some(why),
            _ => None,
        })
    }

    pub fn count(&self, pick: impl Fn(&Event) -> bool) -> usize {
        self.told.iter().filter(|event| pick(event)).count()
    }

    pub fn assert_no_error(&self) {
        assert!(self.client_error.is_none(), "{:?}", self.client_error);
        assert!(self.server_error.is_none(), "{:?}", self.server_error);
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with SEED={}; client heard {:?}",
                self.seed,
                self.codes()
            );
        }
    }
}
