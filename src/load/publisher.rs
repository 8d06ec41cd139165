//! `Publisher`: one connection that shows a film at its own pace.
//!
//! Invariant: a message is due at a time fixed when the publisher began; one that is sent late is
//! followed by the next at its own time, so lateness does not add up.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use mio::net::TcpStream;

use crate::load::board::Phase;
use crate::load::film::{Beat, Reel};
use crate::load::loss::{Loss, What, Who};
use crate::load::player::{Ctx, is_not_yet, line_of, seed};
use crate::rtmp::client::{ClientConfig, ClientError, ClientEvent, ClientSession};

/// One publishing connection.
pub struct Publisher {
    stream: u32,
    socket: TcpStream,
    session: ClientSession,
    /// Bytes that the socket did not take yet.
    backlog: Vec<u8>,
    /// When the film began, once it did.
    began_us: Option<u64>,
    /// Added to that, so that many publishers do not send in the same moment.
    offset_us: u64,
    reel: Reel,
    next: Option<Beat>,
    payload: Vec<u8>,
    heard: bool,
}

impl Publisher {
    /// A publisher whose connection is on its way.
    #[must_use]
    pub fn new(
        stream: u32,
        offset_us: u64,
        socket: TcpStream,
        config: ClientConfig,
        ctx: &Ctx<'_>,
    ) -> Self {
        Self {
            stream,
            socket,
            session: ClientSession::new(config, seed(!stream), ctx.board.clock.millis()),
            backlog: Vec::new(),
            began_us: None,
            offset_us,
            reel: Reel::default(),
            next: None,
            payload: Vec::new(),
            heard: false,
        }
    }

    /// The socket, to be registered.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// When the next message is due.
    #[must_use]
    pub fn due_us(&self) -> Option<u64> {
        Some(self.began_us? + self.next?.at_us)
    }

    /// The socket has something to say. `false`: it is over.
    pub fn ready(&mut self, readable: bool, ctx: &mut Ctx<'_>) -> bool {
        if let Err(what) = self.flush() {
            return self.lost(what, ctx);
        }
        if readable && let Err(what) = self.read(ctx) {
            return self.lost(what, ctx);
        }
        match self.flush() {
            Ok(()) => true,
            Err(what) => self.lost(what, ctx),
        }
    }

    /// Sends whatever is due. `false`: it is over.
    pub fn send_due(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let outcome = self.send(ctx).and_then(|()| self.flush());
        match outcome {
            Ok(()) => true,
            Err(what) => self.lost(what, ctx),
        }
    }

    /// Time has passed. `false`: it is over.
    pub fn tick(&mut self, ctx: &mut Ctx<'_>) -> bool {
        match self.session.timeout(ctx.board.clock.millis()) {
            Ok(()) => true,
            Err(error) => self.lost(What::Session(error.to_string()), ctx),
        }
    }

    fn send(&mut self, ctx: &mut Ctx<'_>) -> Result<(), What> {
        let (Some(film), Some(line)) = (ctx.film, line_of(ctx.board, self.stream)) else {
            return Ok(());
        };
        if ctx.board.phase() >= Phase::Drain {
            return Ok(());
        }
        while let (Some(due_us), Some(beat)) = (self.due_us(), self.next) {
            let now_us = ctx.board.clock.now_us();
            if due_us > now_us {
                break;
            }
            if ctx.board.phase() == Phase::Steady {
                ctx.gauges.late.record(now_us - due_us);
            }
            film.write(&beat, self.stream, now_us, &mut self.payload);
            line.count(&beat, self.payload.len(), now_us);
            let sent = self
                .session
                .send_media(beat.kind, beat.timestamp_ms(), &self.payload);
            sent.map_err(|error| What::Session(error.to_string()))?;
            self.flush()?;
            self.next = Some(film.next(&mut self.reel));
        }
        Ok(())
    }

    fn read(&mut self, ctx: &mut Ctx<'_>) -> Result<(), What> {
        loop {
            let bytes = match self.socket.read(ctx.scratch) {
                Ok(0) => return Err(What::Disconnected("the server closed".to_owned())),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(&error)),
            };
            self.heard = true;
            let scratch = std::mem::take(&mut ctx.scratch);
            let outcome = self.parse(scratch.get(..bytes).unwrap_or_default(), ctx);
            ctx.scratch = scratch;
            outcome?;
        }
    }

    fn parse(&mut self, mut input: &[u8], ctx: &mut Ctx<'_>) -> Result<(), What> {
        let told = |error: ClientError| What::Session(error.to_string());
        let now = ctx.board.clock.millis();
        while let Some(event) = self.session.recv(&mut input, now).map_err(told)? {
            match event {
                ClientEvent::Ready { .. } => self.begin(ctx).map_err(told)?,
                ClientEvent::Ended { why } => return Err(What::Session(why.to_string())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Headers now, frames from the next tick of the offset on.
    fn begin(&mut self, ctx: &mut Ctx<'_>) -> Result<(), ClientError> {
        let Some(film) = ctx.film.filter(|_| self.began_us.is_none()) else {
            return Ok(());
        };
        self.began_us = Some(ctx.board.clock.now_us() + self.offset_us);
        if !film.metadata().is_empty() {
            self.session.send_metadata(0, film.metadata())?;
        }
        for (kind, payload) in film.headers() {
            self.session.send_media(*kind, 0, payload)?;
        }
        self.next = Some(film.next(&mut self.reel));
        ctx.gauges.publishers += 1;
        if let Some(line) = line_of(ctx.board, self.stream) {
            line.open.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), What> {
        self.backlog.append(self.session.out());
        while !self.backlog.is_empty() {
            match self.socket.write(&self.backlog) {
                Ok(taken) => drop(self.backlog.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_not_yet(&error) => break,
                Err(error) => return Err(self.broken(&error)),
            }
        }
        let backlog = self.backlog.len();
        if backlog > BACKLOG_MAX {
            return Err(What::Backlog { backlog });
        }
        Ok(())
    }

    fn broken(&self, error: &io::Error) -> What {
        if self.heard {
            What::Disconnected(error.to_string())
        } else {
            What::Connect(error.to_string())
        }
    }

    fn lost(&mut self, what: What, ctx: &mut Ctx<'_>) -> bool {
        let line = line_of(ctx.board, self.stream);
        let stream = line.map_or_else(String::new, |line| line.name.clone());
        ctx.gauges.lose(Loss {
            who: Who::Publisher,
            stream,
            what,
        });
        ctx.gauges.gone += 1;
        if self.began_us.take().is_some() {
            ctx.gauges.publishers = ctx.gauges.publishers.saturating_sub(1);
        }
        if let Some(line) = line {
            line.open.store(false, Ordering::Release);
        }
        false
    }
}

/// A server that leaves this much of a stream untaken does not keep up.
const BACKLOG_MAX: usize = 16 << 20;
