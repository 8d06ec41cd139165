//! FourCC tags.
use super::{Malformed, Media, Part, Tag};

pub(super) fn tag(media: Media, _payload: &[u8]) -> Result<Tag, Malformed> {
    Ok(Tag {
        enhanced: true,
        ..Tag::bare(media, Part::Opaque)
    })
}
