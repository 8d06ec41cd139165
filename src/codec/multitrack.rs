//! Walking and splitting multitrack messages.
use super::{Codec, Media};

/// One track's share of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track<'a> {
    /// Track id, 0 for the default track.
    pub track: u8,
    /// The track's codec.
    pub codec: Codec,
    /// Composition offset in milliseconds.
    pub cts_ms: i32,
    /// The codec bytes.
    pub body: &'a [u8],
}

/// Iterator over the tracks of one message.
#[derive(Clone, Debug)]
pub struct Tracks<'a> {
    one: Option<Track<'a>>,
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Track<'a>;

    fn next(&mut self) -> Option<Track<'a>> {
        self.one.take()
    }
}

/// The tracks of one message.
#[must_use]
pub fn tracks(_media: Media, _payload: &[u8]) -> Tracks<'_> {
    Tracks { one: None }
}

/// One track of a message as a message of its own.
#[must_use]
pub fn one_track(_media: Media, _payload: &[u8], _track: u8) -> Option<Vec<u8>> {
    None
}
