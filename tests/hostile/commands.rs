//! Commands and the state of a session: Z-50 to Z-61.

use corecast::rtmp::Error;
use corecast::rtmp::amf0::{Object, Value};
use corecast::rtmp::message::Kind;
use corecast::rtmp::server::{Event, Refusal, code};

use crate::common::bench::Bench;

#[test]
fn z50_message_streams_are_counted_and_asking_without_end_is_a_flood() {
    let mut bench = Bench::connected(0);
    let mut asked = 0;
    let outcome = (0..1_000_000).try_for_each(|_| {
        asked += 1;
        bench.call(0, "createStream", 2.0, &[])
    });
    assert_eq!(outcome, Err(Error::ControlFlood { per_second: 100 }));
    let said = bench.said();
    let made = said
        .iter()
        .filter(|line| line.starts_with("_result"))
        .count();
    assert_eq!(made, 8, "of {asked} asked for");
    assert!(said[8].contains("NetConnection.Call.Failed"), "{}", said[8]);
}

#[test]
fn z51_commands_out_of_turn_fail_and_change_nothing() {
    for name in [
        "publish",
        "play",
        "deleteStream",
        "createStream",
        "FCPublish",
        "pause",
    ] {
        let mut bench = Bench::shaken();
        let outcome = bench.call(1, name, 3.0, &["cam".into()]);
        assert_eq!(outcome, Err(Error::NotConnect), "{name} before connect");
    }
    for stream_id in [2, 9, 0xFFFF_FFFF] {
        for name in ["publish", "play"] {
            let mut bench = Bench::connected(1);
            bench.call(stream_id, name, 3.0, &["cam".into()]).unwrap();
            assert_eq!(bench.said(), ["_error 3 NetConnection.Call.Failed"]);
            assert!(bench.told().is_empty(), "{name} on {stream_id}");
        }
    }
    let mut bench = Bench::publishing();
    bench.call(1, "play", 3.0, &["cam".into()]).unwrap();
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Play.Failed @1"]);
    let mut bench = Bench::playing();
    bench.call(1, "publish", 3.0, &["cam".into()]).unwrap();
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Publish.BadName @1"]);
    bench.assert_alive();
}

#[test]
fn z52_a_second_publish_or_connect_ends_the_first_at_most_once() {
    let mut bench = Bench::publishing();
    bench.call(1, "publish", 3.0, &["other".into()]).unwrap();
    assert!(bench.told().is_empty(), "the first goes on");
    bench.gently(Kind::Video, 1, &[0x27; 6]);
    assert_eq!(bench.media().len(), 1);
    bench
        .call(0, "connect", 9.0, &[Object::new().into()])
        .unwrap();
    // Closing: the host ends what it holds, and is told nothing more (I-06).
    assert!(bench.session.is_closing() && bench.told().is_empty());

    let mut bench = Bench::publishing();
    for name in ["FCUnpublish", "closeStream", "deleteStream"] {
        bench.call(1, name, 0.0, &[1u32.into()]).unwrap();
    }
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 1 }]);
}

#[test]
fn z53_a_publish_name_that_is_no_string_publishes_nothing() {
    let names: [Value<'_>; 7] = [
        false.into(),
        true.into(),
        7u32.into(),
        Object::new().into(),
        Value::Null,
        Value::Undefined,
        Value::StrictArray(vec!["cam".into()]),
    ];
    for name in names {
        let mut bench = Bench::connected(1);
        bench
            .call(1, "publish", 3.0, std::slice::from_ref(&name))
            .unwrap();
        assert!(bench.told().is_empty(), "{name:?}");
        let stopped = matches!(name, Value::Boolean(false));
        assert_eq!(bench.session.is_closing(), !stopped, "{name:?}");
    }
}

