//! `Player`: one connection that plays, and either reads everything or only counts.
//!
//! Invariant: every player parses until it has all headers and a key frame. From there one that
//! counts throws the bytes away in the kernel (`MSG_TRUNC`) and is judged by how many came since
//! that frame, compared with a player that reads everything and had that frame too.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::net::TcpStream;
use socket2::SockRef;

use crate::load::board::{Board, Gauges, Line, Phase};
use crate::load::film::Film;
use crate::load::loss::{Loss, What, Who};
use crate::load::silence::Silence;
use crate::load::verify::{Seen, Verifier};
use crate::load::wire::Wire;
use crate::rtmp::chunk::write_control;
use crate::rtmp::client::{ClientConfig, ClientEvent, ClientSession};
use crate::rtmp::message::Control;

/// One playing connection.
pub struct Player {
    id: u32,
    stream: u32,
    /// Belongs to the storm that joins in the measured window.
    storm: bool,
    /// Reads and checks everything.
    verify: bool,
    socket: TcpStream,
    out: Vec<u8>,
    stage: Stage,
    dialed_us: u64,
    read_us: u64,
    has_key: bool,
    silence: Silence,
}

/// What to do with bytes that come.
enum Stage {
    Talking(Box<Talk>),
    Counting(Count),
    Over,
}

struct Talk {
    session: ClientSession,
    verifier: Verifier,
    /// When the server said that it plays.
    ready_us: Option<u64>,
    /// Bytes the session has read.
    bytes: u64,
    wire: Wire,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// Last message that was parsed.
    from: Option<u64>,
    /// Bytes since.
    bytes: u64,
    /// Bytes acknowledged, and when.
    acked: u64,
    acked_us: u64,
}

/// What a player's thread lends it.
pub struct Ctx<'a> {
    /// The run's state.
    pub board: &'a Board,
    /// What is shown; `None` if somebody else publishes.
    pub film: Option<&'a Arc<Film>>,
    /// This thread's numbers.
    pub gauges: &'a mut Gauges,
    /// Room for bytes that are read.
    pub scratch: &'a mut [u8],
    /// Spare capacity for bytes that are not: never written to.
    pub trash: &'a mut Vec<u8>,
    /// A silence longer than this is a stall.
    pub stall_us: u64,
    /// Some players read everything, so that others can be compared with them.
    pub verifies: bool,
}

/// What an event says of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Wake {
    /// Something can be read, if only the end.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
    /// The other side has ended the connection; bytes may stand before the end.
    pub closed: bool,
}

/// How a player ended, for the comparison at the end.
#[derive(Debug)]
pub enum Outcome {
    /// It read everything: where each message ended on its wire.
    Read(Wire),
    /// It counted `bytes` since message `from`.
    Counted {
        /// Player number.
        id: u32,
        /// Last message parsed, where it is known.
        from: Option<u64>,
        /// Bytes since.
        bytes: u64,
    },
}

/// Which player it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Number among all players.
    pub id: u32,
    /// Stream number.
    pub stream: u32,
    /// Reads and checks everything.
    pub verify: bool,
    /// Belongs to the storm.
    pub storm: bool,
}

impl Player {
    /// A player whose connection is on its way.
    #[must_use]
    pub fn new(part: Part, socket: TcpStream, config: ClientConfig, ctx: &Ctx<'_>) -> Self {
        let now_us = ctx.board.clock.now_us();
        let session = ClientSession::new(config, seed(part.id), ctx.board.clock.millis());
        Self {
            id: part.id,
            stream: part.stream,
            storm: part.storm,
            verify: part.verify,
            socket,
            out: Vec::new(),
            stage: Stage::Talking(Box::new(Talk {
                session,
                verifier: Verifier::new(ctx.film.cloned(), part.stream),
                ready_us: None,
                bytes: 0,
                wire: Wire::default(),
            })),
            dialed_us: now_us,
            read_us: now_us,
            has_key: false,
            silence: Silence::default(),
        }
    }

    /// The socket, to be registered.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Stream number.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// The socket has something to say. `false`: it is over.
    pub fn ready(&mut self, wake: Wake, ctx: &mut Ctx<'_>) -> bool {
        if wake.writable
            && let Err(what) = self.flush()
        {
            return self.lost(what, ctx);
        }
        if wake.readable
            && let Err(what) = self.read(wake.closed, ctx)
        {
            return self.lost(what, ctx);
        }
        if let Err(what) = self.flush() {
            return self.lost(what, ctx);
        }
        true
    }

