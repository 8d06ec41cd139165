//! The streams of other workers, seen from this one: what arrives by mail, and what time ends.
//!
//! Invariant: mail about an older run than the stream knows changes nothing; mail about a newer one
//! replaces the source whatever it was. A worker that is sent frames it does not want says so once,
//! at `Opened`.

use std::sync::Arc;

use crate::config::GopCache;
use crate::ids::{PlayerId, Run, StreamRef, WorkerId};
use crate::live::stream::{Gap, Held, Mirror, Role};
use crate::live::{Cursor, Effect, Live, Mail, Opened, Post, Stream};
use crate::media::{Frame, Headers, Lane, Traits};
use crate::time::Millis;

impl Live {
    /// Takes mail about streams. `Drain` and `Cut` are the host's own affair.
    pub fn deliver(&mut self, from: WorkerId, mail: Mail, now: Millis, out: &mut impl Post) {
        match mail {
            Mail::Subscribe { to, run, mirror } => self.subscribe(from, to, run, mirror, out),
            Mail::Unsubscribe { to, mirror } => {
                if let Some(mirrors) = self.stream_mut(to).and_then(Stream::mirrors_mut) {
                    mirrors.retain(|(worker, at)| !(*worker == from && *at == mirror));
                }
            }
            Mail::Opened(opened) => self.opened(from, *opened, now, out),
            Mail::Frame {
                to,
                run,
                number,
                frame,
                headers,
            } => {
                self.mirrored(to, run, number, frame, headers, now);
            }
            Mail::Closed { to, run } => self.closed(to, run, now),
            Mail::Evict { conn, run } => self.effects.push(Effect::Evict { conn, run }),
            Mail::Drain { .. } | Mail::Cut => {}
        }
    }

    fn subscribe(
        &mut self,
        from: WorkerId,
        to: StreamRef,
        run: Run,
        mirror: StreamRef,
        out: &mut impl Post,
    ) {
        let own = self
            .stream_mut(to)
            .filter(|own| own.source_run() == Some(run));
        let Some(own) = own else {
            // It ended before this was read. A newer publication has written to the mirror by
            // itself: the directory shows it the mirror's interest.
            out.post(from, Mail::Closed { to: mirror, run });
            return;
        };
        let frames = own.log.since_join();
        let headers = own
            .log
            .newest_join()
            .and_then(|join| own.log.headers_at(join));
        let headers = Arc::clone(headers.unwrap_or(&own.headers));
        let next_number = own.next_number();
        if let Some(mirrors) = own.mirrors_mut() {
            mirrors.retain(|(worker, _)| *worker != from);
            mirrors.push((from, mirror));
        }
        let opened = Opened {
            to: mirror,
            run,
            owner: to,
            headers,
            frames,
            next_number,
        };
        out.post(from, Mail::Opened(Box::new(opened)));
    }

    fn opened(&mut self, from: WorkerId, opened: Opened, now: Millis, out: &mut impl Post) {
        let Opened {
            to,
            run,
            owner,
            headers,
            frames,
            next_number,
        } = opened;
        let Some(own) = self.stream_mut(to).filter(|own| !own.is_ended()) else {
            out.post(
                from,
                Mail::Unsubscribe {
                    to: owner,
                    mirror: to,
                },
            );
            return;
        };
        match &own.role {
            Role::Mirror(mirror) if mirror.run == run && mirror.next_number.is_none() => {}
            _ if own.newest_run >= run => return,
            Role::Owned(publication) => {
                let (conn, run) = (publication.by.conn, publication.run);
                self.effects.push(Effect::Evict { conn, run });
            }
            _ => {}
        }
        let Some(own) = self.stream_mut(to) else {
            return;
        };
        let mut mirror = Mirror::new(from, owner, run);
        mirror.next_number = Some(next_number);
        if own.players.is_empty() && own.waiting.is_empty() {
            mirror.idle_since = Some(now);
        }
        own.role = Role::Mirror(mirror);
        own.newest_run = run;
        own.headers = headers;
        own.forget_unwatched();
        for frame in frames {
            own.push(frame, now);
        }
        self.mark_dirty(to.index);
        self.start_waiting(to);
    }

