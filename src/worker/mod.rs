//! A worker: one pinned thread, one poll, its connections and its part of every stream.
//!
//! The only floor with sockets.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Worker`] and the turn |
//! | `rtmp` | protocol events ⇄ streams |
//! | `closing` | how connections and the worker end |
//! | `conn` | one connection: socket, session, roles, flush |
//! | `fanout` | who is written to in a turn |
//! | `fault` | what tests break on purpose |
//! | `pulse` | its sign of life for the watchdog |
//! | `queue` | bytes owed to one peer |
//! | `conns` | connections by index and generation |
//! | `accept` | listeners, admission, socket options |
//! | `door` | who may come in, over all workers |
//! | `nagle` | when the kernel may gather small writes |
//! | `token` | poll tokens |
//!
//! Invariants: only `flush` writes to sockets; a connection that owes bytes stands in the flush
//! queue, or waits for a writable edge; the clock is read before the poll, for its timeout, and
//! once behind it, for the whole turn. Nothing here blocks but the poll.

mod accept;
mod closing;
mod conn;
mod conns;
mod door;
mod fanout;
mod fault;
mod nagle;
mod pulse;
mod queue;
mod rtmp;
#[cfg(test)]
mod tests;
mod token;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll};

pub use door::Door;
pub use pulse::{Beat, Pulse, Step};
pub use token::BELL;

use crate::config::{Config, Nagle};
use crate::ids::{ConnId, PlayerId, StreamRef, WorkerId};
use crate::limits::SCRATCH_BYTES;
use crate::live::{Batch, Directory, LagLimits, Live, Mail, Settings};
use crate::mesh::{Park, Port};
use crate::rtmp::server::SessionConfig;
use crate::time::Millis;
use crate::wheel::Wheel;
use accept::Listeners;
use conn::{CloseReason, Phase};
use conns::Conns;
use fanout::Pass;
use fault::Fault;
use token::Source;

/// Everything a worker starts from.
#[derive(Debug)]
pub struct WorkerSeed {
    /// Which worker it is.
    pub id: WorkerId,
    /// The settings.
    pub config: Arc<Config>,
    /// Its own listening sockets, non-blocking.
    pub listeners: Vec<std::net::TcpListener>,
    /// Its end of the mesh; the bell is registered with `poll` under [`BELL`].
    pub port: Port<Mail>,
    /// Its poll.
    pub poll: Poll,
    /// The names of all streams.
    pub directory: Arc<Directory>,
    /// The door it shares with the other workers.
    pub door: Arc<Door>,
    /// Its sign of life.
    pub pulse: Arc<Pulse>,
    /// When the process's clock started.
    pub started: Instant,
    /// Random bytes: handshakes grow their filler from it.
    pub seed: [u8; 32],
}

/// One worker. See the module head.
pub struct Worker {
    config: Arc<Config>,
    session_config: SessionConfig,
    lag_limits: LagLimits,
    poll: Poll,
    port: Port<Mail>,
    live: Live,
    conns: Conns,
    listeners: Listeners,
    door: Arc<Door>,
    pulse: Arc<Pulse>,
    fault: Fault,
    /// Sessions without a role so far, oldest first; some have one by now, or are gone.
    pending: VecDeque<ConnId>,
    /// Length at which that list is looked through.
    pending_checked_at: usize,
    wheel: Wheel<ConnId>,
    /// Connections that may owe bytes other than their stream's newest frames.
    flush_queue: VecDeque<ConnId>,
    /// Streams whose players are being served.
    passes: VecDeque<Pass>,
    /// News of the stream that is being served, in one piece.
    batch: Batch,
    /// Connections with more to read than one turn's budget.
    read_queue: VecDeque<ConnId>,
    /// Connections to be reaped.
    dead: Vec<ConnId>,
    scratch: Box<[u8]>,
    heads: Vec<u8>,
    players: Vec<PlayerId>,
    streams_due: Vec<StreamRef>,
    due: Vec<ConnId>,
    next_tick: Millis,
    /// When a stream wants its players served: one that gathers, or had news during its last pass.
    serve_at: Millis,
    started: Instant,
    seed: [u8; 32],
    /// Set while draining.
    drain_until: Option<Millis>,
    /// Players' small writes are gathered by the kernel.
    nagle: bool,
    done: bool,
    report: Report,
}

/// What a worker did, for the log line at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at the door: a bound was reached.
    pub turned_away: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Connections that were cut when the drain deadline passed.
    pub cut: u64,
    /// Connections that ended by a panic over their bytes.
    pub panics: u64,
}

