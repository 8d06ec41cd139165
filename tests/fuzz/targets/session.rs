//! A connection from accept to close.
//!
//! Input: mood of the host, cuts, a count below 64 of actions and these, the client's bytes.
//!
//! Laws: those of `host`, and if the mood says so: the same bytes cut otherwise have the same
//! events, answers and error (I-03).

use super::host::{Host, Mood};
use super::taker::{Cuts, Taker};

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let mood = Mood(taker.u8());
    let mut cuts = Cuts::take(&mut taker);
    let count = usize::from(taker.u8() % 64);
    let actions = taker.bytes(count);
    let stream = taker.rest;

    let mut host = Host::new(mood);
    let mut rest = stream;
    let mut actions = actions.iter().cycle();
    while !rest.is_empty() && !host.is_over() {
        host.feed(cuts.piece(&mut rest));
        if let Some(action) = actions.next() {
            host.act(*action);
        }
    }
    host.silence();
    if mood.is_law() {
        let whole = heard(mood, std::iter::once(stream));
        let mut rest = stream;
        let pieces = std::iter::from_fn(|| (!rest.is_empty()).then(|| cuts.piece(&mut rest)));
        assert_eq!(heard(mood, pieces), whole);
    }
}

/// Events, error and answers, in one instant and with a peer that reads only at the end: how much
/// waits unread would depend on the cuts.
fn heard<'a>(mood: Mood, pieces: impl Iterator<Item = &'a [u8]>) -> ((usize, u64), Vec<u8>) {
    let mut host = Host::new(Mood(mood.0 & !7 | UNREAD));
    for piece in pieces {
        host.feed(piece);
    }
    (host.told.value(), std::mem::take(host.session.out()))
}

const UNREAD: u8 = 5;
