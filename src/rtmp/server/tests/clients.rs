//! Whole sessions as real clients send them (PROTOCOL §10), answered alike in any split (I-03).

use super::*;

#[test]
fn x01_ffmpeg_publishes() {
    let (said, told) = session(&ffmpeg_publish());
    assert_eq!(
        said,
        [
            "WindowAckSize(2500000)",
            "SetPeerBandwidth { size: 2500000, limit: Dynamic }",
            "SetChunkSize(60000)",
            "_result 1 {} NetConnection.Connect.Success",
            "_result 2 Undefined",
            "_result 3 Undefined",
            "_result 4 1",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Publish.Start @1",
            "_result 6 Undefined",
            "onStatus 0 NetStream.Unpublish.Success @1",
        ]
    );
    assert_eq!(
        told,
        [
            "Connect live",
            "Publish 1 live/cam?token=a",
            "Media 1 DataAmf0 0 37",
            "Media 1 Video 0 300",
            "Media 1 Audio 0 4",
            "Media 1 Audio 23 9",
            "Media 1 Video 40 5",
            "Unpublish 1",
        ]
    );
}

#[test]
fn x03_ffmpeg_plays() {
    let (said, told) = session(&ffmpeg_play());
    assert_eq!(
        said[3..],
        [
            "_result 1 {} NetConnection.Connect.Success",
            "_result 2 1",
            "_result 3 0",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Play.Reset @1",
            "onStatus 0 NetStream.Play.Start @1",
            "|RtmpSampleAccess Boolean(true) Boolean(true) @1",
        ]
    );
    assert_eq!(told, ["Connect live", "Play 1 live/cam?", "StopPlay 1"]);
}

#[test]
fn x05_rtmpdump_plays() {
    let (said, told) = session(&rtmpdump_play());
    assert_eq!(
        said[3..6],
        [
            "_result 1 {} NetConnection.Connect.Success",
            "_result 2 1",
            "_result 3 Undefined"
        ]
    );
    assert_eq!(said[8], "onStatus 0 NetStream.Play.Start @1");
    assert_eq!(told, ["Connect live", "Play 1 live/cam?", "StopPlay 1"]);
}

#[test]
fn x07_gst_publishes() {
    let (said, told) = session(&gst_publish());
    assert_eq!(
        said[3..],
        [
            "_result 1 {} NetConnection.Connect.Success",
            "_result 2 1",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Publish.Start @1",
            "onStatus 0 NetStream.Unpublish.Success @1",
        ]
    );
    assert_eq!(told[..2], ["Connect live", "Publish 1 live/cam?"]);
    assert_eq!(told[2..5], ["Media 1 DataAmf0 0 37"; 3]);
    assert_eq!(
        told[5..],
        ["Media 1 Audio 0 4", "Media 1 Video 0 200", "Unpublish 1"]
    );
}

#[test]
fn x09_gst_plays() {
    let (said, told) = session(&gst_play());
    assert_eq!(
        said[4..7],
        [
            "_result 2 1",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Play.Reset @1"
        ]
    );
    assert_eq!(told, ["Connect live", "Play 1 live/cam?"]);
}

#[test]
fn x10_obs_publishes() {
    let (said, told) = session(&obs_publish());
    assert_eq!(
        said[3..],
        [
            "_result 1 {} NetConnection.Connect.Success",
            "_result 2 Undefined",
            "_result 3 Undefined",
            "onFCPublish 0 NetStream.Publish.Start",
            "_result 4 1",
            "User(StreamBegin(1))",
            "onStatus 0 NetStream.Publish.Start @1",
            "_result 6 Undefined",
            "onStatus 0 NetStream.Unpublish.Success @1",
        ]
    );
    assert_eq!(
        told[1..4],
        [
            "Publish 1 live/key?",
            "Media 1 DataAmf0 0 37",
            "Media 1 Audio 0 4"
        ]
    );
    assert_eq!(
        told[4..],
        ["Media 1 Video 0 6000", "Media 1 Audio 21 7", "Unpublish 1"]
    );
}

#[test]
fn x15_haivision_creates_the_stream_before_fcpublish() {
    let (said, told) = session(&haivision_publish());
    assert_eq!(
        said[4..8],
        [
            "_result 2",
            "_result 3 1",
            "_result 4 Undefined",
            "onFCPublish 0 NetStream.Publish.Start"
        ]
    );
    assert_eq!(told[1], "Publish 1 live/cam?");
}

#[test]
fn fmle_publishes_again_on_the_same_connection_and_message_stream() {
    let (said, told) = session(&fmle_republish());
    assert_eq!(
        told,
        [
            "Connect live",
            "Publish 1 live/a?",
            "Unpublish 1",
            "Publish 1 live/b?",
            "Unpublish 1"
        ]
    );
    assert_eq!(
        said.iter()
            .filter(|line| line.contains("Publish.Start @1"))
            .count(),
        2
    );
    assert_eq!(
        said.iter()
            .filter(|line| line.contains("Unpublish.Success @1"))
            .count(),
        2
    );
}

