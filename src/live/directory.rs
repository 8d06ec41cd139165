//! `Directory`: which worker owns which name. The only state all workers share.
//!
//! Invariants: one lock, taken on publish, unpublish, first local play and last local leave, never
//! per frame. `publish` sets the owner *and* reads the interest; `play` sets the interest *and*
//! reads the owner: under one lock exactly one of the two sees the other, so a snapshot is sent
//! exactly once. Every publication gets a higher [`Run`] than all before it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::config::OnDuplicate;
use crate::ids::{ConnId, Run, StreamName, StreamRef, WorkerId};
use crate::media::Resume;
use crate::time::Millis;

/// Names of all streams of the process. See the module head.
#[derive(Debug)]
pub struct Directory {
    names: Mutex<Names>,
    policy: Policy,
}

/// The operator's rules for names.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// `--on-duplicate`.
    pub on_duplicate: OnDuplicate,
    /// Silence after which a name may be taken by anyone, in ms.
    pub takeover_ms: u64,
    /// `--max-streams`: names with a publisher or a waiting player.
    pub streams_max: usize,
}

#[derive(Debug, Default)]
struct Names {
    entries: HashMap<StreamName, Entry>,
    last_run: u64,
}

#[derive(Debug)]
struct Entry {
    holder: Holder,
    /// Workers with local players (or a mirror that lingers), and their stream.
    interest: Vec<(WorkerId, StreamRef)>,
    tally: Arc<Tally>,
}

/// Who has the name.
#[derive(Debug)]
enum Holder {
    Nobody,
    Publisher(Claim, Run),
    /// The publisher went away; its worker holds the stream for it.
    Held {
        worker: WorkerId,
        stream: StreamRef,
        run: Run,
        resume: Resume,
    },
}

/// A publisher's claim to a name.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The worker that will own the stream.
    pub worker: WorkerId,
    /// Its stream there.
    pub stream: StreamRef,
    /// The publisher's connection.
    pub conn: ConnId,
    /// Where it comes from: the same address is the same source while nothing is authenticated.
    pub peer: IpAddr,
}

/// A name was given.
#[derive(Debug)]
pub struct Granted {
    /// The number of the publication.
    pub run: Run,
    /// Other workers that wait for the stream.
    pub interest: Vec<(WorkerId, StreamRef)>,
    /// Where the time goes on, if the name was live until just now.
    pub resume: Option<Resume>,
    /// The publisher that lost the name, if it was taken over, and its run.
    pub evicted: Option<(ConnId, Run)>,
    /// Counters of the name.
    pub tally: Arc<Tally>,
}

/// Where a stream is.
#[derive(Debug)]
pub struct Found {
    /// Owner, its stream and the run; `None` while nobody publishes.
    pub owner: Option<(WorkerId, StreamRef, Run)>,
    /// Counters of the name.
    pub tally: Arc<Tally>,
}

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Taken {
    /// Somebody else publishes under it.
    #[error("another encoder ({by}) is live under this name, last heard {silent_ms} ms ago")]
    Busy {
        /// The connection that has it.
        by: ConnId,
        /// How long it has been silent, in ms.
        silent_ms: u64,
    },
    /// The process has as many names as it may.
    #[error("the server already carries {max} streams, its limit")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// What became of a run that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The name is free; tell the mirrors.
    Free,
    /// The name is held for the publisher's return.
    Held,
    /// A newer publication has the name already: this one's end concerns nobody.
    Superseded,
}

