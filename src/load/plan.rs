//! `Plan`: what a run is to do, checked.
//!
//! Invariant: plain data; whatever cannot work was refused before a `Plan` came to be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::load::film::Film;
use crate::load::hand::{Cast, Share, Visit};
use crate::load::player::Part;
use crate::rtmp::client::Address;

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to publish and play; the stream's name is that of a lone stream, else its beginning.
    pub address: Address,
    /// The server, resolved.
    pub target: SocketAddr,
    /// What is shown; `None` if somebody else publishes.
    pub film: Option<Arc<Film>>,
    /// Introduce players as knowing Enhanced RTMP.
    pub enhanced: bool,
    /// Streams published, or 1 published by somebody else.
    pub streams: u32,
    /// Players of each stream.
    pub players: u32,
    /// Players of each stream that read and check everything.
    pub verify: u32,
    /// Players that join all at once in the measured window, spread over the streams.
    pub storm: u32,
    /// Connections that are accepted and then ask for nothing; they come with the players.
    pub idle: u32,
    /// Publishers that begin to connect in a second; 0: all at once.
    pub publish_rate: u32,
    /// Players, and idle connections, that begin to connect in a second; 0: all at once.
    pub join_rate: u32,
    /// The same of the storm.
    pub storm_rate: u32,
    /// Threads that hold players which only count; one more holds the others.
    pub threads: usize,
    /// How often counting players read, milliseconds; 0: as soon as there is something.
    pub read_every_ms: u64,
    /// Longest wait for publishers, and again for players behind the planned time, milliseconds.
    pub join_timeout_ms: u64,
    /// From the last join to the measured window, milliseconds.
    pub warmup_ms: u64,
    /// The measured window, milliseconds.
    pub duration_ms: u64,
    /// Longest wait for what is under way when the publishers fall silent, milliseconds.
    pub drain_ms: u64,
    /// A silence longer than this is a stall, milliseconds.
    pub stall_ms: u64,
    /// Processes of the server.
    pub server_pids: Vec<u32>,
}

impl Plan {
    /// Connections of the whole run.
    #[must_use]
    pub fn connections(&self) -> u32 {
        let players = self
            .streams
            .saturating_mul(self.players)
            .saturating_add(self.storm);
        players
            .saturating_add(self.publishers())
            .saturating_add(self.idle)
    }

    /// Publishing connections.
    #[must_use]
    pub fn publishers(&self) -> u32 {
        if self.film.is_some() { self.streams } else { 0 }
    }

    /// Players but for the storm.
    #[must_use]
    pub fn regulars(&self) -> u32 {
        self.streams.saturating_mul(self.players)
    }

    /// Name of each stream.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let (name, query) = match self.address.stream.split_once('?') {
            Some((name, query)) => (name, format!("?{query}")),
            None => (self.address.stream.as_str(), String::new()),
        };
        if self.streams == 1 {
            return vec![self.address.stream.clone()];
        }
        (0..self.streams)
            .map(|n| format!("{name}-{n}{query}"))
            .collect()
    }

    /// Who does what. The first thread publishes and checks, the others count.
    #[must_use]
    pub fn shares(&self) -> Vec<Share> {
        let mut shares: Vec<Share> = (0..=self.threads)
            .map(|index| Share {
                index,
                publishers: VecDeque::new(),
                players: VecDeque::new(),
                storm: VecDeque::new(),
                idle: VecDeque::new(),
            })
            .collect();
        let Some((first, counting)) = shares.split_first_mut() else {
            return shares;
        };
        let publishers = self.publishers();
        for stream in 0..publishers {
            first.publishers.push_back(Visit {
                after_us: spaced(stream, self.publish_rate),
                number: stream,
                what: Cast {
                    stream,
                    offset_us: FRAME_US * u64::from(stream) / u64::from(publishers),
                },
            });
        }
        let mut turns = (0..counting.len()).cycle();
        for (id, visit) in self.visits() {
            let to = if visit.what.verify {
                None
            } else {
                turns.next()
            };
            let share = to
                .and_then(|at| counting.get_mut(at))
                .unwrap_or(&mut *first);
            let visit = Visit {
                number: publishers + id,
                ..visit
            };
            if visit.what.storm {
                share.storm.push_back(visit);
            } else {
                share.players.push_back(visit);
            }
        }
        let players = self.regulars() + self.storm;
        for id in 0..self.idle {
            let to = turns.next().and_then(|at| counting.get_mut(at));
            to.unwrap_or(&mut *first).idle.push_back(Visit {
                after_us: spaced(id, self.join_rate),
                number: publishers + players + id,
                what: id,
            });
        }
        shares
    }

    /// All players in the order of their joining: one of each stream after the other.
    fn visits(&self) -> impl Iterator<Item = (u32, Visit<Part>)> {
        let regulars = self.regulars();
        (0..regulars + self.storm).map(move |id| {
            let storm = id >= regulars;
            let (order, rate) = if storm {
                (id - regulars, self.storm_rate)
            } else {
                (id, self.join_rate)
            };
            let streams = self.streams.max(1);
            let part = Part {
                id,
                stream: order % streams,
                verify: !storm && self.verifies(order / streams),
                storm,
            };
            let visit = Visit {
                after_us: spaced(order, rate),
                number: id,
                what: part,
            };
            (id, visit)
        })
    }

    /// Whether the `n`th player of a stream checks: the first, and others evenly between the rest.
    fn verifies(&self, n: u32) -> bool {
        let (n, verify, players) = (
            u64::from(n),
            u64::from(self.verify),
            u64::from(self.players.max(1)),
        );
        // A step of the rounded line from (0, 0) to (players, verify) falls on `n`.
        (n * verify).div_ceil(players) < ((n + 1) * verify).div_ceil(players)
    }
}

