//! Loom model of `mesh::parking`: every interleaving, and every stale read the memory model allows.
//!
//! The invariant under test: a receiver never sleeps on for ever while a letter lies in its inbox.
//! The code is the library's own; only the flag under it, the inbox and the bell are loom's. Each
//! way to break the protocol has a test that expects the model to find the lost wake, so the model
//! is known to be able to. DESIGN §5.7, RELIABILITY B2.

use std::sync::Arc;

use corecast::mesh::parking::{Flag, Park, Parking};
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::thread;

#[test]
fn no_wake_is_lost_with_one_sender() {
    check(World::<Whole>::run, 1, 2);
}

#[test]
fn a_sleep_that_two_senders_meet_always_ends() {
    check(World::<Whole>::sleep_once, 2, 1);
}

/// Many sleeps by two senders are too much for an exhaustive search (more than five minutes), so
/// this one allows three preemptions a run. Six were tried once: 72 s, no wake lost.
#[test]
fn no_wake_is_lost_with_two_senders_and_many_sleeps() {
    check_within(Some(3), World::<Whole>::run, 2, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_any_fence_the_model_loses_a_wake() {
    check(World::<Broken<false, false>>::run, 1, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_receivers_fence_the_model_loses_a_wake() {
    check(World::<Broken<false, true>>::run, 1, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_senders_fence_the_model_loses_a_wake() {
    check(World::<Broken<true, false>>::run, 1, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_flag_raised_after_the_look_loses_a_wake() {
    check(World::<Whole>::run_with_the_flag_raised_late, 1, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn two_senders_without_fences_lose_a_wake() {
    check(World::<Broken<false, false>>::sleep_once, 2, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn two_senders_and_many_sleeps_without_fences_lose_a_wake() {
    check_within(Some(3), World::<Broken<false, false>>::run, 2, 1);
}

/// Searches everything.
fn check(scenario: fn(usize, usize), senders: usize, letters: usize) {
    check_within(None, scenario, senders, letters);
}

fn check_within(
    preemptions: Option<usize>,
    scenario: fn(usize, usize),
    senders: usize,
    letters: usize,
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || scenario(senders, letters));
}

/// One inbox, its bell and its parking place.
struct World<F> {
    parking: Parking<F>,
    /// Letters ever sent. Release and acquire on one counter is the least a channel gives; the
    /// real one gives more, so what holds here holds there.
    sent: AtomicUsize,
    /// The poll: remembers a ring that came before the sleep, as an eventfd does.
    bell: Notify,
}

impl<F: Flag + Default + Send + Sync + 'static> World<F> {
    /// The receiver sleeps and wakes until it has seen every letter.
    fn run(senders: usize, letters: usize) {
        let world = Self::with_senders(senders, letters);
        world.receive(senders * letters, |seen| {
            world
                .parking
                .park(|| world.sent.load(Ordering::Acquire) == seen)
        });
    }

    /// The same with the two steps of `park` the wrong way round.
    fn run_with_the_flag_raised_late(senders: usize, letters: usize) {
        let world = Self::with_senders(senders, letters);
        world.receive(senders * letters, |seen| {
            let empty = world.sent.load(Ordering::Acquire) == seen;
            world.parking.park(|| empty)
        });
    }

    /// The receiver goes to sleep once, with an inbox that it left empty: something must end that.
    fn sleep_once(senders: usize, letters: usize) {
        let world = Self::with_senders(senders, letters);
        if world
            .parking
            .park(|| world.sent.load(Ordering::Acquire) == 0)
            == Park::Sleep
        {
            world.bell.wait();
        }
    }

    /// Starts the senders. The `Arc` is std's: loom's cannot be dropped while the panic of a
    /// deadlock unwinds.
    fn with_senders(senders: usize, letters: usize) -> Arc<Self> {
        let world = Arc::new(Self {
            parking: Parking::new(F::default()),
            sent: AtomicUsize::new(0),
            bell: Notify::new(),
        });
        for _ in 0..senders {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                for _ in 0..letters {
                    world.sent.fetch_add(1, Ordering::Release);
                    if world.parking.claim_wake() {
                        world.bell.notify();
                    }
                }
            });
        }
        world
    }

    fn receive(&self, all: usize, park: impl Fn(usize) -> Park) {
        let mut seen = self.sent.load(Ordering::Acquire);
        while seen < all {
            if park(seen) == Park::Sleep {
                self.bell.wait();
            }
            self.parking.unpark();
            seen = self.sent.load(Ordering::Acquire);
        }
    }
}

/// The protocol's flag as it must be.
struct Whole(AtomicBool);

impl Default for Whole {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Flag for Whole {
    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn swap(&self, raised: bool) -> bool {
        self.0.swap(raised, Ordering::Relaxed)
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

/// A flag whose fence is left out on one side or both. The sides are told apart by thread: the
/// receiver is the one that made the world.
struct Broken<const RECEIVER_FENCES: bool, const SENDER_FENCES: bool> {
    flag: Whole,
    receiver: thread::ThreadId,
}

impl<const R: bool, const S: bool> Default for Broken<R, S> {
    fn default() -> Self {
        Self {
            flag: Whole::default(),
            receiver: thread::current().id(),
        }
    }
}

impl<const R: bool, const S: bool> Flag for Broken<R, S> {
    fn is_raised(&self) -> bool {
        self.flag.is_raised()
    }

    fn swap(&self, raised: bool) -> bool {
        self.flag.swap(raised)
    }

    fn fence(&self) {
        let fences = if thread::current().id() == self.receiver {
            R
        } else {
            S
        };
        if fences {
            self.flag.fence();
        }
    }
}
