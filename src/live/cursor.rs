//! `Cursor`: a player's place in a log.
//!
//! Invariants: a frame once begun is finished (`partial` keeps it alive past eviction), so the byte
//! stream stays valid; before every frame the player has the headers that are valid there
//! (PROTOCOL G-14), and never the same ones again (RELIABILITY D3); after a skip video resumes at a
//! join point only (G-13).
//!
//! One flush is `prepare`, `gather`, `advance`; `prepare` must precede `gather`, and `advance`
//! takes what the socket took of that very gather.

use std::sync::Arc;

use crate::config::GopCache;
use crate::ids::Seq;
use crate::live::Log;
use crate::media::{Frame, Gather, Headers, Known, Lane, Stamp, Taste};
use crate::time::Millis;

/// A player's place. See the module head.
#[derive(Debug)]
pub struct Cursor {
    /// The next frame to look at.
    next: Seq,
    /// The frame cut by a short write.
    partial: Option<Partial>,
    /// Headers that are valid at the next frame and unknown to the player are due before it.
    fresh: bool,
    gate: Gate,
    audio: bool,
    video: bool,
    stamp: Stamp,
    /// The player's clock starts at its first frame (`--player-clock zero`), not yet sent.
    zero_at_first: bool,
    /// The headers it has been sent, or has been begun to be sent.
    known: Known,
}

/// What video may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Everything.
    Open,
    /// Nothing until a join point.
    Key,
    /// One join point as a still picture, then `Key` at the live edge (`--gop-cache key`).
    Still,
}

#[derive(Debug)]
struct Partial {
    frame: Arc<Frame>,
    /// The plain twin of `frame` is what is being sent.
    plain: bool,
    /// 0 < sent < wire length
    sent: usize,
}

/// How far a player may fall behind before it skips.
#[derive(Clone, Copy, Debug)]
pub struct LagLimits {
    /// Age of its next frame, in ms (`--max-lag`).
    pub ms: u64,
    /// Wire bytes to the live edge (`--max-lag-bytes`).
    pub bytes: u64,
}

/// What a player of one stream is served from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The stream's frames on this worker.
    pub log: &'a Log,
    /// The newest headers.
    pub headers: &'a Headers,
    /// What the player can take.
    pub taste: &'a Taste,
}

impl Cursor {
    /// Places a new player: at the newest join point, or at the live edge waiting for the next.
    #[must_use]
    pub fn join(log: &Log, cache: GopCache, stream_id: u32) -> Self {
        let (next, gate) = match (cache, log.newest_join()) {
            (GopCache::Full, Some(join)) => (join, Gate::Key),
            (GopCache::Key, Some(join)) => (join, Gate::Still),
            (GopCache::Off, _) | (_, None) => (log.head(), Gate::Key),
        };
        Self {
            next,
            partial: None,
            fresh: true,
            gate,
            audio: true,
            video: true,
            stamp: Stamp {
                stream_id,
                base_ms: 0,
            },
            zero_at_first: false,
            known: Known::default(),
        }
    }

