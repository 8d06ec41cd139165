//! `Mail`: everything one worker may tell another.
//!
//! Invariant: mail from one worker to another arrives in the order it was posted; mail of different
//! senders has no order. So every letter about a stream names its [`Run`] and the receiver drops
//! what is older than the run it knows.

use std::sync::Arc;

use crate::ids::{ConnId, Run, StreamRef, WorkerId};
use crate::media::{Frame, Headers};
use crate::time::Millis;

/// One piece of mail.
#[derive(Debug)]
pub enum Mail {
    /// Mirror to owner: send me this stream.
    Subscribe {
        /// The owner's stream.
        to: StreamRef,
        /// The run the mirror read in the directory.
        run: Run,
        /// Where frames shall go on the sender's side.
        mirror: StreamRef,
    },
    /// Mirror to owner: no more, please.
    Unsubscribe {
        /// The owner's stream.
        to: StreamRef,
        /// Where frames went on the sender's side: a newer subscription of the same worker stays.
        mirror: StreamRef,
    },
    /// Owner to mirror: the stream as it stands; frames follow.
    Opened(Box<Opened>),
    /// Owner to mirror: one frame. The hot one.
    Frame {
        /// The mirror's stream.
        to: StreamRef,
        /// The publication it belongs to.
        run: Run,
        /// Its number in the publication: a gap says that the mesh has shed frames.
        number: u64,
        /// The frame.
        frame: Arc<Frame>,
        /// On join points: the headers valid there, should the mirror have missed some.
        headers: Option<Arc<Headers>>,
    },
    /// Owner to mirror: the stream has ended.
    Closed {
        /// The mirror's stream.
        to: StreamRef,
        /// The run that ended.
        run: Run,
    },
    /// To the worker of a publisher whose name was taken over.
    Evict {
        /// The publisher that lost its name.
        conn: ConnId,
        /// The run it had.
        run: Run,
    },
    /// Boot to worker: finish by the deadline.
    Drain {
        /// When stragglers are cut.
        deadline: Millis,
    },
    /// Boot to worker: stop now.
    Cut,
}

/// What a mirror needs to serve a stream from now on.
#[derive(Debug)]
pub struct Opened {
    /// The mirror's stream.
    pub to: StreamRef,
    /// The publication.
    pub run: Run,
    /// The owner's stream, for `Unsubscribe`.
    pub owner: StreamRef,
    /// Headers valid before the first of `frames`.
    pub headers: Arc<Headers>,
    /// From the newest join point on.
    pub frames: Vec<Arc<Frame>>,
    /// Number the next `Mail::Frame` will carry.
    pub next_number: u64,
}

/// Where mail is left: the mesh's port, or a plain list in the simulator.
pub trait Post {
    /// Leaves `mail` for worker `to`. Never blocks.
    fn post(&mut self, to: WorkerId, mail: Mail);
}
