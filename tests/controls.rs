//! What clients do to a running connection: pause, switch audio and video, seek, several message
//! streams, publish again, ping. PROTOCOL C-30 to C-74, U-04.

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
use common::link::{Heard, Link, PATIENCE};
use common::media::{Audio, Camera, Piece, Video, number};
use common::server::TestServer;
use corecast::rtmp::client::{ClientEvent, Ending};
use corecast::rtmp::message::{Kind, Message};
use corecast::rtmp::server::code;

#[test]
fn a_paused_player_gets_nothing_and_resumes_at_a_key_frame_with_the_headers_it_has() {
    for worker in 0..2 {
        let (_server, mut stage) = Stage::new(worker);
        stage.roll_to(30);
        stage.call("pause", &[true.into(), 0.0.into()]);
        stage.player.until_status("NetStream.Pause.Notify");
        let paused_at = stage.player.tally.video.last;
        stage.roll_others_to(60);
        let quiet = stage.player.media(Duration::from_millis(100));
        assert!(quiet.is_none(), "media while paused: {quiet:?}");
        assert_eq!(stage.player.tally.video.last, paused_at);
        stage.call("pause", &[false.into(), 0.0.into()]);
        stage.player.until_status("NetStream.Unpause.Notify");
        stage.roll_to(80);
        stage.player.tally.assert_lawful();
        // From the newest key frame: 50.
        assert_eq!(
            stage.player.tally.video.missing, 20,
            "{}",
            stage.player.tally
        );
        stage.player.tally.assert_headers_once();
    }
}

#[test]
fn a_pause_shorter_than_a_gop_waits_for_the_next_key_frame() {
    let (_server, mut stage) = Stage::new(1);
    stage.roll_to(30);
    stage.call("pause", &[true.into(), 0.0.into()]);
    stage.player.until_status("NetStream.Pause.Notify");
    stage.roll_others_to(40);
    stage.call("pause", &[false.into(), 0.0.into()]);
    stage.player.until_status("NetStream.Unpause.Notify");
    stage.roll_to(60);
    stage.player.tally.assert_lawful();
    assert_eq!(
        stage.player.tally.video.missing, 20,
        "{}",
        stage.player.tally
    );
}

#[test]
fn a_paused_player_is_told_of_the_end() {
    let (_server, mut stage) = Stage::new(1);
    stage.roll_to(30);
    stage.call("pause", &[true.into(), 0.0.into()]);
    stage.player.until_status("NetStream.Pause.Notify");
    stage.roll_others_to(60);
    let Stage {
        publisher,
        mut player,
        ..
    } = stage;
    publisher.stop();
    assert_eq!(player.until_ended(), Ending::Unpublished);
}

#[test]
fn a_player_can_do_without_sound_and_get_it_back() {
    for worker in 0..2 {
        let (_server, mut stage) = Stage::new(worker);
        stage.roll_to(30);
        stage.call("receiveAudio", &[false.into()]);
        stage.settle();
        let sounds = stage.player.tally.audio.frames;
        stage.roll_others_to(60);
        stage.player.until_picture(59);
        assert_eq!(
            stage.player.tally.audio.frames, sounds,
            "sound while it is off"
        );
        stage.call("receiveAudio", &[true.into()]);
        stage.player.until_status("NetStream.Play.Start");
        stage.roll_to(80);
        stage.player.tally.assert_lawful();
        assert_eq!(
            stage.player.tally.video.missing, 0,
            "{}",
            stage.player.tally
        );
        assert!(
            stage.player.tally.audio.missing > 0,
            "{}",
            stage.player.tally
        );
    }
}

