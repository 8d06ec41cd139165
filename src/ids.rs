//! Names of things: workers, connections, streams, runs and places in a log.
//!
//! Invariant: an index is never used without the generation or epoch that was issued with it, so
//! an event, a letter or a verdict that outlived its target finds nothing instead of a stranger.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A worker thread. 0 ≤ value < 64: a set of workers fits a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// Most workers a process can have.
    pub const MAX: usize = 64;

    /// The worker's place in tables that hold one entry per worker.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A connection, unique in the process for its whole life. Shown to users as the trace id
/// (`w2c17.3`): worker, slab index, generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The worker that accepted the connection and alone may touch it.
    pub worker: WorkerId,
    /// Place in that worker's slab.
    pub index: u32,
    /// Raised every time the place is reused.
    pub generation: u32,
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}c{}.{}", self.worker.0, self.index, self.generation)
    }
}

/// One playing message stream of one connection of the same worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId {
    /// The connection; its worker is always the one that holds this id.
    pub conn: ConnId,
    /// RTMP message stream id inside the connection.
    pub stream_id: u32,
}

/// A stream inside one worker: slab index and the epoch of that slab place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamRef {
    /// Place in the worker's stream slab.
    pub index: u32,
    /// Raised every time the place is reused.
    pub epoch: u32,
}

/// Number of one publication, issued by the directory; a later publication has a higher one.
/// Mail that carries an older run than the receiver knows is stale and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u64);

/// Place of a frame in one worker's log of one stream. Rises by one per frame, never wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Full name of a stream, normalised once: `app/stream`, at least two non-empty parts, no query.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Wraps a name that `rtmp::url` (or a test) has already normalised.
    #[must_use]
    pub fn new(normalised: &str) -> Self {
        Self(Arc::from(normalised))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// First part: the application.
    #[must_use]
    pub fn app(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
