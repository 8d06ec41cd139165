//! `Stream`: one name on one worker, owned or mirrored, with its log and its local players.
//!
//! Invariants: `players` have been given a cursor and not yet left; `waiting` have not; a stream
//! with players or a mirror is `registered` in the directory. A stream is removed as soon as
//! nothing holds it: no role, no player, no one waiting.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{PlayerId, Run, Seq, StreamName, StreamRef, WorkerId};
use crate::live::directory::Tally;
use crate::live::log::{Log, LogLimits};
use crate::live::publication::{Publication, Report};
use crate::media::{Frame, Headers};
use crate::time::Millis;

/// One stream of one worker. See the module head.
#[derive(Debug)]
pub struct Stream {
    pub(super) name: StreamName,
    pub(super) epoch: u32,
    pub(super) role: Role,
    /// The newest publication heard of; mail about older ones changes nothing, not even when there
    /// is no source at the moment.
    pub(super) newest_run: Run,
    pub(super) log: Log,
    pub(super) headers: Arc<Headers>,
    /// A set: when an uplink dies, thousands leave in one turn. In order, so that a flush walks
    /// through the connections as they lie in memory, and a simulation repeats itself.
    pub(super) players: BTreeSet<PlayerId>,
    pub(super) waiting: Vec<Waiting>,
    /// The directory knows that this worker wants the stream.
    pub(super) registered: bool,
    pub(super) tally: Option<Arc<Tally>>,
    /// New frames since its players were last taken for serving.
    pub(super) dirty: bool,
    /// Its players are being served, which may take several turns; what comes meanwhile is for the
    /// next time.
    pub(super) serving: bool,
    /// No flush before this time (`--merge-ms`).
    pub(super) flush_at: Millis,
}

/// Where the frames of a stream come from.
#[derive(Debug)]
pub(super) enum Role {
    /// Nowhere yet: players wait, or a new owner is about to write.
    Vacant,
    /// A publisher of this worker.
    Owned(Box<Publication>),
    /// The publisher went away; kept for its return.
    Held(Held),
    /// Another worker.
    Mirror(Mirror),
    /// Over; players are being served to the end of the log.
    Ended { since: Millis },
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) run: Run,
    pub(super) until: Millis,
    pub(super) mirrors: Vec<(WorkerId, StreamRef)>,
    pub(super) next_number: u64,
    pub(super) report: Report,
}

#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) owner: WorkerId,
    pub(super) at: StreamRef,
    pub(super) run: Run,
    /// `None` until the snapshot has come; then the number the next frame should carry.
    pub(super) next_number: Option<u64>,
    /// Frames were shed on the way.
    pub(super) gap: Gap,
    /// When the last player left; the mirror is given up `linger` later.
    pub(super) idle_since: Option<Millis>,
}

/// What a mirror holds back after frames were shed. Headers always pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// Video, until a join point: audio has found one of its own.
    Video,
    /// Everything, until a join point.
    All,
}

/// A player that came before the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) player: PlayerId,
    /// When it is told that there is no such stream.
    pub(super) until: Millis,
}

impl Stream {
    pub(super) fn new(name: StreamName, epoch: u32, limits: LogLimits) -> Self {
        Self {
            name,
            epoch,
            role: Role::Vacant,
            newest_run: Run(0),
            log: Log::new(limits),
            headers: Arc::default(),
            players: BTreeSet::new(),
            waiting: Vec::new(),
            registered: false,
            tally: None,
            dirty: false,
            serving: false,
            flush_at: Millis(0),
        }
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// Its frames on this worker.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The newest headers.
    #[must_use]
    pub fn headers(&self) -> &Arc<Headers> {
        &self.headers
    }

    /// No frame will follow.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.role, Role::Ended { .. })
    }

    /// Counters of the name.
    #[must_use]
    pub fn tally(&self) -> Option<&Arc<Tally>> {
        self.tally.as_ref()
    }

    /// Appends a frame to the log and takes note of it if it changes what joiners need.
    pub(super) fn push(&mut self, frame: Arc<Frame>, now: Millis) -> Seq {
        // Only these are counted up: the count of a frame is a line that all workers share.
        let noted = (frame.traits().header || frame.is_bare()).then(|| Arc::clone(&frame));
        let seq = self.log.push(frame, &self.headers, now);
        if let Some(noted) = noted {
            Arc::make_mut(&mut self.headers).note(&noted);
        }
        seq
    }

    /// A player can start: there is a source, be it one that is away for the moment.
    pub(super) fn is_open(&self) -> bool {
        match &self.role {
            Role::Owned(_) | Role::Held(_) => true,
            Role::Mirror(mirror) => mirror.next_number.is_some(),
            Role::Vacant | Role::Ended { .. } => false,
        }
    }

    /// Nothing holds it any more.
    pub(super) fn is_unused(&self) -> bool {
        let idle = matches!(self.role, Role::Vacant | Role::Ended { .. });
        idle && self.players.is_empty() && self.waiting.is_empty()
    }

    /// Memory of its log and headers, in bytes. A mirror shares the frames with its owner.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.log.memory_bytes() + self.headers.memory_bytes()
    }
}
