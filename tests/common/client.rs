//! `Publisher` and `Player`: what a test says in one line each.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use corecast::rtmp::client::{Address, Advert, ClientConfig, ClientEvent, Ending, Status};
use corecast::rtmp::message::{Kind, Message};

use super::link::{Dial, Failure, Heard, Link, PATIENCE};
use super::media::{Camera, Piece, metadata};
use super::tally::Tally;

/// A publisher whose publish was accepted.
pub struct Publisher {
    pub link: Link,
    pub stream_id: u32,
}

impl Publisher {
    /// Publishes `path` (`live/cam`, with a query if wanted) or a whole `rtmp://` URL.
    pub fn connect(to: SocketAddr, path: &str) -> Result<Self, Failure> {
        Self::dial(&Dial::new(to), publish_config(to, path))
    }

    /// Publishes with other settings.
    pub fn dial(dial: &Dial, config: ClientConfig) -> Result<Self, Failure> {
        let mut link = Link::open(dial, config).map_err(Failure::Io)?;
        let stream_id = link.until_ready(PATIENCE)?;
        Ok(Self { link, stream_id })
    }

    /// Publishes and sends metadata and the camera's configs.
    pub fn start(to: SocketAddr, path: &str, camera: &Camera) -> Result<Self, Failure> {
        let mut publisher = Self::connect(to, path)?;
        publisher.open(camera).map_err(Failure::Io)?;
        Ok(publisher)
    }

    /// Sends metadata and the camera's configs.
    pub fn open(&mut self, camera: &Camera) -> io::Result<()> {
        self.metadata(camera.start, &metadata())?;
        camera
            .configs()
            .iter()
            .try_for_each(|piece| self.piece(piece))
    }

    /// Sends the camera's next `count` messages as fast as they go.
    pub fn roll(&mut self, camera: &mut Camera, count: usize) -> io::Result<()> {
        camera.take(count).try_for_each(|piece| self.piece(&piece))
    }

    /// Sends the camera's messages at the pace of their timestamps.
    pub fn roll_live(&mut self, camera: &mut Camera, length: Duration) -> io::Result<()> {
        let started = Instant::now();
        let mut first = None;
        for piece in camera {
            let first = *first.get_or_insert(piece.timestamp);
            let due = Duration::from_millis(u64::from(piece.timestamp.wrapping_sub(first)));
            if due >= length {
                // The piece of the border is sent as well: leaving it out would be a gap.
                return self.piece(&piece);
            }
            std::thread::sleep(due.saturating_sub(started.elapsed()));
            self.piece(&piece)?;
        }
        Ok(())
    }

    /// Sends these messages as fast as they go.
    pub fn pieces(&mut self, pieces: &[Piece]) -> io::Result<()> {
        pieces.iter().try_for_each(|piece| self.piece(piece))
    }

    /// Publishes on a worker that fits: dials until the kernel deals one out. Connections on other
    /// workers leave before they ask for the stream.
    pub fn on_worker(to: SocketAddr, path: &str, fits: impl Fn(u8) -> bool) -> Self {
        let mut link = link_on(&Dial::new(to), &publish_config(to, path), fits);
        let ready = link.until_ready(PATIENCE);
        let stream_id = ready.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
        Self { link, stream_id }
    }

    pub fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        self.send(piece.kind, piece.timestamp, &piece.payload)
    }

    /// Sends one message and takes what the server has said meanwhile.
    pub fn send(&mut self, kind: Kind, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        self.link
            .session
            .send_media(kind, timestamp, payload)
            .map_err(io::Error::other)?;
        self.settle()
    }

    /// Sends `onMetaData` behind `@setDataFrame`.
    pub fn metadata(&mut self, timestamp: u32, data: &[u8]) -> io::Result<()> {
        self.link
            .session
            .send_metadata(timestamp, data)
            .map_err(io::Error::other)?;
        self.settle()
    }

    /// Waits for what the server says next; `None` when it says nothing in that time.
    pub fn recv(&mut self, patience: Duration) -> Option<Word> {
        word(&mut self.link, patience)
    }

    /// Receives until the connection is closed; panics when it stays open. The codes of the
    /// statuses that came before.
    pub fn until_closed(&mut self) -> Vec<String> {
        codes_until_closed(|left| self.recv(left))
    }

    /// Says goodbye and closes.
    pub fn stop(mut self) {
        self.link.session.stop();
        let _ = self.link.flush();
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.link.reset();
    }

    fn settle(&mut self) -> io::Result<()> {
        self.link.flush()?;
        match self.link.pump() {
            Ok(events) => match events.into_iter().find_map(ending) {
                Some(why) => Err(io::Error::other(why)),
                None => Ok(()),
            },
            Err(Failure::Io(error)) => Err(error),
            Err(failure) => Err(io::Error::other(format!("{failure:?}"))),
        }
    }
}

