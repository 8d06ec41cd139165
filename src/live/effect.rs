//! What a call to `Live` means for connections, and how plays and publications begin and end.

use crate::ids::{ConnId, PlayerId, Run, StreamRef};
use crate::live::Cursor;

/// What the host has to do to connections after a call.
#[derive(Debug)]
pub enum Effect {
    /// A waiting player can start with this cursor.
    Start {
        /// The player.
        player: PlayerId,
        /// The stream.
        stream: StreamRef,
        /// Its place.
        cursor: Cursor,
    },
    /// A waiting player has waited long enough.
    NotFound {
        /// The player.
        player: PlayerId,
    },
    /// A local publisher lost its name to another.
    Evict {
        /// Its connection.
        conn: ConnId,
        /// The run it had.
        run: Run,
    },
}

/// Answer to a play request.
#[derive(Debug)]
pub enum Joined {
    /// It starts now.
    Now(StreamRef, Cursor),
    /// The stream is not there yet; an [`Effect`] follows.
    Waiting(StreamRef),
}

/// How a publication ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The publisher said so.
    Clean,
    /// Its connection is gone.
    Lost,
}
