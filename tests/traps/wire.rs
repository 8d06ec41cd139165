//! Traps of the handshake, the chunk stream and the commands, without sockets.

use std::fs;

use corecast::limits::ReaderLimits;
use corecast::media::{Frame, Gather, Lane, Traits};
use corecast::rtmp::Error;
use corecast::rtmp::amf0::{Object, Value, decode};
use corecast::rtmp::chunk::ChunkReader;
use corecast::rtmp::message::{Body, Control, Kind, Message};
use corecast::rtmp::server::{Event, Refusal, code};
use corecast::time::Millis;

use crate::common::bench::{Bench, Client, head, hello, message, messages};

#[test]
fn t01_a_plain_s1_has_zero_version_bytes() {
    // C1[4..8]: librtmp, and ffmpeg with a digest that does not match.
    for version in [[0; 4], [9, 0, 0x7C, 2], [0x80, 0, 3, 2]] {
        let mut bytes = hello();
        bytes[5..9].copy_from_slice(&version);
        let mut bench = Bench::new();
        bench.feed(&bytes).unwrap();
        assert_eq!(bench.out.len(), 3_073);
        assert_eq!(bench.out[5..9], [0; 4], "C1 version {version:?}");
    }
}

#[test]
fn t02_every_chunk_past_4_h_39_min_repeats_the_timestamp() {
    let payload = vec![0x27; 300];
    for (ms, extra) in [(0xFF_FFFE, 0), (0xFF_FFFF, 4), (20_000_000, 4)] {
        let traits = Traits {
            lane: Lane::Video,
            join: false,
            header: false,
        };
        let frame = Frame::build(Body::with_payload(&payload), traits, None, ms, 128);
        let mut gather = Gather::new();
        frame.gather(None, 0, &mut gather);
        let bytes: Vec<u8> = gather.slices().iter().flat_map(|s| s.to_vec()).collect();
        assert_eq!(
            bytes.len(),
            12 + extra + 300 + 2 * (1 + extra),
            "at {ms} ms"
        );
        let again = &bytes[12 + extra + 128..];
        assert_eq!(again[0], 0xC6, "format 3 on chunk stream 6");
        let stamp = (ms as u32).to_be_bytes();
        assert_eq!(again[1..1 + extra], stamp[..extra], "at {ms} ms");
    }
    // The session's own answers carry no time, so none of them is extended.
}

#[test]
fn t02_an_encoder_may_leave_the_repeated_timestamp_out() {
    for repeats in [true, false] {
        let mut bytes = head(6, 0xFF_FFFF, 300, 9, 1);
        bytes.extend(20_000_000_u32.to_be_bytes());
        for (chunk, len) in [128, 128, 44].into_iter().enumerate() {
            if chunk > 0 {
                bytes.push(0xC6);
                if repeats {
                    bytes.extend(20_000_000_u32.to_be_bytes());
                }
            }
            bytes.extend(vec![0x27; len]);
        }
        let mut bench = Bench::publishing();
        bench.feed(&bytes).unwrap();
        let media = bench.media();
        assert_eq!(media.len(), 1, "repeats: {repeats}");
        assert_eq!(media[0].payload(), [0x27; 300], "repeats: {repeats}");
        assert_eq!(media[0].timestamp, 20_000_000);
        bench.assert_alive();
    }
}

#[test]
fn t03_an_extended_value_of_format_1_or_2_is_a_step_that_wraps() {
    let start = |time: u32| [head(4, time, 1, 8, 1), vec![0xAF]].concat();
    let step1 = |by: u32| [&[0x44, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8], &by.to_be_bytes()[..]].concat();
    let step2 = |by: u32| [&[0x84, 0xFF, 0xFF, 0xFF], &by.to_be_bytes()[..]].concat();
    let cases = [
        (0, 20_000_000, 20_000_000),     // B-11: ffmpeg, 20,000 s offset
        (1_000, 20_000_000, 20_001_000), // not an absolute time
        (100, 0xFFFF_FFF6, 90),          // B-12: librtmp, 10 ms back
        (5, 0xFFFF_FFF0, 0xFFFF_FFF5),   // back across zero
    ];
    for (from, by, expected) in cases {
        for step in [step1(by), step2(by)] {
            let mut bench = Bench::publishing();
            bench
                .feed(&[start(from), step, vec![0xAF]].concat())
                .unwrap();
            let times: Vec<u32> = bench.media().iter().map(|m| m.timestamp).collect();
            assert_eq!(times, [from, expected], "{from} and {by:#x}");
        }
    }
}

