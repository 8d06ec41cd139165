//! Odd and hostile commands (PROTOCOL §11, Z-34 to Z-62) and data on its way through.

use super::*;

#[test]
fn before_connect_no_other_command_is_taken() {
    for name in ["createStream", "publish", "play", "deleteStream", "fly", ""] {
        let mut bench = Bench::new();
        let mut client = Client::new();
        client.call(name, 1.0, &["cam".into()]);
        assert_eq!(
            bench.feed(&client.bytes),
            Err(Error::NotConnect),
            "{name:?}"
        );
        assert!(bench.events.is_empty());
    }
}

#[test]
fn a_connect_object_of_any_shape_is_survived() {
    let long = "x".repeat(7_000);
    let objects: [Value<'_>; 8] = [
        Value::Null,
        7u32.into(),
        Value::StrictArray(vec![Value::Null]),
        "live".into(),
        Object::new().into(),
        Value::EcmaArray(Object::new().with("app", "live")),
        Object::new()
            .with("app", Object::new())
            .with("tcUrl", 7u32)
            .into(),
        Object::new()
            .with("app", "live")
            .with("flashVer", long.as_str())
            .into(),
    ];
    for object in objects {
        let mut bench = Bench::new();
        let mut client = Client::new();
        let values = ["connect".into(), 1u32.into(), object.clone()];
        client.send(3, Kind::CommandAmf0, 0, 0, &payload(&values));
        bench.feed(&client.bytes).unwrap();
        assert!(
            matches!(bench.told().as_slice(), [Event::Connect(_)]),
            "{object:?}"
        );
        assert!(bench.session.peer().agent.len() <= 64);
    }
}

#[test]
fn a_hostile_app_is_refused_with_a_sentence_and_logs_stay_clean() {
    for app in ["../../etc", "live\r\nX-Injected: 1", "a\0b", "a/b/c/d/e"] {
        let mut bench = Bench::new();
        let mut client = Client::new();
        client.connect(&[("app", app.into()), ("flashVer", "a\r\nb".into())]);
        bench.feed(&client.bytes).unwrap();
        assert!(
            bench.events.is_empty() && bench.session.is_closing(),
            "{app:?}"
        );
        let said = messages(&bench.out[3_073..], 128);
        assert_eq!(line(&said[0]), "_error 1 NetConnection.Connect.InvalidApp");
        assert_eq!(bench.session.peer().agent, "a\\r\\nb");
    }
}

#[test]
fn a_second_connect_is_refused_and_closes() {
    let mut bench = Bench::publishing();
    let again = payload(&["connect".into(), 1u32.into(), Object::new().into()]);
    bench.message(Kind::CommandAmf0, 0, &again).unwrap();
    assert_eq!(bench.said(), ["_error 1 NetConnection.Connect.Failed"]);
    assert!(bench.session.is_closing() && bench.events.is_empty());
}

#[test]
fn damaged_values_close_before_connect_and_fail_the_call_afterwards() {
    let damaged = [payload(&["connect".into(), 1u32.into()]), vec![0x04]].concat();
    let mut bench = Bench::new();
    let mut client = Client::new();
    client.send(3, Kind::CommandAmf0, 0, 0, &damaged);
    assert!(matches!(bench.feed(&client.bytes), Err(Error::Amf(_))));

    let mut bench = Bench::connected(1);
    let damaged = [command("publish", 5.0, &[]), vec![0x04]].concat();
    bench.message(Kind::CommandAmf0, 1, &damaged).unwrap();
    assert_eq!(bench.said(), ["_error 5 NetConnection.Call.Failed"]);
    assert!(bench.events.is_empty());
}

#[test]
fn a_missing_end_marker_is_forgiven() {
    let mut values = payload(&[
        "connect".into(),
        1u32.into(),
        Object::new().with("app", "live").into(),
    ]);
    values.truncate(values.len() - 3);
    let mut bench = Bench::new();
    let mut client = Client::new();
    client.send(3, Kind::CommandAmf0, 0, 0, &values);
    bench.feed(&client.bytes).unwrap();
    assert!(matches!(bench.told().as_slice(), [Event::Connect(c)] if c.app == "live"));
}

#[test]
fn an_unknown_command_is_named_with_at_most_64_harmless_bytes() {
    let mut bench = Bench::connected(0);
    bench.call(0, &"f\n".repeat(1_000), 9.0, &[]).unwrap();
    let out = bench.out.clone();
    assert_eq!(bench.said(), ["_error 9 NetConnection.Call.Failed"]);
    let text = last_info(&out, "description");
    assert!(text.starts_with("Method not found (f\\nf\\n"), "{text}");
    assert!(text.len() < 64 + 24 && !text.contains('\n'));
}

