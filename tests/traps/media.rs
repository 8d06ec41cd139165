//! Traps of media and its way to players, without sockets.

use corecast::config::{Config, Enhanced};
use corecast::rtmp::amf0::{Object, Value};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::message::{Kind, Message};

use crate::common::bench::messages;
use crate::common::media::{
    Audio, Camera, Video, av1_config, av1_frame, avc_config, avc_end, avc_frame, enhanced,
    hevc_config, hevc_frame, metadata, number, video_track,
};
use crate::common::stage::Stage;

#[test]
fn t04_a_skip_cuts_no_message_and_says_no_abort() {
    let config = Config {
        max_lag_bytes: 300_000,
        log_bytes: 1 << 20,
        ..Config::default()
    };
    let mut stage = Stage::with(config);
    let mut camera = Camera::plain().picture_bytes(40_000);
    for piece in camera.configs() {
        stage.send(piece.kind, piece.timestamp, &piece.payload);
    }
    let mut viewer = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    let mut bytes = Vec::new();
    for round in 0..60 {
        for piece in camera.by_ref().take(10) {
            stage.now = stage.now + 20;
            stage.send(piece.kind, piece.timestamp, &piece.payload);
        }
        // Room that ends within a frame almost always, within a chunk header often.
        bytes.extend(viewer.pull(&stage, 20_011 + round * 7_919));
    }
    assert!(viewer.lost > 0, "the player never had to skip");
    bytes.extend(viewer.drain(&stage));
    let heard = messages(&bytes, stage.config.chunk_size);
    assert!(heard.iter().all(|message| message.kind != Kind::Abort));
    for message in heard.iter().filter(|m| number(m.payload()).is_some()) {
        let again = match message.kind {
            Kind::Audio => Camera::new(Video::None, Audio::Aac),
            _ => Camera::new(Video::Avc, Audio::None).picture_bytes(40_000),
        };
        let found = number(message.payload()).unwrap();
        let sent = again
            .skip(found as usize)
            .find(|p| number(&p.payload) == Some(found));
        assert!(
            sent.unwrap().payload == message.payload(),
            "frame {found} is damaged"
        );
    }
}

#[test]
fn t10_what_only_looks_like_a_key_frame_is_no_place_to_join() {
    let color = enhanced(0xD4, b"hvc1", b"\x02\x00\x09colorInfo\x03\x00\x00\x09");
    let color_inter = enhanced(0xA4, b"hvc1", b"\x02\x00\x09colorInfo\x03\x00\x00\x09");
    // Payload, and whether it is kept for late joiners.
    let cases = [
        (avc_end(), false),                    // 17 02: end of sequence
        (avc_config(), true),                  // 17 00
        (hevc_config(), true),                 // 90
        (color, true),                         // D4: frame type 5, yet no command
        (color_inter, true),                   // A4
        (enhanced(0xA2, b"av01", &[]), false), // end
        (enhanced(0x92, b"hvc1", &[]), false), // end, flagged key
        (vec![0x57, 0], false),                // seek command
    ];
    for (payload, header) in cases {
        let mut stage = Stage::new();
        stage.send(Kind::Video, 0, &payload);
        let log = stage.stream().log();
        let frame = log
            .frame(log.first())
            .unwrap_or_else(|| panic!("{payload:02x?} is lost"));
        assert_eq!(log.newest_join(), None, "{payload:02x?} is a join point");
        assert_eq!(frame.traits().header, header, "{payload:02x?}");
    }
    for payload in [
        avc_frame(0, true, 50),
        hevc_frame(0, true, 50),
        hevc_frame(1, true, 50),
    ] {
        let mut stage = Stage::new();
        stage.send(Kind::Video, 0, &payload);
        assert!(
            stage.stream().log().newest_join().is_some(),
            "a real key frame"
        );
    }
}

#[test]
fn t11_an_empty_av1_sequence_start_never_replaces_a_real_one() {
    let empty = enhanced(0x90, b"av01", &[]);
    let mut stage = Stage::new();
    let mut early = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    for payload in [&empty, &av1_config(), &empty, &av1_frame(0, true, 50)] {
        stage.send(Kind::Video, 0, payload);
    }
    let mut late = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    let configs = |messages: Vec<Message>| -> Vec<Vec<u8>> {
        let configs = messages.iter().filter(|m| m.payload()[0] == 0x90);
        configs.map(|m| m.payload().to_vec()).collect()
    };
    assert_eq!(configs(late.watch(&stage)), [av1_config()]);
    assert_eq!(
        stage
            .stream()
            .log()
            .frame(stage.stream().log().first())
            .unwrap()
            .payload(),
        empty
    );
    drop(early.watch(&stage));
}

