//! Many at once: Z-24, Z-54, Z-59, Z-76 and Z-77 over sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::canary::{link_with_worker, spared};
use crate::common::bench::{Client, head};
use crate::common::client::{Publisher, publish_config};
use crate::common::link::Dial;
use crate::common::media::Camera;
use crate::common::server::TestServer;
use crate::sockets::{dial, reset};

#[test]
fn z24_z72_a_flood_of_empty_messages_starves_nobody() {
    spared(&[], |server| {
        let before = server.resident_bytes();
        let mut client = Client::new();
        client.connect(&[("app", "live".into())]);
        client.call(0, "createStream", 2.0, &[]);
        client.call(1, "publish", 3.0, &["flood".into()]);
        // Players on both workers that do not read: the flood goes through the mesh too.
        let crowd: Vec<TcpStream> = (0..8).map(|_| player(server, "live/flood")).collect();
        for kind in 1..=22 {
            let mut socket = dial(server);
            socket.write_all(&client.bytes).unwrap();
            let many = head(4, 0, 0, kind, 1).repeat(5_000);
            let until = Instant::now() + Duration::from_millis(80);
            while Instant::now() < until && socket.write_all(&many).is_ok() {}
            reset(socket);
        }
        crowd.into_iter().for_each(reset);
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 48 << 20, "{grown} bytes");
    });
}

#[test]
fn a_publisher_at_the_full_speed_of_the_machine_is_ended_and_starves_nobody() {
    spared(&[], |server| {
        let mut client = Client::new();
        client.connect(&[("app", "live".into())]);
        client.call(0, "createStream", 2.0, &[]);
        client.call(1, "publish", 3.0, &["firehose".into()]);
        let mut film = Client::bare();
        let picture = vec![0x27; 500_000];
        film.send(6, corecast::rtmp::message::Kind::Video, 0, 1, &picture);
        let mut socket = dial(server);
        socket.write_all(&client.bytes).unwrap();
        let mut pictures = 0;
        while pictures < 2_000 && socket.write_all(&film.bytes).is_ok() {
            pictures += 1;
        }
        assert!(pictures < 2_000, "a gigabyte is taken without a word");
        server.line_with("(--max-bitrate)");
    });
}

#[test]
fn z54_of_two_publishers_in_one_moment_exactly_one_starts() {
    spared(&["--on-duplicate", "reject"], |server| {
        let mut apart = 0;
        for round in 0..40 {
            let path = format!("live/race{round}");
            let gate = Barrier::new(2);
            let run = || {
                gate.wait();
                let config = publish_config(server.rtmp, &path);
                link_with_worker(&Dial::new(server.rtmp), config)
            };
            let (one, two) = thread::scope(|scope| {
                let (one, two) = (scope.spawn(run), scope.spawn(run));
                (one.join().unwrap(), two.join().unwrap())
            });
            let (winner, loser) = match (one, two) {
                (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
                (one, two) => panic!("{round}: {:?} and {:?}", one.err(), two.err()),
            };
            assert_eq!(loser.code(), "NetStream.Publish.BadName", "{loser:?}");
            apart += usize::from(winner.2 != "w0");
        }
        assert!(
            (1..40).contains(&apart),
            "winners on one worker only: {apart}"
        );
    });
}

#[test]
fn z59_connections_that_come_and_go_leave_nothing_behind() {
    spared(&["--play-wait", "200ms"], |server| {
        let before = server.resident_bytes();
        let mut publish = Client::new();
        publish.connect(&[("app", "live".into())]);
        publish.call(0, "createStream", 2.0, &[]);
        let mut play = Client::new();
        play.connect(&[("app", "live".into())]);
        play.call(0, "createStream", 2.0, &[]);
        publish.call(1, "publish", 3.0, &["flicker".into()]);
        publish.send(
            6,
            corecast::rtmp::message::Kind::Video,
            0,
            1,
            &[0x17, 1, 0, 0, 0, 1],
        );
        play.call(1, "play", 3.0, &["flicker".into()]);
        let until = Instant::now() + Duration::from_secs(2);
        let mut count = 0;
        while Instant::now() < until {
            // Players join while their stream ends, in either order, with FIN and with reset.
            let mut one = dial(server);
            let mut two = dial(server);
            one.write_all(&publish.bytes).unwrap();
            two.write_all(&play.bytes).unwrap();
            match count % 4 {
                0 => reset(one),
                1 => drop(one),
                2 => reset(two),
                _ => reset(dial(server)),
            }
            count += 1;
        }
        assert!(count > 200, "{count} rounds only");
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes after {count} rounds");
    });
}

#[test]
fn z76_players_that_stop_reading_cost_what_they_may_and_are_closed() {
    spared(
        &["--write-timeout", "2s", "--log-bytes", "16MiB"],
        |server| {
            let mut camera = Camera::plain().picture_bytes(40_000);
            let mut fire = Publisher::start(server.rtmp, "live/fire", &camera).unwrap();
            fire.roll(&mut camera, 1).unwrap();
            let before = server.resident_bytes();
            let stalled: Vec<TcpStream> = (0..40).map(|_| stalled_player(server)).collect();
            let mut worst = Duration::ZERO;
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(3_500) {
                let sent = Instant::now();
                fire.roll(&mut camera, 3).unwrap();
                worst = worst.max(sent.elapsed());
                thread::sleep(Duration::from_millis(20));
            }
            let grown = server.resident_bytes().saturating_sub(before);
            // One log for all of them, twice over the allocator; not forty.
            assert!(grown < 64 << 20, "{grown} bytes");
            assert!(
                worst < Duration::from_millis(500),
                "the publisher waited {worst:?}"
            );
            for mut socket in stalled {
                let mut heard = vec![0; 64 << 10];
                while matches!(socket.read(&mut heard), Ok(1..)) {}
            }
            fire.stop();
        },
    );
}

#[test]
fn z77_a_storm_of_players_at_the_start_shares_one_picture() {
    spared(&[], |server| {
        let before = server.resident_bytes();
        let crowd: Vec<TcpStream> = (0..300).map(|_| player(server, "live/storm")).collect();
        let mut camera = Camera::plain().picture_bytes(50_000);
        let mut storm = Publisher::start(server.rtmp, "live/storm", &camera).unwrap();
        storm.roll(&mut camera, 1).unwrap();
        let picture = format!("#{:016x}", 0);
        for mut socket in crowd {
            let mut heard = Vec::new();
            let mut piece = vec![0; 64 << 10];
            while !heard.windows(17).any(|window| window == picture.as_bytes()) {
                let taken = socket.read(&mut piece).unwrap();
                assert!(taken > 0, "closed before the first picture");
                heard.extend_from_slice(&piece[..taken]);
            }
        }
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(
            grown < 24 << 20,
            "{grown} bytes for 300 players of one picture"
        );
        storm.stop();
    });
}

/// A player that says everything at once and has not read yet.
fn player(server: &TestServer, path: &str) -> TcpStream {
    send_play(dial(server), path)
}

/// A player with hardly a receive buffer.
fn stalled_player(server: &TestServer) -> TcpStream {
    let socket = Dial::new(server.rtmp)
        .receive_buffer(4_096)
        .socket()
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(9)))
        .unwrap();
    send_play(socket, "live/fire")
}

fn send_play(mut socket: TcpStream, path: &str) -> TcpStream {
    let (app, name) = path.split_once('/').unwrap();
    let mut client = Client::new();
    client.connect(&[("app", app.into())]);
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "play", 3.0, &[name.into()]);
    socket.write_all(&client.bytes).unwrap();
    socket
}
