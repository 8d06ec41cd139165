//! Who is written to in a turn: connections that owe answers first, then a slice of each stream's
//! players.
//!
//! Invariants: only `flush` writes to sockets, by `flush_one` and `serve_one`; a turn serves at
//! most [`SERVED_MAX`] players, so a newcomer's handshake and the publisher's next frame never wait
//! behind a whole audience; the order of one connection's bytes does not depend on which of the two
//! paths wrote them.

use std::io;

use crate::ids::{ConnId, PlayerId, StreamRef};
use crate::limits::{CONTROL_BYTES_MAX, HEADERS_BYTES_MAX};
use crate::time::Millis;
use crate::worker::Worker;
use crate::worker::conn::{CloseReason, Flushed};

/// How far a stream's players have been served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    stream: StreamRef,
    /// The last one served.
    after: Option<PlayerId>,
}

impl Worker {
    pub(super) fn queue_flush(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id)
            && !conn.flush_queued
        {
            conn.flush_queued = true;
            self.flush_queue.push_back(id);
        }
    }

    /// The one place that writes.
    pub(super) fn flush(&mut self, now: Millis) {
        for _ in 0..self.flush_queue.len().min(FLUSHES_MAX) {
            let Some(id) = self.flush_queue.pop_front() else {
                break;
            };
            let Some(conn) = self.conns.find(id) else {
                continue;
            };
            conn.flush_queued = false;
            conn.collect();
            self.flush_one(id, now);
        }
        self.serve(now);
    }

    /// Serves the streams with news, each a slice of its players in turn.
    fn serve(&mut self, now: Millis) {
        let mut due = std::mem::take(&mut self.streams_due);
        self.serve_at = self.live.take_due(now, &mut due);
        let new = due.drain(..).map(|stream| Pass {
            stream,
            after: None,
        });
        self.passes.extend(new);
        self.streams_due = due;
        let mut players = std::mem::take(&mut self.players);
        let mut room = SERVED_MAX;
        while room > 0
            && let Some(mut pass) = self.passes.pop_front()
        {
            self.live
                .players_after(pass.stream, pass.after, room, &mut players);
            let is_over = players.len() < room;
            // A stream without players is a step too.
            room -= players.len().max(1);
            pass.after = players.last().copied();
            self.fill_batch(pass.stream, &players);
            for player in players.drain(..) {
                self.serve_one(player.conn, pass.stream, now);
            }
            if is_over {
                self.serve_at = self.serve_at.min(self.live.served(pass.stream));
            } else {
                self.passes.push_back(pass);
            }
        }
        self.players = players;
    }

    /// Puts a slice's news into one piece, as the first of its players is owed them.
    fn fill_batch(&mut self, stream: StreamRef, players: &[PlayerId]) {
        let (live, conns) = (&self.live, &mut self.conns);
        let first = players
            .first()
            .filter(|_| players.len() >= BATCH_PLAYERS_MIN);
        let first = first.and_then(|player| conns.find(player.conn));
        match first.and_then(|conn| conn.lone_playback(live, stream)) {
            Some((cursor, source)) => self.batch.fill(stream, source, cursor),
            None => self.batch.clear(),
        }
    }

    /// Sends a player its stream's news. One that stands in the queue gets them there, behind the
    /// answers it is owed.
    fn serve_one(&mut self, id: ConnId, stream: StreamRef, now: Millis) {
        if let Some(conn) = self.conns.find(id)
            && conn.writable
            && !conn.flush_queued
        {
            let before = conn.counters.bytes_out;
            let sent = conn.send_batch(&self.live, stream, &self.batch, self.lag_limits, now);
            self.report.bytes_out += conn.counters.bytes_out - before;
            match sent {
                Some(flushed) => self.flushed(id, flushed, now),
                None => self.flush_one(id, now),
            }
        }
    }

    fn flush_one(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if !conn.writable {
            let owed = conn.control_owed();
            if owed > CONTROL_BYTES_MAX + HEADERS_BYTES_MAX {
                conn.cut(CloseReason::TooMuchControl { owed });
                self.dead.push(id);
            }
            return;
        }
        let before = conn.counters.bytes_out;
        let flushed = conn.flush(&self.live, self.lag_limits, &mut self.heads, now);
        self.report.bytes_out += conn.counters.bytes_out - before;
        self.flushed(id, flushed, now);
    }

    fn flushed(&mut self, id: ConnId, flushed: io::Result<Flushed>, now: Millis) {
        match flushed {
            Ok(Flushed::Clean) => self.flushed_clean(id, now),
            // A stall has begun. Bytes that went out only put deadlines off.
            Ok(Flushed::Blocked) => self.rearm(id),
            Ok(Flushed::More) => self.queue_flush(id),
            Err(error) => {
                if let Some(conn) = self.conns.find(id) {
                    conn.cut(CloseReason::Io(error.kind()));
                    self.dead.push(id);
                }
            }
        }
    }
}

/// Fewer players take their slices from the frames themselves.
const BATCH_PLAYERS_MIN: usize = 4;

/// Connections with answers that are flushed before the loop looks at its sockets again.
const FLUSHES_MAX: usize = 512;

/// Players served before the loop looks at its sockets again: at 8 µs a write, half a millisecond,
/// against 1 µs that the look costs.
const SERVED_MAX: usize = 64;
