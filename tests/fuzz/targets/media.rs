//! Messages of a publisher, from classification to the wire of two kinds of player.
//!
//! Input: chunk size, then messages: kind, pause, time, length, payload.
//!
//! Laws: a track taken out of a message is that track; a rewrite says the same in fewer words;
//! what goes to a player parses back to the same payload; the clock of a track never runs back;
//! and headers kept for late joiners stay below their bound and are not sent twice.

use std::sync::Arc;

use corecast::codec::{self, Malformed, Media, Plain, Tag};
use corecast::config::{Enhanced, Multitrack};
use corecast::ids::{ConnId, PlayerId, Run, WorkerId};
use corecast::limits::{HEADERS_BYTES_MAX, ReaderLimits};
use corecast::live::Publication;
use corecast::media::{Frame, Gather, Headers, Known, Stamp, Taste};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::chunk::ChunkReader;
use corecast::rtmp::message::{Body, Kind, Message};
use corecast::time::Millis;

use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let chunk_size = 128 + u32::from(taker.u16());
    let mut now = Millis(1_000);
    let mut publication = Publication::new(publisher(), Run(1), None, now);
    let mut headers = Headers::default();
    let mut clock_ms = 0;
    while !taker.is_empty() {
        let kind = [Kind::Video, Kind::Audio, Kind::DataAmf0][usize::from(taker.u8() % 3)];
        now = now + PAUSES_MS[usize::from(taker.u8()) % PAUSES_MS.len()];
        let timestamp = taker.u32();
        let len = usize::from(taker.u16());
        let payload = taker.bytes(len);
        match kind {
            Kind::Video => classified(Media::Video, payload),
            Kind::Audio => classified(Media::Audio, payload),
            _ => {}
        }
        let message = Message {
            kind,
            timestamp,
            stream_id: 1,
            body: Body::with_payload(payload),
        };
        let Some(frame) = publication.frame(message, chunk_size, now) else {
            continue;
        };
        assert_eq!(frame.payload(), payload);
        assert!(publication.clock_ms() >= clock_ms, "the clock runs back");
        clock_ms = publication.clock_ms();
        let frame = Arc::new(frame);
        publication.is_repeated_metadata(&frame);
        if frame.traits().header {
            headers.note(&frame);
            assert!(headers.memory_bytes() <= HEADERS_BYTES_MAX);
        }
        for taste in tastes() {
            if let Some(chosen) = taste.choose(&frame) {
                played(chosen, chunk_size, clock_ms);
            }
        }
    }
    for taste in tastes() {
        let stamp = Stamp {
            stream_id: 1,
            base_ms: 0,
        };
        let mut wire = Vec::new();
        let mut known = Known::default();
        headers.write(&taste, &mut known, clock_ms, stamp, &mut wire);
        assert!(parsed(&wire, chunk_size).len() <= headers.frames().count() * 2);
        wire.clear();
        headers.write(&taste, &mut known, clock_ms, stamp, &mut wire);
        assert!(wire.is_empty(), "a header is sent twice");
    }
    let report = &publication.report;
    assert!(report.tracks().len() < 200);
}

fn classify(media: Media, payload: &[u8]) -> Result<Tag, Malformed> {
    match media {
        Media::Audio => codec::audio(payload),
        Media::Video => codec::video(payload),
    }
}

