//! Panics and stuck workers: what one connection breaks ends that connection, what breaks a worker
//! ends the process, and never half of it. RELIABILITY F3, F4.
//!
//! The faults are asked for by a variable that only builds with debug assertions read, and strike
//! for connections from 127.0.0.66 alone.

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

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use common::client::{Player, Publisher, play_config};
use common::link::{Dial, Link, PATIENCE};
use common::media::Camera;
use common::server::TestServer;

#[test]
fn a_panic_over_ones_bytes_ends_that_connection_only() {
    let server = TestServer::with_fault("session", &[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    for _ in 0..3 {
        let dial = Dial::new(server.rtmp).from("127.0.0.66");
        let mut victim = Link::open(&dial, play_config(server.rtmp, "live/cam")).unwrap();
        assert!(victim.until_ready(PATIENCE).is_err());
    }
    publisher.roll(&mut camera, 2).unwrap();
    player.until_picture(camera.pictures() - 1);
    player.tally.assert_whole();
    let lines = server.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("a bug in the server"));
    assert!(told.count() >= 3);
}

#[test]
fn a_panic_in_the_loop_ends_the_process_with_a_backtrace() {
    let mut server = TestServer::with_fault("loop", &[]);
    Publisher::connect(server.rtmp, "live/cam").unwrap();
    let _victim = victim(&server);
    assert_aborts(&mut server, PATIENCE);
    let log = server.lines().join("\n");
    assert!(log.contains("panic in worker-"), "{log}");
    assert!(log.contains("accept_ready"), "no backtrace:\n{log}");
    assert!(log.contains("stopping the process"), "{log}");
}

#[test]
fn a_worker_stuck_for_over_a_second_is_reported_and_so_is_its_return() {
    let server = TestServer::with_fault("stall=2500", &[]);
    let _victim = victim(&server);
    let stuck = server.line_with("has been stuck for 1000 ms, accepting");
    let worker = stuck.split("worker ").nth(1).unwrap();
    let worker = worker.split(' ').next().unwrap().to_owned();
    server.line_with(&format!("worker {worker} goes on after"));
    for _ in 0..8 {
        Publisher::connect(server.rtmp, "live/cam").unwrap().stop();
    }
}

#[test]
fn a_worker_stuck_for_ten_seconds_ends_the_process() {
    let mut server = TestServer::with_fault("stall=600000", &[]);
    let _victim = victim(&server);
    server.line_with("has been stuck for 1000 ms");
    assert_aborts(&mut server, Duration::from_secs(20) + PATIENCE);
    let log = server.lines().join("\n");
    assert!(
        log.contains("has been stuck for 10000 ms, accepting"),
        "{log}"
    );
}

fn victim(server: &TestServer) -> TcpStream {
    let dial = Dial::new(server.rtmp).from("127.0.0.66");
    dial.socket().unwrap()
}

fn assert_aborts(server: &mut TestServer, patience: Duration) {
    const SIGABRT: i32 = 6;
    let status = server.exit(patience);
    let signal = status.and_then(|status| status.signal());
    assert_eq!(signal, Some(SIGABRT), "{status:?}");
}
