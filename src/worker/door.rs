//! `Door`: who may come in, counted over all workers.
//!
//! Invariants: whoever was let in holds a [`Ticket`], and each count is that of the tickets alive;
//! an address is in the table only while it has an unfinished session, so the table has at most
//! `--max-pending` entries. Workers share it: an atomic for each count, a lock of a few dozen
//! instructions for the table, both at the beginning and the end of a session only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::config::Config;
use crate::time::Millis;

/// The door of the whole process. See the module head.
#[derive(Debug)]
pub struct Door {
    connections_max: usize,
    pending_max: usize,
    pending_per_ip_max: usize,
    connections: AtomicUsize,
    pending: AtomicUsize,
    /// Unfinished sessions of each source.
    sources: Mutex<HashMap<IpAddr, usize>>,
    turned_away: [Tally; Full::COUNT],
    /// Keeps a descriptor free for turning newcomers away when there is no other.
    reserve: Mutex<Option<File>>,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `--max-connections` are open.
    Connections,
    /// `--max-pending` sessions are unfinished.
    Pending,
    /// `--max-pending-per-ip` sessions of this address are unfinished.
    PendingOfSource,
    /// The process has no descriptor for another connection.
    Descriptors,
}

impl Full {
    const COUNT: usize = 4;
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    door: Arc<Door>,
    stage: Stage,
}

/// How far the holder of a ticket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It neither publishes nor plays yet, and came from there.
    Pending(IpAddr),
    Settled,
}