#[test]
fn t12_the_metadata_spam_of_gst_is_passed_once() {
    let mut stage = Stage::new();
    let mut viewer = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    stage.send(Kind::Video, 0, &avc_config());
    stage.send(Kind::Video, 0, &avc_frame(0, true, 50));
    for _ in 0..100 {
        stage.now = stage.now + 50;
        stage.send(Kind::DataAmf0, 0, &metadata());
    }
    let mut changed = metadata();
    let width = changed.windows(5).position(|w| w == b"width").unwrap();
    changed[width + 7] ^= 1;
    stage.send(Kind::DataAmf0, 0, &changed);
    let data = viewer.watch(&stage);
    let data: Vec<_> = data.iter().filter(|m| m.kind == Kind::DataAmf0).collect();
    assert_eq!(data.len(), 2, "once, and once when it has changed");
    assert_eq!(data[1].payload(), changed);
}

#[test]
fn t15_an_old_player_gets_enhanced_h264_in_the_old_form() {
    let mut stage = Stage::new();
    stage.send(Kind::Video, 0, &enhanced(0x90, b"avc1", &avc_config()[5..]));
    stage.send(
        Kind::Video,
        0,
        &enhanced(0x91, b"avc1", &[&[0, 0, 80][..], b"picture"].concat()),
    );
    for rule in [Enhanced::Forward, Enhanced::Strict] {
        let mut viewer = stage.viewer(&Caps::default(), rule, 1);
        let heard = viewer.watch(&stage);
        let heard: Vec<&[u8]> = heard.iter().map(Message::payload).collect();
        let key = [&[0x17, 1, 0, 0, 80][..], b"picture"].concat();
        assert_eq!(heard, [avc_config(), key], "{rule:?}");
    }
}

#[test]
fn t15_a_silent_player_gets_enhanced_hevc_unless_strict() {
    let mut stage = Stage::new();
    stage.send(Kind::Audio, 0, &[0xAF, 0, 0x12, 0x10]);
    stage.send(Kind::Video, 0, &hevc_config());
    stage.send(Kind::Video, 0, &hevc_frame(0, true, 50));
    stage.send(Kind::Audio, 0, &[0xAF, 1, 0x21]);
    for (rule, video, sound) in [(Enhanced::Forward, 2, 2), (Enhanced::Strict, 0, 2)] {
        let mut viewer = stage.viewer(&Caps::default(), rule, 1);
        let heard = viewer.watch(&stage);
        let count = |kind| heard.iter().filter(|m| m.kind == kind).count();
        let found = (count(Kind::Video), count(Kind::Audio));
        assert_eq!(found, (video, sound), "{rule:?}");
    }
}

#[test]
fn t15_a_player_that_lists_codecs_gets_those_alone() {
    let mut stage = Stage::new();
    stage.send(Kind::Video, 0, &hevc_config());
    stage.send(Kind::Video, 0, &hevc_frame(0, true, 50));
    for (listed, video) in [("hvc1", 2), ("av01", 0), ("*", 2)] {
        let list = Value::StrictArray(vec![listed.into()]);
        let caps = Caps::read(&Object::new().with("fourCcList", list));
        let mut viewer = stage.viewer(&caps, Enhanced::Forward, 1);
        assert_eq!(viewer.watch(&stage).len(), video, "{listed}");
    }
}

#[test]
fn t15_further_tracks_reach_capable_players_alone() {
    let mut stage = Stage::new();
    stage.send(Kind::Video, 0, &avc_config());
    stage.send(Kind::Video, 0, &avc_frame(0, true, 50));
    stage.send(
        Kind::Video,
        0,
        &video_track(0x93, b"hvc1", 1, b"second track"),
    );
    let star = Value::StrictArray(vec!["*".into()]);
    let keys = Object::new().with("fourCcList", star);
    let capable = keys.clone().with("capsEx", 2u32);
    for (caps, video) in [(Object::new(), 2), (keys, 2), (capable, 3)] {
        let mut viewer = stage.viewer(&Caps::read(&caps), Enhanced::Forward, 1);
        assert_eq!(viewer.watch(&stage).len(), video, "{caps:?}");
    }
}
