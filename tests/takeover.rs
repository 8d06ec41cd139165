//! Two publishers want one name: who gets it, who is told what, and that players see one stream.

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
use std::time::{Duration, Instant};

use common::client::{Player, Publisher, Word, publish_config};
use common::link::{Dial, Failure, PATIENCE};
use common::media::{Camera, Piece, metadata};
use common::server::TestServer;
use corecast::rtmp::client::Ending;
use corecast::rtmp::server::code;

const STRANGER: &str = "127.0.0.2";

#[test]
fn the_same_source_takes_its_name_back_at_once_and_players_stay() {
    for (first, second) in [(0, 0), (0, 1), (1, 0)] {
        let server = TestServer::start(&[]);
        let mut stage = Stage::on(&server, first);
        let mut again = Publisher::on_worker(server.rtmp, "live/cam", |w| w == second);
        stage.carry_on(&mut again);
        assert_evicted(&mut stage.publisher);
        stage.assert_one_stream();
        let (loser, _players) = stage.without_publisher();
        drop(loser);
        server.line_with("taken over by another encoder");
    }
}

#[test]
fn a_stranger_is_refused_while_the_first_is_alive_and_nobody_notices() {
    let server = TestServer::start(&[]);
    let mut stage = Stage::on(&server, 0);
    for _ in 0..8 {
        let failure = from(&server, STRANGER).err().expect("a refusal");
        assert_eq!(failure.code(), code::BAD_NAME);
        let text = format!("{failure:?}");
        assert!(
            text.contains("live/cam") && text.contains("in use"),
            "{text}"
        );
        let next = stage.camera.pictures() + 25;
        stage.publisher.pieces(&stage.camera.before(next)).unwrap();
    }
    stage.until_last();
    for player in &stage.players {
        player.tally.assert_whole();
    }
}

#[test]
fn a_stranger_takes_the_name_of_one_who_has_been_silent_long_enough() {
    for rule in ["same-source", "replace-if-idle"] {
        let server = TestServer::start(&["--takeover", "2s", "--on-duplicate", rule]);
        let mut stage = Stage::on(&server, 0);
        let failure = from(&server, STRANGER).err().expect("a refusal");
        assert_eq!(failure.code(), code::BAD_NAME, "{rule}");
        let mut stranger = until_accepted(&server, STRANGER);
        stage.carry_on(&mut stranger);
        assert_evicted(&mut stage.publisher);
        stage.assert_one_stream();
    }
}

#[test]
fn with_reject_not_even_the_same_source_gets_the_name() {
    let server = TestServer::start(&["--on-duplicate", "reject", "--takeover", "10ms"]);
    let mut stage = Stage::on(&server, 0);
    thread::sleep(Duration::from_millis(50));
    for source in ["127.0.0.1", STRANGER] {
        let failure = from(&server, source).err().expect("a refusal");
        assert_eq!(failure.code(), code::BAD_NAME, "{source}");
    }
    stage.publisher.pieces(&stage.camera.before(60)).unwrap();
    stage.until_last();
    for player in &stage.players {
        player.tally.assert_whole();
    }
}

#[test]
fn with_replace_the_newest_gets_the_name_whoever_it_is() {
    let server = TestServer::start(&["--on-duplicate", "replace"]);
    let mut stage = Stage::on(&server, 1);
    let mut stranger = from(&server, STRANGER).expect("the newest wins");
    stage.carry_on(&mut stranger);
    assert_evicted(&mut stage.publisher);
    stage.assert_one_stream();
}

#[test]
fn with_replace_if_idle_the_same_source_waits_like_anybody() {
    let server = TestServer::start(&["--on-duplicate", "replace-if-idle", "--takeover", "2s"]);
    let mut stage = Stage::on(&server, 0);
    let failure = from(&server, "127.0.0.1").err().expect("a refusal");
    assert_eq!(failure.code(), code::BAD_NAME);
    let mut again = until_accepted(&server, "127.0.0.1");
    stage.carry_on(&mut again);
    stage.assert_one_stream();
}

#[test]
fn the_socket_of_a_killed_publisher_frees_its_name_at_once_under_every_rule() {
    for rule in ["same-source", "reject", "replace", "replace-if-idle"] {
        // So long a silence that only the reset can have freed the name.
        let server = TestServer::start(&["--on-duplicate", rule, "--takeover", "1h"]);
        let stage = Stage::on(&server, 0);
        let (publisher, mut stage) = stage.without_publisher();
        publisher.reset();
        let mut stranger = until_accepted(&server, STRANGER);
        stage.carry_on(&mut stranger);
        stage.assert_one_stream();
    }
}

#[test]
fn a_publisher_that_sends_nothing_is_ended_and_its_name_is_free() {
    let flags = ["--publish-idle", "2s", "--reconnect-grace", "500ms"];
    let server = TestServer::start(&[&flags[..], &["--takeover", "1h"]].concat());
    let mut stage = Stage::on(&server, 0);
    let trace = stage.publisher.link.trace.clone().unwrap();
    stage.publisher.until_closed();
    let line = server.line_with(&format!("[{trace}] "));
    let line = server
        .lines()
        .into_iter()
        .find(|line| line.contains("sends no audio or video"))
        .unwrap_or(line);
    assert!(line.contains(&trace), "{line}");
    for player in &mut stage.players {
        assert_eq!(player.until_ended(), Ending::Unpublished);
    }
    from(&server, STRANGER).expect("the name is free");
}

