//! Boot: binds, builds the mesh, starts and pins the workers, drains and joins them.
//!
//! `machine` says what the host offers, `bind` makes the listeners, `banner` tells the user what
//! to type, `signals` runs it all until SIGTERM, `watchdog` ends it when a worker is stuck. This
//! file is the running server itself.
//! Invariant: a worker ends only after `drain` or `cut`; one that ends or panics otherwise aborts
//! the process, because half a server is worse than a restart (DESIGN §8, Shutdown).

pub mod banner;
pub mod bind;
pub mod machine;
mod signals;
mod watchdog;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::abort;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use crate::config::Config;
use crate::ids::WorkerId;
use crate::limits::{Approx, MeshLimits, WORKER_STACK_BYTES, worst_case};
use crate::live::{Directory, Mail, Policy};
use crate::mesh::{Mesh, Port};
use crate::time::Millis;
use crate::worker::{BELL, Door, Report, Worker, WorkerSeed};
use bind::{BindError, Bound, bind};
use machine::{Machine, Unfit};
pub use signals::run;
use watchdog::Patient;

/// A running server: its workers and the door to them.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    addresses: Vec<SocketAddr>,
    pins: Vec<Option<usize>>,
    workers: Vec<JoinHandle<Option<Report>>>,
    /// Boot's own place in the mesh: the only way to tell a worker anything.
    port: Port<Mail>,
    started: Instant,
    stopping: Arc<AtomicBool>,
    /// Ends the watchdog when it is dropped.
    _watchdog: mpsc::Sender<()>,
}

impl Server {
    /// Starts every worker; on return all of them accept connections.
    ///
    /// # Errors
    /// The first thing that does not work, in one line that names the flag.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let machine = Machine::survey().map_err(StartError::Machine)?;
        for warning in machine.check(&config)? {
            log::warn!("{warning}");
        }
        let bound = bind(&config.rtmp, config.workers)?;
        let pins = machine.pins(&config);
        log_start(&config, &bound, &machine);
        let polls = polls(config.workers).map_err(StartError::Poll)?;
        let server = Self::assemble(Arc::new(config), bound, pins, polls)?;
        Ok(server)
    }

    fn assemble(
        config: Arc<Config>,
        bound: Bound,
        pins: Vec<Option<usize>>,
        (polls, wakers): (Vec<mio::Poll>, Vec<Option<mio::Waker>>),
    ) -> Result<Self, StartError> {
        // One port more than workers: the last is boot's.
        let mut ports = Mesh::build(polls.len(), wakers, MeshLimits::of(&config));
        let Some(boot_port) = ports.pop() else {
            return Err(StartError::Poll(io::ErrorKind::InvalidInput.into()));
        };
        let directory = Arc::new(Directory::new(Policy {
            on_duplicate: config.on_duplicate,
            takeover_ms: config.takeover_ms,
            streams_max: config.max_streams,
        }));
        let door = Arc::new(Door::new(&config));
        let (watchdog, stop) = mpsc::channel();
        let mut patients = Vec::new();
        let mut server = Self {
            config,
            addresses: bound.addresses,
            pins,
            workers: Vec::new(),
            port: boot_port,
            started: Instant::now(),
            stopping: Arc::default(),
            _watchdog: watchdog,
        };
        let (ready, readies) = mpsc::channel();
        let places = polls.into_iter().zip(ports).zip(bound.workers);
        for (id, ((poll, port), listeners)) in (0..).map(WorkerId).zip(places) {
            let patient = Patient {
                id,
                pulse: Arc::default(),
                task: Arc::default(),
            };
            let seed = WorkerSeed {
                id,
                config: Arc::clone(&server.config),
                listeners,
                port,
                poll,
                directory: Arc::clone(&directory),
                door: Arc::clone(&door),
                pulse: Arc::clone(&patient.pulse),
                started: server.started,
                seed: random().map_err(StartError::Random)?,
            };
            let core = server.pins.get(id.index()).copied().flatten();
            let life = Life {
                core,
                task: Arc::clone(&patient.task),
                ready: ready.clone(),
                stopping: Arc::clone(&server.stopping),
            };
            patients.push(patient);
            server.workers.push(spawn(seed, life)?);
        }
        drop(ready);
        for outcome in readies {
            if let Err(error) = outcome {
                server.cut();
                return Err(error);
            }
        }
        watchdog::start(patients, stop).map_err(StartError::Watchdog)?;
        Ok(server)
    }

    /// The settings in effect.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it listens, with the real port for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The core of each worker.
    #[must_use]
    pub fn pins(&self) -> &[Option<usize>] {
        &self.pins
    }

    /// Asks every worker to finish within `limit`: no new connections, players told and flushed.
    pub fn drain(&mut self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let deadline = Millis(now_ms) + limit_ms;
        self.tell_all(|| Mail::Drain { deadline });
    }

    /// Asks every worker to stop now.
    pub fn cut(&mut self) {
        self.tell_all(|| Mail::Cut);
    }

    /// Sends what an inbox had no room for. Call it until `is_finished`.
    pub fn post(&mut self) {
        self.port.flush();
    }

    /// Whether every worker has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for every worker and hands out what each reports. Without `drain` or `cut` before,
    /// it never returns.
    #[must_use]
    pub fn join(mut self) -> Vec<Report> {
        while !self.is_finished() {
            self.post();
            thread::sleep(Duration::from_millis(2));
        }
        let ended = self.workers.into_iter().map(JoinHandle::join);
        ended.filter_map(|end| end.ok().flatten()).collect()
    }

    fn tell_all(&mut self, mail: impl Fn() -> Mail) {
        self.stopping.store(true, Ordering::Release);
        for id in (0..).map(WorkerId).take(self.workers.len()) {
            self.port.post(id, mail());
        }
        self.port.flush();
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not fit the machine.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system did not tell its limits.
    #[error("limits of this machine: {0}")]
    Machine(io::Error),
    /// An event queue or its bell could not be made.
    #[error("--workers: event queue: {0}")]
    Poll(io::Error),
    /// The system has no random numbers.
    #[error("random numbers: {0}")]
    Random(ring::error::Unspecified),
    /// A thread could not be started.
    #[error("--workers: thread of worker {}: {reason}", .id.0)]
    Thread {
        /// The worker.
        id: WorkerId,
        /// What the system said.
        reason: io::Error,
    },
    /// The watchdog's thread could not be started.
    #[error("thread of the watchdog: {0}")]
    Watchdog(io::Error),
    /// A worker could not register its listeners.
    #[error("--rtmp: worker {}: {reason}", .id.0)]
    Worker {
        /// The worker.
        id: WorkerId,
        /// What the system said.
        reason: io::Error,
    },
}