#[test]
fn any_split_gives_the_same_events_and_output() {
    let sessions = [
        ffmpeg_publish(),
        ffmpeg_play(),
        rtmpdump_play(),
        gst_publish(),
        gst_play(),
        obs_publish(),
        haivision_publish(),
        fmle_republish(),
    ];
    for client in sessions {
        let whole = run(&client.bytes, || usize::MAX);
        for size in [1, 2, 3, 11, 127, 128, 129, 1_000, 1_537, 3_073] {
            assert_eq!(run(&client.bytes, || size), whole, "pieces of {size}");
        }
        let mut seed = 1u32;
        for _ in 0..20 {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as usize + 1
            };
            assert_eq!(run(&client.bytes, &mut next), whole, "seed {seed}");
        }
    }
}

#[test]
fn t4_no_session_ever_hears_an_abort_or_half_a_message() {
    for client in [
        ffmpeg_publish(),
        ffmpeg_play(),
        rtmpdump_play(),
        gst_play(),
        obs_publish(),
    ] {
        let (said, _) = session(&client); // asserts whole messages
        assert!(
            said.iter().all(|line| !line.starts_with("Abort")),
            "{said:?}"
        );
    }
}

/// What was said after the handshake and told, in words.
fn session(client: &Client) -> (Vec<String>, Vec<String>) {
    let (events, out) = run(&client.bytes, || usize::MAX);
    let said = messages(&out[3_073..], 128).iter().map(line).collect();
    (said, events.iter().map(word).collect())
}

fn run(bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<Event>, Vec<u8>) {
    let mut bench = Bench::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(piece().min(rest.len()));
        bench.feed(piece).unwrap();
        rest = behind;
    }
    (bench.told(), bench.out)
}

fn word(event: &Event) -> String {
    match event {
        Event::Connect(connect) => format!("Connect {}", connect.app),
        Event::Publish {
            stream_id, target, ..
        } => {
            format!("Publish {stream_id} {}?{}", target.name, target.query)
        }
        Event::Play { stream_id, target } => {
            format!("Play {stream_id} {}?{}", target.name, target.query)
        }
        Event::Media { stream_id, message } => {
            let Message {
                kind,
                timestamp,
                body,
                ..
            } = message;
            format!("Media {stream_id} {kind:?} {timestamp} {}", body.len())
        }
        Event::Unpublish { stream_id } => format!("Unpublish {stream_id}"),
        Event::StopPlay { stream_id } => format!("StopPlay {stream_id}"),
        other => format!("{other:?}"),
    }
}

fn metadata() -> Vec<u8> {
    let object = Object::new().with("width", 640u32);
    payload(&[
        "@setDataFrame".into(),
        "onMetaData".into(),
        Value::EcmaArray(object),
    ])
}

fn ffmpeg_publish() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("type", "nonprivate".into()),
        ("flashVer", "FMLE/3.0 (compatible; Lavf59.27.100)".into()),
        ("tcUrl", "rtmp://host:1935/live".into()),
    ]);
    client.control(Control::SetChunkSize(60_000)); // mirrors ours (K-25)
    client.call("releaseStream", 2.0, &["cam?token=a".into()]);
    client.call("FCPublish", 3.0, &["cam?token=a".into()]);
    client.call("createStream", 4.0, &[]);
    client.call_on(8, 1, "publish", 5.0, &["cam?token=a".into(), "live".into()]);
    client.send(4, Kind::DataAmf0, 0, 1, &metadata());
    client.send(6, Kind::Video, 0, 1, &[0x17; 300]);
    client.send(4, Kind::Audio, 0, 1, &[0xAF, 0, 0x12, 0x10]);
    client.send(4, Kind::Audio, 23, 1, &[0xAF; 9]);
    client.send(6, Kind::Video, 40, 1, &[0x17, 2, 0, 0, 0]);
    client.call("FCUnpublish", 6.0, &["cam?token=a".into()]);
    client.call("deleteStream", 7.0, &[1u32.into()]);
    client
}

fn ffmpeg_play() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("flashVer", "LNX 9,0,124,2".into()),
        ("tcUrl", "rtmp://host:1935/live".into()),
        ("fpad", false.into()),
        ("capabilities", 15u32.into()),
        ("audioCodecs", 4071u32.into()),
        ("videoCodecs", 252u32.into()),
        ("videoFunction", 1u32.into()),
    ]);
    client.control(Control::WindowAckSize(2_500_000));
    client.call("createStream", 2.0, &[]);
    client.call_on(8, 0, "getStreamLength", 3.0, &["cam".into()]);
    client.call_on(8, 1, "play", 4.0, &["cam".into(), (-2000.0).into()]);
    let buffer = UserControl::SetBufferLength {
        stream_id: 1,
        ms: 3_000,
    };
    let mut payload = Vec::new();
    buffer.write(&mut payload);
    client.send(2, Kind::UserControl, 1, 0, &payload); // at time 1
    client.call("deleteStream", 5.0, &[1u32.into()]);
    client
}

