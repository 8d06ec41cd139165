//! What each operation costs that the model counts, measured on two cores.
//!
//! Medians, in nanoseconds, less what reading the clock costs. Streams, ports and cursors are the
//! server's own, in their steady state: the logs are full, each frame that comes evicts one.

use std::fs;
use std::hint::{black_box, spin_loop};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use corecast::mesh::Park;
use mio::{Events, Poll, Token, Waker};

use super::rig::{PAYLOAD_BYTES, Rig};

/// Prices, in ns.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A message at its owner: copied, classified, made a frame, logged.
    pub make: f64,
    /// One mail: a reference more, and its place in the letter.
    pub mail: f64,
    /// One letter to a worker that is awake on another core.
    pub letter: f64,
    /// What the bell adds to it, for the sender.
    pub ring: f64,
    /// From the bell to the letter in hand.
    pub wake_delay: f64,
    /// A letter of one frame at a receiver that is awake: taken, logged.
    pub take: f64,
    /// The same at a receiver that slept: its whole CPU time for it. `None`: the system does not
    /// tell.
    pub wake: Option<f64>,
    /// A reference up and down again, by one core alone.
    pub count: f64,
    /// The same while another core does it too.
    pub count_shared: f64,
    /// A cache line from one core to the other: half a round trip.
    pub crossing: f64,
    /// One frame for one player, without its socket: prepare, gather, advance.
    pub cursor: f64,
    /// One frame into one loopback socket that is read on another core.
    pub send: f64,
}

impl Costs {
    /// Measures them all.
    pub fn measure(cores: [CoreId; 2]) -> Self {
        core_affinity::set_for_current(cores[0]);
        let clock = middle((0..ROUNDS).map(|_| timed(|| ())).collect());
        let (make, mail) = posting(clock);
        let (letter, take) = letters(cores[1], clock);
        let bells = bells(cores[1], clock);
        Self {
            make,
            mail,
            letter,
            ring: bells.rung - letter,
            wake_delay: bells.delay,
            take,
            wake: bells.receiver,
            count: counting(),
            count_shared: beside(cores[1], counting),
            crossing: crossing(cores[1]),
            cursor: cursors(),
            send: sends(cores[1]),
        }
    }
}

/// A message at its owner, and one more mail of it.
fn posting(clock: f64) -> (f64, f64) {
    const OTHERS: u8 = 63;
    let mut lone = Rig::new(1);
    let make = rounds(|| timed(|| lone.append())) - clock;
    let mut rig = Rig::new(usize::from(OTHERS) + 1);
    for worker in 1..=usize::from(OTHERS) {
        rig.watch(worker, 1);
    }
    let all = rounds(|| {
        let spent = timed(|| rig.append());
        rig.nodes[0].port.flush();
        let now = rig.now();
        for node in &mut rig.nodes[1..] {
            node.take(now);
        }
        spent
    });
    (make, (all - clock - make) / f64::from(OTHERS))
}

/// A letter to a worker that is awake on another core, for its sender and for its receiver.
fn letters(core: CoreId, clock: f64) -> (f64, f64) {
    let mut rig = Rig::new(2);
    rig.watch(1, 1);
    let (mut node, mut now) = (rig.nodes.pop().unwrap(), rig.now());
    let (taken, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            core_affinity::set_for_current(core);
            let (mut spent, mut seen) = (Vec::new(), node.count.letters);
            while !done.load(Ordering::Relaxed) {
                let took = timed(|| node.take(now));
                if node.count.letters > seen {
                    spent.push(took);
                    seen = node.count.letters;
                    now = now + Rig::MESSAGE_MS;
                    taken.fetch_add(1, Ordering::Release);
                }
            }
            spent
        });
        let mut sent = 0;
        let letter = rounds(|| {
            rig.append();
            let spent = timed(|| rig.nodes[0].port.flush());
            sent += 1;
            wait(&taken, sent);
            spent
        });
        done.store(true, Ordering::Relaxed);
        (letter - clock, middle(receiver.join().unwrap()) - clock)
    })
}

/// What a sleeper costs.
struct Bells {
    rung: f64,
    delay: f64,
    receiver: Option<f64>,
}

/// A letter to a worker that sleeps in its poll on another core.
fn bells(core: CoreId, clock: f64) -> Bells {
    const SLEEPS: u64 = 4_000;
    let mut poll = Poll::new().unwrap();
    let bell = Waker::new(poll.registry(), Token(0)).unwrap();
    let mut rig = Rig::with_bells(2, vec![None, Some(bell)]);
    rig.watch(1, 1);
    let (mut node, mut now) = (rig.nodes.pop().unwrap(), rig.now());
    let (taken, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (start, mut rung, mut sent_at) = (Instant::now(), Vec::new(), Vec::new());
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            core_affinity::set_for_current(core);
            let (mut events, mut taken_at) = (Events::with_capacity(4), Vec::new());
            let (mut seen, before) = (node.count.letters, cpu_ns());
            while !done.load(Ordering::Relaxed) {
                let sleep = match node.port.park() {
                    Park::Sleep => Duration::from_secs(1),
                    Park::Poll => Duration::ZERO,
                };
                poll.poll(&mut events, Some(sleep)).unwrap();
                node.port.unpark();
                node.take(now);
                if node.count.letters > seen {
                    taken_at.push(nanos(start.elapsed()));
                    seen = node.count.letters;
                    now = now + Rig::MESSAGE_MS;
                    taken.fetch_add(1, Ordering::Release);
                }
            }
            (taken_at, cpu_ns().zip(before).map(|(now, then)| now - then))
        });
        for sent in 1..=SLEEPS {
            rig.append();
            // Time enough to fall asleep in; this core stays awake meanwhile, as an owner does.
            let asleep = Instant::now() + Duration::from_micros(100);
            while Instant::now() < asleep {
                spin_loop();
            }
            sent_at.push(nanos(start.elapsed()));
            rung.push(timed(|| rig.nodes[0].port.flush()));
            wait(&taken, sent);
        }
        assert!(
            rig.nodes[0].port.tally().rings * 10 > SLEEPS * 9,
            "it does not sleep"
        );
        done.store(true, Ordering::Relaxed);
        let (taken_at, cpu) = receiver.join().unwrap();
        let delays = taken_at
            .iter()
            .zip(&sent_at)
            .map(|(took, sent)| took - sent);
        Bells {
            rung: middle(rung) - clock,
            delay: middle(delays.collect()),
            receiver: cpu.map(|cpu| cpu / f64::from(u16::try_from(SLEEPS).unwrap())),
        }
    })
}

