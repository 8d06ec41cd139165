//! `Conn`: one connection: its socket, its protocol session and what it does with streams.
//!
//! Invariants: bytes leave through `flush` and `send_batch` only; a connection ends for exactly one
//! [`CloseReason`], the first that was given; `roles` holds a message stream at most once.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mio::net::TcpStream;
use socket2::SockRef;
use thiserror::Error;

use crate::config::PlayerClock;
use crate::ids::{ConnId, Run, StreamName, StreamRef};
use crate::live::{Batch, Cursor, LagLimits, Live, Source};
use crate::media::{Gather, Taste};
use crate::rtmp;
use crate::rtmp::server::{Event, Refusal, ServerSession};
use crate::time::Millis;
use crate::worker::door::Ticket;
use crate::worker::fault::Fault;
use crate::worker::queue::ByteQueue;

/// One connection. See the module head.
pub(super) struct Conn {
    id: ConnId,
    socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) session: Box<ServerSession>,
    pub(super) ticket: Ticket,
    /// The rest of a frame whose playback ended in the middle of it; it goes ahead of everything.
    cut: ByteQueue,
    /// Command answers, pings and headers; they go ahead of media, but never into a frame.
    control: ByteQueue,
    pub(super) roles: Vec<(u32, Role)>,
    pub(super) taste: Option<Taste>,
    pub(super) phase: Phase,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer has sent FIN: read to the end, whatever a short read says.
    pub(super) read_closed: bool,
    /// It stands in the worker's queue for a flush, or for another read.
    pub(super) flush_queued: bool,
    pub(super) read_queued: bool,
    /// Bytes are owed since then and none was taken.
    pub(super) stalled_since: Option<Millis>,
    /// The socket last took bytes then; the session is told when it asks for a timeout.
    took_at: Millis,
    /// Bytes read and thrown away since the end began.
    discarded: usize,
    /// Earliest wheel entry that stands for it.
    pub(super) armed: Millis,
    pub(super) counters: Counters,
    /// The last name it published or played, for its log line.
    pub(super) last_role: Option<(&'static str, StreamName)>,
}

/// What one message stream of a connection does.
#[derive(Debug)]
pub(super) enum Role {
    Publishing {
        stream: StreamRef,
        run: Run,
    },
    /// Waits for a stream that is not there yet.
    Waiting {
        stream: StreamRef,
    },
    Playing(Playback),
}

#[derive(Debug)]
pub(super) struct Playback {
    pub(super) stream: StreamRef,
    pub(super) cursor: Cursor,
    pub(super) paused: bool,
}

impl Playback {
    pub(super) fn new(stream: StreamRef, cursor: Cursor, clock: PlayerClock) -> Self {
        let cursor = match clock {
            PlayerClock::Absolute => cursor,
            PlayerClock::Zero => cursor.from_zero(),
        };
        Self {
            stream,
            cursor,
            paused: false,
        }
    }
}

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    Open,
    /// What is owed is still flushed, until the deadline.
    Closing {
        reason: CloseReason,
        until: Millis,
    },
    /// Our side is shut; what the peer sends is discarded so that no RST destroys the last reply
    /// in flight (L-13).
    Lingering {
        reason: CloseReason,
        until: Millis,
    },
    /// To be reaped.
    Dead {
        reason: CloseReason,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, Error)]
pub(super) enum CloseReason {
    #[error("closed by the peer")]
    Peer,
    #[error("{0}")]
    Protocol(#[from] rtmp::Error),
    #[error("connection lost: {0}")]
    Io(io::ErrorKind),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("the stream ended")]
    StreamEnded,
    #[error("took no byte for {stalled_ms} ms")]
    TooSlow { stalled_ms: u64 },
    #[error("{owed} bytes of answers unread")]
    TooMuchControl { owed: usize },
    #[error("its name was taken over by another encoder")]
    TakenOver,
    #[error("unfinished, and a newcomer needed its place")]
    MadeRoom,
    #[error("the server is shutting down")]
    Drain,
    #[error("a bug in the server; the panic above says where")]
    Panicked,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) since: Millis,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) frames_skipped: u64,
}

/// What a flush found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing is owed.
    Clean,
    /// The socket takes no more; an edge will come.
    Blocked,
    /// Bytes are owed and the socket takes more: flush again next turn.
    More,
}

