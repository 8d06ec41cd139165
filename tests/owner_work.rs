//! What a message costs its owner depends on the workers that watch, and on nothing else of them:
//! not on their players, not on the workers that do not watch.
//!
//! Counted, not timed: letters, mails, bells and references of the server's own streams and ports.
//! `cargo bench --bench scale` puts a price on each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

#[path = "owner_work/rig.rs"]
mod rig;

use rig::{Owned, PAYLOAD_BYTES, Received, Rig};

const WORKERS: usize = 8;

/// Owner on worker 0; `players` on each of the workers named.
fn rig(workers: usize, watching: &[usize], players: usize) -> Rig {
    let mut rig = Rig::new(workers);
    for worker in watching {
        rig.watch(*worker, players);
    }
    rig
}

/// What a message costs the owner when it is the only one of its turn and everybody sleeps.
fn alone(rig: &mut Rig) -> Owned {
    let first = rig.turn(1, true);
    for _ in 0..20 {
        assert_eq!(rig.turn(1, true), first, "each message costs the same");
    }
    first
}

fn expected(watching: u64) -> Owned {
    let references = usize::try_from(watching).unwrap() + 1;
    Owned {
        mails: watching,
        letters: watching,
        rings: watching,
        answers: 0,
        players: 0,
        references: [references; 2],
    }
}

#[test]
fn the_owners_work_does_not_grow_with_the_players_of_other_workers() {
    for players in [1, 100, 10_000] {
        let mut rig = rig(WORKERS, &[1, 2, 3], players);
        assert_eq!(alone(&mut rig), expected(3), "{players} on each of three");
    }
}

#[test]
fn the_owners_work_does_not_grow_with_workers_that_do_not_watch() {
    for workers in [4, 8, 64] {
        let mut rig = rig(workers, &[1, 2, 3], 2);
        assert_eq!(alone(&mut rig), expected(3), "{workers} workers");
        let idle = rig.nodes[4..].iter().map(|node| node.count);
        assert!(idle.clone().all(|count| count == Received::default()));
    }
}

#[test]
fn it_grows_by_one_mail_letter_bell_and_reference_with_each_worker_that_watches() {
    for watching in [0, 1, 7, 31, 63] {
        let workers: Vec<usize> = (1..=watching).collect();
        let mut rig = rig(64, &workers, 1);
        let count = u64::try_from(watching).unwrap();
        assert_eq!(alone(&mut rig), expected(count));
    }
}

#[test]
fn a_turn_is_one_letter_and_one_bell_for_each_worker_however_many_messages_it_has() {
    let mut rig = rig(WORKERS, &[1, 2, 3], 5);
    for messages in [1, 2, 16, 100] {
        let owned = rig.turn(messages, true);
        let mails = 3 * u64::try_from(messages).unwrap();
        assert_eq!(
            owned,
            Owned {
                mails,
                ..expected(3)
            },
            "{messages} messages"
        );
    }
}

#[test]
fn no_bell_is_rung_for_a_worker_that_is_awake() {
    let mut rig = rig(WORKERS, &[1, 2, 3], 5);
    let awake = Owned {
        rings: 0,
        ..expected(3)
    };
    assert_eq!(rig.turn(1, false), awake);
}

#[test]
fn the_owner_hears_of_the_first_player_of_a_worker_and_of_no_other() {
    for players in [1, 100, 10_000] {
        let mut rig = rig(WORKERS, &[1, 2, 3], players);
        let heard = rig.nodes[0].count;
        assert_eq!((heard.letters, heard.mails), (3, 3), "{players} players");
        assert_eq!(rig.turn(1, true).answers, 0);
    }
}

#[test]
fn players_of_the_owners_own_worker_cost_it_no_mail_and_no_reference() {
    let mut rig = rig(WORKERS, &[0, 1], 50);
    let own = Owned {
        players: 50,
        ..expected(1)
    };
    assert_eq!(alone(&mut rig), own);
}

#[test]
fn all_of_them_are_served_every_message_in_full() {
    let mut rig = rig(WORKERS, &[0, 1, 2], 100);
    rig.turn(1, true);
    let before: Vec<Received> = rig.nodes.iter().map(|node| node.count).collect();
    for _ in 0..10 {
        rig.turn(1, true);
    }
    rig.turn(90, true);
    for (node, before) in rig.nodes.iter().zip(before).take(3) {
        // A message fits a chunk: 12 bytes of head.
        let message = u64::try_from(PAYLOAD_BYTES + 12).unwrap();
        assert_eq!(node.count.flushes - before.flushes, 11 * 100);
        assert_eq!(node.count.bytes - before.bytes, 100 * 100 * message);
    }
}
