//! One publisher and its players against the real server: every message, every byte, every name.

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

use std::time::Duration;

use common::client::{Player, Publisher, Word, play_config};
use common::link::{Dial, PATIENCE};
use common::media::{Audio, Camera, Piece, Video, metadata};
use common::server::TestServer;
use corecast::rtmp::client::Ending;
use corecast::rtmp::message::Kind;

#[test]
fn every_message_arrives_bit_for_bit_with_its_timestamp() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain().starting_at(5_000);
    let mut publisher = Publisher::connect(server.rtmp, "live/exact").unwrap();
    let mut player = Player::connect(server.rtmp, "live/exact").unwrap();
    publisher.open(&camera).unwrap();
    let mut sent = vec![piece(Kind::DataAmf0, 0, metadata())];
    sent.extend(camera.configs());
    let film: Vec<Piece> = camera.by_ref().take(400).collect();
    publisher.pieces(&film).unwrap();
    sent.extend(film);
    assert_received(&mut player, &sent);
}

#[test]
fn pictures_of_any_size_survive_chunks_of_any_size() {
    for (out_chunk, in_chunk) in [("128", 65_536), ("4096", 128), ("65536", 4_096)] {
        let server = TestServer::start(&["--chunk-size", out_chunk]);
        let mut config = common::client::publish_config(server.rtmp, "live/big");
        config.chunk_size = in_chunk;
        let mut publisher = Publisher::dial(&Dial::new(server.rtmp), config).unwrap();
        let mut player = Player::connect(server.rtmp, "live/big").unwrap();
        // Key frames of 240 kB: many chunks even at the largest size.
        let camera = Camera::plain().picture_bytes(60_000).gop(5);
        let mut sent = camera.configs();
        sent.extend(camera.take(40));
        publisher.pieces(&sent).unwrap();
        assert_received(&mut player, &sent);
    }
}

#[test]
fn every_codec_and_every_track_passes_untouched_to_a_player_that_takes_all() {
    let server = TestServer::start(&[]);
    for (number, (video, audio)) in [
        (Video::Hevc, Audio::Opus),
        (Video::Av1, Audio::Opus),
        (Video::AvcTwice, Audio::AacAndOpus),
        (Video::Avc, Audio::None),
        (Video::None, Audio::Aac),
        (Video::None, Audio::Opus),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("live/codec{number}");
        let camera = Camera::new(video, audio);
        let mut publisher = Publisher::connect(server.rtmp, &name).unwrap();
        let mut player = Player::capable(server.rtmp, &name).unwrap();
        let mut sent = camera.configs();
        sent.extend(camera.take(200));
        publisher.pieces(&sent).unwrap();
        assert_received(&mut player, &sent);
    }
}

#[test]
fn a_path_meets_its_twin_however_clients_cut_it_and_whatever_query_they_add() {
    let server = TestServer::start(&[]);
    let mut publish = common::client::publish_config(server.rtmp, "live/x");
    // ffmpeg cuts rtmp://host/live/room/cam behind the second level, librtmp before the last.
    (publish.app, publish.stream) = ("live".to_owned(), "room/cam?key=geheim".to_owned());
    let mut publisher = Publisher::dial(&Dial::new(server.rtmp), publish).unwrap();
    let mut play = play_config(server.rtmp, "live/x");
    (play.app, play.stream) = ("live/room?viewer=7".to_owned(), "cam".to_owned());
    let mut player = Player::dial(&Dial::new(server.rtmp), play).unwrap();
    let camera = Camera::plain();
    let mut sent = camera.configs();
    sent.extend(camera.take(50));
    publisher.pieces(&sent).unwrap();
    assert_received(&mut player, &sent);
    publisher.stop();
    server.line_with("stream live/room/cam ended");
    let told = server.lines().join("\n");
    assert!(!told.contains("geheim"), "a key is in the log:\n{told}");
}

#[test]
fn streams_of_other_names_do_not_mix() {
    let server = TestServer::start(&[]);
    let names: Vec<String> = (0..6).map(|n| format!("live/cam{n}")).collect();
    let mut pairs: Vec<_> = names
        .iter()
        .zip(1..)
        .map(|(name, n)| {
            let camera = Camera::plain().picture_bytes(100 * n).starting_at(n as u32);
            let publisher = Publisher::connect(server.rtmp, name).unwrap();
            let player = Player::connect(server.rtmp, name).unwrap();
            (publisher, player, camera.configs(), camera)
        })
        .collect();
    for (publisher, _, sent, _) in &mut pairs {
        publisher.pieces(sent).unwrap();
    }
    for _ in 0..60 {
        for (publisher, _, sent, camera) in &mut pairs {
            let next = camera.next().unwrap();
            publisher.piece(&next).unwrap();
            sent.push(next);
        }
    }
    for (_, player, sent, _) in &mut pairs {
        assert_received(player, sent);
    }
}