#[test]
fn z55_names_that_could_become_paths_are_refused() {
    let long = "a".repeat(8_000);
    let names = [
        "../../etc/x",
        "a/../../b",
        "..",
        ".",
        "\\..\\",
        "%2e%2e",
        "%2e%2e%2f",
        "a\0b",
        "a\nb",
        "a\r\nb",
        &long,
        "",
        "/",
        "*",
        "\u{1F600}",
        "\u{202E}cam",
        ".hidden",
        "a/.b",
        "c:x",
        "~",
        "a b",
        "$(x)",
        "`x`",
        "a;b",
        "a|b",
        "<x>",
        "\u{FEFF}cam",
        "con\u{7f}",
    ];
    for name in names {
        for command in ["publish", "play"] {
            let mut bench = Bench::connected(1);
            bench.call(1, command, 3.0, &[name.into()]).unwrap();
            assert!(
                bench.told().is_empty(),
                "{command} {name:?} reached the host"
            );
            assert!(bench.session.is_closing(), "{command} {name:?}");
            let said = String::from_utf8_lossy(&bench.out).into_owned();
            assert!(
                said.contains("error") && bench.out.len() < 2_000,
                "{name:?}"
            );
        }
    }
}

#[test]
fn z57_delete_stream_reaches_own_message_streams_only() {
    for id in [
        2.0,
        0.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        1.5,
        4_294_967_297.0,
    ] {
        let mut bench = Bench::publishing();
        bench.call(0, "deleteStream", 0.0, &[id.into()]).unwrap();
        assert!(bench.told().is_empty(), "{id}");
        bench.gently(Kind::Video, 1, &[0x27; 6]);
        assert_eq!(bench.media().len(), 1, "{id}");
    }
}

#[test]
fn z58_a_verdict_that_comes_after_the_end_finds_nothing() {
    for name in ["publish", "play"] {
        for end in ["closeStream", "deleteStream", "connect"] {
            let mut bench = Bench::connected(1);
            bench.hold = true;
            bench.call(1, name, 3.0, &["cam".into()]).unwrap();
            bench.call(1, end, 4.0, &[1u32.into()]).unwrap();
            bench.forget();
            bench.session.accept_publish(1, bench.now);
            bench.session.start_play(1);
            bench
                .session
                .refuse_publish(1, &Refusal::new(code::PUBLISH_REJECTED, "late"));
            bench.session.end_play(1);
            bench.feed(&[]).unwrap();
            assert!(bench.said().is_empty(), "{name}, {end}");
            bench.gently(Kind::Video, 1, &[0x27; 6]);
            assert!(bench.told().is_empty(), "{name}, {end}");
        }
    }
}

#[test]
fn z60_seeks_and_pauses_to_nowhere_are_answered_and_forgotten() {
    for ms in [f64::NAN, -1.0, 1e308, f64::NEG_INFINITY, 0.0] {
        let mut bench = Bench::playing();
        bench.call(1, "seek", 3.0, &[ms.into()]).unwrap();
        assert_eq!(bench.said(), ["onStatus 0 NetStream.Seek.Failed @1"]);
        for paused in [true, true, false, false] {
            bench
                .call(1, "pause", 3.0, &[paused.into(), ms.into()])
                .unwrap();
        }
        let told = bench.told();
        assert!(told.len() <= 4 && told.iter().all(|e| matches!(e, Event::Pause { .. })));
        bench.assert_alive();
        let mut bench = Bench::connected(1);
        bench.call(1, "seek", 3.0, &[ms.into()]).unwrap();
        assert_eq!(bench.said(), ["_error 3 NetConnection.Call.Failed"]);
    }
}

#[test]
fn z61_releasing_somebodys_name_has_no_effect() {
    let mut bench = Bench::connected(1);
    for name in ["releaseStream", "FCUnpublish", "FCUnsubscribe", "FCPublish"] {
        bench.call(0, name, 4.0, &["victim".into()]).unwrap();
    }
    assert!(bench.told().is_empty());
    let said = bench.said();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said.iter().all(|line| line.starts_with("_result 4")),
        "{said:?}"
    );
}
