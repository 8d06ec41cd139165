//! `Port`: a worker's end of the mesh, with one sending side per peer.
//!
//! Invariant: what lies in a peer's `pending` is in the order it was posted, and after a `flush`
//! that found no room only control mail is left there; `addressed` holds each peer with something
//! pending once, so a turn costs nothing for the others. The gauge of an inbox is the sum of the
//! media bytes of the letters in it and never exceeds its limit. A stream in `lagging` gets no
//! media across until a key, so a mirror sees one gap before a key and never a hole in a GOP.
//! DESIGN §5.7, §6.3.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::Waker;

use super::parking::{Park, Parking};
use super::{Letter, MeshLimits, Weigh};
use crate::ids::WorkerId;

/// What one worker holds of the mesh. Everything happens in the worker's turn: `take` until there
/// is nothing, `post` whatever comes up, `flush` before its players and at the end, `park` before
/// the next poll.
#[derive(Debug)]
pub struct Port<M> {
    me: WorkerId,
    inbox: Inbox<M>,
    /// By worker index, this worker's own inbox included.
    peers: Vec<Peer<M>>,
    addressed: Vec<WorkerId>,
    tally: Tally,
}

impl<M: Weigh> Port<M> {
    pub(super) fn new(me: WorkerId, inbox: Inbox<M>, sides: &[Side<M>]) -> Self {
        let peers = sides.iter().map(Peer::new).collect();
        Self {
            me,
            inbox,
            peers,
            addressed: Vec::with_capacity(sides.len()),
            tally: Tally::default(),
        }
    }

    /// The worker this port belongs to.
    #[must_use]
    pub fn me(&self) -> WorkerId {
        self.me
    }

    /// Queues `mail` for `to`, or sheds it if it is media its stream cannot use over there now.
    /// Nothing leaves before [`Port::flush`]. Mail for a worker that has ended is dropped.
    pub fn post(&mut self, to: WorkerId, mail: M) {
        debug_assert!(to.index() < self.peers.len(), "no worker {to:?}");
        match self.peers.get_mut(to.index()) {
            Some(peer) if !peer.gone => {
                let is_first = peer.pending.is_empty();
                peer.post(mail, &mut self.tally);
                if is_first && !peer.pending.is_empty() {
                    self.addressed.push(to);
                }
            }
            _ => self.tally.undeliverable += 1,
        }
    }

    /// Sends one letter to every destination with pending mail and rings those that sleep: all
    /// letters first, for a bell takes a hundred times as long.
    pub fn flush(&mut self) {
        for to in &self.addressed {
            if let Some(peer) = self.peers.get_mut(to.index()) {
                peer.flush(self.me, &mut self.tally);
            }
        }
        self.addressed.retain(|to| {
            let Some(peer) = self.peers.get_mut(to.index()) else {
                return false;
            };
            peer.ring(&mut self.tally);
            !peer.pending.is_empty()
        });
    }

    /// The oldest letter of the inbox; its media no longer counts as in flight.
    pub fn take(&mut self) -> Option<Letter<M>> {
        self.inbox.letters.try_recv().ok().map(Parcel::open)
    }

    /// Before a poll that may block. With [`Park::Poll`] the poll must not block.
    #[must_use]
    pub fn park(&self) -> Park {
        self.inbox
            .bell
            .parking
            .park(|| self.inbox.letters.is_empty())
    }

    /// After every poll that [`Port::park`] came before.
    pub fn unpark(&self) {
        self.inbox.bell.parking.unpark();
    }

    /// Whether control mail still waits here for a full inbox. No bell tells when there is room:
    /// flush again within a few milliseconds, so do not let the poll block longer than that.
    #[must_use]
    pub fn is_backed_up(&self) -> bool {
        !self.addressed.is_empty()
    }

    /// What this port has done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Media in flight to this worker, in bytes.
    #[must_use]
    pub fn media_in_flight(&self) -> usize {
        self.peers
            .get(self.me.index())
            .map_or(0, |own| own.gauge.bytes.load(Ordering::Relaxed))
    }
}