#[test]
fn data_alone_does_not_keep_a_silent_publisher_alive() {
    let server = TestServer::start(&["--publish-idle", "2s"]);
    let mut stage = Stage::on(&server, 0);
    let until = Instant::now() + PATIENCE;
    let closed = loop {
        if stage.publisher.metadata(2_000, &metadata()).is_err() {
            break true;
        }
        match stage.publisher.recv(Duration::from_millis(50)) {
            Some(Word::Closed | Word::Broken(_) | Word::Ended(_)) => break true,
            _ if Instant::now() > until => break false,
            _ => {}
        }
    };
    assert!(closed, "metadata kept it alive");
}

#[test]
fn a_takeover_before_any_media_leaves_one_publisher() {
    let server = TestServer::start(&[]);
    let mut first = Publisher::connect(server.rtmp, "live/cam").unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    let mut second = Publisher::connect(server.rtmp, "live/cam").unwrap();
    assert_evicted(&mut first);
    let mut camera = Camera::plain();
    second.open(&camera).unwrap();
    second.roll(&mut camera, 60).unwrap();
    player.until_picture(camera.pictures() - 1);
    player.tally.assert_whole();
    assert_eq!(player.tally.video.first, Some(0));
}

#[test]
fn twenty_publishers_in_a_row_leave_one_stream_and_one_publisher() {
    let server = TestServer::with_workers(4, &[]);
    let mut stage = Stage::on(&server, 0);
    let mut lost = Vec::new();
    for _ in 0..20 {
        let mut next = Publisher::connect(server.rtmp, "live/cam").unwrap();
        stage.carry_on(&mut next);
        lost.push(std::mem::replace(&mut stage.publisher, next));
    }
    for publisher in &mut lost {
        assert_evicted(publisher);
    }
    stage.assert_one_stream();
    let alive = stage.publisher.recv(Duration::from_millis(50));
    assert!(alive.is_none(), "the last one was told {alive:?}");
}

#[test]
fn of_many_that_come_at_once_exactly_one_gets_the_name() {
    let server = TestServer::with_workers(4, &["--on-duplicate", "reject"]);
    for round in 0..5 {
        let (address, name) = (server.rtmp, format!("live/rush{round}"));
        let rush: Vec<_> = (0..12)
            .map(|_| {
                let name = name.clone();
                thread::spawn(move || Publisher::connect(address, &name))
            })
            .collect();
        let ends: Vec<_> = rush.into_iter().map(|one| one.join().unwrap()).collect();
        let (won, lost): (Vec<_>, Vec<_>) = ends.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        for failure in lost.into_iter().filter_map(Result::err) {
            assert_eq!(failure.code(), code::BAD_NAME);
        }
        let mut publisher = won.into_iter().flatten().next().unwrap();
        let mut camera = Camera::plain();
        let mut player = Player::connect(address, &name).unwrap();
        publisher.open(&camera).unwrap();
        publisher.pieces(&camera.before(25)).unwrap();
        player.until_picture(24);
        player.tally.assert_whole();
    }
}

/// A stream of 25 pictures with a player on each of the first two workers.
struct Stage<P = Publisher> {
    publisher: P,
    camera: Camera,
    players: Vec<Player>,
}

impl Stage {
    fn on(server: &TestServer, worker: u8) -> Self {
        let mut camera = Camera::plain();
        let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == worker);
        publisher.open(&camera).unwrap();
        let players = (0..2)
            .map(|worker| Player::on_worker(server.rtmp, "live/cam", |w| w == worker))
            .collect();
        publisher.pieces(&camera.before(25)).unwrap();
        let mut stage = Self {
            publisher,
            camera,
            players,
        };
        stage.until_last();
        stage
    }

    fn without_publisher(self) -> (Publisher, Stage<()>) {
        let stage = Stage {
            publisher: (),
            camera: self.camera,
            players: self.players,
        };
        (self.publisher, stage)
    }
}

impl<P> Stage<P> {
    /// The new publisher's clock begins at 0 and its pictures with a key frame.
    fn carry_on(&mut self, publisher: &mut Publisher) {
        let camera = self.camera.clone().restarted(0);
        publisher.metadata(0, &metadata()).unwrap();
        publisher.pieces(&camera.configs()).unwrap();
        self.camera = camera;
        let next = self.camera.pictures() + 25;
        let film: Vec<Piece> = self.camera.before(next);
        publisher.pieces(&film).unwrap();
        self.until_last();
    }

    fn until_last(&mut self) {
        for player in &mut self.players {
            player.until_picture(self.camera.pictures() - 1);
            player.until_sound(self.camera.sounds() - 1);
        }
    }

    /// No player saw anything but rising numbers and times, and the headers, which did not change,
    /// once.
    fn assert_one_stream(&self) {
        for player in &self.players {
            player.tally.assert_whole();
            let times = (
                player.tally.video.first_timestamp,
                player.tally.video.last_timestamp,
            );
            assert!(
                times.0 == Some(0) && times.1 > Some(40 * 25),
                "{}",
                player.tally
            );
            player.tally.assert_headers_once();
        }
    }
}

/// The loser is told why and its connection ends.
fn assert_evicted(publisher: &mut Publisher) {
    let codes = publisher.until_closed();
    assert_eq!(codes, [code::PUBLISH_REJECTED]);
}

fn from(server: &TestServer, source: &str) -> Result<Publisher, Failure> {
    let dial = Dial::new(server.rtmp).from(source);
    Publisher::dial(&dial, publish_config(server.rtmp, "live/cam"))
}

fn until_accepted(server: &TestServer, source: &str) -> Publisher {
    let until = Instant::now() + PATIENCE;
    loop {
        match from(server, source) {
            Ok(publisher) => return publisher,
            Err(failure) => {
                assert_eq!(failure.code(), code::BAD_NAME);
                assert!(Instant::now() < until, "still refused: {failure:?}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
