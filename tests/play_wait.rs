//! Players that come before the publisher: they wait, start with it, or are told that there is
//! nobody.

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

use common::client::{Player, Publisher, Word, link_on, play_config};
use common::link::{Dial, Failure, Heard, PATIENCE};
use common::media::Camera;
use common::server::TestServer;
use common::tally::Tally;
use corecast::rtmp::client::{ClientEvent, Ending};
use corecast::rtmp::server::code;

#[test]
fn waiting_players_on_every_worker_start_with_the_first_frame() {
    let server = TestServer::with_workers(3, &["--play-wait", "1h"]);
    for owner in 0..3 {
        let name = format!("live/cam{owner}");
        let mut players: Vec<Player> = (0..12).map(|n| early(&server, &name, n % 3)).collect();
        let mut camera = Camera::plain();
        let mut publisher = Publisher::on_worker(server.rtmp, &name, |w| w == owner);
        publisher.open(&camera).unwrap();
        publisher.roll(&mut camera, 100).unwrap();
        for player in &mut players {
            player.link.until_ready(PATIENCE).expect("Play.Start");
            player.until_picture(camera.pictures() - 1);
            player.tally.assert_whole();
            assert_eq!(player.tally.video.first, Some(0));
        }
    }
}

#[test]
fn a_player_is_told_that_nobody_publishes_and_its_connection_ends() {
    for wait in ["0", "300ms"] {
        let server = TestServer::start(&["--play-wait", wait]);
        let failure = Player::connect(server.rtmp, "live/nobody").err();
        let Some(Failure::Ended(Ending::Refused { status, .. })) = failure else {
            panic!("not a refusal: {failure:?}");
        };
        assert_eq!(
            (status.level.as_str(), status.code.as_str()),
            ("error", code::STREAM_NOT_FOUND)
        );
        assert!(status.description.contains("live/nobody"), "{status}");
        server.line_with("refused: NetStream.Play.StreamNotFound");
    }
}

#[test]
fn the_wait_is_as_long_as_it_says() {
    let server = TestServer::start(&["--play-wait", "800ms"]);
    let mut player = early(&server, "live/late", 0);
    let quiet = player.link.poll(Duration::from_millis(300));
    assert!(matches!(quiet, Ok(Heard::Silence)), "{quiet:?}");
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/late", &camera).unwrap();
    player.link.until_ready(PATIENCE).expect("Play.Start");
    publisher.roll(&mut camera, 60).unwrap();
    player.until_picture(camera.pictures() - 1);
    player.tally.assert_whole();
}

#[test]
fn a_waiting_player_that_leaves_leaves_nothing_behind() {
    let server = TestServer::start(&["--play-wait", "1h", "--max-streams", "1"]);
    let player = early(&server, "live/one", 0);
    drop(player);
    // Its name was the only one allowed: it has to be forgotten for this to succeed.
    let until = std::time::Instant::now() + PATIENCE;
    while Publisher::connect(server.rtmp, "live/other").is_err() {
        assert!(std::time::Instant::now() < until, "the name is still held");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_publisher_without_a_frame_that_goes_cleanly_ends_the_players_that_waited() {
    let server = TestServer::start(&["--play-wait", "1h"]);
    let mut players = [0, 1].map(|worker| early(&server, "live/short", worker));
    let publisher = Publisher::on_worker(server.rtmp, "live/short", |w| w == 0);
    for player in &mut players {
        player.link.until_ready(PATIENCE).expect("Play.Start");
    }
    publisher.stop();
    for player in &mut players {
        assert_eq!(player.until_ended(), Ending::Unpublished);
        assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
        assert_eq!(player.tally.video.frames, 0);
    }
}

#[test]
fn a_stream_that_has_ended_is_waited_for_like_one_that_never_was() {
    let server = TestServer::start(&["--play-wait", "1h"]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut before = [0, 1].map(|w| Player::on_worker(server.rtmp, "live/cam", |on| on == w));
    publisher.roll(&mut camera, 60).unwrap();
    publisher.stop();
    for player in &mut before {
        player.until_ended();
    }
    let mut after = [0, 1].map(|worker| early(&server, "live/cam", worker));
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    publisher.roll(&mut camera, 60).unwrap();
    for player in &mut after {
        player.link.until_ready(PATIENCE).expect("Play.Start");
        player.until_picture(camera.pictures() - 1);
        player.tally.assert_whole();
        // Nothing of the stream before.
        assert_eq!(player.tally.video.first, Some(0));
        assert_eq!(player.tally.video.configs, 1);
    }
}

/// A player that has asked for the stream and was not answered for a moment.
fn early(server: &TestServer, name: &str, worker: u8) -> Player {
    let (dial, config) = (Dial::new(server.rtmp), play_config(server.rtmp, name));
    let mut link = link_on(&dial, &config, |w| w == worker);
    loop {
        match link.poll(Duration::from_millis(60)) {
            Ok(Heard::Silence) => break,
            Ok(Heard::Event(ClientEvent::Ready { .. } | ClientEvent::Ended { .. })) => {
                panic!("{name} was answered at once")
            }
            Ok(Heard::Event(_)) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    Player {
        link,
        tally: Tally::default(),
    }
}
