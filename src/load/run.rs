//! `run`: leads the threads of a run through its phases and adds up what they find.
//!
//! Invariant: publishers fall silent before players are judged, so what is then missing is lost
//! and not merely under way.

use std::collections::HashMap;
use std::io;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use crate::load::board::{Board, Gauges, Phase};
use crate::load::clock::Clock;
use crate::load::dial::{Dialer, Limit};
use crate::load::film::Film;
use crate::load::hand::{Common, Hand, Share};
use crate::load::loss::{Loss, What, Who};
use crate::load::plan::Plan;
use crate::load::player::{Outcome, line_of};
use crate::load::procfs::{Usage, open_files_max, tcp_bytes};
use crate::load::report::{Report, Second};
use crate::load::wire::Wire;
use crate::rtmp::client::{Advert, ClientConfig};

/// Does what the plan says; `progress` is told each second.
///
/// # Errors
/// `RunError`: the run could not begin.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&Second)) -> Result<Report, RunError> {
    let connections = plan.connections();
    for &pid in &plan.server_pids {
        if let Some(allowed) = open_files_max(pid).filter(|max| *max < u64::from(connections)) {
            return Err(Limit::Server {
                connections,
                allowed,
            }
            .into());
        }
    }
    let common = common(plan, Dialer::prepare(plan.target, connections)?);
    let hands = plan
        .shares()
        .into_iter()
        .map(|share: Share| Hand::new(&common, share));
    let hands = hands.collect::<io::Result<Vec<Hand<'_>>>>()?;
    let mut lead = Lead::new(plan, &common.board, progress);
    thread::scope(|scope| {
        let threads: Vec<_> = hands
            .into_iter()
            .map(|hand| scope.spawn(|| hand.run()))
            .collect();
        lead.lead();
        let mut outcomes = Vec::new();
        for thread in threads {
            outcomes.extend(thread.join().map_err(|_| RunError::Thread)??);
        }
        lead.judge(outcomes);
        Ok(lead.report())
    })
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A limit would stop it.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// The kernel gives no event queue.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A bug of this tool.
    #[error("a thread of this tool panicked")]
    Thread,
}

fn common(plan: &Plan, dialer: Dialer) -> Common {
    let stamps = matches!(plan.film.as_deref(), Some(Film::File(_)));
    let (mut play, mut publish) = (
        ClientConfig::play(&plan.address),
        ClientConfig::publish(&plan.address),
    );
    let idle = ClientConfig::idle(&plan.address);
    if plan.enhanced {
        // Old servers refuse keys they do not know, so only where they are needed.
        play.advert = Some(Advert::everything());
        publish.advert = Some(Advert::everything());
    }
    Common {
        board: Board::new(Clock::start(), plan.names(), stamps, plan.threads + 1),
        film: plan.film.clone(),
        dialer,
        play,
        publish,
        idle,
        stall_us: plan.stall_ms * 1_000,
        rest: Duration::from_millis(plan.read_every_ms),
        verifies: plan.verify > 0,
    }
}

/// The thread that leads.
struct Lead<'a> {
    plan: &'a Plan,
    board: &'a Board,
    progress: &'a mut dyn FnMut(&Second),
    report: Report,
    last: Sums,
    /// Payload bytes that each stream had sent at the last look.
    sent: Vec<u64>,
    usage: Usage,
}

/// Gauges of all threads at one moment.
#[derive(Clone, Copy, Default)]
struct Sums {
    at_us: u64,
    publishers: u64,
    players: u64,
    joined: u64,
    storm_joined: u64,
    idle: u64,
    idle_connected: u64,
    gone: u64,
    bytes: u64,
    stalls: u64,
}

impl<'a> Lead<'a> {
    fn new(plan: &'a Plan, board: &'a Board, progress: &'a mut dyn FnMut(&Second)) -> Self {
        let usage = Usage::of(&plan.server_pids);
        Self {
            plan,
            board,
            progress,
            report: Report {
                rss_before_bytes: usage.rss_bytes,
                url: format!("{:?} ({})", plan.address, plan.target),
                streams: plan.streams,
                players_wanted: plan.regulars(),
                storm_wanted: plan.storm,
                idle_wanted: plan.idle,
                ..Report::default()
            },
            last: Sums::default(),
            sent: vec![0; board.lines.len()],
            usage,
        }
    }

