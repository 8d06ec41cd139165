//! How connections and the worker itself end.
//!
//! Invariant: whatever ends a connection, its streams are released exactly once, it gets one log
//! line, and its place in the slab is freed in the same turn it died.

use crate::ids::{ConnId, PlayerId};
use crate::live::End;
use crate::time::Millis;
use crate::worker::Worker;
use crate::worker::conn::{CloseReason, Conn, Phase, Role};

impl Worker {
    /// Starts the end of a connection: its streams are released at once, what it is owed is still
    /// flushed.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason, now: Millis) {
        self.release_all(id, now);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.close(reason, now);
        conn.collect();
        if conn.control_owed() == 0 && conn.session.out().is_empty() && conn.read_closed {
            conn.half_close(now);
        }
        if matches!(conn.phase, Phase::Dead { .. }) {
            self.dead.push(id);
        } else {
            self.queue_flush(id);
            self.rearm(id);
        }
    }

    fn release_all(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        for (stream_id, role) in conn.take_roles() {
            self.release(
                PlayerId {
                    conn: id,
                    stream_id,
                },
                &role,
                End::Lost,
                now,
            );
        }
    }

    /// The peer has sent its last byte, and all of them have been digested.
    pub(super) fn peer_closed(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match conn.phase {
            Phase::Open => self.close(id, CloseReason::Peer, now),
            Phase::Lingering { .. } => {
                conn.cut(CloseReason::Peer);
                self.dead.push(id);
            }
            Phase::Closing { .. } | Phase::Dead { .. } => {}
        }
    }

    /// Nothing is owed to a connection: ends what waited for that.
    pub(super) fn flushed_clean(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match conn.phase {
            Phase::Closing { .. } => {
                conn.half_close(now);
                if matches!(conn.phase, Phase::Dead { .. }) {
                    self.dead.push(id);
                }
                self.rearm(id);
            }
            Phase::Open => self.end_plays(id, now),
            Phase::Lingering { .. } | Phase::Dead { .. } => {}
        }
    }

    /// Tells a player that has everything of a stream that is over.
    fn end_plays(&mut self, id: ConnId, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let live = &self.live;
        let ended = conn.roles.iter().find_map(|(stream_id, role)| match role {
            Role::Playing(playback) => {
                let stream = live.stream(playback.stream);
                stream
                    .is_none_or(|stream| stream.is_ended())
                    .then_some(*stream_id)
            }
            Role::Publishing { .. } | Role::Waiting { .. } => None,
        });
        let Some(stream_id) = ended else { return };
        let Some(role) = conn.take_role(stream_id) else {
            return;
        };
        conn.session.end_play(stream_id);
        // A publish of the same connection goes on, but not through a drain.
        let last = conn.roles.is_empty() || self.drain_until.is_some() && !conn.plays();
        self.release(
            PlayerId {
                conn: id,
                stream_id,
            },
            &role,
            End::Clean,
            now,
        );
        if last {
            self.close(id, CloseReason::StreamEnded, now);
        } else {
            self.queue_flush(id);
        }
    }

    /// A wheel entry of this connection fired; its own deadline decides.
    pub(super) fn timeout(&mut self, id: ConnId, now: Millis) {
        let write_timeout_ms = self.config.write_timeout_ms;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.armed > now {
            // An earlier one was put before it since then. Were it armed again, there would be one
            // entry more for every such time, for good.
            return;
        }
        conn.armed = Millis::NEVER;
        if conn.next_deadline(write_timeout_ms) <= now {
            match conn.phase {
                Phase::Open => {
                    let stalled_ms = conn.stalled_ms(now);
                    if stalled_ms > 0 && conn.plays() {
                        // A ping could not even leave: how long it may take is `--write-timeout`'s.
                        conn.session.sent(now);
                    }
                    if stalled_ms >= write_timeout_ms {
                        conn.cut(CloseReason::TooSlow { stalled_ms });
                        self.dead.push(id);
                    } else if let Err(error) = conn.session_timeout(now) {
                        self.close(id, CloseReason::Protocol(error), now);
                    } else {
                        self.queue_flush(id);
                    }
                }
                Phase::Closing { .. } | Phase::Lingering { .. } => {
                    conn.cut(CloseReason::Peer);
                    self.dead.push(id);
                }
                Phase::Dead { .. } => {}
            }
        }
        self.rearm(id);
    }

    /// Frees what died in this turn.
    pub(super) fn reap(&mut self, now: Millis) {
        while let Some(id) = self.dead.pop() {
            self.release_all(id, now);
            if let Some(conn) = self.conns.remove(id) {
                log_end(&conn, self.config.max_message, now);
                self.listeners.retry_soon(now);
            }
        }
        self.apply_effects(now);
        if let Some(until) = self.drain_until {
            if until <= now {
                self.report.cut = self.conns.len() as u64;
            }
            self.done |= until <= now || self.conns.len() == 0;
        }
    }

    /// Stops listening, ends every stream, says goodbye to everybody.
    pub(super) fn drain(&mut self, deadline: Millis, now: Millis) {
        if self.drain_until.is_some() {
            return;
        }
        self.drain_until = Some(deadline);
        self.listeners.close();
        self.live.drain(now, &mut self.port);
        self.apply_effects(now);
        for id in self.conns.ids() {
            let Some(conn) = self.conns.find(id) else {
                continue;
            };
            // Players are told when they have everything; see `end_plays`.
            if conn.plays() {
                self.queue_flush(id);
                continue;
            }
            conn.session.shutdown();
            self.close(id, CloseReason::Drain, now);
        }
    }

    /// Ends every connection at once.
    pub(super) fn cut_all(&mut self) {
        let now = self.now();
        for id in self.conns.ids() {
            if let Some(conn) = self.conns.find(id) {
                conn.cut(CloseReason::Drain);
                self.dead.push(id);
            }
        }
        self.reap(now);
    }
}

