//! Tests of `Port`: order, shedding, accounting and the bell, with a mail of three numbers.

use std::time::Duration;

use mio::{Events, Poll, Token};
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::mesh::Mesh;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    Control {
        n: u64,
    },
    Snapshot {
        stream: u64,
    },
    Media {
        stream: u64,
        n: u64,
        bytes: usize,
        key: bool,
    },
}

impl Weigh for Note {
    fn media_bytes(&self) -> usize {
        match self {
            Self::Media { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    fn stream_key(&self) -> u64 {
        match self {
            Self::Control { .. } => 0,
            Self::Snapshot { stream } | Self::Media { stream, .. } => *stream,
        }
    }

    fn is_key(&self) -> bool {
        matches!(self, Self::Media { key: true, .. })
    }

    fn ends_lag(&self) -> bool {
        matches!(self, Self::Snapshot { .. })
    }
}

const A: WorkerId = WorkerId(0);
const B: WorkerId = WorkerId(1);

fn pair(letters: usize, media_bytes: usize) -> (Port<Note>, Port<Note>) {
    let mut ports = Mesh::build(
        1,
        Vec::new(),
        MeshLimits {
            letters_max: letters,
            bytes_max: media_bytes,
        },
    )
    .into_iter();
    (ports.next().unwrap(), ports.next().unwrap())
}

fn delta(n: u64) -> Note {
    Note::Media {
        stream: 1,
        n,
        bytes: 10,
        key: false,
    }
}

fn key(n: u64) -> Note {
    Note::Media {
        stream: 1,
        n,
        bytes: 10,
        key: true,
    }
}

fn control(n: u64) -> Note {
    Note::Control { n }
}

fn post_all(port: &mut Port<Note>, mail: &[Note]) {
    for note in mail {
        port.post(B, *note);
    }
    port.flush();
}

fn taken(port: &mut Port<Note>) -> Vec<Note> {
    std::iter::from_fn(|| port.take())
        .flat_map(|letter| letter.mail)
        .collect()
}

#[test]
fn a_turn_is_one_letter_in_the_order_it_was_posted() {
    let (mut a, mut b) = pair(8, 1_000);
    post_all(&mut a, &[control(1), key(2), control(3), delta(4)]);
    let letter = b.take().unwrap();
    assert_eq!(letter.from, A);
    assert_eq!(letter.mail, [control(1), key(2), control(3), delta(4)]);
    assert!(b.take().is_none());
    assert_eq!(
        a.tally(),
        Tally {
            letters: 1,
            mails: 4,
            ..Tally::default()
        }
    );
}

#[test]
fn a_turn_without_mail_sends_no_letter() {
    let (mut a, mut b) = pair(8, 1_000);
    a.flush();
    assert!(b.take().is_none());
}

#[test]
fn nothing_leaves_before_the_flush() {
    let (mut a, mut b) = pair(8, 1_000);
    a.post(B, control(1));
    assert!(a.is_backed_up());
    assert!(b.take().is_none());
}

#[test]
fn a_full_inbox_keeps_control_in_order_and_sheds_media() {
    let (mut a, mut b) = pair(1, 1_000);
    post_all(&mut a, &[control(1)]);
    post_all(&mut a, &[control(2), key(3), control(4)]);
    post_all(&mut a, &[delta(5), control(6)]);
    assert!(a.is_backed_up());
    assert_eq!(a.tally().shed, 2);
    assert_eq!(taken(&mut b), [control(1)]);
    a.flush();
    assert!(!a.is_backed_up());
    assert_eq!(taken(&mut b), [control(2), control(4), control(6)]);
}

#[test]
fn media_that_was_shed_is_missing_up_to_the_next_key() {
    let (mut a, mut b) = pair(1, 1_000);
    post_all(&mut a, &[key(1)]);
    post_all(&mut a, &[delta(2)]);
    assert_eq!(taken(&mut b), [key(1)]);
    post_all(&mut a, &[delta(3), control(4)]);
    assert_eq!(taken(&mut b), [control(4)]);
    post_all(&mut a, &[delta(5), key(6), delta(7)]);
    assert_eq!(taken(&mut b), [key(6), delta(7)]);
    assert_eq!(a.tally().shed, 3);
}

#[test]
fn a_stream_that_lags_does_not_hold_up_another() {
    let (mut a, mut b) = pair(1, 1_000);
    let other = Note::Media {
        stream: 2,
        n: 9,
        bytes: 10,
        key: false,
    };
    post_all(&mut a, &[control(1)]);
    post_all(&mut a, &[delta(2)]);
    taken(&mut b);
    post_all(&mut a, &[other, delta(3)]);
    assert_eq!(taken(&mut b), [other]);
}

#[test]
fn a_peer_that_lags_does_not_hold_up_another() {
    let limits = MeshLimits {
        letters_max: 1,
        bytes_max: 1_000,
    };
    let mut ports: Vec<Port<Note>> = Mesh::build(2, Vec::new(), limits);
    for n in 0..3 {
        ports[0].post(WorkerId(1), delta(n));
        ports[0].post(WorkerId(2), delta(n));
        ports[0].flush();
        assert_eq!(taken(&mut ports[2]), [delta(n)]);
    }
    assert_eq!(ports[0].tally().shed, 2);
}

#[test]
fn a_snapshot_ends_the_lag_of_its_stream() {
    let (mut a, mut b) = pair(1, 1_000);
    post_all(&mut a, &[control(1)]);
    post_all(&mut a, &[delta(2)]);
    taken(&mut b);
    post_all(&mut a, &[Note::Snapshot { stream: 1 }, delta(3)]);
    assert_eq!(taken(&mut b), [Note::Snapshot { stream: 1 }, delta(3)]);
}

#[test]
fn a_snapshot_that_waits_for_room_ends_the_lag_of_what_was_shed_before_it() {
    let (mut a, mut b) = pair(1, 1_000);
    post_all(&mut a, &[control(1)]);
    post_all(&mut a, &[delta(2), Note::Snapshot { stream: 1 }]);
    assert_eq!(taken(&mut b), [control(1)]);
    post_all(&mut a, &[delta(3)]);
    assert_eq!(taken(&mut b), [Note::Snapshot { stream: 1 }, delta(3)]);
}

#[test]
fn bytes_beyond_the_gauge_are_shed_and_control_passes_them() {
    let (mut a, mut b) = pair(8, 25);
    post_all(&mut a, &[key(1), delta(2), delta(3), control(4), delta(5)]);
    assert_eq!(b.media_in_flight(), 20);
    post_all(&mut a, &[key(6), control(7)]);
    assert_eq!(taken(&mut b), [key(1), delta(2), control(4), control(7)]);
    assert_eq!(b.media_in_flight(), 0);
    assert_eq!(a.tally().shed, 3);
    post_all(&mut a, &[delta(8), key(9)]);
    assert_eq!(taken(&mut b), [key(9)]);
}

#[test]
fn bytes_are_released_by_the_take_by_a_full_inbox_and_by_a_dropped_one() {
    let (mut a, mut b) = pair(1, 1_000);
    let gauge = Arc::clone(&a.peers[B.index()].gauge);
    post_all(&mut a, &[key(1), delta(2)]);
    post_all(&mut a, &[key(3)]);
    assert_eq!(gauge.bytes.load(Ordering::Relaxed), 20);
    let letter = b.take().unwrap();
    assert_eq!(gauge.bytes.load(Ordering::Relaxed), 0);
    drop(letter);
    post_all(&mut a, &[key(4)]);
    assert_eq!(gauge.bytes.load(Ordering::Relaxed), 10);
    drop(b);
    assert_eq!(gauge.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn mail_for_a_worker_that_has_ended_is_dropped_and_counted() {
    let (mut a, b) = pair(8, 1_000);
    drop(b);
    post_all(&mut a, &[control(1), key(2)]);
    post_all(&mut a, &[control(3)]);
    assert!(!a.is_backed_up());
    assert_eq!(
        a.tally(),
        Tally {
            undeliverable: 3,
            ..Tally::default()
        }
    );
}

#[test]
fn a_worker_may_write_to_itself_and_will_not_sleep_on_it() {
    let (mut a, _b) = pair(8, 1_000);
    a.post(A, control(1));
    a.flush();
    assert_eq!(a.park(), Park::Poll);
    assert_eq!(taken(&mut a), [control(1)]);
    assert_eq!(a.park(), Park::Sleep);
}

#[test]
fn the_boot_port_is_one_more_and_reaches_every_worker() {
    let mut ports: Vec<Port<Note>> = Mesh::build(3, Vec::new(), MeshLimits::of(&Config::default()));
    assert_eq!(ports.len(), 4);
    let mut boot = ports.pop().unwrap();
    assert_eq!(boot.me(), WorkerId(3));
    for worker in 0..3 {
        boot.post(WorkerId(worker), control(1));
    }
    boot.flush();
    for port in &mut ports {
        assert_eq!(port.take().unwrap().from, WorkerId(3));
    }
}

#[test]
fn a_lagging_set_never_outgrows_its_bound() {
    let mut lagging = HashSet::new();
    for stream in 0..20_000 {
        fall_behind(&mut lagging, stream);
        assert!(lagging.contains(&stream) && lagging.len() <= LAGGING_MAX);
    }
}

#[test]
fn a_sleeper_is_rung_through_its_poll_and_only_once() {
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(7)).unwrap();
    let mut ports = Mesh::build(1, vec![Some(waker)], MeshLimits::of(&Config::default()));
    let mut boot = ports.pop().unwrap();
    let mut worker = ports.pop().unwrap();
    assert_eq!(worker.park(), Park::Sleep);
    for n in 0..3 {
        boot.post(A, control(n));
        boot.flush();
    }
    assert_eq!(boot.tally().rings, 1);
    let mut events = Events::with_capacity(4);
    poll.poll(&mut events, Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(
        events.iter().map(|event| event.token()).collect::<Vec<_>>(),
        [Token(7)]
    );
    worker.unpark();
    assert_eq!(taken(&mut worker), [control(0), control(1), control(2)]);
}

#[test]
fn threads_that_sleep_whenever_they_can_get_every_letter() {
    const LETTERS: u64 = 20_000;
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let mut ports = Mesh::build(
        2,
        vec![Some(waker)],
        MeshLimits {
            letters_max: 64,
            bytes_max: 1,
        },
    );
    let mut receiver = ports.remove(0);
    let senders: Vec<_> = ports
        .into_iter()
        .map(|mut port| {
            std::thread::spawn(move || {
                for n in 0..LETTERS {
                    port.post(A, control(n));
                    port.flush();
                }
                while port.is_backed_up() {
                    port.flush();
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    let mut events = Events::with_capacity(4);
    let mut next = [0, 0, 0];
    while next.iter().sum::<u64>() < 2 * LETTERS {
        // Ten seconds are for ever here: a lost wake fails the test instead of hanging it.
        let sleep = match receiver.park() {
            Park::Sleep => Duration::from_secs(10),
            Park::Poll => Duration::ZERO,
        };
        poll.poll(&mut events, Some(sleep)).unwrap();
        receiver.unpark();
        assert!(
            sleep.is_zero() || !events.is_empty(),
            "a wake was lost after {next:?}"
        );
        while let Some(letter) = receiver.take() {
            for note in letter.mail {
                assert_eq!(note, control(next[letter.from.index()]));
                next[letter.from.index()] += 1;
            }
        }
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Post(Note),
    Flush,
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    let media =
        (1..4_u64, 1..30_usize, prop::bool::weighted(0.2)).prop_map(|(stream, bytes, key)| {
            Step::Post(Note::Media {
                stream,
                n: 0,
                bytes,
                key,
            })
        });
    prop_oneof![
        8 => media,
        2 => Just(Step::Post(control(0))),
        3 => Just(Step::Flush),
        2 => Just(Step::Take),
    ]
}

/// Gives every note its place in the order of posting.
fn numbered(note: Note, at: u64) -> Note {
    match note {
        Note::Media {
            stream, bytes, key, ..
        } => Note::Media {
            stream,
            n: at,
            bytes,
            key,
        },
        Note::Control { .. } => control(at),
        Note::Snapshot { .. } => note,
    }
}

proptest! {
    /// Control: all of it, in order. Media: in order with control, gaps end with a key. Gauge:
    /// never above its limit, and 0 at the end. Posted = taken + shed.
    #[test]
    fn whatever_is_full_order_holds_and_gaps_end_at_keys(
        steps in prop::collection::vec(step(), 1..300),
        letters in 1..4_usize,
        media_bytes in 30..120_usize,
    ) {
        let (mut a, mut b) = pair(letters, media_bytes);
        let (mut posted, mut received) = (Vec::new(), Vec::new());
        for (at, step) in (0_u64..).zip(steps) {
            match step {
                Step::Post(note) => {
                    posted.push(numbered(note, at));
                    a.post(B, numbered(note, at));
                }
                Step::Flush => a.flush(),
                Step::Take => received.extend(b.take().into_iter().flat_map(|l| l.mail)),
            }
            prop_assert!(b.media_in_flight() <= media_bytes);
        }
        while a.is_backed_up() {
            received.extend(taken(&mut b));
            a.flush();
        }
        received.extend(taken(&mut b));
        prop_assert_eq!(b.media_in_flight(), 0);
        prop_assert_eq!(posted.len() as u64, received.len() as u64 + a.tally().shed);

        let mut rest = received.iter().peekable();
        let mut gap = HashSet::new();
        for note in &posted {
            if rest.next_if_eq(&note).is_none() {
                prop_assert!(note.media_bytes() > 0, "lost {:?}", note);
                gap.insert(note.stream_key());
            } else if note.media_bytes() > 0 {
                let resumed = !gap.remove(&note.stream_key()) || note.is_key();
                prop_assert!(resumed, "{:?} follows a gap and is no key", note);
            }
        }
        prop_assert_eq!(rest.next(), None, "out of order");
    }
}
