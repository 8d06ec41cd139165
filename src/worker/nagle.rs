//! When the kernel may gather a player's small writes (Nagle's algorithm, `--nagle`).
//!
//! Invariant: every player of a worker has the setting that `Worker::nagle` says. Publishers and
//! who has not asked for anything yet are always sent to at once.
//!
//! Small writes cost the kernel most of what a player costs at all. With few players that does not
//! matter and the delay does; with many it may be the other way round, so `auto` looks at the
//! worker's number of players, with room between the two thresholds so that one player more or
//! less does not flip it. How much it saves depends on how late acknowledgements come.

use crate::config::Nagle;
use crate::worker::Worker;

impl Worker {
    /// Looks at the number of players and tells every socket if the answer has changed.
    pub(super) fn choose_nagle(&mut self) {
        let players = self.live.players();
        let nagle = match self.config.nagle {
            Nagle::On => true,
            Nagle::Off => false,
            Nagle::Auto if self.nagle => players >= FEW_PLAYERS,
            Nagle::Auto => players > MANY_PLAYERS,
        };
        if nagle == self.nagle {
            return;
        }
        self.nagle = nagle;
        for id in self.conns.ids() {
            let Some(conn) = self.conns.find(id) else {
                continue;
            };
            if conn.plays() {
                conn.set_nagle(nagle);
            }
        }
    }
}

/// Above this many players on a worker `auto` gathers.
const MANY_PLAYERS: usize = 100;

/// Below this many it stops again.
const FEW_PLAYERS: usize = 75;