/// A player whose play was accepted.
pub struct Player {
    pub link: Link,
    pub tally: Tally,
}

impl Player {
    /// Plays `path` or a whole URL; waits for Play.Start.
    pub fn connect(to: SocketAddr, path: &str) -> Result<Self, Failure> {
        Self::dial(&Dial::new(to), play_config(to, path))
    }

    /// Plays with other settings.
    pub fn dial(dial: &Dial, config: ClientConfig) -> Result<Self, Failure> {
        let mut player = Self::join(dial, config).map_err(Failure::Io)?;
        player.link.until_ready(PATIENCE)?;
        Ok(player)
    }

    /// A player that takes enhanced codecs and several tracks.
    pub fn capable(to: SocketAddr, path: &str) -> Result<Self, Failure> {
        let config = ClientConfig {
            advert: Some(Advert::everything()),
            ..play_config(to, path)
        };
        Self::dial(&Dial::new(to), config)
    }

    /// Plays on a worker that fits, see `Publisher::on_worker`.
    pub fn on_worker(to: SocketAddr, path: &str, fits: impl Fn(u8) -> bool) -> Self {
        let mut link = link_on(&Dial::new(to), &play_config(to, path), fits);
        let ready = link.until_ready(PATIENCE);
        ready.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
        Self {
            link,
            tally: Tally::default(),
        }
    }

    /// Asks for the stream and does not wait for the answer.
    pub fn join(dial: &Dial, config: ClientConfig) -> io::Result<Self> {
        Ok(Self {
            link: Link::open(dial, config)?,
            tally: Tally::default(),
        })
    }

    /// Waits for what comes next; `None` when nothing comes in that time. Media is tallied.
    pub fn recv(&mut self, patience: Duration) -> Option<Word> {
        let word = word(&mut self.link, patience);
        if let Some(Word::Media(message)) = &word {
            self.tally.take(message);
        }
        word
    }

    /// The next media message, statuses skipped; `None` at the end or when nothing comes in time.
    pub fn media(&mut self, patience: Duration) -> Option<Message> {
        let until = Instant::now() + patience;
        loop {
            match self.recv(until.saturating_duration_since(Instant::now()))? {
                Word::Media(message) => return Some(message),
                Word::Closed | Word::Ended(_) | Word::Broken(_) => return None,
                _ => {}
            }
        }
    }

    /// Receives until the picture of that number has come; panics when it does not.
    pub fn until_picture(&mut self, number: u64) {
        self.until(&format!("picture {number}"), |tally| {
            tally.video.last.is_some_and(|last| last >= number)
        });
    }

    /// Receives until the audio frame of that number has come; panics when it does not.
    pub fn until_sound(&mut self, number: u64) {
        self.until(&format!("audio frame {number}"), |tally| {
            tally.audio.last.is_some_and(|last| last >= number)
        });
    }

    /// Receives until the tally satisfies `enough`; panics when that takes too long.
    pub fn until(&mut self, what: &str, enough: impl Fn(&Tally) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !enough(&self.tally) {
            let left = until.saturating_duration_since(Instant::now());
            match self.recv(left) {
                Some(Word::Closed | Word::Ended(_) | Word::Broken(_)) | None => {
                    panic!("{what} did not come; received: {}", self.tally)
                }
                Some(_) => {}
            }
        }
    }