    /// All phases but the verdict.
    fn lead(&mut self) {
        let plan = self.plan;
        let publishers = u64::from(plan.publishers());
        let planned = |count: u32, rate: u32| u64::from(count) * 1_000 / u64::from(rate.max(1));
        let patience = plan.join_timeout_ms;
        let wait = patience + planned(plan.publishers(), plan.publish_rate);
        let up = self.until(wait, |sums| sums.publishers + sums.gone >= publishers);
        if up && self.sums().gone == 0 {
            let from_us = self.board.clock.now_us();
            self.board.let_in(false);
            let most = plan.regulars().max(plan.idle);
            let wait = patience + planned(most, plan.join_rate);
            let wanted = u64::from(plan.regulars()) + u64::from(plan.idle);
            let all = self.until(wait, |sums| {
                sums.joined + sums.idle_connected + sums.gone >= wanted
            });
            self.report.join_ms = self.board.clock.now_us().saturating_sub(from_us) / 1_000;
            let ended = self.until(plan.warmup_ms, Self::is_all_gone);
            if all && !ended {
                self.measure();
                let storm = u64::from(plan.storm);
                self.until(patience, |sums| sums.storm_joined + sums.gone >= storm);
            }
        }
        self.board.enter(Phase::Drain);
        self.drain();
        self.board.enter(Phase::Over);
    }

    /// The measured window.
    fn measure(&mut self) {
        self.second(true);
        let (before, own, from) = (self.usage, Usage::own(), self.last);
        let first = self.report.seconds.len();
        self.board.enter(Phase::Steady);
        if self.plan.storm > 0 {
            self.board.let_in(true);
        }
        self.until(self.plan.duration_ms, Self::is_all_gone);
        self.second(true);
        self.board.enter(Phase::Rest);
        let own = Usage::own().since(&own);
        let sums = self.sums();
        let steady = &mut self.report.steady;
        steady.connections = sums.publishers + sums.players + sums.idle;
        steady.server = self.usage.since(&before);
        steady.own = own;
        steady.length_ms = self.last.at_us.saturating_sub(from.at_us) / 1_000;
        steady.bytes = self.last.bytes - from.bytes;
        let mut players = from.players;
        for second in self.report.seconds.iter_mut().skip(first) {
            second.steady = true;
            // Players come and go: the mean of both ends of each second.
            steady.player_ms += (players + second.players) * second.length_ms / 2;
            players = second.players;
            steady.expected += second.expected;
            steady.tcp_bytes = steady.tcp_bytes.max(second.tcp_bytes);
        }
    }

    /// Waits until nothing more comes.
    fn drain(&mut self) {
        let mut quiet = (0, self.board.clock.now_us());
        let board = self.board;
        self.until(self.plan.drain_ms, move |sums| {
            if sums.bytes != quiet.0 {
                quiet = (sums.bytes, board.clock.now_us());
            }
            board.clock.now_us().saturating_sub(quiet.1) > QUIET_US || Self::is_all_gone(sums)
        });
        self.second(true);
    }

    fn is_all_gone(sums: &Sums) -> bool {
        sums.gone > 0 && sums.players == 0 && sums.publishers == 0 && sums.idle == 0
    }

    /// Waits until `done`, at most `ms`, and keeps the seconds going. `false`: in vain.
    fn until(&mut self, ms: u64, mut done: impl FnMut(&Sums) -> bool) -> bool {
        let end_us = self.board.clock.now_us() + ms * 1_000;
        loop {
            if done(&self.sums()) {
                return true;
            }
            let now_us = self.board.clock.now_us();
            if now_us >= end_us {
                return false;
            }
            thread::sleep(Duration::from_micros((end_us - now_us).min(STEP_US)));
            self.second(false);
        }
    }

    /// Writes down a second if it is over, or if `now` what there is of it.
    fn second(&mut self, now: bool) {
        let begun_us = if self.last.at_us == 0 {
            self.board.clock.now_us() - self.board.clock.since_start_us()
        } else {
            self.last.at_us
        };
        let length_us = self.board.clock.now_us().saturating_sub(begun_us);
        if length_us < SECOND_US && !(now && length_us >= SHORT_US) {
            return;
        }
        let sums = self.sums();
        let mut delays = crate::load::delay::Delays::default();
        self.each(|gauges| delays.add(&gauges.delays.take()));
        let usage = Usage::of(&self.plan.server_pids);
        let second = Second {
            at_ms: self.board.clock.since_start_us() / 1_000,
            length_ms: sums.at_us.saturating_sub(begun_us) / 1_000,
            steady: self.board.phase() == Phase::Steady,
            publishers: sums.publishers,
            players: sums.players,
            idle: sums.idle,
            joins: sums.joined + sums.storm_joined - self.last.joined - self.last.storm_joined,
            bytes: sums.bytes - self.last.bytes,
            expected: self.expected(),
            delays: delays.spread(),
            stalls: sums.stalls,
            gone: sums.gone,
            server: usage.since(&self.usage),
            tcp_bytes: tcp_bytes(),
        };
        (self.progress)(&second);
        self.report.seconds.push(second);
        (self.last, self.usage) = (sums, usage);
    }