    fn mirrored(
        &mut self,
        to: StreamRef,
        run: Run,
        number: u64,
        frame: Arc<Frame>,
        headers: Option<Arc<Headers>>,
        now: Millis,
    ) {
        let Some(own) = self.stream_mut(to) else {
            return;
        };
        let Role::Mirror(mirror) = &mut own.role else {
            return;
        };
        let Some(expected) = mirror.next_number.filter(|_| mirror.run == run) else {
            return;
        };
        mirror.next_number = Some(number + 1);
        if number != expected {
            mirror.gap = Gap::All;
        }
        let Traits { lane, join, header } = frame.traits();
        let held_back = match mirror.gap {
            Gap::None => false,
            Gap::Video => lane == Lane::Video,
            Gap::All => true,
        };
        if held_back && !join && !header {
            return;
        }
        if join {
            let after_shed = mirror.gap == Gap::All;
            // The video between was shed as well, and waits for a join point of its own.
            let audio_only = lane != Lane::Video && mirror.gap != Gap::None;
            mirror.gap = if audio_only { Gap::Video } else { Gap::None };
            if after_shed {
                own.catch_up(headers.as_ref(), frame.timestamp_ms(), now);
            }
        }
        own.push(frame, now);
        self.mark_dirty(to.index);
    }

    fn closed(&mut self, to: StreamRef, run: Run, now: Millis) {
        let Some(own) = self.stream_mut(to) else {
            return;
        };
        let Role::Mirror(mirror) = &own.role else {
            return;
        };
        if mirror.run != run {
            return;
        }
        if own.players.is_empty() && !own.waiting.is_empty() {
            // It ended before it could be opened: who waits goes on waiting.
            own.role = Role::Vacant;
            return;
        }
        self.end_local(to, now);
    }

    /// Ends what has waited, been held, lingered or been over long enough. Call every 100 ms or so.
    pub fn tick(&mut self, now: Millis, out: &mut impl Post) {
        let mut expired = Vec::new();
        for (index, stream) in &mut self.streams {
            let effects = &mut self.effects;
            // A stream that is known to be live elsewhere is only a letter away.
            let subscribed = matches!(&stream.role, Role::Mirror(m) if m.next_number.is_none());
            let patience_ms = if subscribed { OPENING_MS } else { 0 };
            stream.waiting.retain(|waiting| {
                let over = waiting.until + patience_ms <= now;
                if over {
                    effects.push(Effect::NotFound {
                        player: waiting.player,
                    });
                }
                !over
            });
            let over = match &stream.role {
                Role::Held(held) => held.until <= now,
                Role::Mirror(mirror) => {
                    let linger = |since| now.since(since) >= self.settings.linger_ms;
                    mirror.idle_since.is_some_and(linger)
                }
                Role::Vacant => stream.is_unused(),
                // Its players have had as long as they may lag; memory is for what is live.
                Role::Ended { since } => {
                    now.since(*since) > self.settings.log.lag_ms && stream.log.memory_bytes() > 0
                }
                Role::Owned(_) => false,
            };
            if over {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                expired.push(StreamRef {
                    index,
                    epoch: stream.epoch,
                });
            }
        }
        for stream in expired {
            self.expire(stream, now, out);
        }
    }