/// Counters of one name, shared by the workers that carry it. Written on the control plane, but for
/// `heard_ms`, which only the owner stores.
#[derive(Debug, Default)]
pub struct Tally {
    /// The newest publication.
    run: AtomicU64,
    heard_ms: AtomicU64,
    clock_ms: AtomicU64,
    players: AtomicU32,
    players_peak: AtomicU32,
    skipped: AtomicU64,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            names: Mutex::default(),
            policy,
        }
    }

    /// Claims a name for a publisher.
    ///
    /// # Errors
    /// [`Taken`] when the policy leaves the name with somebody else, or the process is full.
    pub fn publish(&self, name: &StreamName, claim: Claim, now: Millis) -> Result<Granted, Taken> {
        let mut names = self.lock();
        names.make_room(name, self.policy.streams_max)?;
        let run = Run(names.last_run + 1);
        let entry = names.entry(name);
        let mut resume = None;
        let mut evicted = None;
        match &entry.holder {
            // The last publication has ended, but a worker that wants the stream may not have heard
            // of it yet: should it hear of this one first, its players' time must not go back.
            Holder::Nobody if !entry.interest.is_empty() => resume = entry.tally.resume(),
            Holder::Nobody => {}
            Holder::Held { resume: at, .. } => resume = Some(*at),
            Holder::Publisher(first, first_run) => {
                let silent_ms = now.since(entry.tally.heard());
                if !self.policy.gives(first, &claim, silent_ms) {
                    return Err(Taken::Busy {
                        by: first.conn,
                        silent_ms,
                    });
                }
                evicted = Some((first.conn, *first_run));
                resume = entry.tally.resume();
            }
        }
        entry.holder = Holder::Publisher(claim, run);
        entry.tally.run.store(run.0, Ordering::Relaxed);
        entry.tally.heard_ms.store(now.0, Ordering::Relaxed);
        let interest = entry
            .interest
            .iter()
            .filter(|(w, _)| *w != claim.worker)
            .copied()
            .collect();
        let tally = Arc::clone(&entry.tally);
        names.last_run = run.0;
        Ok(Granted {
            run,
            interest,
            resume,
            evicted,
            tally,
        })
    }

    /// Ends a publication. `hold`: keep the name for the publisher's return.
    pub fn unpublish(&self, name: &StreamName, run: Run, hold: Option<Resume>) -> Ended {
        let mut names = self.lock();
        let Some(entry) = names.entries.get_mut(name) else {
            return Ended::Free;
        };
        let ended = match (&entry.holder, hold) {
            (Holder::Publisher(claim, current), Some(resume)) if *current == run => {
                let (worker, stream) = (claim.worker, claim.stream);
                entry.holder = Holder::Held {
                    worker,
                    stream,
                    run,
                    resume,
                };
                Ended::Held
            }
            (Holder::Publisher(_, current) | Holder::Held { run: current, .. }, None)
                if *current == run =>
            {
                entry.holder = Holder::Nobody;
                Ended::Free
            }
            // A newer one had the name and has ended as well.
            (Holder::Nobody, _) => Ended::Free,
            _ => Ended::Superseded,
        };
        names.forget_unused(name);
        ended
    }

    /// Registers a worker's interest in a name and says who owns it.
    ///
    /// # Errors
    /// [`Taken::TooMany`] when the name is new and the process is full.
    pub fn play(
        &self,
        name: &StreamName,
        worker: WorkerId,
        stream: StreamRef,
    ) -> Result<Found, Taken> {
        let mut names = self.lock();
        names.make_room(name, self.policy.streams_max)?;
        let entry = names.entry(name);
        entry.interest.retain(|(w, _)| *w != worker);
        entry.interest.push((worker, stream));
        let owner = match &entry.holder {
            Holder::Nobody => None,
            Holder::Publisher(claim, run) => Some((claim.worker, claim.stream, *run)),
            Holder::Held {
                worker,
                stream,
                run,
                ..
            } => Some((*worker, *stream, *run)),
        };
        Ok(Found {
            owner,
            tally: Arc::clone(&entry.tally),
        })
    }

    /// Takes a worker's interest back.
    pub fn leave(&self, name: &StreamName, worker: WorkerId, stream: StreamRef) {
        let mut names = self.lock();
        if let Some(entry) = names.entries.get_mut(name) {
            entry
                .interest
                .retain(|(w, s)| !(*w == worker && *s == stream));
        }
        names.forget_unused(name);
    }

    /// Names known at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// No name is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        // Nothing in here panics between two writes, so a poisoned lock still guards sound data.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy {
    /// Whether `second` may take the name from `first`, silent for `silent_ms`.
    fn gives(&self, first: &Claim, second: &Claim, silent_ms: u64) -> bool {
        let silent = silent_ms >= self.takeover_ms;
        match self.on_duplicate {
            OnDuplicate::Replace => true,
            OnDuplicate::Reject => false,
            OnDuplicate::ReplaceIfIdle => silent,
            OnDuplicate::SameSource => silent || first.peer == second.peer,
        }
    }
}

