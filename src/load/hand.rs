//! `Hand`: one thread with its share of the connections.
//!
//! Invariant: only this thread touches its connections; what others may know is on the board, and
//! its gauges are locked while it works and free while it sleeps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::load::board::{Board, Phase};
use crate::load::dial::Dialer;
use crate::load::film::Film;
use crate::load::idle::Idle;
use crate::load::loss::{Loss, What, Who};
use crate::load::player::{Ctx, Outcome, Part, Player, Wake, line_of};
use crate::load::publisher::Publisher;
use crate::rtmp::client::ClientConfig;

/// What one thread is to do.
#[derive(Debug)]
pub struct Share {
    /// Place of its gauges on the board.
    pub index: usize,
    /// Publishers, in the order of their connecting.
    pub publishers: VecDeque<Visit<Cast>>,
    /// Players that come first, in the order of their connecting.
    pub players: VecDeque<Visit<Part>>,
    /// Players that come in the measured window.
    pub storm: VecDeque<Visit<Part>>,
    /// Idle connections, by number, in the order of their connecting.
    pub idle: VecDeque<Visit<u32>>,
}

/// One connection to come.
#[derive(Clone, Copy, Debug)]
pub struct Visit<T> {
    /// Microseconds behind the moment at which its group is let in.
    pub after_us: u64,
    /// Number among all connections of the run.
    pub number: u32,
    /// What it will be.
    pub what: T,
}

/// Which publisher a connection will be.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Stream number.
    pub stream: u32,
    /// Its place between two frames of the others.
    pub offset_us: u64,
}

/// What all threads have in common.
pub struct Common {
    /// State of the run.
    pub board: Board,
    /// What is shown; `None` if somebody else publishes.
    pub film: Option<Arc<Film>>,
    /// Where to connect.
    pub dialer: Dialer,
    /// A player's settings but for the stream's name.
    pub play: ClientConfig,
    /// A publisher's settings but for the stream's name.
    pub publish: ClientConfig,
    /// An idle connection's settings.
    pub idle: ClientConfig,
    /// A silence longer than this is a stall, microseconds.
    pub stall_us: u64,
    /// How long a thread that only counts rests between two looks at its sockets.
    pub rest: Duration,
    /// Some players read everything.
    pub verifies: bool,
}

/// A thread at work.
pub struct Hand<'a> {
    common: &'a Common,
    share: Share,
    poll: Poll,
    peers: Vec<Option<Peer>>,
    /// Which publisher is due when.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    scratch: Vec<u8>,
    trash: Vec<u8>,
    began_us: u64,
    ticked_us: u64,
}

enum Peer {
    Player(Box<Player>),
    Publisher(Box<Publisher>),
    Idle(Box<Idle>),
}

impl<'a> Hand<'a> {
    /// A thread that is about to begin.
    ///
    /// # Errors
    /// The kernel gives no event queue.
    pub fn new(common: &'a Common, share: Share) -> io::Result<Self> {
        Ok(Self {
            common,
            share,
            poll: Poll::new()?,
            peers: Vec::new(),
            due: BinaryHeap::new(),
            scratch: vec![0; SCRATCH_BYTES],
            trash: Vec::with_capacity(TRASH_BYTES),
            began_us: common.board.clock.now_us(),
            ticked_us: 0,
        })
    }

