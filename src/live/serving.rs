//! Who is to be sent what: streams with news, and their players in slices.
//!
//! Invariant: a stream is served by one pass over its players at a time; news that come during a
//! pass wait for the next, and whoever the pass has yet to reach gets them with what it is owed.

use std::ops::Bound;

use crate::ids::{PlayerId, StreamRef};
use crate::live::Live;
use crate::time::Millis;

impl Live {
    /// Appends every stream whose players are due a pass, and says when the streams that are still
    /// gathering (`--merge-ms`) want to be asked again. The caller makes the pass with
    /// [`Live::players_after`] and ends it with [`Live::served`].
    pub fn take_due(&mut self, now: Millis, due: &mut Vec<StreamRef>) -> Millis {
        let merge_ms = self.settings.merge_ms;
        let mut ask_at = Millis::NEVER;
        let streams = &mut self.streams;
        self.dirty.retain(|index| {
            let stream = usize::try_from(*index)
                .ok()
                .and_then(|i| streams.get_mut(i));
            let Some(stream) = stream else { return false };
            if stream.serving {
                return true;
            }
            if now < stream.flush_at && !stream.is_ended() {
                ask_at = ask_at.min(stream.flush_at);
                return true;
            }
            stream.flush_at = next_flush(stream.flush_at, now, merge_ms);
            stream.dirty = false;
            stream.serving = true;
            due.push(StreamRef {
                index: *index,
                epoch: stream.epoch,
            });
            false
        });
        ask_at
    }

    /// Appends up to `max` players that stand behind `after` in the order of a pass; none: the pass
    /// is over. Players that joined meanwhile may be among them.
    pub fn players_after(
        &self,
        stream: StreamRef,
        after: Option<PlayerId>,
        max: usize,
        players: &mut Vec<PlayerId>,
    ) {
        let Some(stream) = self.stream(stream) else {
            return;
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = stream.players.range((from, Bound::Unbounded));
        players.extend(rest.take(max));
    }

    /// The pass is over. Returns when the stream wants the next, `Millis::NEVER` if nothing is new.
    pub fn served(&mut self, stream: StreamRef) -> Millis {
        let Some(stream) = self.stream_mut(stream) else {
            return Millis::NEVER;
        };
        stream.serving = false;
        match stream.dirty {
            true if stream.is_ended() => Millis(0),
            true => stream.flush_at,
            false => Millis::NEVER,
        }
    }
}

/// The window's next end on a grid of its own, so that windows do not drift apart from the media; a
/// stream that was quiet for longer starts a new grid.
fn next_flush(last: Millis, now: Millis, merge_ms: u64) -> Millis {
    let next = last + merge_ms;
    if next > now { next } else { now + merge_ms }
}