#[test]
fn answers_to_calls_never_made_are_not_answered() {
    let mut bench = Bench::connected(1);
    for name in ["_result", "_error", "onStatus"] {
        bench.call(0, name, 7.0, &[]).unwrap();
    }
    assert!(bench.said().is_empty());
}

#[test]
fn create_stream_stops_at_the_limit_and_a_flood_of_it_closes() {
    let mut bench = Bench::connected(8);
    bench.call(0, "createStream", 9.0, &[]).unwrap();
    assert_eq!(bench.said(), ["_error 9 NetConnection.Call.Failed"]);
    let flood = (0..1_000_000).try_for_each(|_| bench.call(0, "createStream", 9.0, &[]));
    assert_eq!(flood, Err(Error::ControlFlood { per_second: 100 }));
}

#[test]
fn publish_names_that_are_no_strings_are_bad_names() {
    let odd: [&[Value<'_>]; 5] = [
        &[],
        &[Value::Null],
        &[7u32.into()],
        &[true.into()],
        &[Value::StrictArray(Vec::new())],
    ];
    for arguments in odd {
        let mut bench = Bench::connected(1);
        bench.call(1, "publish", 5.0, arguments).unwrap();
        assert_eq!(
            bench.said()[0],
            "onStatus 0 NetStream.Publish.BadName @1",
            "{arguments:?}"
        );
        assert!(bench.events.is_empty() && bench.session.is_closing());
    }
}

#[test]
fn a_name_that_cannot_be_is_refused_with_its_sentence() {
    let mut bench = Bench::connected(1);
    bench.call(1, "publish", 5.0, &["my cam".into()]).unwrap();
    let text = last_info(&bench.out, "description");
    assert_eq!(bench.session.refusal().unwrap().description, text);
    assert!(
        text.starts_with("Character 3 of the name \"my cam\" is ' '"),
        "{text}"
    );
    assert!(bench.session.is_closing());

    let mut bench = Bench::connected(1);
    bench.call(1, "play", 5.0, &["../x".into()]).unwrap();
    assert_eq!(
        bench.said(),
        ["onStatus 0 NetStream.Play.StreamNotFound @1"]
    );
    assert!(bench.session.is_closing() && bench.events.is_empty());
}

#[test]
fn publish_and_play_find_their_message_stream_or_fail() {
    let mut bench = Bench::connected(1);
    bench.call(0, "publish", 5.0, &["cam".into()]).unwrap();
    assert!(matches!(
        bench.told().as_slice(),
        [Event::Publish { stream_id: 1, .. }]
    ));

    let mut bench = Bench::connected(2);
    for id in [0, 3, u32::MAX] {
        bench.call(id, "publish", 5.0, &["cam".into()]).unwrap();
        bench.call(id, "play", 0.0, &["cam".into()]).unwrap();
        assert_eq!(
            bench.said(),
            ["_error 5 NetConnection.Call.Failed"],
            "message stream {id}"
        );
    }
    assert!(bench.told().is_empty());
}

#[test]
fn a_message_stream_does_one_thing_at_a_time() {
    let mut bench = Bench::publishing();
    bench.call(1, "publish", 5.0, &["other".into()]).unwrap();
    bench.call(1, "play", 5.0, &["other".into()]).unwrap();
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Publish.BadName @1",
            "onStatus 0 NetStream.Play.Failed @1"
        ]
    );
    assert!(bench.told().is_empty() && !bench.session.is_closing());

    let mut bench = Bench::playing();
    bench
        .call(
            1,
            "play",
            5.0,
            &["b".into(), 0u32.into(), 0u32.into(), false.into()],
        )
        .unwrap();
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Play.Failed @1"]);
    bench.call(1, "play", 5.0, &["b".into()]).unwrap();
    let told = bench.told();
    assert_eq!(told[0], Event::StopPlay { stream_id: 1 });
    assert!(matches!(told[1], Event::Play { stream_id: 1, .. }));
}

#[test]
fn play_without_reset_is_not_told_of_one() {
    let mut bench = Bench::connected(1);
    bench
        .call(
            1,
            "play",
            5.0,
            &["b".into(), 0u32.into(), 0u32.into(), 0u32.into()],
        )
        .unwrap();
    assert!(!bench.said().iter().any(|line| line.contains("Play.Reset")));
}

