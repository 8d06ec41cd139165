//! Whole valid sessions, damaged at random: flipped, cut, doubled, spliced; Z-32 and Z-16 at large.
//!
//! Law: a mutant leads to events or one typed error, never to a panic; what the session says and
//! what players of its stream get stays readable; after an error nothing more comes (I-04).
//! `SEED=n` runs mutant `n` alone.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use corecast::config::{Config, Enhanced};
use corecast::rtmp::amf0::{Object, Value};
use corecast::rtmp::caps::Caps;
use corecast::rtmp::chunk::{Head, write_message};
use corecast::rtmp::message::{Control, Kind, UserControl};
use corecast::rtmp::server::Event;

use crate::common::bench::{Bench, Client, command, messages, payload};
use crate::common::media::{
    Audio, Camera, Video, avc_config, avc_end, avc_frame, metadata, video_tracks,
};
use crate::common::stage::Stage;

#[test]
fn sixteen_thousand_known_mutants_are_survived() {
    breed(1, 16_000);
}

#[test]
fn eight_thousand_new_mutants_are_survived() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    breed(now.as_nanos() as u64 | 1 << 40, 8_000);
}

#[test]
fn the_recordings_themselves_are_understood_whole() {
    let told = |recording: &[u8]| {
        let mut bench = Bench::new();
        bench.feed(recording).unwrap();
        let media = bench
            .told
            .iter()
            .filter(|e| matches!(e, Event::Media { .. }));
        let ended = bench
            .told
            .iter()
            .any(|e| matches!(e, Event::Unpublish { .. } | Event::StopPlay { .. }));
        (media.count(), ended)
    };
    let found: Vec<_> = recordings().iter().map(|r| told(r)).collect();
    assert_eq!(found, [(43, true), (73, true), (0, true), (32, true)]);
}

fn breed(first: u64, count: u64) {
    let recordings = recordings();
    if let Some(seed) = env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        return Mutant { seed }.live(&recordings);
    }
    for seed in first..first + count {
        Mutant { seed }.live(&recordings);
    }
}

/// One damaged session; names its seed if it panics.
struct Mutant {
    seed: u64,
}

impl Mutant {
    fn live(&self, recordings: &[Vec<u8>]) {
        let mut dice = Dice::new(self.seed);
        let bytes = damage(recordings, &mut dice);
        let mut bench = Bench::new();
        let mut left = bytes.as_slice();
        let mut outcome = Ok(());
        while !left.is_empty() && outcome.is_ok() {
            let most = [3, 40, 700, 9_000, 70_000][dice.below(5)];
            let (piece, rest) = left.split_at(left.len().min(1 + dice.below(most)));
            left = rest;
            bench.now = bench.now + dice.below(30) as u64;
            outcome = bench.feed(piece);
        }
        if outcome.is_err() {
            let told = bench.told.len();
            assert!(bench.session.is_closing());
            bench.feed(&bytes).unwrap();
            assert_eq!(bench.told.len(), told, "an event after the error");
        }
        if let Some(said) = bench.out.get(3_073..) {
            messages(said, 128);
        }
        show(&bench.told);
    }
}

impl Drop for Mutant {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SEED={}", self.seed);
        }
    }
}

/// Lets streams and two players have the media; what the players get must be readable.
fn show(told: &[Event]) {
    let mut media = told.iter().filter_map(|event| match event {
        Event::Media { message, .. } => Some(message),
        _ => None,
    });
    let Some(first) = media.next() else { return };
    let mut stage = Stage::with(Config {
        log_bytes: 1 << 20,
        log_frames: 40,
        ..Config::default()
    });
    let everything = Object::new()
        .with("fourCcList", Value::StrictArray(vec!["*".into()]))
        .with("capsEx", 15u32);
    let mut silent = stage.viewer(&Caps::default(), Enhanced::Forward, 1);
    let mut capable = stage.viewer(&Caps::read(&everything), Enhanced::Strict, 3);
    for message in std::iter::once(first).chain(media) {
        stage.now = stage.now + 20;
        stage.send(message.kind, message.timestamp, message.payload());
    }
    let mut late = stage.viewer(&Caps::default(), Enhanced::Strict, 2);
    for viewer in [&mut silent, &mut capable, &mut late] {
        viewer.watch(&stage);
    }
}

