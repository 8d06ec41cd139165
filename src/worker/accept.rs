//! Listeners: accepting, admission and socket options.
//!
//! Invariants: a listener that could not be emptied (no descriptor left) is retried by timer,
//! because the edge will not come again (RELIABILITY §1.3). Whoever finds no place is closed at
//! once, or soon where descriptors are missing: its player can say so or try elsewhere, in the
//! kernel's queue it would only hang.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use crate::ids::ConnId;
use crate::rtmp::server::ServerSession;
use crate::time::Millis;
use crate::worker::conn::{CloseReason, Conn};
use crate::worker::door::{Full, Ticket, spare};
use crate::worker::{Worker, token};

impl Worker {
    /// Takes in who waits, up to a turn's share.
    pub(super) fn accept_ready(&mut self, now: Millis) {
        if !self.listeners.is_ready(now) {
            return;
        }
        let door = Arc::clone(&self.door);
        let mut reserve = None;
        if self.listeners.is_starved() {
            // Workers that starve take turns, or each would take what another lets go.
            reserve = door.reserve();
            if reserve.is_none() {
                self.listeners.retry_later(now);
                return;
            }
        }
        for _ in 0..ACCEPTS_MAX {
            match self.listeners.accept() {
                Ok((socket, peer)) => self.receive(socket, peer, now),
                Err(Stopped::Empty) => return,
                Err(Stopped::Exhausted(error)) => {
                    self.starve(&error, reserve.as_deref_mut(), now);
                    return;
                }
            }
        }
    }

    /// The process has no descriptor or no memory for who waits: soon there may be some. Those who
    /// have waited long enough are closed with the descriptor that is kept for this.
    fn starve(&mut self, error: &io::Error, reserve: Option<&mut Option<File>>, now: Millis) {
        self.listeners.retry_later(now);
        let starved_ms = self.listeners.starved_ms(now);
        if let Some(reserve) = reserve
            && matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
            && starved_ms >= STARVED_MS
        {
            self.report.turned_away += self.listeners.turn_away(reserve);
        }
        if let Some(count) = self.door.turn_away(Full::Descriptors, now) {
            log::warn!(
                "cannot accept: {error}; tried {count} time(s), and again every {RETRY_MS} ms; \
                 who waits longer than {STARVED_MS} ms is closed"
            );
        }
    }

    /// Lets a newcomer in or closes it.
    pub(super) fn receive(&mut self, socket: TcpStream, peer: SocketAddr, now: Millis) {
        self.fault.strike_loop(peer.ip());
        let mut entry = self.door.enter(peer.ip());
        if matches!(entry, Err(Full::Pending | Full::Connections)) && self.make_room(now) {
            entry = self.door.enter(peer.ip());
        }
        match entry {
            Ok(ticket) => self.admit(socket, peer, ticket, now),
            Err(full) => self.turn_away(full, peer, now),
        }
    }

    fn admit(&mut self, mut socket: TcpStream, peer: SocketAddr, ticket: Ticket, now: Millis) {
        tune(
            &socket,
            self.config.send_buffer,
            self.config.write_timeout_ms,
        );
        let (session_config, seed) = (self.session_config, self.next_seed());
        let is_pending = ticket.is_pending();
        let registry = self.poll.registry();
        let mut registered = Ok(());
        let id = self.conns.insert(|id| {
            let token = token::conn(id.index, id.generation);
            let both = Interest::READABLE | Interest::WRITABLE;
            registered = registry.register(&mut socket, token, both);
            let session = Box::new(ServerSession::new(session_config, seed, id, now));
            Conn::new(id, socket, peer, session, ticket, now)
        });
        if let Err(error) = registered {
            log::warn!("[{id}] cannot watch the socket of {peer}: {error}");
            self.conns.remove(id);
            return;
        }
        self.report.accepted += 1;
        if is_pending {
            self.note_pending(id);
        }
        self.rearm(id);
    }

