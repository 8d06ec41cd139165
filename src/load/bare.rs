//! The bare loop: the least a server can do to hand one stream to its players, as a yardstick.
//!
//! Invariant: every player is given the same bytes at the same moments: one `send` each for every
//! message, or for all messages of so many milliseconds. No cache, no skipping, no limits: not a
//! server to be used.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::codec::{self, Part};
use crate::ids::{ConnId, WorkerId};
use crate::load::clock::Clock;
use crate::load::player::{is_not_yet, seed};
use crate::rtmp::chunk::{Head, csid, write_message};
use crate::rtmp::message::{Kind, Message};
use crate::rtmp::server::{Event, ServerSession, SessionConfig};

/// How the loop hands bytes over.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Messages are collected for so long; 0: each goes out at once.
    pub merge_ms: u64,
    /// Leaves Nagle's algorithm on.
    pub nagle: bool,
}

/// A loop with one stream, whatever name it is published and played under.
pub struct Bare {
    settings: Settings,
    clock: Clock,
    poll: Poll,
    listener: TcpListener,
    conns: Vec<Option<Conn>>,
    /// Sequence headers, as bytes for a player.
    headers: Vec<(Kind, Vec<u8>)>,
    /// What all players are due to get.
    pending: Vec<u8>,
    /// When it is due, if there is any: on a grid, as the server's merging is.
    due_us: Option<u64>,
    /// When the last was due.
    last_due_us: u64,
    scratch: Vec<u8>,
}

