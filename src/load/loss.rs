//! `Loss`: one thing that went wrong, with who suffered it.
//!
//! Invariant: a run without a loss is a run in which every player got everything.

use std::fmt;

use thiserror::Error;

use crate::load::fault::Fault;

/// Who lost what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Which connection.
    pub who: Who,
    /// Name of its stream.
    pub stream: String,
    /// What went wrong.
    pub what: What,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Publisher => write!(f, "publisher of {}: {}", self.stream, self.what),
            Who::Player(id) => write!(f, "player {id} of {}: {}", self.stream, self.what),
            Who::Idle(id) => write!(f, "idle connection {id}: {}", self.what),
        }
    }
}

/// A connection of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The publisher of the stream.
    Publisher,
    /// The player with that number.
    Player(u32),
    /// The idle connection with that number.
    Idle(u32),
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum What {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server's refusal, or a broken session.
    #[error("{0}")]
    Session(String),
    /// The connection ended.
    #[error("disconnected: {0}")]
    Disconnected(String),
    /// No key frame came until the end.
    #[error("got no key frame")]
    NoKey,
    /// Nothing came although the stream went on.
    #[error("nothing came for more than {ms} ms")]
    Stalled {
        /// The limit that was passed, milliseconds.
        ms: u64,
    },
    /// What a player that reads everything found.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// A player that only counts got fewer bytes than one that reads everything.
    #[error("{missing} of {expected} bytes never came")]
    Short {
        /// Bytes that did not come.
        missing: u64,
        /// Bytes that were due since its first key frame.
        expected: u64,
    },
    /// A player that only counts got more bytes than one that reads everything.
    #[error("{surplus} bytes more than the {expected} that were due")]
    Surplus {
        /// Bytes too many.
        surplus: u64,
        /// Bytes that were due since its first key frame.
        expected: u64,
    },
    /// The server takes the stream too slowly.
    #[error("the server does not take the stream: {backlog} bytes wait")]
    Backlog {
        /// Bytes that wait.
        backlog: usize,
    },
}

impl What {
    /// How many of that it is: messages, or else once.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Fault(fault) => fault.messages(),
            _ => 1,
        }
    }

    /// Under which word it is counted.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Connect(_) => "not connected",
            Self::Session(_) => "refused",
            Self::Disconnected(_) => "disconnected",
            Self::NoKey => "no key frame",
            Self::Stalled { .. } => "stalled",
            Self::Short { .. } => "bytes missing",
            Self::Surplus { .. } => "bytes too many",
            Self::Backlog { .. } => "publisher held up",
            Self::Fault(fault) => match fault {
                Fault::MissingHeader(_) => "header missing",
                Fault::LateStart => "late start",
                Fault::Gap { .. } => "messages missing",
                Fault::Repeat { .. } => "messages repeated",
                Fault::OutOfOrder { .. } => "messages out of order",
                Fault::Changed { .. } | Fault::HeaderChanged(_) => "messages changed",
                Fault::WrongStream { .. } => "other stream's messages",
                Fault::TimeFell { .. } => "timestamps falling",
                Fault::Behind { .. } | Fault::Nothing(_) => "end missing",
            },
        }
    }
}
