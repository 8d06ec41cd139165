//! Servers that break rules or say nothing (PROTOCOL Z-86 to Z-90, R-04).

use super::*;
use crate::rtmp::client::Step;
use crate::rtmp::message::UserControl;

#[test]
fn a_first_byte_that_is_not_version_3_is_an_error_and_the_rest_is_ignored() {
    let mut run = Run::of(player(), &Script(vec![0xFF; 5_000]));
    assert!(matches!(run.error, Some(ClientError::Handshake(_))));
    run.feed(&Script::playing().0, Millis(1));
    assert!(run.events.is_empty());
    assert_eq!(run.session.step(), Step::Over);
}

#[test]
fn silence_ends_each_step_by_its_own_deadline() {
    let cases = [
        (Script(vec![3]), Step::Handshake),
        (Script::new(), Step::Connect),
        (Script::connected(), Step::CreateStream),
        (Script::created(4.0), Step::Start),
    ];
    for (script, step) in cases {
        let mut run = Run::of(publisher(), &Script(Vec::new()));
        run.feed(&script.0, Millis(5_000));
        let due = if step == Step::Handshake {
            Millis(10_000)
        } else {
            Millis(15_000)
        };
        assert_eq!(run.session.next_timeout(), due, "{step:?}");
        assert!(run.session.timeout(due - 1).is_ok());
        let error = run.session.timeout(due).unwrap_err();
        let expected = ClientError::Timeout {
            step,
            waited_ms: 10_000,
        };
        assert_eq!(error.to_string(), expected.to_string());
        assert_eq!(run.session.next_timeout(), Millis::NEVER);
    }
}

#[test]
fn results_nobody_asked_for_are_ignored() {
    let stray = |script: Script| {
        script
            .command(0, "_result", 99.0, &[Value::Null, Value::Number(3.0)])
            .command(0, "_result", 4.0, &[Value::Null, Value::Number(3.0)])
            .command(0, "_result", f64::NAN, &[])
            .command(0, "_error", 5.0, &[])
    };
    let script = stray(Script::new()).command(0, "_result", 1.0, &[success()]);
    let script = script
        .command(0, "_result", 1.0, &[success()])
        .command(0, "_error", 1.0, &[])
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(2.0)])
        .command(0, "_result", 4.0, &[Value::Null, Value::Number(3.0)])
        .status(2, "status", "NetStream.Publish.Start");
    let mut run = Run::of(publisher(), &script);
    assert_eq!(
        run.events[1..],
        ["status NetStream.Publish.Start", "ready 2"]
    );
    assert_eq!(
        run.sent()
            .iter()
            .filter(|sent| sent.contains("publish 5"))
            .count(),
        1
    );
}

#[test]
fn an_answer_to_create_stream_that_is_no_stream_id_is_an_error() {
    let answers = [
        Value::Number(f64::NAN),
        Value::Number(-1.0),
        Value::Number(0.0),
        Value::Number(1.5),
        Value::Number(5e9),
        Value::Object(Object::new()),
    ];
    for answer in answers {
        let script = Script::connected().command(0, "_result", 2.0, &[Value::Null, answer]);
        let run = Run::of(player(), &script);
        assert!(
            matches!(run.error, Some(ClientError::BadStreamId)),
            "{:?}",
            run.error
        );
    }
}

#[test]
fn a_ping_flood_ends_the_session_and_a_ping_a_second_does_not() {
    let ping = Script(Vec::new()).control(Control::User(UserControl::PingRequest(1)));
    let mut calm = Run::of(player(), &Script::playing());
    for second in 0..500 {
        calm.feed(&ping.0, Millis(second * 1_000));
    }
    assert!(calm.error.is_none());
    let mut flooded = Run::of(player(), &Script::playing());
    flooded.feed(&ping.0.repeat(101), Millis(0));
    assert!(matches!(
        flooded.error,
        Some(ClientError::PingFlood {
            found: 101,
            allowed: 100
        })
    ));
}

#[test]
fn chunk_size_games_end_the_session() {
    for size in [0, 1, 127, 0x8000_0000, u32::MAX] {
        let run = Run::of(
            player(),
            &Script::new().control(Control::SetChunkSize(size)),
        );
        assert!(
            matches!(run.error, Some(ClientError::Wire(_))),
            "{size:#x}: {:?}",
            run.error
        );
    }
    let run = Run::of(
        player(),
        &Script::playing().control(Control::SetChunkSize(0x7FFF_FFFF)),
    );
    assert!(run.error.is_none());
}

#[test]
fn a_server_may_send_big_messages_only_to_a_player() {
    let mut script = Script::publishing();
    let start = script.0.len();
    let head = Head {
        csid: 6,
        timestamp: 0,
        kind: Kind::Video,
        stream_id: 1,
    };
    write_message(&mut script.0, &head, &vec![0x27; 100_000], 128);
    let run = Run::of(publisher(), &script);
    assert!(
        matches!(run.error, Some(ClientError::Wire(_))),
        "{:?}",
        run.error
    );

    let mut run = Run::of(player(), &Script::playing());
    run.feed(&script.0[start..], Millis(0));
    assert!(run.error.is_none());
    assert_eq!(run.events.len(), 4);
}

#[test]
fn damaged_commands_and_nested_bombs_are_dropped() {
    let bomb = [vec![2, 0, 1, b'x'], [0x0A, 0, 0, 0, 1].repeat(2_000)].concat();
    let script = Script::new()
        .message(3, Kind::CommandAmf0, 0, 0, &[])
        .message(3, Kind::CommandAmf0, 0, 0, &[2, 0, 200, b'_'])
        .message(3, Kind::CommandAmf0, 0, 0, &[0xFF; 40])
        .message(3, Kind::CommandAmf3, 0, 0, &[])
        .message(3, Kind::CommandAmf0, 0, 0, &bomb)
        .message(2, Kind::UserControl, 0, 0, &[0])
        .message(2, Kind::SetChunkSize, 0, 0, &[0, 0])
        .message(3, Kind::SharedObjectAmf0, 0, 0, &[1, 2, 3])
        .message(3, Kind::Other(77), 0, 0, &[])
        .command(0, "_result", 1.0, &[success()]);
    let run = same_at_every_split(&player(), &script);
    assert_eq!(run.events, ["Connected { trace: None, caps_ex: None }"]);
    assert!(run.error.is_none());
}

#[test]
fn media_before_the_play_was_asked_for_is_dropped() {
    let script = Script::connected().message(4, Kind::Audio, 1, 0, &[0xAF, 1]);
    assert_eq!(Run::of(player(), &script).events.len(), 1);
}