    /// Cuts the oldest unfinished session of this worker if it had its chance: a crowd that opens
    /// connections and says nothing must not lock out those who do. Whether it did.
    fn make_room(&mut self, now: Millis) -> bool {
        while let Some(&id) = self.pending.front() {
            let Some(conn) = self.conns.find(id).filter(|conn| conn.ticket.is_pending()) else {
                self.pending.pop_front();
                continue;
            };
            if now.since(conn.counters.since) < PENDING_CHANCE_MS {
                return false;
            }
            self.pending.pop_front();
            conn.cut(CloseReason::MadeRoom);
            self.dead.push(id);
            // Its place is needed in this very turn.
            self.reap(now);
            return true;
        }
        false
    }

    /// Keeps the list at twice what it is about, whatever became of those in it.
    fn note_pending(&mut self, id: ConnId) {
        if self.pending.len() >= self.pending_checked_at {
            let conns = &mut self.conns;
            self.pending
                .retain(|&id| conns.find(id).is_some_and(|conn| conn.ticket.is_pending()));
            self.pending_checked_at = (2 * self.pending.len()).max(PENDING_UNCHECKED);
        }
        self.pending.push_back(id);
    }

    fn turn_away(&mut self, full: Full, peer: SocketAddr, now: Millis) {
        self.report.turned_away += 1;
        let Some(count) = self.door.turn_away(full, now) else {
            return;
        };
        let config = &self.config;
        match full {
            Full::Connections => log::warn!(
                "closed {count} newcomer(s), the last from {peer}: --max-connections {} are open; \
                 raise it, and the limit of open files with it",
                config.max_connections,
            ),
            Full::Pending => log::warn!(
                "closed {count} newcomer(s), the last from {peer}: --max-pending {} sessions \
                 neither publish nor play yet",
                config.max_pending,
            ),
            Full::Descriptors => {}
            Full::PendingOfSource => log::warn!(
                "closed {count} newcomer(s), the last from {peer}: --max-pending-per-ip {} \
                 sessions of its address neither publish nor play yet",
                config.max_pending_per_ip,
            ),
        }
    }
}

/// The worker's listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    sockets: Vec<TcpListener>,
    /// Connections may be waiting.
    ready: bool,
    /// When to try again after a failure.
    retry_at: Millis,
    /// Since then somebody waits for whom there is no descriptor.
    starved_since: Option<Millis>,
}

/// Why accepting stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Nobody waits.
    Empty,
    /// The process has no descriptor or memory for another connection.
    Exhausted(io::Error),
}

impl Listeners {
    pub(super) fn new(sockets: Vec<TcpListener>) -> Self {
        Self {
            sockets,
            ready: true,
            retry_at: Millis::NEVER,
            starved_since: None,
        }
    }

