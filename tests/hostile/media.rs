//! What is inside media messages: Z-63 to Z-75, as far as a relay looks at it.

use corecast::codec::{self, Part};
use corecast::config::{Config, Enhanced};
use corecast::live::LogLimits;
use corecast::rtmp::caps::Caps;
use corecast::rtmp::message::Kind;

use crate::common::media::{avc_config, avc_frame, enhanced, hevc_config, metadata, video_track};
use crate::common::stage::Stage;

/// Frames in the log of a fresh stream after these messages.
fn relayed(kind: Kind, payloads: &[Vec<u8>]) -> u64 {
    let mut stage = Stage::new();
    for payload in payloads {
        stage.send(kind, 0, payload);
    }
    let log = stage.stream().log();
    log.head().0 - log.first().0
}

#[test]
fn z63_messages_shorter_than_their_header_are_dropped() {
    let whole: [(Kind, &[u8], usize); 6] = [
        (Kind::Audio, &[0xAF, 1], 2),
        (Kind::Video, &[0x27, 1, 0, 0, 0], 5),
        (Kind::Video, &[0x17, 0, 0, 0, 0], 5),
        (Kind::Video, b"\x91hvc1\0\0\0", 8),
        (Kind::Video, b"\x93av01", 5),
        (Kind::Audio, b"\x91Opus", 5),
    ];
    for (kind, payload, needed) in whole {
        for len in 0..=payload.len() {
            let count = relayed(kind, &[payload[..len].to_vec()]);
            // Empty audio is a silence marker and passes (M-08).
            let passes = len >= needed || (len == 0 && kind == Kind::Audio);
            assert_eq!(
                count,
                u64::from(passes),
                "{kind:?}, {len} of {payload:02x?}"
            );
        }
    }
}

#[test]
fn z64_z65_a_damaged_codec_setup_is_relayed_and_nothing_is_sized_by_it() {
    let configs = [
        avc_config(),
        hevc_config(),
        enhanced(0x90, b"av01", &[0x81, 4, 12, 0, 10, 1]),
    ];
    for config in configs {
        for end in 5..=config.len() {
            let cut = config[..end].to_vec();
            assert_eq!(
                relayed(Kind::Video, std::slice::from_ref(&cut)),
                1,
                "{cut:02x?}"
            );
        }
        for at in 5..config.len() {
            for value in [0, 1, 31, 0x7F, 0xE0, 0xFF] {
                let mut damaged = config.clone();
                damaged[at] = value;
                let tag = codec::video(&damaged).unwrap();
                let _ = codec::shape(&tag, tag.body(&damaged));
                assert_eq!(relayed(Kind::Video, &[damaged]), 1);
            }
        }
        // Exp-Golomb prefixes without end.
        let mut zeros = config[..14.min(config.len())].to_vec();
        zeros.extend([0; 200]);
        assert_eq!(relayed(Kind::Video, &[zeros]), 1);
    }
}

#[test]
fn z67_chains_of_mod_ex_are_walked_eight_rounds_at_most() {
    let mut chain = vec![0x97];
    chain.extend([0x00, 0xAA, 0x07].repeat(1 << 20)); // size 1, data, ModEx again
    let started = std::time::Instant::now();
    let tag = codec::video(&chain).unwrap();
    assert_eq!(tag.part, Part::Opaque);
    assert!(
        started.elapsed().as_millis() < 50,
        "{:?}",
        started.elapsed()
    );
    let cases: [&[u8]; 4] = [
        &[0x97, 0x00],
        &[0x97, 0xFF, 0xFF, 0xFF, 1, 2],
        &[0x97, 0x02, 0x0F, 0x42, 0x3F, 0xF1],
        b"\x97\x00\xAA\xF1hvc1\0\0\0", // ModEx type 15
    ];
    for payload in cases {
        assert!(relayed(Kind::Video, &[payload.to_vec()]) <= 1);
    }
}

#[test]
fn z68_track_lists_with_wrong_sizes_are_dropped() {
    let list = |body: &[u8]| [&b"\x96\x13hvc1"[..], body].concat();
    let cases = [
        ("a size past the end", list(&[1, 0xFF, 0xFF, 0xFF, 1, 2]), 0),
        ("a cut size", list(&[1, 0, 0]), 0),
        (
            "a million empty tracks",
            list(&[1, 0, 0, 0].repeat(1_000_000)),
            0,
        ),
        ("track 255", list(&[255, 0, 0, 1, 0x26]), 1),
        (
            "multitrack in multitrack",
            [&b"\x96\x16hvc1"[..], &[1, 0, 0, 0]].concat(),
            0,
        ),
        (
            "a reserved layout",
            [&b"\x96\xF3hvc1"[..], &[1]].concat(),
            1,
        ),
    ];
    for (name, payload, passed) in cases {
        let started = std::time::Instant::now();
        assert_eq!(relayed(Kind::Video, &[payload]), passed, "{name}");
        assert!(started.elapsed().as_millis() < 200, "{name}");
    }
}

#[test]
fn z69_a_new_track_in_every_message_fills_no_cache_beyond_its_bound() {
    let mut stage = Stage::new();
    for round in 0..2 {
        for track in 0..=255 {
            stage.send(
                Kind::Video,
                round,
                &video_track(0x90, b"hvc1", track, &[7; 4_000]),
            );
            stage.send(
                Kind::Audio,
                round,
                &[b"\x95\x00Opus", &[track][..], &[7; 4_000]].concat(),
            );
        }
    }
    let (count, bytes) = {
        let headers = stage.stream().headers();
        (headers.configs().count(), headers.memory_bytes())
    };
    assert!(
        count <= 32 && bytes < 256 << 10,
        "{count} headers, {bytes} bytes"
    );
}

