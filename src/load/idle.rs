//! `Idle`: one connection that the server accepts and nobody asks anything of.
//!
//! Invariant: after connect it sends nothing but what the session owes: answers to pings, and
//! acknowledgements. It stays until the end of the run or until the server has enough of it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use crate::load::loss::{Loss, What, Who};
use crate::load::player::{Ctx, is_not_yet, seed};
use crate::rtmp::client::{ClientConfig, ClientEvent, ClientSession};

/// One idle connection.
pub struct Idle {
    id: u32,
    socket: TcpStream,
    session: ClientSession,
    heard: bool,
    connected: bool,
}

impl Idle {
    /// A connection that is on its way.
    #[must_use]
    pub fn new(id: u32, socket: TcpStream, config: ClientConfig, ctx: &Ctx<'_>) -> Self {
        Self {
            id,
            socket,
            session: ClientSession::new(config, seed(id), ctx.board.clock.millis()),
            heard: false,
            connected: false,
        }
    }

    /// The socket, to be registered.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// The socket has something to say. `false`: it is over.
    pub fn ready(&mut self, readable: bool, ctx: &mut Ctx<'_>) -> bool {
        let mut outcome = self.flush();
        if readable && outcome.is_ok() {
            outcome = self.read(ctx).and_then(|()| self.flush());
        }
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
            let mut input = ctx.scratch.get(..bytes).unwrap_or_default();
            let now = ctx.board.clock.millis();
            loop {
                match self.session.recv(&mut input, now) {
                    Ok(None) => break,
                    Ok(Some(ClientEvent::Connected { .. })) => {
                        self.connected = true;
                        ctx.gauges.idle += 1;
                        ctx.gauges.idle_connected += 1;
                    }
                    Ok(Some(ClientEvent::Ended { why })) => {
                        return Err(What::Session(why.to_string()));
                    }
                    Ok(Some(_)) => {}
                    Err(error) => return Err(What::Session(error.to_string())),
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), What> {
        while !self.session.out().is_empty() {
            match self.socket.write(self.session.out()) {
                Ok(taken) => drop(self.session.out().drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(self.broken(&error)),
            }
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
        ctx.gauges.lose(Loss {
            who: Who::Idle(self.id),
            stream: String::new(),
            what,
        });
        ctx.gauges.gone += 1;
        if std::mem::take(&mut self.connected) {
            ctx.gauges.idle = ctx.gauges.idle.saturating_sub(1);
        }
        false
    }
}
