//! FourCC tags: what Enhanced RTMP puts in front of the codec bytes.
//!
//! Invariant: a `Header` hands out its tracks in wire order, each inside the message, at most
//! `TRACKS_MAX` of them; ModEx is walked at most `MOD_EX_MAX` rounds. Nothing is sized from a
//! number on the wire.
//!
//! PROTOCOL §6.2-§6.4. Layout, in the order of M-32:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | video: 1, frame type 3 bits, packet type 4 bits; audio: 9, packet type |
//! | n | while the packet type is ModEx: size, data, ModEx type and next packet type |
//! | 1 | frame type 5 and not Metadata: the command, and that is all |
//! | 1 | Multitrack: layout 4 bits, packet type 4 bits |
//! | 4 | FourCC, unless each track has its own |
//! | … | tracks: [own FourCC] [track id] [size, 24 bits] bytes; without multitrack, bytes only |

use super::cursor::Cursor;
use super::legacy::{self, COMMAND};
use super::multitrack::Track;
use super::{Codec, Malformed, Media, Part, Tag};

/// What the front of an enhanced message turned out to be.
#[derive(Clone, Debug)]
pub(super) enum Head<'a> {
    /// One or more tracks follow.
    Tracks(Header<'a>),
    /// A client-side seek; its byte lies at `at`.
    Command { at: u32, mod_ex: bool },
    /// Cannot be walked, but is not wrong either: reserved layout, endless ModEx, ModEx inside
    /// multitrack (M-39, Z-67).
    Reserved { mod_ex: bool, multitrack: bool },
}

/// The parsed front of a message, and the place of its next track.
#[derive(Clone, Debug)]
pub(super) struct Header<'a> {
    media: Media,
    /// Upper half of byte 0, in place.
    marks: u8,
    /// Packet type after all unwrapping.
    packet: u8,
    mod_ex: bool,
    layout: Layout,
    /// The FourCC all tracks share; `None` if each has its own.
    fourcc: Option<[u8; 4]>,
    cursor: Cursor<'a>,
    tracks_read: usize,
}

/// One track as it lies in the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawTrack<'a> {
    pub(super) track: u8,
    fourcc: [u8; 4],
    /// Everything that is the track's own, composition offset included.
    bytes: &'a [u8],
    /// Offset of `bytes` in the payload.
    at: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Plain,
    OneTrack,
    ManyTracks,
    ManyCodecs,
}