/// Counters of one port, each only ever rising. Wrapping them takes centuries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Letters sent.
    pub letters: u64,
    /// Mails sent in them.
    pub mails: u64,
    /// Media mails dropped because the destination was full, or to reach the next key after that.
    pub shed: u64,
    /// Wakes of sleeping peers, one `write` each.
    pub rings: u64,
    /// Mails dropped because their destination has ended.
    pub undeliverable: u64,
}

/// The sending side of one inbox, as one worker holds it.
#[derive(Debug)]
struct Peer<M> {
    to: Sender<Parcel<M>>,
    bell: Arc<Bell>,
    gauge: Arc<Gauge>,
    /// Posted, not sent.
    pending: Vec<M>,
    /// Streams whose media was shed for this peer and that have not come to a key since.
    lagging: HashSet<u64>,
    /// A letter has gone out for which no bell was rung yet.
    sent: bool,
    /// The receiver was dropped: its worker has ended.
    gone: bool,
}

impl<M: Weigh> Peer<M> {
    fn new(side: &Side<M>) -> Self {
        Self {
            to: side.to.clone(),
            bell: Arc::clone(&side.bell),
            gauge: Arc::clone(&side.gauge),
            pending: Vec::new(),
            lagging: HashSet::new(),
            sent: false,
            gone: false,
        }
    }

    fn post(&mut self, mail: M, tally: &mut Tally) {
        if !self.lagging.is_empty() && !catches_up(&mut self.lagging, &mail) {
            tally.shed += 1;
            return;
        }
        self.pending.push(mail);
    }

    fn flush(&mut self, from: WorkerId, tally: &mut Tally) {
        let Some(freight) = self.load(tally) else {
            return;
        };
        let mail = std::mem::take(&mut self.pending);
        let mails = mail.len() as u64;
        match self.to.try_send(Parcel {
            letter: Letter { from, mail },
            freight,
        }) {
            Ok(()) => {
                tally.letters += 1;
                tally.mails += mails;
                self.sent = true;
            }
            Err(TrySendError::Full(parcel)) => {
                self.pending = parcel.open().mail;
                self.shed_pending(tally);
            }
            Err(TrySendError::Disconnected(_)) => {
                tally.undeliverable += mails;
                self.gone = true;
            }
        }
    }

    /// Wakes the receiver of a letter just sent, if it sleeps.
    fn ring(&mut self, tally: &mut Tally) {
        if std::mem::take(&mut self.sent) && self.bell.parking.claim_wake() {
            tally.rings += 1;
            self.bell.ring();
        }
    }

    /// Reserves room for the pending media, shedding what does not fit; `None` when nothing is
    /// left to send. The usual case is one pass and one atomic operation.
    fn load(&mut self, tally: &mut Tally) -> Option<Freight> {
        let bytes = self
            .pending
            .iter()
            .fold(0, |sum: usize, m| sum.saturating_add(m.media_bytes()));
        let mut freight = Freight {
            gauge: Arc::clone(&self.gauge),
            bytes: 0,
        };
        if freight.add(bytes) {
            return Some(freight);
        }
        let before = self.pending.len();
        let lagging = &mut self.lagging;
        self.pending.retain(|mail| {
            if !catches_up(lagging, mail) {
                return false;
            }
            let fits = freight.add(mail.media_bytes());
            if !fits {
                fall_behind(lagging, mail.stream_key());
            }
            fits
        });
        tally.shed += (before - self.pending.len()) as u64;
        (!self.pending.is_empty()).then_some(freight)
    }

    /// The inbox has no room for a letter: only control waits for one.
    fn shed_pending(&mut self, tally: &mut Tally) {
        let before = self.pending.len();
        let lagging = &mut self.lagging;
        self.pending.retain(|mail| {
            let is_control = mail.media_bytes() == 0;
            if !is_control {
                fall_behind(lagging, mail.stream_key());
            } else if mail.ends_lag() {
                lagging.remove(&mail.stream_key());
            }
            is_control
        });
        tally.shed += (before - self.pending.len()) as u64;
    }
}

/// Who is woken, and how.
#[derive(Debug)]
pub(super) struct Bell {
    parking: Parking<AtomicBool>,
    /// `None` for the boot port: its thread never sleeps in a poll.
    waker: Option<Waker>,
}