/// One to six injuries, nine of ten behind the handshake.
fn damage(recordings: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = recordings[dice.below(recordings.len())].clone();
    for _ in 0..1 + dice.below(6) {
        let front = if dice.below(10) == 0 { 0 } else { 3_073 };
        let at = (front + dice.below(bytes.len().saturating_sub(front).max(1))).min(bytes.len());
        let len = [1, 4, 16, 200, 3_000][dice.below(5)];
        let end = (at + 1 + dice.below(len)).min(bytes.len());
        match dice.below(8) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            4 => {
                let noise: Vec<u8> = (at..end).map(|_| dice.below(256) as u8).collect();
                bytes.splice(at..at, noise);
            }
            5 => {
                let magic: [&[u8]; 6] = [
                    &[0xFF; 4],
                    &[0; 4],
                    &[0x7F, 0xFF, 0xFF, 0xFF],
                    &[0x80, 0, 0, 0],
                    &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 128],
                    &[0xC3, 0x83, 0x43, 0x03],
                ];
                let magic = magic[dice.below(6)].iter().copied();
                let end = end.min(at + magic.len());
                bytes.splice(at..end, magic);
            }
            6 => bytes[at..end].reverse(),
            _ => {
                let other = &recordings[dice.below(recordings.len())];
                let from = dice.below(other.len());
                let to = (from + 1 + dice.below(3_000)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

fn recordings() -> Vec<Vec<u8>> {
    vec![obs(), gst(), player(), flash()]
}

/// OBS: chunk size first, H.264 and AAC, a clean end.
fn obs() -> Vec<u8> {
    let mut client = Client::new();
    client.control(Control::SetChunkSize(4_096));
    let agent = "FMLE/3.0 (compatible; FMSc/1.0)";
    client.connect(&[
        ("app", "live".into()),
        ("type", "nonprivate".into()),
        ("flashVer", agent.into()),
        ("tcUrl", "rtmp://localhost/live".into()),
        (
            "fourCcList",
            Value::StrictArray(vec!["av01".into(), "hvc1".into()]),
        ),
    ]);
    client.call(0, "releaseStream", 2.0, &["cam?key=secret".into()]);
    client.call(0, "FCPublish", 3.0, &["cam?key=secret".into()]);
    client.call(0, "createStream", 4.0, &[]);
    client.call(1, "publish", 5.0, &["cam?key=secret".into(), "live".into()]);
    film(&mut client, Camera::plain().gop(10), 40);
    client.call(0, "FCUnpublish", 6.0, &["cam".into()]);
    client.call(0, "deleteStream", 7.0, &[1u32.into()]);
    client.bytes
}

/// GStreamer: transaction 0, metadata again and again, enhanced codecs, late timestamps.
fn gst() -> Vec<u8> {
    let mut client = Client::new();
    client.connect(&[("app", "live/a".into()), ("capsEx", 7u32.into())]);
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "publish", 0.0, &["cam".into(), "live".into()]);
    let camera = Camera::new(Video::Hevc, Audio::AacAndOpus).starting_at(0x00FF_FFA0);
    film(&mut client, camera.gop(5).picture_bytes(60), 60);
    for _ in 0..8 {
        client.send(4, Kind::DataAmf0, 0, 1, &set_data_frame());
    }
    client.send(6, Kind::Video, 0, 1, &avc_end());
    client.call(0, "deleteStream", 0.0, &["cam".into()]);
    client.bytes
}

/// A player that uses everything there is.
fn player() -> Vec<u8> {
    let mut client = Client::new();
    let flags = Object::new().with("*", 7u32);
    client.connect(&[
        ("app", "live".into()),
        ("tcUrl", "rtmp://localhost:1935/live?token=x".into()),
        ("audioCodecs", 4_071u32.into()),
        ("videoFourCcInfoMap", flags.into()),
        ("objectEncoding", 3u32.into()),
    ]);
    client.control(Control::WindowAckSize(2_500_000));
    client.call(0, "createStream", 2.0, &[]);
    client.call(0, "_checkbw", 3.0, &[]);
    let (stream_id, ms) = (1, 3_000);
    client.control(Control::User(UserControl::SetBufferLength {
        stream_id,
        ms,
    }));
    client.call(0, "getStreamLength", 4.0, &["cam".into()]);
    client.call(
        1,
        "play",
        5.0,
        &["mp4:cam.mp4".into(), (-2_000.0).into(), (-1.0).into()],
    );
    client.control(Control::User(UserControl::PingResponse(7)));
    for paused in [true, false] {
        client.call(1, "pause", 6.0, &[paused.into(), 1_000u32.into()]);
        client.call(1, "receiveVideo", 0.0, &[(!paused).into()]);
    }
    client.call(1, "seek", 7.0, &[0u32.into()]);
    client.control(Control::Ack(100_000));
    client.call(
        1,
        "play",
        8.0,
        &["dog".into(), 0u32.into(), (-1.0).into(), true.into()],
    );
    client.call(1, "closeStream", 0.0, &[]);
    client.call(0, "deleteStream", 0.0, &[1u32.into()]);
    client.bytes
}

/// Flash: AMF3 commands, aggregates, lists of tracks, ModEx, extended timestamps, an abort.
fn flash() -> Vec<u8> {
    let mut client = Client::new();
    client.connect(&[("app", "live".into()), ("objectEncoding", 3u32.into())]);
    for (stream_id, name, args) in [
        (0, "createStream", vec![]),
        (1, "publish", vec!["cam".into(), "record".into()]),
    ] {
        let bytes = [vec![0], command(name, 2.0, &args)].concat();
        client.send(3, Kind::CommandAmf3, 0, stream_id, &bytes);
    }
    client.send(
        5,
        Kind::DataAmf3,
        0,
        1,
        &[vec![0], set_data_frame()].concat(),
    );
    client.send(6, Kind::Video, 0, 1, &avc_config());
    let mut aggregate = Vec::new();
    for number in 0..4 {
        let frame = avc_frame(number, number == 0, 40);
        aggregate.extend([
            9,
            0,
            0,
            frame.len() as u8,
            0,
            0,
            number as u8 * 40,
            0,
            0,
            0,
            0,
        ]);
        aggregate.extend(&frame);
        aggregate.extend((frame.len() as u32 + 11).to_be_bytes());
    }
    client.send(6, Kind::Aggregate, 100, 1, &aggregate);
    for number in 0..8_u32 {
        let list = video_tracks(0x93, b"hvc1", &[(0, vec![0x26; 30]), (1, vec![0x26; 20])]);
        client.send(6, Kind::Video, 500 + number, 1, &list);
        client.send(
            6,
            Kind::Video,
            500 + number,
            1,
            b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\0xyz",
        );
        let head = Head {
            csid: 70,
            timestamp: 20_000_000 + number,
            kind: Kind::Audio,
            stream_id: 1,
        };
        write_message(&mut client.bytes, &head, &[0xAF; 300], 128);
    }
    client.control(Control::Abort(6));
    client.send(4, Kind::Audio, 900, 1, &[]);
    let [name, value] = [
        Value::from("onCuePoint"),
        Value::StrictArray(vec![Value::Null]),
    ];
    client.send(5, Kind::DataAmf0, 900, 1, &payload(&[name, value]));
    client.call(1, "publish", 0.0, &[false.into()]);
    client.bytes
}

fn film(client: &mut Client, camera: Camera, count: usize) {
    client.send(5, Kind::DataAmf0, camera.start, 1, &set_data_frame());
    for piece in camera.configs().into_iter().chain(camera.take(count)) {
        let csid = if piece.kind == Kind::Audio { 4 } else { 6 };
        client.send(csid, piece.kind, piece.timestamp, 1, &piece.payload);
    }
}

fn set_data_frame() -> Vec<u8> {
    [payload(&["@setDataFrame".into()]), metadata()].concat()
}

/// Random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound.max(1)
    }
}
