//! What a protocol session reports ⇄ what streams do.
//!
//! Invariant: every event is answered before the next is asked for; what concerns another
//! connection comes back as an [`Effect`] and is carried out when this one is done.

use crate::ids::{ConnId, PlayerId, Run, StreamName, StreamRef};
use crate::live::{Cursor, Effect, End, Joined, Taken};
use crate::media::Taste;
use crate::rtmp::server::{Connect, Event, Refusal, code};
use crate::time::Millis;
use crate::worker::Worker;
use crate::worker::conn::{CloseReason, Phase, Playback, Role};

impl Worker {
    /// Feeds bytes to a connection's session and acts on what it reports.
    pub(super) fn digest(&mut self, id: ConnId, mut input: &[u8], now: Millis) {
        loop {
            let Some(conn) = self.conns.find(id) else {
                return;
            };
            if !matches!(conn.phase, Phase::Open) {
                return;
            }
            match conn.digest(&mut input, now, self.fault) {
                Ok(Some(event)) => self.on_event(id, event, now),
                Ok(None) => break,
                Err(reason @ CloseReason::Panicked) => {
                    log::error!("[{id}] {reason}");
                    self.report.panics += 1;
                    conn.cut(reason);
                    self.dead.push(id);
                    return;
                }
                Err(reason) => {
                    self.close(id, reason, now);
                    return;
                }
            }
        }
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.session.is_closing() {
            // The session refused by itself: a name that cannot be, a second connect.
            let refusal = conn.session.refusal().cloned();
            let reason = refusal.map_or(CloseReason::Peer, CloseReason::Refused);
            self.close(id, reason, now);
        } else if !conn.session.out().is_empty() {
            self.queue_flush(id);
        }
    }

    fn on_event(&mut self, id: ConnId, event: Event, now: Millis) {
        match event {
            Event::Connect(connect) => self.on_connect(id, &connect, now),
            Event::Publish {
                stream_id, target, ..
            } => {
                self.on_publish(id, stream_id, &target.name, now);
            }
            Event::Play { stream_id, target } => self.on_play(id, stream_id, &target.name, now),
            Event::Media { stream_id, message } => {
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                if let Some(&mut Role::Publishing { stream, run }) = conn.role_mut(stream_id) {
                    self.live.append(stream, run, message, now, &mut self.port);
                }
            }
            Event::Unpublish { stream_id } | Event::StopPlay { stream_id } => {
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                if let Some(role) = conn.take_role(stream_id) {
                    self.release(
                        PlayerId {
                            conn: id,
                            stream_id,
                        },
                        &role,
                        End::Clean,
                        now,
                    );
                }
            }
            Event::Pause { stream_id, paused } => self.on_pause(id, stream_id, paused),
            Event::Receive {
                stream_id,
                audio,
                video,
            } => {
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                if let Some(Role::Playing(playback)) = conn.role_mut(stream_id) {
                    playback.cursor.receive(audio, video);
                }
                self.queue_flush(id);
            }
        }
    }

    fn on_connect(&mut self, id: ConnId, connect: &Connect, now: Millis) {
        let (enhanced, multitrack) = (self.config.enhanced, self.config.multitrack);
        let app = connect.app.split('/').next().unwrap_or_default();
        // An empty app is decided at publish: some encoders put the whole path into the name.
        let refusal = (!app.is_empty())
            .then(|| self.app_refusal(code::INVALID_APP, app))
            .flatten();
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.taste = Some(Taste::new(&conn.session.peer().caps, enhanced, multitrack));
        match refusal {
            None => conn.session.accept_connect(),
            Some(refusal) => {
                conn.session.refuse_connect(&refusal);
                self.close(id, CloseReason::Refused(refusal), now);
            }
        }
    }

    /// The refusal for an application that is not served here.
    fn app_refusal(&self, code: &'static str, app: &str) -> Option<Refusal> {
        let apps = &self.config.apps;
        if apps.is_empty() || apps.iter().any(|known| known == app) {
            return None;
        }
        let known = apps.join(", ");
        let text = format!("There is no application \"{app}\" on this server; it serves: {known}.");
        Some(Refusal::new(code, text))
    }

    fn on_publish(&mut self, id: ConnId, stream_id: u32, name: &StreamName, now: Millis) {
        let unknown_app = self.app_refusal(code::PUBLISH_REJECTED, name.app());
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.last_role = Some(("published", name.clone()));
        let refusal = match unknown_app {
            Some(refusal) => refusal,
            None => {
                let by = PlayerId {
                    conn: id,
                    stream_id,
                };
                match self
                    .live
                    .publish(name, by, conn.peer.ip(), now, &mut self.port)
                {
                    Ok((stream, run)) => {
                        conn.session.accept_publish(stream_id, now);
                        conn.give_role(stream_id, Role::Publishing { stream, run });
                        return;
                    }
                    Err(taken) => publish_refusal(name, taken),
                }
            }
        };
        conn.session.refuse_publish(stream_id, &refusal);
        self.close(id, CloseReason::Refused(refusal), now);
    }

