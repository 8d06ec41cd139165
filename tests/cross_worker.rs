//! Streams across workers: the kernel deals connections out, and nobody can tell where it landed.

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

use std::thread;
use std::time::Duration;

use common::client::{Player, Publisher, play_config, publish_config};
use common::link::{Dial, PATIENCE};
use common::media::Camera;
use common::server::TestServer;
use corecast::rtmp::client::Ending;

#[test]
fn a_player_on_each_worker_gets_every_frame_and_the_end() {
    let server = TestServer::with_workers(4, &[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut players: Vec<Player> = (0..4)
        .map(|worker| Player::on_worker(server.rtmp, "live/cam", |w| w == worker))
        .collect();
    publisher.roll(&mut camera, 1_000).unwrap();
    for (worker, player) in players.iter_mut().enumerate() {
        player.until_picture(camera.pictures() - 1);
        player.until_sound(camera.sounds() - 1);
        player.tally.assert_whole();
        assert_eq!(player.tally.video.first, Some(0), "worker {worker}");
        assert_eq!(
            (player.tally.video.configs, player.tally.audio.configs),
            (1, 1)
        );
    }
    publisher.stop();
    for player in &mut players {
        assert_eq!(player.until_ended(), Ending::Unpublished);
        let words = player.until_closed();
        assert!(words.is_empty(), "said after the end: {words:?}");
    }
    let ended = server.line_with("stream live/cam ended");
    assert!(ended.contains("players peak 4"), "{ended}");
}

#[test]
fn every_worker_can_be_the_owner_of_many_streams_at_once() {
    let server = TestServer::with_workers(4, &[]);
    let mut streams: Vec<_> = (0..16)
        .map(|n| {
            let name = format!("live/cam{n}");
            let camera = Camera::plain().starting_at(n * 1_000);
            let owner = (n % 4) as u8;
            let mut publisher = Publisher::on_worker(server.rtmp, &name, |w| w == owner);
            publisher.open(&camera).unwrap();
            let here = Player::on_worker(server.rtmp, &name, |w| w == owner);
            let there = Player::on_worker(server.rtmp, &name, |w| w != owner);
            (publisher, camera, [here, there])
        })
        .collect();
    for _ in 0..100 {
        for (publisher, camera, _) in &mut streams {
            publisher.roll(camera, 1).unwrap();
        }
    }
    for (number, (_, camera, players)) in streams.iter_mut().enumerate() {
        for player in players {
            player.until_picture(camera.pictures() - 1);
            player.tally.assert_whole();
            let first = player.tally.video.first_timestamp;
            assert_eq!(first, Some(number as u32 * 1_000), "the wrong stream");
        }
    }
}

#[test]
fn a_player_that_comes_back_after_its_worker_forgot_the_stream_finds_it_again() {
    let server = TestServer::start(&["--linger", "50ms"]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == 0);
    publisher.open(&camera).unwrap();
    for round in 0..6_u64 {
        publisher.pieces(&camera.before(round * 50 + 30)).unwrap();
        let mut player = Player::on_worker(server.rtmp, "live/cam", |w| w == 1);
        publisher.pieces(&camera.before(round * 50 + 50)).unwrap();
        player.until_picture(round * 50 + 49);
        player.tally.assert_whole();
        assert!(
            player.tally.video.first >= Some(round * 50),
            "{}",
            player.tally
        );
        player.stop();
        // Every other time longer than the linger: nothing tells from outside when it is over.
        let pause = if round % 2 == 0 { 0 } else { 250 };
        thread::sleep(Duration::from_millis(pause));
    }
}

#[test]
fn players_come_and_go_on_all_workers_while_the_stream_runs_and_miss_nothing() {
    let server = TestServer::with_workers(3, &["--linger", "20ms"]);
    let mut camera = Camera::plain().gop(10);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let address = server.rtmp;
    let viewers: Vec<_> = (0..6)
        .map(|_| {
            thread::spawn(move || {
                let mut workers = vec![];
                for _ in 0..12 {
                    let mut player = Player::connect(address, "live/cam").unwrap();
                    player.until("ten pictures", |tally| tally.video.frames >= 10);
                    player.tally.assert_whole();
                    workers.push(player.link.worker());
                    player.stop();
                }
                workers
            })
        })
        .collect();
    while !viewers.iter().all(thread::JoinHandle::is_finished) {
        publisher
            .roll_live(&mut camera, Duration::from_millis(120))
            .unwrap();
        assert!(camera.pictures() < 2_000, "the viewers hang");
    }
    let mut workers: Vec<u8> = viewers
        .into_iter()
        .flat_map(|v| v.join().unwrap())
        .collect();
    workers.sort_unstable();
    workers.dedup();
    assert!(workers.len() >= 2, "all on {workers:?}");
}

#[test]
fn an_enhanced_stream_with_many_tracks_crosses_workers_unchanged() {
    use common::media::{Audio, Video};
    use corecast::rtmp::client::{Advert, ClientConfig};
    let server = TestServer::start(&[]);
    let camera = Camera::new(Video::AvcTwice, Audio::AacAndOpus);
    let mut sent = camera.configs();
    sent.extend(camera.take(120));
    let publish = publish_config(server.rtmp, "live/tracks");
    let dial = Dial::new(server.rtmp);
    let mut link = common::client::link_on(&dial, &publish, |w| w == 0);
    let stream_id = link.until_ready(PATIENCE).unwrap();
    let mut publisher = Publisher { link, stream_id };
    let config = ClientConfig {
        advert: Some(Advert::everything()),
        ..play_config(server.rtmp, "live/tracks")
    };
    let mut link = common::client::link_on(&dial, &config, |w| w == 1);
    link.until_ready(PATIENCE).unwrap();
    let mut player = Player {
        link,
        tally: common::tally::Tally::default(),
    };
    publisher.pieces(&sent).unwrap();
    player.media(PATIENCE).expect("|RtmpSampleAccess");
    for (at, wanted) in sent.iter().enumerate() {
        let found = player.media(PATIENCE).expect("another message");
        assert_eq!(found.payload(), wanted.payload, "message {at}");
        assert_eq!(
            (found.kind, found.timestamp),
            (wanted.kind, wanted.timestamp)
        );
    }
}

#[test]
fn a_publisher_lost_on_one_worker_ends_players_on_all_when_there_is_no_grace() {
    let server = TestServer::with_workers(3, &["--reconnect-grace", "0"]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut players: Vec<Player> = (0..3)
        .map(|worker| Player::on_worker(server.rtmp, "live/cam", |w| w == worker))
        .collect();
    publisher.roll(&mut camera, 60).unwrap();
    for player in &mut players {
        player.until_picture(camera.pictures() - 1);
    }
    publisher.reset();
    for player in &mut players {
        assert_eq!(player.until_ended(), Ending::Unpublished);
        player.tally.assert_whole();
    }
}
