//! What the machine offers (cores, open files) and whether the settings fit it.
//!
//! Invariant: the cores are read once, before any thread is pinned; a pinned thread would see
//! only its own (DESIGN §13, trap 1).

use std::fmt;
use std::io;

use crate::config::{Config, Pin, cores_here};
use crate::limits::{Approx, worst_case};

/// Cores and open files of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Core ids the process may run on, rising. Empty where the system does not tell.
    pub cores: Vec<usize>,
    /// Cores' worth of time: fewer than `cores` under a container's quota.
    pub parallelism: usize,
    /// Descriptors the process may have open, after the soft limit was raised to the hard one.
    pub open_files: u64,
}

impl Machine {
    /// Raises the limit of open files as far as it goes and looks around.
    ///
    /// # Errors
    /// The system did not tell or raise its limits.
    pub fn survey() -> io::Result<Self> {
        let open_files = rlimit::increase_nofile_limit(u64::MAX)?;
        let ids = core_affinity::get_core_ids().unwrap_or_default();
        Ok(Self {
            cores: ids.into_iter().map(|core| core.id).collect(),
            parallelism: cores_here(),
            open_files,
        })
    }

    /// What `--max-connections auto` means here: the limit less a reserve, at most 65,536. Never
    /// less than 16, so that a hopeless limit is refused by `check` with its reason.
    #[must_use]
    pub fn connections_auto(&self) -> usize {
        let left = self.open_files.saturating_sub(RESERVE);
        usize::try_from(left).map_or(CONNECTIONS_AUTO_MAX, |n| n.clamp(16, CONNECTIONS_AUTO_MAX))
    }

    /// Whether the settings can work here, and what the operator should know if they do.
    ///
    /// # Errors
    /// The first setting that this machine cannot fulfil.
    pub fn check(&self, config: &Config) -> Result<Vec<Warning>, Unfit> {
        let needed = descriptors(config);
        if needed > self.open_files {
            return Err(Unfit::OpenFiles {
                allowed: self.open_files,
                needed,
                connections: config.max_connections,
            });
        }
        if let Pin::List(listed) = &config.pin
            && let Some(&core) = listed.iter().find(|core| !self.cores.contains(core))
        {
            return Err(Unfit::Core {
                core,
                cores: Spans(self.cores.clone()),
            });
        }
        let worst = worst_case(config).total();
        if config.memory != 0 && worst > config.memory {
            return Err(Unfit::Memory {
                worst,
                allowed: config.memory,
            });
        }
        Ok(self.warnings(config))
    }

    fn warnings(&self, config: &Config) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if config.workers > self.parallelism {
            warnings.push(Warning::Crowded {
                workers: config.workers,
                cores: self.parallelism,
            });
        }
        if config.max_connections < CONNECTIONS_FEW && self.open_files < CONNECTIONS_FEW_FILES {
            warnings.push(Warning::FewFiles {
                allowed: self.open_files,
                connections: config.max_connections,
            });
        }
        warnings
    }

    /// The core of each worker, `None` where the kernel decides.
    #[must_use]
    pub fn pins(&self, config: &Config) -> Vec<Option<usize>> {
        // Under a quota every container would choose the same first cores of the host.
        let whole = self.parallelism >= self.cores.len() && config.workers <= self.cores.len();
        let cores: &[usize] = match &config.pin {
            Pin::Auto if whole => &self.cores,
            Pin::Auto | Pin::None => &[],
            Pin::List(cores) => cores,
        };
        (0..config.workers)
            .map(|worker| cores.get(worker).copied())
            .collect()
    }
}

/// A setting this machine cannot fulfil.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not enough descriptors.
    #[error(
        "--max-connections: {connections} connections need {needed} open files, but only {allowed} \
         are allowed; raise the limit (ulimit -n, LimitNOFILE=) or lower --max-connections"
    )]
    OpenFiles {
        /// The hard limit.
        allowed: u64,
        /// Connections, listeners, event queues and a reserve.
        needed: u64,
        /// The connections among them.
        connections: usize,
    },
    /// A core that is not there.
    #[error("--pin: core {core} is not available; this process may run on {cores}")]
    Core {
        /// The core asked for.
        core: usize,
        /// Those that exist.
        cores: Spans,
    },
    /// The worst case does not fit.
    #[error(
        "--memory: the worst case needs {}, {} are allowed; --check shows what adds up to it",
        Approx(*.worst), Approx(*.allowed)
    )]
    Memory {
        /// The sum for the given settings, in bytes.
        worst: u64,
        /// What `--memory` allows, in bytes.
        allowed: u64,
    },
}

