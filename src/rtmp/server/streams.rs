//! The message streams of one connection and what each is doing.
//!
//! Invariant: at most `max` exist; ids count from 1 and the lowest free one is taken, because
//! some encoders know only id 1 and FMLE publishes again on the same connection (INTEROP 18, 33).
//! PROTOCOL C-30, C-35, C-36, C-42, C-50.

use crate::ids::StreamName;
use crate::time::Millis;

/// All message streams of a connection.
pub(super) struct Streams {
    /// Sorted by nothing, at most `max`.
    all: Vec<(u32, Use)>,
    max: u32,
    /// Highest id ever issued: above it, and at 0, an id is unknown rather than ended.
    highest: u32,
}

impl Streams {
    pub(super) fn new(max: u32) -> Self {
        Self {
            all: Vec::new(),
            max,
            highest: 0,
        }
    }

    /// A new stream's id, unless there are enough.
    pub(super) fn create(&mut self) -> Option<u32> {
        let id = (1..=self.max).find(|id| self.find(*id).is_none())?;
        self.all.push((id, Use::Created));
        self.highest = self.highest.max(id);
        Some(id)
    }

    pub(super) fn find(&self, id: u32) -> Option<&Use> {
        self.all.iter().find(|(known, _)| *known == id).map(|(_, usage)| usage)
    }

    pub(super) fn find_mut(&mut self, id: u32) -> Option<&mut Use> {
        self.all.iter_mut().find(|(known, _)| *known == id).map(|(_, usage)| usage)
    }

    /// Ends what the stream does and returns what that was. The id stays.
    pub(super) fn release(&mut self, id: u32) -> Option<Use> {
        self.find_mut(id).map(std::mem::take)
    }

    /// Forgets the id.
    pub(super) fn delete(&mut self, id: u32) {
        self.all.retain(|(known, _)| *known != id);
    }

    /// The stream a publish or play on message stream `id` is for: that one, or for 0 the only
    /// one there is (C-42).
    pub(super) fn named(&self, id: u32) -> Option<u32> {
        match self.all.as_slice() {
            [(only, _)] if id == 0 => Some(*only),
            _ => self.find(id).map(|_| id),
        }
    }

    /// The only stream that does anything.
    pub(super) fn only_active(&self) -> Option<u32> {
        only(self.all.iter().filter(|(_, usage)| !matches!(usage, Use::Created)))
    }

    /// The publish that media on message stream `id` belongs to: that stream's, or for an id
    /// never issued the only publish there is (C-50). Late media of an ended stream has none.
    pub(super) fn publishing(&self, id: u32) -> Option<u32> {
        if matches!(self.find(id), Some(Use::Publishing { .. })) {
            return Some(id);
        }
        if (1..=self.highest).contains(&id) {
            return None;
        }
        only(self.all.iter().filter(|(_, usage)| matches!(usage, Use::Publishing { .. })))
    }

    /// The publish of that name, accepted or asked for.
    pub(super) fn publish_of(&self, wanted: &StreamName) -> Option<u32> {
        let mut all = self.all.iter();
        let found = all.find(|(_, usage)| match usage {
            Use::AskingPublish { name } | Use::Publishing { name, .. } => name == wanted,
            _ => false,
        });
        found.map(|(id, _)| *id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Use)> {
        self.all.iter().map(|(id, usage)| (*id, usage))
    }

    /// Whether any stream publishes or plays.
    pub(super) fn has_role(&self) -> bool {
        self.all.iter().any(|(_, usage)| usage.is_role())
    }

    /// Whether the host owes an answer.
    pub(super) fn is_asking(&self) -> bool {
        let asking = |usage: &Use| matches!(usage, Use::AskingPublish { .. } | Use::AskingPlay { .. });
        self.all.iter().any(|(_, usage)| asking(usage))
    }
}

/// What a message stream is doing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing.
    #[default]
    Created,
    /// The host has not answered a publish.
    AskingPublish { name: StreamName },
    /// Sends media.
    Publishing {
        name: StreamName,
        accepted: Millis,
        /// Last audio or video.
        media: Option<Millis>,
    },
    /// The host has not answered a play.
    AskingPlay {
        /// The player wants Play.Reset.
        reset: bool,
    },
    /// Takes media.
    Playing,
}

impl Use {
    pub(super) fn is_role(&self) -> bool {
        matches!(self, Self::Publishing { .. } | Self::Playing)
    }
}

fn only<'a>(mut found: impl Iterator<Item = &'a (u32, Use)>) -> Option<u32> {
    let (id, _) = found.next()?;
    found.next().is_none().then_some(*id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publishing() -> Use {
        Use::Publishing {
            name: StreamName::new("live/cam"),
            accepted: Millis(0),
            media: None,
        }
    }

    #[test]
    fn ids_count_from_1_and_the_lowest_free_one_is_reused() {
        let mut streams = Streams::new(3);
        assert_eq!([1, 2, 3].map(Some), [(); 3].map(|()| streams.create()));
        assert_eq!(streams.create(), None);
        streams.delete(2);
        assert_eq!(streams.create(), Some(2));
    }

    #[test]
    fn message_stream_0_means_the_only_stream() {
        let mut streams = Streams::new(8);
        assert_eq!(streams.named(0), None);
        streams.create();
        assert_eq!((streams.named(0), streams.named(1), streams.named(7)), (Some(1), Some(1), None));
        streams.create();
        assert_eq!(streams.named(0), None);
    }

    #[test]
    fn media_on_an_unknown_id_goes_to_the_only_publish_and_late_media_nowhere() {
        let mut streams = Streams::new(8);
        streams.create();
        streams.create();
        *streams.find_mut(2).unwrap() = publishing();
        for (id, expected) in [(2, Some(2)), (1, None), (0, Some(2)), (0x0100_0000, Some(2))] {
            assert_eq!(streams.publishing(id), expected, "message stream {id}");
        }
        streams.delete(1);
        assert_eq!(streams.publishing(1), None, "late media of a deleted stream");
        streams.create();
        *streams.find_mut(1).unwrap() = publishing();
        assert_eq!(streams.publishing(0), None, "two publishes: no guess");
    }
}