    /// The player's clock starts at 0 with the first frame it gets, headers included.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.zero_at_first = true;
        self
    }

    /// Goes to the newest join point again, as after a pause (C-71).
    pub fn rejoin(&mut self, log: &Log, cache: GopCache) {
        self.next = match (cache, log.newest_join()) {
            (GopCache::Full, Some(join)) if join >= self.next => join,
            _ => log.head(),
        };
        (self.gate, self.fresh) = (Gate::Key, true);
    }

    /// receiveAudio, receiveVideo (C-73). Switching video on waits for a join point.
    pub fn receive(&mut self, audio: Option<bool>, video: Option<bool>) {
        self.fresh |= audio == Some(true) && !self.audio;
        self.audio = audio.unwrap_or(self.audio);
        if video == Some(true) && !self.video {
            self.gate = Gate::Key;
            self.fresh = true;
        }
        self.video = video.unwrap_or(self.video);
    }

    /// Brings the cursor to the next frame that is owed: skips when it lags too far, steps over
    /// what the player does not get, and writes headers to `control` where they are due.
    /// Returns the number of frames lost to a skip.
    pub fn prepare(
        &mut self,
        source: Source<'_>,
        limits: LagLimits,
        now: Millis,
        control: &mut Vec<u8>,
    ) -> u64 {
        if self.partial.is_some() {
            return 0;
        }
        let lost = self.skip(source.log, limits, now);
        if let Some((seq, timestamp_ms)) = self.step(source)
            && self.fresh
        {
            let headers = source
                .log
                .headers_at(seq)
                .map_or(source.headers, Arc::as_ref);
            if std::mem::take(&mut self.zero_at_first) {
                self.stamp.base_ms = timestamp_ms;
            }
            let (taste, known) = (source.taste, &mut self.known);
            headers.write(taste, known, timestamp_ms, self.stamp, control);
            self.fresh = false;
            // What was owed may be one of those.
            self.step(source);
        }
        lost
    }

    /// Steps over what the player does not get. Place and time of the frame it gets next.
    fn step(&mut self, source: Source<'_>) -> Option<(Seq, u64)> {
        let mut walk = self.walk(source);
        let first = walk
            .next()
            .map(|owed| (owed.seq, owed.frame.timestamp_ms()));
        (self.next, self.gate) = match first {
            Some((seq, _)) => (seq, walk.gate_before),
            None => (Seq(walk.seq), walk.gate),
        };
        first
    }

    fn skip(&mut self, log: &Log, limits: LagLimits, now: Millis) -> u64 {
        if !self.is_behind(log, limits, now) {
            return 0;
        }
        let evicted = self.next < log.first();
        let target = match log.newest_join() {
            Some(join) if join > self.next => join,
            _ if evicted => log.head(),
            _ => return 0,
        };
        self.gate = Gate::Key;
        let lost = target.0 - self.next.0;
        self.next = target;
        self.fresh = true;
        lost
    }

    /// It lies further back than it may: once the cut frame is finished, it has to skip.
    #[must_use]
    pub fn is_behind(&self, log: &Log, limits: LagLimits, now: Millis) -> bool {
        self.next < log.first()
            || log.lag_ms(self.next, now) > limits.ms
            || log.lag_bytes(self.next) > limits.bytes
    }

    /// A frame has been begun and not finished: nothing else may be written before its rest.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.partial.is_some()
    }

    /// Nothing is owed: the cursor stands at the live edge.
    #[must_use]
    pub fn is_drained(&self, log: &Log) -> bool {
        self.partial.is_none() && self.next >= log.head()
    }

    /// Adds slices of at most `frames_max` frames that are owed (1: just the rest of a cut one).
    /// `heads` is scratch for players whose heads differ from the shared ones (another message
    /// stream than 1, a clock of their own) and must be empty before.
    pub fn gather<'a>(
        &'a self,
        source: Source<'a>,
        frames_max: usize,
        heads: &'a mut Vec<u8>,
        out: &mut Gather<'a>,
    ) {
        let frames_max = frames_max.min(Gather::SLICES_MAX);
        let own_heads = self.stamp != Stamp::SHARED;
        if own_heads {
            for frame in self.owed(source).take(frames_max) {
                frame.write_heads(self.stamp, heads);
            }
        }
        let mut written: &'a [u8] = heads;
        let mut skip = self.partial.as_ref().map_or(0, |partial| partial.sent);
        for frame in self.owed(source).take(frames_max) {
            let heads = if own_heads {
                frame.split_heads(self.stamp, &mut written)
            } else {
                None
            };
            if out.is_full() || own_heads && heads.is_none() {
                return;
            }
            let wanted = frame.wire_len(self.stamp) - skip;
            if frame.gather(heads, skip, out) < wanted {
                return;
            }
            skip = 0;
        }
    }

    /// Appends what is owed of a cut frame: for a player that leaves in the middle of it.
    pub fn write_rest(&self, out: &mut Vec<u8>) {
        let Some(partial) = &self.partial else { return };
        let Some(frame) = partial.form() else { return };
        let mut written = Vec::new();
        frame.write_heads(self.stamp, &mut written);
        let heads = frame.split_heads(self.stamp, &mut written.as_slice());
        let heads = heads.filter(|_| self.stamp != Stamp::SHARED);
        let mut sent = partial.sent;
        while sent < frame.wire_len(self.stamp) {
            let mut gather = Gather::new();
            sent += frame.gather(heads, sent, &mut gather);
            for slice in gather.slices() {
                out.extend_from_slice(slice);
            }
        }
    }

    /// Every frame owed, the cut one first, in the form it is sent. Headers that have become due
    /// behind a cut frame are for the next `prepare`: nothing may go ahead of them.
    fn owed<'a>(&'a self, source: Source<'a>) -> Pending<'a> {
        let cut = self.partial.as_ref().and_then(Partial::form);
        let walk = self.walk(source);
        Pending {
            only_cut: self.fresh && cut.is_some(),
            cut,
            walk,
        }
    }

    /// Takes note that the socket took `written` bytes of the last gather.
    pub fn advance(&mut self, source: Source<'_>, mut written: usize) {
        if let Some(partial) = &mut self.partial {
            let stamp = self.stamp;
            let left = partial.form().map_or(0, |form| form.wire_len(stamp)) - partial.sent;
            if written < left {
                partial.sent += written;
                return;
            }
            written -= left;
            self.partial = None;
        }
        let mut place = (self.next, self.gate);
        let mut cut = None;
        let mut walk = self.walk(source);
        while written > 0 {
            let Some(owed) = walk.next() else { break };
            place = (Seq(walk.seq), walk.gate);
            let len = owed.frame.wire_len(self.stamp);
            if written < len {
                cut = source.log.frame(owed.seq).map(|whole| Partial {
                    frame: Arc::clone(whole),
                    plain: owed.plain,
                    sent: written,
                });
                break;
            }
            written -= len;
        }
        if let Some(seen) = walk.seen {
            self.known = *seen;
        }
        // After the still picture: headers may have passed between it and the live edge (G-14).
        self.fresh |= self.gate == Gate::Still && place.1 == Gate::Key;
        (self.next, self.gate) = place;
        self.partial = cut;
    }

    fn walk<'a>(&'a self, source: Source<'a>) -> Walk<'a> {
        Walk {
            source,
            known: &self.known,
            seen: None,
            seq: self.next.0,
            gate: self.gate,
            gate_before: self.gate,
            audio: self.audio,
            video: self.video,
        }
    }
}

