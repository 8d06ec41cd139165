//! `Fault`: breaks a worker on purpose, so that tests can see what the panic policy and the
//! watchdog do about it.
//!
//! Invariant: a release build has no fault and reads no variable, so nobody can switch one on in a
//! server that serves. With debug assertions `CORECAST_TEST_FAULT` names one, and it strikes only
//! for connections from 127.0.0.66.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What is to break. See the module head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// `session`: handling the connection's bytes panics.
    SessionPanic,
    /// `loop`: accepting the connection panics.
    LoopPanic,
    /// `stall=MS`: accepting the connection takes this long.
    Stall(Duration),
}

impl Fault {
    /// The fault the tester asked for.
    pub(super) fn asked_for() -> Self {
        if !cfg!(debug_assertions) {
            return Self::None;
        }
        let asked = std::env::var("CORECAST_TEST_FAULT").unwrap_or_default();
        match asked.as_str() {
            "session" => Self::SessionPanic,
            "loop" => Self::LoopPanic,
            other => match other.strip_prefix("stall=").map(str::parse) {
                Some(Ok(ms)) => Self::Stall(Duration::from_millis(ms)),
                _ => Self::None,
            },
        }
    }

    /// Strikes the worker that accepts this peer.
    #[expect(clippy::panic, reason = "that is the fault")]
    pub(super) fn strike_loop(self, peer: IpAddr) {
        match self {
            Self::LoopPanic if peer == VICTIM => panic!("a fault the tester asked for"),
            Self::Stall(time) if peer == VICTIM => std::thread::sleep(time),
            _ => {}
        }
    }

    /// Strikes whoever handles this peer's bytes.
    #[expect(clippy::panic, reason = "that is the fault")]
    pub(super) fn strike_session(self, peer: IpAddr) {
        if self == Self::SessionPanic && peer == VICTIM {
            panic!("a fault the tester asked for");
        }
    }
}

const VICTIM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
