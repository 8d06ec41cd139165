//! Both ends of RTMP on a bench: a client session and a server session, a clock that the test
//! moves, and a wire that delivers in pieces of random length.
//!
//! Law: what one side sends the other side gets, once, in order, however it was cut. Every test
//! runs with many seeds; a failure prints its seed, and `SEED=… cargo test --test session_pair`
//! runs that one alone.

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

use common::media::{Camera, Piece, metadata};
use common::pair::Pair;
use common::tally::Tally;
use corecast::rtmp;
use corecast::rtmp::client::{
    Address, Advert, ClientConfig, ClientError, ClientEvent, Ending, Step,
};
use corecast::rtmp::message::Kind;
use corecast::rtmp::server::{Event, Refusal, code};

fn address() -> Address {
    Address::parse("rtmp://h/live/cam?token=1").unwrap()
}

fn publishers(test: impl Fn(Pair)) {
    for seed in seeds() {
        let digest = seed % 2 == 0;
        test(Pair::new(
            seed,
            ClientConfig {
                digest,
                ..ClientConfig::publish(&address())
            },
        ));
    }
}

fn players(test: impl Fn(Pair)) {
    for seed in seeds() {
        let digest = seed % 2 == 0;
        test(Pair::new(
            seed,
            ClientConfig {
                digest,
                ..ClientConfig::play(&address())
            },
        ));
    }
}

fn seeds() -> impl Iterator<Item = u64> {
    let one = std::env::var("SEED")
        .ok()
        .map(|seed| seed.parse().expect("SEED is a number"));
    one.map_or(1..41, |seed: u64| seed..seed + 1)
}

#[test]
fn a_publish_is_accepted_and_named_as_the_url_says() {
    publishers(|mut pair| {
        pair.drive();
        assert_eq!(
            pair.codes(),
            ["connected", "NetStream.Publish.Start", "ready"]
        );
        let ClientEvent::Connected { trace, .. } = &pair.heard[0] else {
            panic!()
        };
        assert!(
            trace.as_ref().is_some_and(|trace| trace.contains("w1c2.3")),
            "{trace:?}"
        );
        let Some(Event::Publish { target, .. }) = pair.told.get(1) else {
            panic!("{:?}", pair.told)
        };
        assert_eq!(target.name.as_str(), "live/cam");
        assert!(target.query.contains("token=1"), "{}", target.query);
        pair.assert_no_error();
    });
}

#[test]
fn published_media_arrives_once_in_order_and_unchanged() {
    publishers(|mut pair| {
        pair.drive();
        let mut camera = Camera::plain().starting_at(0xFF_FF00);
        pair.client
            .send_metadata(camera.start, &metadata())
            .unwrap();
        let mut sent: Vec<Piece> = camera.configs();
        sent.extend(camera.by_ref().take(80));
        for piece in &sent {
            pair.client
                .send_media(piece.kind, piece.timestamp, &piece.payload)
                .unwrap();
        }
        pair.drive();
        let media: Vec<_> = pair
            .told
            .iter()
            .filter_map(|event| match event {
                Event::Media { message, .. } => Some(Piece {
                    kind: message.kind,
                    timestamp: message.timestamp,
                    payload: message.payload().to_vec(),
                }),
                _ => None,
            })
            .collect();
        assert_eq!(media[0].payload, metadata(), "@setDataFrame is stripped");
        assert!(media[1..] == sent, "other media than was sent");
        pair.assert_no_error();
    });
}

#[test]
fn played_media_arrives_once_in_order_and_unchanged() {
    players(|mut pair| {
        pair.drive();
        let mut camera = Camera::plain()
            .starting_at(0xFFFF_FE00)
            .picture_bytes(30_000);
        let mut sent = camera.configs();
        sent.extend(camera.by_ref().take(60));
        for piece in &sent {
            pair.host_sends(1, piece);
            if pair.roll(3) == 0 {
                pair.drive();
            }
        }
        pair.drive();
        let mut tally = Tally::default();
        let mut media = Vec::new();
        for event in &pair.heard {
            if let ClientEvent::Media(message) = event {
                tally.take(message);
                media.push((message.kind, message.timestamp, message.payload()));
            }
        }
        media.retain(|(kind, ..)| *kind != Kind::DataAmf0);
        let sent: Vec<_> = sent
            .iter()
            .map(|p| (p.kind, p.timestamp, p.payload.as_slice()))
            .collect();
        assert!(media == sent, "other media than was sent");
        tally.assert_whole();
        pair.assert_no_error();
    });
}

#[test]
fn a_refused_connect_tells_why_and_the_server_closes() {
    publishers(|mut pair| {
        pair.refuse_connect = Some(Refusal::new(code::INVALID_APP, "no such app"));
        pair.drive();
        assert_eq!(pair.codes(), [code::INVALID_APP, "ended"]);
        let Some(Ending::Refused {
            step: Step::Connect,
            status,
        }) = pair.ending()
        else {
            panic!("{:?}", pair.heard)
        };
        assert_eq!(status.description, "no such app");
        assert!(pair.server.is_closing());
        assert!(pair.client.send_media(Kind::Audio, 0, &[]).is_err());
    });
}

#[test]
fn a_refused_publish_tells_why_and_the_server_closes() {
    publishers(|mut pair| {
        pair.refuse_publish = Some(Refusal::new(code::BAD_NAME, "Already publishing"));
        pair.drive();
        // The second status is for OBS, which does not know the first (C-46).
        let codes = ["connected", code::BAD_NAME, "ended", code::PUBLISH_REJECTED];
        assert_eq!(pair.codes(), codes);
        let Some(Ending::Refused {
            step: Step::Start,
            status,
        }) = pair.ending()
        else {
            panic!("{:?}", pair.heard)
        };
        assert_eq!(status.code, code::BAD_NAME);
        assert!(pair.server.is_closing());
    });
}

