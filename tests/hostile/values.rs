//! Control messages and AMF: Z-34 to Z-49.

use corecast::limits::AmfLimits;
use corecast::rtmp::Error;
use corecast::rtmp::amf0::{Object, Value, decode};
use corecast::rtmp::message::Kind;
use corecast::rtmp::server::Event;

use crate::common::bench::{Bench, Client, command, payload};

#[test]
fn z34_user_control_of_any_length_is_survived() {
    for event in [0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 31, 99, 0xFFFF_u16] {
        for len in [0, 1, 2, 3, 5, 6, 9, 10, 11, 64] {
            let mut bench = Bench::playing();
            let mut bytes = event.to_be_bytes().to_vec();
            bytes.resize(64, 0xEE);
            bench.gently(Kind::UserControl, 0, &bytes[..len]);
            let answers = usize::from(event == 6 && len >= 6);
            assert_eq!(bench.said().len(), answers, "event {event} of {len} bytes");
            bench.assert_alive();
        }
    }
}

#[test]
fn z35_no_buffer_is_sized_by_set_buffer_length() {
    for stream_id in [0, 1, 7, 0xFFFF_FFFF_u32] {
        let mut bench = Bench::playing();
        let bytes = [&[0, 3][..], &stream_id.to_be_bytes(), &[0xFF; 4]].concat();
        bench.gently(Kind::UserControl, 0, &bytes);
        assert!(bench.said().is_empty() && bench.told().is_empty());
        bench.assert_alive();
    }
}

#[test]
fn z36_a_ping_flood_closes_and_an_unanswered_ping_does_not_while_media_flows() {
    let mut bench = Bench::publishing();
    let mut pings = 0;
    let outcome = (0..1_000_000).try_for_each(|_| {
        pings += 1;
        bench.message(Kind::UserControl, 0, &[0, 6, 0, 0, 0, 1])
    });
    assert_eq!(outcome, Err(Error::ControlFlood { per_second: 100 }));
    assert!(pings <= 201, "{pings}");

    let mut bench = Bench::publishing();
    for _ in 0..3_000 {
        bench.now = bench.now + 40;
        bench
            .message(Kind::Video, 1, &[0x27, 1, 0, 0, 0, 1])
            .unwrap();
        bench.session.timeout(bench.now).unwrap();
    }
}

#[test]
fn z37_a_verification_nobody_asked_for_is_ignored() {
    for len in [3, 44] {
        let mut bench = Bench::playing();
        let mut bytes = vec![0, 27];
        bytes.resize(len, 1);
        bench.gently(Kind::UserControl, 0, &bytes);
        assert!(bench.said().is_empty());
        bench.assert_alive();
    }
}

/// A command whose argument is these raw bytes.
fn with_argument(name: &str, raw: &[u8]) -> Vec<u8> {
    [command(name, 7.0, &[]), raw.to_vec()].concat()
}

/// Damaged values that no decoder may follow to their end.
fn bombs() -> Vec<Bomb> {
    [amf0_bombs(), amf3_bombs()].concat()
}

