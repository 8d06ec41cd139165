//! `Headers`: what a late joiner needs before its first frame.
//!
//! Invariant: holds at most one metadata message and, per kind and track, the newest sequence
//! header, channel configuration and colour information; at most [`TRACKS_MAX`] tracks a kind
//! (PROTOCOL G-01, M-53, M-54) and [`HEADERS_BYTES_MAX`] of memory are kept. An empty sequence
//! header never replaces one with content (M-36). Values are shared: a log keeps the headers of
//! each of its join points by `Arc`.

use std::sync::Arc;

use super::frame::{Lane, wire_head};
use crate::codec::{self, Codec, Media, Part, Tag};
use crate::limits::{HEADERS_BYTES_MAX, METADATA_BYTES_MAX};
use crate::media::{Frame, Known, Stamp, Taste};
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

    /// Takes note of a header, or of the first frame of a codec that has none.
    pub fn note(&mut self, frame: &Arc<Frame>) {
        let Some(tag) = frame.tag() else {
            self.note_metadata(frame);
            return;
        };
        if !tag.many_tracks || frame.is_bare() {
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
        self.metadata = None;
        let kept = !is_clear(frame.payload())
            && frame.payload().len() <= METADATA_BYTES_MAX
            && self.memory_bytes() + frame.memory_bytes() <= HEADERS_BYTES_MAX;
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

    /// Writes those that a player does not know, with the time of the frame it starts at (K-39);
    /// see [`Lane::header_ms`] for the metadata. From then on it knows them.
    pub fn write(
        &self,
        taste: &Taste,
        known: &mut Known,
        timestamp_ms: u64,
        stamp: Stamp,
        out: &mut Vec<u8>,
    ) {
        let at_ms = timestamp_ms.saturating_sub(stamp.base_ms);
        for track in self.tracks.iter().filter(|t| t.config.is_none()) {
            known.expect(track.media, track.track, track.codec);
        }
        for frame in self.frames() {
            let Some(frame) = taste.choose(frame) else {
                continue;
            };
            if known.covers(frame) {
                continue;
            }
            known.note(frame);
            let lane = frame.traits().lane;
            let head = wire_head(lane, lane.header_ms(at_ms), stamp.stream_id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Enhanced, Multitrack};
    use crate::limits::ReaderLimits;
    use crate::media::Traits;
    use crate::rtmp::caps::Caps;
    use crate::rtmp::chunk::ChunkReader;

    fn frame(lane: Lane, payload: &[u8]) -> Arc<Frame> {
        let tag = match lane {
            Lane::Audio => codec::audio(payload).ok(),
            Lane::Video => codec::video(payload).ok(),
            Lane::Data => None,
        };
        let header = lane.is_header(tag.as_ref(), payload);
        let traits = Traits {
            lane,
            join: false,
            header,
        };
        Arc::new(Frame::build(
            Body::with_payload(payload),
            traits,
            tag,
            0,
            128,
        ))
    }

    fn noted(frames: &[(Lane, &[u8])]) -> Headers {
        let mut headers = Headers::default();
        for (lane, payload) in frames {
            headers.note(&frame(*lane, payload));
        }
        headers
    }

    fn payloads(headers: &Headers) -> Vec<&[u8]> {
        headers.frames().map(|frame| frame.payload()).collect()
    }

    const AVC: &[u8] = &[0x17, 0, 0, 0, 0, 1];
    const AAC: &[u8] = &[0xAF, 0, 0x12, 0x10];
    const AV1: &[u8] = b"\x90av01\x81\x00";
    const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x05";

    #[test]
    fn headers_go_out_as_metadata_audio_video_whatever_order_they_came_in() {
        let headers = noted(&[
            (Lane::Video, AVC),
            (Lane::Audio, AAC),
            (Lane::Data, METADATA),
        ]);
        assert_eq!(payloads(&headers), [METADATA, AAC, AVC]);
    }

    #[test]
    fn an_empty_av1_config_does_not_replace_a_real_one() {
        let headers = noted(&[(Lane::Video, AV1), (Lane::Video, b"\x90av01")]);
        assert_eq!(payloads(&headers), [AV1]);
        let headers = noted(&[(Lane::Video, b"\x90av01"), (Lane::Video, AV1)]);
        assert_eq!(payloads(&headers), [AV1]);
    }

    #[test]
    fn a_new_config_replaces_the_old_one_and_another_codec_forgets_it() {
        let newer: &[u8] = &[0x17, 0, 0, 0, 0, 2];
        assert_eq!(
            payloads(&noted(&[(Lane::Video, AVC), (Lane::Video, newer)])),
            [newer]
        );
        assert_eq!(
            payloads(&noted(&[(Lane::Video, AVC), (Lane::Video, AV1)])),
            [AV1]
        );
    }

    #[test]
    fn a_list_of_configs_is_kept_track_by_track() {
        // 0x96: key, multitrack; 0x10: many tracks of one codec, sequence start.
        let list = b"\x96\x10avc1\x00\x00\x00\x01\xAA\x01\x00\x00\x01\xBB";
        let headers = noted(&[(Lane::Video, list)]);
        let tracks: Vec<u8> = headers
            .configs()
            .filter_map(|f| f.tag())
            .map(|t| t.track)
            .collect();
        assert_eq!(tracks, [0, 1]);
        assert!(
            headers
                .configs()
                .all(|f| f.tag().is_some_and(|tag| !tag.many_tracks))
        );
    }

    #[test]
    fn no_more_than_sixteen_tracks_are_kept() {
        let mut headers = Headers::default();
        for track in 0..40 {
            let one = [b"\x96\x00avc1".as_slice(), &[track, 0xAA]].concat();
            headers.note(&frame(Lane::Video, &one));
        }
        assert_eq!(headers.configs().count(), TRACKS_MAX);
    }

    #[test]
    fn metadata_is_forgotten_on_request_and_never_kept_when_it_is_huge() {
        let clear: &[u8] = b"\x02\x00\x0f@clearDataFrame";
        assert!(
            noted(&[(Lane::Data, METADATA), (Lane::Data, clear)])
                .metadata()
                .is_none()
        );
        let huge = [METADATA, &vec![0; METADATA_BYTES_MAX]].concat();
        assert!(
            noted(&[(Lane::Data, METADATA), (Lane::Data, &huge)])
                .metadata()
                .is_none()
        );
    }

    #[test]
    fn metadata_and_configs_together_keep_to_the_bound_in_any_order() {
        let config = [AVC, &vec![0; 70 << 10]].concat();
        let metadata = [METADATA, &vec![0; METADATA_BYTES_MAX - 64]].concat();
        let (video, data) = ((Lane::Video, &config[..]), (Lane::Data, &metadata[..]));
        for order in [[video, data], [data, video]] {
            let headers = noted(&order);
            assert!(headers.memory_bytes() <= HEADERS_BYTES_MAX);
            assert_eq!(headers.frames().count(), 1, "the first is kept");
        }
    }

    #[test]
    fn a_player_gets_headers_with_the_time_and_the_stream_it_starts_at() {
        let headers = noted(&[(Lane::Video, AVC), (Lane::Audio, AAC)]);
        let taste = Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable);
        let mut out = Vec::new();
        let stamp = Stamp {
            stream_id: 7,
            base_ms: 0,
        };
        headers.write(&taste, &mut Known::default(), 20_000_000, stamp, &mut out);
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        let mut input = out.as_slice();
        for payload in [AAC, AVC] {
            let message = reader.read(&mut input).unwrap().unwrap();
            assert_eq!((message.timestamp, message.stream_id), (20_000_000, 7));
            assert_eq!(message.payload(), payload);
        }
        assert!(input.is_empty());
    }
}
