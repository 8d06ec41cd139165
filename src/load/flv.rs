//! A reader of FLV files: the tags that an RTMP publisher sends.
//!
//! Invariant: a file is read whole or refused with the place of the damage; a last tag that is cut
//! short (a recording that was interrupted) is left out. FLV 10.1, Annex E.

use crate::rtmp::message::Kind;
use crate::wire::Reader;

/// One tag: what one RTMP message becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or data.
    pub kind: Kind,
    /// Milliseconds.
    pub timestamp: u32,
    /// The tag's body.
    pub payload: Vec<u8>,
}

/// Why a file is not one to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// It does not begin with `FLV` and a header of nine bytes or more.
    #[error("not an FLV file")]
    NotFlv,
    /// A tag of a type that FLV does not know.
    #[error("tag type {found} at byte {at}; 8, 9 and 18 are known")]
    Type {
        /// The type byte without its filter bit.
        found: u8,
        /// Where the tag begins.
        at: usize,
    },
    /// The payload is encrypted or otherwise filtered.
    #[error("the tag at byte {at} is encrypted")]
    Filtered {
        /// Where the tag begins.
        at: usize,
    },
}

/// Reads all tags of a file.
///
/// # Errors
/// `FlvError`: the bytes are no FLV, or one this tool cannot use.
pub fn read(bytes: &[u8]) -> Result<Vec<Tag>, FlvError> {
    let mut rest = header(bytes).ok_or(FlvError::NotFlv)?;
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let first = rest.rest().first().copied().unwrap_or_default();
        if first & 0x20 != 0 {
            return Err(FlvError::Filtered { at });
        }
        let kind = match first & 0x1F {
            8 => Kind::Audio,
            9 => Kind::Video,
            18 => Kind::DataAmf0,
            found => return Err(FlvError::Type { found, at }),
        };
        match tag(&mut rest, kind) {
            Some(tag) => tags.push(tag),
            None => break,
        }
    }
    Ok(tags)
}

/// What follows the file header and the first "previous tag size".
fn header(bytes: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(bytes.strip_prefix(b"FLV")?);
    let (_version, _flags) = (reader.u8().ok()?, reader.u8().ok()?);
    let offset = usize::try_from(reader.u32().ok()?).ok()?;
    reader.bytes(offset.checked_sub(HEADER_BYTES)?).ok()?;
    if !reader.is_empty() {
        reader.u32().ok()?;
    }
    Some(reader)
}

/// One tag with the size behind it; `None` when the file ends in the middle of it.
fn tag(reader: &mut Reader<'_>, kind: Kind) -> Option<Tag> {
    reader.u8().ok()?;
    let len = usize::try_from(reader.u24().ok()?).ok()?;
    let low = reader.u24().ok()?;
    let high = u32::from(reader.u8().ok()?);
    let _stream = reader.u24().ok()?;
    let payload = reader.bytes(len).ok()?.to_vec();
    if reader.u32().is_err() {
        // The size of the last tag is missing, in part or wholly, in some files.
        let _ = reader.bytes(reader.len());
    }
    Some(Tag {
        kind,
        timestamp: high << 24 | low,
        payload,
    })
}

const HEADER_BYTES: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 13] = [
        b'F', b'L', b'V', 1, 5, // version, audio and video
        0, 0, 0, 9, // offset of the body
        0, 0, 0, 0, // size of the tag before the first
    ];
    const VIDEO: [u8; 18] = [
        9, // type
        0, 0, 3, // size
        0x34, 0x56, 0x78, 0x12, // timestamp, its high byte last
        0, 0, 0, // stream id
        0x17, 1, 2, // body
        0, 0, 0, 14, // size of this tag
    ];

    #[test]
    fn a_tag_is_read_with_its_extended_timestamp() {
        let tags = read(&[&HEADER[..], &VIDEO].concat()).unwrap();
        let tag = Tag {
            kind: Kind::Video,
            timestamp: 0x1234_5678,
            payload: vec![0x17, 1, 2],
        };
        assert_eq!(tags, [tag]);
    }

    #[test]
    fn a_last_tag_that_is_cut_short_is_left_out() {
        let whole = [&HEADER[..], &VIDEO, &VIDEO].concat();
        for cut in 1..4 {
            assert_eq!(read(&whole[..whole.len() - cut]).unwrap().len(), 2);
        }
        for cut in 5..17 {
            assert_eq!(read(&whole[..whole.len() - cut]).unwrap().len(), 1, "{cut}");
        }
    }

    #[test]
    fn what_is_no_flv_is_refused_with_the_place() {
        assert_eq!(read(b"ftypmp42"), Err(FlvError::NotFlv));
        assert_eq!(read(b"FLV"), Err(FlvError::NotFlv));
        assert_eq!(
            read(b"FLV\x01\x05\0\0\0\x05\0\0\0\0"),
            Err(FlvError::NotFlv)
        );
        let mut strange = [&HEADER[..], &VIDEO, &VIDEO].concat();
        strange[HEADER.len() + VIDEO.len()] = 11;
        assert_eq!(read(&strange), Err(FlvError::Type { found: 11, at: 31 }));
        strange[HEADER.len()] = 0x29;
        assert_eq!(read(&strange), Err(FlvError::Filtered { at: 13 }));
    }

    #[test]
    fn a_file_without_tags_has_none() {
        assert_eq!(read(&HEADER), Ok(vec![]));
        assert_eq!(read(&HEADER[..9]), Ok(vec![]));
    }
}
