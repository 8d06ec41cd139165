//! `Net`: the mail between simulated workers.
//!
//! Invariants: mail of one sender to one receiver is delivered in the order it was posted; mail of
//! different senders in any order. A full inbox sheds media up to the next join point, for that
//! stream and that receiver, and never control mail (DESIGN §6.3).

use std::collections::{HashSet, VecDeque};

use corecast::ids::{StreamRef, WorkerId};
use corecast::live::{Mail, Post};

/// All inboxes.
#[derive(Debug)]
pub struct Net {
    workers: usize,
    /// By sender × workers + receiver.
    queues: Vec<VecDeque<Mail>>,
    /// Media mail waiting, by receiver.
    media: Vec<usize>,
    /// Media mail that may wait, by receiver.
    pub room: Vec<usize>,
    lagging: HashSet<(usize, StreamRef)>,
    /// Media mail shed so far, by receiver.
    pub shed: Vec<u64>,
    pub posted: u64,
}

/// One worker's access to the net.
pub struct Outbox<'a> {
    pub net: &'a mut Net,
    pub from: usize,
}

impl Net {
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            queues: (0..workers * workers).map(|_| VecDeque::new()).collect(),
            media: vec![0; workers],
            room: vec![usize::MAX; workers],
            lagging: HashSet::new(),
            shed: vec![0; workers],
            posted: 0,
        }
    }

    /// Takes the oldest mail of a pair, if there is any.
    pub fn take(&mut self, from: usize, to: usize) -> Option<Mail> {
        let mail = self.queues[from * self.workers + to].pop_front()?;
        if matches!(mail, Mail::Frame { .. }) {
            self.media[to] -= 1;
        }
        Some(mail)
    }

    /// Pairs with mail waiting.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let waiting = self
            .queues
            .iter()
            .enumerate()
            .filter(|(_, queue)| !queue.is_empty());
        waiting
            .map(|(place, _)| (place / self.workers, place % self.workers))
            .collect()
    }
}

impl Post for Outbox<'_> {
    fn post(&mut self, to: WorkerId, mail: Mail) {
        let net = &mut *self.net;
        let receiver = to.index();
        assert_ne!(receiver, self.from, "mail to oneself: {mail:?}");
        net.posted += 1;
        if let Mail::Frame {
            to: stream, frame, ..
        } = &mail
        {
            let lane = (receiver + self.from * net.workers, *stream);
            let lagging = net.lagging.contains(&lane) && !frame.traits().join;
            if lagging || net.media[receiver] >= net.room[receiver] {
                net.lagging.insert(lane);
                net.shed[receiver] += 1;
                return;
            }
            net.lagging.remove(&lane);
            net.media[receiver] += 1;
        }
        net.queues[self.from * net.workers + receiver].push_back(mail);
    }
}
