//! A player's life: start, media, and the several ways a server ends a stream.

use super::*;
use crate::rtmp::message::UserControl;

fn audio(timestamp: u32) -> (u32, Vec<u8>) {
    (timestamp, vec![0xAF, 1, 0x21])
}

fn with_audio(script: Script, timestamp: u32) -> Script {
    let (timestamp, payload) = audio(timestamp);
    script.message(4, Kind::Audio, 1, timestamp, &payload)
}

#[test]
fn a_play_runs_from_connect_to_the_end_at_every_split() {
    let script = Script::created(2.0)
        .control(Control::User(UserControl::StreamBegin(1)))
        .status(1, "status", "NetStream.Play.Reset")
        .status(1, "status", "NetStream.Play.Start")
        .message(5, Kind::DataAmf0, 1, 0, &[2, 0, 1, b'm'])
        .message(6, Kind::Video, 1, 0x100_0000, &[0x17; 300]);
    let script = with_audio(script, 5)
        .status(1, "status", "NetStream.Play.UnpublishNotify")
        .control(Control::User(UserControl::StreamEof(1)));
    let mut run = same_at_every_split(&player(), &script);
    assert_eq!(
        run.events,
        [
            "Connected { trace: None, caps_ex: None }",
            "status NetStream.Play.Reset",
            "status NetStream.Play.Start",
            "ready 1",
            "media DataAmf0 @1 0ms [02, 00, 01, 6d]",
            &format!("media Video @1 16777216ms {:02x?}", [0x17; 300]),
            "media Audio @1 5ms [af, 01, 21]",
            "status NetStream.Play.UnpublishNotify",
            "ended: the stream was unpublished",
            "StreamEof { stream_id: 1 }",
        ]
    );
    assert_eq!(
        run.sent(),
        [
            "@0 connect 1 {app=live flashVer=LNX 10,0,32,18 tcUrl=rtmp://h/live fpad=false \
             capabilities=15 audioCodecs=4071 videoCodecs=252 videoFunction=1}",
            "@0 createStream 2 null",
            "@1 play 3 null cam?k=v -1000",
            "User(SetBufferLength { stream_id: 1, ms: 3000 })",
        ]
    );
}

#[test]
fn media_speaks_for_a_server_that_sends_no_play_start() {
    let run = Run::of(player(), &with_audio(Script::created(2.0), 0));
    assert_eq!(
        run.events[1..],
        ["ready 1", "media Audio @1 0ms [af, 01, 21]"]
    );
}

#[test]
fn a_stream_that_is_published_again_is_ready_again() {
    let script = Script::playing()
        .status(1, "status", "NetStream.Play.UnpublishNotify")
        .status(1, "status", "NetStream.Play.UnpublishNotify")
        .status(1, "status", "NetStream.Play.PublishNotify")
        .status(1, "status", "NetStream.Play.Stop");
    let run = Run::of(player(), &script);
    assert_eq!(
        run.events[3..],
        [
            "status NetStream.Play.UnpublishNotify",
            "ended: the stream was unpublished",
            "status NetStream.Play.UnpublishNotify",
            "status NetStream.Play.PublishNotify",
            "ready 1",
            "status NetStream.Play.Stop",
            "ended: the server stopped playing",
        ]
    );
}

#[test]
fn stream_eof_alone_ends_a_running_play_and_means_nothing_before_the_start() {
    let eof = Control::User(UserControl::StreamEof(1));
    let script = Script::created(2.0)
        .control(eof)
        .status(1, "status", "NetStream.Play.Start");
    let run = Run::of(player(), &script.control(eof));
    assert_eq!(
        run.events[1..],
        [
            "StreamEof { stream_id: 1 }",
            "status NetStream.Play.Start",
            "ready 1",
            "StreamEof { stream_id: 1 }",
            "ended: the server sent StreamEOF",
        ]
    );
}