impl Worker {
    /// Registers the listeners and gets ready to run.
    ///
    /// # Errors
    /// The poll refuses a listener.
    pub fn new(seed: WorkerSeed) -> io::Result<Self> {
        let config = seed.config;
        let sockets = seed
            .listeners
            .into_iter()
            .map(mio::net::TcpListener::from_std)
            .collect();
        let mut listeners = Listeners::new(sockets);
        for n in 0..listeners.len() {
            if let Some(socket) = listeners.socket_mut(n) {
                seed.poll
                    .registry()
                    .register(socket, token::listener(n), Interest::READABLE)?;
            }
        }
        let mut session_config = SessionConfig {
            chunk_size: config.chunk_size,
            ..Default::default()
        };
        session_config.limits.publisher.message_bytes_max = config.max_message;
        session_config.limits.media_idle_ms = config.publish_idle_ms;
        session_config.limits.media_mbit_per_second = config.max_bitrate_mbit;
        session_config.limits.media_messages_per_second = config.max_message_rate;
        let live = Live::new(seed.id, Settings::new(&config), seed.directory);
        Ok(Self {
            session_config,
            lag_limits: LagLimits {
                ms: config.max_lag_ms,
                bytes: config.max_lag_bytes,
            },
            poll: seed.poll,
            port: seed.port,
            live,
            conns: Conns::new(seed.id),
            listeners,
            door: seed.door,
            pulse: seed.pulse,
            fault: Fault::asked_for(),
            pending: VecDeque::new(),
            pending_checked_at: 0,
            wheel: Wheel::new(Millis(0)),
            flush_queue: VecDeque::new(),
            passes: VecDeque::new(),
            batch: Batch::default(),
            read_queue: VecDeque::new(),
            dead: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            heads: Vec::new(),
            players: Vec::new(),
            streams_due: Vec::new(),
            due: Vec::new(),
            next_tick: Millis(0),
            serve_at: Millis::NEVER,
            started: seed.started,
            seed: seed.seed,
            drain_until: None,
            nagle: config.nagle == Nagle::On,
            done: false,
            report: Report::default(),
            config,
        })
    }

    /// Runs until it is drained or cut.
    pub fn run(mut self) -> Report {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.done {
            self.poll_events(&mut events);
            let now = self.now();
            self.report.turns += 1;
            self.step(Step::Read);
            self.read_ready(now);
            for event in &events {
                self.note(event, now);
            }
            self.step(Step::Accept);
            self.accept_ready(now);
            self.step(Step::Mail);
            self.take_mail(now);
            self.step(Step::Timers);
            self.fire_timers(now);
            self.step(Step::Flush);
            // Other workers can serve their players while this one serves its own.
            self.port.flush();
            self.flush(now);
            self.step(Step::Reap);
            self.reap(now);
            // Again: what dies in this turn tells other workers so.
            self.port.flush();
        }
        self.cut_all();
        self.port.flush();
        self.step(Step::Parked);
        self.report
    }

    /// Says what it is about to do.
    fn step(&self, step: Step) {
        self.pulse.mark(self.report.turns, step);
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Parks until something happens; does not block while there is work left from the last turn.
    fn poll_events(&mut self, events: &mut Events) {
        let now = self.now();
        let queued =
            !(self.flush_queue.is_empty() && self.passes.is_empty() && self.read_queue.is_empty());
        let busy = queued || self.listeners.is_ready(now);
        let timeout = if busy || self.port.park() == Park::Poll {
            Some(Duration::ZERO)
        } else {
            self.sleep(now)
        };
        self.step(Step::Parked);
        if let Err(error) = self.poll.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            // Only a broken poll can fail here, and without it the worker is deaf for good.
            log::error!("poll failed: {error}");
            self.done = true;
        }
        self.port.unpark();
    }

    /// How long nothing is due; `None` for ever.
    fn sleep(&self, now: Millis) -> Option<Duration> {
        let mut due = self.wheel.next_due().unwrap_or(Millis::NEVER);
        due = due.min(self.listeners.retry_at()).min(self.serve_at);
        if !self.live.is_empty() {
            due = due.min(self.next_tick);
        }
        if self.port.is_backed_up() {
            due = due.min(now + BACKED_UP_MS);
        }
        if let Some(until) = self.drain_until {
            due = due.min(until).min(now + DRAIN_TICK_MS);
        }
        (due != Millis::NEVER).then(|| Duration::from_millis(due.since(now)))
    }