    /// The process is going down: ends every stream this worker owns or holds.
    pub fn drain(&mut self, now: Millis, out: &mut impl Post) {
        let directory = Arc::clone(&self.directory);
        let mut ending = Vec::new();
        for (index, stream) in &mut self.streams {
            for waiting in std::mem::take(&mut stream.waiting) {
                self.effects.push(Effect::NotFound {
                    player: waiting.player,
                });
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            ending.push(StreamRef {
                index,
                epoch: stream.epoch,
            });
        }
        for stream in ending {
            let Some(own) = self.stream_mut(stream) else {
                continue;
            };
            let (run, mirrors, report) = match &own.role {
                Role::Owned(p) => (p.run, p.mirrors.clone(), p.report.clone()),
                Role::Held(held) => (held.run, held.mirrors.clone(), held.report.clone()),
                Role::Vacant | Role::Mirror(_) | Role::Ended { .. } => {
                    self.remove_unused(stream.index);
                    continue;
                }
            };
            directory.unpublish(&own.name, run, None);
            self.close(stream, run, &mirrors, &report, now, out);
        }
    }

    fn expire(&mut self, stream: StreamRef, now: Millis, out: &mut impl Post) {
        use crate::live::Ended;
        let directory = Arc::clone(&self.directory);
        let Some(own) = self.stream_mut(stream) else {
            return;
        };
        match std::mem::replace(&mut own.role, Role::Vacant) {
            Role::Held(Held {
                run,
                mirrors,
                report,
                ..
            }) => {
                if directory.unpublish(&own.name, run, None) == Ended::Free {
                    self.close(stream, run, &mirrors, &report, now, out);
                }
            }
            Role::Mirror(mirror) => {
                out.post(
                    mirror.owner,
                    Mail::Unsubscribe {
                        to: mirror.at,
                        mirror: stream,
                    },
                );
            }
            ended @ Role::Ended { .. } => {
                own.role = ended;
                own.log.clear();
                self.mark_dirty(stream.index);
            }
            Role::Vacant | Role::Owned(_) => {}
        }
        self.remove_unused(stream.index);
    }
}

impl Stream {
    /// Gives a player its place, if there is a source.
    pub(super) fn admit(&mut self, player: PlayerId, gop_cache: GopCache) -> Option<Cursor> {
        if !self.is_open() {
            return None;
        }
        if let Role::Mirror(mirror) = &mut self.role {
            mirror.idle_since = None;
        }
        if let Some(tally) = &self.tally {
            tally.join();
        }
        self.players.insert(player);
        Some(Cursor::join(&self.log, gop_cache, player.stream_id))
    }

    /// A new source begins: nobody is in the middle of what came before, so nobody needs it.
    pub(super) fn forget_unwatched(&mut self) {
        if self.players.is_empty() {
            self.log.clear();
        }
    }

    /// The run its frames come from.
    pub(super) fn source_run(&self) -> Option<Run> {
        match &self.role {
            Role::Owned(publication) => Some(publication.run),
            Role::Held(held) => Some(held.run),
            Role::Mirror(mirror) => Some(mirror.run),
            Role::Vacant | Role::Ended { .. } => None,
        }
    }

    fn mirrors_mut(&mut self) -> Option<&mut Vec<(WorkerId, StreamRef)>> {
        match &mut self.role {
            Role::Owned(publication) => Some(&mut publication.mirrors),
            Role::Held(held) => Some(&mut held.mirrors),
            Role::Vacant | Role::Mirror(_) | Role::Ended { .. } => None,
        }
    }

    fn next_number(&self) -> u64 {
        match &self.role {
            Role::Owned(publication) => publication.next_number,
            Role::Held(held) => held.next_number,
            Role::Vacant | Role::Mirror(_) | Role::Ended { .. } => 0,
        }
    }

    /// Frames were shed: brings in headers that were among them, with the time of the frame that
    /// follows (G-14).
    fn catch_up(&mut self, headers: Option<&Arc<Headers>>, timestamp_ms: u64, now: Millis) {
        let Some(headers) = headers else { return };
        if Arc::ptr_eq(headers, &self.headers) {
            return;
        }
        let known: Vec<Arc<Frame>> = self.headers.frames().cloned().collect();
        let missed: Vec<Arc<Frame>> = headers
            .frames()
            .filter(|new| !known.iter().any(|old| old.payload() == new.payload()))
            .map(|new| Arc::new(new.restamped(timestamp_ms)))
            .collect();
        for frame in missed {
            self.push(frame, now);
        }
        // What is no longer valid was shed as well.
        self.headers = Arc::clone(headers);
    }

    pub(super) fn check(&self) {
        self.log.check();
        let needs_registration = !self.players.is_empty() && !self.is_ended();
        assert!(
            self.registered || !needs_registration,
            "{} is registered",
            self.name
        );
    }
}

impl Mirror {
    pub(super) fn new(owner: WorkerId, at: StreamRef, run: Run) -> Self {
        Self {
            owner,
            at,
            run,
            next_number: None,
            gap: Gap::None,
            idle_since: None,
        }
    }
}

/// How much longer than `--play-wait` players wait for a snapshot that has been asked for: another
/// worker that does not answer for this long is in trouble.
const OPENING_MS: u64 = 5_000;