/// When the `order`th of them is to begin, in microseconds.
fn spaced(order: u32, rate: u32) -> u64 {
    match u64::from(rate) {
        0 => 0,
        rate => u64::from(order) * 1_000_000 / rate,
    }
}

/// Publishers begin at different times within so much.
const FRAME_US: u64 = 40_000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn plan() -> Plan {
        Plan {
            address: Address::parse("rtmp://127.0.0.1/live/load?key=1").unwrap(),
            target: SocketAddr::from(([127, 0, 0, 1], 1935)),
            film: None,
            enhanced: false,
            streams: 1,
            players: 100,
            verify: 10,
            storm: 0,
            idle: 0,
            publish_rate: 100,
            join_rate: 1_000,
            storm_rate: 0,
            threads: 1,
            read_every_ms: 0,
            join_timeout_ms: 1_000,
            warmup_ms: 1_000,
            duration_ms: 1_000,
            drain_ms: 1_000,
            stall_ms: 1_000,
            server_pids: vec![],
        }
    }

    #[test]
    fn the_players_that_check_are_spread_evenly_and_the_first_is_one() {
        let plan = plan();
        let checking: Vec<u32> = (0..100).filter(|n| plan.verifies(*n)).collect();
        assert_eq!(checking, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
        let all = Plan {
            verify: 100,
            ..plan.clone()
        };
        assert!((0..100).all(|n| all.verifies(n)));
        let none = Plan { verify: 0, ..plan };
        assert!(!(0..100).any(|n| none.verifies(n)));
    }

    #[test]
    fn every_player_has_a_thread_a_number_and_a_time() {
        let plan = Plan {
            streams: 4,
            players: 25,
            verify: 1,
            storm: 10,
            idle: 7,
            threads: 2,
            read_every_ms: 0,
            ..plan()
        };
        let shares = plan.shares();
        let players: Vec<usize> = shares.iter().map(|share| share.players.len()).collect();
        assert_eq!(players, [4, 48, 48]);
        assert_eq!(
            shares.iter().map(|share| share.storm.len()).sum::<usize>(),
            10
        );
        let mut numbers: Vec<u32> = shares
            .iter()
            .flat_map(|share| share.players.iter().chain(&share.storm))
            .map(|visit| visit.number)
            .collect();
        let idle = shares.iter().flat_map(|share| &share.idle);
        numbers.extend(idle.map(|visit| visit.number));
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..117));
        assert_eq!(plan.connections(), 117);
        assert_eq!(spaced(500, 1_000), 500_000);
        assert_eq!(spaced(500, 0), 0);
    }

    #[test]
    fn a_lone_stream_keeps_its_name_and_many_are_counted_before_the_query() {
        assert_eq!(plan().names(), ["load?key=1"]);
        let two = Plan {
            streams: 2,
            ..plan()
        };
        assert_eq!(two.names(), ["load-0?key=1", "load-1?key=1"]);
    }
}