    /// Payload bytes sent since the last look, times the players of each stream.
    fn expected(&mut self) -> u64 {
        let mut expected = 0;
        for (line, before) in self.board.lines.iter().zip(&mut self.sent) {
            let bytes = line.bytes();
            let players = line.players.load(std::sync::atomic::Ordering::Relaxed);
            expected += (bytes - *before) * u64::from(players);
            *before = bytes;
        }
        expected
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums {
            at_us: self.board.clock.now_us(),
            ..Sums::default()
        };
        self.each(|gauges| {
            sums.publishers += gauges.publishers;
            sums.players += gauges.players;
            sums.joined += gauges.joined;
            sums.storm_joined += gauges.storm_joined;
            sums.idle += gauges.idle;
            sums.idle_connected += gauges.idle_connected;
            sums.gone += gauges.gone;
            sums.bytes += gauges.bytes;
            sums.stalls += gauges.stalls;
        });
        sums
    }

    fn each(&self, mut look: impl FnMut(&mut Gauges)) {
        for gauges in &self.board.gauges {
            look(&mut gauges.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Compares the players that only counted with those that read everything.
    fn judge(&mut self, outcomes: Vec<(u32, Outcome)>) {
        let mut wires: HashMap<u32, Wire> = HashMap::new();
        let mut counted = Vec::new();
        for (stream, outcome) in outcomes {
            match outcome {
                Outcome::Counted { id, from, bytes } => counted.push((stream, id, from, bytes)),
                Outcome::Read(wire) => {
                    let Some(first) = wire.first() else {
                        continue;
                    };
                    let known = wires.get(&stream).and_then(Wire::first);
                    if known.is_none_or(|known| first < known) {
                        wires.insert(stream, wire);
                    }
                }
            }
        }
        for (stream, id, from, bytes) in counted {
            let wire = wires.get(&stream);
            let expected = from.and_then(|from| wire?.bytes_after(from));
            let Some(expected) = expected else {
                self.report.uncompared += 1;
                continue;
            };
            self.report.compared += 1;
            if let Some(what) = difference(bytes, expected) {
                let name = line_of(self.board, stream).map(|line| line.name.clone());
                let loss = Loss {
                    who: Who::Player(id),
                    stream: name.unwrap_or_default(),
                    what,
                };
                if let Some(gauges) = self.board.gauges.first() {
                    gauges
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .lose(loss);
                }
            }
        }
    }

    fn report(&mut self) -> Report {
        let mut report = std::mem::take(&mut self.report);
        let mut losses: HashMap<&'static str, (u64, Vec<Loss>)> = HashMap::new();
        self.each(|gauges| {
            report.joined += gauges.joined;
            report.storm_joined += gauges.storm_joined;
            report.verifying += gauges.verifying;
            report.idle_connected += gauges.idle_connected;
            report.idle_held += gauges.idle;
            report.gone += gauges.gone;
            report.stalls += gauges.stalls;
            report.checked += gauges.checked;
            report.keys.add(&gauges.keys);
            report.storm_keys.add(&gauges.storm_keys);
            report.steady.delays.add(&gauges.steady);
            report.steady.late.add(&gauges.late);
            for (class, (count, examples)) in gauges.losses.drain() {
                let sum = losses.entry(class).or_default();
                sum.0 += count;
                sum.1.extend(examples);
            }
        });
        report.losses = losses
            .into_iter()
            .map(|(class, (count, examples))| (class, count, examples))
            .collect();
        report
            .losses
            .sort_by_key(|(class, count, _)| (std::cmp::Reverse(*count), *class));
        report
    }
}

/// Whether a player that counted `bytes` got what was due. Pings and acknowledgements among the
/// bytes differ from player to player.
fn difference(bytes: u64, expected: u64) -> Option<What> {
    if bytes + SLACK_BYTES < expected {
        let missing = expected - bytes;
        Some(What::Short { missing, expected })
    } else if bytes > expected + SLACK_BYTES {
        let surplus = bytes - expected;
        Some(What::Surplus { surplus, expected })
    } else {
        None
    }
}

/// Control messages that one player may have got and another not. Less than any frame made here.
const SLACK_BYTES: u64 = 90;
const SECOND_US: u64 = 1_000_000;
/// Shorter pieces of a second are not worth a line.
const SHORT_US: u64 = 20_000;
/// Between two looks at the gauges.
const STEP_US: u64 = 20_000;
/// Nothing came for so long: nothing is under way.
const QUIET_US: u64 = 700_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::made::LEAST_BYTES;

    #[test]
    fn a_player_that_lacks_the_smallest_frame_is_found_and_a_ping_more_is_not() {
        let least = u64::try_from(LEAST_BYTES).unwrap();
        assert_eq!(difference(10_000, 10_000), None);
        assert_eq!(difference(10_018, 10_000), None);
        assert_eq!(difference(9_982, 10_000), None);
        let short = difference(10_000 - least, 10_000);
        assert!(matches!(
            short,
            Some(What::Short {
                expected: 10_000,
                ..
            })
        ));
        let surplus = difference(10_000 + least, 10_000);
        assert!(matches!(surplus, Some(What::Surplus { .. })));
    }
}