#[test]
fn a_player_can_do_without_pictures_and_get_them_back_at_a_key_frame() {
    for worker in 0..2 {
        let (_server, mut stage) = Stage::new(worker);
        stage.roll_to(30);
        stage.call("receiveVideo", &[false.into()]);
        stage.settle();
        let pictures = stage.player.tally.video.frames;
        stage.roll_others_to(60);
        stage.player.until_sound(stage.camera.sounds() - 1);
        assert_eq!(
            stage.player.tally.video.frames, pictures,
            "pictures while off"
        );
        stage.call("receiveVideo", &[true.into()]);
        stage.player.until_status("NetStream.Play.Start");
        stage.roll_to(90);
        stage.player.tally.assert_lawful();
        // 30 to 74 went by: the next key frame is 75.
        assert_eq!(
            stage.player.tally.video.missing, 45,
            "{}",
            stage.player.tally
        );
        assert_eq!(
            stage.player.tally.audio.missing, 0,
            "{}",
            stage.player.tally
        );
        stage.player.tally.assert_headers_once();
    }
}

#[test]
fn a_live_stream_cannot_seek_and_goes_on() {
    let (_server, mut stage) = Stage::new(0);
    stage.roll_to(30);
    stage.call("seek", &[5_000.0.into()]);
    let status = stage.player.until_status("NetStream.Seek.Failed");
    assert_eq!((status.level.as_str(), status.stream_id), ("error", 1));
    stage.roll_to(60);
    stage.player.tally.assert_whole();
}

#[test]
fn two_plays_on_one_connection_are_served_apart() {
    let server = TestServer::start(&[]);
    let mut cameras = [
        Camera::plain(),
        Camera::new(Video::Avc, Audio::None).starting_at(7),
    ];
    let mut publishers = [("live/a", 0), ("live/b", 1)].map(|(name, worker)| {
        let mut publisher = Publisher::on_worker(server.rtmp, name, |w| w == worker);
        publisher.open(&cameras[usize::from(worker)]).unwrap();
        publisher
    });
    let mut player = Player::connect(server.rtmp, "live/a").unwrap();
    player.link.call(0, "createStream", &[]).unwrap();
    player.link.call(2, "play", &["b".into()]).unwrap();
    let status = until_status_on(&mut player.link, 2, "NetStream.Play.Start");
    assert_eq!(status, 2);
    for picture in [25, 50, 75] {
        for (publisher, camera) in publishers.iter_mut().zip(&mut cameras) {
            publisher.pieces(&camera.before(picture)).unwrap();
        }
    }
    let wanted = [75 + cameras[0].sounds(), 75];
    let found = frames_by_stream(&mut player.link, wanted[0] + wanted[1]);
    for (stream, pieces) in found.iter().enumerate() {
        assert_eq!(
            pieces.len() as u64,
            wanted[stream],
            "message stream {}",
            stream + 1
        );
        let mut film = Camera::new(Video::Avc, Audio::None).starting_at(7 * stream as u32);
        let pictures = pieces.iter().filter(|(kind, ..)| *kind == Kind::Video);
        for (_, time, payload) in pictures {
            let wanted = film.next().unwrap();
            assert_eq!((*time, payload), (wanted.timestamp, &wanted.payload));
        }
    }
    // The end of one is not the end of the other.
    let [first, mut second] = publishers;
    first.stop();
    until_status_on(&mut player.link, 1, "NetStream.Play.UnpublishNotify");
    second.pieces(&cameras[1].before(100)).unwrap();
    let more = frames_by_stream(&mut player.link, 25);
    assert_eq!((more[0].len(), more[1].len()), (0, 25));
}

#[test]
fn one_connection_can_publish_and_watch() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut other = Publisher::start(server.rtmp, "live/other", &camera).unwrap();
    let mut both = Player::connect(server.rtmp, "live/other").unwrap();
    both.link.call(0, "createStream", &[]).unwrap();
    both.link
        .call(2, "publish", &["mine".into(), "live".into()])
        .unwrap();
    until_status_on(&mut both.link, 2, "NetStream.Publish.Start");
    let mut viewer = Player::connect(server.rtmp, "live/mine").unwrap();
    let film: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.before(50))
        .collect();
    for piece in &film {
        both.link
            .send(piece.kind, 2, piece.timestamp, &piece.payload)
            .unwrap();
        if number(&piece.payload).is_some() {
            other.piece(piece).unwrap();
        }
    }
    for player in [&mut viewer, &mut both] {
        player.until_picture(49);
        player.tally.assert_whole();
    }
    let before = camera.sounds();
    both.until_sound(before - 1);
    both.link.call(0, "deleteStream", &[2.0.into()]).unwrap();
    assert_eq!(viewer.until_ended(), Ending::Unpublished);
    let (next, sounds) = (camera.before(75), camera.sounds());
    other.pieces(&next).unwrap();
    let more = frames_by_stream(&mut both.link, 25 + sounds - before);
    assert!(more[1].is_empty() && !more[0].is_empty());
}