impl<'a> Header<'a> {
    /// The next track; `None` behind the last one.
    ///
    /// # Errors
    /// When a size leads out of the message, or there is no end to the tracks (M-51, Z-68).
    pub(super) fn next_track(&mut self) -> Result<Option<RawTrack<'a>>, Malformed> {
        let many = self.has_many();
        let is_end = if many {
            self.cursor.rest().is_empty()
        } else {
            true
        };
        // The first track is read in any case, so that a list without one is found out.
        if self.tracks_read > 0 && is_end {
            return Ok(None);
        }
        if self.tracks_read == TRACKS_MAX {
            return Err(Malformed::Tracks { max: TRACKS_MAX });
        }
        self.tracks_read = self.tracks_read.saturating_add(1);
        let fourcc = match self.fourcc {
            Some(fourcc) => fourcc,
            None => self.cursor.fourcc()?,
        };
        let track = if self.layout == Layout::Plain {
            0
        } else {
            self.cursor.u8()?
        };
        let size = if many {
            self.cursor.u24()?
        } else {
            self.cursor.rest().len()
        };
        let at = self.cursor.offset();
        Ok(Some(RawTrack {
            track,
            fourcc,
            bytes: self.cursor.take(size)?,
            at,
        }))
    }

    /// The track as codec and codec bytes.
    pub(super) fn open(&self, raw: &RawTrack<'a>) -> Result<Track<'a>, Malformed> {
        let mut cursor = Cursor::new(raw.bytes);
        let codec = self.codec(raw);
        let cts_ms = if self.has_cts(codec) {
            cursor.i24()?
        } else {
            0
        };
        Ok(Track {
            track: raw.track,
            codec,
            cts_ms,
            body: cursor.rest(),
        })
    }

    /// What the message is for, as far as `raw` is concerned.
    pub(super) fn part(&self, raw: &RawTrack<'_>) -> Part {
        let codec = self.codec(raw);
        let key = self.media == Media::Video && legacy::is_key(self.frame_type());
        match (self.media, self.packet) {
            _ if !codec.is_known() => Part::Opaque,
            (Media::Video, SEQUENCE_START) => Part::Config,
            // The other audio codecs have nothing worth keeping there (M-22).
            (Media::Audio, SEQUENCE_START) => match codec {
                Codec::Aac | Codec::Flac | Codec::Opus => Part::Config,
                _ => Part::Opaque,
            },
            (_, CODED_FRAMES) | (Media::Video, CODED_FRAMES_X) => Part::Frame { key },
            (_, SEQUENCE_END) => Part::End,
            (Media::Video, METADATA) => Part::ColorInfo,
            // Takes the place of SequenceStart, and exists for AV1 only (M-35).
            (Media::Video, MPEG2_TS_SEQUENCE_START) if codec == Codec::Av1 => Part::Config,
            (Media::Audio, MULTICHANNEL_CONFIG) => Part::ChannelConfig,
            _ => Part::Opaque,
        }
    }

    pub(super) fn codec(&self, raw: &RawTrack<'_>) -> Codec {
        Codec::from_fourcc(self.media, raw.fourcc)
    }

    /// Frame type, 0..=7; meaningless for audio.
    pub(super) fn frame_type(&self) -> u8 {
        self.marks >> 4 & 7
    }

    /// Whether the message is more than one plain enhanced tag.
    pub(super) fn is_wrapped(&self) -> bool {
        self.mod_ex || self.layout != Layout::Plain
    }

    /// `raw` as a message of its own: plain for track 0, OneTrack for the others (M-53).
    pub(super) fn single(&self, raw: &RawTrack<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(raw.bytes.len().saturating_add(SINGLE_HEAD_MAX));
        if raw.track == 0 {
            out.push(self.marks | self.packet);
            out.extend_from_slice(&raw.fourcc);
        } else {
            out.push(self.marks | multitrack(self.media));
            out.push(self.packet);
            out.extend_from_slice(&raw.fourcc);
            out.push(raw.track);
        }
        out.extend_from_slice(raw.bytes);
        out
    }

    fn has_many(&self) -> bool {
        matches!(self.layout, Layout::ManyTracks | Layout::ManyCodecs)
    }

    fn has_cts(&self, codec: Codec) -> bool {
        self.media == Media::Video && self.packet == CODED_FRAMES && codec.has_cts()
    }
}

/// Classifies an enhanced message. Every track is walked, for a message is relayed whole or not
/// at all; the tag describes the first one, and is `Opaque` only if all of them are.
pub(super) fn tag(media: Media, payload: &[u8]) -> Result<Tag, Malformed> {
    let bare = Tag {
        enhanced: true,
        ..Tag::bare(media, Part::Opaque)
    };
    let mut header = match head(media, payload)? {
        Head::Tracks(header) => header,
        Head::Command { at, mod_ex } => {
            return Ok(Tag {
                part: Part::Command,
                mod_ex,
                body_at: at,
                ..bare
            });
        }
        Head::Reserved { mod_ex, multitrack } => {
            return Ok(Tag {
                mod_ex,
                multitrack,
                ..bare
            });
        }
    };
    let mut tag = Tag {
        mod_ex: header.mod_ex,
        multitrack: header.layout != Layout::Plain,
        many_tracks: header.has_many(),
        ..bare
    };
    let mut is_first = true;
    while let Some(raw) = header.next_track()? {
        let track = header.open(&raw)?;
        if is_first {
            let offset_len = if header.has_cts(track.codec) { 3 } else { 0 };
            tag.body_at = raw.at.saturating_add(offset_len);
            (tag.codec, tag.track, tag.cts_ms) = (track.codec, track.track, track.cts_ms);
            is_first = false;
        }
        if tag.part == Part::Opaque {
            tag.part = header.part(&raw);
        }
    }
    Ok(tag)
}

