//! Golden messages: what each of PROTOCOL §12 (B-01…B-09) is, and the hostile ones of §11.

use super::{Codec, Malformed, Part, Tag, audio, one_track, tracks, video};
use super::{Media, Plain, plain, without_mod_ex};

const KEY: Part = Part::Frame { key: true };
const INTER: Part = Part::Frame { key: false };

/// Codec, part, track, composition offset and body of a video message.
fn seen(payload: &[u8]) -> (Codec, Part, u8, i32, &[u8]) {
    open(video(payload).unwrap(), payload)
}

/// The same of an audio message.
fn heard(payload: &[u8]) -> (Codec, Part, u8, i32, &[u8]) {
    open(audio(payload).unwrap(), payload)
}

fn open(tag: Tag, payload: &[u8]) -> (Codec, Part, u8, i32, &[u8]) {
    (
        tag.codec,
        tag.part,
        tag.track,
        tag.cts_ms,
        tag.body(payload),
    )
}

#[test]
fn b_01_legacy_video() {
    let config = b"\x17\x00\x00\x00\x00\x01\x64";
    assert_eq!(
        seen(config),
        (Codec::Avc, Part::Config, 0, 0, &b"\x01\x64"[..])
    );
    assert_eq!(
        seen(b"\x17\x01\x00\x00\x50abc"),
        (Codec::Avc, KEY, 0, 80, &b"abc"[..])
    );
    assert_eq!(
        seen(b"\x27\x01\xFF\xFF\xD8abc"),
        (Codec::Avc, INTER, 0, -40, &b"abc"[..])
    );
    assert_eq!(
        seen(b"\x17\x02\x00\x00\x00"),
        (Codec::Avc, Part::End, 0, 0, &b""[..])
    );
    assert_eq!(
        seen(b"\x57\x00"),
        (Codec::Avc, Part::Command, 0, 0, &b"\x00"[..])
    );
    let hevc = b"\x1C\x00\x00\x00\x00\x01";
    assert_eq!(seen(hevc), (Codec::Hevc, Part::Config, 0, 0, &b"\x01"[..]));
    assert_eq!(
        seen(b"\x1D\x01\x00\x00\x00\x12"),
        (Codec::Av1, KEY, 0, 0, &b"\x12"[..])
    );
    assert_eq!(seen(b"\x12abc"), (Codec::H263, KEY, 0, 0, &b"abc"[..]));
    assert_eq!(seen(b"\x34abc"), (Codec::Vp6, INTER, 0, 0, &b"abc"[..]));
    assert!(!video(config).unwrap().enhanced);
}

#[test]
fn b_02_legacy_audio() {
    assert_eq!(
        heard(b"\xAF\x00\x12\x10"),
        (Codec::Aac, Part::Config, 0, 0, &b"\x12\x10"[..])
    );
    assert_eq!(
        heard(b"\xAF\x01abc"),
        (Codec::Aac, INTER, 0, 0, &b"abc"[..])
    );
    assert_eq!(audio(b"\xAF"), Err(Malformed::Short { wanted: 1, left: 0 }));
    assert_eq!(heard(b"\x2Fabc"), (Codec::Mp3, INTER, 0, 0, &b"abc"[..]));
    assert_eq!(audio(b"").unwrap().part, Part::Silence);
    assert_eq!(video(b""), Err(Malformed::Empty));
    // INTEROP 51: a config without a byte of config
    assert_eq!(
        heard(b"\xAF\x00"),
        (Codec::Aac, Part::Config, 0, 0, &b""[..])
    );
}

#[test]
fn b_03_enhanced_video() {
    assert_eq!(
        seen(b"\x90hvc1\x01"),
        (Codec::Hevc, Part::Config, 0, 0, &b"\x01"[..])
    );
    assert_eq!(
        seen(b"\x91hvc1\x00\x00\x21abc"),
        (Codec::Hevc, KEY, 0, 33, &b"abc"[..])
    );
    assert_eq!(seen(b"\x93hvc1abc"), (Codec::Hevc, KEY, 0, 0, &b"abc"[..]));
    assert_eq!(
        seen(b"\xA1hvc1\x00\x00\x43abc"),
        (Codec::Hevc, INTER, 0, 67, &b"abc"[..])
    );
    assert_eq!(
        seen(b"\xA1hvc1\xFF\xFF\xFFabc"),
        (Codec::Hevc, INTER, 0, -1, &b"abc"[..])
    );
    assert_eq!(
        seen(b"\xA3hvc1abc"),
        (Codec::Hevc, INTER, 0, 0, &b"abc"[..])
    );
    assert_eq!(seen(b"\xA2av01"), (Codec::Av1, Part::End, 0, 0, &b""[..]));
    assert!(video(b"\xA2av01").unwrap().enhanced);
}

