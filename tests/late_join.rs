//! Players that come late: where they start, with which headers, and that nothing is lost or
//! doubled between what was kept and what is live. PROTOCOL G-01 to G-14.

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

use common::bits::avcc;
use common::client::{Player, Publisher};
use common::link::PATIENCE;
use common::media::{Audio, Camera, Piece, Video, aac_config, avc_config, metadata};
use common::server::TestServer;
use corecast::rtmp::message::Kind;

#[test]
fn with_the_full_cache_a_joiner_starts_at_the_newest_key_frame() {
    let (server, mut stage) = Stage::after(60, &["--gop-cache", "full"]);
    let mut late = stage.join_each_worker(&server);
    for player in &mut late {
        player.until_picture(59);
        assert_eq!(player.tally.video.first, Some(50));
        assert_eq!(player.tally.video.first_timestamp, Some(2_000));
    }
    stage.roll_to(90);
    for mut player in late {
        player.until_picture(89);
        player.tally.assert_whole();
        assert_eq!(
            (player.tally.video.configs, player.tally.audio.configs),
            (1, 1)
        );
    }
}

#[test]
fn with_the_key_cache_a_joiner_gets_one_picture_and_then_the_next_key_frame() {
    let (server, mut stage) = Stage::after(60, &["--gop-cache", "key"]);
    let mut late = stage.join_each_worker(&server);
    for player in &mut late {
        player.until_picture(50);
    }
    stage.roll_to(90);
    for mut player in late {
        player.until_picture(89);
        player.tally.assert_lawful();
        let video = &player.tally.video;
        assert_eq!(
            (video.first, video.missing),
            (Some(50), 24),
            "{}",
            player.tally
        );
        assert_eq!(player.tally.audio.missing, 0, "{}", player.tally);
    }
}

#[test]
fn without_a_cache_a_joiner_waits_for_the_next_key_frame_and_hears_at_once() {
    let (server, mut stage) = Stage::after(60, &["--gop-cache", "off"]);
    let mut late = stage.join_each_worker(&server);
    stage.roll_to(70);
    for player in &mut late {
        player.until("some sound", |tally| tally.audio.frames > 0);
        assert_eq!(player.tally.video.frames, 0, "{}", player.tally);
    }
    stage.roll_to(90);
    for mut player in late {
        player.until_picture(89);
        player.tally.assert_whole();
        assert_eq!(player.tally.video.first, Some(75));
    }
}

#[test]
fn a_joiner_gets_metadata_audio_config_video_config_and_then_the_key_frame() {
    let (server, stage) = Stage::after(30, &[]);
    for mut player in stage.join_each_worker(&server) {
        let mut next = || player.media(PATIENCE).expect("another message");
        assert!(
            next()
                .payload()
                .ends_with(b"|RtmpSampleAccess\x01\x01\x01\x01")
        );
        let headers = [next(), next(), next()];
        let payloads = headers.each_ref().map(|message| message.payload());
        assert_eq!(payloads, [&metadata()[..], &aac_config(), &avc_config()]);
        let key = next();
        assert_eq!(
            (key.kind, key.payload()[0], key.timestamp),
            (Kind::Video, 0x17, 1_000)
        );
        // At any other time but 0 ffmpeg would take the metadata for a subtitle stream.
        let times = headers.each_ref().map(|message| message.timestamp);
        assert_eq!(times, [0, key.timestamp, key.timestamp]);
    }
}

#[test]
fn joiners_at_any_moment_of_a_running_stream_miss_nothing_and_get_nothing_twice() {
    let server = TestServer::with_workers(3, &[]);
    let address = server.rtmp;
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(address, "live/cam", &camera).unwrap();
    let mut witness = Player::connect(address, "live/cam").unwrap();
    let (frames, last) = (60, 59);
    let live = thread::spawn(move || {
        let length = Duration::from_millis(frames * 40);
        publisher.roll_live(&mut camera, length).unwrap();
        publisher
    });
    let mut viewers = Vec::new();
    for picture in 0..last - 1 {
        witness.until_picture(picture);
        viewers.push(thread::spawn(move || {
            let mut player = Player::connect(address, "live/cam").unwrap();
            player.until_picture(last);
            (picture, player.link.worker(), player.tally)
        }));
    }
    let seen: Vec<_> = viewers.into_iter().map(|v| v.join().unwrap()).collect();
    for (joined, worker, tally) in &seen {
        tally.assert_whole();
        let first = tally.video.first.unwrap();
        assert!(
            first % 25 == 0 && first + 25 > *joined,
            "joined at {joined}, {tally}"
        );
        assert!(*worker < 3);
    }
    let on = |worker| seen.iter().filter(|(_, w, _)| *w == worker).count();
    assert!(
        (0..3).filter(|w| on(*w) > 0).count() >= 2,
        "one worker served all"
    );
    drop(live.join().unwrap());
}

#[test]
fn a_joiner_gets_the_headers_that_were_valid_where_it_starts() {
    let (server, mut stage) = Stage::after(30, &[]);
    let mut other = avc_config();
    other.push(0);
    assert_ne!(other[5..], avcc()[..]);
    // A new config in the middle of the GOP that began with picture 25.
    stage.publisher.send(Kind::Video, 1_200, &other).unwrap();
    stage.roll_to(40);
    let before = stage.join_each_worker(&server);
    stage.roll_to(60);
    let after = stage.join_each_worker(&server);
    stage.roll_to(70);
    for player in before {
        assert_eq!(configs(player, 69), [avc_config(), other.clone()]);
    }
    for player in after {
        assert_eq!(configs(player, 69), [other.clone()]);
    }
}

