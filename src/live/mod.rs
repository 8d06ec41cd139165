//! Who publishes and who watches: the streams of one worker, sans-I/O.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Live`]: the only door from connections; publish, append, play, leave |
//! | `mirrors` | the same streams seen from other workers: mail in |
//! | `stream` | [`Stream`]: one name on this worker, its log and players |
//! | `publication` | [`Publication`]: message → frame on the owner |
//! | `log` | [`Log`]: bounded frames, join points |
//! | `cursor` | [`Cursor`]: a player's place in a log |
//! | `directory` | [`Directory`]: name → owner, shared by all workers |
//! | `mail` | [`Mail`]: what workers tell each other; [`Post`]: where it is left |
//! | `effect` | [`Effect`]: what a call means for connections |
//! | `serving` | whose players are due, in slices |
//! | `settings` | [`Settings`]: the operator's wishes |
//!
//! Invariants: a stream has at most one source at a time; every player of a stream sees the frames
//! of its log in order, each once; mail that belongs to an older [`Run`] changes nothing. After any
//! `&mut` call the host drains `effects`, and serves the players of the streams that `take_due`
//! names.

mod cursor;
mod directory;
mod effect;
mod log;
mod mail;
mod mirrors;
mod publication;
mod serving;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use slab::Slab;

pub use cursor::{Cursor, LagLimits, Source};
pub use directory::{Claim, Directory, Ended, Found, Granted, Policy, Taken, Tally};
pub use effect::{Effect, End, Joined};
pub use log::{Log, LogLimits};
pub use mail::{Mail, Opened, Post};
pub use publication::{Publication, Report};
pub use settings::Settings;
pub use stream::Stream;

use crate::ids::{PlayerId, Run, StreamName, StreamRef, WorkerId};
use crate::rtmp::message::Message;
use crate::time::Millis;
use stream::{Held, Mirror, Role, Waiting};

/// The streams of one worker. See the module head.
#[derive(Debug)]
pub struct Live {
    me: WorkerId,
    settings: Settings,
    directory: Arc<Directory>,
    streams: Slab<Stream>,
    by_name: HashMap<StreamName, u32>,
    last_epoch: u32,
    dirty: Vec<u32>,
    effects: Vec<Effect>,
}