#[test]
fn b_03_color_info_whatever_the_frame_type() {
    let body = b"\x02\x00\x09colorInfo\x03";
    for first in [0xD4, 0x94, 0x84, 0xA4] {
        let payload = [&[first][..], b"hvc1", body].concat();
        assert_eq!(
            seen(&payload),
            (Codec::Hevc, Part::ColorInfo, 0, 0, &body[..]),
            "{first:X}"
        );
    }
}

#[test]
fn b_04_av1_has_no_composition_offset_and_may_have_no_config() {
    assert_eq!(
        seen(b"\x90av01"),
        (Codec::Av1, Part::Config, 0, 0, &b""[..])
    );
    let config = b"\x90av01\x81\x04\x0C\x00\x0A\x0B";
    assert_eq!(seen(config), (Codec::Av1, Part::Config, 0, 0, &config[5..]));
    assert_eq!(
        seen(b"\x91av01\x12\x00\x0A"),
        (Codec::Av1, KEY, 0, 0, &b"\x12\x00\x0A"[..])
    );
    // MPEG2TSSequenceStart: the same place, and only for AV1
    assert_eq!(
        seen(b"\x95av01\x80"),
        (Codec::Av1, Part::Config, 0, 0, &b"\x80"[..])
    );
    assert_eq!(seen(b"\x95avc1\x80").1, Part::Opaque);
}

#[test]
fn b_05_enhanced_audio() {
    let opus = b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xBB\x00\x00\x00\x00\x00";
    assert_eq!(heard(opus), (Codec::Opus, Part::Config, 0, 0, &opus[5..]));
    let native = b"\x94Opus\x01\x02\x00\x00\x00\x03";
    assert_eq!(
        heard(native),
        (Codec::Opus, Part::ChannelConfig, 0, 0, &native[5..])
    );
    assert_eq!(
        heard(b"\x91Opus\xFC"),
        (Codec::Opus, INTER, 0, 0, &b"\xFC"[..])
    );
    let flac = b"\x90fLaCfLaC\x80\x00\x00\x22";
    assert_eq!(heard(flac), (Codec::Flac, Part::Config, 0, 0, &flac[5..]));
    assert_eq!(
        heard(b"\x91ac-3\x0B\x77"),
        (Codec::Ac3, INTER, 0, 0, &b"\x0B\x77"[..])
    );
    assert_eq!(heard(b"\x92mp4a"), (Codec::Aac, Part::End, 0, 0, &b""[..]));
    // Nothing to keep there (M-22).
    assert_eq!(
        heard(b"\x90ec-3"),
        (Codec::Eac3, Part::Opaque, 0, 0, &b""[..])
    );
}

#[test]
fn b_06_one_track_of_video() {
    let config = b"\x96\x00avc1\x01\x01\x64";
    assert_eq!(
        seen(config),
        (Codec::Avc, Part::Config, 1, 0, &b"\x01\x64"[..])
    );
    let key = b"\x96\x01avc1\x01\x00\x00\x07nalus";
    assert_eq!(seen(key), (Codec::Avc, KEY, 1, 7, &b"nalus"[..]));
    let tag = video(key).unwrap();
    assert!(tag.multitrack && !tag.many_tracks && tag.is_key());
}

#[test]
fn b_06_many_tracks_of_video() {
    let same = b"\x96\x11avc1\x01\x00\x00\x05\x00\x00\x08xx\x02\x00\x00\x03\xFF\xFF\xFE";
    let tag = video(same).unwrap();
    assert!(tag.multitrack && tag.many_tracks);
    assert_eq!(
        (tag.codec, tag.part, tag.track, tag.cts_ms),
        (Codec::Avc, KEY, 1, 8)
    );
    let seen: Vec<_> = tracks(Media::Video, same)
        .map(|t| (t.track, t.cts_ms, t.body))
        .collect();
    assert_eq!(seen, [(1, 8, &b"xx"[..]), (2, -2, &b""[..])]);

    let many = b"\x96\x21avc1\x01\x00\x00\x05\x00\x00\x08xxhvc1\x02\x00\x00\x03\x00\x00\x01";
    let seen: Vec<_> = tracks(Media::Video, many)
        .map(|t| (t.codec, t.track, t.body))
        .collect();
    assert_eq!(
        seen,
        [(Codec::Avc, 1, &b"xx"[..]), (Codec::Hevc, 2, &b""[..])]
    );
    let second = b"\x96\x01hvc1\x02\x00\x00\x01";
    assert_eq!(
        one_track(Media::Video, many, 2).as_deref(),
        Some(&second[..])
    );
    assert_eq!(one_track(Media::Video, many, 0), None);
}

