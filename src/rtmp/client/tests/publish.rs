//! A publisher's life, and the servers it meets.

use super::*;
use crate::rtmp::client::Step;
use crate::rtmp::message::{BandwidthLimit, UserControl};

/// Corecast's own order: window, bandwidth, chunk size, result (C-16).
fn full_script() -> Script {
    Script::new()
        .control(Control::WindowAckSize(2_500_000))
        .control(Control::SetPeerBandwidth {
            size: 2_500_000,
            limit: BandwidthLimit::Dynamic,
        })
        .control(Control::SetChunkSize(128))
        .command(
            0,
            "_result",
            1.0,
            &[
                Object::new()
                    .with("fmsVer", "FMS/3,0,1,123")
                    .with("capsEx", 7.0)
                    .into(),
                Object::new()
                    .with("level", "status")
                    .with("code", "NetConnection.Connect.Success")
                    .with("clientid", "w0c1.0")
                    .into(),
            ],
        )
        .command(0, "_result", 2.0, &[Value::Null, Value::Undefined])
        .command(0, "_result", 3.0, &[Value::Null, Value::Undefined])
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(1.0)])
        .control(Control::User(UserControl::StreamBegin(1)))
        .status(1, "status", "NetStream.Publish.Start")
}

#[test]
fn a_publish_runs_through_all_its_steps_at_every_split() {
    let mut run = same_at_every_split(&publisher(), &full_script());
    assert_eq!(
        run.events,
        [
            "Connected { trace: Some(\"w0c1.0\"), caps_ex: Some(7) }",
            "status NetStream.Publish.Start",
            "ready 1",
        ]
    );
    assert_eq!(
        run.sent(),
        [
            "SetChunkSize(4096)",
            "@0 connect 1 {app=live type=nonprivate flashVer=FMLE/3.0 (compatible; Corecast) \
             tcUrl=rtmp://h/live}",
            "WindowAckSize(2500000)",
            "@0 releaseStream 2 null cam?k=v",
            "@0 FCPublish 3 null cam?k=v",
            "@0 createStream 4 null",
            "@1 publish 5 null cam?k=v live",
        ]
    );
    assert_eq!(run.session.next_timeout(), Millis::NEVER);
}

#[test]
fn media_goes_out_on_the_stream_that_the_server_issued_and_goodbye_names_it() {
    let script = Script::connected()
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(7.0)])
        .status(7, "status", "NetStream.Publish.Start");
    let mut run = Run::of(publisher(), &script);
    run.session.send_metadata(0, &[2, 0, 1, b'm', 5]).unwrap();
    run.session
        .send_media(Kind::Video, 40, &[0x17, 0, 0, 0, 0])
        .unwrap();
    run.session
        .send_media(Kind::Audio, 0xFFFF_FFFF, &[])
        .unwrap();
    run.session.stop();
    let sent = run.sent();
    let tail = &sent[sent.len() - 5..];
    assert!(
        tail[0].starts_with("DataAmf0 @7 0ms [02, 00, 0d, 40, 73"),
        "{}",
        tail[0]
    );
    assert!(tail[0].ends_with("65, 02, 00, 01, 6d, 05]"), "{}", tail[0]);
    assert_eq!(
        tail[1..],
        [
            "Video @7 40ms [17, 00, 00, 00, 00]",
            "Audio @7 4294967295ms []",
            "@0 FCUnpublish 6 null cam?k=v",
            "@0 deleteStream 7 null 7",
        ]
    );
}

#[test]
fn media_is_refused_before_the_start_after_the_end_and_when_it_is_none() {
    let mut early = Run::of(publisher(), &Script::created(4.0));
    let refused = early.session.send_media(Kind::Audio, 0, &[0xAF]);
    assert!(matches!(
        refused,
        Err(ClientError::NotReady { step: Step::Start })
    ));

    let mut run = Run::of(publisher(), &Script::publishing());
    let refused = run.session.send_media(Kind::CommandAmf0, 0, &[]);
    assert!(matches!(
        refused,
        Err(ClientError::NotMedia { kind: 20, bytes: 0 })
    ));
    let refused = run.session.send_media(Kind::Video, 0, &vec![0; 0x100_0000]);
    assert!(matches!(
        refused,
        Err(ClientError::NotMedia {
            kind: 9,
            bytes: 0x100_0000
        })
    ));
    run.session.stop();
    let refused = run.session.send_media(Kind::Audio, 0, &[0xAF]);
    assert!(matches!(
        refused,
        Err(ClientError::NotReady { step: Step::Over })
    ));
}

#[test]
fn the_enhanced_keys_are_sent_only_when_there_is_something_to_say() {
    let advert = super::super::Advert {
        four_cc_list: vec!["av01".to_owned(), "hvc1".to_owned()],
        video: vec![("*".to_owned(), 4)],
        audio: vec![],
        caps_ex: Some(3),
    };
    let config = ClientConfig {
        advert: Some(advert),
        ..publisher()
    };
    let connect = &Run::of(config, &Script::new()).sent()[1];
    let keys = "tcUrl=rtmp://h/live fourCcList=[av01 hvc1] videoFourCcInfoMap={*=4} capsEx=3}";
    assert!(connect.ends_with(keys), "{connect}");
}

