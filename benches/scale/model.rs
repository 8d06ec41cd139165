//! The model: counted operations × what each costs.
//!
//! A turn of an owner with n messages costs it `n·(make + S·mail) + L·(letter + asleep·ring)`, S
//! being the other workers that watch a stream, L those that any of the n messages goes to. A
//! worker that watches pays a `take` for each frame, `wake − take` more for each letter that finds
//! it asleep, a crossing of the frame's count when it drops it, and its own players.
//!
//! Two things keep each other in balance. Who is busy does not sleep: the share of letters that
//! find a sleeper is the share of time there is nothing to do. And an owner without time gathers:
//! the turn gets longer, and a letter and a bell serve more messages.

use super::cost::Costs;
use super::rig::{Owned, Rig};

/// What is to be carried.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Workers, one core each.
    pub workers: u32,
    /// Streams.
    pub streams: u32,
    /// Players of each, spread over all workers by the kernel.
    pub players: u32,
    /// All streams have the same owner, instead of being spread as well.
    pub one_owner: bool,
}

/// What it comes to. Shares are of one core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forecast {
    /// Other workers that watch a stream, on average.
    pub watching: f64,
    /// Letters that find their receiver asleep.
    pub asleep: f64,
    /// Messages in a turn of the owner, beside its own players; `None` when these alone are too
    /// many for a write per message: then their writes merge, and the model ends.
    pub gathered: Option<f64>,
    /// Owner: its mail, letters and bells.
    pub distributing: f64,
    /// A worker that watches: what letters cost it.
    pub receiving: f64,
    /// Every worker: its players, one write per message and player.
    pub serving: f64,
}

/// Messages a second of a stream of 1 Mbit/s, as in the README.
pub const RATE: f64 = 72.0;

/// What one message costs its owner, counted, with players on all workers.
pub fn count(workers: u32, asleep: bool) -> Owned {
    let mut rig = Rig::new(workers as usize);
    for worker in 1..workers as usize {
        rig.watch(worker, 2);
    }
    rig.turn(1, asleep)
}

/// What the counted operations cost, in ns.
pub fn price(counted: &Owned, costs: &Costs) -> f64 {
    let [mails, letters, rings] = [counted.mails, counted.letters, counted.rings]
        .map(|n| f64::from(u32::try_from(n).unwrap()));
    mails * costs.mail + letters * costs.letter + rings * costs.ring
}

impl Load {
    /// Works it out: the share of sleepers and what follows from it, until they agree.
    pub fn forecast(self, costs: &Costs) -> Forecast {
        let mut found = self.with_asleep(1.0, costs);
        for _ in 0..60 {
            let own = if self.one_owner {
                0.0
            } else {
                found.distributing
            };
            let idle = (1.0 - found.serving - found.receiving - own).clamp(0.0, 1.0);
            found = self.with_asleep(f64::midpoint(found.asleep, idle), costs);
        }
        found
    }

    fn with_asleep(self, asleep: f64, costs: &Costs) -> Forecast {
        let (workers, others) = (f64::from(self.workers), f64::from(self.workers - 1));
        let owners = if self.one_owner { 1 } else { self.workers };
        let rate = f64::from(self.streams) * RATE / f64::from(owners);
        // A stream of few players is not watched everywhere.
        let reach = 1.0 - (1.0 - 1.0 / workers).powf(f64::from(self.players));
        let turn = Turn {
            message: costs.make + others * reach * costs.mail,
            letter: costs.letter + asleep * costs.ring,
            reach,
            others,
        };
        let served = f64::from(self.streams) * f64::from(self.players) * RATE / workers;
        let serving = served * (costs.cursor + costs.send) * 1e-9;
        let gathered = turn.gathered(rate, 1.0 - serving);
        let in_turn = gathered.unwrap_or(GATHERED_MAX);
        // From each owner but oneself.
        let from = if self.one_owner { 1.0 } else { others };
        let heard = if self.workers == 1 { 0.0 } else { from * rate };
        let frames = heard * reach * (costs.take + costs.crossing);
        let woken = costs.wake.map_or(0.0, |wake| wake - costs.take);
        let letters = heard * turn.reached(in_turn) / in_turn * asleep * woken;
        Forecast {
            watching: others * reach,
            asleep,
            gathered,
            distributing: rate * (turn.spent(in_turn) - costs.make) * 1e-9,
            receiving: (frames + letters) * 1e-9,
            serving,
        }
    }
}

/// A turn of an owner.
struct Turn {
    /// Per message, in ns.
    message: f64,
    /// Per letter, in ns.
    letter: f64,
    /// Share of the others that a message goes to.
    reach: f64,
    others: f64,
}

impl Turn {
    /// Share of the others that any of so many messages goes to.
    fn reached(&self, gathered: f64) -> f64 {
        1.0 - (1.0 - self.reach).powf(gathered)
    }

    /// What a message costs when so many share the turn, in ns.
    fn spent(&self, gathered: f64) -> f64 {
        self.message + self.others * self.reached(gathered) * self.letter / gathered
    }

    /// How many messages have to share a turn for `rate` a second to take no more than `share` of
    /// the owner's core.
    fn gathered(&self, rate: f64, share: f64) -> Option<f64> {
        let numbers = std::iter::successors(Some(1.0), |n| Some(n * 1.05));
        let keeps_up = |gathered: &f64| rate * self.spent(*gathered) <= share * 1e9;
        numbers.take_while(|n| *n <= GATHERED_MAX).find(keeps_up)
    }
}

/// More would take many milliseconds.
const GATHERED_MAX: f64 = 10_000.0;
