//! Time as players see it: unchanged where the encoder's clock is sound, across 2^24, 2^31 and
//! 2^32 ms, and never backwards where it is not. PROTOCOL K-05, K-10, K-37 to K-41.

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

use common::client::{Player, Publisher, play_config, publish_config};
use common::link::{Dial, PATIENCE};
use common::media::{Audio, Camera, Piece, Video};
use common::server::TestServer;
use corecast::rtmp::message::Kind;

#[test]
fn every_timestamp_passes_unchanged_across_the_borders_of_the_wire() {
    // 128: key frames are many chunks, each of which repeats the extended timestamp (K-10).
    for chunk in ["128", "60000"] {
        let server = TestServer::start(&["--chunk-size", chunk]);
        for border in BORDERS {
            let name = format!("live/at{border}");
            let camera = Camera::plain().starting_at(border.wrapping_sub(2_000));
            let mut config = publish_config(server.rtmp, &name);
            config.chunk_size = chunk.parse().unwrap();
            let mut publisher = Publisher::dial(&Dial::new(server.rtmp), config).unwrap();
            let mut player = Player::connect(server.rtmp, &name).unwrap();
            let mut sent = camera.configs();
            sent.extend(camera.take(260));
            let crossed = sent
                .iter()
                .any(|p| p.timestamp.wrapping_sub(border) < 1_000);
            assert!(crossed, "{border} is not reached");
            publisher.pieces(&sent).unwrap();
            player.media(PATIENCE).expect("|RtmpSampleAccess");
            for wanted in &sent {
                let found = player.media(PATIENCE).expect("another message");
                assert_eq!(
                    (found.kind, found.timestamp),
                    (wanted.kind, wanted.timestamp)
                );
                assert!(found.payload() == wanted.payload, "at {}", wanted.timestamp);
            }
            player.tally.assert_whole();
        }
    }
}

#[test]
fn a_joiner_behind_a_border_gets_the_same_times_as_everybody_on_each_worker() {
    let server = TestServer::start(&[]);
    for border in BORDERS {
        let name = format!("live/at{border}");
        let mut camera = Camera::plain().starting_at(border.wrapping_sub(1_000));
        let mut publisher = Publisher::start(server.rtmp, &name, &camera).unwrap();
        let mut witness = Player::connect(server.rtmp, &name).unwrap();
        // Picture 25 stands on the border itself.
        publisher.pieces(&camera.before(40)).unwrap();
        witness.until_picture(39);
        let mut late = [0, 1].map(|w| Player::on_worker(server.rtmp, &name, |on| on == w));
        publisher.pieces(&camera.before(60)).unwrap();
        for player in &mut late {
            player.until_picture(59);
            player.tally.assert_whole();
            let video = &player.tally.video;
            assert_eq!(video.first_timestamp, Some(border));
            assert_eq!(video.last_timestamp, Some(border.wrapping_add(34 * 40)));
        }
    }
}

#[test]
fn the_largest_plain_timestamp_and_the_first_extended_one_are_told_apart() {
    let server = TestServer::start(&["--chunk-size", "128"]);
    let mut publisher = Publisher::connect(server.rtmp, "live/cam").unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    let payload = |key| common::media::avc_frame(u64::from(key), key == 0, 700);
    let times = [0xFF_FFFD, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000, 0x100_0001];
    for (at, time) in times.into_iter().enumerate() {
        publisher
            .send(Kind::Video, time, &payload(at as u32))
            .unwrap();
    }
    player.media(PATIENCE).expect("|RtmpSampleAccess");
    for (at, time) in times.into_iter().enumerate() {
        let found = player.media(PATIENCE).expect("another message");
        assert_eq!(found.timestamp, time);
        assert_eq!(found.payload(), payload(at as u32));
    }
}

#[test]
fn a_clock_that_starts_anew_is_carried_on_by_one_frame() {
    let (server, mut publisher, mut camera) = running();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.pieces(&camera.before(200)).unwrap();
    player.until_picture(199);
    camera = camera.restarted(0);
    publisher.pieces(&camera.configs()).unwrap();
    publisher.pieces(&camera.before(225)).unwrap();
    player.until_picture(224);
    player.tally.assert_whole();
    let last = player.tally.video.last_timestamp.unwrap();
    let unbroken = 224 * 40;
    assert!(
        (unbroken - 100..=unbroken + 200).contains(&last),
        "{last}, not {unbroken}"
    );
}