#[test]
fn b_07_tracks_of_audio() {
    assert_eq!(
        heard(b"\x95\x01Opus\x01abc"),
        (Codec::Opus, INTER, 1, 0, &b"abc"[..])
    );
    let config = b"\x95\x00mp4a\x01\x12\x10";
    assert_eq!(
        heard(config),
        (Codec::Aac, Part::Config, 1, 0, &b"\x12\x10"[..])
    );
    let many = b"\x95\x10mp4a\x00\x00\x00\x02\x12\x10\x01\x00\x00\x02\x11\x90";
    let plain = b"\x90mp4a\x12\x10";
    assert_eq!(
        one_track(Media::Audio, many, 0).as_deref(),
        Some(&plain[..])
    );
    let second = b"\x95\x00mp4a\x01\x11\x90";
    assert_eq!(
        one_track(Media::Audio, many, 1).as_deref(),
        Some(&second[..])
    );
}

#[test]
fn b_08_mod_ex() {
    let key = b"\x97\x02\x0F\x42\x3F\x01hvc1\x00\x00\x00abc";
    assert_eq!(seen(key), (Codec::Hevc, KEY, 0, 0, &b"abc"[..]));
    let bare = b"\x91hvc1\x00\x00\x00abc";
    assert_eq!(
        without_mod_ex(&video(key).unwrap(), key),
        Plain::Rewritten(bare.to_vec())
    );
    assert_eq!(without_mod_ex(&video(bare).unwrap(), bare), Plain::Same);

    let frame = b"\x97\x02\x00\x00\x01\x01Opusabc";
    assert_eq!(heard(frame), (Codec::Opus, INTER, 0, 0, &b"abc"[..]));
    assert!(audio(frame).unwrap().mod_ex);

    let long = [&b"\x97\xFF\x00\xFF"[..], &[0xAA; 256], b"\x01av01abc"].concat();
    assert_eq!(seen(&long), (Codec::Av1, KEY, 0, 0, &b"abc"[..]));
    let twice = b"\x97\x00\xAA\x07\x00\xBB\xF3hvc1abc";
    assert_eq!(seen(twice), (Codec::Hevc, KEY, 0, 0, &b"abc"[..]));
    let tracks = b"\x97\x00\xAA\x06\x03hvc1\x02abc";
    assert_eq!(seen(tracks), (Codec::Hevc, KEY, 2, 0, &b"abc"[..]));
    let kept = b"\x96\x03hvc1\x02abc".to_vec();
    assert_eq!(
        without_mod_ex(&video(tracks).unwrap(), tracks),
        Plain::Rewritten(kept)
    );
}

#[test]
fn b_09_commands_and_reserved_forms() {
    let command = video(b"\xD0\x01").unwrap();
    assert_eq!(
        (command.part, command.codec),
        (Part::Command, Codec::Unknown(0))
    );
    assert_eq!(command.body(b"\xD0\x01"), b"\x01");
    assert_eq!(video(b"\xD7\x00\xAA\x00\x01").unwrap().part, Part::Command);
    assert_eq!(video(b"\x98hvc1abc").unwrap().part, Part::Opaque);
    assert_eq!(audio(b"\x93Opusabc").unwrap().part, Part::Opaque);
    assert_eq!(video(b"\x96\x06avc1\x01abc"), Err(Malformed::Nested));
    assert_eq!(audio(b"\x95\x05Opus\x01abc"), Err(Malformed::Nested));
    let reserved = video(b"\x96\x31avc1\x01abc").unwrap();
    assert!(reserved.part == Part::Opaque && reserved.multitrack);
    assert_eq!(tracks(Media::Video, b"\x96\x31avc1\x01abc").count(), 0);
}