    pub(super) fn socket_mut(&mut self, n: usize) -> Option<&mut TcpListener> {
        self.sockets.get_mut(n)
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// An edge came: somebody waits.
    pub(super) fn wake(&mut self) {
        self.ready = true;
    }

    pub(super) fn is_ready(&self, now: Millis) -> bool {
        self.ready || self.retry_at <= now
    }

    /// When to look again without an edge.
    pub(super) fn retry_at(&self) -> Millis {
        self.retry_at
    }

    /// Looks again in a while: the process is out of descriptors.
    pub(super) fn retry_later(&mut self, now: Millis) {
        self.ready = false;
        self.retry_at = now + RETRY_MS;
        self.starved_since.get_or_insert(now);
    }

    fn is_starved(&self) -> bool {
        self.starved_since.is_some()
    }

    /// How long somebody has been waiting for a descriptor, in ms.
    fn starved_ms(&self, now: Millis) -> u64 {
        self.starved_since.map_or(0, |since| now.since(since))
    }

    /// Closes who waits with the descriptor in reserve, up to a turn's share, and says how many.
    fn turn_away(&mut self, reserve: &mut Option<File>) -> u64 {
        let mut count = 0;
        *reserve = None;
        while count < TURNED_AWAY_MAX && self.accept().is_ok() {
            count += 1;
        }
        *reserve = spare();
        count
    }

    /// A connection ended: if its descriptor was missing, somebody can come in now.
    pub(super) fn retry_soon(&mut self, now: Millis) {
        if self.retry_at != Millis::NEVER {
            self.retry_at = now;
        }
    }

    /// The next waiting connection.
    pub(super) fn accept(&mut self) -> Result<(TcpStream, SocketAddr), Stopped> {
        // Each in turn: a rush for one address must not starve the others.
        if !self.sockets.is_empty() {
            self.sockets.rotate_left(1);
        }
        for socket in &self.sockets {
            loop {
                match socket.accept() {
                    Ok((stream, peer)) => return Ok((stream, canonical(peer))),
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => break,
                        // The peer left the queue before it was served.
                        io::ErrorKind::Interrupted
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset => {}
                        _ => return Err(Stopped::Exhausted(error)),
                    },
                }
            }
        }
        self.ready = false;
        self.retry_at = Millis::NEVER;
        self.starved_since = None;
        Err(Stopped::Empty)
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.sockets.clear();
        self.ready = false;
        self.retry_at = Millis::NEVER;
    }
}

/// Options of an accepted socket. Failures are not fatal: the connection works without them.
pub(super) fn tune(stream: &TcpStream, send_buffer_bytes: usize, write_timeout_ms: u64) {
    if let Err(error) = try_tune(stream, send_buffer_bytes, write_timeout_ms) {
        log::debug!("socket options: {error}");
    }
}

fn try_tune(stream: &TcpStream, send_buffer_bytes: usize, write_timeout_ms: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if send_buffer_bytes > 0 {
        // Otherwise the lag of a slow player hides in megabytes of autotuned kernel memory.
        socket.set_send_buffer_size(send_buffer_bytes)?;
        let lowat = u32::try_from(send_buffer_bytes / 2).unwrap_or(u32::MAX);
        socket.set_tcp_notsent_lowat(lowat)?;
    }
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    // A peer whose cable is pulled while bytes are in flight is gone after this long. So is one
    // that keeps its window shut, who has as long as `--write-timeout` says.
    let patience_ms = write_timeout_ms.max(USER_TIMEOUT_MS);
    socket.set_tcp_user_timeout(Some(Duration::from_millis(patience_ms)))
}

/// IPv4 peers of a dual-stack listener as IPv4.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// How long the kernel keeps bytes that nobody acknowledges, at least, in ms.
const USER_TIMEOUT_MS: u64 = 30_000;

/// Connections accepted in a turn.
const ACCEPTS_MAX: usize = 64;

/// How long a session may be unfinished before a newcomer may take its place, in ms. From accept
/// to publish or play are four round trips.
const PENDING_CHANCE_MS: u64 = 1_000;

/// A list of unfinished sessions as short as this is not looked through.
const PENDING_UNCHECKED: usize = 64;

/// How long somebody waits for a descriptor before it is closed, in ms: together with a retry less
/// than a second (RELIABILITY E1).
const STARVED_MS: u64 = 600;

/// Newcomers closed at one retry for want of a descriptor: a few milliseconds' work.
const TURNED_AWAY_MAX: u64 = 256;

/// "Too many open files", in this process and in the system.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// How long to wait before accepting again after a failure, in ms.
const RETRY_MS: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_no_less_patient_than_the_write_timeout() {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(stream);
        for (write_timeout_ms, seconds) in [(1_000, 30), (300_000, 300)] {
            tune(&stream, 0, write_timeout_ms);
            let told = SockRef::from(&stream).tcp_user_timeout().unwrap();
            assert_eq!(told, Some(Duration::from_secs(seconds)));
        }
    }
}
