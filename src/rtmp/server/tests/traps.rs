//! The findings that cost most, each with its number in PROTOCOL list T.

use super::*;

#[test]
fn t6_publish_start_is_said_on_the_streams_own_message_stream() {
    let mut bench = Bench::connected(3);
    bench.call(3, "publish", 0.0, &["cam".into()]).unwrap();
    assert_eq!(
        bench.said(),
        [
            "User(StreamBegin(3))",
            "onStatus 0 NetStream.Publish.Start @3"
        ]
    );
}

#[test]
fn t6_play_start_is_said_on_the_streams_own_message_stream() {
    let mut bench = Bench::connected(2);
    bench
        .call(2, "play", 0.0, &["cam".into(), (-2.0).into()])
        .unwrap();
    assert!(
        bench
            .said()
            .contains(&"onStatus 0 NetStream.Play.Start @2".to_owned())
    );
}

#[test]
fn t6_the_result_of_connect_has_code_trace_and_encoding() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    client.connect(&[("app", "live".into()), ("objectEncoding", 3u32.into())]);
    bench.feed(&client.bytes).unwrap();
    let said = messages(&bench.out[3_073..], 128);
    let decoded = decode(said[3].payload(), &AmfLimits::AUTHORISED).unwrap();
    let [_, _, properties, info] = decoded.values.as_slice() else {
        panic!("{decoded:?}")
    };
    let (properties, info) = (properties.as_object().unwrap(), info.as_object().unwrap());
    assert_eq!(
        properties.get("fmsVer").and_then(Value::as_str),
        Some("FMS/3,0,1,123")
    );
    assert_eq!(
        properties.get("capabilities").and_then(Value::as_u32),
        Some(31)
    );
    assert_eq!(info.get("level").and_then(Value::as_str), Some("status"));
    assert_eq!(
        info.get("code").and_then(Value::as_str),
        Some("NetConnection.Connect.Success")
    );
    assert_eq!(info.get("objectEncoding").and_then(Value::as_u32), Some(3));
    assert_eq!(
        info.get("clientid").and_then(Value::as_str),
        Some("w2c17.3")
    );
    assert_eq!(
        info.get("capsEx"),
        None,
        "a client silent about E-RTMP sees nothing of it"
    );
}

#[test]
fn the_result_of_connect_declares_e_rtmp_in_both_objects_to_who_asked() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    client.connect(&[("app", "live".into()), ("capsEx", 3u32.into())]);
    bench.feed(&client.bytes).unwrap();
    let said = messages(&bench.out[3_073..], 128);
    let decoded = decode(said[3].payload(), &AmfLimits::AUTHORISED).unwrap();
    for object in &decoded.values[2..] {
        let object = object.as_object().unwrap();
        assert_eq!(object.get("capsEx").and_then(Value::as_u32), Some(7));
        let video = object
            .get("videoFourCcInfoMap")
            .and_then(Value::as_object)
            .unwrap();
        assert_eq!(video.get("*").and_then(Value::as_u32), Some(4));
        assert!(object.get("audioFourCcInfoMap").is_some());
    }
    let caps = &bench.session.peer().caps;
    assert!(caps.enhanced && caps.reconnect && caps.multitrack && !caps.mod_ex);
}

#[test]
fn t7_every_refusal_closes_the_session_and_nothing_is_told_afterwards() {
    let no = Refusal::new(code::PUBLISH_REJECTED, "No.");
    for name in ["publish", "play"] {
        let mut bench = Bench::connected(1);
        bench.hold = true;
        bench.call(1, name, 0.0, &["cam".into()]).unwrap();
        bench.forget();
        // The one that was not asked for finds nothing.
        bench.session.refuse_publish(1, &no);
        bench.session.refuse_play(1, &no);
        assert!(bench.session.is_closing());
        assert_eq!(bench.session.refusal(), Some(&no));
        assert_eq!(bench.said(), ["onStatus 0 NetStream.Publish.Rejected @1"]);
        bench.call(0, "createStream", 9.0, &[]).unwrap();
        assert!(bench.said().is_empty() && bench.session.next_timeout() == Millis::NEVER);
        bench.session.accept_publish(1, bench.now);
        bench.session.start_play(1);
        assert!(bench.said().is_empty(), "a late yes after the no");
    }
}