#[test]
fn mod_ex_inside_multitrack_is_opaque_and_never_taken_apart() {
    for (media, payload) in [
        (Media::Video, &b"\x96\x07avc1\x00abc"[..]),
        (Media::Video, b"\x96\x17avc1\x00\x00\x00\x01a"),
        (Media::Audio, b"\x95\x07Opus\x00abc"),
    ] {
        let tag = match media {
            Media::Audio => audio(payload).unwrap(),
            Media::Video => video(payload).unwrap(),
        };
        assert_eq!((tag.part, tag.multitrack), (Part::Opaque, true));
        assert_eq!(one_track(media, payload, 0), None);
        assert_eq!(tracks(media, payload).count(), 0);
        assert_eq!(plain(&tag, payload), Plain::Nothing);
    }
}

#[test]
fn z_63_cut_headers_are_malformed() {
    let headers: [&[u8]; 5] = [
        b"\x17\x01\x00\x00\x00",
        b"\x91hvc1\x00\x00\x00",
        b"\x90av01",
        b"\x96\x01avc1\x01\x00\x00\x00",
        b"\x98hvc1",
    ];
    for header in headers {
        for len in 0..header.len() {
            assert!(video(&header[..len]).is_err(), "{:02X?}", &header[..len]);
        }
        assert!(video(header).is_ok(), "{header:02X?}");
    }
    assert!(audio(b"\x91Opu").is_err());
    assert!(video(b"\x57").is_err());
    assert!(video(b"\xD0").is_err());
    // A wrapper changes nothing about what is too short, not even for reserved layouts.
    assert!(video(b"\x97\x00\xAA\x06\x31ab").is_err());
    assert!(video(b"\x96\x31ab").is_err());
}

#[test]
fn z_67_mod_ex_chains_are_capped() {
    let chain = |rounds: usize| {
        let mut payload = vec![0x97];
        for round in 0..rounds {
            let next = if round + 1 == rounds { 0x03 } else { 0xF7 };
            payload.extend_from_slice(&[0x00, 0xAA, next]);
        }
        payload.extend_from_slice(b"hvc1abc");
        payload
    };
    assert_eq!(seen(&chain(8)), (Codec::Hevc, KEY, 0, 0, &b"abc"[..]));
    for rounds in [9, 1_000_000] {
        let tag = video(&chain(rounds)).unwrap();
        assert!(tag.part == Part::Opaque && tag.mod_ex);
        assert_eq!(plain(&tag, &chain(rounds)), Plain::Nothing);
        assert_eq!(without_mod_ex(&tag, &chain(rounds)), Plain::Nothing);
    }
    // a size that leads out of the message
    let beyond = b"\x97\x20\x00\x00\x00";
    assert_eq!(video(beyond).unwrap().part, Part::Opaque);
}

#[test]
fn z_68_track_lists_stay_inside_the_message() {
    let beyond = b"\x96\x13hvc1\x01\x00\x00\x04abc";
    assert_eq!(video(beyond), Err(Malformed::Short { wanted: 4, left: 3 }));
    let trailing = b"\x96\x13hvc1\x01\x00\x00\x03abc\x02\x00";
    assert_eq!(
        video(trailing),
        Err(Malformed::Short { wanted: 3, left: 1 })
    );
    let last = b"\x96\x13hvc1\xFF\x00\x00\x03abc";
    assert_eq!(seen(last).2, 255);
    let list = |count: usize| [&b"\x96\x13hvc1"[..], &[0; 4].repeat(count)].concat();
    assert!(video(&list(0)).is_err());
    assert!(video(&list(64)).is_ok());
    assert_eq!(video(&list(65)), Err(Malformed::Tracks { max: 64 }));
    assert_eq!(video(&list(1_000_000)), Err(Malformed::Tracks { max: 64 }));
}

#[test]
fn z_75_unknown_codecs_are_relayed_and_never_key() {
    for payload in [
        &b"\x91zzzzabc"[..],
        b"\x90zzzz\x01",
        b"\x19abc",
        b"\x17\x05\x00\x00\x00",
    ] {
        assert_eq!(video(payload).unwrap().part, Part::Opaque, "{payload:02X?}");
    }
    assert_eq!(audio(b"\xC0abc").unwrap().part, Part::Opaque);
    assert_eq!(audio(b"\xAF\x02abc").unwrap().part, Part::Opaque);
    // a list with one codec of ours is judged by that one
    let list = b"\x96\x23zzzz\x00\x00\x00\x01ahvc1\x01\x00\x00\x01b";
    assert_eq!(video(list).unwrap().part, KEY);
}