impl Conn {
    pub(super) fn new(
        id: ConnId,
        socket: TcpStream,
        peer: SocketAddr,
        session: Box<ServerSession>,
        ticket: Ticket,
        now: Millis,
    ) -> Self {
        Self {
            id,
            socket,
            peer,
            session,
            ticket,
            cut: ByteQueue::default(),
            control: ByteQueue::default(),
            roles: Vec::new(),
            taste: None,
            phase: Phase::Open,
            readable: false,
            writable: false,
            read_closed: false,
            flush_queued: false,
            read_queued: false,
            stalled_since: None,
            took_at: now,
            discarded: 0,
            armed: Millis::NEVER,
            counters: Counters {
                since: now,
                ..Counters::default()
            },
            last_role: None,
        }
    }

    pub(super) fn id(&self) -> ConnId {
        self.id
    }

    /// One read. `Ok(0)` is the end.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let taken = self.socket.read(scratch)?;
        self.counters.bytes_in += taken as u64;
        Ok(taken)
    }

    /// Lets the kernel gather small writes, or not. A socket that refuses keeps what it has.
    pub(super) fn set_nagle(&self, nagle: bool) {
        if let Err(error) = self.socket.set_nodelay(!nagle) {
            log::debug!("[{}] TCP_NODELAY: {error}", self.id);
        }
    }

    /// Feeds bytes to the session. What panics in there is a bug of ours that somebody's bytes have
    /// found: it ends this connection, which is all the session knows of, and no other (DESIGN §8).
    pub(super) fn digest(
        &mut self,
        input: &mut &[u8],
        now: Millis,
        fault: Fault,
    ) -> Result<Option<Event>, CloseReason> {
        let (session, peer) = (&mut self.session, self.peer.ip());
        let recv = || {
            fault.strike_session(peer);
            session.recv(input, now)
        };
        Ok(contain(recv)??)
    }

    /// Gives a message stream its role. Whoever has had one is no unfinished session any more.
    pub(super) fn give_role(&mut self, stream_id: u32, role: Role) {
        self.ticket.settle();
        self.roles.push((stream_id, role));
    }

    /// The role of a message stream.
    pub(super) fn role_mut(&mut self, stream_id: u32) -> Option<&mut Role> {
        self.roles
            .iter_mut()
            .find(|(id, _)| *id == stream_id)
            .map(|(_, role)| role)
    }

    /// Whether any message stream plays.
    pub(super) fn plays(&self) -> bool {
        let plays = |role: &Role| matches!(role, Role::Playing(_));
        self.roles.iter().any(|(_, role)| plays(role))
    }

    /// Takes the role of a message stream away.
    pub(super) fn take_role(&mut self, stream_id: u32) -> Option<Role> {
        let place = self.roles.iter().position(|(id, _)| *id == stream_id)?;
        let (_, role) = self.roles.swap_remove(place);
        self.keep_rest(&role);
        Some(role)
    }

    /// Takes every role away.
    pub(super) fn take_roles(&mut self) -> Vec<(u32, Role)> {
        let roles = std::mem::take(&mut self.roles);
        for (_, role) in &roles {
            self.keep_rest(role);
        }
        roles
    }

    /// Whoever is still listening must get the end of a frame that was begun, or it would take
    /// what follows for the rest of it.
    fn keep_rest(&mut self, role: &Role) {
        let is_heard = !(self.read_closed || matches!(self.phase, Phase::Dead { .. }));
        if let Role::Playing(playback) = role
            && is_heard
        {
            playback.cursor.write_rest(self.cut.tail());
        }
    }

    /// Starts the end: what is owed is flushed first. The first reason stays.
    pub(super) fn close(&mut self, reason: CloseReason, now: Millis) {
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::Closing {
                reason,
                until: now + CLOSE_FLUSH_MS,
            };
        }
    }

    /// Ends at once.
    pub(super) fn cut(&mut self, reason: CloseReason) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Open => Phase::Dead { reason },
            Phase::Closing { reason, .. }
            | Phase::Lingering { reason, .. }
            | Phase::Dead { reason } => Phase::Dead { reason },
        };
    }

    /// Everything owed is out: shuts our side and waits for the peer to see it.
    pub(super) fn half_close(&mut self, now: Millis) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Closing { reason, .. } => {
                if self.read_closed || self.socket.shutdown(Shutdown::Write).is_err() {
                    Phase::Dead { reason }
                } else {
                    Phase::Lingering {
                        reason,
                        until: now + LINGER_MS,
                    }
                }
            }
            other => other,
        };
    }

    /// `taken` more bytes were discarded while it lingers: more than a peer sends before it has
    /// read the last reply means that it is not reading it.
    pub(super) fn is_flooding_linger(&mut self, taken: usize) -> bool {
        if matches!(self.phase, Phase::Open) {
            return false;
        }
        self.discarded += taken;
        self.discarded > LINGER_BYTES_MAX
    }

    /// When the worker must look at it again.
    pub(super) fn next_deadline(&self, write_timeout_ms: u64) -> Millis {
        match &self.phase {
            Phase::Open => {
                let stall = self
                    .stalled_since
                    .map_or(Millis::NEVER, |at| at + write_timeout_ms);
                stall.min(self.session.next_timeout())
            }
            Phase::Closing { until, .. } | Phase::Lingering { until, .. } => *until,
            Phase::Dead { .. } => Millis(0),
        }
    }

    /// How long bytes have been owed without one being taken, in ms.
    pub(super) fn stalled_ms(&self, now: Millis) -> u64 {
        self.stalled_since.map_or(0, |since| now.since(since))
    }

    /// Writes what is owed: control bytes, then media, a cut frame before both. At most
    /// [`WRITES_MAX`] writes, so that one fast player does not hold up the others.
    pub(super) fn flush(
        &mut self,
        live: &Live,
        limits: LagLimits,
        heads: &mut Vec<u8>,
        now: Millis,
    ) -> io::Result<Flushed> {
        for _ in 0..WRITES_MAX {
            let media = self.next_playback(live, limits, now);
            let cut = media.is_some_and(|place| self.is_cut(place));
            let (rest, control) = (self.cut.rest(), self.control.rest());
            if media.is_none() && rest.is_empty() && control.is_empty() {
                self.stalled_since = None;
                return Ok(Flushed::Clean);
            }
            heads.clear();
            let mut gather = Gather::new();
            // At most one frame of a connection is cut, and nothing else was begun meanwhile.
            let control_bytes = if !cut && gather.push(rest) && gather.push(control) {
                control.len()
            } else {
                0
            };
            let playback = media.and_then(|place| playback_at(&self.roles, place));
            let source = playback.and_then(|p| source_of(live, self.taste.as_ref(), p));
            if let (Some(playback), Some(source)) = (playback, source) {
                // Control bytes wait for the end of a cut frame and for nothing else; and a player
                // whose writes are always cut short skips there, or it would never (G-13).
                let behind = playback.cursor.is_behind(source.log, limits, now);
                let frames_max = if cut && (behind || !control.is_empty()) {
                    1
                } else {
                    Gather::SLICES_MAX
                };
                playback
                    .cursor
                    .gather(source, frames_max, heads, &mut gather);
            }
            let owed = gather.bytes();
            if owed == 0 {
                debug_assert!(false, "[{}] is served frames of nothing", self.id);
                return Ok(Flushed::Clean);
            }
            let written = match send(&self.socket, gather.slices()) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            drop(gather);
            self.took(live, media, written, control_bytes, now);
            if written < owed {
                self.writable = false;
                return Ok(Flushed::Blocked);
            }
        }
        Ok(Flushed::More)
    }

    /// The cursor of a connection that does nothing but play `stream`, with what it is served from,
    /// if no other bytes are owed ahead of it.
    pub(super) fn lone_playback<'a>(
        &'a self,
        live: &'a Live,
        stream: StreamRef,
    ) -> Option<(&'a Cursor, Source<'a>)> {
        let [(_, Role::Playing(playback))] = self.roles.as_slice() else {
            return None;
        };
        let free = self.cut.len() == 0 && self.control.len() == 0 && !playback.paused;
        if !free || playback.stream != stream {
            return None;
        }
        let source = source_of(live, self.taste.as_ref(), playback)?;
        Some((&playback.cursor, source))
    }

    /// Sends a batch if it is what this player is owed next. `None`: it is not, or there is more.
    pub(super) fn send_batch(
        &mut self,
        live: &Live,
        stream: StreamRef,
        batch: &Batch,
        limits: LagLimits,
        now: Millis,
    ) -> Option<io::Result<Flushed>> {
        let (cursor, source) = self.lone_playback(live, stream)?;
        let (bytes, to) = batch.for_player(stream, source.taste, cursor)?;
        if cursor.is_behind(source.log, limits, now) {
            return None;
        }
        let is_all = to == source.log.head();
        let written = match SockRef::from(&self.socket).send(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
            Err(error) => return Some(Err(error)),
        };
        if written < bytes.len() {
            self.took(live, Some(0), written, 0, now);
            self.writable = false;
            return Some(Ok(Flushed::Blocked));
        }
        self.stalled_since = None;
        self.took_at = now;
        self.counters.bytes_out += written as u64;
        if let Some((_, Role::Playing(playback))) = self.roles.first_mut() {
            playback.cursor.pass(to);
        }
        is_all.then_some(Ok(Flushed::Clean))
    }

    /// Checks the session's deadlines, which bytes that have left put off.
    pub(super) fn session_timeout(&mut self, now: Millis) -> Result<(), rtmp::Error> {
        self.session.sent(self.took_at);
        self.session.timeout(now)
    }

    /// Moves the session's answers behind the control bytes.
    pub(super) fn collect(&mut self) {
        self.control.append(self.session.out());
    }

    /// Control bytes not yet sent.
    pub(super) fn control_owed(&self) -> usize {
        self.control.len()
    }

    /// The playback to serve next: one with a cut frame first, else the first that owes frames.
    fn next_playback(&mut self, live: &Live, limits: LagLimits, now: Millis) -> Option<usize> {
        let cut = self.roles.iter().position(
            |(_, role)| matches!(role, Role::Playing(playback) if playback.cursor.is_mid_frame()),
        );
        if cut.is_some() {
            return cut;
        }
        for (place, (_, role)) in self.roles.iter_mut().enumerate() {
            let Role::Playing(playback) = role else {
                continue;
            };
            if playback.paused {
                continue;
            }
            let Some(stream) = live.stream(playback.stream) else {
                continue;
            };
            let Some(source) = source_of(live, self.taste.as_ref(), playback) else {
                continue;
            };
            let lost = playback
                .cursor
                .prepare(source, limits, now, self.control.tail());
            if lost > 0 {
                self.counters.frames_skipped += lost;
                if let Some(tally) = stream.tally() {
                    tally.skip(lost);
                }
            }
            if !playback.cursor.is_drained(stream.log()) {
                return Some(place);
            }
        }
        None
    }

    fn is_cut(&self, place: usize) -> bool {
        playback_at(&self.roles, place).is_some_and(|p| p.cursor.is_mid_frame())
    }

    /// Takes note of what the socket took.
    fn took(
        &mut self,
        live: &Live,
        media: Option<usize>,
        written: usize,
        control_bytes: usize,
        now: Millis,
    ) {
        if written == 0 {
            self.stalled_since.get_or_insert(now);
            return;
        }
        self.stalled_since = Some(now);
        self.counters.bytes_out += written as u64;
        self.took_at = now;
        let written = self.cut.advance(written);
        self.control.advance(written.min(control_bytes));
        let taste = self.taste.as_ref();
        let role = media
            .and_then(|place| self.roles.get_mut(place))
            .map(|(_, role)| role);
        if let Some(Role::Playing(playback)) = role
            && let Some(source) = source_of(live, taste, playback)
        {
            playback
                .cursor
                .advance(source, written.saturating_sub(control_bytes));
        }
    }
}