/// Something that works but that the operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// More workers than cores.
    #[error(
        "--workers: {workers} workers share {cores} core(s) and will wait for each other; \
         --workers {cores} is one each"
    )]
    Crowded {
        /// Workers asked for.
        workers: usize,
        /// Cores' worth of time.
        cores: usize,
    },
    /// A small limit of open files bounds the connections.
    #[error(
        "--max-connections: room for {connections} connections, as only {allowed} open files are \
         allowed (ulimit -n, LimitNOFILE=)"
    )]
    FewFiles {
        /// The hard limit.
        allowed: u64,
        /// Connections in effect.
        connections: usize,
    },
}

/// Rising numbers, shown as spans: `0-3,8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans(pub Vec<usize>);

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|&core| core == last + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

/// Descriptors the process needs: each worker has its listeners, an epoll and a bell.
fn descriptors(config: &Config) -> u64 {
    let per_worker = config.rtmp.len() + 2;
    let all = config.workers * per_worker + config.max_connections;
    u64::try_from(all).map_or(u64::MAX, |all| all.saturating_add(KEPT_BACK))
}

/// Kept from the connections by `auto`: listeners, event queues, files (RELIABILITY §4).
const RESERVE: u64 = 256;
/// Standard streams, signals, the reserve of the door, and files that must still open when all
/// connections are taken (E1).
const KEPT_BACK: u64 = 48;
const CONNECTIONS_AUTO_MAX: usize = 65_536;
/// Fewer than this, because of fewer files than that, is worth a warning.
const CONNECTIONS_FEW: usize = 1_000;
const CONNECTIONS_FEW_FILES: u64 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cores: usize, open_files: u64) -> Machine {
        Machine {
            cores: (0..cores).collect(),
            parallelism: cores,
            open_files,
        }
    }

    fn config(workers: usize, machine: &Machine) -> Config {
        Config {
            workers,
            max_connections: machine.connections_auto(),
            ..Config::default()
        }
    }

    #[test]
    fn auto_connections_leave_a_reserve_and_stop_at_65536() {
        assert_eq!(machine(1, 20_000).connections_auto(), 19_744);
        assert_eq!(machine(1, 1 << 30).connections_auto(), 65_536);
        assert_eq!(machine(1, u64::MAX).connections_auto(), 65_536);
    }

    #[test]
    fn too_few_open_files_are_refused_and_few_are_warned_about() {
        let tiny = machine(2, 64);
        let told = tiny.check(&config(2, &tiny)).unwrap_err().to_string();
        assert!(
            told.starts_with("--max-connections: 16 connections need 70 open files, but only 64")
        );
        let small = machine(2, 1_024);
        let warned = small.check(&config(2, &small)).unwrap();
        assert!(matches!(
            warned[..],
            [Warning::FewFiles {
                allowed: 1_024,
                connections: 768
            }]
        ));
    }

    #[test]
    fn auto_pins_only_when_every_worker_gets_a_core_and_no_quota_is_on() {
        let four = machine(4, 20_000);
        assert_eq!(four.pins(&config(2, &four)), [Some(0), Some(1)]);
        assert_eq!(four.pins(&config(5, &four)), [None; 5]);
        let quota = Machine {
            parallelism: 2,
            ..four
        };
        assert_eq!(quota.pins(&config(2, &quota)), [None; 2]);
    }

    #[test]
    fn a_listed_core_that_is_missing_is_named_with_those_there() {
        let machine = machine(2, 20_000);
        let pinned = Config {
            pin: Pin::List(vec![0, 7]),
            ..config(2, &machine)
        };
        let told = machine.check(&pinned).unwrap_err().to_string();
        assert_eq!(
            told,
            "--pin: core 7 is not available; this process may run on 0-1"
        );
        assert_eq!(Spans(vec![0, 1, 2, 5, 7, 8]).to_string(), "0-2,5,7-8");
    }

    #[test]
    fn more_workers_than_cores_is_allowed_and_told() {
        let machine = machine(2, 20_000);
        let warned = machine.check(&config(4, &machine)).unwrap();
        assert_eq!(
            warned,
            [Warning::Crowded {
                workers: 4,
                cores: 2
            }]
        );
    }

    #[test]
    fn a_worst_case_above_memory_is_refused() {
        let machine = machine(2, 20_000);
        let config = Config {
            memory: 1 << 30,
            ..config(2, &machine)
        };
        assert!(matches!(
            machine.check(&config),
            Err(Unfit::Memory {
                allowed: 0x4000_0000,
                ..
            })
        ));
    }
}