#[test]
fn small_steps_back_are_held_and_audio_and_video_stay_together() {
    let (server, mut publisher, mut camera) = running();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    let mut film: Vec<Piece> = camera.before(100);
    for (at, piece) in film.iter_mut().enumerate() {
        // Every seventh message comes up to 900 ms too early by its own word.
        if at % 7 == 3 {
            piece.timestamp = piece.timestamp.saturating_sub(100 + (at as u32 * 37) % 800);
        }
    }
    publisher.pieces(&film).unwrap();
    player.until_picture(99);
    player.until_sound(camera.sounds() - 1);
    player.tally.assert_whole();
    let (video, audio) = (&player.tally.video, &player.tally.audio);
    let apart = i64::from(video.last_timestamp.unwrap()) - i64::from(audio.last_timestamp.unwrap());
    assert!(apart.abs() < 1_000, "{apart} ms apart");
}

#[test]
fn a_clock_that_jumps_about_never_runs_backwards_for_a_player() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut players = [0, 1].map(|w| Player::on_worker(server.rtmp, "live/cam", |on| on == w));
    let jumps = [
        0,
        5_000_000,
        40,
        u32::MAX - 500,
        10,
        1 << 31,
        3,
        0x7FFF_FFFF,
        90_000,
    ];
    for (round, jump) in jumps.into_iter().enumerate() {
        camera = camera.restarted(jump);
        let next = round as u64 * 25 + 25;
        publisher.pieces(&camera.before(next)).unwrap();
    }
    for player in &mut players {
        player.until_picture(camera.pictures() - 1);
        player.tally.assert_whole();
    }
}

#[test]
fn a_publisher_that_comes_back_across_a_border_goes_on_beyond_it() {
    let server = TestServer::start(&[]);
    let start = u32::MAX - 1_500;
    let mut camera = Camera::plain().starting_at(start);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.pieces(&camera.before(50)).unwrap();
    player.until_picture(49);
    player.until_sound(camera.sounds() - 1);
    publisher.reset();
    server.line_with("lost its publisher");
    let mut publisher = Publisher::connect(server.rtmp, "live/cam").unwrap();
    camera = camera.restarted(0);
    publisher.pieces(&camera.configs()).unwrap();
    publisher.pieces(&camera.before(75)).unwrap();
    player.until_picture(74);
    player.tally.assert_whole();
    let since = player
        .tally
        .video
        .last_timestamp
        .unwrap()
        .wrapping_sub(start);
    assert!((74 * 40 - 40..60_000).contains(&since), "{}", player.tally);
}

#[test]
fn a_sound_only_stream_crosses_every_border_too() {
    let server = TestServer::start(&[]);
    for border in BORDERS {
        let name = format!("live/radio{border}");
        let mut camera = Camera::new(Video::None, Audio::Aac);
        camera = camera.starting_at(border.wrapping_sub(2_500));
        let mut publisher = Publisher::start(server.rtmp, &name, &camera).unwrap();
        let config = play_config(server.rtmp, &name);
        let mut player = Player::dial(&Dial::new(server.rtmp), config).unwrap();
        publisher.roll(&mut camera, 200).unwrap();
        player.until_sound(199);
        player.tally.assert_whole();
        let last = border.wrapping_sub(2_500).wrapping_add(199 * 25);
        assert_eq!(player.tally.audio.last_timestamp, Some(last));
    }
}

/// A stream `live/cam` that has begun.
fn running() -> (TestServer, Publisher, Camera) {
    let server = TestServer::start(&[]);
    let camera = Camera::plain();
    let publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    (server, publisher, camera)
}

/// 2^24 - 1 needs an extended timestamp, 2^31 has a sign bit, 2^32 wraps.
const BORDERS: [u32; 4] = [0xFF_FFFF, 1 << 24, 1 << 31, 0];
