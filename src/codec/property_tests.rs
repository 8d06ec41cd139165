//! Laws of the folder: whatever comes in, everything returns; what is split or rewritten says the
//! same as before.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Codec, Media, Part, Plain, Tag, audio, one_track, plain, shape, tracks};
use super::{video, without_mod_ex};

fn classify(media: Media, payload: &[u8]) -> Result<Tag, super::Malformed> {
    match media {
        Media::Audio => audio(payload),
        Media::Video => video(payload),
    }
}

/// Everything the folder can do with a payload.
fn exercise(media: Media, payload: &[u8]) {
    let Ok(tag) = classify(media, payload) else {
        return;
    };
    let walked: Vec<_> = tracks(media, payload).collect();
    assert!(walked.len() <= 64);
    assert!(tag.many_tracks || walked.len() <= 1);
    assert!((-(1 << 23)..1 << 23).contains(&tag.cts_ms));
    if let [only] = walked.as_slice()
        && !tag.many_tracks
    {
        assert_eq!(only.body, tag.body(payload));
    }
    for track in &walked {
        let single = one_track(media, payload, track.track).unwrap();
        let alone = classify(media, &single).unwrap();
        assert_eq!(
            (alone.many_tracks, alone.mod_ex, alone.track),
            (false, false, track.track)
        );
    }
    let _ = shape(&tag, tag.body(payload));
    for rewritten in [plain(&tag, payload), without_mod_ex(&tag, payload)] {
        if let Plain::Rewritten(bytes) = rewritten {
            let after = classify(media, &bytes).unwrap();
            assert!(!after.mod_ex);
        }
    }
    if let Plain::Rewritten(bytes) = plain(&tag, payload) {
        let after = classify(media, &bytes).unwrap();
        assert!(!after.multitrack && after.track == 0);
        assert_eq!(after.enhanced, !after.codec.has_legacy_form());
    }
}

/// Bytes that look like a message more often than chance would have it.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let first = select(vec![
        0x17_u8, 0x1C, 0x27, 0x57, 0x86, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0xAF,
        0xD4, 0xD6, 0xD7,
    ]);
    let wrap = prop_oneof![
        Just(Vec::new()),
        vec(any::<u8>(), 1..3),
        Just(vec![0, 0xAA, 0x06, 0x11]),
        Just(vec![0, 0xAA, 0x05, 0x21]),
    ];
    let names = vec![
        *b"avc1", *b"hvc1", *b"av01", *b"mp4a", *b".mp3", *b"Opus", *b"fLaC", *b"zzzz",
    ];
    let tail = prop_oneof![
        vec(any::<u8>(), 0..64),
        vec(any::<u8>(), 0..4).prop_map(|sizes| {
            sizes
                .iter()
                .flat_map(|n| [&[*n, 0, 0, n % 8][..], &vec![9; usize::from(n % 8)]].concat())
                .collect()
        }),
    ];
    (first, wrap, select(names), tail)
        .prop_map(|(first, wrap, name, tail)| [&[first][..], &wrap, &name, &tail].concat())
}

/// Track ids without repetition, each with its bytes.
fn track_list() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    proptest::collection::btree_map(any::<u8>(), vec(any::<u8>(), 3..40), 1..8)
        .prop_map(|tracks| tracks.into_iter().collect())
}

fn codec_of(record: usize) -> Tag {
    let payloads: [&[u8]; 6] = [
        b"\x90avc1",
        b"\x90hvc1",
        b"\x90av01",
        b"\x90mp4a",
        b"\x90Opus",
        b"\x90fLaC",
    ];
    let payload = payloads[record];
    if record < 3 {
        video(payload).unwrap()
    } else {
        audio(payload).unwrap()
    }
}

/// How records begin.
const HEADS: [&[u8]; 5] = [
    b"",
    b"\x01",
    b"\x81\x00\x00\x00\x0A\x20",
    b"OpusHead",
    b"fLaC\x80",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_break_anything(payload in vec(any::<u8>(), 0..200)) {
        exercise(Media::Audio, &payload);
        exercise(Media::Video, &payload);
    }

    #[test]
    fn no_near_message_breaks_anything(payload in message()) {
        exercise(Media::Audio, &payload);
        exercise(Media::Video, &payload);
    }

    #[test]
    fn no_record_breaks_the_shape(
        record in 0_usize..6,
        head in select(HEADS.to_vec()),
        sps in any::<bool>(),
        body in vec(any::<u8>(), 0..120),
    ) {
        // One parameter set, so that its parser sees the noise.
        let avc: &[u8] = if sps { &[66, 0, 30, 0xFF, 0xE1, 0, 80, 0x67, 100, 0, 30] } else { &[] };
        let _ = shape(&codec_of(record), &[head, avc, &body].concat());
    }

    #[test]
    fn a_list_splits_into_what_went_in(
        list in track_list(),
        codecs in select(vec![[*b"avc1", *b"hvc1"], [*b"av01", *b"vvc1"], [*b"hvc1", *b"hvc1"]]),
        own_codecs in any::<bool>(),
        packet in select(vec![0_u8, 1, 3, 4]),
        frame_type in 1_u8..4,
    ) {
        let marks = 0x80 | frame_type << 4;
        let codec = |at: usize| codecs[if own_codecs { at % 2 } else { 0 }];
        let mut payload = vec![marks | 6, if own_codecs { 0x20 } else { 0x10 } | packet];
        if !own_codecs {
            payload.extend_from_slice(&codec(0));
        }
        for (at, (track, bytes)) in list.iter().enumerate() {
            if own_codecs {
                payload.extend_from_slice(&codec(at));
            }
            payload.extend_from_slice(&[*track, 0, 0, bytes.len() as u8]);
            payload.extend_from_slice(bytes);
        }
        prop_assert!(video(&payload).unwrap().many_tracks);
        prop_assert_eq!(tracks(Media::Video, &payload).count(), list.len());
        for (at, (track, bytes)) in list.iter().enumerate() {
            let single = one_track(Media::Video, &payload, *track).unwrap();
            let expected = match track {
                0 => [&[marks | packet][..], &codec(at), bytes].concat(),
                _ => [&[marks | 6, packet][..], &codec(at), &[*track], bytes].concat(),
            };
            prop_assert_eq!(&single, &expected);
        }
    }
}