/// A reference up and down.
fn counting() -> f64 {
    static SHARED: std::sync::LazyLock<Arc<u64>> = std::sync::LazyLock::new(|| Arc::new(7));
    batches(1_000, || drop(black_box(Arc::clone(&SHARED))))
}

/// Measures while another core does the same.
fn beside(core: CoreId, measure: impl Fn() -> f64 + Sync) -> f64 {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            core_affinity::set_for_current(core);
            while !done.load(Ordering::Relaxed) {
                measure();
            }
        });
        thread::sleep(Duration::from_millis(10));
        let found = measure();
        done.store(true, Ordering::Relaxed);
        found
    })
}

/// Two cores hand a number back and forth.
fn crossing(core: CoreId) -> f64 {
    const HANDS: u64 = 2_000;
    const RALLIES: u64 = 200;
    let ball = AtomicU64::new(0);
    // Each raises the number when it has the parity the other left it at.
    let play = |mine: u64, until: u64| {
        for at in (mine..until).step_by(2) {
            while ball.load(Ordering::Acquire) != at {
                spin_loop();
            }
            ball.store(at + 1, Ordering::Release);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            core_affinity::set_for_current(core);
            play(1, RALLIES * HANDS);
        });
        let round = |n| timed(|| play(n * HANDS, (n + 1) * HANDS));
        let spent = (0..RALLIES).map(round).collect();
        middle(spent) / f64::from(u16::try_from(HANDS).unwrap())
    })
}

/// A frame for each of many players.
fn cursors() -> f64 {
    const PLAYERS: u16 = 10_000;
    let mut rig = Rig::new(1);
    rig.watch(0, usize::from(PLAYERS));
    let turns = (0..100).map(|_| {
        rig.append();
        timed(|| rig.serve(0)) / f64::from(PLAYERS)
    });
    middle(turns.collect())
}

/// A frame into each of many sockets, while another core reads them.
fn sends(core: CoreId) -> f64 {
    const SOCKETS: u16 = 100;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let pair = |_| {
        let far = TcpStream::connect(address).unwrap();
        let near = listener.accept().unwrap().0;
        near.set_nodelay(true).unwrap();
        far.set_nonblocking(true).unwrap();
        (near, far)
    };
    let (mut near, mut far): (Vec<_>, Vec<_>) = (0..SOCKETS).map(pair).unzip();
    let done = AtomicBool::new(false);
    let frame = [7; PAYLOAD_BYTES + 12];
    thread::scope(|scope| {
        scope.spawn(|| {
            core_affinity::set_for_current(core);
            let mut scratch = vec![0; 64 << 10];
            while !done.load(Ordering::Relaxed) {
                for socket in &mut far {
                    match socket.read(&mut scratch) {
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                        Ok(taken) => assert_ne!(taken, 0, "closed"),
                    }
                }
            }
        });
        let rounds = (0..300).map(|_| {
            let all = || near.iter_mut().for_each(|s| s.write_all(&frame).unwrap());
            let spent = timed(all) / f64::from(SOCKETS);
            thread::sleep(Duration::from_millis(1));
            spent
        });
        let send = middle(rounds.collect());
        done.store(true, Ordering::Relaxed);
        send
    })
}

/// Waits for a receiver to have taken so many.
fn wait(taken: &AtomicU64, sent: u64) {
    while taken.load(Ordering::Acquire) < sent {
        spin_loop();
    }
}

/// The median of many rounds, the first of which fill the logs.
fn rounds(mut round: impl FnMut() -> f64) -> f64 {
    let spent: Vec<f64> = (0..ROUNDS + WARM_UP).map(|_| round()).collect();
    middle(spent[WARM_UP..].to_vec())
}

/// The median of batches, for what is shorter than a look at the clock.
fn batches(count: u32, mut work: impl FnMut()) -> f64 {
    let batch = |_| timed(|| (0..count).for_each(|_| work())) / f64::from(count);
    middle((0..10_000).map(batch).collect())
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    nanos(start.elapsed())
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of the calling thread, in ns.
fn cpu_ns() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

const ROUNDS: usize = 4_000;

/// A log holds ten seconds, and the newest group of pictures.
const WARM_UP: usize = 1_000;