impl Partial {
    fn form(&self) -> Option<&Frame> {
        if self.plain {
            self.frame.plain()
        } else {
            Some(&self.frame)
        }
    }
}

/// The frames a player gets, from its place on. `seq` and `gate` are where it stands after the
/// frame last yielded.
struct Walk<'a> {
    source: Source<'a>,
    /// The headers the player has at the walk's start, and, once it is others, at its end.
    known: &'a Known,
    seen: Option<Box<Known>>,
    seq: u64,
    gate: Gate,
    gate_before: Gate,
    audio: bool,
    video: bool,
}

/// What a player is owed: the rest of a frame that was cut, then the frames of a walk.
struct Pending<'a> {
    cut: Option<&'a Frame>,
    only_cut: bool,
    walk: Walk<'a>,
}

struct Owed<'a> {
    seq: Seq,
    frame: &'a Frame,
    plain: bool,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Owed<'a>;

    fn next(&mut self) -> Option<Owed<'a>> {
        loop {
            let seq = Seq(self.seq);
            let whole = self.source.log.frame(seq)?;
            self.gate_before = self.gate;
            self.seq += 1;
            if !self.passes(whole) {
                continue;
            }
            let Some(frame) = self.source.taste.choose(whole) else {
                continue;
            };
            if frame.is_news() && !self.learn(frame) {
                continue;
            }
            if self.gate == Gate::Still && whole.traits().join {
                let head = self.source.log.head().0.max(self.seq);
                // A picture at the live edge is no still: what follows belongs to it.
                let live = self.seq == head && whole.traits().lane == Lane::Video;
                self.gate = if live { Gate::Open } else { Gate::Key };
                self.seq = head;
            }
            let plain = !std::ptr::eq(frame, Arc::as_ref(whole));
            return Some(Owed { seq, frame, plain });
        }
    }
}

impl<'a> Iterator for Pending<'a> {
    type Item = &'a Frame;

    fn next(&mut self) -> Option<&'a Frame> {
        match self.cut.take() {
            None if self.only_cut => None,
            None => self.walk.next().map(|owed| owed.frame),
            cut => cut,
        }
    }
}

impl Walk<'_> {
    /// Whether the player gets a frame with headers: not if it knows them all.
    #[cold]
    fn learn(&mut self, frame: &Frame) -> bool {
        if self.seen.as_deref().unwrap_or(self.known).covers(frame) {
            return frame.is_bare();
        }
        let seen = self
            .seen
            .get_or_insert_with(|| Box::new(self.known.clone()));
        seen.note(frame);
        true
    }

    fn passes(&mut self, frame: &Frame) -> bool {
        let traits = frame.traits();
        if traits.header {
            return true;
        }
        // Audio starts at a join point of its own, but opens no gate: video may be in mid-GOP.
        let key = traits.join && traits.lane == Lane::Video;
        if key && self.gate == Gate::Key {
            self.gate = Gate::Open;
        }
        match traits.lane {
            Lane::Data => true,
            Lane::Audio => self.audio,
            Lane::Video => self.video && (self.gate == Gate::Open || key),
        }
    }
}

#[cfg(test)]
mod tests;
