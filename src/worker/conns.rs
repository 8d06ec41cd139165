//! `Conns`: the worker's connections, by slab index and generation.
//!
//! Invariant: a look-up by [`ConnId`] or token finds the connection that got that very id, or
//! nothing.

use slab::Slab;

use crate::ids::{ConnId, WorkerId};
use crate::worker::conn::Conn;
use crate::worker::token;

/// All connections of a worker.
pub(super) struct Conns {
    me: WorkerId,
    slab: Slab<Conn>,
    last_generation: u32,
}

impl Conns {
    pub(super) fn new(me: WorkerId) -> Self {
        Self { me, slab: Slab::new(), last_generation: 0 }
    }

    /// Adds the connection that `make` builds for its id.
    pub(super) fn insert(&mut self, make: impl FnOnce(ConnId) -> Conn) -> ConnId {
        self.last_generation = token::next_generation(self.last_generation);
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let id = ConnId { worker: self.me, index, generation: self.last_generation };
        entry.insert(make(id));
        id
    }

    pub(super) fn find(&mut self, id: ConnId) -> Option<&mut Conn> {
        if id.worker != self.me {
            return None;
        }
        self.slab.get_mut(usize::try_from(id.index).ok()?).filter(|conn| conn.id() == id)
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        self.find(id)?;
        self.slab.try_remove(usize::try_from(id.index).ok()?)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn ids(&self) -> Vec<ConnId> {
        self.slab.iter().map(|(_, conn)| conn.id()).collect()
    }
}