#[test]
fn t05_our_chunk_size_is_large_early_and_taken_back_from_ffmpeg() {
    let mut bench = Bench::shaken();
    let mut client = Client::bare();
    client.connect(&[("app", "live".into())]);
    bench.feed(&client.bytes).unwrap();
    let said = messages(&std::mem::take(&mut bench.out), 128);
    let told = |m: &Message| Control::parse(m.kind, m.payload());
    let size = said
        .iter()
        .position(|m| told(m) == Some(Control::SetChunkSize(60_000)));
    let result = said.iter().position(|m| m.kind == Kind::CommandAmf0);
    assert!(size.unwrap() < result.unwrap(), "the size comes first");

    client.bytes.clear();
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "publish", 3.0, &["cam".into()]);
    client.control(Control::SetChunkSize(60_000));
    client.send(6, Kind::Video, 0, 1, &[0x17; 50_000]);
    bench.feed(&client.bytes).unwrap();
    assert_eq!(bench.media()[0].payload().len(), 50_000);
}

#[test]
fn t06_start_comes_on_the_streams_own_message_stream() {
    for (name, code) in [
        ("publish", "NetStream.Publish.Start"),
        ("play", "NetStream.Play.Start"),
    ] {
        let mut bench = Bench::connected(3);
        bench.call(3, name, 0.0, &["cam".into()]).unwrap();
        let wanted = format!("onStatus 0 {code} @3");
        assert!(bench.said().contains(&wanted), "{name}");
    }
}

#[test]
fn t06_connect_succeeds_with_a_code_in_its_info() {
    let mut bench = Bench::shaken();
    let mut client = Client::bare();
    client.connect(&[("app", "live".into())]);
    bench.feed(&client.bytes).unwrap();
    let said = messages(&bench.out, 128);
    let result = said.last().unwrap();
    let limits = corecast::limits::AmfLimits::AUTHORISED;
    let decoded = decode(result.payload(), &limits).unwrap();
    let info = decoded.values[3].as_object().unwrap();
    let code = info.get("code").and_then(Value::as_str);
    assert_eq!(code, Some("NetConnection.Connect.Success"));
}

#[test]
fn t07_bad_name_is_followed_by_rejected_which_obs_understands() {
    let mut bench = Bench::connected(1);
    bench.hold = true;
    bench.call(1, "publish", 0.0, &["cam".into()]).unwrap();
    bench.forget();
    let taken = Refusal::new(code::BAD_NAME, "Taken.");
    bench.session.refuse_publish(1, &taken);
    bench.feed(&[]).unwrap();
    let said = bench.said();
    assert_eq!(said[0], "onStatus 0 NetStream.Publish.BadName @1");
    assert_eq!(said[1], "onStatus 0 NetStream.Publish.Rejected @1");
    assert!(bench.session.is_closing());
}

#[test]
fn t08_the_end_is_unpublish_notify_and_stream_eof() {
    let mut bench = Bench::playing();
    bench.session.end_play(1);
    bench.feed(&[]).unwrap();
    assert_eq!(
        bench.said(),
        [
            "onStatus 0 NetStream.Play.UnpublishNotify @1",
            "User(StreamEof(1))"
        ]
    );
}

#[test]
fn t09_every_split_of_a_url_and_its_query_means_one_stream() {
    let cuts = [
        ("a/b", "rtmp://h/a/b", "c/d?k=v"),   // ffmpeg
        ("a/b/c", "rtmp://h/a/b/c", "d?k=v"), // librtmp, gst
        ("a/b/c?k=v", "rtmp://h/a/b/c", "d"), // query behind the app
        ("a", "rtmp://h/a?k=v", "b/c/d"),     // query in tcUrl alone
        ("/a/b/", "rtmp://h/a/b/", "/c/d?k=v"),
    ];
    for (app, tc_url, stream) in cuts {
        for command in ["publish", "play"] {
            let mut bench = Bench::shaken();
            let mut client = Client::bare();
            client.connect(&[("app", app.into()), ("tcUrl", tc_url.into())]);
            client.call(0, "createStream", 2.0, &[]);
            client.call(1, command, 0.0, &[stream.into()]);
            bench.feed(&client.bytes).unwrap();
            let target = match bench.told().pop() {
                Some(Event::Publish { target, .. } | Event::Play { target, .. }) => target,
                other => panic!("{app} {stream}: {other:?}"),
            };
            assert_eq!(target.name.as_str(), "a/b/c/d", "{app} {stream}");
            assert_eq!(target.query, "k=v", "{app} {stream}");
        }
    }
}