impl Door {
    /// A door that lets in what the settings allow.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            connections_max: config.max_connections,
            pending_max: config.max_pending,
            pending_per_ip_max: config.max_pending_per_ip,
            connections: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            sources: Mutex::default(),
            turned_away: Default::default(),
            reserve: Mutex::new(spare()),
        }
    }

    /// Lets a newcomer in, or says what there is too much of. Who comes from this machine never
    /// counts as unfinished: a load test, or a tunnel that ends TLS here, is many clients behind
    /// one address, and whoever is on this machine has shorter ways to harm it. One address that
    /// has too much is told so first: it must not make room for itself at the cost of others.
    ///
    /// # Errors
    /// A bound is reached; nothing was counted.
    pub fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Ticket, Full> {
        if ip.is_loopback() {
            if !take(&self.connections, self.connections_max) {
                return Err(Full::Connections);
            }
            return Ok(self.ticket(Stage::Settled));
        }
        let source = source_of(ip);
        self.take_place_of(source)?;
        if !take(&self.connections, self.connections_max) {
            self.leave_place_of(source);
            return Err(Full::Connections);
        }
        if !take(&self.pending, self.pending_max) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            self.leave_place_of(source);
            return Err(Full::Pending);
        }
        Ok(self.ticket(Stage::Pending(source)))
    }

    fn ticket(self: &Arc<Self>, stage: Stage) -> Ticket {
        Ticket {
            door: Arc::clone(self),
            stage,
        }
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts somebody who was turned away for this reason. `Some`: it is time to say so, and how
    /// many there were since it was said last.
    pub fn turn_away(&self, reason: Full, now: Millis) -> Option<u64> {
        self.turned_away.get(reason as usize)?.count(now)
    }

    /// The reserve, for the worker that may accept now although there are no descriptors. `None`:
    /// another one is at it, and would lose to us what it lets go.
    pub(super) fn reserve(&self) -> Option<MutexGuard<'_, Option<File>>> {
        let mut reserve = match self.reserve.try_lock() {
            Ok(reserve) => reserve,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if reserve.is_none() {
            *reserve = spare();
        }
        Some(reserve)
    }

    fn take_place_of(&self, source: IpAddr) -> Result<(), Full> {
        let mut sources = self.lock();
        let count = sources.entry(source).or_insert(0);
        if *count >= self.pending_per_ip_max {
            return Err(Full::PendingOfSource);
        }
        *count += 1;
        Ok(())
    }

    fn leave_place_of(&self, source: IpAddr) {
        if let Entry::Occupied(mut entry) = self.lock().entry(source) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing in here can panic halfway through a change.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The session has a role now: it no longer counts as unfinished.
    pub fn settle(&mut self) {
        if let Stage::Pending(source) = std::mem::replace(&mut self.stage, Stage::Settled) {
            self.door.pending.fetch_sub(1, Ordering::Relaxed);
            self.door.leave_place_of(source);
        }
    }

    /// Whether it counts as unfinished.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Pending(_))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle();
        self.door.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who was turned away, and when it was last said.
#[derive(Debug, Default)]
struct Tally {
    untold: AtomicU64,
    /// Not said again before this time, in ms.
    tell_at: AtomicU64,
}

impl Tally {
    fn count(&self, now: Millis) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let tell_at = self.tell_at.load(Ordering::Relaxed);
        let mine = now.0 >= tell_at
            && self
                .tell_at
                .compare_exchange(
                    tell_at,
                    (now + TELL_EVERY_MS).0,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        mine.then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

/// One more, if that is not too many.
fn take(count: &AtomicUsize, max: usize) -> bool {
    let more = |n: usize| (n < max).then_some(n + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}

/// A descriptor for nothing.
pub(super) fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK_BITS).into(),
    }
}

/// The half of an IPv6 address that a provider hands out as a whole.
const NETWORK_BITS: u128 = !0 << 64;

/// How often one reason is said, in ms.
const TELL_EVERY_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn door(connections: usize, pending: usize, per_ip: usize) -> Arc<Door> {
        Arc::new(Door::new(&Config {
            max_connections: connections,
            max_pending: pending,
            max_pending_per_ip: per_ip,
            ..Config::default()
        }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn counts(door: &Door) -> (usize, usize, usize) {
        let pending = door.pending.load(Ordering::Relaxed);
        (door.connections(), pending, door.lock().len())
    }

    #[test]
    fn who_leaves_makes_room_for_the_next_whatever_its_stage() {
        let door = door(2, 2, 2);
        let mut first = door.enter(ip("192.0.2.1")).unwrap();
        let second = door.enter(ip("192.0.2.2")).unwrap();
        first.settle();
        assert_eq!(counts(&door), (2, 1, 1));
        assert_eq!(
            door.enter(ip("192.0.2.3")).unwrap_err(),
            Full::Connections,
            "a settled one still is a connection"
        );
        assert_eq!(counts(&door), (2, 1, 1), "a refusal leaves no trace");
        drop(first);
        let third = door.enter(ip("192.0.2.3")).unwrap();
        drop((second, third));
        assert_eq!(counts(&door), (0, 0, 0));
    }

    #[test]
    fn unfinished_sessions_have_a_bound_of_their_own() {
        let door = door(100, 2, 2);
        let mut one = door.enter(ip("192.0.2.1")).unwrap();
        let _two = door.enter(ip("192.0.2.2")).unwrap();
        assert_eq!(door.enter(ip("192.0.2.3")).unwrap_err(), Full::Pending);
        assert_eq!(counts(&door), (2, 2, 2), "a refusal leaves no trace");
        one.settle();
        door.enter(ip("192.0.2.3")).unwrap();
    }

    #[test]
    fn an_address_with_too_many_unfinished_sessions_waits_and_others_do_not() {
        let door = door(100, 100, 2);
        let mut held: Vec<Ticket> = (0..2)
            .map(|_| door.enter(ip("192.0.2.1")).unwrap())
            .collect();
        assert_eq!(
            door.enter(ip("192.0.2.1")).unwrap_err(),
            Full::PendingOfSource
        );
        held.push(door.enter(ip("192.0.2.2")).unwrap());
        held[0].settle();
        held.push(door.enter(ip("192.0.2.1")).unwrap());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_this_machine_as_none() {
        let door = door(100, 100, 1);
        let _one = door.enter(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(
            door.enter(ip("2001:db8:0:1:ffff::2")).unwrap_err(),
            Full::PendingOfSource
        );
        let _two = door.enter(ip("2001:db8:0:2::1")).unwrap();
        let local: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1", "::1"]
            .map(|text| door.enter(ip(text)).unwrap())
            .into();
        assert_eq!(counts(&door), (2 + local.len(), 2, 2));
    }

    #[test]
    fn the_table_of_addresses_is_no_larger_than_the_unfinished_sessions() {
        let door = door(1_000, 16, 8);
        let mut held = Vec::new();
        for n in 0..1_000_u32 {
            let from = IpAddr::from((0xC000_0200 + n).to_be_bytes());
            held.extend(door.enter(from));
            if n % 3 == 0
                && let Some(mut settled) = held.pop()
            {
                settled.settle();
            }
            assert!(counts(&door).2 <= 16, "{:?}", counts(&door));
        }
    }

    #[test]
    fn no_place_is_given_twice_when_many_workers_ask() {
        let door = door(50, 1_000, 1_000);
        std::thread::scope(|scope| {
            for worker in 0..4_u8 {
                let door = &door;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..2_000_u32 {
                        held.extend(door.enter(IpAddr::from([192, 0, 2, worker])));
                        assert!(door.connections() <= 50);
                        if round % 5 > 1 {
                            held.pop();
                        }
                    }
                });
            }
        });
        assert_eq!(counts(&door), (0, 0, 0));
    }

    #[test]
    fn refusals_are_told_at_once_and_then_every_ten_seconds_with_their_number() {
        let door = door(1, 1, 1);
        let told = |reason, at| door.turn_away(reason, Millis(at));
        assert_eq!(told(Full::Connections, 0), Some(1));
        assert_eq!(told(Full::Connections, 5_000), None);
        assert_eq!(told(Full::Pending, 5_000), Some(1), "another reason");
        assert_eq!(told(Full::Connections, 9_999), None);
        assert_eq!(told(Full::Connections, 10_000), Some(3));
    }
}
