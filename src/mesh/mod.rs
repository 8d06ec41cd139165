//! The mesh: one bounded inbox per worker, and the only way one worker speaks to another.
//!
//! Invariant: nobody ever waits for anybody. A full inbox costs its sender nothing but the media
//! it sheds; control mail stays with the sender, in order, until there is room. Mail of one sender
//! arrives in the order it was posted. DESIGN §5.7, §6.2, §6.3.
//!
//! What n messages of a turn cost their owner, whatever players there are: n·S mails for the S
//! other workers that watch (a reference and a place in a letter each), a letter for each of the
//! at most W − 1 workers addressed, and a bell for those asleep. A bell costs as much as a hundred
//! letters, but who has much to do does not sleep. `tests/owner_work.rs` counts all of it,
//! `benches/scale.rs` prices it.
//!
//! * [`parking`]: the sleep and wake protocol, alone, so that loom can check it;
//! * [`port`]: a worker's end of the mesh: post, flush, take, park;
//! * `mail`: how the mail of streams weighs.

mod mail;
pub mod parking;
pub mod port;

use mio::Waker;

pub use self::parking::Park;
pub use self::port::{Port, Tally};
use crate::ids::WorkerId;
use crate::limits::MeshLimits;

/// Builds the ports of a process, all at once: they are useless apart.
#[derive(Debug)]
pub struct Mesh;

impl Mesh {
    /// One port per worker, in the order of their ids, and one more for the boot thread (its id is
    /// `workers`), which posts but never sleeps in a poll. `wakers[i]` wakes worker `i`; a port
    /// without one is never rung. `workers` ≤ [`WorkerId::MAX`].
    #[must_use]
    pub fn build<M: Weigh>(
        workers: usize,
        wakers: Vec<Option<Waker>>,
        limits: MeshLimits,
    ) -> Vec<Port<M>> {
        debug_assert!(workers <= WorkerId::MAX, "{workers} workers");
        let mut wakers = wakers.into_iter();
        let (sides, inboxes): (Vec<_>, Vec<_>) = (0..=workers)
            .map(|_| port::inbox(wakers.next().flatten(), limits))
            .unzip();
        (0..=u8::MAX)
            .zip(inboxes)
            .map(|(id, inbox)| Port::new(WorkerId(id), inbox, &sides))
            .collect()
    }
}

/// Everything one turn of one worker has for another.
#[derive(Debug)]
pub struct Letter<M> {
    /// Who posted it.
    pub from: WorkerId,
    /// In the order it was posted; never empty.
    pub mail: Vec<M>,
}

/// What the mesh must know about a mail to shed the right ones.
pub trait Weigh {
    /// Payload the mail keeps alive, in bytes. 0 means control: it is never shed, so a sender must
    /// have O(1) of it per connection. A media mail weighs at least 1. What a mirror cannot do
    /// without (a snapshot, new sequence headers or metadata) is control, whatever it carries.
    fn media_bytes(&self) -> usize;

    /// The stream it belongs to, as far as the sender is concerned.
    fn stream_key(&self) -> u64;

    /// Media only: whether a mirror that missed what came before can go on from here.
    fn is_key(&self) -> bool;

    /// Control only: whether what was shed of this stream before no longer matters, because the
    /// mirror starts afresh (a snapshot) or ends with this mail.
    fn ends_lag(&self) -> bool {
        false
    }
}