impl Bell {
    fn ring(&self) {
        if let Some(Err(error)) = self.waker.as_ref().map(Waker::wake) {
            // The letter is delivered with the sleeper's next event or deadline instead.
            log::error!("cannot wake a worker: {error}");
        }
    }
}

/// What all senders share of one inbox; cloned into every port's peers.
#[derive(Debug)]
pub(super) struct Side<M> {
    to: Sender<Parcel<M>>,
    bell: Arc<Bell>,
    gauge: Arc<Gauge>,
}

/// What only the receiver has of one inbox.
#[derive(Debug)]
pub(super) struct Inbox<M> {
    letters: Receiver<Parcel<M>>,
    bell: Arc<Bell>,
}

impl<M> Drop for Inbox<M> {
    /// The channel keeps its letters until its last sender is gone as well; frames must not stay
    /// alive for a worker that is not.
    fn drop(&mut self) {
        while self.letters.try_recv().is_ok() {}
    }
}

/// A letter under way, with the part of the gauge it takes.
#[derive(Debug)]
struct Parcel<M> {
    letter: Letter<M>,
    freight: Freight,
}

impl<M> Parcel<M> {
    fn open(self) -> Letter<M> {
        drop(self.freight);
        self.letter
    }
}

/// Media bytes in flight to one inbox.
#[derive(Debug)]
struct Gauge {
    bytes: AtomicUsize,
    limit: usize,
}

/// A part of a gauge, given back when dropped, whoever drops it.
#[derive(Debug)]
struct Freight {
    gauge: Arc<Gauge>,
    bytes: usize,
}

impl Freight {
    /// Takes `bytes` more, or nothing at all when that would pass the limit. A compare-exchange
    /// loop: adding first and correcting after would make other senders shed for nothing.
    fn add(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let limit = self.gauge.limit;
        // Relaxed: the gauge orders nothing, the channel does.
        let added = self
            .gauge
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                now.checked_add(bytes).filter(|&sum| sum <= limit)
            });
        self.bytes += if added.is_ok() { bytes } else { 0 };
        added.is_ok()
    }
}

impl Drop for Freight {
    fn drop(&mut self) {
        if self.bytes != 0 {
            let before = self.gauge.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            debug_assert!(
                before >= self.bytes,
                "{before} in flight, {} released",
                self.bytes
            );
        }
    }
}

/// Makes an inbox: what the senders share, and what the receiver keeps.
pub(super) fn inbox<M>(waker: Option<Waker>, limits: MeshLimits) -> (Side<M>, Inbox<M>) {
    // A capacity of 0 would be a rendezvous channel: nothing would ever be sent.
    let (to, letters) = bounded(limits.letters_max.max(1));
    let bell = Arc::new(Bell {
        parking: Parking::default(),
        waker,
    });
    let gauge = Arc::new(Gauge {
        bytes: AtomicUsize::new(0),
        limit: limits.bytes_max,
    });
    (
        Side {
            to,
            bell: Arc::clone(&bell),
            gauge,
        },
        Inbox { letters, bell },
    )
}

/// Whether `mail` may cross although streams are lagging; a key or a fresh start ends the lag.
fn catches_up<M: Weigh>(lagging: &mut HashSet<u64>, mail: &M) -> bool {
    let is_control = mail.media_bytes() == 0;
    let ends_lag = if is_control {
        mail.ends_lag()
    } else {
        mail.is_key()
    };
    if ends_lag {
        lagging.remove(&mail.stream_key());
    }
    is_control || ends_lag || !lagging.contains(&mail.stream_key())
}

fn fall_behind(lagging: &mut HashSet<u64>, stream_key: u64) {
    if lagging.len() >= LAGGING_MAX {
        // Forgetting is safe: the mirror discards what it cannot use after a gap by itself.
        lagging.clear();
    }
    lagging.insert(stream_key);
}

/// Streams remembered as lagging per peer: twice the default `--max-streams`, 128 KiB or so.
const LAGGING_MAX: usize = 8_192;

#[cfg(test)]
mod tests;