#[test]
fn t7_obs_ignores_bad_name_so_rejected_follows_with_the_same_words() {
    let mut bench = Bench::connected(1);
    bench.hold = true;
    bench.call(1, "publish", 0.0, &["cam".into()]).unwrap();
    bench.forget();
    let taken = Refusal::new(code::BAD_NAME, "Somebody already publishes live/cam.");
    bench.session.refuse_publish(1, &taken);
    let out = bench.session.out().clone();
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Publish.BadName @1",
            "onStatus 0 NetStream.Publish.Rejected @1"
        ]
    );
    assert_eq!(last_info(&out, "description"), taken.description);
    assert_eq!(last_info(&out, "level"), "error");
}

#[test]
fn t7_a_refused_connect_says_why_and_closes() {
    let mut session = Bench::new().session;
    let mut client = Client::new();
    client.connect(&[("app", "live".into())]);
    let mut input = &client.bytes[..];
    let event = session.recv(&mut input, Millis(0)).unwrap();
    assert!(matches!(event, Some(Event::Connect(_))));
    session.out().clear();
    session.refuse_connect(&Refusal::new(
        code::INVALID_APP,
        "There is no application live.",
    ));
    let said: Vec<_> = messages(session.out(), 128).iter().map(line).collect();
    assert_eq!(said, ["_error 1 NetConnection.Connect.InvalidApp"]);
    assert!(session.is_closing());
}

#[test]
fn t8_the_end_of_a_stream_is_unpublish_notify_and_stream_eof() {
    let mut bench = Bench::playing();
    bench.session.end_play(1);
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Play.UnpublishNotify @1",
            "User(StreamEof(1))"
        ]
    );
    bench.session.end_play(1);
    assert!(bench.said().is_empty(), "it ends once");
    bench.call(1, "play", 0.0, &["cam".into()]).unwrap();
    assert!(matches!(
        bench.told().as_slice(),
        [Event::Play { stream_id: 1, .. }]
    ));
}

#[test]
fn t9_ffmpeg_and_librtmp_mean_the_same_stream() {
    let mut names = Vec::new();
    for (app, stream) in [("a/b", "c/d?k=v"), ("a/b/c", "d?k=v"), ("a/b/c/d?k=v", "")] {
        let mut bench = Bench::new();
        let mut client = Client::new();
        client.connect(&[("app", app.into()), ("tcUrl", "rtmp://Host/a".into())]);
        client.call("createStream", 2.0, &[]);
        client.call_on(3, 1, "publish", 0.0, &[stream.into()]);
        bench.feed(&client.bytes).unwrap();
        names.extend(bench.told().into_iter().filter_map(|event| match event {
            Event::Publish { target, .. } => Some(target),
            _ => None,
        }));
    }
    assert_eq!(names.len(), 3);
    assert_eq!(names[0].name.as_str(), "a/b/c/d");
    assert_eq!(
        (names[0].query.as_str(), names[0].host.as_str()),
        ("k=v", "host")
    );
    assert!(names.iter().all(|name| *name == names[0]));
}

#[test]
fn t12_gst_names_the_stream_in_delete_stream_and_uses_transaction_0() {
    let mut bench = Bench::publishing();
    bench.call(0, "deleteStream", 0.0, &["cam".into()]).unwrap();
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 1 }]);
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Unpublish.Success @1"]);
    for name in [
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "_checkbw",
        "fly",
    ] {
        bench.call(0, name, 0.0, &["cam".into()]).unwrap();
    }
    assert!(bench.said().is_empty(), "transaction 0 wants no answer");
}

#[test]
fn t12_metadata_as_often_as_gst_sends_it_is_no_flood() {
    let mut bench = Bench::publishing();
    let frame = payload(&[
        "@setDataFrame".into(),
        "onMetaData".into(),
        Object::new().into(),
    ]);
    for _ in 0..5_000 {
        bench.message(Kind::DataAmf0, 1, &frame).unwrap();
    }
    assert_eq!(bench.told().len(), 5_000);
}

#[test]
fn t13_publish_false_stops_publishing_and_keeps_the_message_stream() {
    let mut bench = Bench::publishing();
    bench.call(1, "publish", 0.0, &[false.into()]).unwrap();
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 1 }]);
    bench.call(1, "publish", 0.0, &[false.into()]).unwrap();
    assert!(bench.told().is_empty(), "it ends once");
    bench.call(1, "publish", 0.0, &["cam".into()]).unwrap();
    assert_eq!(bench.told().len(), 1);
}

#[test]
fn t14_a_player_is_never_sent_data_start() {
    let mut bench = Bench::connected(1);
    bench.call(1, "play", 4.0, &["cam".into()]).unwrap();
    assert_eq!(
        bench.said(),
        [
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Play.Reset @1",
            "onStatus 0 NetStream.Play.Start @1",
            "|RtmpSampleAccess Boolean(true) Boolean(true) @1",
        ]
    );
}