/// what `ffmpeg -listen 1` says, byte for byte where it is odd.
#[test]
fn the_weak_server_of_ffmpeg_listen_is_understood() {
    let script = Script::new()
        .control(Control::WindowAckSize(2_500_000))
        .control(Control::SetPeerBandwidth {
            size: 2_500_000,
            limit: BandwidthLimit::Dynamic,
        })
        .control(Control::User(UserControl::StreamBegin(0)))
        .raw(&[
            0x42, // chunk stream 2, header format 1
            0, 0, 0, // time delta
            0, 0, 4, // length
            1, // SetChunkSize
            0, 0, 0, 128,
        ])
        .command(0, "_result", 1.0, &[success()])
        .command(0, "onBWDone", 0.0, &[Value::Null, Value::Number(8_192.0)])
        .raw(&[
            0x03, 0, 0, 0, // chunk stream 3, format 0, time
            0, 0, 20, // length
            20, 0, 0, 0, 0, // command on message stream 0
            2, 0, 7, b'_', b'r', b'e', b's', b'u', b'l', b't', //
            0, 0x40, 0, 0, 0, 0, 0, 0, 0, // transaction 2
            5,
        ])
        .raw(&[
            0x03, 0, 0, 0, // chunk stream 3, format 0, time
            0, 0, 14, // length
            20, 0, 0, 0, 0, // command on message stream 0
            2, 0, 11, b'o', b'n', b'F', b'C', b'P', b'u', b'b', b'l', b'i', b's', b'h',
        ])
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(1.0)])
        .status(1, "status", "NetStream.Publish.Start")
        .command(0, "deleteStream", 1.0, &[Value::Null, Value::Number(0.0)]);
    let run = same_at_every_split(&publisher(), &script);
    assert_eq!(
        run.events,
        [
            "Connected { trace: None, caps_ex: None }",
            "status NetStream.Publish.Start",
            "ready 1",
            "ended: the server deleted the stream",
        ]
    );
}

#[test]
fn connect_refused_ends_with_the_reason() {
    let info = Object::new()
        .with("level", "error")
        .with("code", "NetConnection.Connect.InvalidApp")
        .with("description", "no such app");
    let script = Script::new().command(0, "_error", 1.0, &[Value::Null, info.into()]);
    let run = same_at_every_split(&publisher(), &script);
    assert_eq!(
        run.events,
        [
            "error NetConnection.Connect.InvalidApp",
            "ended: refused while connecting: NetConnection.Connect.InvalidApp (no such app)",
        ]
    );
}

#[test]
fn a_name_taken_ends_with_the_reason_and_media_is_refused_then() {
    let script = Script::created(4.0).status(1, "error", "NetStream.Publish.BadName");
    let mut run = Run::of(publisher(), &script);
    assert_eq!(
        run.events[1..],
        [
            "error NetStream.Publish.BadName",
            "ended: refused while starting: NetStream.Publish.BadName (why)",
        ]
    );
    assert!(run.session.send_media(Kind::Audio, 0, &[]).is_err());
}

#[test]
fn errors_for_release_stream_and_fcpublish_are_ignored() {
    let script = Script::connected()
        .command(0, "_error", 2.0, &[Value::Null])
        .command(0, "_error", 3.0, &[Value::Null])
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(1.0)])
        .command(1, "_result", 5.0, &[Value::Null]);
    assert_eq!(
        Run::of(publisher(), &script).events.last().unwrap(),
        "ready 1"
    );
}

#[test]
fn being_thrown_out_later_is_an_end_and_a_failed_seek_is_not() {
    let script = Script::publishing()
        .status(1, "error", "NetStream.Seek.Failed")
        .status(1, "error", "NetStream.Publish.Rejected")
        .status(0, "status", "NetConnection.Connect.Closed");
    let run = Run::of(publisher(), &script);
    assert_eq!(
        run.events[3..],
        [
            "error NetStream.Seek.Failed",
            "error NetStream.Publish.Rejected",
            "ended: refused while running: NetStream.Publish.Rejected (why)",
            "status NetConnection.Connect.Closed",
        ]
    );
}

#[test]
fn a_request_to_reconnect_is_reported_and_the_publish_goes_on() {
    let info = Object::new()
        .with("level", "status")
        .with("code", "NetConnection.Connect.ReconnectRequest")
        .with("tcUrl", "//other/live");
    let script = Script::publishing().command(0, "onStatus", 0.0, &[Value::Null, info.into()]);
    let mut run = Run::of(publisher(), &script);
    assert_eq!(
        run.events.last().unwrap(),
        "Reconnect { tc_url: Some(\"//other/live\"), description: \"\" }"
    );
    assert!(run.session.send_media(Kind::Audio, 0, &[]).is_ok());
}