#[test]
fn more_message_streams_than_allowed_are_refused_and_the_connection_lives() {
    let (_server, mut stage) = Stage::new(0);
    for _ in 0..40 {
        stage.player.link.call(0, "createStream", &[]).unwrap();
    }
    stage.player.link.call(30, "play", &["cam".into()]).unwrap();
    stage.roll_to(30);
    stage.player.tally.assert_whole();
}

#[test]
fn an_encoder_can_stop_and_publish_again_on_the_same_connection() {
    let server = TestServer::start(&["--play-wait", "1h"]);
    let camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    for (round, name) in ["cam", "cam", "other", "cam"].into_iter().enumerate() {
        let path = format!("live/{name}");
        let mut player = Player::connect(server.rtmp, &path).unwrap();
        let mut camera = camera.clone();
        if round > 0 {
            send_all(&mut publisher.link, &camera.configs());
        }
        send_all(&mut publisher.link, &camera.before(30));
        player.until_picture(29);
        player.tally.assert_whole();
        assert_eq!(player.tally.video.first, Some(0), "round {round}");
        publisher
            .link
            .call(0, "FCUnpublish", &[name.into()])
            .unwrap();
        assert_eq!(player.until_ended(), Ending::Unpublished);
        until_status_on(&mut publisher.link, 1, "NetStream.Unpublish.Success");
        let next = ["cam", "other", "cam", "last"][round];
        publisher
            .link
            .call(1, "publish", &[next.into(), "live".into()])
            .unwrap();
        until_status_on(&mut publisher.link, 1, "NetStream.Publish.Start");
    }
}

#[test]
fn a_player_can_change_to_another_stream_on_its_message_stream() {
    let server = TestServer::start(&[]);
    let mut cameras = [Camera::plain(), Camera::plain().starting_at(100_000)];
    let mut a = Publisher::start(server.rtmp, "live/a", &cameras[0]).unwrap();
    let mut b = Publisher::start(server.rtmp, "live/b", &cameras[1]).unwrap();
    let mut player = Player::connect(server.rtmp, "live/a").unwrap();
    a.pieces(&cameras[0].before(30)).unwrap();
    player.until_picture(29);
    player.link.call(1, "play", &["b".into()]).unwrap();
    until_status_on(&mut player.link, 1, "NetStream.Play.Start");
    a.pieces(&cameras[0].before(60)).unwrap();
    b.pieces(&cameras[1].before(30)).unwrap();
    let found = frames_by_stream(&mut player.link, 30 + cameras[1].sounds());
    assert!(
        found[0].iter().all(|(_, time, _)| *time >= 100_000),
        "frames of the stream before"
    );
}

#[test]
fn a_stream_that_publishes_cannot_play_and_goes_on_publishing() {
    let (_server, mut stage) = Stage::new(0);
    stage
        .publisher
        .link
        .call(1, "play", &["cam".into()])
        .unwrap();
    until_status_on(&mut stage.publisher.link, 1, code::PLAY_FAILED);
    // The session of the test has given up on it, the server has not.
    send_all(&mut stage.publisher.link, &stage.camera.before(30));
    stage.player.until_picture(29);
    stage.player.tally.assert_whole();
}

#[test]
fn pings_are_answered_with_their_number_by_publishers_and_players_connections() {
    let (_server, mut stage) = Stage::new(1);
    stage.roll_to(30);
    for link in [&mut stage.publisher.link, &mut stage.player.link] {
        link.session.ping(0xDEAD_0042);
        link.flush().unwrap();
        let until = Instant::now() + PATIENCE;
        let pong = loop {
            match link.poll(until.saturating_duration_since(Instant::now())) {
                Ok(Heard::Event(ClientEvent::Pong { time })) => break time,
                Ok(Heard::Event(_)) => {}
                other => panic!("no pong: {other:?}"),
            }
        };
        assert_eq!(pong, 0xDEAD_0042);
    }
}