/// What a worker's thread needs besides its seed.
struct Life {
    core: Option<usize>,
    /// Where the watchdog finds what the kernel knows of the thread.
    task: Arc<OnceLock<PathBuf>>,
    ready: mpsc::Sender<Result<(), StartError>>,
    stopping: Arc<AtomicBool>,
}

fn spawn(seed: WorkerSeed, life: Life) -> Result<JoinHandle<Option<Report>>, StartError> {
    let id = seed.id;
    thread::Builder::new()
        .name(format!("worker-{}", id.0))
        .stack_size(WORKER_STACK_BYTES)
        .spawn(move || live(seed, life))
        .map_err(|reason| StartError::Thread { id, reason })
}

/// A worker's whole life, on its own thread.
fn live(seed: WorkerSeed, life: Life) -> Option<Report> {
    let id = seed.id;
    if let Ok(task) = fs::read_link("/proc/thread-self") {
        let _ = life.task.set(task);
    }
    // Pinned from inside: a pinned parent would hand its mask down (DESIGN §13, trap 1).
    if let Some(core) = life.core
        && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
    {
        log::warn!("--pin: worker {} could not be pinned to core {core}", id.0);
    }
    let worker = match Worker::new(seed) {
        Ok(worker) => worker,
        Err(reason) => {
            let _ = life.ready.send(Err(StartError::Worker { id, reason }));
            return None;
        }
    };
    let _ = life.ready.send(Ok(()));
    drop(life.ready);
    // The panic hook has written the backtrace by the time this returns.
    let Ok(report) = catch_unwind(AssertUnwindSafe(|| worker.run())) else {
        log::error!("worker {} panicked; stopping the process", id.0);
        abort();
    };
    if !life.stopping.load(Ordering::Acquire) {
        log::error!(
            "worker {} ended without being asked; stopping the process",
            id.0
        );
        abort();
    }
    Some(report)
}

fn log_start(config: &Config, bound: &Bound, machine: &Machine) {
    for address in &bound.addresses {
        log::info!(
            "listening on {address} for rtmp, {} workers, {} connections at most",
            config.workers,
            config.max_connections
        );
    }
    let worst = worst_case(config);
    log::info!(
        "open files {}; memory {} if every limit were reached at once, {} of it kernel buffers \
         (--check lists them, --memory caps them)",
        machine.open_files,
        Approx(worst.total()),
        Approx(worst.total() - worst.process()),
    );
}

/// An event queue and its bell for each worker.
fn polls(count: usize) -> io::Result<(Vec<mio::Poll>, Vec<Option<mio::Waker>>)> {
    let mut polls = Vec::with_capacity(count);
    let mut wakers = Vec::with_capacity(count);
    for _ in 0..count {
        let poll = mio::Poll::new()?;
        wakers.push(Some(mio::Waker::new(poll.registry(), BELL)?));
        polls.push(poll);
    }
    Ok((polls, wakers))
}

fn random() -> Result<[u8; 32], ring::error::Unspecified> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed)?;
    Ok(seed)
}