#[test]
fn t12_gst_deletes_by_name_with_transaction_0_and_hears_nothing() {
    let mut bench = Bench::publishing();
    bench.call(0, "deleteStream", 0.0, &["cam".into()]).unwrap();
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 1 }]);
    bench.forget();
    for name in [
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "createStream",
        "fly",
    ] {
        bench.call(0, name, 0.0, &["cam".into()]).unwrap();
    }
    assert!(bench.said().is_empty(), "transaction 0 wants no answer");
}

#[test]
fn t12_gst_plays_from_minus_2() {
    for start in [-2.0, -2_000.0, -1_000.0, 0.0] {
        let mut bench = Bench::connected(1);
        bench
            .call(1, "play", 0.0, &["cam".into(), start.into()])
            .unwrap();
        assert!(matches!(bench.told()[..], [Event::Play { .. }]), "{start}");
        let said = bench.said();
        assert!(said.contains(&"onStatus 0 NetStream.Play.Start @1".to_owned()));
    }
}

#[test]
fn t13_publish_false_ends_the_publish() {
    let mut bench = Bench::publishing();
    bench.call(1, "publish", 0.0, &[false.into()]).unwrap();
    assert_eq!(bench.told(), [Event::Unpublish { stream_id: 1 }]);
    assert_eq!(bench.said(), ["onStatus 0 NetStream.Unpublish.Success @1"]);
    bench.call(1, "publish", 0.0, &["cam".into()]).unwrap();
    assert!(matches!(bench.told()[..], [Event::Publish { .. }]));
}

#[test]
fn t14_no_data_start_is_sent() {
    let mut bench = Bench::connected(1);
    bench.call(1, "play", 0.0, &["cam".into()]).unwrap();
    let said = messages(&std::mem::take(&mut bench.out), 60_000);
    let data = said.iter().filter(|m| m.kind == Kind::DataAmf0);
    for message in data {
        assert!(
            message
                .payload()
                .starts_with(b"\x02\x00\x11|RtmpSampleAccess")
        );
    }
    for message in &said {
        let text = String::from_utf8_lossy(message.payload()).into_owned();
        assert!(!text.contains("Data.Start"), "{text}");
    }
}

#[test]
fn t17_limits_come_before_allocation() {
    // Before connect, after it, and as a publisher: refused on the header, no payload needed.
    for (name, mut bench) in Bench::every_state() {
        let length = 0xFF_FFFF;
        let outcome = bench.feed(&head(7, 0, length, 9, 1));
        let refused = matches!(outcome, Err(Error::MessageLength { found, .. }) if found == length);
        assert!(refused, "{name}: {outcome:?}");
    }
    let mut bench = Bench::connected(0);
    let mut object = Object::new();
    for key in ["a", "b"] {
        object = object.with(key, Value::StrictArray(vec![]));
    }
    let mut payload = crate::common::bench::payload(&["x".into(), 1u32.into(), object.into()]);
    let at = payload.iter().rposition(|byte| *byte == 0x0A).unwrap();
    payload[at + 1..at + 5].fill(0xFF); // four billion values
    bench
        .feed(&message(3, Kind::CommandAmf0, 0, &payload))
        .unwrap();
    assert_eq!(bench.said(), ["_error 1 NetConnection.Call.Failed"]);
    assert_eq!(bench.session.next_timeout(), Millis(16_000), "still open");
}

#[test]
fn t17_memory_follows_what_arrived_and_not_what_was_announced() {
    let before = data_bytes();
    let mut readers = Vec::new();
    for _ in 0..64 {
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        for csid in 4..12 {
            let announced = [head(csid, 0, 8 << 20, 9, 1), vec![0; 128]].concat();
            assert!(reader.read(&mut announced.as_slice()).unwrap().is_none());
        }
        readers.push(reader);
    }
    let held: usize = readers.iter().map(ChunkReader::partial_bytes).sum();
    assert_eq!(held, 64 * 8 * 128);
    // 4 GiB were announced; other tests of this process hold a few MiB meanwhile.
    let grown = data_bytes().saturating_sub(before);
    assert!(grown < 512 << 20, "{grown} bytes for {held} received");
}

/// Private memory this process has asked for, touched or not.
fn data_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmData:"));
    let kib = line.unwrap().trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().unwrap() << 10
}
