//! The publisher goes away: how long players are kept, and how its stream goes on.

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

use std::time::{Duration, Instant};

use common::client::{Player, Publisher, Word};
use common::link::PATIENCE;
use common::media::{Camera, avc_config, metadata};
use common::server::TestServer;
use corecast::rtmp::client::Ending;
use corecast::rtmp::message::Kind;

#[test]
fn players_stay_while_the_publisher_reconnects_on_any_worker_and_time_goes_on() {
    for (first, second) in [(0, 0), (0, 1), (1, 0)] {
        let server = TestServer::start(&[]);
        let mut show = Show::on(&server, first);
        show.publisher.take().unwrap().reset();
        server.line_with("stream live/cam lost its publisher: held");
        show.come_back(&server, second);
        for player in &show.players {
            player.tally.assert_whole();
            let video = &player.tally.video;
            let last = video.last_timestamp.unwrap();
            // 50 pictures and the gap, which is not known but is not long either.
            assert!((50 * 40 - 40..60_000).contains(&last), "{}", player.tally);
            player.tally.assert_headers_once();
        }
        show.end();
    }
}

#[test]
fn many_losses_in_a_row_are_one_stream_to_the_player() {
    let server = TestServer::with_workers(3, &[]);
    let mut show = Show::on(&server, 2);
    for round in 0..6 {
        show.publisher.take().unwrap().reset();
        show.come_back(&server, round % 3);
    }
    for player in &show.players {
        player.tally.assert_whole();
        player.tally.assert_headers_once();
    }
    show.end();
}

#[test]
fn the_picture_resumes_at_a_key_frame_though_the_publisher_begins_in_the_middle() {
    let server = TestServer::start(&[]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().reset();
    let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == 1);
    // Ten pictures of a GOP whose key frame was lost with the connection.
    show.camera.before(40);
    let mut camera = show.camera.clone().restarted(0);
    publisher.metadata(0, &metadata()).unwrap();
    publisher.pieces(&camera.configs()).unwrap();
    publisher.pieces(&camera.before(80)).unwrap();
    for player in &mut show.players {
        player.until_picture(79);
        player.tally.assert_lawful();
        // 25 to 49 are gone, 50 is the key frame.
        assert_eq!(player.tally.video.missing, 25, "{}", player.tally);
    }
}

#[test]
fn a_joiner_during_the_gap_waits_inside_and_sees_the_stream_go_on() {
    let server = TestServer::start(&[]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().reset();
    server.line_with("lost its publisher");
    for worker in 0..2 {
        let player = Player::on_worker(server.rtmp, "live/cam", |w| w == worker);
        show.players.push(player);
    }
    show.come_back(&server, 1);
    for player in &show.players {
        player.tally.assert_whole();
    }
}

#[test]
fn a_publisher_that_does_not_come_back_ends_the_stream_after_the_grace() {
    let server = TestServer::start(&["--reconnect-grace", "700ms"]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().reset();
    let lost = Instant::now();
    for player in &mut show.players {
        assert_eq!(player.until_ended(), Ending::Unpublished);
        assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
        assert!(matches!(player.recv(PATIENCE), Some(Word::Closed)));
        player.tally.assert_whole();
    }
    assert!(
        lost.elapsed() >= Duration::from_millis(600),
        "the grace was cut short"
    );
    server.line_with("stream live/cam ended");
    // And the name begins anew.
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &Camera::plain()).unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.roll(&mut Camera::plain(), 50).unwrap();
    player.until_picture(10);
    assert_eq!(player.tally.video.first_timestamp, Some(0));
}

#[test]
fn a_clean_end_ends_the_stream_at_once_in_spite_of_the_grace() {
    let server = TestServer::start(&["--reconnect-grace", "1h"]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().stop();
    show.assert_ended();
}

#[test]
fn with_grace_on_clean_end_a_publisher_may_say_goodbye_and_come_back() {
    let server = TestServer::start(&["--grace-on-clean-end"]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().stop();
    server.line_with("stream live/cam lost its publisher: held");
    show.come_back(&server, 1);
    for player in &show.players {
        player.tally.assert_whole();
    }
}

#[test]
fn without_grace_players_are_told_at_once() {
    let server = TestServer::start(&["--reconnect-grace", "0"]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().reset();
    show.assert_ended();
    let log = server.lines().join("\n");
    assert!(!log.contains("held for"), "{log}");
}

#[test]
fn a_publisher_that_closes_its_socket_without_a_word_has_its_grace() {
    let server = TestServer::start(&[]);
    let mut show = Show::on(&server, 1);
    // A FIN, no FCUnpublish: the encoder crashed and its kernel closed.
    drop(show.publisher.take());
    server.line_with("stream live/cam lost its publisher: held");
    show.come_back(&server, 0);
    for player in &show.players {
        player.tally.assert_whole();
    }
}

#[test]
fn headers_that_changed_while_it_was_away_reach_players_before_the_first_picture() {
    let server = TestServer::start(&[]);
    let mut show = Show::on(&server, 0);
    show.publisher.take().unwrap().reset();
    let mut other = avc_config();
    other.push(0);
    let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == 1);
    let mut camera = show.camera.clone().restarted(0);
    publisher.send(Kind::Video, 0, &other).unwrap();
    publisher.pieces(&camera.configs()[1..]).unwrap();
    publisher.pieces(&camera.before(40)).unwrap();
    for player in &mut show.players {
        let config = loop {
            let message = player.media(PATIENCE).expect("another message");
            if message.kind == Kind::Video {
                break message.payload().to_vec();
            }
        };
        assert_eq!(config, other);
        player.until_picture(39);
        player.tally.assert_whole();
    }
}

/// A stream of 25 pictures with a player on each of the first two workers.
struct Show {
    publisher: Option<Publisher>,
    camera: Camera,
    players: Vec<Player>,
}

impl Show {
    fn on(server: &TestServer, worker: u8) -> Self {
        let mut camera = Camera::plain();
        let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == worker);
        publisher.open(&camera).unwrap();
        let players = (0..2)
            .map(|worker| Player::on_worker(server.rtmp, "live/cam", |w| w == worker))
            .collect();
        publisher.pieces(&camera.before(25)).unwrap();
        let mut show = Self {
            publisher: Some(publisher),
            camera,
            players,
        };
        show.until_last();
        show
    }

    /// A new publisher, its clock at 0, on that worker; it sends a GOP.
    fn come_back(&mut self, server: &TestServer, worker: u8) {
        let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == worker);
        self.camera = self.camera.clone().restarted(0);
        publisher.metadata(0, &metadata()).unwrap();
        publisher.pieces(&self.camera.configs()).unwrap();
        let next = self.camera.pictures() + 25;
        publisher.pieces(&self.camera.before(next)).unwrap();
        self.until_last();
        self.publisher = Some(publisher);
    }

    fn until_last(&mut self) {
        for player in &mut self.players {
            player.until_picture(self.camera.pictures() - 1);
            player.until_sound(self.camera.sounds() - 1);
        }
    }

    fn end(&mut self) {
        self.publisher.take().unwrap().stop();
        self.assert_ended();
    }

    fn assert_ended(&mut self) {
        for player in &mut self.players {
            assert_eq!(player.until_ended(), Ending::Unpublished);
            assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
            player.tally.assert_whole();
        }
    }
}