type Bomb = (&'static str, Vec<u8>);

fn amf3_bombs() -> Vec<Bomb> {
    vec![
        (
            "z43 AMF3 string reference out of range",
            vec![0x11, 0x06, 0x7E],
        ),
        (
            "z43 AMF3 traits of 2^25 names",
            vec![0x11, 0x0A, 0xFF, 0xFF, 0xFF, 0xF3, 0x01],
        ),
        (
            "z43 AMF3 object reference out of range",
            vec![0x11, 0x0A, 0x7E, 0x04],
        ),
        (
            "z44 AMF3 externalizable",
            vec![0x11, 0x0A, 0x07, 0x03, b'x', 1, 2, 3],
        ),
        (
            "z44 AMF3 dictionary of 2^28",
            vec![0x11, 0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0],
        ),
        (
            "z44 AMF3 int vector of 2^28",
            vec![0x11, 0x0D, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
        ),
        (
            "z44 AMF3 double vector of 2^28",
            vec![0x11, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        ),
        (
            "z44 AMF3 object vector of 2^28",
            vec![0x11, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1],
        ),
        (
            "z44 AMF3 byte array of 2^28",
            vec![0x11, 0x0C, 0xFF, 0xFF, 0xFF, 0xFF],
        ),
    ]
}

fn amf0_bombs() -> Vec<Bomb> {
    let nested = |level: &[u8]| level.repeat((60 << 10) / level.len());
    vec![
        ("z38 nested strict arrays", nested(&[0x0A, 0, 0, 0, 1])),
        ("z38 nested objects", nested(&[0x03, 0, 1, b'a'])),
        (
            "z38 nested ECMA arrays",
            nested(&[0x08, 0, 0, 0, 1, 0, 1, b'a']),
        ),
        (
            "z38 nested typed objects",
            nested(&[0x10, 0, 1, b'c', 0, 1, b'a']),
        ),
        (
            "z38 nested AMF3 arrays",
            [vec![0x11], nested(&[0x09, 0x03, 0x01])].concat(),
        ),
        (
            "z39 strict array of 2^32 - 1",
            vec![0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 5],
        ),
        (
            "z39 long string of 2^32 - 1",
            vec![0x0C, 0xFF, 0xFF, 0xFF, 0xFF, b'a'],
        ),
        (
            "z39 XML of 2^32 - 1",
            vec![0x0F, 0xFF, 0xFF, 0xFF, 0xFF, b'a'],
        ),
        ("z40 string past the end", vec![0x02, 0xFF, 0xFF, b'a']),
        ("z41 key without value", vec![0x03, 0, 1, b'a']),
        ("z41 end without object", vec![0, 0, 9]),
        ("z41 lone end marker", vec![9]),
        ("z42 reference to nothing", vec![0x07, 0xFF, 0xFF, 0x04]),
        ("reserved marker", vec![0x0E]),
        ("invalid marker", vec![0x12]),
    ]
}

#[test]
fn z38_to_z44_damaged_values_fail_the_call_and_never_the_session() {
    for (name, raw) in bombs() {
        for command in ["publish", "createStream", "fly"] {
            let mut bench = Bench::connected(1);
            let outcome = bench.message(Kind::CommandAmf0, 1, &with_argument(command, &raw));
            assert!(bench.said().len() <= 1, "{name}");
            assert_judged(name, &mut bench, &outcome);
        }
        let mut bench = Bench::shaken();
        let mut client = Client::bare();
        client.send(3, Kind::CommandAmf0, 0, 0, &with_argument("connect", &raw));
        // Before connect damage may close, with a typed error or a refusal; nothing else.
        if bench.feed(&client.bytes).is_err() {
            assert!(bench.session.is_closing(), "{name}");
        }
    }
}

#[test]
fn z38_nested_commands_are_refused_as_the_command_itself_too() {
    for (name, raw) in bombs() {
        for (state, mut bench) in Bench::every_state() {
            let amf3 = [vec![0], raw.clone()].concat();
            let frame = payload(&["@setDataFrame".into(), "onMetaData".into()]);
            let data = [frame, raw.clone()].concat();
            for (kind, bytes) in [
                (Kind::CommandAmf0, &raw),
                (Kind::CommandAmf3, &amf3),
                (Kind::DataAmf0, &data),
            ] {
                let outcome = bench.message(kind, 1, bytes);
                if state != "shaken" && !bench.session.is_closing() {
                    assert_judged(name, &mut bench, &outcome);
                }
            }
        }
    }
}

/// Damage fails the call and the session lives; a broken limit closes it with its name.
fn assert_judged(name: &str, bench: &mut Bench, outcome: &Result<(), Error>) {
    match outcome {
        Ok(()) => bench.assert_alive(),
        Err(Error::Amf(error)) if error.is_limit() => assert!(bench.session.is_closing()),
        Err(other) => panic!("{name}: {other}"),
    }
}

#[test]
fn z39_an_ecma_count_is_only_a_hint() {
    let array = b"\x08\xFF\xFF\xFF\xFF\x00\x03app\x02\x00\x04live\x00\x00\x09";
    let mut bench = Bench::shaken();
    let connect = [payload(&["connect".into(), 1u32.into()]), array.to_vec()].concat();
    bench.gently(Kind::CommandAmf0, 0, &connect);
    assert!(matches!(&bench.told()[..], [Event::Connect(connect)] if connect.app == "live"));
}

#[test]
fn z40_a_command_cut_at_every_byte_is_an_error_or_less_of_it() {
    let object = Object::new()
        .with("app", "live")
        .with("tcUrl", "rtmp://h/live");
    let list = Value::StrictArray(vec!["hvc1".into(), 1u32.into(), Value::Null]);
    let object = object.with("fourCcList", list);
    let whole = payload(&["connect".into(), 1u32.into(), object.into()]);
    for end in 0..whole.len() {
        let mut bench = Bench::shaken();
        let outcome = bench.message(Kind::CommandAmf0, 0, &whole[..end]);
        assert!(bench.told().len() <= 1, "cut at {end}: {outcome:?}");
        let mut bench = Bench::connected(1);
        bench.gently(Kind::CommandAmf0, 0, &whole[..end]);
    }
    let publish = command("publish", 3.0, &["cam".into(), "live".into()]);
    for end in 0..publish.len() {
        let mut bench = Bench::connected(1);
        bench.gently(Kind::CommandAmf0, 1, &publish[..end]);
        assert!(bench.told().len() <= 1, "cut at {end}");
    }
}

#[test]
fn z42_reference_bombs_are_paid_for() {
    // Each array holds the one before twice: 2^n values if followed by copying.
    let mut raw = vec![0x0A, 0, 0, 0, 2, 5, 5];
    for level in 0..200_u16 {
        let reference = [&[0x07][..], &level.to_be_bytes()].concat();
        raw.extend([&[0x0A, 0, 0, 0, 2][..], &reference, &reference].concat());
    }
    let started = std::time::Instant::now();
    let limits = AmfLimits::AUTHORISED;
    let decoded = decode(&raw, &limits);
    assert!(
        started.elapsed().as_millis() < 500,
        "{:?}",
        started.elapsed()
    );
    drop(decoded);
    let mut bench = Bench::connected(1);
    let outcome = bench.message(Kind::CommandAmf0, 1, &with_argument("publish", &raw));
    assert_judged("bomb", &mut bench, &outcome);
}

#[test]
fn z45_amf3_messages_without_selector_or_content_are_dropped() {
    for kind in [
        Kind::CommandAmf3,
        Kind::DataAmf3,
        Kind::CommandAmf0,
        Kind::DataAmf0,
    ] {
        for bytes in [&[][..], &[0], &[0x11], &[0, 0x11], &[0xFF]] {
            for (name, mut bench) in Bench::every_state().into_iter().skip(1) {
                bench.gently(kind, 1, bytes);
                assert!(
                    bench.told().is_empty() && bench.said().is_empty(),
                    "{name} {bytes:?}"
                );
                bench.assert_alive();
            }
        }
    }
}

#[test]
fn z46_a_connect_object_of_any_shape_is_refused_or_defaulted() {
    let long = "x".repeat(7_000);
    let objects: Vec<Value<'_>> = vec![
        Value::Null,
        Value::Undefined,
        1u32.into(),
        "live".into(),
        Value::StrictArray(vec!["live".into()]),
        Object::new().into(),
        Object::new()
            .with("app", Object::new().with("app", "live"))
            .into(),
        Object::new()
            .with("app", Value::Null)
            .with("tcUrl", 7u32)
            .into(),
        Object::new()
            .with("app", "live")
            .with("tcUrl", long.as_str())
            .into(),
        Object::new().with("app", "li\0ve").into(),
        Object::new()
            .with("app", "live\r\nw0c1 published by root")
            .into(),
        Object::new()
            .with("a\r\nb", "c")
            .with("\0", "d")
            .with("app", "live")
            .into(),
        Object::new().with("app", &b"\xFF\xFE"[..]).into(),
        Object::new()
            .with("app", "live")
            .with("flashVer", "\x1b[31m\r\n\0x")
            .into(),
    ];
    for object in objects {
        let mut bench = Bench::shaken();
        let bytes = payload(&["connect".into(), 1u32.into(), object.clone()]);
        bench.message(Kind::CommandAmf0, 0, &bytes).unwrap();
        let said = String::from_utf8_lossy(&bench.out).into_owned();
        let refused = said.contains("Connect.InvalidApp");
        assert_eq!(refused, bench.session.is_closing(), "{object:?}");
        let peer = bench.session.peer();
        for text in [&peer.agent, &peer.app, &peer.tc_url, &peer.host] {
            assert!(
                !text.contains(|c: char| c.is_control()),
                "{text:?} of {object:?}"
            );
            assert!(text.len() <= 512, "{} bytes of {object:?}", text.len());
        }
    }
}

#[test]
fn z47_command_names_of_any_kind_are_answered_shortly() {
    let long = "A".repeat(8 << 10);
    let names: [&[u8]; 5] = [b"", long.as_bytes(), b"\xFF\xFE\x80", b"a\r\nb", b"\0"];
    for name in names {
        let mut bench = Bench::connected(1);
        bench.gently(
            Kind::CommandAmf0,
            0,
            &payload(&[name.into(), 9u32.into(), Value::Null]),
        );
        assert!(bench.out.len() < 400, "{} bytes answered", bench.out.len());
        assert!(!bench.session.is_closing());
        let mut bench = Bench::connected(1);
        bench.gently(
            Kind::CommandAmf0,
            0,
            &payload(&[name.into(), 0u32.into(), Value::Null]),
        );
        assert!(bench.out.is_empty(), "transaction 0");
    }
}

#[test]
fn z48_missing_arguments_are_an_error_and_no_crash() {
    let names = [
        "connect",
        "createStream",
        "deleteStream",
        "closeStream",
        "publish",
        "play",
        "play2",
        "pause",
        "pauseRaw",
        "seek",
        "receiveAudio",
        "receiveVideo",
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "getStreamLength",
        "_checkbw",
        "_result",
        "_error",
        "onStatus",
        "close",
        "",
    ];
    let null = Value::Null;
    let arguments: [Vec<Value<'_>>; 4] = [
        vec![],
        vec![null.clone()],
        vec![null.clone(), null.clone(), null.clone()],
        vec![Object::new().into(), Value::Undefined, f64::NAN.into()],
    ];
    for name in names {
        for args in &arguments {
            for (state, mut bench) in Bench::every_state().into_iter().skip(1) {
                for stream_id in [0, 1, 9] {
                    bench.now = bench.now + 20;
                    let outcome = bench.call(stream_id, name, 5.0, args);
                    assert!(outcome.is_ok(), "{state}: {name} {args:?}: {outcome:?}");
                }
                let mut bare = Bench::connected(1);
                bare.gently(Kind::CommandAmf0, 1, &payload(&[name.into()]));
            }
        }
    }
}

#[test]
fn z49_transactions_are_echoed_bit_by_bit() {
    for number in [
        f64::NAN,
        -1.0,
        1e308,
        9_007_199_254_740_993.0,
        f64::INFINITY,
        0.5,
    ] {
        let mut bench = Bench::connected(0);
        bench.call(0, "createStream", number, &[]).unwrap();
        let echoed = bench
            .out
            .windows(8)
            .any(|bytes| bytes == number.to_be_bytes());
        assert!(echoed, "{number}");
    }
}