#[test]
fn z70_metadata_without_end_is_replaced_and_bounded() {
    let mut stage = Stage::new();
    let mut largest = 0;
    for round in 0..300_u32 {
        stage.now = stage.now + 10;
        let mut bytes = metadata();
        bytes.extend(vec![(round % 251) as u8; 500 << 10]);
        stage.send(Kind::DataAmf0, 0, &bytes);
        stage.send(Kind::DataAmf0, 0, &metadata());
        largest = largest.max(stage.stream().memory_bytes());
    }
    assert!(stage.stream().headers().memory_bytes() < 256 << 10);
    let bound = stage.config.log_bytes as usize + (2 << 20);
    assert!(largest <= bound, "{largest} bytes, {bound} allowed");
}

#[test]
fn z71_key_frames_always_never_or_huge_keep_the_log_inside_its_bounds() {
    let config = Config {
        log_bytes: 12 << 20,
        log_frames: 500,
        ..Config::default()
    };
    let limits = LogLimits {
        bytes: config.log_bytes as usize,
        frames: config.log_frames,
        lag_ms: config.max_lag_ms,
    };
    for (every, size) in [
        (1, 1_000),
        (u64::MAX, 1_000),
        (1, 5 << 20),
        (3_000_000, 20_000),
    ] {
        let mut stage = Stage::with(config.clone());
        stage.send(Kind::Video, 0, &avc_config());
        let mut viewer = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
        for number in 0..if size > 1 << 20 { 12 } else { 2_000 } {
            stage.now = stage.now + 40;
            let key = number % every == 0 && every != u64::MAX;
            stage.send(
                Kind::Video,
                number as u32 * 40,
                &avc_frame(number, key, size),
            );
            let log = stage.stream().log();
            let frames = (log.head().0 - log.first().0) as usize;
            assert!(frames <= limits.frames, "{frames} frames");
            let bytes = log.memory_bytes();
            assert!(bytes <= limits.bytes + size + (1 << 10), "{bytes} bytes");
        }
        viewer.drain(&stage);
    }
}

#[test]
fn z72_an_audio_flood_stays_inside_the_log() {
    let mut stage = Stage::new();
    let max = stage.config.log_frames;
    for number in 0..100_000_u32 {
        stage.send(Kind::Audio, number, &[0xAF, 1, 0x21]);
        let log = stage.stream().log();
        assert!((log.head().0 - log.first().0) as usize <= max);
    }
    // Empty messages are silence, and no cheaper.
    for number in 0..10_000_u32 {
        stage.send(Kind::Audio, 100_000 + number, &[]);
    }
    let log = stage.stream().log();
    assert!((log.head().0 - log.first().0) as usize <= max);
    let mut viewer = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    assert!(viewer.watch(&stage).len() <= max + 1);
}

#[test]
fn z73_timestamps_of_any_kind_never_go_back_for_a_player() {
    let patterns: [fn(u32) -> u32; 5] = [
        |n| n.wrapping_mul(2_654_435_761),
        |_| 7,
        |n| u32::MAX.wrapping_sub(n * 4_000),
        |n| if n % 2 == 0 { 0 } else { u32::MAX },
        |n| 0xFFFF_FF00_u32.wrapping_add(n * 40),
    ];
    for pattern in patterns {
        let mut stage = Stage::new();
        stage.send(Kind::Video, pattern(0), &avc_config());
        for number in 0..400_u32 {
            stage.now = stage.now + 40;
            let key = number % 25 == 0;
            stage.send(
                Kind::Video,
                pattern(number),
                &avc_frame(number.into(), key, 50),
            );
            stage.send(Kind::Audio, pattern(number + 7), &[0xAF, 1, 0x21]);
        }
        let mut viewer = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
        let heard = viewer.watch(&stage);
        assert!(heard.len() > 40);
        for kind in [Kind::Video, Kind::Audio] {
            let times: Vec<u32> = heard
                .iter()
                .filter(|m| m.kind == kind)
                .map(|m| m.timestamp)
                .collect();
            let back = |pair: &&[u32]| (pair[1].wrapping_sub(pair[0]) as i32) < 0;
            assert_eq!(times.windows(2).find(back), None, "{kind:?}");
        }
    }
}

#[test]
fn z74_another_codec_in_each_message_keeps_one_setup_per_track() {
    let mut stage = Stage::new();
    for number in 0..500_u32 {
        let fourcc = [b"hvc1", b"av01", b"avc1", b"vp09"][number as usize % 4];
        stage.send(Kind::Video, number, &enhanced(0x90, fourcc, &[1; 300]));
        stage.send(Kind::Video, number, &enhanced(0x91, fourcc, &[0; 30]));
    }
    assert_eq!(stage.stream().headers().configs().count(), 1);
}

#[test]
fn z75_unknown_codecs_are_passed_on_and_never_join() {
    for payload in [
        [&[0x1F, 1, 0, 0, 0][..], b"picture"].concat(),
        enhanced(0x91, b"zzzz", &[1, 2, 3]),
        enhanced(0x90, &[0, 0xFF, 0x0D, 0x0A], &[]),
        vec![0x98, b'h', b'v', b'c', b'1', 0],
    ] {
        let mut stage = Stage::new();
        stage.send(Kind::Video, 0, &payload);
        let log = stage.stream().log();
        assert_eq!(
            (log.head().0, log.newest_join()),
            (1, None),
            "{payload:02x?}"
        );
        assert!(stage.stream().headers().is_empty());
    }
}
