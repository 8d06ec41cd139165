//! `Headers`: what a late joiner needs before its first frame.
//!
//! Invariant: holds at most one metadata message and, per kind and track, the newest sequence
//! header, channel configuration and colour information; at most [`TRACKS_MAX`] tracks a kind are
//! kept (PROTOCOL G-01, M-53, M-54). An empty sequence header never replaces one with content
//! (M-36). Values are shared: a log keeps the headers of each of its join points by `Arc`.

use std::sync::Arc;

use super::frame::{Lane, wire_head};
use crate::codec::{self, Codec, Media, Part, Tag};
use crate::limits::{HEADERS_BYTES_MAX, METADATA_BYTES_MAX};
use crate::media::{Frame, Taste};
use crate::rtmp::amf0;
use crate::rtmp::chunk::write_message;
use crate::rtmp::message::Body;

/// Metadata and sequence headers of a stream at one moment. Cheap to clone: frames are shared.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    metadata: Option<Arc<Frame>>,
    /// In order of first appearance.
    tracks: Vec<TrackHeaders>,
}

/// The headers of one track.
#[derive(Clone, Debug)]
struct TrackHeaders {
    media: Media,
    track: u8,
    codec: Codec,
    config: Option<Arc<Frame>>,
    channels: Option<Arc<Frame>>,
    color: Option<Arc<Frame>>,
}

impl Headers {
    /// Nothing is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metadata.is_none() && self.tracks.is_empty()
    }

    /// Takes note of a frame whose traits say `header`.
    pub fn note(&mut self, frame: &Arc<Frame>) {
        let Some(tag) = frame.tag() else {
            self.note_metadata(frame);
            return;
        };
        if !tag.many_tracks {
            self.note_track(*tag, frame);
            return;
        }
        // One message with the headers of several tracks is kept as one message per track, so that
        // a player gets just the tracks it can take (M-53).
        for track in codec::tracks(tag.media, frame.payload()).take(TRACKS_MAX * 2) {
            let Some(payload) = codec::one_track(tag.media, frame.payload(), track.track) else {
                continue;
            };
            let single = match tag.media {
                Media::Audio => codec::audio(&payload),
                Media::Video => codec::video(&payload),
            };
            let Ok(single) = single else { continue };
            let body = Body::with_payload(&payload);
            let (at, chunk_size) = (frame.timestamp_ms(), frame.chunk_size());
            let built = Frame::build(body, frame.traits(), Some(single), at, chunk_size);
            self.note_track(single, &Arc::new(built));
        }
    }

    fn note_metadata(&mut self, frame: &Arc<Frame>) {
        let kept = !is_clear(frame.payload()) && frame.payload().len() <= METADATA_BYTES_MAX;
        self.metadata = kept.then(|| Arc::clone(frame));
    }

    fn note_track(&mut self, tag: Tag, frame: &Arc<Frame>) {
        let held_bytes = self.memory_bytes();
        let Some(track) = self.track_mut(&tag) else {
            return;
        };
        if track.codec != tag.codec {
            // Another codec: nothing of the old one is valid any more (M-11).
            (track.config, track.channels, track.color) = (None, None, None);
            track.codec = tag.codec;
        }
        let slot = match tag.part {
            Part::Config => &mut track.config,
            Part::ChannelConfig => &mut track.channels,
            Part::ColorInfo => &mut track.color,
            _ => return,
        };
        if tag.body(frame.payload()).is_empty() && slot.is_some() {
            return;
        }
        // Nobody's real configuration is that large: it is relayed, but not kept.
        let fits = held_bytes + frame.memory_bytes() <= HEADERS_BYTES_MAX;
        *slot = fits.then(|| Arc::clone(frame));
    }

    /// The headers of a message's track, made room for if it is new.
    fn track_mut(&mut self, tag: &Tag) -> Option<&mut TrackHeaders> {
        let same = |t: &TrackHeaders| t.media == tag.media && t.track == tag.track;
        if let Some(place) = self.tracks.iter().position(same) {
            return self.tracks.get_mut(place);
        }
        if self.tracks.iter().filter(|t| t.media == tag.media).count() >= TRACKS_MAX {
            return None;
        }
        self.tracks.push(TrackHeaders {
            media: tag.media,
            track: tag.track,
            codec: tag.codec,
            config: None,
            channels: None,
            color: None,
        });
        self.tracks.last_mut()
    }

    /// The metadata message, if one is known.
    #[must_use]
    pub fn metadata(&self) -> Option<&Arc<Frame>> {
        self.metadata.as_ref()
    }

    /// The newest sequence header of each track, in order of appearance.
    pub fn configs(&self) -> impl Iterator<Item = &Arc<Frame>> {
        self.tracks.iter().filter_map(|t| t.config.as_ref())
    }

    /// All of it in the order a player wants: metadata, audio, then video (C-62).
    pub fn frames(&self) -> impl Iterator<Item = &Arc<Frame>> {
        let of = |media: Media| {
            self.tracks
                .iter()
                .filter(move |t| t.media == media)
                .flat_map(|t| [&t.config, &t.channels, &t.color])
                .flatten()
        };
        self.metadata
            .iter()
            .chain(of(Media::Audio))
            .chain(of(Media::Video))
    }

    /// Writes them for one player with the time of the frame it starts at (K-39).
    pub fn write(&self, taste: &Taste, timestamp_ms: u64, stream_id: u32, out: &mut Vec<u8>) {
        for frame in self.frames() {
            let Some(frame) = taste.choose(frame) else {
                continue;
            };
            let head = wire_head(frame.traits().lane, timestamp_ms, stream_id);
            write_message(out, &head, frame.payload(), frame.chunk_size());
        }
    }

    /// Memory the headers hold, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.frames().map(|f| f.memory_bytes()).sum()
    }
}

/// Name of a data message (`onMetaData`, …), if it starts with a string.
#[must_use]
fn data_name(payload: &[u8]) -> Option<&[u8]> {
    amf0::first_string(payload).map(|(name, _)| name)
}

/// A publisher's wish to forget the metadata; for the server, not for players (C-90).
#[must_use]
pub(super) fn is_clear(payload: &[u8]) -> bool {
    data_name(payload) == Some(b"@clearDataFrame")
}

/// A data message that belongs to the headers.
#[must_use]
fn is_metadata(payload: &[u8]) -> bool {
    data_name(payload) == Some(b"onMetaData") || is_clear(payload)
}

impl Lane {
    /// Whether a message with this classification or payload is a header.
    #[must_use]
    pub fn is_header(self, tag: Option<&Tag>, payload: &[u8]) -> bool {
        match tag {
            Some(tag) => matches!(
                tag.part,
                Part::Config | Part::ChannelConfig | Part::ColorInfo
            ),
            None => self == Self::Data && is_metadata(payload),
        }
    }
}

/// Tracks kept per kind (M-54).
const TRACKS_MAX: usize = 16;