impl Names {
    fn make_room(&self, name: &StreamName, max: usize) -> Result<(), Taken> {
        if self.entries.contains_key(name) || self.entries.len() < max {
            Ok(())
        } else {
            Err(Taken::TooMany { max })
        }
    }

    fn entry(&mut self, name: &StreamName) -> &mut Entry {
        self.entries.entry(name.clone()).or_insert_with(|| Entry {
            holder: Holder::Nobody,
            interest: Vec::new(),
            tally: Arc::default(),
        })
    }

    fn forget_unused(&mut self, name: &StreamName) {
        let unused = |e: &Entry| matches!(e.holder, Holder::Nobody) && e.interest.is_empty();
        if self.entries.get(name).is_some_and(unused) {
            self.entries.remove(name);
        }
    }
}

impl Tally {
    /// No newer publication has the name.
    #[must_use]
    pub fn is_current(&self, run: Run) -> bool {
        self.run.load(Ordering::Relaxed) == run.0
    }

    /// The owner heard media; `clock_ms` is the last timestamp given to players.
    pub fn hear(&self, now: Millis, clock_ms: u64) {
        self.heard_ms.store(now.0, Ordering::Relaxed);
        self.clock_ms.store(clock_ms, Ordering::Relaxed);
    }

    fn heard(&self) -> Millis {
        Millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// Where a publication that follows now goes on; `None` when no media has come yet.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        let clock_ms = self.clock_ms.load(Ordering::Relaxed);
        (clock_ms > 0).then(|| Resume {
            clock_ms,
            at: self.heard(),
        })
    }

    /// A player joined.
    pub fn join(&self) {
        let players = self.players.fetch_add(1, Ordering::Relaxed) + 1;
        self.players_peak.fetch_max(players, Ordering::Relaxed);
    }

    /// A player left.
    pub fn leave(&self) {
        self.players.fetch_sub(1, Ordering::Relaxed);
    }

    /// A player lost `frames` to a skip.
    pub fn skip(&self, frames: u64) {
        self.skipped.fetch_add(frames, Ordering::Relaxed);
    }

    /// Players now, on all workers.
    #[must_use]
    pub fn players(&self) -> u32 {
        self.players.load(Ordering::Relaxed)
    }

    /// Most players at one time.
    #[must_use]
    pub fn players_peak(&self) -> u32 {
        self.players_peak.load(Ordering::Relaxed)
    }