#[test]
fn delete_stream_reaches_own_streams_only() {
    for id in [2.0, 0.0, -1.0, 1.5, f64::NAN, 4_294_967_297.0] {
        let mut bench = Bench::publishing();
        bench.call(1, "deleteStream", 0.0, &[id.into()]).unwrap();
        assert!(bench.told().is_empty(), "{id}");
    }
}

#[test]
fn fcunpublish_of_another_name_with_two_publishes_ends_neither() {
    let mut bench = Bench::connected(2);
    bench.call(1, "publish", 0.0, &["a".into()]).unwrap();
    bench.call(2, "publish", 0.0, &["b?x=1".into()]).unwrap();
    bench.forget();
    bench
        .call(0, "FCUnpublish", 0.0, &["victim".into()])
        .unwrap();
    bench.call(0, "releaseStream", 0.0, &["a".into()]).unwrap();
    assert!(bench.told().is_empty());
    bench.call(0, "FCUnpublish", 0.0, &["b".into()]).unwrap();
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 2 }]);
}

#[test]
fn onfcpublish_goes_to_fmle_only() {
    let agents = [
        ("FMLE/3.0 (compatible; FMSc/1.0)", true),
        ("FMLE/3.0 (compatible; Lavf59.27.100)", false),
        ("LNX 10,0,32,18", false),
        ("", false),
    ];
    for (agent, expected) in agents {
        let mut bench = Bench::new();
        let mut client = Client::new();
        client.connect(&[("app", "live".into()), ("flashVer", agent.into())]);
        client.call("FCPublish", 3.0, &["cam".into()]);
        bench.feed(&client.bytes).unwrap();
        let said: Vec<_> = messages(&bench.out[3_073..], 128)
            .iter()
            .map(line)
            .collect();
        assert_eq!(
            said.iter().any(|line| line.starts_with("onFCPublish")),
            expected,
            "{agent}"
        );
        assert!(said.contains(&"_result 3 Undefined".to_owned()));
    }
}

#[test]
fn pause_unpause_and_receive_are_answered_and_told() {
    let mut bench = Bench::playing();
    bench
        .call(1, "pause", 0.0, &[true.into(), 1e300.into()])
        .unwrap();
    bench
        .call(1, "pauseRaw", 0.0, &[false.into(), f64::NAN.into()])
        .unwrap();
    bench.call(1, "receiveVideo", 0.0, &[false.into()]).unwrap();
    bench.call(1, "receiveAudio", 0.0, &[true.into()]).unwrap();
    bench.call(1, "seek", 0.0, &[(-1.0).into()]).unwrap();
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Pause.Notify @1",
            "onStatus 0 NetStream.Unpause.Notify @1",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Seek.Notify @1",
            "onStatus 0 NetStream.Play.Start @1",
            "onStatus 0 NetStream.Seek.Failed @1",
        ]
    );
    assert_eq!(
        bench.told(),
        [
            Event::Pause {
                stream_id: 1,
                paused: true
            },
            Event::Pause {
                stream_id: 1,
                paused: false
            },
            Event::Receive {
                stream_id: 1,
                audio: None,
                video: Some(false)
            },
            Event::Receive {
                stream_id: 1,
                audio: Some(true),
                video: None
            },
        ]
    );
}

#[test]
fn data_is_unwrapped_and_its_values_stay_as_they_are() {
    // An AMF3 byte array behind the switch: nothing here may try to understand it (C-93).
    let value = [0x11, 0x0C, 0x05, 0xDE, 0xAD];
    let named = |name: &str| [payload(&[name.into()]), value.to_vec()].concat();
    let frame = [payload(&["@setDataFrame".into()]), named("onMetaData")].concat();
    let cases = [
        (Kind::DataAmf0, frame.clone(), Some(named("onMetaData"))),
        (
            Kind::DataAmf3,
            [vec![0], frame.clone()].concat(),
            Some(named("onMetaData")),
        ),
        (Kind::DataAmf3, frame, Some(named("onMetaData"))), // selector left out
        (
            Kind::DataAmf0,
            named("onMetaData"),
            Some(named("onMetaData")),
        ),
        (
            Kind::DataAmf0,
            named("onTextData"),
            Some(named("onTextData")),
        ),
        (
            Kind::DataAmf0,
            named("@clearDataFrame"),
            Some(named("@clearDataFrame")),
        ),
        (Kind::DataAmf0, payload(&["@setDataFrame".into()]), None),
        (
            Kind::DataAmf0,
            payload(&["@setDataFrame".into(), 7u32.into()]),
            None,
        ),
        (Kind::DataAmf0, vec![0, 1, 2, 3], None), // ffmpeg's time code
        (Kind::DataAmf0, vec![2, 0xFF, 0xFF, b'x'], None),
        (Kind::DataAmf3, vec![0], None),
        (Kind::DataAmf3, Vec::new(), None),
    ];
    for (kind, sent, expected) in cases {
        let mut bench = Bench::publishing();
        bench.message(kind, 1, &sent).unwrap();
        let told: Vec<_> = bench.told();
        let found = told.iter().map(|event| match event {
            Event::Media {
                stream_id: 1,
                message,
            } => (message.kind, message.payload().to_vec()),
            other => panic!("{other:?}"),
        });
        let expected: Vec<_> = expected
            .map(|bytes| (Kind::DataAmf0, bytes))
            .into_iter()
            .collect();
        assert_eq!(found.collect::<Vec<_>>(), expected, "{kind:?} {sent:02x?}");
    }
}