#[test]
fn a_clean_end_reaches_the_player_after_the_last_frame_and_closes() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/show", &camera).unwrap();
    let mut player = Player::connect(server.rtmp, "live/show").unwrap();
    publisher.roll(&mut camera, 500).unwrap();
    publisher.stop();
    assert_eq!(player.until_ended(), Ending::Unpublished);
    assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
    assert!(matches!(player.recv(PATIENCE), Some(Word::Closed)));
    player.tally.assert_whole();
    let last = |count: u64| Some(count - 1);
    assert_eq!(player.tally.video.last, last(camera.pictures()));
    assert_eq!(player.tally.audio.last, last(camera.sounds()));
    assert_eq!(player.tally.video.first, Some(0));
}

#[test]
fn an_empty_audio_message_is_silence_and_passes() {
    let server = TestServer::start(&[]);
    let mut publisher = Publisher::connect(server.rtmp, "live/silence").unwrap();
    let mut player = Player::connect(server.rtmp, "live/silence").unwrap();
    let camera = Camera::plain();
    let mut sent = camera.configs();
    sent.extend(camera.take(3));
    sent.push(piece(Kind::Audio, 60, vec![]));
    publisher.pieces(&sent).unwrap();
    assert_received(&mut player, &sent);
}

#[test]
fn the_log_says_who_came_what_it_carried_and_how_it_ended() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/log", &camera).unwrap();
    let mut player = Player::connect(server.rtmp, "live/log").unwrap();
    publisher.roll(&mut camera, 100).unwrap();
    player.until_picture(camera.pictures() - 1);
    let (at_camera, at_player) = (trace(&publisher.link), trace(&player.link));
    server.line_with("stream live/log live: H.264 640x480 + AAC 44100 Hz 2 ch, published by");
    publisher.stop();
    player.until_ended();
    let ended = server.line_with("stream live/log ended after");
    for part in [
        "H.264 640x480 + AAC",
        "kbit/s",
        "102 frames",
        "players peak 1",
    ] {
        assert!(ended.contains(part), "no {part:?} in {ended}");
    }
    player.stop();
    let published = server.line_with(&format!("[{at_camera}] "));
    assert!(published.contains("published live/log"), "{published}");
    let mut lines = server.lines().into_iter();
    if !lines.any(|line| line.contains(&at_player)) {
        server.line_with(&format!("[{at_player}] "));
    }
    let played = server.line_with("played live/log");
    assert!(played.contains(&format!("[{at_player}] ")), "{played}");
    assert!(played.contains(", 0 frames skipped"), "{played}");
}

#[test]
fn a_closed_connection_leaves_no_descriptor_behind() {
    let server = TestServer::start(&["--play-wait", "0"]);
    let warm = Publisher::connect(server.rtmp, "live/warm").unwrap();
    let before = server.descriptors();
    for round in 0..30 {
        let name = format!("live/{round}");
        let publisher = Publisher::connect(server.rtmp, &name).unwrap();
        let player = Player::connect(server.rtmp, &name).unwrap();
        assert!(Player::connect(server.rtmp, "live/nobody").is_err());
        player.link.reset();
        publisher.stop();
    }
    let until = std::time::Instant::now() + PATIENCE;
    while server.descriptors() > before && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Fewer is possible: the bench's own first look at the port may have been open still.
    assert!(
        server.descriptors() <= before,
        "{} > {before}",
        server.descriptors()
    );
    drop(warm);
}

fn trace(link: &common::link::Link) -> String {
    link.trace.clone().expect("a trace id")
}

fn piece(kind: Kind, timestamp: u32, payload: Vec<u8>) -> Piece {
    Piece {
        kind,
        timestamp,
        payload,
    }
}

/// What the player gets is `|RtmpSampleAccess` and then exactly this.
fn assert_received(player: &mut Player, sent: &[Piece]) {
    let access = player.media(PATIENCE).expect("|RtmpSampleAccess");
    assert!(
        access
            .payload()
            .ends_with(b"|RtmpSampleAccess\x01\x01\x01\x01")
    );
    for (at, wanted) in sent.iter().enumerate() {
        let Some(found) = player.media(PATIENCE) else {
            panic!("message {at} of {} did not come", sent.len());
        };
        let found = piece(found.kind, found.timestamp, found.payload().to_vec());
        if found != *wanted {
            let show = |p: &Piece| (p.kind, p.timestamp, p.payload.len());
            panic!("message {at} is {:?}, not {:?}", show(&found), show(wanted));
        }
    }
    let more = player.media(Duration::from_millis(50));
    assert!(
        more.is_none(),
        "too much: {:?}",
        more.map(|m| (m.kind, m.timestamp))
    );
}