    /// Frames players lost to skips.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn directory(on_duplicate: OnDuplicate) -> Directory {
        Directory::new(Policy {
            on_duplicate,
            takeover_ms: 5_000,
            streams_max: 2,
        })
    }

    fn name() -> StreamName {
        StreamName::new("live/cam")
    }

    /// A publisher on `worker` from host `host`.
    fn claim(worker: u8, host: u8) -> Claim {
        let worker = WorkerId(worker);
        let conn = ConnId {
            worker,
            index: u32::from(host),
            generation: 1,
        };
        let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
        Claim {
            worker,
            stream: at(1),
            conn,
            peer,
        }
    }

    fn at(index: u32) -> StreamRef {
        StreamRef { index, epoch: 1 }
    }

    /// Whether host `second` gets the name of host 1 after `silent_ms`.
    fn gives(on_duplicate: OnDuplicate, second: u8, silent_ms: u64) -> bool {
        let directory = directory(on_duplicate);
        let first = directory.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        first.tally.hear(Millis(100), 40);
        let second = directory.publish(&name(), claim(1, second), Millis(100 + silent_ms));
        match second {
            Ok(granted) => granted.evicted == Some((claim(0, 1).conn, first.run)),
            Err(taken) => {
                assert_eq!(
                    taken,
                    Taken::Busy {
                        by: claim(0, 1).conn,
                        silent_ms
                    }
                );
                false
            }
        }
    }

    #[test]
    fn a_stranger_is_refused_while_the_first_is_alive() {
        assert!(!gives(OnDuplicate::SameSource, 2, 4_999));
        assert!(gives(OnDuplicate::SameSource, 2, 5_000));
    }

    #[test]
    fn the_same_address_takes_its_name_back_at_once() {
        assert!(gives(OnDuplicate::SameSource, 1, 0));
    }

    #[test]
    fn the_other_policies_do_as_they_are_called() {
        assert!(gives(OnDuplicate::Replace, 2, 0));
        assert!(!gives(OnDuplicate::Reject, 1, 60_000));
        assert!(!gives(OnDuplicate::ReplaceIfIdle, 1, 4_999));
        assert!(gives(OnDuplicate::ReplaceIfIdle, 1, 5_000));
    }

    #[test]
    fn exactly_one_of_play_and_publish_sees_the_other() {
        let early = directory(OnDuplicate::Reject);
        assert!(
            early
                .play(&name(), WorkerId(1), at(7))
                .unwrap()
                .owner
                .is_none()
        );
        let granted = early.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        assert_eq!(granted.interest, [(WorkerId(1), at(7))]);
        let late = directory(OnDuplicate::Reject);
        let granted = late.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        assert!(granted.interest.is_empty());
        let found = late.play(&name(), WorkerId(1), at(7)).unwrap();
        assert_eq!(found.owner, Some((WorkerId(0), at(1), granted.run)));
    }

    #[test]
    fn a_held_name_goes_to_whoever_comes_and_its_clock_goes_on() {
        let directory = directory(OnDuplicate::Reject);
        let first = directory.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        let resume = Resume {
            clock_ms: 8_000,
            at: Millis(50),
        };
        assert_eq!(
            directory.unpublish(&name(), first.run, Some(resume)),
            Ended::Held
        );
        let second = directory
            .publish(&name(), claim(1, 2), Millis(100))
            .unwrap();
        assert_eq!((second.resume, second.evicted), (Some(resume), None));
        assert!(second.run > first.run);
        assert_eq!(
            directory.unpublish(&name(), first.run, None),
            Ended::Superseded
        );
    }

    #[test]
    fn the_end_of_a_superseded_run_is_an_end_when_nobody_has_the_name_any_more() {
        let directory = directory(OnDuplicate::Replace);
        let first = directory.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        let second = directory.publish(&name(), claim(1, 2), Millis(0)).unwrap();
        assert!(!first.tally.is_current(first.run) && second.tally.is_current(second.run));
        assert_eq!(directory.unpublish(&name(), second.run, None), Ended::Free);
        assert_eq!(directory.unpublish(&name(), first.run, None), Ended::Free);
        assert!(directory.is_empty());
    }

    #[test]
    fn the_clock_goes_on_while_a_worker_may_still_serve_the_last_publication() {
        let directory = directory(OnDuplicate::Reject);
        directory.play(&name(), WorkerId(1), at(7)).unwrap();
        let first = directory.publish(&name(), claim(0, 1), Millis(0)).unwrap();
        first.tally.hear(Millis(10), 9_000);
        directory.unpublish(&name(), first.run, None);
        let second = directory.publish(&name(), claim(0, 1), Millis(20)).unwrap();
        assert_eq!(second.resume.map(|resume| resume.clock_ms), Some(9_000));
        directory.unpublish(&name(), second.run, None);
        directory.leave(&name(), WorkerId(1), at(7));
        let third = directory.publish(&name(), claim(0, 1), Millis(30)).unwrap();
        assert_eq!(third.resume, None);
    }

    #[test]
    fn names_are_limited_and_forgotten_when_nobody_wants_them() {
        let directory = directory(OnDuplicate::Reject);
        let other = |n: u32| StreamName::new(&format!("live/{n}"));
        for n in 0..2 {
            directory.play(&other(n), WorkerId(0), at(n)).unwrap();
        }
        let full = directory.publish(&other(2), claim(0, 1), Millis(0));
        assert_eq!(full.unwrap_err(), Taken::TooMany { max: 2 });
        // A stale leave of the same worker takes nothing away.
        directory.leave(&other(0), WorkerId(0), at(9));
        assert_eq!(directory.len(), 2);
        directory.leave(&other(0), WorkerId(0), at(0));
        assert!(directory.publish(&other(2), claim(0, 1), Millis(0)).is_ok());
    }
}