impl Live {
    /// No streams yet.
    #[must_use]
    pub fn new(me: WorkerId, settings: Settings, directory: Arc<Directory>) -> Self {
        Self {
            me,
            settings,
            directory,
            streams: Slab::new(),
            by_name: HashMap::new(),
            last_epoch: 0,
            dirty: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Gives a publisher its name.
    ///
    /// # Errors
    /// [`Taken`] when somebody else keeps it, or the process is full.
    pub fn publish(
        &mut self,
        name: &StreamName,
        by: PlayerId,
        peer: IpAddr,
        now: Millis,
        out: &mut impl Post,
    ) -> Result<(StreamRef, Run), Taken> {
        let stream = self.open(name);
        let claim = Claim {
            worker: self.me,
            stream,
            conn: by.conn,
            peer,
        };
        let granted = match self.directory.publish(name, claim, now) {
            Ok(granted) => granted,
            Err(taken) => {
                self.remove_unused(stream.index);
                return Err(taken);
            }
        };
        if let Some((conn, run)) = granted.evicted {
            if conn.worker == self.me {
                self.effects.push(Effect::Evict { conn, run });
            } else {
                out.post(conn.worker, Mail::Evict { conn, run });
            }
        }
        let run = granted.run;
        let mut publication = Publication::new(by, run, granted.resume, now);
        for (worker, mirror) in &granted.interest {
            let opened = Opened {
                to: *mirror,
                run,
                owner: stream,
                headers: Arc::default(),
                frames: Vec::new(),
                next_number: 0,
            };
            out.post(*worker, Mail::Opened(Box::new(opened)));
        }
        publication.mirrors = granted.interest;
        if let Some(own) = self.stream_mut(stream) {
            own.role = Role::Owned(Box::new(publication));
            own.newest_run = run;
            own.headers = Arc::default();
            own.tally = Some(granted.tally);
            own.forget_unwatched();
        }
        self.start_waiting(stream);
        Ok((stream, run))
    }

    /// Passes a publisher's message to everybody. Ignored when the run is over.
    pub fn append(
        &mut self,
        stream: StreamRef,
        run: Run,
        message: Message,
        now: Millis,
        out: &mut impl Post,
    ) {
        let chunk_size = self.settings.chunk_size;
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        let Role::Owned(publication) = &mut own.role else {
            return;
        };
        // A newer publication may have the name while the mail that says so is under way: its clock
        // goes on from the last frame before it, so nothing may come after that (K-41).
        let is_current = own.tally.as_ref().is_none_or(|tally| tally.is_current(run));
        if publication.run != run || !is_current {
            return;
        }
        let Some(frame) = publication.frame(message, chunk_size, now) else {
            return;
        };
        let frame = Arc::new(frame);
        if publication.is_repeated_metadata(&frame) {
            return;
        }
        if let Some(tally) = &own.tally {
            tally.hear(now, publication.clock_ms());
        }
        let number = publication.next_number;
        publication.next_number += 1;
        let headers = frame.traits().join.then(|| Arc::clone(&own.headers));
        for (worker, mirror) in &publication.mirrors {
            let mail = Mail::Frame {
                to: *mirror,
                run,
                number,
                frame: Arc::clone(&frame),
                headers: headers.clone(),
            };
            out.post(*worker, mail);
        }
        if !publication.report.announced && frame.traits().join {
            publication.report.announced = true;
            let (by, tracks) = (publication.by.conn, publication.report.tracks());
            ::log::info!("stream {} live: {tracks}, published by {by}", own.name);
        }
        own.push(frame, now);
        self.mark_dirty(stream.index);
    }

    /// Ends a publication. Nothing happens when a newer one has the name already.
    pub fn unpublish(
        &mut self,
        stream: StreamRef,
        run: Run,
        end: End,
        now: Millis,
        out: &mut impl Post,
    ) {
        let (grace_ms, on_clean) = (self.settings.grace_ms, self.settings.grace_on_clean_end);
        let directory = Arc::clone(&self.directory);
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        let Role::Owned(publication) = &own.role else {
            return;
        };
        if publication.run != run {
            return;
        }
        let hold = grace_ms > 0 && (end == End::Lost || on_clean);
        let resume = own
            .tally
            .as_ref()
            .and_then(|tally| tally.resume())
            .filter(|_| hold);
        let ended = directory.unpublish(&own.name, run, resume);
        let Role::Owned(publication) = std::mem::replace(&mut own.role, Role::Vacant) else {
            return;
        };
        match ended {
            Ended::Held => {
                let Publication {
                    mirrors,
                    next_number,
                    report,
                    ..
                } = *publication;
                let name = &own.name;
                ::log::info!("stream {name} lost its publisher: held for {grace_ms} ms");
                let until = now + grace_ms;
                own.role = Role::Held(Held {
                    run,
                    until,
                    mirrors,
                    next_number,
                    report,
                });
            }
            Ended::Free => {
                let Publication {
                    mirrors, report, ..
                } = *publication;
                self.close(stream, run, &mirrors, &report, now, out);
            }
            Ended::Superseded => self.remove_unused(stream.index),
        }
    }

    /// Lets a player watch a name.
    ///
    /// # Errors
    /// [`Taken::TooMany`] when the process is full.
    pub fn play(
        &mut self,
        name: &StreamName,
        player: PlayerId,
        now: Millis,
        out: &mut impl Post,
    ) -> Result<Joined, Taken> {
        let stream = self.open(name);
        if let Err(taken) = self.register(name, stream, out) {
            self.remove_unused(stream.index);
            return Err(taken);
        }
        let (gop_cache, wait_ms) = (self.settings.gop_cache, self.settings.play_wait_ms);
        let Some(own) = self.stream_mut(stream) else {
            return Ok(Joined::Waiting(stream));
        };
        if let Some(cursor) = own.admit(player, gop_cache) {
            return Ok(Joined::Now(stream, cursor));
        }
        if let Role::Mirror(mirror) = &mut own.role {
            mirror.idle_since = None;
        }
        own.waiting.push(Waiting {
            player,
            until: now + wait_ms,
        });
        Ok(Joined::Waiting(stream))
    }

    /// Tells the directory of the first local player, and subscribes if another worker owns it.
    fn register(
        &mut self,
        name: &StreamName,
        stream: StreamRef,
        out: &mut impl Post,
    ) -> Result<(), Taken> {
        let (me, directory) = (self.me, Arc::clone(&self.directory));
        let Some(own) = self.stream_mut(stream) else {
            return Ok(());
        };
        if own.registered {
            return Ok(());
        }
        let found = directory.play(name, me, stream)?;
        own.registered = true;
        own.tally = Some(found.tally);
        match found.owner {
            Some((owner, at, run)) if owner != me => {
                own.role = Role::Mirror(Mirror::new(owner, at, run));
                own.newest_run = run;
                out.post(
                    owner,
                    Mail::Subscribe {
                        to: at,
                        run,
                        mirror: stream,
                    },
                );
            }
            Some(_) => {}
            // What this worker still has is over: the mail that says so is under way.
            None => own.role = Role::Vacant,
        }
        Ok(())
    }

    /// A player is gone, or has been served to the end.
    pub fn leave(&mut self, stream: StreamRef, player: PlayerId, now: Millis) {
        let (me, directory) = (self.me, Arc::clone(&self.directory));
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        own.waiting.retain(|waiting| waiting.player != player);
        if own.players.remove(&player)
            && let Some(tally) = &own.tally
        {
            tally.leave();
        }
        if !(own.players.is_empty() && own.waiting.is_empty()) {
            return;
        }
        match &mut own.role {
            Role::Owned(_) | Role::Held(_) if own.registered => {
                own.registered = false;
                directory.leave(&own.name, me, stream);
            }
            Role::Mirror(mirror) => mirror.idle_since = Some(now),
            Role::Vacant | Role::Ended { .. } => self.remove_unused(stream.index),
            Role::Owned(_) | Role::Held(_) => {}
        }
    }

    /// A stream that is still the one `stream` named.
    #[must_use]
    pub fn stream(&self, stream: StreamRef) -> Option<&Stream> {
        let found = self.streams.get(usize::try_from(stream.index).ok()?)?;
        (found.epoch == stream.epoch).then_some(found)
    }

    /// What has to be done to connections. Call after every `&mut` call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Players on this worker.
    #[must_use]
    pub fn players(&self) -> usize {
        self.streams
            .iter()
            .map(|(_, stream)| stream.players.len())
            .sum()
    }

    /// Streams on this worker, mirrors included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// No stream on this worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    fn stream_mut(&mut self, stream: StreamRef) -> Option<&mut Stream> {
        let found = self.streams.get_mut(usize::try_from(stream.index).ok()?)?;
        (found.epoch == stream.epoch).then_some(found)
    }

    /// The local stream of a name, made if there is none.
    fn open(&mut self, name: &StreamName) -> StreamRef {
        let known = self.by_name.get(name).copied();
        if let Some(index) = known
            && let Some(stream) = usize::try_from(index)
                .ok()
                .and_then(|i| self.streams.get(i))
        {
            return StreamRef {
                index,
                epoch: stream.epoch,
            };
        }
        self.last_epoch = self.last_epoch.wrapping_add(1);
        let epoch = self.last_epoch;
        let index = self
            .streams
            .insert(Stream::new(name.clone(), epoch, self.settings.log));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_name.insert(name.clone(), index);
        StreamRef { index, epoch }
    }

    fn mark_dirty(&mut self, index: u32) {
        let stream = usize::try_from(index)
            .ok()
            .and_then(|i| self.streams.get_mut(i));
        if let Some(stream) = stream
            && !stream.dirty
        {
            stream.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Ends a stream for its mirrors and its local players.
    fn close(
        &mut self,
        stream: StreamRef,
        run: Run,
        mirrors: &[(WorkerId, StreamRef)],
        report: &Report,
        now: Millis,
        out: &mut impl Post,
    ) {
        for (worker, mirror) in mirrors {
            out.post(*worker, Mail::Closed { to: *mirror, run });
        }
        // A stream that went on with a publisher of another worker did not end here.
        if let Some(own) = self.stream(stream)
            && own.tally.as_ref().is_none_or(|t| t.is_current(run))
        {
            let (peak, skipped) = own
                .tally
                .as_ref()
                .map_or((0, 0), |t| (t.players_peak(), t.skipped()));
            ::log::info!(
                "stream {} ended after {} s: {}, {} kbit/s, {} frames, players peak {peak}, \
                 frames skipped {skipped}, malformed {}",
                own.name,
                now.since(report.started) / 1_000,
                report.tracks(),
                report.kbps(now),
                report.frames,
                report.malformed,
            );
        }
        self.end_local(stream, now);
    }

    /// Local players are served to the end of the log, as far as they get within `--max-lag`; the
    /// name is free for a new stream.
    fn end_local(&mut self, stream: StreamRef, now: Millis) {
        let (me, directory) = (self.me, Arc::clone(&self.directory));
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        own.role = Role::Ended { since: now };
        let name = own.name.clone();
        if std::mem::take(&mut own.registered) {
            directory.leave(&name, me, stream);
        }
        if self.by_name.get(&name) == Some(&stream.index) {
            self.by_name.remove(&name);
        }
        self.mark_dirty(stream.index);
        self.remove_unused(stream.index);
    }

    fn remove_unused(&mut self, index: u32) {
        let Ok(place) = usize::try_from(index) else {
            return;
        };
        let Some(stream) = self.streams.get(place) else {
            return;
        };
        if !stream.is_unused() {
            return;
        }
        let stream = self.streams.remove(place);
        if stream.registered {
            let at = StreamRef {
                index,
                epoch: stream.epoch,
            };
            self.directory.leave(&stream.name, self.me, at);
        }
        if self.by_name.get(&stream.name) == Some(&index) {
            self.by_name.remove(&stream.name);
        }
        if stream.dirty {
            self.dirty.retain(|dirty| *dirty != index);
        }
    }

    /// Gives every waiting player its cursor.
    fn start_waiting(&mut self, stream: StreamRef) {
        let gop_cache = self.settings.gop_cache;
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        let mut effects = Vec::new();
        for Waiting { player, .. } in std::mem::take(&mut own.waiting) {
            if let Some(cursor) = own.admit(player, gop_cache) {
                effects.push(Effect::Start {
                    player,
                    stream,
                    cursor,
                });
            }
        }
        self.effects.append(&mut effects);
    }

    /// Checks the invariants; tests call it after each step.
    pub fn check(&self) {
        for (index, stream) in &self.streams {
            stream.check();
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let named = self.by_name.get(&stream.name) == Some(&index);
            assert!(
                named || stream.is_ended(),
                "{} is known by its name",
                stream.name
            );
            assert!(
                !stream.is_unused(),
                "{} is not kept for nobody",
                stream.name
            );
        }
        for (name, index) in &self.by_name {
            let stream = usize::try_from(*index)
                .ok()
                .and_then(|i| self.streams.get(i));
            assert!(
                stream.is_some_and(|s| s.name == *name),
                "{name} leads to its stream"
            );
        }
    }
}
