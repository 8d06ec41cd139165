//! The end of the server: players are served and told, publishers are told, nobody new comes in,
//! the exit code says how it went. DESIGN §9; RELIABILITY F1.

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

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Player, Publisher, Word, play_config};
use common::link::{Dial, Failure, Link, PATIENCE};
use common::media::Camera;
use common::server::TestServer;
use corecast::rtmp::client::Ending;
use corecast::rtmp::server::code;

#[test]
fn a_drain_gives_players_everything_tells_them_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let flags = ["--send-buffer", "16KiB", "--drain", "20s"];
        let mut server = TestServer::with_workers(3, &flags);
        let mut camera = Camera::plain().picture_bytes(4_000);
        let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
        let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
        // Their own kernels hold hardly anything: most of it is still the server's to send.
        let dial = Dial::new(server.rtmp).receive_buffer(8_192);
        let join = |_| Player::dial(&dial, play_config(server.rtmp, "live/cam")).unwrap();
        let players: Vec<Player> = (0..6).map(join).collect();
        publisher.pieces(&camera.before(200)).unwrap();
        witness.until_picture(199);
        witness.until_sound(camera.sounds() - 1);
        server.signal(signal);
        server.line_with("draining");
        let readers: Vec<_> = players
            .into_iter()
            .map(|player| thread::spawn(move || served_to_the_end(player)))
            .collect();
        for reader in readers {
            let tally = reader.join().expect("served to the end");
            assert_eq!(tally.video.last, Some(199));
            assert_eq!(tally.audio.last, Some(camera.sounds() - 1));
        }
        served_to_the_end(witness);
        publisher.until_closed();
        drop(publisher);
        let status = server.exit(PATIENCE).expect("an end within the drain");
        assert_eq!(status.code(), Some(0));
        server.line_with("stopped: drained");
        server.line_with("stream live/cam ended");
    }
}

#[test]
fn a_publisher_is_told_that_the_server_goes() {
    let mut server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    publisher.roll(&mut camera, 60).unwrap();
    server.signal("TERM");
    let codes = publisher.until_closed();
    let expected = [
        "NetStream.Unpublish.Success",
        "NetConnection.Connect.Closed",
    ];
    assert_eq!(codes, expected);
    assert_eq!(
        server.exit(PATIENCE).and_then(|status| status.code()),
        Some(0)
    );
}

#[test]
fn a_player_that_waits_for_a_stream_is_told_and_does_not_hold_up_the_end() {
    let mut server = TestServer::start(&["--play-wait", "1h"]);
    let config = play_config(server.rtmp, "live/later");
    let mut player = Player::join(&Dial::new(server.rtmp), config).unwrap();
    let quiet = player.link.until_ready(Duration::from_millis(100));
    assert!(matches!(quiet, Err(Failure::Waited(_))), "{quiet:?}");
    server.signal("TERM");
    let codes = player.until_closed();
    assert!(
        codes.iter().any(|told| told == code::STREAM_NOT_FOUND),
        "{codes:?}"
    );
    assert_eq!(
        server.exit(PATIENCE).and_then(|status| status.code()),
        Some(0)
    );
}

#[test]
fn idle_and_half_open_connections_do_not_hold_up_the_end() {
    let mut server = TestServer::start(&[]);
    let config = play_config(server.rtmp, "live/x");
    let mut connected = Link::open(&Dial::new(server.rtmp), config).unwrap();
    connected.until_connected(PATIENCE).unwrap();
    let _silent: Vec<TcpStream> = (0..5)
        .map(|_| Dial::new(server.rtmp).socket().unwrap())
        .collect();
    server.signal("TERM");
    assert_eq!(
        server.exit(PATIENCE).and_then(|status| status.code()),
        Some(0)
    );
}

#[test]
fn players_of_a_stream_that_waits_for_its_publisher_are_told_too() {
    let mut server = TestServer::start(&["--reconnect-grace", "1h"]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut players = [0, 1].map(|w| Player::on_worker(server.rtmp, "live/cam", |on| on == w));
    publisher.roll(&mut camera, 60).unwrap();
    for player in &mut players {
        // A reset may overtake what was sent before it.
        player.until_picture(camera.pictures() - 1);
    }
    publisher.reset();
    server.line_with("lost its publisher");
    server.signal("TERM");
    for player in players {
        let tally = served_to_the_end(player);
        assert_eq!(tally.video.last, Some(camera.pictures() - 1));
    }
    assert_eq!(
        server.exit(PATIENCE).and_then(|status| status.code()),
        Some(0)
    );
}

#[test]
fn nobody_new_comes_in_while_the_server_drains() {
    let (mut server, _sleeper) = draining("20s");
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&server.rtmp, Duration::from_secs(1)) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            _ => assert!(Instant::now() < until, "it still accepts"),
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(server.exit(Duration::ZERO).is_none(), "it drains no more");
}

#[test]
fn a_second_signal_cuts() {
    let (mut server, mut sleeper) = draining("1h");
    server.signal("TERM");
    let status = server.exit(PATIENCE).expect("an end at once");
    assert_eq!(status.code(), Some(1));
    server.line_with("cutting all connections");
    sleeper.until_closed();
}

#[test]
fn a_player_that_does_not_read_is_cut_when_the_drain_is_over() {
    let (mut server, mut sleeper) = draining("500ms");
    let status = server.exit(PATIENCE).expect("an end after the drain");
    assert_eq!(status.code(), Some(0));
    sleeper.until_closed();
    sleeper.tally.assert_lawful();
}

#[test]
fn the_port_is_free_for_the_next_server_at_once() {
    let (server, _sleeper) = draining("20s");
    let until = Instant::now() + PATIENCE;
    let again = loop {
        match std::net::TcpListener::bind(server.rtmp) {
            Ok(listener) => break listener,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    drop(again);
}

/// A server that was told to stop and cannot yet: one player does not read what it is owed.
fn draining(limit: &str) -> (TestServer, Player) {
    let server = TestServer::start(&["--send-buffer", "16KiB", "--drain", limit]);
    let mut camera = Camera::plain().picture_bytes(8_000);
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let dial = Dial::new(server.rtmp).receive_buffer(4_096);
    let sleeper = Player::dial(&dial, play_config(server.rtmp, "live/cam")).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/cam").unwrap();
    publisher.pieces(&camera.before(200)).unwrap();
    witness.until_picture(199);
    server.signal("TERM");
    server.line_with("draining");
    (server, sleeper)
}

/// Reads everything up to both ends of the stream and the end of the connection.
fn served_to_the_end(mut player: Player) -> common::tally::Tally {
    assert_eq!(player.until_ended(), Ending::Unpublished);
    assert!(matches!(player.recv(PATIENCE), Some(Word::StreamEof)));
    player.until_closed();
    player.tally.assert_whole();
    player.tally
}