    /// Receives until a status of that code has come; panics when it does not.
    pub fn until_status(&mut self, code: &str) -> Status {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.recv(until.saturating_duration_since(Instant::now())) {
                Some(Word::Status(status)) if status.code == code => return status,
                Some(Word::Closed | Word::Broken(_)) | None => {
                    panic!("no {code}; received: {}", self.tally)
                }
                Some(_) => {}
            }
        }
    }

    /// Receives until the connection is closed; panics when it stays open. The codes of the
    /// statuses that came before.
    pub fn until_closed(&mut self) -> Vec<String> {
        codes_until_closed(|left| self.recv(left))
    }

    /// Receives until the server says the stream is over.
    pub fn until_ended(&mut self) -> Ending {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.recv(until.saturating_duration_since(Instant::now())) {
                Some(Word::Ended(why)) => return why,
                Some(Word::Closed | Word::Broken(_)) | None => {
                    panic!("no end of stream; received: {}", self.tally)
                }
                Some(_) => {}
            }
        }
    }

    /// Says goodbye and closes.
    pub fn stop(mut self) {
        self.link.session.stop();
        let _ = self.link.flush();
    }
}

/// What a server said, or that it is gone.
#[derive(Debug)]
pub enum Word {
    Media(Message),
    Status(Status),
    StreamEof,
    Ended(Ending),
    Ready,
    /// Anything else.
    Other(ClientEvent),
    /// The connection is closed.
    Closed,
    /// The session or the socket failed.
    Broken(Failure),
}

/// Settings of a publisher of `path` (`live/cam`) at that address, or of a whole URL.
pub fn publish_config(to: SocketAddr, path: &str) -> ClientConfig {
    ClientConfig::publish(&address(to, path))
}

/// Settings of a player of `path` (`live/cam`) at that address, or of a whole URL.
pub fn play_config(to: SocketAddr, path: &str) -> ClientConfig {
    ClientConfig::play(&address(to, path))
}

fn address(to: SocketAddr, path: &str) -> Address {
    let url = if path.contains("://") {
        path.to_owned()
    } else {
        format!("rtmp://{to}/{path}")
    };
    Address::parse(&url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn word(link: &mut Link, patience: Duration) -> Option<Word> {
    Some(match link.poll(patience) {
        Ok(Heard::Silence) => return None,
        Ok(Heard::Closed) => Word::Closed,
        Ok(Heard::Event(event)) => match event {
            ClientEvent::Media(message) => Word::Media(message),
            ClientEvent::Status(status) => Word::Status(status),
            ClientEvent::StreamEof { .. } => Word::StreamEof,
            ClientEvent::Ended { why } => Word::Ended(why),
            ClientEvent::Ready { .. } => Word::Ready,
            other => Word::Other(other),
        },
        Err(failure) => Word::Broken(failure),
    })
}

/// A connection on a worker that fits; connect is accepted and nothing else is asked for.
pub fn link_on(dial: &Dial, config: &ClientConfig, fits: impl Fn(u8) -> bool) -> Link {
    for _ in 0..DIALS_MAX {
        let mut link = Link::open(dial, config.clone()).expect("the server accepts");
        link.until_connected(PATIENCE).expect("connect is accepted");
        if fits(link.worker()) {
            return link;
        }
    }
    panic!("none of {DIALS_MAX} connections came to a worker that fits");
}

fn codes_until_closed(mut recv: impl FnMut(Duration) -> Option<Word>) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    let mut codes = Vec::new();
    loop {
        match recv(until.saturating_duration_since(Instant::now())) {
            Some(Word::Status(status)) => codes.push(status.code),
            Some(Word::Closed | Word::Broken(_)) => return codes,
            Some(_) => {}
            None => panic!("the connection stays open; statuses: {codes:?}"),
        }
    }
}

fn ending(event: ClientEvent) -> Option<Ending> {
    match event {
        ClientEvent::Ended { why } => Some(why),
        _ => None,
    }
}

/// With four workers each connection misses three times in four: 0.75^200 is no chance at all.
const DIALS_MAX: usize = 200;