#[test]
fn new_metadata_passes_and_is_what_joiners_get_while_repeats_do_not() {
    let (server, mut stage) = Stage::after(10, &[]);
    let mut changed = metadata();
    let at = changed.windows(9).position(|w| w == b"framerate").unwrap();
    changed[at + 11] = 0x3E;
    for _ in 0..5 {
        stage.publisher.metadata(400, &metadata()).unwrap();
    }
    stage.publisher.metadata(400, &changed).unwrap();
    stage.roll_to(30);
    let named = |player: &Player| {
        let data = player.tally.data.iter();
        data.filter(|d| d.windows(10).any(|w| w == b"onMetaData"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&stage.witness), [metadata(), changed.clone()]);
    for mut player in stage.join_each_worker(&server) {
        player.until_picture(29);
        assert_eq!(named(&player), [changed.clone()]);
    }
}

#[test]
fn a_joiner_of_an_audio_stream_hears_at_once_and_without_gaps() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::new(Video::None, Audio::Aac);
    let mut publisher = Publisher::start(server.rtmp, "live/radio", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/radio").unwrap();
    publisher.roll(&mut camera, 300).unwrap();
    witness.until_sound(299);
    let join = |worker| Player::on_worker(server.rtmp, "live/radio", |w| w == worker);
    let late = [join(0), join(1)];
    publisher.roll(&mut camera, 100).unwrap();
    for mut player in late {
        player.until_sound(399);
        player.tally.assert_whole();
        assert_eq!(player.tally.audio.configs, 1);
        // At most a second of what has been is kept (G-05).
        let first = player.tally.audio.first.unwrap();
        assert!((260..=300).contains(&first), "starts at {first}");
    }
}

#[test]
fn a_key_frame_flagged_late_in_a_stream_of_sound_and_picture_starts_the_joiner() {
    // One GOP of 200 pictures: everything since its key frame is kept.
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain().gop(200);
    let mut publisher = Publisher::start(server.rtmp, "live/long", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/long").unwrap();
    publisher.pieces(&camera.before(190)).unwrap();
    witness.until_picture(189);
    let mut player = Player::on_worker(server.rtmp, "live/long", |w| w != witness.link.worker());
    player.until_picture(189);
    player.tally.assert_whole();
    assert_eq!(player.tally.video.first, Some(0));
}

#[test]
fn a_gop_larger_than_the_log_is_dropped_and_the_joiner_starts_at_the_next_key_frame() {
    let flags = [
        "--log-bytes",
        "1MiB",
        "--max-lag-bytes",
        "512KiB",
        "--max-message",
        "512KiB",
    ];
    let server = TestServer::start(&flags);
    let mut camera = Camera::plain().gop(100).picture_bytes(20_000);
    let mut publisher = Publisher::start(server.rtmp, "live/fat", &camera).unwrap();
    let mut witness = Player::connect(server.rtmp, "live/fat").unwrap();
    for picture in (0..=90).step_by(10).skip(1) {
        publisher.pieces(&camera.before(picture)).unwrap();
        witness.until_picture(picture - 1);
    }
    let mut player = Player::connect(server.rtmp, "live/fat").unwrap();
    publisher.pieces(&camera.before(105)).unwrap();
    player.until_picture(104);
    player.tally.assert_whole();
    assert_eq!(player.tally.video.first, Some(100));
}

/// A stream that has run for a while on a server of two workers.
struct Stage {
    publisher: Publisher,
    camera: Camera,
    /// Has received every picture that was sent.
    witness: Player,
}

impl Stage {
    fn after(pictures: u64, flags: &[&str]) -> (TestServer, Self) {
        let server = TestServer::start(flags);
        let camera = Camera::plain();
        let publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
        let witness = Player::connect(server.rtmp, "live/cam").unwrap();
        let mut stage = Self {
            publisher,
            camera,
            witness,
        };
        stage.roll_to(pictures);
        (server, stage)
    }

    /// Sends everything before that picture and waits until the witness has it.
    fn roll_to(&mut self, picture: u64) {
        let film: Vec<Piece> = self.camera.before(picture);
        self.publisher.pieces(&film).unwrap();
        let (sounds, until) = (self.camera.sounds(), Instant::now() + PATIENCE);
        self.witness.until_picture(picture - 1);
        self.witness.until_sound(sounds - 1);
        assert!(Instant::now() < until);
    }

    fn join_each_worker(&self, server: &TestServer) -> Vec<Player> {
        (0..2)
            .map(|worker| Player::on_worker(server.rtmp, "live/cam", |w| w == worker))
            .collect()
    }
}

/// The video configs a player gets until that picture.
fn configs(mut player: Player, last: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while player.tally.video.last != Some(last) {
        let message = player.media(PATIENCE).expect("another message");
        if message.kind == Kind::Video && message.payload()[1] == 0 {
            found.push(message.payload().to_vec());
        }
    }
    player.tally.assert_whole();
    found
}