    /// Time has passed: deadlines, acknowledgements, stalls. `false`: it is over.
    pub fn tick(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let now_us = ctx.board.clock.now_us();
        match &mut self.stage {
            Stage::Talking(talk) => {
                if let Err(error) = talk.session.timeout(ctx.board.clock.millis()) {
                    return self.lost(What::Session(error.to_string()), ctx);
                }
            }
            Stage::Counting(count) => {
                let owed = count.bytes - count.acked;
                let is_time = owed > 0 && now_us.saturating_sub(count.acked_us) > ACK_US;
                if owed > ACK_BYTES || is_time {
                    (count.acked, count.acked_us) = (count.bytes, now_us);
                    let [.., a, b, c, d] = count.bytes.to_be_bytes();
                    let ack = Control::Ack(u32::from_be_bytes([a, b, c, d]));
                    write_control(&mut self.out, &ack);
                    if let Err(what) = self.flush() {
                        return self.lost(what, ctx);
                    }
                }
            }
            Stage::Over => return false,
        }
        self.listen(now_us, ctx);
        true
    }

    /// Looks whether something should have come.
    fn listen(&mut self, now_us: u64, ctx: &mut Ctx<'_>) {
        let line = line_of(ctx.board, self.stream).filter(|_| ctx.film.is_some());
        let sent = line.map(|line| line.sent().number);
        let is_up = line.is_none_or(|line| line.open.load(Ordering::Acquire));
        if !self.has_key || !is_up || ctx.board.phase() >= Phase::Drain {
            self.silence.end();
        }
        if self.silence.tick(now_us, sent, ctx.stall_us) {
            ctx.gauges.stalls += 1;
            let ms = ctx.stall_us / 1_000;
            self.note(What::Stalled { ms }, ctx);
        }
    }

    /// All was sent and there was time to read it.
    pub fn finish(self, ctx: &mut Ctx<'_>) -> Option<Outcome> {
        if !self.has_key && !matches!(self.stage, Stage::Over) {
            self.note(What::NoKey, ctx);
            return None;
        }
        match self.stage {
            Stage::Talking(mut talk) => {
                if let Some(line) = line_of(ctx.board, self.stream) {
                    talk.verifier.finish(&line.sent());
                }
                talk.tell(self.id, self.stream, ctx);
                Some(Outcome::Read(talk.wire))
            }
            Stage::Counting(count) => Some(Outcome::Counted {
                id: self.id,
                from: count.from,
                bytes: count.bytes,
            }),
            Stage::Over => None,
        }
    }