struct Conn {
    socket: TcpStream,
    session: ServerSession,
    plays: Plays,
    /// What the socket did not take yet.
    backlog: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plays {
    No,
    /// From the next key frame on.
    Waits,
    /// Its first byte in `pending`.
    From(usize),
}

impl Bare {
    /// A loop that listens.
    ///
    /// # Errors
    /// The address is taken, or the kernel gives no event queue.
    pub fn new(settings: Settings) -> io::Result<Self> {
        rlimit::increase_nofile_limit(u64::MAX)?;
        let socket = Socket::new(Domain::for_address(settings.listen), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&settings.listen.into())?;
        socket.listen(1_024)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            settings,
            clock: Clock::start(),
            poll,
            listener,
            conns: Vec::new(),
            headers: Vec::new(),
            pending: Vec::new(),
            due_us: None,
            last_due_us: 0,
            scratch: vec![0; 64 << 10],
        })
    }

    /// Works until the process is ended.
    ///
    /// # Errors
    /// The event queue fails.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(place) => self.serve(place),
                }
            }
            if self.patience() == Some(Duration::ZERO) {
                self.hand_over();
            }
        }
    }

    /// How long what is pending may wait yet.
    fn patience(&self) -> Option<Duration> {
        let due_us = self.due_us?;
        Some(Duration::from_micros(
            due_us.saturating_sub(self.clock.now_us()),
        ))
    }

    fn accept(&mut self) {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let place = self.conns.len();
            let index = u32::try_from(place).unwrap_or(u32::MAX);
            let trace = ConnId {
                worker: WorkerId(0),
                index,
                generation: 0,
            };
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered = self
                .poll
                .registry()
                .register(&mut socket, Token(place), both);
            if registered.is_err() || socket.set_nodelay(!self.settings.nagle).is_err() {
                continue;
            }
            let config = SessionConfig {
                chunk_size: CHUNK_SIZE,
                ..SessionConfig::default()
            };
            let session = ServerSession::new(config, seed(index), trace, self.clock.millis());
            self.conns.push(Some(Conn {
                socket,
                session,
                plays: Plays::No,
                backlog: Vec::new(),
            }));
        }
    }

    /// Reads what a connection says and sends what it is owed. One that fails is dropped.
    fn serve(&mut self, place: usize) {
        let Some(mut conn) = self.conns.get_mut(place).and_then(Option::take) else {
            return;
        };
        let goes_on = self.read(&mut conn).and_then(|()| conn.flush());
        if goes_on.is_ok()
            && let Some(slot) = self.conns.get_mut(place)
        {
            *slot = Some(conn);
        }
    }

    fn read(&mut self, conn: &mut Conn) -> io::Result<()> {
        let now = self.clock.millis();
        loop {
            let mut scratch = std::mem::take(&mut self.scratch);
            let taken = conn.socket.read(&mut scratch);
            let outcome = match taken {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    let mut input = scratch.get(..bytes).unwrap_or_default();
                    loop {
                        match conn.session.recv(&mut input, now) {
                            Ok(Some(event)) => self.event(conn, event),
                            Ok(None) => break Ok(true),
                            Err(_) => break Err(io::ErrorKind::InvalidData.into()),
                        }
                    }
                }
                Err(error) if is_not_yet(&error) => Ok(false),
                Err(error) => Err(error),
            };
            self.scratch = scratch;
            if !outcome? {
                return Ok(());
            }
        }
    }

    fn event(&mut self, conn: &mut Conn, event: Event) {
        match event {
            Event::Connect(_) => conn.session.accept_connect(),
            Event::Publish { stream_id, .. } => {
                conn.session.accept_publish(stream_id, self.clock.millis());
            }
            Event::Play { stream_id, .. } => {
                conn.session.start_play(stream_id);
                conn.plays = Plays::Waits;
            }
            Event::Media { message, .. } => self.media(&message),
            Event::StopPlay { .. } => conn.plays = Plays::No,
            _ => {}
        }
    }

    fn media(&mut self, message: &Message) {
        let payload = message.payload();
        let (csid, told) = match message.kind {
            Kind::Audio => (csid::AUDIO, codec::audio(payload)),
            Kind::Video => (csid::VIDEO, codec::video(payload)),
            _ => return,
        };
        let head = Head {
            csid,
            timestamp: message.timestamp,
            kind: message.kind,
            stream_id: 1,
        };
        let part = told.map(|tag| tag.part);
        if part == Ok(Part::Config) {
            let mut bytes = Vec::new();
            write_message(&mut bytes, &head, payload, CHUNK_SIZE);
            self.headers.retain(|(kind, _)| *kind != message.kind);
            self.headers.push((message.kind, bytes));
            return;
        }
        if part == (Ok(Part::Frame { key: true })) {
            self.let_in();
        }
        write_message(&mut self.pending, &head, payload, CHUNK_SIZE);
        self.due_us = self.due_us.or_else(|| Some(self.next_due_us()));
        if self.settings.merge_ms == 0 {
            self.hand_over();
        }
    }

    /// Players that wait start here.
    fn let_in(&mut self) {
        for conn in self
            .conns
            .iter_mut()
            .flatten()
            .filter(|conn| conn.plays == Plays::Waits)
        {
            conn.plays = Plays::From(self.pending.len());
            for (_, header) in &self.headers {
                conn.backlog.extend_from_slice(header);
            }
        }
    }

    /// One `send` to each player.
    fn hand_over(&mut self) {
        for slot in &mut self.conns {
            let Some(conn) = slot else {
                continue;
            };
            if let Plays::From(from) = conn.plays {
                let bytes = self.pending.get(from..).unwrap_or_default();
                conn.plays = Plays::From(0);
                if conn.send(bytes).is_err() {
                    *slot = None;
                }
            }
        }
        self.pending.clear();
        self.last_due_us = self.due_us.take().unwrap_or(self.last_due_us);
    }

    /// The end of the running window.
    fn next_due_us(&self) -> u64 {
        let (now_us, merge_us) = (self.clock.now_us(), self.settings.merge_ms * 1_000);
        let next_us = self.last_due_us + merge_us;
        if next_us > now_us {
            next_us
        } else {
            now_us + merge_us
        }
    }
}

impl Conn {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.backlog.is_empty() {
            self.backlog.extend_from_slice(bytes);
            return self.flush();
        }
        let taken = match self.socket.write(bytes) {
            Ok(taken) => taken,
            Err(error) if is_not_yet(&error) => 0,
            Err(error) => return Err(error),
        };
        self.backlog
            .extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Whole messages behind whole messages, so answers may stand between any two.
        self.backlog.append(self.session.out());
        while !self.backlog.is_empty() {
            match self.socket.write(&self.backlog) {
                Ok(taken) => drop(self.backlog.drain(..taken)),
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

const LISTENER: Token = Token(usize::MAX - 1);
const CHUNK_SIZE: u32 = 60_000;