fn classified(media: Media, payload: &[u8]) {
    let tag = match classify(media, payload) {
        Ok(tag) => tag,
        Err(malformed) => {
            assert!(malformed.to_string().len() < 100);
            assert_eq!(codec::tracks(media, payload).count(), 0);
            return;
        }
    };
    assert_eq!(tag.media, media);
    assert!((-(1 << 23)..1 << 23).contains(&tag.cts_ms));
    let _ = codec::shape(&tag, tag.body(payload));
    let count = codec::tracks(media, payload).count();
    assert!(count <= 64 && (tag.many_tracks || count <= 1));
    for track in codec::tracks(media, payload) {
        if !tag.many_tracks {
            assert_eq!(track.body, tag.body(payload));
        }
        let single = codec::one_track(media, payload, track.track).unwrap();
        assert!(single.len() <= payload.len() + 8);
        let alone = classify(media, &single).unwrap();
        let found = (alone.many_tracks, alone.mod_ex, alone.track);
        assert_eq!(found, (false, false, track.track));
    }
    if let Plain::Rewritten(bytes) = codec::without_mod_ex(&tag, payload) {
        let after = classify(media, &bytes).unwrap();
        assert!(!after.mod_ex && bytes.len() < payload.len());
        assert_eq!(
            (after.codec, after.part, after.track),
            (tag.codec, tag.part, tag.track)
        );
        // What cannot be walked has no body of its own.
        if tag.body_at > 0 {
            assert_eq!(after.body(&bytes), tag.body(payload));
        }
    }
    if let Plain::Rewritten(bytes) = codec::plain(&tag, payload) {
        let after = classify(media, &bytes).unwrap();
        assert!(!after.multitrack && !after.mod_ex && after.track == 0);
        assert_eq!(after.enhanced, !after.codec.has_legacy_form());
        assert!(bytes.len() <= payload.len() + 8);
        assert_eq!(codec::plain(&after, &bytes), Plain::Same, "plain is plain");
    }
}

/// What a player gets of a frame, as it is and with heads of its own, says what the frame says.
fn played(frame: &Frame, chunk_size: u32, clock_ms: u64) {
    let stamp = Stamp {
        stream_id: 5,
        base_ms: clock_ms / 2,
    };
    let mut written = Vec::new();
    frame.write_heads(stamp, &mut written);
    let mut left = written.as_slice();
    let heads = frame.split_heads(stamp, &mut left).unwrap();
    assert!(left.is_empty());
    for (heads, stamp) in [
        (
            None,
            Stamp {
                stream_id: 1,
                base_ms: 0,
            },
        ),
        (Some(heads), stamp),
    ] {
        let mut wire = Vec::new();
        let len = frame.wire_len(stamp);
        while wire.len() < len {
            let mut gather = Gather::new();
            let added = frame.gather(heads, wire.len(), &mut gather);
            assert!(added > 0 && added == gather.bytes(), "a frame ends early");
            gather
                .slices()
                .iter()
                .for_each(|slice| wire.extend_from_slice(slice));
        }
        assert_eq!(wire.len(), len);
        let messages = parsed(&wire, chunk_size);
        let [message] = messages.as_slice() else {
            panic!("one frame became {} messages", messages.len());
        };
        assert_eq!(message.payload(), frame.payload());
        assert_eq!(message.stream_id, stamp.stream_id);
        let wire_ms = frame.timestamp_ms().saturating_sub(stamp.base_ms) as u32;
        assert_eq!(message.timestamp, wire_ms);
        assert_eq!(message.kind, frame.traits().lane.kind());
    }
}

fn parsed(mut wire: &[u8], chunk_size: u32) -> Vec<Message> {
    let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
    reader.set_chunk_size(chunk_size).unwrap();
    let messages = std::iter::from_fn(|| reader.read(&mut wire).unwrap()).collect();
    assert_eq!(reader.partial_bytes(), 0);
    messages
}

/// A player that said nothing, one that takes all, one whose operator is strict.
fn tastes() -> [Taste; 3] {
    let all = Caps {
        enhanced: true,
        multitrack: true,
        mod_ex: true,
        ..Caps::default()
    };
    [
        Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable),
        Taste::new(&all, Enhanced::Forward, Multitrack::All),
        Taste::new(&Caps::default(), Enhanced::Strict, Multitrack::Capable),
    ]
}

fn publisher() -> PlayerId {
    PlayerId {
        conn: ConnId {
            worker: WorkerId(0),
            index: 0,
            generation: 0,
        },
        stream_id: 1,
    }
}

/// From within a frame to beyond every deadline and 49.7 days.
const PAUSES_MS: [u64; 6] = [0, 1, 40, 4_000, 20_000, 5_000_000_000];
