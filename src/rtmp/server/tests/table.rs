//! Every state against every kind of message: each pair has a defined outcome (I-01).

use super::*;

/// `_` taken without a word, `-` dropped and counted, `r` answered, `e` event, `b` both,
/// `!` error, `x` answered and closing, `w` waits for the host.
const TABLE: [(&str, &str); 37] = [
    // Columns: WaitConnect, AskingConnect, Connected, Created, AskingPublish, Publishing,
    // AskingPlay, Playing, Closing.
    ("set chunk size", "_w______."),
    ("set chunk size short", "-w------."),
    ("abort", "_w______."),
    ("ack", "_w______."),
    ("ping", "rwrrrrrr."),
    ("user control short", "-w------."),
    ("set buffer length", "_w______."),
    ("swf verification", "_w______."),
    ("window", "_w______."),
    ("bandwidth", "rwrrrrrr."),
    ("bandwidth 0", "-w------."),
    ("audio", "-w---e--."),
    ("audio empty", "-w---e--."),
    ("video", "-w---e--."),
    ("data", "-w---e--."),
    ("data amf3", "-w---e--."),
    ("data time code", "-w------."),
    ("shared object", "-w------."),
    ("shared object amf3", "-w------."),
    ("aggregate", "-w---e--."),
    ("other 0", "-w------."),
    ("other 255", "-w------."),
    ("command empty", "!w------."),
    ("command unnamed", "!w------."),
    ("command unknown", "!wrrrrrr."),
    ("command amf3", "!wrrrrrr."),
    ("connect", "ewxxxxxx."),
    ("createStream", "!wrrrrrr."),
    ("releaseStream", "!wrrrrrr."),
    ("FCUnpublish", "!wrrbbrr."),
    ("deleteStream", "!w__ebee."),
    ("closeStream", "!w__ebee."),
    ("publish", "!wrerrrr."),
    ("publish false", "!wr_ebee."),
    ("play", "!wrerree."),
    ("pause", "!wrrrrrb."),
    ("seek", "!wrrrrrr."),
];

const STATES: [&str; 9] = [
    "WaitConnect",
    "AskingConnect",
    "Connected",
    "Created",
    "AskingPublish",
    "Publishing",
    "AskingPlay",
    "Playing",
    "Closing",
];

fn state(name: &str) -> Bench {
    let mut bench = match name {
        "WaitConnect" | "AskingConnect" => {
            let mut bench = Bench::new();
            let client = Client::new();
            bench.feed(&client.bytes).unwrap();
            bench
        }
        "Connected" => Bench::connected(0),
        "Publishing" => Bench::publishing(),
        "Playing" => Bench::playing(),
        _ => Bench::connected(1),
    };
    bench.hold = true;
    match name {
        "AskingConnect" => {
            let mut bytes = Vec::new();
            let head = Head {
                csid: 3,
                timestamp: 0,
                kind: Kind::CommandAmf0,
                stream_id: 0,
            };
            let connect = payload(&["connect".into(), 1u32.into(), Object::new().into()]);
            crate::rtmp::chunk::write_message(&mut bytes, &head, &connect, 128);
            let event = bench.session.recv(&mut &bytes[..], bench.now).unwrap();
            assert!(matches!(event, Some(Event::Connect(_))));
        }
        "AskingPublish" => bench.call(1, "publish", 5.0, &["cam".into()]).unwrap(),
        "AskingPlay" => bench.call(1, "play", 4.0, &["cam".into()]).unwrap(),
        "Closing" => bench.session.shutdown(),
        _ => {}
    }
    bench.forget();
    bench
}