#[test]
fn a_player_that_sends_media_does_no_harm() {
    let (_server, mut stage) = Stage::new(0);
    for _ in 0..50 {
        let link = &mut stage.player.link;
        link.send(Kind::Video, 1, 0, &common::media::avc_frame(7, true, 300))
            .unwrap();
        link.send(Kind::Audio, 5, 0, &common::media::aac_frame(7))
            .unwrap();
    }
    stage.roll_to(40);
    stage.player.tally.assert_whole();
}

/// A publisher on worker 0, a player on a given one, and a second player as witness.
struct Stage {
    publisher: Publisher,
    camera: Camera,
    player: Player,
    witness: Player,
}

impl Stage {
    fn new(worker: u8) -> (TestServer, Self) {
        let server = TestServer::start(&[]);
        let camera = Camera::plain();
        let mut publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == 0);
        publisher.open(&camera).unwrap();
        let play = |on| Player::on_worker(server.rtmp, "live/cam", |w| w == on);
        let stage = Self {
            publisher,
            camera,
            player: play(worker),
            witness: play(worker),
        };
        (server, stage)
    }

    /// Sends everything before that picture; returns when the player has it.
    fn roll_to(&mut self, picture: u64) {
        self.roll_others_to(picture);
        self.player.until_picture(picture - 1);
        self.player.until_sound(self.camera.sounds() - 1);
    }

    /// The same, but only the witness of the same worker must have it.
    fn roll_others_to(&mut self, picture: u64) {
        self.publisher.pieces(&self.camera.before(picture)).unwrap();
        self.witness.until_picture(picture - 1);
        self.witness.until_sound(self.camera.sounds() - 1);
    }

    fn call(&mut self, name: &str, arguments: &[corecast::rtmp::amf0::Value<'_>]) {
        self.player.link.call(1, name, arguments).unwrap();
    }

    /// Waits until the server has read everything the player said.
    fn settle(&mut self) {
        self.player.link.session.ping(1);
        self.player.link.flush().unwrap();
        loop {
            match self.player.recv(PATIENCE) {
                Some(Word::Other(ClientEvent::Pong { .. })) => return,
                Some(Word::Closed | Word::Broken(_)) | None => panic!("no pong"),
                Some(_) => {}
            }
        }
    }
}

/// Waits for a status of that code on that message stream; panics when it does not come.
fn until_status_on(link: &mut Link, stream_id: u32, code: &str) -> u32 {
    let until = Instant::now() + PATIENCE;
    loop {
        match link.poll(until.saturating_duration_since(Instant::now())) {
            Ok(Heard::Event(ClientEvent::Status(status)))
                if status.code == code && status.stream_id == stream_id =>
            {
                return status.stream_id;
            }
            Ok(Heard::Event(_)) => {}
            other => panic!("no {code}: {other:?}"),
        }
    }
}

fn send_all(link: &mut Link, pieces: &[Piece]) {
    for piece in pieces {
        link.send(piece.kind, 1, piece.timestamp, &piece.payload)
            .unwrap();
    }
}

/// The next `count` numbered frames, apart by message stream 1 and 2.
fn frames_by_stream(link: &mut Link, count: u64) -> [Vec<(Kind, u32, Vec<u8>)>; 2] {
    let mut found = [vec![], vec![]];
    let frame = |message: &Message| number(message.payload()).is_some();
    for at in 0..count {
        let message = loop {
            match link.poll(PATIENCE) {
                Ok(Heard::Event(ClientEvent::Media(message))) if frame(&message) => break message,
                Ok(Heard::Event(_)) => {}
                other => panic!("frame {at} of {count}: {other:?}"),
            }
        };
        let stream = message.stream_id as usize - 1;
        let payload = message.payload().to_vec();
        found[stream].push((message.kind, message.timestamp, payload));
    }
    found
}