#[test]
fn h264_becomes_legacy_byte_for_byte() {
    let pairs: [(&[u8], &[u8]); 7] = [
        (b"\x90avc1\x01\x64", b"\x17\x00\x00\x00\x00\x01\x64"),
        (b"\x91avc1\x00\x00\x50nalus", b"\x17\x01\x00\x00\x50nalus"),
        (b"\xA1avc1\xFF\xFF\xD8nalus", b"\x27\x01\xFF\xFF\xD8nalus"),
        (b"\x93avc1nalus", b"\x17\x01\x00\x00\x00nalus"),
        (b"\xA3avc1nalus", b"\x27\x01\x00\x00\x00nalus"),
        (b"\xB3avc1nalus", b"\x37\x01\x00\x00\x00nalus"),
        (b"\xA2avc1", b"\x17\x02\x00\x00\x00"),
    ];
    for (enhanced, legacy) in pairs {
        let before = video(enhanced).unwrap();
        assert_eq!(plain(&before, enhanced), Plain::Rewritten(legacy.to_vec()));
        let after = video(legacy).unwrap();
        assert_eq!((after.codec, after.part), (before.codec, before.part));
        assert_eq!(after.cts_ms, before.cts_ms);
        assert_eq!(after.body(legacy), before.body(enhanced));
    }
}

#[test]
fn sound_becomes_legacy_byte_for_byte() {
    let pairs: [(&[u8], &[u8]); 3] = [
        (b"\x90mp4a\x12\x10", b"\xAF\x00\x12\x10"),
        (b"\x91mp4aabc", b"\xAF\x01abc"),
        (b"\x91.mp3abc", b"\x2Fabc"),
    ];
    for (enhanced, legacy) in pairs {
        let tag = audio(enhanced).unwrap();
        assert_eq!(plain(&tag, enhanced), Plain::Rewritten(legacy.to_vec()));
    }
}

#[test]
fn what_has_no_legacy_meaning_is_not_sent_as_one() {
    for nothing in [
        &b"\xD4avc1\x02"[..],
        b"\x98avc1abc",
        b"\xD0\x00",
        b"\x96\x03avc1\x01abc",
    ] {
        assert_eq!(
            plain(&video(nothing).unwrap(), nothing),
            Plain::Nothing,
            "{nothing:02X?}"
        );
    }
    for nothing in [
        &b"\x94mp4a\x00\x02"[..],
        b"\x92mp4a",
        b"\x90.mp3",
        b"\x95\x01Opus\x01abc",
    ] {
        assert_eq!(
            plain(&audio(nothing).unwrap(), nothing),
            Plain::Nothing,
            "{nothing:02X?}"
        );
    }
}

#[test]
fn other_codecs_stay_enhanced_and_lose_their_wrapping() {
    for same in [
        &b"\x91hvc1\x00\x00\x21abc"[..],
        b"\xD4hvc1\x02",
        b"\x17\x01\x00\x00\x00abc",
    ] {
        assert_eq!(
            plain(&video(same).unwrap(), same),
            Plain::Same,
            "{same:02X?}"
        );
    }
    assert_eq!(plain(&audio(b"").unwrap(), b""), Plain::Same);
    let wrapped =
        b"\x97\x00\xAA\x06\x11hvc1\x01\x00\x00\x04\x00\x00\x21a\x00\x00\x00\x04\x00\x00\x22b";
    let expected = Plain::Rewritten(b"\x91hvc1\x00\x00\x22b".to_vec());
    assert_eq!(plain(&video(wrapped).unwrap(), wrapped), expected);
    // track 0 of H.264 inside a list is legacy in the end
    let list = b"\xA6\x13avc1\x00\x00\x00\x01a\x01\x00\x00\x01b";
    let expected = Plain::Rewritten(b"\x27\x01\x00\x00\x00a".to_vec());
    assert_eq!(plain(&video(list).unwrap(), list), expected);
}

#[test]
fn a_legacy_message_is_one_track() {
    let payload = b"\x17\x01\x00\x00\x50abc";
    let seen: Vec<_> = tracks(Media::Video, payload).collect();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].codec, seen[0].cts_ms, seen[0].body),
        (Codec::Avc, 80, &b"abc"[..])
    );
    assert_eq!(
        one_track(Media::Video, payload, 0).as_deref(),
        Some(&payload[..])
    );
    assert_eq!(one_track(Media::Video, payload, 1), None);
    assert_eq!(tracks(Media::Audio, b"").count(), 0);
    assert_eq!(tracks(Media::Video, b"\x57\x00").count(), 0);
    assert_eq!(video(b"\x57\x00").unwrap().part, Part::Command);
}