fn rtmpdump_play() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("flashVer", "LNX 10,0,32,18".into()),
        ("tcUrl", "rtmp://host:1935/live".into()),
        ("fpad", false.into()),
        ("audioCodecs", 3191u32.into()),
    ]);
    client.bytes.extend_from_slice(&[
        0x02, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x26, 0x25,
        0xA0, // format 0: window 2,500,000
        0x42, 0, 0, 0, 0, 0, 10, 4, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0x2C, // format 1: (0, 300)
    ]);
    client.call("createStream", 2.0, &[]);
    client.call("FCSubscribe", 3.0, &["cam".into()]);
    client.call_on(8, 1, "play", 4.0, &["cam".into(), (-1000.0).into()]);
    client.bytes.extend_from_slice(&[
        0xC2, 0, 3, 0, 0, 0, 1, 0x02, 0x25, 0x51, 0, // format 3: (1, 36,000,000)
    ]);
    client.call("deleteStream", 5.0, &[1u32.into()]);
    client
}

fn gst_publish() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("type", "nonprivate".into()),
        ("flashVer", "LNX 10,0,32,18".into()),
        ("tcUrl", "rtmp://host:1935/live".into()),
    ]);
    client.control(Control::WindowAckSize(2_500_000));
    client.call("releaseStream", 0.0, &["cam".into()]);
    client.call("FCPublish", 0.0, &["cam".into()]);
    client.call("createStream", 2.0, &[]);
    client.call_on(3, 1, "publish", 0.0, &["cam".into(), "live".into()]);
    client.control(Control::SetChunkSize(128));
    for _ in 0..3 {
        client.send(4, Kind::DataAmf0, 0, 1, &metadata());
    }
    client.send(5, Kind::Audio, 0, 1, &[0xAF, 0, 0x12, 0x10]);
    client.send(6, Kind::Video, 0, 1, &[0x17; 200]);
    client.call("FCUnpublish", 0.0, &["cam".into()]);
    client.call("deleteStream", 0.0, &["cam".into()]);
    client
}

fn gst_play() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("flashVer", "LNX 10,0,32,18".into()),
        ("tcUrl", "rtmp://host:1935/live".into()),
        ("audioCodecs", 4071u32.into()),
    ]);
    client.control(Control::WindowAckSize(2_500_000));
    client.control(Control::WindowAckSize(2_500_000));
    client.user(UserControl::SetBufferLength {
        stream_id: 0,
        ms: 300,
    });
    client.call("createStream", 2.0, &[]);
    client.call_on(3, 1, "play", 0.0, &["cam".into(), (-2.0).into()]);
    client.user(UserControl::SetBufferLength {
        stream_id: 1,
        ms: 30_000,
    });
    client
}

fn obs_publish() -> Client {
    let mut client = Client::new();
    client.control(Control::SetChunkSize(4_096));
    client.connect(&[
        ("app", "live".into()),
        ("type", "nonprivate".into()),
        ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
        ("swfUrl", "rtmp://host/live".into()),
        ("tcUrl", "rtmp://host/live".into()),
    ]);
    client.call("releaseStream", 2.0, &["key".into()]);
    client.call("FCPublish", 3.0, &["key".into()]);
    client.call("createStream", 4.0, &[]);
    client.call_on(4, 1, "publish", 5.0, &["key".into(), "live".into()]);
    client.send(4, Kind::DataAmf0, 0, 1, &metadata());
    client.send(4, Kind::Audio, 0, 1, &[0xAF, 0, 0x12, 0x10]);
    client.send(4, Kind::Video, 0, 1, &[0x17; 6_000]);
    client.send(4, Kind::Audio, 21, 1, &[0xAF; 7]);
    client.call("FCUnpublish", 6.0, &["key".into()]);
    client.call("deleteStream", 7.0, &[1u32.into()]);
    client
}

fn haivision_publish() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live".into()),
        ("flashVer", "FMLE/3.0 (compatible; Haivision)".into()),
    ]);
    client.call("_checkbw", 2.0, &[]);
    client.call("createStream", 3.0, &[]);
    client.call("FCPublish", 4.0, &["cam".into()]);
    client.call_on(4, 1, "publish", 5.0, &["cam".into()]);
    client
}

fn fmle_republish() -> Client {
    let mut client = Client::new();
    client.connect(&[
        ("app", "live/_definst_".into()),
        ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
    ]);
    client.call("createStream", 2.0, &[]);
    client.call_on(4, 1, "publish", 0.0, &["a".into(), "live".into()]);
    client.call("FCUnpublish", 3.0, &["a".into()]);
    client.call("deleteStream", 4.0, &[1u32.into()]);
    client.call("createStream", 5.0, &[]);
    client.call_on(4, 1, "publish", 0.0, &["b".into(), "live".into()]);
    client.call_on(4, 1, "publish", 0.0, &[false.into()]);
    client
}
