//! The canary: one honest publisher at 25 pictures a second and one honest player on each worker.
//!
//! Law: while others attack, no frame is lost, damaged or late by more than `GAP_MAX`, and when
//! they are gone the server holds as many descriptors as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corecast::rtmp::client::{ClientConfig, ClientEvent};
use corecast::rtmp::message::Kind;

use crate::common::client::{Player, Publisher, Word, play_config};
use crate::common::link::{Dial, Failure, Heard, Link, PATIENCE};
use crate::common::media::Camera;
use crate::common::server::TestServer;
use crate::common::tally::Tally;

/// Runs an attack against a server with these flags while the canary sings.
pub(crate) fn spared(flags: &[&str], attack: impl FnOnce(&TestServer)) {
    let server = TestServer::start(flags);
    let canary = Canary::sing(&server);
    let before = server.descriptors();
    attack(&server);
    let until = Instant::now() + PATIENCE;
    while server.descriptors() > before {
        assert!(
            Instant::now() < until,
            "descriptors leak: {} of {before}",
            server.descriptors()
        );
        thread::sleep(Duration::from_millis(20));
    }
    canary.stop();
}

#[test]
#[should_panic(expected = "without a picture")]
fn a_server_that_stands_still_for_most_of_a_second_kills_the_canary() {
    spared(&[], |server| {
        server.signal("STOP");
        thread::sleep(Duration::from_millis(900));
        server.signal("CONT");
    });
}

/// A client link and the worker that serves it, once it is ready.
pub(crate) fn link_with_worker(
    dial: &Dial,
    config: ClientConfig,
) -> Result<(Link, u32, String), Failure> {
    let mut link = Link::open(dial, config).map_err(Failure::Io)?;
    let mut worker = String::new();
    loop {
        match link.poll(PATIENCE)? {
            Heard::Event(ClientEvent::Connected { trace, .. }) => {
                let trace = trace.unwrap_or_default();
                worker = trace.split('c').next().unwrap_or_default().to_owned();
            }
            Heard::Event(ClientEvent::Ready { stream_id }) => return Ok((link, stream_id, worker)),
            Heard::Event(ClientEvent::Ended { why }) => return Err(Failure::Ended(why)),
            Heard::Event(_) => {}
            Heard::Closed => return Err(Failure::Closed),
            Heard::Silence => return Err(Failure::Waited(PATIENCE)),
        }
    }
}

struct Canary {
    stop: Arc<AtomicBool>,
    /// Pictures sent, and the longest time between two messages.
    publisher: JoinHandle<(u64, Duration)>,
    players: Vec<JoinHandle<(Tally, Duration)>>,
}

impl Canary {
    fn sing(server: &TestServer) -> Self {
        let mut camera = Camera::plain();
        let mut publisher = Publisher::start(server.rtmp, "live/canary", &camera).unwrap();
        publisher.roll(&mut camera, 1).unwrap();
        let mut players: Vec<(Player, String)> = Vec::new();
        for _ in 0..64 {
            if players.len() == 2 {
                break;
            }
            let config = play_config(server.rtmp, "live/canary");
            let (link, _, worker) = link_with_worker(&Dial::new(server.rtmp), config).unwrap();
            if players.iter().all(|(_, known)| *known != worker) {
                let tally = Tally::default();
                players.push((Player { link, tally }, worker));
            }
        }
        assert_eq!(players.len(), 2, "players on both workers");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        Self {
            stop,
            publisher: thread::spawn(move || film(publisher, camera, &flag)),
            players: players
                .into_iter()
                .map(|(player, _)| thread::spawn(move || watch(player)))
                .collect(),
        }
    }

    fn stop(self) {
        thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        let (pictures, pause) = self.publisher.join().unwrap();
        assert!(pictures >= 5, "the publisher sent {pictures} pictures only");
        for player in self.players {
            let (tally, gap) = player.join().unwrap();
            tally.assert_whole();
            assert_eq!(
                (tally.video.first, tally.video.last),
                (Some(0), Some(pictures - 1))
            );
            // What the tester's own machine held up is not the server's.
            assert!(
                gap <= GAP_MAX + pause,
                "{gap:?} without a picture, sent {pause:?} apart"
            );
        }
    }
}

fn film(mut publisher: Publisher, mut camera: Camera, stop: &AtomicBool) -> (u64, Duration) {
    let started = Instant::now();
    let mut first = None;
    let (mut sent, mut pause) = (started, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let piece = camera.next().unwrap();
        let first = *first.get_or_insert(piece.timestamp);
        let due = Duration::from_millis((piece.timestamp - first).into());
        thread::sleep(due.saturating_sub(started.elapsed()));
        publisher.piece(&piece).unwrap();
        pause = pause.max(sent.elapsed());
        sent = Instant::now();
    }
    publisher.stop();
    (camera.pictures(), pause)
}

fn watch(mut player: Player) -> (Tally, Duration) {
    let (mut heard, mut gap) = (Instant::now(), Duration::ZERO);
    loop {
        match player.recv(PATIENCE) {
            Some(Word::Media(message)) if message.kind == Kind::Video => {
                gap = gap.max(heard.elapsed());
                heard = Instant::now();
            }
            Some(Word::Ended(_)) => return (player.tally, gap),
            Some(Word::Closed | Word::Broken(_)) | None => {
                panic!("the canary is dead: {}", player.tally)
            }
            Some(_) => {}
        }
    }
}

/// Longest time without a picture.
const GAP_MAX: Duration = Duration::from_millis(500);