    fn note(&mut self, event: &Event, now: Millis) {
        match token::source(event.token()) {
            Source::Bell => {}
            Source::Listener(_) => self.listeners.wake(),
            Source::Conn { index, generation } => {
                let id = ConnId {
                    worker: self.port.me(),
                    index,
                    generation,
                };
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                conn.readable |= event.is_readable() || event.is_error();
                conn.read_closed |= event.is_read_closed() || event.is_error();
                // Who used up its budget has had its read this turn.
                let may_read = !conn.read_queued;
                if event.is_writable() && !conn.writable {
                    conn.writable = true;
                    self.queue_flush(id);
                }
                if may_read {
                    self.read(id, now);
                }
            }
        }
    }

    fn read_ready(&mut self, now: Millis) {
        for _ in 0..self.read_queue.len() {
            let Some(id) = self.read_queue.pop_front() else {
                return;
            };
            if let Some(conn) = self.conns.find(id) {
                conn.read_queued = false;
                self.read(id, now);
            }
        }
    }

    /// Reads one connection, up to a turn's budget.
    fn read(&mut self, id: ConnId, now: Millis) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut budget = SCRATCH_BYTES;
        while budget > 0 {
            let Some(conn) = self.conns.find(id) else {
                break;
            };
            if !conn.readable || matches!(conn.phase, Phase::Dead { .. }) {
                break;
            }
            let room = budget.min(scratch.len());
            let Some(buffer) = scratch.get_mut(..room) else {
                break;
            };
            match conn.read(buffer) {
                Ok(0) => {
                    conn.readable = false;
                    conn.read_closed = true;
                    self.peer_closed(id, now);
                    break;
                }
                Ok(taken) => {
                    budget -= taken;
                    // On an epoll stream socket a short read has emptied it: the next bytes bring
                    // a new edge. Not so once the peer has closed.
                    conn.readable = taken == room || conn.read_closed;
                    self.report.bytes_in += taken as u64;
                    if conn.is_flooding_linger(taken) {
                        conn.cut(CloseReason::Peer);
                        self.dead.push(id);
                        break;
                    }
                    if matches!(conn.phase, Phase::Open) {
                        self.digest(id, buffer.get(..taken).unwrap_or_default(), now);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => conn.readable = false,
                    io::ErrorKind::Interrupted => {}
                    kind => {
                        conn.readable = false;
                        conn.cut(CloseReason::Io(kind));
                        self.dead.push(id);
                    }
                },
            }
        }
        self.scratch = scratch;
        self.apply_effects(now);
        if let Some(conn) = self.conns.find(id) {
            if conn.readable && !conn.read_queued {
                conn.read_queued = true;
                self.read_queue.push_back(id);
            }
            self.rearm(id);
        }
    }

    /// A seed for one handshake's filler, which needs no secrecy (PROTOCOL H-07): the worker's seed
    /// counted up.
    fn next_seed(&mut self) -> [u8; 32] {
        for byte in &mut self.seed {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        self.seed
    }

    fn take_mail(&mut self, now: Millis) {
        for _ in 0..LETTERS_MAX {
            let Some(letter) = self.port.take() else {
                break;
            };
            for mail in letter.mail {
                match mail {
                    Mail::Drain { deadline } => self.drain(deadline, now),
                    Mail::Cut => self.done = true,
                    mail => self.live.deliver(letter.from, mail, now, &mut self.port),
                }
            }
        }
        self.apply_effects(now);
    }

    fn fire_timers(&mut self, now: Millis) {
        if self.next_tick <= now {
            self.next_tick = now + TICK_MS;
            self.live.tick(now, &mut self.port);
            self.choose_nagle();
            self.apply_effects(now);
        }
        let mut due = std::mem::take(&mut self.due);
        self.wheel.fire(now, &mut due);
        for id in due.drain(..) {
            self.timeout(id, now);
        }
        self.due = due;
    }

    /// Keeps the wheel informed: a token no later than the connection's deadline.
    fn rearm(&mut self, id: ConnId) {
        let write_timeout_ms = self.config.write_timeout_ms;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let deadline = conn.next_deadline(write_timeout_ms);
        if deadline < conn.armed {
            conn.armed = deadline;
            self.wheel.insert(deadline, id);
        }
    }
}

/// Letters read in a turn.
const LETTERS_MAX: usize = 1_024;

/// Events taken from one poll.
const EVENTS_MAX: usize = 1_024;

/// How often streams look at their clocks, in ms.
const TICK_MS: u64 = 100;

/// How soon to offer mail again to a full inbox: no bell tells when there is room.
const BACKED_UP_MS: u64 = 2;

/// How often a draining worker looks whether it is done.
const DRAIN_TICK_MS: u64 = 20;