/// Parses everything in front of the first track.
pub(super) fn head(media: Media, payload: &[u8]) -> Result<Head<'_>, Malformed> {
    let mut cursor = Cursor::new(payload);
    let first = cursor.u8()?;
    let mod_ex = first & 0x0F == MOD_EX;
    let (packet, at) = match unwrap_mod_ex(payload) {
        Some(unwrapped) => unwrapped,
        None if cursor.rest().len() < SHORTEST => return Err(cursor.short(SHORTEST)),
        None => {
            return Ok(Head::Reserved {
                mod_ex,
                multitrack: false,
            });
        }
    };
    cursor.take(at.saturating_sub(1))?;
    // Metadata comes with frame type 5 and is no command for that (M-33).
    if media == Media::Video && first >> 4 & 7 == COMMAND && packet != METADATA {
        let at = cursor.offset();
        cursor.u8()?;
        return Ok(Head::Command { at, mod_ex });
    }
    if cursor.rest().len() < SHORTEST {
        return Err(cursor.short(SHORTEST));
    }
    let (layout, packet) = if packet == multitrack(media) {
        let second = cursor.u8()?;
        let layout = match second >> 4 {
            0 => Layout::OneTrack,
            1 => Layout::ManyTracks,
            2 => Layout::ManyCodecs,
            _ => {
                return Ok(Head::Reserved {
                    mod_ex,
                    multitrack: true,
                });
            }
        };
        (layout, second & 0x0F)
    } else {
        (Layout::Plain, packet)
    };
    if layout != Layout::Plain && packet == multitrack(media) {
        return Err(Malformed::Nested);
    }
    // ModEx goes in front (M-32). Taken out of its list such a track would be read as wrapped.
    if layout != Layout::Plain && packet == MOD_EX {
        return Ok(Head::Reserved {
            mod_ex,
            multitrack: true,
        });
    }
    let fourcc = match layout {
        Layout::ManyCodecs => None,
        _ => Some(cursor.fourcc()?),
    };
    let marks = first & 0xF0;
    Ok(Head::Tracks(Header {
        media,
        marks,
        packet,
        mod_ex,
        layout,
        fourcc,
        cursor,
        tracks_read: 0,
    }))
}

/// The packet type behind all ModEx wrappers, and the offset of what follows them. `None` when
/// there are more than `MOD_EX_MAX` or one leads out of the message (Z-67).
pub(super) fn unwrap_mod_ex(payload: &[u8]) -> Option<(u8, usize)> {
    let mut cursor = Cursor::new(payload);
    let mut packet = cursor.u8().ok()? & 0x0F;
    for _ in 0..MOD_EX_MAX {
        if packet != MOD_EX {
            break;
        }
        // 256 in the short form says that the long form follows (M-38).
        let size = match cursor.u8().ok()? {
            u8::MAX => usize::from(cursor.u16().ok()?).saturating_add(1),
            size => usize::from(size).saturating_add(1),
        };
        cursor.take(size).ok()?;
        packet = cursor.u8().ok()? & 0x0F;
    }
    (packet != MOD_EX).then_some((packet, cursor.at()))
}

fn multitrack(media: Media) -> u8 {
    match media {
        Media::Audio => 5,
        Media::Video => 6,
    }
}

// Packet types (M-20, M-30). Those that differ between the kinds are named for theirs.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MULTICHANNEL_CONFIG: u8 = 4;
const MPEG2_TS_SEQUENCE_START: u8 = 5;
const MOD_EX: u8 = 7;

/// Bytes behind the packet type in every form but commands, reserved ones too (Z-63).
const SHORTEST: usize = 4;
/// Byte 0, layout, FourCC, track id.
const SINGLE_HEAD_MAX: usize = 7;
/// Tracks in one message (Z-68); 16 are kept for late joiners (M-54).
const TRACKS_MAX: usize = 64;
/// ModEx wrappers around one message; one kind is specified so far.
const MOD_EX_MAX: usize = 8;
