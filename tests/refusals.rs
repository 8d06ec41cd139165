//! Everything the server says no to: the code each client understands, words a broadcaster
//! understands, and a connection that ends after the words have arrived. PROTOCOL C-19, C-45, C-46,
//! C-65, L-13.

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

use std::io::{Read, Write};
use std::time::Duration;

use common::client::{Player, Publisher, Word, play_config, publish_config};
use common::link::{Dial, Failure, Heard, Link, PATIENCE};
use common::media::Camera;
use common::server::TestServer;
use corecast::rtmp::client::{ClientConfig, ClientEvent, Ending, Status, Step};
use corecast::rtmp::message::Kind;
use corecast::rtmp::server::code;

#[test]
fn a_wrong_application_is_refused_at_connect_with_the_names_that_exist() {
    let server = TestServer::start(&["--app", "live,studio"]);
    let refused = [
        publish_config(server.rtmp, "lvie/cam"),
        play_config(server.rtmp, "lvie/cam"),
    ];
    for config in refused {
        let (step, status) = refusal(&server, config);
        assert_eq!(step, Step::Connect);
        assert_eq!(
            (status.level.as_str(), status.code.as_str()),
            ("error", code::INVALID_APP)
        );
        for word in ["lvie", "live, studio"] {
            assert!(status.description.contains(word), "no {word:?} in {status}");
        }
    }
    Publisher::connect(server.rtmp, "studio/cam").expect("an application that exists");
    Publisher::connect(server.rtmp, "live/room/cam").expect("its instance");
}

#[test]
fn an_application_hidden_in_the_stream_name_is_refused_too() {
    let server = TestServer::start(&["--app", "live"]);
    let mut publish = publish_config(server.rtmp, "live/cam");
    (publish.app, publish.stream) = (String::new(), "secret/cam".to_owned());
    publish.tc_url = format!("rtmp://{}", server.rtmp);
    let (_, status) = refusal(&server, publish);
    assert!(status.description.contains("secret"), "{status}");
}

#[test]
fn an_encoder_past_a_limit_reads_which_one_and_the_log_names_the_flag() {
    let server = TestServer::start(&["--max-message", "64KiB", "--max-message-rate", "10"]);
    let long = vec![0x17; 100_000];
    let cases = [
        (
            1,
            &long[..],
            "100000 bytes, 65536 are allowed",
            "(--max-message)",
        ),
        (
            200,
            &[0xAF, 1],
            "10 messages a second",
            "(--max-message-rate)",
        ),
    ];
    for (count, payload, words, flag) in cases {
        let config = publish_config(server.rtmp, "live/cam");
        let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
        let stream_id = link.until_ready(PATIENCE).unwrap();
        for _ in 0..count {
            link.send(Kind::Audio, stream_id, 0, payload).unwrap();
        }
        let statuses = statuses_until_closed(&mut link);
        let last = statuses.last().unwrap();
        assert_eq!((last.level.as_str(), last.stream_id), ("error", stream_id));
        assert!(last.description.contains(words), "{last}");
        server.line_with(flag);
    }
}

#[test]
fn an_occupied_name_is_refused_in_the_words_that_each_encoder_shows() {
    let server = TestServer::start(&["--on-duplicate", "reject"]);
    let _first = Publisher::connect(server.rtmp, "live/cam").unwrap();
    let config = publish_config(server.rtmp, "live/cam");
    let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
    let statuses = statuses_until_closed(&mut link);
    // gst and ffmpeg understand the first, OBS shows the text of the second (C-46).
    let codes: Vec<&str> = statuses.iter().map(|status| status.code.as_str()).collect();
    assert_eq!(codes, [code::BAD_NAME, code::PUBLISH_REJECTED]);
    for status in &statuses {
        assert_eq!((status.level.as_str(), status.stream_id), ("error", 1));
        let text = &status.description;
        assert!(
            text.contains("live/cam") && text.contains("in use"),
            "{text}"
        );
    }
}

#[test]
fn names_that_cannot_be_are_refused_by_publish_and_play() {
    let server = TestServer::start(&["--play-wait", "0"]);
    let long = "x".repeat(600);
    for name in [
        "",
        "?key=1",
        "a/../b",
        "..",
        "tab\there",
        "null\0byte",
        &long,
    ] {
        let publish = ClientConfig {
            stream: name.to_owned(),
            ..publish_config(server.rtmp, "live/x")
        };
        let (step, status) = refusal(&server, publish);
        assert_eq!(
            (step, status.code.as_str()),
            (Step::Start, code::BAD_NAME),
            "{name:?}"
        );
        assert!(status.description.len() > 10, "{name:?}: {status}");
        let play = ClientConfig {
            stream: name.to_owned(),
            ..play_config(server.rtmp, "live/x")
        };
        let (_, status) = refusal(&server, play);
        assert_eq!(status.code, code::STREAM_NOT_FOUND, "{name:?}");
    }
}