    fn on_play(&mut self, id: ConnId, stream_id: u32, name: &StreamName, now: Millis) {
        let unknown_app = self.app_refusal(code::PLAY_FAILED, name.app());
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.last_role = Some(("played", name.clone()));
        let refusal = match unknown_app {
            Some(refusal) => refusal,
            None => {
                let player = PlayerId {
                    conn: id,
                    stream_id,
                };
                let joined = self.live.play(name, player, now, &mut self.port);
                match joined {
                    Ok(Joined::Now(stream, cursor)) => {
                        let playback = Playback::new(stream, cursor, self.config.player_clock);
                        conn.session.start_play(stream_id);
                        if self.nagle {
                            conn.set_nagle(true);
                        }
                        conn.give_role(stream_id, Role::Playing(playback));
                        self.queue_flush(id);
                        return;
                    }
                    Ok(Joined::Waiting(stream)) => {
                        conn.give_role(stream_id, Role::Waiting { stream });
                        return;
                    }
                    Err(taken) => Refusal::new(code::PLAY_FAILED, format!("Sorry: {taken}.")),
                }
            }
        };
        conn.session.refuse_play(stream_id, &refusal);
        self.close(id, CloseReason::Refused(refusal), now);
    }

    fn on_pause(&mut self, id: ConnId, stream_id: u32, paused: bool) {
        let gop_cache = self.config.gop_cache;
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if let Some(Role::Playing(playback)) = conn.role_mut(stream_id) {
            playback.paused = paused;
            if let Some(stream) = self.live.stream(playback.stream)
                && !paused
            {
                playback.cursor.rejoin(stream.log(), gop_cache);
            }
        }
        self.queue_flush(id);
    }

    /// Gives up what a message stream held.
    pub(super) fn release(&mut self, who: PlayerId, role: &Role, end: End, now: Millis) {
        match role {
            Role::Publishing { stream, run } => {
                self.live.unpublish(*stream, *run, end, now, &mut self.port);
            }
            Role::Waiting { stream } => self.live.leave(*stream, who, now),
            Role::Playing(playback) => self.live.leave(playback.stream, who, now),
        }
    }

    /// Carries out what streams want done to connections, and what comes of that.
    pub(super) fn apply_effects(&mut self, now: Millis) {
        loop {
            let effects = self.live.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Start {
                        player,
                        stream,
                        cursor,
                    } => {
                        self.start(player, stream, cursor, now);
                    }
                    Effect::NotFound { player } => self.not_found(player, now),
                    Effect::Evict { conn, run } => self.evict(conn, run, now),
                }
            }
        }
    }

    fn start(&mut self, player: PlayerId, stream: StreamRef, cursor: Cursor, now: Millis) {
        let player_clock = self.config.player_clock;
        let conn = self.conns.find(player.conn);
        let Some(conn) = conn.filter(|conn| matches!(conn.phase, Phase::Open)) else {
            self.live.leave(stream, player, now);
            return;
        };
        // It may have asked for something else since, in the very bytes that caused this effect.
        match conn.role_mut(player.stream_id) {
            Some(Role::Waiting { stream: waits_for }) if *waits_for == stream => {}
            Some(Role::Playing(playback)) if playback.stream == stream => return,
            _ => {
                self.live.leave(stream, player, now);
                return;
            }
        }
        conn.take_role(player.stream_id);
        conn.session.start_play(player.stream_id);
        if self.nagle {
            conn.set_nagle(true);
        }
        let playback = Playback::new(stream, cursor, player_clock);
        conn.give_role(player.stream_id, Role::Playing(playback));
        self.queue_flush(player.conn);
        self.rearm(player.conn);
    }

    fn evict(&mut self, id: ConnId, run: Run, now: Millis) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let held = conn.roles.iter().find_map(|(stream_id, role)| match role {
            Role::Publishing { run: own, .. } if *own == run => Some(*stream_id),
            _ => None,
        });
        let Some(stream_id) = held else { return };
        let text = "Another encoder has taken over this stream name.";
        conn.session
            .end_publish(stream_id, &Refusal::new(code::PUBLISH_REJECTED, text));
        self.close(id, CloseReason::TakenOver, now);
    }

    fn not_found(&mut self, player: PlayerId, now: Millis) {
        let Some(conn) = self.conns.find(player.conn) else {
            return;
        };
        let Some(role) = conn.take_role(player.stream_id) else {
            return;
        };
        let name = match &role {
            Role::Waiting { stream } => self.live.stream(*stream).map(|s| s.name().to_string()),
            Role::Publishing { .. } | Role::Playing(_) => None,
        };
        let last = conn.last_role.as_ref().map(|(_, name)| name.to_string());
        let name = name.or(last).unwrap_or_default();
        let text = format!("Nobody is publishing \"{name}\" right now.");
        let refusal = Refusal::new(code::STREAM_NOT_FOUND, text);
        conn.session.refuse_play(player.stream_id, &refusal);
        self.release(player, &role, End::Clean, now);
        self.close(player.conn, CloseReason::Refused(refusal), now);
    }
}

fn publish_refusal(name: &StreamName, taken: Taken) -> Refusal {
    match taken {
        Taken::Busy { by, .. } => Refusal::new(
            code::BAD_NAME,
            format!(
                "The name \"{name}\" is in use: another encoder ({by}) is live under it. \
                 Stop that one first or choose another stream key."
            ),
        ),
        Taken::TooMany { .. } => Refusal::new(
            code::PUBLISH_REJECTED,
            format!("The server is full: {taken}."),
        ),
    }
}