    fn read(&mut self, closed: bool, ctx: &mut Ctx<'_>) -> Result<(), What> {
        loop {
            let (taken, room) = match &mut self.stage {
                Stage::Talking(_) => (self.socket.read(ctx.scratch), ctx.scratch.len()),
                Stage::Counting(_) => {
                    let room = ctx.trash.spare_capacity_mut();
                    let len = room.len();
                    (
                        SockRef::from(&self.socket).recv_with_flags(room, MSG_TRUNC),
                        len,
                    )
                }
                Stage::Over => return Ok(()),
            };
            let bytes = match taken {
                Ok(0) => return Err(What::Disconnected("the server closed".to_owned())),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(&error)),
            };
            let count = u64::try_from(bytes).unwrap_or(0);
            self.read_us = ctx.board.clock.now_us();
            self.silence.end();
            ctx.gauges.bytes += count;
            match &mut self.stage {
                Stage::Talking(_) => self.feed(bytes, ctx)?,
                Stage::Counting(counted) => counted.bytes += count,
                Stage::Over => {}
            }
            // A short read of a stream socket has emptied it (epoll(7)), but for the end, which is
            // announced once.
            if bytes < room && !closed {
                return Ok(());
            }
        }
    }

    /// Gives the first `bytes` of the scratch to the session.
    fn feed(&mut self, bytes: usize, ctx: &mut Ctx<'_>) -> Result<(), What> {
        let scratch = std::mem::take(&mut ctx.scratch);
        let outcome = self.parse(scratch.get(..bytes).unwrap_or_default(), ctx);
        ctx.scratch = scratch;
        outcome
    }

    fn parse(&mut self, mut input: &[u8], ctx: &mut Ctx<'_>) -> Result<(), What> {
        let now = ctx.board.clock.millis();
        loop {
            let Stage::Talking(talk) = &mut self.stage else {
                return Ok(());
            };
            let before = input.len();
            let event = talk.session.recv(&mut input, now);
            talk.bytes += u64::try_from(before - input.len()).unwrap_or(0);
            match event {
                Ok(None) => return Ok(()),
                Err(error) => return Err(What::Session(error.to_string())),
                Ok(Some(ClientEvent::Ready { .. })) => talk.ready_us = Some(self.read_us),
                Ok(Some(ClientEvent::Ended { why })) => {
                    return Err(What::Session(why.to_string()));
                }
                Ok(Some(ClientEvent::Media(message))) => {
                    let line = line_of(ctx.board, self.stream);
                    let sent = line.map_or(0, |line| line.sent().number);
                    let seen = talk.verifier.take(&message, sent);
                    talk.tell(self.id, self.stream, ctx);
                    if let Some(seen) = seen {
                        self.seen(seen, input.len(), ctx);
                    }
                }
                Ok(Some(_)) => {}
            }
        }
    }

    /// A frame has come; `rest` bytes behind it were read but not parsed.
    fn seen(&mut self, seen: Seen, rest: usize, ctx: &mut Ctx<'_>) {
        let Stage::Talking(talk) = &mut self.stage else {
            return;
        };
        let Some(line) = line_of(ctx.board, self.stream) else {
            return;
        };
        if seen.key && !self.has_key {
            self.has_key = true;
            line.players.fetch_add(1, Ordering::Relaxed);
            ctx.gauges.players += 1;
            ctx.gauges.verifying += u64::from(self.verify);
            let took_us = self.read_us.saturating_sub(self.dialed_us);
            if self.storm {
                ctx.gauges.storm_joined += 1;
                ctx.gauges.storm_keys.record(took_us);
            } else {
                ctx.gauges.joined += 1;
                ctx.gauges.keys.record(took_us);
            }
        }
        // Without a number, or without anybody to be compared with, waiting does not help.
        let is_comparable = !ctx.verifies || seen.number.is_none_or(|number| line.is_read(number));
        if self.verify {
            ctx.gauges.checked += 1;
            // Some servers send sounds while they wait for a key frame: no row begins there.
            if let Some(number) = seen.number.filter(|_| self.has_key) {
                talk.wire.push(number, talk.bytes);
                line.read(number);
            }
            let sent_us = seen.sent_us.or_else(|| line.sent_us(seen.number?));
            // What was in the server's cache when the player came is old for a good reason.
            if let (Some(sent_us), Some(ready_us)) = (sent_us, talk.ready_us)
                && sent_us >= ready_us
            {
                let delay_us = self.read_us.saturating_sub(sent_us);
                ctx.gauges.delays.record(delay_us);
                if ctx.board.phase() == Phase::Steady {
                    ctx.gauges.steady.record(delay_us);
                }
            }
        } else if self.has_key && talk.verifier.has_headers() && is_comparable {
            // What is missing so far stays missing: nobody looks for it any more.
            talk.verifier.settle();
            talk.tell(self.id, self.stream, ctx);
            self.out.append(talk.session.out());
            self.stage = Stage::Counting(Count {
                from: seen.number,
                bytes: u64::try_from(rest).unwrap_or(0),
                acked: 0,
                acked_us: self.read_us,
            });
        }
    }

    fn flush(&mut self) -> Result<(), What> {
        if let Stage::Talking(talk) = &mut self.stage {
            self.out.append(talk.session.out());
        }
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(taken) => drop(self.out.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Ok(())
    }

    /// A connection that fails before anything came was never one.
    fn broken(&self, error: &io::Error) -> What {
        match &self.stage {
            Stage::Talking(talk) if talk.bytes == 0 => What::Connect(error.to_string()),
            _ => What::Disconnected(error.to_string()),
        }
    }

    fn lost(&mut self, what: What, ctx: &mut Ctx<'_>) -> bool {
        if let Stage::Talking(talk) = &mut self.stage {
            talk.verifier.settle();
            talk.tell(self.id, self.stream, ctx);
        }
        self.note(what, ctx);
        ctx.gauges.gone += 1;
        if self.has_key {
            ctx.gauges.players = ctx.gauges.players.saturating_sub(1);
            if let Some(line) = line_of(ctx.board, self.stream) {
                line.players.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.stage = Stage::Over;
        false
    }

    fn note(&self, what: What, ctx: &mut Ctx<'_>) {
        ctx.gauges.lose(loss(self.id, self.stream, ctx.board, what));
    }
}

impl Talk {
    /// Reports what the verifier has found.
    fn tell(&mut self, id: u32, stream: u32, ctx: &mut Ctx<'_>) {
        for fault in self.verifier.take_faults() {
            if fault.changes_bytes() {
                self.wire.spoil();
            }
            ctx.gauges
                .lose(loss(id, stream, ctx.board, What::Fault(fault)));
        }
    }
}

fn loss(id: u32, stream: u32, board: &Board, what: What) -> Loss {
    Loss {
        who: Who::Player(id),
        stream: line_of(board, stream).map_or_else(String::new, |line| line.name.clone()),
        what,
    }
}

pub(super) fn line_of(board: &Board, stream: u32) -> Option<&Line> {
    board.lines.get(usize::try_from(stream).ok()?)
}

/// Bytes of a handshake need not be random here, only different.
pub(super) fn seed(n: u32) -> [u8; 32] {
    let mut seed = [0x5A; 32];
    for (to, from) in seed.iter_mut().zip(n.to_be_bytes()) {
        *to = from;
    }
    seed
}

/// Not connected yet, or no room in the kernel: an event will come.
pub(super) fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

/// Throw received bytes away without copying them (tcp(7), Linux).
const MSG_TRUNC: i32 = 0x20;
/// Half of the window that servers announce most often (2.5 MB).
const ACK_BYTES: u64 = 1_250_000;
/// A silent player might be pinged, and one that counts cannot answer; nginx asks after 60 s.
const ACK_US: u64 = 20_000_000;
