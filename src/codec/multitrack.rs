//! Walking and splitting messages by track.
//!
//! Invariant: `one_track` of a list gives a message that classifies as that track alone, with the
//! same codec, packet type, composition offset and bytes.
//!
//! PROTOCOL M-50…M-53.

use super::enhanced::{self, Head, Header};
use super::{Codec, Media, Part, audio, video};

/// One track's share of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track<'a> {
    /// Track id; 0 is the default track, and that of every message outside multitrack.
    pub track: u8,
    /// The track's codec.
    pub codec: Codec,
    /// Composition offset in signed milliseconds; 0 where the form has none.
    pub cts_ms: i32,
    /// The codec bytes: configuration record, access unit.
    pub body: &'a [u8],
}

/// Iterator over the tracks of one message; see [`tracks`].
#[derive(Clone, Debug)]
pub struct Tracks<'a> {
    left: Left<'a>,
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Track<'a>;

    fn next(&mut self) -> Option<Track<'a>> {
        let next = match &mut self.left {
            Left::Nothing => None,
            Left::One(track) => {
                let track = *track;
                self.left = Left::Nothing;
                return Some(track);
            }
            Left::Walk(header) => match header.next_track() {
                Ok(Some(raw)) => header.open(&raw).ok(),
                Ok(None) | Err(_) => None,
            },
        };
        if next.is_none() {
            self.left = Left::Nothing;
        }
        next
    }
}

#[derive(Clone, Debug)]
enum Left<'a> {
    Nothing,
    One(Track<'a>),
    Walk(Header<'a>),
}

/// The tracks of one message in wire order; one for every message outside multitrack, none for
/// silence, commands and forms that cannot be walked. Stops at the first damage, so classify
/// with [`audio`] or [`video`] before: what they pass has none.
#[must_use]
pub fn tracks(media: Media, payload: &[u8]) -> Tracks<'_> {
    let Ok(tag) = classify(media, payload) else {
        return Tracks {
            left: Left::Nothing,
        };
    };
    if tag.enhanced {
        let left = match enhanced::head(media, payload) {
            Ok(Head::Tracks(header)) => Left::Walk(header),
            _ => Left::Nothing,
        };
        return Tracks { left };
    }
    let left = match tag.part {
        Part::Silence | Part::Command => Left::Nothing,
        _ => Left::One(Track {
            track: 0,
            codec: tag.codec,
            cts_ms: tag.cts_ms,
            body: tag.body(payload),
        }),
    };
    Tracks { left }
}

/// `track` of a message, as the payload of a message of its own: plain for track 0, OneTrack for
/// the others, without ModEx either way. `None` if the message has no such track.
#[must_use]
pub fn one_track(media: Media, payload: &[u8], track: u8) -> Option<Vec<u8>> {
    let tag = classify(media, payload).ok()?;
    if !tag.enhanced {
        return (track == 0 && !payload.is_empty()).then(|| payload.to_vec());
    }
    let Ok(Head::Tracks(mut header)) = enhanced::head(media, payload) else {
        return None;
    };
    while let Ok(Some(raw)) = header.next_track() {
        if raw.track == track {
            return Some(header.single(&raw));
        }
    }
    None
}

fn classify(media: Media, payload: &[u8]) -> Result<super::Tag, super::Malformed> {
    match media {
        Media::Audio => audio(payload),
        Media::Video => video(payload),
    }
}