#[test]
fn a_recording_that_is_complete_ends_the_play() {
    let mut data = Vec::new();
    amf0::encode(&"onPlayStatus".into(), &mut data);
    let info = Object::new()
        .with("level", "status")
        .with("code", "NetStream.Play.Complete");
    amf0::encode(&info.into(), &mut data);
    let run = Run::of(
        player(),
        &Script::playing().message(5, Kind::DataAmf0, 1, 9, &data),
    );
    assert!(run.events[3].starts_with("media DataAmf0"));
    assert_eq!(run.events[4], "ended: the recording is complete");
}

#[test]
fn a_missing_stream_is_a_refusal() {
    let script = Script::created(2.0).status(1, "error", "NetStream.Play.StreamNotFound");
    assert_eq!(
        Run::of(player(), &script).events.last().unwrap(),
        "ended: refused while starting: NetStream.Play.StreamNotFound (why)"
    );
}

#[test]
fn commands_in_amf3_messages_count_with_and_without_the_selector() {
    let result = command::command("_result", 1.0, &[success()]);
    let with_selector = [vec![0], result.clone()].concat();
    for payload in [with_selector, result] {
        let script = Script::new().message(3, Kind::CommandAmf3, 0, 0, &payload);
        assert_eq!(Run::of(player(), &script).events.len(), 1);
    }
}

#[test]
fn an_aggregate_arrives_as_its_parts() {
    let item = [
        8, // audio
        0, 0, 2, // size
        0, 0, 40, 0, // time and its high byte
        0, 0, 0, // stream
        0xAF, 1, // data
        0, 0, 0, 13, // back pointer
    ];
    let mut later = item;
    later[6] = 63;
    let aggregate = [item, later].concat();
    let script = Script::playing().message(4, Kind::Aggregate, 1, 1_000, &aggregate);
    assert_eq!(
        Run::of(player(), &script).events[3..],
        [
            "media Audio @1 1000ms [af, 01]",
            "media Audio @1 1023ms [af, 01]"
        ]
    );
}

#[test]
fn pings_are_answered_and_our_own_are_reported_back() {
    let script = Script::playing()
        .control(Control::User(UserControl::PingRequest(77)))
        .control(Control::User(UserControl::PingResponse(5)));
    let mut run = Run::of(player(), &script);
    assert_eq!(run.events.last().unwrap(), "Pong { time: 5 }");
    assert_eq!(run.sent().last().unwrap(), "User(PingResponse(77))");
    run.session.ping(5);
    assert_eq!(run.sent().last().unwrap(), "User(PingRequest(5))");
}

#[test]
fn half_a_window_of_bytes_is_acknowledged() {
    let script = Script::playing().control(Control::WindowAckSize(8_000));
    let mut run = Run::of(player(), &script);
    let before = run.sent().len();
    run.feed(&with_audio(Script(Vec::new()), 1).0, Millis(0));
    assert_eq!(run.sent().len(), before);
    run.feed(
        &Script(Vec::new())
            .message(6, Kind::Video, 1, 0, &[0x27; 4_000])
            .0,
        Millis(0),
    );
    let sent = run.sent();
    assert_eq!(sent.len(), before + 1);
    assert!(sent.last().unwrap().starts_with("Ack("), "{sent:?}");
}

#[test]
fn the_servers_chunk_size_holds_from_the_next_chunk_on() {
    let mut script = Script::playing().control(Control::SetChunkSize(1_000));
    let head = Head {
        csid: 6,
        timestamp: 0,
        kind: Kind::Video,
        stream_id: 1,
    };
    write_message(&mut script.0, &head, &[0x27; 2_500], 1_000);
    let run = same_at_every_split(&player(), &script);
    assert_eq!(run.events[3].len(), "media Video @1 0ms ".len() + 2_500 * 4);
}

#[test]
fn a_player_says_goodbye_by_deleting_its_stream() {
    let mut run = Run::of(player(), &Script::playing());
    run.session.stop();
    assert_eq!(run.sent().last().unwrap(), "@0 deleteStream 4 null 1");
}
