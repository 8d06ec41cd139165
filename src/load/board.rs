//! `Board`: what the threads of a run tell each other: the phase, and how far each stream is.
//!
//! Invariant: a publisher counts a message before it writes it, so no player can be ahead of the
//! board. The phase only goes forward.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::load::clock::Clock;
use crate::load::delay::Delays;
use crate::load::film::{Beat, Reel};
use crate::load::loss::Loss;

/// Shared by all threads of a run.
#[derive(Debug)]
pub struct Board {
    /// The run's clock.
    pub clock: Clock,
    phase: AtomicU8,
    join_from_us: AtomicU64,
    storm_from_us: AtomicU64,
    /// The streams, by number.
    pub lines: Vec<Line>,
    /// One per thread.
    pub gauges: Vec<Mutex<Gauges>>,
}

impl Board {
    /// A board for streams of these names; `stamps` says whether sending times must be kept here
    /// because the messages do not carry them.
    #[must_use]
    pub fn new(clock: Clock, names: Vec<String>, stamps: bool, threads: usize) -> Self {
        Self {
            clock,
            phase: AtomicU8::new(0),
            join_from_us: AtomicU64::new(u64::MAX),
            storm_from_us: AtomicU64::new(u64::MAX),
            lines: names
                .into_iter()
                .map(|name| Line::new(name, stamps))
                .collect(),
            gauges: (0..threads).map(|_| Mutex::default()).collect(),
        }
    }

    /// Where the run is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Join,
            1 => Phase::Steady,
            2 => Phase::Rest,
            3 => Phase::Drain,
            _ => Phase::Over,
        }
    }

    /// Goes on to a phase.
    pub fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Join => 0,
            Phase::Steady => 1,
            Phase::Rest => 2,
            Phase::Drain => 3,
            Phase::Over => 4,
        };
        self.phase.fetch_max(number, Ordering::AcqRel);
    }

    /// When players begin to join, `u64::MAX` while they must wait.
    #[must_use]
    pub fn join_from_us(&self, storm: bool) -> u64 {
        self.gate(storm).load(Ordering::Acquire)
    }

    /// Lets the players in, from now on.
    pub fn let_in(&self, storm: bool) {
        self.gate(storm)
            .store(self.clock.now_us(), Ordering::Release);
    }

    fn gate(&self, storm: bool) -> &AtomicU64 {
        if storm {
            &self.storm_from_us
        } else {
            &self.join_from_us
        }
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Publishers and players come; warm-up.
    Join,
    /// The window that is measured.
    Steady,
    /// Measured; those of the storm that are late may still come.
    Rest,
    /// Publishers are silent, players get the rest.
    Drain,
    /// Threads hand in what they have and end.
    Over,
}

/// One stream.
#[derive(Debug)]
pub struct Line {
    /// Its name behind the application.
    pub name: String,
    /// Its publisher may send.
    pub open: AtomicBool,
    /// Players that have had their first key frame and are connected.
    pub players: AtomicU32,
    /// First message that a player which reads everything has got.
    read_from: AtomicU64,
    sent: AtomicU64,
    videos: AtomicU64,
    audios: AtomicU64,
    bytes: AtomicU64,
    /// When message `n` was sent, at `n` modulo the length; empty if the messages say it.
    stamps: Vec<AtomicU64>,
}

impl Line {
    fn new(name: String, stamps: bool) -> Self {
        let kept = if stamps { STAMPS } else { 0 };
        Self {
            name,
            open: AtomicBool::new(false),
            players: AtomicU32::new(0),
            read_from: AtomicU64::new(u64::MAX),
            sent: AtomicU64::new(0),
            videos: AtomicU64::new(0),
            audios: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stamps: (0..kept).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a message that is about to be written.
    pub fn count(&self, beat: &Beat, bytes: usize, now_us: u64) {
        if let Some(stamp) = self.stamp(beat.number) {
            stamp.store(now_us, Ordering::Relaxed);
        }
        let of_kind = if beat.kind == crate::rtmp::message::Kind::Video {
            &self.videos
        } else {
            &self.audios
        };
        of_kind.fetch_add(1, Ordering::Relaxed);
        self.bytes
            .fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        self.sent.fetch_add(1, Ordering::Release);
    }

    /// Messages sent so far.
    #[must_use]
    pub fn sent(&self) -> Reel {
        Reel {
            number: self.sent.load(Ordering::Acquire),
            videos: self.videos.load(Ordering::Relaxed),
            audios: self.audios.load(Ordering::Relaxed),
        }
    }

    /// A player that reads everything has got message `number`.
    pub fn read(&self, number: u64) {
        self.read_from.fetch_min(number, Ordering::Relaxed);
    }

    /// Whether one that reads everything has got message `number`, or an earlier one: only then
    /// has a player that counts from there somebody to be compared with.
    #[must_use]
    pub fn is_read(&self, number: u64) -> bool {
        self.read_from.load(Ordering::Relaxed) <= number
    }

    /// Payload bytes sent so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When that message was sent, if that is kept here.
    #[must_use]
    pub fn sent_us(&self, number: u64) -> Option<u64> {
        let at = self.stamp(number)?.load(Ordering::Relaxed);
        (at != 0).then_some(at)
    }

    fn stamp(&self, number: u64) -> Option<&AtomicU64> {
        let len = u64::try_from(self.stamps.len())
            .ok()
            .filter(|len| *len > 0)?;
        self.stamps.get(usize::try_from(number % len).ok()?)
    }
}

/// What one thread tells, renewed ten times a second.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Publishers that may send.
    pub publishers: u64,
    /// Players that get media.
    pub players: u64,
    /// Players that got their first key frame, ever.
    pub joined: u64,
    /// The storm's players among them.
    pub storm_joined: u64,
    /// Players among those that joined which read everything; the others count.
    pub verifying: u64,
    /// Idle connections that the server has accepted and keeps.
    pub idle: u64,
    /// Idle connections that the server accepted, ever.
    pub idle_connected: u64,
    /// Connections that could not be made or ended, ever.
    pub gone: u64,
    /// Bytes that players read, with all overhead.
    pub bytes: u64,
    /// Messages that were checked.
    pub checked: u64,
    /// Times a player got nothing for longer than the limit while its stream went on.
    pub stalls: u64,
    /// Sending to reading, since it was last taken.
    pub delays: Delays,
    /// Sending to reading in the measured window.
    pub steady: Delays,
    /// Connecting to the first key frame.
    pub keys: Delays,
    /// The same of the storm's players.
    pub storm_keys: Delays,
    /// How far behind its plan a message was sent, in the measured window.
    pub late: Delays,
    /// All that went wrong: how much of each thing, with examples.
    pub losses: HashMap<&'static str, (u64, Vec<Loss>)>,
}

impl Gauges {
    /// Notes something that went wrong.
    pub fn lose(&mut self, loss: Loss) {
        let (count, examples) = self.losses.entry(loss.what.class()).or_default();
        *count += loss.what.count();
        if examples.len() < EXAMPLES_MAX {
            examples.push(loss);
        }
    }
}

/// Sending times kept: 1,000 messages a second for eight seconds.
const STAMPS: usize = 8_192;
/// Examples kept of each thing that can go wrong.
const EXAMPLES_MAX: usize = 3;