#[test]
fn media_on_an_unknown_message_stream_goes_to_the_only_publish() {
    let mut bench = Bench::publishing();
    for id in [0, 1, 0x0100_0000, u32::MAX] {
        bench.message(Kind::Audio, id, &[0xAF, 1]).unwrap();
        let told = bench.told();
        let [
            Event::Media {
                stream_id: 1,
                message,
            },
        ] = told.as_slice()
        else {
            panic!("{told:?}")
        };
        assert_eq!(message.stream_id, 1);
    }
    bench.call(0, "deleteStream", 0.0, &[1u32.into()]).unwrap();
    bench.forget();
    let dropped = bench.session.dropped();
    bench.message(Kind::Audio, 1, &[0xAF, 1]).unwrap();
    assert!(bench.told().is_empty() && bench.session.dropped() == dropped + 1);
}

#[test]
fn aggregates_are_split_and_three_damaged_ones_in_a_row_close() {
    let whole = [
        8, 0, 0, 1, 0, 0, 10, 0, 0, 0, 0, 0xAF, 0, 0, 0, 12, // audio at 10
        9, 0, 0, 1, 0, 0, 20, 0, 0, 0, 0, 0x27, 0, 0, 0, 12, // video at 20
    ];
    let mut bench = Bench::publishing();
    bench.message(Kind::Aggregate, 1, &whole).unwrap();
    let told = bench.told();
    let [
        Event::Media { message: a, .. },
        Event::Media { message: b, .. },
    ] = told.as_slice()
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (a.kind, a.timestamp, b.kind, b.timestamp),
        (Kind::Audio, 40, Kind::Video, 50)
    );

    bench.message(Kind::Aggregate, 1, &[22; 12]).unwrap();
    bench.message(Kind::Aggregate, 1, &whole).unwrap();
    bench.message(Kind::Aggregate, 1, &[22; 12]).unwrap();
    bench.message(Kind::Aggregate, 1, &[22; 12]).unwrap();
    let third = bench.message(Kind::Aggregate, 1, &[22; 12]);
    assert_eq!(third, Err(Error::Aggregates { in_a_row: 3 }));
}

#[test]
fn shutdown_says_goodbye_to_each_in_its_own_way() {
    let mut bench = Bench::connected(2);
    bench.call(1, "publish", 0.0, &["a".into()]).unwrap();
    bench.call(2, "play", 0.0, &["b".into()]).unwrap();
    bench.forget();
    bench.session.shutdown();
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Unpublish.Success @1",
            "onStatus 0 NetStream.Play.UnpublishNotify @2",
            "User(StreamEof(2))",
            "onStatus 0 NetConnection.Connect.Closed",
        ]
    );
    assert!(bench.session.is_closing());
}

#[test]
fn a_kicked_publisher_hears_why_and_its_media_is_dropped() {
    let mut bench = Bench::publishing();
    let kick = Refusal::new(code::PUBLISH_REJECTED, "Another encoder took over.");
    bench.session.end_publish(1, &kick);
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Publish.Rejected @1"]);
    bench.message(Kind::Audio, 1, &[0xAF, 1]).unwrap();
    assert!(
        bench.told().is_empty(),
        "and no Unpublish: the host ended it"
    );
}

#[test]
fn reconnect_is_asked_of_those_who_understand_it_only() {
    let mut bench = Bench::connected(0);
    assert!(!bench.session.request_reconnect(None));
    assert!(bench.said().is_empty());
    bench.session.peer.caps.reconnect = true;
    assert!(bench.session.request_reconnect(Some("rtmp://other/live")));
    let out = bench.session.out().clone();
    assert_eq!(
        bench.said(),
        ["onStatus 0 NetConnection.Connect.ReconnectRequest"]
    );
    assert_eq!(last_info(&out, "tcUrl"), "rtmp://other/live");
}
