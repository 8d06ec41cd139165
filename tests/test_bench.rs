//! The tests' own tools: what the cameras film is valid, the tally sees what it must see, and the
//! blocking clients work over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::bits::{HEIGHT, WIDTH};
use common::client::{Player, Publisher, Word, play_config};
use common::link::{Dial, PATIENCE};
use common::media::{self, Audio, Camera, Piece, Video, metadata, number};
use common::tally::Tally;
use corecast::codec::{self, Codec, Media, Part, Shape};
use corecast::ids::{ConnId, WorkerId};
use corecast::rtmp::chunk::{Head, csid, write_message};
use corecast::rtmp::client::Ending;
use corecast::rtmp::message::{Body, Kind, Message};
use corecast::rtmp::server::{Event, Refusal, ServerSession, SessionConfig, code};
use corecast::time::Millis;

#[test]
fn every_config_is_valid_and_tells_its_size() {
    let cases = [
        (media::avc_config(), Codec::Avc),
        (media::hevc_config(), Codec::Hevc),
        (media::av1_config(), Codec::Av1),
    ];
    for (payload, codec) in cases {
        let tag = codec::video(&payload).unwrap();
        assert_eq!((tag.codec, tag.part), (codec, Part::Config));
        match codec::shape(&tag, tag.body(&payload)) {
            Some(Shape::Video { width, height, .. }) => {
                assert_eq!((width, height), (WIDTH, HEIGHT), "{codec}");
            }
            other => panic!("{codec}: {other:?}"),
        }
    }
    for (payload, rate) in [
        (media::aac_config(), 44_100),
        (media::opus_config(), 48_000),
    ] {
        let tag = codec::audio(&payload).unwrap();
        assert_eq!(tag.part, Part::Config);
        match codec::shape(&tag, tag.body(&payload)) {
            Some(Shape::Audio { rate_hz, channels }) => assert_eq!((rate_hz, channels), (rate, 2)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_frame_carries_its_number_and_says_whether_it_is_a_key() {
    for video in [Video::Avc, Video::Hevc, Video::Av1] {
        let camera = Camera::new(video, Audio::None).gop(5);
        for (count, piece) in camera.take(12).enumerate() {
            let tag = codec::video(&piece.payload).unwrap();
            assert_eq!(
                tag.part,
                Part::Frame {
                    key: count % 5 == 0
                },
                "{video:?} {count}"
            );
            assert_eq!(number(&piece.payload), Some(count as u64));
            assert_eq!(piece.timestamp, count as u32 * 40);
        }
    }
    for audio in [Audio::Aac, Audio::Opus] {
        for (count, piece) in Camera::new(Video::None, audio).take(5).enumerate() {
            assert!(matches!(
                codec::audio(&piece.payload).unwrap().part,
                Part::Frame { .. }
            ));
            assert_eq!(number(&piece.payload), Some(count as u64));
        }
    }
}

#[test]
fn multitrack_messages_are_found_as_tracks() {
    let camera = Camera::new(Video::AvcTwice, Audio::AacAndOpus);
    let pieces = camera.configs().into_iter().chain(camera.take(40));
    let (mut video, mut audio) = (0, 0);
    for piece in pieces.filter(|piece| matches!(piece.payload[0] & 15, 5 | 6)) {
        let kind = if piece.kind == Kind::Video {
            Media::Video
        } else {
            Media::Audio
        };
        let tracks: Vec<_> = codec::tracks(kind, &piece.payload).collect();
        assert_eq!(tracks.len(), 1);
        assert_eq!(tracks[0].track, 1);
        let codec = if kind == Media::Video {
            Codec::Avc
        } else {
            Codec::Opus
        };
        assert_eq!(tracks[0].codec, codec);
        *(if kind == Media::Video {
            &mut video
        } else {
            &mut audio
        }) += 1;
    }
    assert!(video > 5 && audio > 5, "{video} {audio}");

    let many = media::video_tracks(0x93, b"hvc1", &[(1, vec![7; 5]), (2, vec![8; 3])]);
    let sizes: Vec<_> = codec::tracks(Media::Video, &many)
        .map(|track| (track.track, track.body.len()))
        .collect();
    assert_eq!(sizes, [(1, 5), (2, 3)]);
}

#[test]
fn the_tally_sees_gaps_duplicates_missing_configs_and_times_that_go_back() {
    let camera = Camera::new(Video::Avc, Audio::None).gop(4);
    let frames: Vec<Piece> = camera.clone().take(10).collect();
    let config = &camera.configs()[0];
    let tally = |pieces: &[&Piece]| {
        let mut tally = Tally::default();
        pieces.iter().for_each(|piece| tally.take(&message(piece)));
        tally
    };
    let f = |number: usize| &frames[number];
    tally(&[config, f(0), f(1), f(2)]).assert_whole();
    tally(&[config, f(4), f(5)]).assert_whole();
    let gap = tally(&[config, f(0), f(1), f(4), f(5)]);
    gap.assert_lawful();
    assert_eq!(gap.video.missing, 2);
    for wrong in [
        vec![f(0)],
        vec![config, f(1)],
        vec![config, f(0), f(2)],
        vec![config, f(0), f(0)],
        vec![config, f(0), f(1), f(0)],
    ] {
        assert!(!tally(&wrong).faults.is_empty(), "{:?}", tally(&wrong));
    }
    let back = Piece {
        timestamp: f(1).timestamp - 1,
        ..f(2).clone()
    };
    assert_eq!(tally(&[config, f(0), f(1), &back]).faults.len(), 1);
}

#[test]
fn a_publisher_sends_over_a_socket_and_says_goodbye() {
    let (address, server) = serve(|_| None);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(address, "live/cam", &camera).unwrap();
    publisher.roll(&mut camera, 200).unwrap();
    publisher.stop();
    let told = server.join().unwrap();
    let media = told
        .iter()
        .filter(|event| matches!(event, Event::Media { .. }))
        .count();
    assert_eq!(media, 1 + camera.configs().len() + 200);
    assert!(matches!(told.last(), Some(Event::Unpublish { .. })));
}

#[test]
fn a_player_receives_over_a_socket_until_the_end() {
    let (address, server) = serve(|_| None);
    let mut player = Player::connect(address, "live/cam").unwrap();
    player.until_picture(29);
    assert_eq!(player.until_ended(), Ending::Unpublished);
    assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
    player.tally.assert_whole();
    assert_eq!(
        (player.tally.video.first, player.tally.video.frames),
        (Some(0), 30)
    );
    assert!(player.recv(Duration::from_millis(50)).is_none());
    player.stop();
    assert!(matches!(server.join().unwrap()[1], Event::Play { .. }));
}

#[test]
fn a_refusal_arrives_as_its_code_and_a_slow_dial_still_connects() {
    let (address, server) = serve(|event| {
        let play = matches!(event, Event::Play { .. });
        play.then(|| Refusal::new(code::STREAM_NOT_FOUND, "live/cam"))
    });
    let dial = Dial::new(address).from("127.0.0.2").receive_buffer(4_096);
    let failure = Player::dial(&dial, play_config(address, "live/cam"))
        .err()
        .unwrap();
    assert_eq!(failure.code(), code::STREAM_NOT_FOUND);
    server.join().unwrap();
}

fn message(piece: &Piece) -> Message {
    Message {
        kind: piece.kind,
        timestamp: piece.timestamp,
        stream_id: 1,
        body: Body::with_payload(&piece.payload),
    }
}

/// One connection's server: accepts what it is asked unless told otherwise, sends a player thirty
/// pictures and the end, and returns every event when the client has gone.
fn serve(
    refuse: impl Fn(&Event) -> Option<Refusal> + Send + 'static,
) -> (SocketAddr, JoinHandle<Vec<Event>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        session(socket, refuse)
    });
    (address, thread)
}

fn session(mut socket: TcpStream, refuse: impl Fn(&Event) -> Option<Refusal>) -> Vec<Event> {
    let trace = ConnId {
        worker: WorkerId(0),
        index: 0,
        generation: 0,
    };
    let mut session = ServerSession::new(SessionConfig::default(), [0; 32], trace, Millis(0));
    let mut told = Vec::new();
    let mut buffer = vec![0; 8_192];
    loop {
        let read = match socket.read(&mut buffer) {
            Ok(0) => return told,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return told,
            Err(error) => panic!("{error}"),
        };
        let mut input = &buffer[..read];
        while let Some(event) = session.recv(&mut input, Millis(0)).unwrap() {
            answer(&mut session, &event, refuse(&event));
            told.push(event);
        }
        socket.write_all(session.out()).unwrap();
        session.out().clear();
        if session.is_closing() {
            return told;
        }
    }
}

fn answer(session: &mut ServerSession, event: &Event, refusal: Option<Refusal>) {
    match (event, refusal) {
        (Event::Connect(_), _) => session.accept_connect(),
        (Event::Publish { stream_id, .. }, None) => session.accept_publish(*stream_id, Millis(0)),
        (Event::Publish { stream_id, .. }, Some(why)) => session.refuse_publish(*stream_id, &why),
        (Event::Play { stream_id, .. }, Some(why)) => session.refuse_play(*stream_id, &why),
        (Event::Play { stream_id, .. }, None) => {
            session.start_play(*stream_id);
            let data = Piece {
                kind: Kind::DataAmf0,
                timestamp: 0,
                payload: metadata(),
            };
            let camera = Camera::plain();
            let over = |piece: &Piece| piece.timestamp >= 30 * 40;
            let film = camera.clone().take_while(|piece| !over(piece));
            for piece in [data].into_iter().chain(camera.configs()).chain(film) {
                let csid = if piece.kind == Kind::Video {
                    csid::VIDEO
                } else {
                    csid::AUDIO
                };
                let (kind, timestamp, stream_id) = (piece.kind, piece.timestamp, *stream_id);
                let head = Head {
                    csid,
                    timestamp,
                    kind,
                    stream_id,
                };
                write_message(session.out(), &head, &piece.payload, 60_000);
            }
            session.end_play(*stream_id);
        }
        _ => {}
    }
}