    /// Works until the board says that the run is over.
    ///
    /// # Errors
    /// The event queue fails.
    pub fn run(mut self) -> io::Result<Vec<(u32, Outcome)>> {
        let mut events = Events::with_capacity(EVENTS);
        while self.common.board.phase() < Phase::Over {
            match self.poll.poll(&mut events, Some(self.patience())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.work(&events);
            // The first thread publishes and measures delays.
            if self.share.index > 0 && !self.common.rest.is_zero() {
                std::thread::sleep(self.common.rest);
            }
        }
        let mut outcomes = Vec::new();
        for peer in std::mem::take(&mut self.peers).into_iter().flatten() {
            if let Peer::Player(player) = peer {
                let stream = player.stream();
                let outcome = self.with(|_, ctx| player.finish(ctx));
                outcomes.extend(outcome.flatten().map(|outcome| (stream, outcome)));
            }
        }
        Ok(outcomes)
    }

    fn work(&mut self, events: &Events) {
        let common = self.common;
        let now_us = common.board.clock.now_us();
        self.with(|hand, ctx| {
            for event in events {
                let place = event.token().0;
                let closed = event.is_read_closed() || event.is_error();
                let wake = Wake {
                    readable: event.is_readable() || closed,
                    writable: event.is_writable(),
                    closed,
                };
                hand.wake(place, wake, ctx);
            }
            hand.send(ctx);
            hand.dial(ctx);
            if now_us.saturating_sub(hand.ticked_us) >= TICK_US {
                hand.ticked_us = now_us;
                for place in 0..hand.peers.len() {
                    hand.keep(place, |peer| match peer {
                        Peer::Player(player) => player.tick(ctx),
                        Peer::Publisher(publisher) => publisher.tick(ctx),
                        Peer::Idle(idle) => idle.tick(ctx),
                    });
                }
            }
        });
    }

    /// Runs `work` with the gauges locked and the buffers lent.
    fn with<T>(&mut self, work: impl FnOnce(&mut Self, &mut Ctx<'_>) -> T) -> Option<T> {
        let common = self.common;
        let mut gauges = common.board.gauges.get(self.share.index)?.lock().ok()?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut trash = std::mem::take(&mut self.trash);
        let mut ctx = Ctx {
            board: &common.board,
            film: common.film.as_ref(),
            gauges: &mut gauges,
            scratch: &mut scratch,
            trash: &mut trash,
            stall_us: common.stall_us,
            verifies: common.verifies,
        };
        let outcome = work(self, &mut ctx);
        (self.scratch, self.trash) = (scratch, trash);
        Some(outcome)
    }

    fn wake(&mut self, place: usize, wake: Wake, ctx: &mut Ctx<'_>) {
        let mut due = None;
        self.keep(place, |peer| match peer {
            Peer::Player(player) => player.ready(wake, ctx),
            Peer::Idle(idle) => idle.ready(wake.readable, ctx),
            Peer::Publisher(publisher) => {
                let had = publisher.due_us().is_some();
                let goes_on = publisher.ready(wake.readable, ctx);
                due = publisher.due_us().filter(|_| !had);
                goes_on
            }
        });
        if let Some(due_us) = due {
            self.due.push(Reverse((due_us, place)));
        }
    }

    /// Does something with a connection and drops it if that says so.
    fn keep(&mut self, place: usize, act: impl FnOnce(&mut Peer) -> bool) {
        if let Some(slot) = self.peers.get_mut(place)
            && let Some(peer) = slot
            && !act(peer)
        {
            *slot = None;
        }
    }

    fn send(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.board.phase() >= Phase::Drain {
            self.due.clear();
            return;
        }
        let now_us = ctx.board.clock.now_us();
        while let Some(&Reverse((due_us, place))) = self.due.peek()
            && due_us <= now_us
        {
            self.due.pop();
            let mut next = None;
            self.keep(place, |peer| match peer {
                Peer::Publisher(publisher) => {
                    let goes_on = publisher.send_due(ctx);
                    next = publisher.due_us();
                    goes_on
                }
                Peer::Player(_) | Peer::Idle(_) => true,
            });
            self.due.extend(next.map(|due_us| Reverse((due_us, place))));
        }
    }

    fn dial(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.board.phase() >= Phase::Drain {
            return;
        }
        for _ in 0..DIALS_MAX {
            let now_us = ctx.board.clock.now_us();
            if let Some(visit) = take_due(&mut self.share.publishers, self.began_us, now_us) {
                self.dial_publisher(&visit, ctx);
                continue;
            }
            let joins = ctx.board.join_from_us(false);
            let storms = ctx.board.join_from_us(true);
            let visit = take_due(&mut self.share.players, joins, now_us)
                .or_else(|| take_due(&mut self.share.storm, storms, now_us));
            if let Some(visit) = visit {
                self.dial_player(&visit, ctx);
                continue;
            }
            match take_due(&mut self.share.idle, joins, now_us) {
                Some(visit) => self.dial_idle(&visit, ctx),
                None => return,
            }
        }
    }

    fn dial_publisher(&mut self, visit: &Visit<Cast>, ctx: &mut Ctx<'_>) {
        let cast = visit.what;
        let config = named(&self.common.publish, ctx.board, cast.stream);
        match self.common.dialer.dial(visit.number) {
            Ok(socket) => {
                let publisher = Publisher::new(cast.stream, cast.offset_us, socket, config, ctx);
                self.seat(Peer::Publisher(Box::new(publisher)));
            }
            Err(error) => not_dialed(Who::Publisher, Some(cast.stream), &error, ctx),
        }
    }

    fn dial_player(&mut self, visit: &Visit<Part>, ctx: &mut Ctx<'_>) {
        let part = visit.what;
        let config = named(&self.common.play, ctx.board, part.stream);
        match self.common.dialer.dial(visit.number) {
            Ok(socket) => {
                let player = Player::new(part, socket, config, ctx);
                self.seat(Peer::Player(Box::new(player)));
            }
            Err(error) => not_dialed(Who::Player(part.id), Some(part.stream), &error, ctx),
        }
    }

    fn dial_idle(&mut self, visit: &Visit<u32>, ctx: &mut Ctx<'_>) {
        match self.common.dialer.dial(visit.number) {
            Ok(socket) => {
                let idle = Idle::new(visit.what, socket, self.common.idle.clone(), ctx);
                self.seat(Peer::Idle(Box::new(idle)));
            }
            Err(error) => not_dialed(Who::Idle(visit.what), None, &error, ctx),
        }
    }

    fn seat(&mut self, mut peer: Peer) {
        let socket = match &mut peer {
            Peer::Player(player) => player.socket(),
            Peer::Publisher(publisher) => publisher.socket(),
            Peer::Idle(idle) => idle.socket(),
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(self.peers.len());
        // A fresh descriptor can always be registered; if not, the player gets no key frame.
        let _ = self.poll.registry().register(socket, token, interest);
        self.peers.push(Some(peer));
    }

    /// How long nothing is due.
    fn patience(&self) -> Duration {
        let now_us = self.common.board.clock.now_us();
        let publisher = self.due.peek().map(|Reverse((due_us, _))| *due_us);
        let board = &self.common.board;
        let dial = [
            self.share
                .publishers
                .front()
                .map(|v| self.began_us + v.after_us),
            next_join(&self.share.players, board.join_from_us(false)),
            next_join(&self.share.storm, board.join_from_us(true)),
            next_join(&self.share.idle, board.join_from_us(false)),
        ];
        let next = dial.into_iter().flatten().chain(publisher).min();
        let idle = Duration::from_millis(IDLE_MS);
        next.map_or(idle, |at| {
            Duration::from_micros(at.saturating_sub(now_us)).min(idle)
        })
    }
}

fn next_join<T>(visits: &VecDeque<Visit<T>>, from_us: u64) -> Option<u64> {
    visits
        .front()
        .map(|visit| from_us.saturating_add(visit.after_us))
}

fn take_due<T>(visits: &mut VecDeque<Visit<T>>, from_us: u64, now_us: u64) -> Option<Visit<T>> {
    let due_us = from_us.saturating_add(visits.front()?.after_us);
    if due_us > now_us {
        return None;
    }
    visits.pop_front()
}

fn named(config: &ClientConfig, board: &Board, stream: u32) -> ClientConfig {
    let name = line_of(board, stream).map_or_else(String::new, |line| line.name.clone());
    ClientConfig {
        stream: name,
        ..config.clone()
    }
}

fn not_dialed(who: Who, stream: Option<u32>, error: &io::Error, ctx: &mut Ctx<'_>) {
    let line = stream.and_then(|stream| line_of(ctx.board, stream));
    let stream = line.map_or_else(String::new, |line| line.name.clone());
    ctx.gauges.gone += 1;
    ctx.gauges.lose(Loss {
        who,
        stream,
        what: What::Connect(error.to_string()),
    });
}

const EVENTS: usize = 16_384;
const SCRATCH_BYTES: usize = 256 << 10;
const TRASH_BYTES: usize = 4 << 20;
/// Connections begun between two looks at the events.
const DIALS_MAX: usize = 128;
const TICK_US: u64 = 100_000;
const IDLE_MS: u64 = 50;