/// Runs `work`; a panic in it becomes a reason to close. Whatever it touched must not be asked
/// for more.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, CloseReason> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| CloseReason::Panicked)
}

/// One write. `sendmsg` and `send` spare the file layer that `writev` goes through.
fn send(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(socket);
    match slices {
        [one] => socket.send(one),
        many => socket.send_vectored(many),
    }
}

fn playback_at(roles: &[(u32, Role)], place: usize) -> Option<&Playback> {
    match roles.get(place) {
        Some((_, Role::Playing(playback))) => Some(playback),
        _ => None,
    }
}

fn source_of<'a>(
    live: &'a Live,
    taste: Option<&'a Taste>,
    playback: &Playback,
) -> Option<Source<'a>> {
    let stream = live.stream(playback.stream)?;
    Some(Source {
        log: stream.log(),
        headers: stream.headers(),
        taste: taste?,
    })
}

/// Writes of one flush. A player that took a whole gather and owes more is far behind; the others
/// come first.
const WRITES_MAX: usize = 4;

/// How long a closing connection may take for what it is still owed.
const CLOSE_FLUSH_MS: u64 = 5_000;

/// How long the peer is given to read the last reply (L-13).
const LINGER_MS: u64 = 2_000;

/// Bytes discarded after the last reply before the connection is cut: a publisher's send buffer
/// behind the longest message there can be, which it sends to the end before it reads the reply.
const LINGER_BYTES_MAX: usize = 20 << 20;