#[test]
fn a_refused_play_tells_why_and_the_server_closes() {
    players(|mut pair| {
        pair.refuse_play = Some(Refusal::new(code::STREAM_NOT_FOUND, "live/cam"));
        pair.drive();
        assert_eq!(pair.codes(), ["connected", code::STREAM_NOT_FOUND, "ended"]);
        assert!(pair.server.is_closing());
    });
}

#[test]
fn the_end_of_a_stream_is_said_in_both_ways_and_the_connection_stays() {
    players(|mut pair| {
        pair.drive();
        pair.server.end_play(1);
        pair.drive();
        let codes = pair.codes();
        let tail = &codes[codes.len() - 3..];
        assert_eq!(tail, ["NetStream.Play.UnpublishNotify", "ended", "eof"]);
        assert_eq!(pair.ending(), Some(&Ending::Unpublished));
        assert!(!pair.server.is_closing());
        pair.assert_no_error();
    });
}

#[test]
fn a_publisher_that_stops_is_unpublished_exactly_once() {
    publishers(|mut pair| {
        pair.drive();
        pair.client
            .send_media(Kind::Audio, 0, &[0xAF, 1, 7])
            .unwrap();
        pair.client.stop();
        pair.drive();
        assert_eq!(
            pair.count(|event| matches!(event, Event::Unpublish { .. })),
            1
        );
        assert_eq!(pair.count(|event| matches!(event, Event::Media { .. })), 1);
        assert!(pair.ending().is_none(), "we ended it ourselves");
        pair.assert_no_error();
    });
}

#[test]
fn a_player_that_stops_is_reported_exactly_once() {
    players(|mut pair| {
        pair.drive();
        pair.client.stop();
        pair.drive();
        assert_eq!(
            pair.count(|event| matches!(event, Event::StopPlay { .. })),
            1
        );
        pair.assert_no_error();
    });
}

#[test]
fn a_publisher_thrown_out_is_told_and_not_reported_as_unpublished() {
    publishers(|mut pair| {
        pair.drive();
        pair.server
            .end_publish(1, &Refusal::new(code::PUBLISH_REJECTED, "taken over"));
        pair.drive();
        let Some(Ending::Refused {
            step: Step::Ready,
            status,
        }) = pair.ending()
        else {
            panic!("{:?}", pair.heard)
        };
        assert_eq!(
            (status.code.as_str(), status.description.as_str()),
            (code::PUBLISH_REJECTED, "taken over")
        );
        assert_eq!(
            pair.count(|event| matches!(event, Event::Unpublish { .. })),
            0
        );
    });
}

#[test]
fn a_silent_player_lives_by_its_pongs_and_dies_without_them() {
    players(|mut pair| {
        pair.drive();
        pair.pass(600_000);
        pair.assert_no_error();
        pair.frozen = true;
        pair.pass(120_000);
        assert!(matches!(pair.server_error, Some(rtmp::Error::Timeout(_))));
    });
}

#[test]
fn the_clients_own_ping_is_answered() {
    players(|mut pair| {
        pair.drive();
        pair.client.ping(0xCAFE);
        pair.drive();
        assert!(matches!(
            pair.heard.last(),
            Some(ClientEvent::Pong { time: 0xCAFE })
        ));
    });
}

#[test]
fn a_shutdown_is_told_to_whoever_plays() {
    players(|mut pair| {
        pair.drive();
        pair.server.shutdown();
        pair.drive();
        assert!(pair.codes().contains(&"eof"), "{:?}", pair.codes());
        assert!(pair.ending().is_some());
        assert!(pair.server.is_closing());
    });
}

#[test]
fn a_shutdown_is_told_to_whoever_publishes() {
    publishers(|mut pair| {
        pair.drive();
        pair.server.shutdown();
        pair.drive();
        assert!(pair.ending().is_some(), "{:?}", pair.codes());
    });
}

#[test]
fn a_request_to_reconnect_reaches_only_clients_that_understand_it() {
    for seed in seeds() {
        let plain = ClientConfig::play(&address());
        let advert = Some(Advert::everything());
        let mut able = Pair::new(
            seed,
            ClientConfig {
                advert,
                ..plain.clone()
            },
        );
        able.drive();
        let ClientEvent::Connected { caps_ex, .. } = &able.heard[0] else {
            panic!()
        };
        assert_eq!(*caps_ex, Some(7));
        assert!(able.server.request_reconnect(Some("rtmp://other/live")));
        able.drive();
        let Some(ClientEvent::Reconnect { tc_url, .. }) = able.heard.last() else {
            panic!("{:?}", able.codes())
        };
        assert_eq!(tc_url.as_deref(), Some("rtmp://other/live"));

        let mut old = Pair::new(seed, plain);
        old.drive();
        assert!(!old.server.request_reconnect(None));
    }
}

#[test]
fn a_server_that_hears_nothing_gives_up_and_so_does_a_client() {
    publishers(|mut pair| {
        pair.frozen = true;
        pair.pass(60_000);
        assert!(matches!(pair.server_error, Some(rtmp::Error::Timeout(_))));
        let waited = ClientError::Timeout {
            step: Step::Handshake,
            waited_ms: 10_000,
        };
        assert_eq!(
            format!("{:?}", pair.client_error),
            format!("{:?}", Some(waited))
        );
    });
}