fn row(name: &str) -> (Kind, Vec<u8>) {
    let user = |bytes: &[u8]| (Kind::UserControl, bytes.to_vec());
    let call = |name: &str, args: &[Value<'_>]| (Kind::CommandAmf0, command(name, 9.0, args));
    let metadata = payload(&["onMetaData".into(), Object::new().into()]);
    match name {
        "set chunk size" => (Kind::SetChunkSize, vec![0, 0, 0x10, 0]),
        "set chunk size short" => (Kind::SetChunkSize, vec![0, 0, 0x10]),
        "abort" => (Kind::Abort, vec![0, 0, 0, 9]),
        "ack" => (Kind::Ack, vec![0xFF; 4]),
        "ping" => user(&[0, 6, 1, 2, 3, 4]),
        "user control short" => user(&[0]),
        "set buffer length" => user(&[0, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        "swf verification" => user(&[[0, 27].to_vec(), vec![1; 42]].concat()),
        "window" => (Kind::WindowAckSize, vec![0, 0, 0, 1]),
        "bandwidth" => (Kind::SetPeerBandwidth, vec![0, 0, 0, 9, 0]),
        "bandwidth 0" => (Kind::SetPeerBandwidth, vec![0, 0, 0, 0, 0]),
        "audio" => (Kind::Audio, vec![0xAF, 1, 2]),
        "audio empty" => (Kind::Audio, Vec::new()),
        "video" => (Kind::Video, vec![0x17, 1, 0, 0, 0]),
        "data" => (Kind::DataAmf0, metadata),
        "data amf3" => (Kind::DataAmf3, [vec![0], metadata].concat()),
        "data time code" => (Kind::DataAmf0, vec![0, 0, 0, 9]),
        "shared object" => (Kind::SharedObjectAmf0, vec![1]),
        "shared object amf3" => (Kind::SharedObjectAmf3, vec![1]),
        "aggregate" => (Kind::Aggregate, vec![8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xAF]),
        "other 0" => (Kind::Other(0), vec![1; 9]),
        "other 255" => (Kind::Other(255), vec![1; 9]),
        "command empty" => (Kind::CommandAmf0, Vec::new()),
        "command unnamed" => (Kind::CommandAmf0, payload(&[1u32.into()])),
        "command unknown" => call("fly", &[]),
        "command amf3" => (
            Kind::CommandAmf3,
            [vec![0], command("fly", 9.0, &[])].concat(),
        ),
        "connect" => {
            let connect = [
                "connect".into(),
                1u32.into(),
                Object::new().with("app", "live").into(),
            ];
            (Kind::CommandAmf0, payload(&connect))
        }
        "createStream" => call(name, &[]),
        "releaseStream" | "FCUnpublish" | "publish" | "play" => call(name, &["cam".into()]),
        "deleteStream" | "seek" => call(name, &[1u32.into()]),
        "closeStream" => call(name, &[]),
        "publish false" => call("publish", &[false.into()]),
        "pause" => call(name, &[true.into(), 0u32.into()]),
        _ => panic!("no such row: {name}"),
    }
}

fn outcome(state_name: &str, row_name: &str) -> char {
    let mut bench = state(state_name);
    let (kind, payload) = row(row_name);
    let mut bytes = Vec::new();
    let head = Head {
        csid: 3,
        timestamp: 40,
        kind,
        stream_id: 1,
    };
    crate::rtmp::chunk::write_message(&mut bytes, &head, &payload, 128);
    let mut input = &bytes[..];
    let dropped = bench.session.dropped();
    let was_closing = bench.session.is_closing();
    let Ok(event) = bench.session.recv(&mut input, bench.now) else {
        return '!';
    };
    if input.len() == bytes.len() {
        return 'w';
    }
    let replied = !bench.session.out().is_empty();
    match (event.is_some(), replied) {
        _ if was_closing => '.',
        (true, true) => 'b',
        (true, false) => 'e',
        (false, true) if bench.session.is_closing() => 'x',
        (false, true) => 'r',
        (false, false) if bench.session.dropped() > dropped => '-',
        (false, false) => '_',
    }
}

#[test]
fn every_state_has_a_defined_outcome_for_every_kind_of_message() {
    for (row_name, expected) in TABLE {
        let found: String = STATES
            .iter()
            .map(|state| outcome(state, row_name))
            .collect();
        assert_eq!(found, expected, "{row_name}, columns {STATES:?}");
    }
}

#[test]
fn every_kind_byte_with_any_payload_is_survived_in_every_state() {
    for state_name in STATES {
        for kind in 0..=255 {
            for payload in [&[][..], &[0], &[0xFF; 3], &[0; 5], &[0x02; 40], &[0x0A; 64]] {
                let mut bench = state(state_name);
                let mut bytes = Vec::new();
                let head = Head {
                    csid: 3,
                    timestamp: 0,
                    kind: Kind::from_wire(kind),
                    stream_id: 1,
                };
                crate::rtmp::chunk::write_message(&mut bytes, &head, payload, 128);
                let mut input = &bytes[..];
                while let Ok(Some(_)) = bench.session.recv(&mut input, bench.now) {}
            }
        }
    }
}