#[test]
fn more_streams_than_allowed_are_refused_with_the_number() {
    let server = TestServer::start(&["--max-streams", "2", "--play-wait", "1h"]);
    let first = Publisher::connect(server.rtmp, "live/1").unwrap();
    let _second = Publisher::connect(server.rtmp, "live/2").unwrap();
    let (_, status) = refusal(&server, publish_config(server.rtmp, "live/3"));
    assert_eq!(status.code, code::PUBLISH_REJECTED);
    assert!(status.description.contains('2'), "{status}");
    let (_, status) = refusal(&server, play_config(server.rtmp, "live/3"));
    assert_eq!(status.code, code::PLAY_FAILED);
    Player::connect(server.rtmp, "live/1").expect("a name that is known");
    first.stop();
    server.line_with("stream live/1 ended");
    Publisher::connect(server.rtmp, "live/3").expect("there is room again");
}

#[test]
fn a_refusal_arrives_though_the_encoder_has_already_sent_its_media() {
    // OBS and librtmp do not wait for answers: a close with unread input would be a reset, which
    // destroys the reply in flight.
    let server = TestServer::start(&["--on-duplicate", "reject"]);
    let _first = Publisher::connect(server.rtmp, "live/cam").unwrap();
    for round in 0..10 {
        let config = publish_config(server.rtmp, "live/cam");
        let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
        link.until_connected(PATIENCE).unwrap();
        let args = ["cam".into(), "live".into()];
        link.call(1, "publish", &args).unwrap();
        let mut camera = Camera::plain().picture_bytes(20_000);
        for piece in camera.before(100) {
            // The server listens on: a reset would fail this and could destroy the reply.
            let sent = link.send(piece.kind, 1, piece.timestamp, &piece.payload);
            sent.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        let codes: Vec<_> = statuses_until_closed(&mut link)
            .into_iter()
            .map(|status| status.code)
            .collect();
        assert_eq!(
            codes.first().map(String::as_str),
            Some(code::BAD_NAME),
            "round {round}"
        );
    }
}

#[test]
fn a_refused_client_that_does_not_leave_is_closed_all_the_same() {
    let server = TestServer::start(&["--play-wait", "0"]);
    let config = play_config(server.rtmp, "live/nobody");
    let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
    let trace = {
        statuses_until_closed(&mut link);
        link.trace.clone().unwrap()
    };
    // We have seen its FIN and send none: it stops waiting by itself.
    server.line_with(&format!("[{trace}] "));
}

#[test]
fn a_stranger_that_does_not_speak_rtmp_is_closed_and_the_server_lives() {
    let server = TestServer::start(&[]);
    let words: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
        &[6; 1_537],
    ];
    for bytes in words {
        let mut socket = Dial::new(server.rtmp).socket().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        let read = socket.read_to_end(&mut rest);
        let timed_out = read.is_err_and(|error| {
            use std::io::ErrorKind;
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        });
        assert!(!timed_out, "still open after {bytes:?}");
    }
    Publisher::connect(server.rtmp, "live/cam").expect("the server lives");
}

#[test]
fn a_message_longer_than_allowed_ends_the_publisher_and_no_one_else() {
    let server = TestServer::start(&["--max-message", "64KiB", "--reconnect-grace", "0"]);
    let mut camera = Camera::plain();
    let mut good = Publisher::start(server.rtmp, "live/good", &camera).unwrap();
    let mut player = Player::connect(server.rtmp, "live/good").unwrap();
    let mut bad = Publisher::connect(server.rtmp, "live/bad").unwrap();
    let trace = bad.link.trace.clone().unwrap();
    let _ = bad.send(Kind::Video, 0, &vec![0x17; 70_000]);
    bad.until_closed();
    let line = server.line_with(&format!("[{trace}] "));
    assert!(line.contains("70000") || line.contains("65536"), "{line}");
    good.roll(&mut camera, 60).unwrap();
    player.until_picture(camera.pictures() - 1);
    player.tally.assert_whole();
}

#[test]
fn commands_before_connect_close_and_unknown_calls_after_it_do_not() {
    let server = TestServer::start(&[]);
    let mut camera = Camera::plain();
    let mut publisher = Publisher::start(server.rtmp, "live/cam", &camera).unwrap();
    publisher
        .link
        .call(0, "makeCoffee", &["black".into()])
        .unwrap();
    publisher.link.call(9, "publish", &["x".into()]).unwrap();
    publisher.roll(&mut camera, 60).unwrap();
    let mut player = Player::connect(server.rtmp, "live/cam").unwrap();
    player.link.call(0, "makeCoffee", &[]).unwrap();
    player.until_picture(camera.pictures() - 1);
    player.tally.assert_whole();
    let said = player.recv(Duration::from_millis(50));
    assert!(
        !matches!(said, Some(Word::Closed | Word::Broken(_))),
        "{said:?}"
    );
}

/// The refusal of this client: at which step, and the status.
fn refusal(server: &TestServer, config: ClientConfig) -> (Step, Status) {
    let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
    match link.until_ready(PATIENCE) {
        Err(Failure::Ended(Ending::Refused { step, status })) => {
            statuses_until_closed(&mut link);
            (step, status)
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Reads to the end of the connection; panics when it stays open.
fn statuses_until_closed(link: &mut Link) -> Vec<Status> {
    let mut statuses = Vec::new();
    loop {
        match link.poll(PATIENCE) {
            Ok(Heard::Event(ClientEvent::Status(status))) => statuses.push(status),
            Ok(Heard::Event(_)) => {}
            Ok(Heard::Closed) => return statuses,
            other => panic!("{other:?} after {statuses:?}"),
        }
    }
}