/// The one line of a connection. Who never got as far as `connect` is a health check or a port
/// scan and is not worth a line at info (PROTOCOL H-11, INTEROP 5).
fn log_end(conn: &Conn, max_message: u32, now: Millis) {
    let reason = match &conn.phase {
        Phase::Closing { reason, .. }
        | Phase::Lingering { reason, .. }
        | Phase::Dead { reason } => reason,
        Phase::Open => &CloseReason::Peer,
    };
    let peer = conn.session.peer();
    let counters = conn.counters;
    let level = if conn.taste.is_none() {
        log::Level::Debug
    } else {
        log::Level::Info
    };
    let (did, name) = match &conn.last_role {
        Some((did, name)) => (*did, name.as_str()),
        None if peer.app.is_empty() => ("asked for", "nothing"),
        None => ("asked for", peer.app.as_str()),
    };
    log::log!(
        level,
        "[{}] {} {did} {name} for {} s ({}): {} B in, {} B out, {} frames skipped; {reason}{}",
        conn.id(),
        conn.peer,
        Seconds(now.since(counters.since)),
        if peer.agent.is_empty() {
            "unknown agent"
        } else {
            &peer.agent
        },
        counters.bytes_in,
        counters.bytes_out,
        counters.frames_skipped,
        flag_of(reason, max_message),
    );
}

/// The flag that moves the limit a publisher went past.
fn flag_of(reason: &CloseReason, max_message: u32) -> &'static str {
    use crate::rtmp::Error::{Bitrate, MessageLength, MessageRate};
    match reason {
        CloseReason::Protocol(Bitrate { .. }) => " (--max-bitrate)",
        CloseReason::Protocol(MessageRate { .. }) => " (--max-message-rate)",
        CloseReason::Protocol(MessageLength { max, .. }) if *max == max_message => {
            " (--max-message)"
        }
        _ => "",
    }
}

/// Milliseconds shown as seconds with one decimal.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1_000, self.0 % 1_000 / 100)
    }
}
