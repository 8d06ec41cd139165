//! Old players and new streams: what each player gets by what it said of itself. PROTOCOL M-56,
//! M-60 to M-66.

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

use std::time::Duration;

use common::bits::{ASC, avcc};
use common::client::{Player, Publisher, link_on, play_config};
use common::link::{Dial, Heard, Link, PATIENCE};
use common::media::{
    Audio, Camera, Piece, Video, aac_config, aac_frame, avc_config, avc_frame, avc_track_body,
    enhanced, hevc_config, hevc_frame, opus_config, opus_frame, video_tracks,
};
use common::server::TestServer;
use common::tally::Tally;
use corecast::rtmp::client::{Advert, ClientConfig, ClientEvent};
use corecast::rtmp::message::Kind;

#[test]
fn an_old_player_gets_enhanced_h264_and_aac_in_the_form_it_knows() {
    let (server, mut publisher) = stage(&[]);
    let film: Vec<Piece> = (0..40).flat_map(enhanced_avc_and_aac).collect();
    let plain: Vec<Vec<u8>> = (0..40).flat_map(plain_avc_and_aac).collect();
    let mut old = [0, 1].map(|worker| player(&server, None, worker));
    let mut new = [0, 1].map(|worker| player(&server, Some(Advert::everything()), worker));
    let configs = enhanced_configs();
    publisher.pieces(&configs).unwrap();
    publisher.pieces(&film).unwrap();
    for player in &mut old {
        let headers = [avc_config(), aac_config()];
        assert_eq!(media(player, 82), [&headers[..], &plain[..]].concat());
    }
    for player in &mut new {
        let sent: Vec<_> = configs
            .iter()
            .chain(&film)
            .map(|p| p.payload.clone())
            .collect();
        assert_eq!(media(player, 82), sent);
    }
    // Headers of a late joiner as well; the key frame is number 25.
    let mut late = player(&server, None, 1);
    let expected = [&[aac_config(), avc_config()][..], &plain[50..]].concat();
    assert_eq!(media(&mut late, expected.len()), expected);
}

#[test]
fn packets_without_composition_offset_become_plain_ones_with_zero() {
    let (server, mut publisher) = stage(&[]);
    let mut old = player(&server, None, 1);
    publisher.pieces(&enhanced_configs()[..1]).unwrap();
    for number in 0..10 {
        let (key, first) = (number == 0, if number == 0 { 0x93 } else { 0xA3 });
        let body = avc_track_body(number, key, 300);
        let payload = enhanced(first, b"avc1", &body[3..]);
        publisher.piece(&video(number, payload)).unwrap();
    }
    let mut expected = vec![avc_config()];
    expected.extend((0..10).map(|number| avc_frame(number, number == 0, 300)));
    assert_eq!(media(&mut old, 11), expected);
}

#[test]
fn a_player_that_said_nothing_of_tracks_gets_the_first_of_each_kind() {
    let (server, mut publisher) = stage(&[]);
    let camera = Camera::new(Video::AvcTwice, Audio::AacAndOpus);
    let sent: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.take(120))
        .collect();
    let first_only: Vec<_> = payloads(&sent)
        .into_iter()
        .filter(|payload| matches!(payload[0], 0x17 | 0x27 | 0xAF))
        .collect();
    assert!(first_only.len() * 2 == sent.len());
    let mut listing = Advert::everything();
    listing.caps_ex = Some(5);
    let mut one_track = [player(&server, None, 0), player(&server, Some(listing), 1)];
    let mut all = player(&server, Some(Advert::everything()), 1);
    publisher.pieces(&sent).unwrap();
    for player in &mut one_track {
        assert_eq!(media(player, first_only.len()), first_only);
    }
    assert_eq!(media(&mut all, sent.len()), payloads(&sent));
}

#[test]
fn the_operator_can_give_every_track_to_everybody() {
    let (server, mut publisher) = stage(&["--multitrack", "all"]);
    let camera = Camera::new(Video::AvcTwice, Audio::AacAndOpus);
    let sent: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.take(60))
        .collect();
    let mut silent = player(&server, None, 1);
    publisher.pieces(&sent).unwrap();
    // Opus as track 1 has no plain form, H.264 as track 1 must not be taken for track 0.
    assert_eq!(media(&mut silent, sent.len()), payloads(&sent));
}

#[test]
fn many_tracks_in_one_message_reach_an_old_player_as_its_first() {
    let (server, mut publisher) = stage(&[]);
    let mut old = player(&server, None, 1);
    let both = |first, body: Vec<u8>| video_tracks(first, b"avc1", &[(0, body.clone()), (1, body)]);
    let mut expected = vec![avc_config()];
    publisher.piece(&video(0, both(0x90, avcc()))).unwrap();
    for number in 0..10 {
        let key = number == 0;
        let first = if key { 0x91 } else { 0xA1 };
        let payload = both(first, avc_track_body(number, key, 200));
        publisher.piece(&video(number, payload)).unwrap();
        expected.push(avc_frame(number, key, 200));
    }
    assert_eq!(media(&mut old, 11), expected);
}

#[test]
fn the_modifier_wrapper_is_taken_off_for_players_that_do_not_know_it() {
    let (server, mut publisher) = stage(&[]);
    let bare: Vec<Piece> = (0..30)
        .map(|n| video(n, hevc_frame(n, n == 0, 200)))
        .collect();
    let wrapped: Vec<Piece> = bare
        .iter()
        .map(|piece| Piece {
            payload: with_modifier(&piece.payload),
            ..piece.clone()
        })
        .collect();
    let mut unknowing = Advert::everything();
    unknowing.caps_ex = Some(3);
    let mut without = [
        player(&server, None, 0),
        player(&server, Some(unknowing), 1),
    ];
    let mut with = player(&server, Some(Advert::everything()), 1);
    publisher.piece(&video(0, hevc_config())).unwrap();
    publisher.pieces(&wrapped).unwrap();
    let config = vec![hevc_config()];
    for player in &mut without {
        assert_eq!(
            media(player, 31),
            [config.clone(), payloads(&bare)].concat()
        );
    }
    assert_eq!(media(&mut with, 31), [config, payloads(&wrapped)].concat());
}

#[test]
fn a_codec_that_a_player_did_not_list_is_left_out_and_the_rest_goes_on() {
    let (server, mut publisher) = stage(&[]);
    let advert = Advert {
        four_cc_list: vec!["av01".to_owned(), "vp09".to_owned()],
        ..Advert::default()
    };
    let mut chooser = player(&server, Some(advert), 1);
    let camera = Camera::new(Video::Hevc, Audio::Aac);
    let sent: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.take(100))
        .collect();
    publisher.pieces(&sent).unwrap();
    let sound: Vec<_> = payloads(&sent)
        .into_iter()
        .filter(|p| p[0] == 0xAF)
        .collect();
    assert_eq!(media(&mut chooser, sound.len()), sound);
}

#[test]
fn a_player_that_said_nothing_gets_new_codecs_as_they_are_by_default() {
    let (server, mut publisher) = stage(&[]);
    let camera = Camera::new(Video::Hevc, Audio::Opus);
    let sent: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.take(100))
        .collect();
    let mut silent = [0, 1].map(|worker| player(&server, None, worker));
    publisher.pieces(&sent).unwrap();
    for player in &mut silent {
        assert_eq!(media(player, sent.len()), payloads(&sent));
    }
}

#[test]
fn strictly_a_player_that_said_nothing_gets_only_what_old_players_know() {
    let (server, mut publisher) = stage(&["--enhanced", "strict"]);
    let mut silent = player(&server, None, 1);
    let mut capable = player(&server, Some(Advert::everything()), 1);
    let camera = Camera::new(Video::Av1, Audio::Aac);
    let mut sent: Vec<Piece> = camera
        .configs()
        .into_iter()
        .chain(camera.take(100))
        .collect();
    // H.264 in the new form has an old one: strict players may have it.
    let h264 = |number: u64| enhanced(0x91, b"avc1", &avc_track_body(number, true, 100));
    sent.push(video(4_000, h264(4_000)));
    publisher.pieces(&sent).unwrap();
    let mut old: Vec<_> = payloads(&sent)
        .into_iter()
        .filter(|p| p[0] == 0xAF)
        .collect();
    old.push(avc_frame(4_000, true, 100));
    assert_eq!(media(&mut silent, old.len()), old);
    assert_eq!(media(&mut capable, sent.len()), payloads(&sent));
}

#[test]
fn old_streams_reach_every_player_in_every_mode_untouched() {
    for mode in ["forward", "strict"] {
        let (server, mut publisher) = stage(&["--enhanced", mode]);
        let picky = Advert {
            four_cc_list: vec!["av01".to_owned()],
            ..Advert::default()
        };
        let adverts = [None, Some(picky), Some(Advert::everything())];
        let mut players = adverts.map(|advert| player(&server, advert, 1));
        let camera = Camera::plain();
        let sent: Vec<Piece> = camera
            .configs()
            .into_iter()
            .chain(camera.take(60))
            .collect();
        publisher.pieces(&sent).unwrap();
        for player in &mut players {
            assert_eq!(media(player, sent.len()), payloads(&sent), "{mode}");
        }
    }
}

#[test]
fn codecs_may_change_within_a_stream() {
    let (server, mut publisher) = stage(&[]);
    let mut player = player(&server, None, 1);
    let mut sent = vec![video(0, avc_config())];
    sent.extend((0..10).map(|n| video(n, avc_frame(n, n == 0, 100))));
    sent.push(video(10, hevc_config()));
    sent.extend((10..20).map(|n| video(n, hevc_frame(n, n == 10, 100))));
    sent.push(sound(20, opus_config()));
    sent.extend((20..30).map(|n| sound(n, opus_frame(n))));
    publisher.pieces(&sent).unwrap();
    assert_eq!(media(&mut player, sent.len()), payloads(&sent));
}

#[test]
fn the_server_speaks_of_enhanced_rtmp_to_those_who_do() {
    let server = TestServer::start(&[]);
    let reply = |advert: Option<Advert>| {
        let config = ClientConfig {
            advert,
            ..play_config(server.rtmp, "live/x")
        };
        let mut link = Link::open(&Dial::new(server.rtmp), config).unwrap();
        loop {
            match link.poll(PATIENCE) {
                Ok(Heard::Event(ClientEvent::Connected { caps_ex, .. })) => break caps_ex,
                Ok(Heard::Event(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(reply(None), None);
    assert_eq!(reply(Some(Advert::everything())), Some(7));
}

fn stage(flags: &[&str]) -> (TestServer, Publisher) {
    let server = TestServer::start(flags);
    let publisher = Publisher::on_worker(server.rtmp, "live/cam", |w| w == 0);
    (server, publisher)
}

fn player(server: &TestServer, advert: Option<Advert>, worker: u8) -> Player {
    let config = ClientConfig {
        advert,
        ..play_config(server.rtmp, "live/cam")
    };
    let mut link = link_on(&Dial::new(server.rtmp), &config, |w| w == worker);
    link.until_ready(PATIENCE).unwrap();
    Player {
        link,
        tally: Tally::default(),
    }
}

/// The next `count` audio and video payloads, and proof that there is no other.
fn media(player: &mut Player, count: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while found.len() < count {
        let Some(message) = player.media(PATIENCE) else {
            panic!("{} of {count} came", found.len());
        };
        if matches!(message.kind, Kind::Audio | Kind::Video) {
            found.push(message.payload().to_vec());
        }
    }
    let more = player.media(Duration::from_millis(40));
    assert!(
        more.is_none(),
        "more than {count}: {:?}",
        more.map(|m| m.payload().to_vec())
    );
    found
}

fn payloads(pieces: &[Piece]) -> Vec<Vec<u8>> {
    pieces.iter().map(|piece| piece.payload.clone()).collect()
}

fn video(number: u64, payload: Vec<u8>) -> Piece {
    Piece {
        kind: Kind::Video,
        timestamp: number as u32 * 40,
        payload,
    }
}

fn sound(number: u64, payload: Vec<u8>) -> Piece {
    Piece {
        kind: Kind::Audio,
        ..video(number, payload)
    }
}

fn enhanced_configs() -> Vec<Piece> {
    let config = enhanced(0x90, b"avc1", &avcc());
    vec![video(0, config), sound(0, enhanced(0x90, b"mp4a", &ASC))]
}

/// One picture and one audio frame in the new form.
fn enhanced_avc_and_aac(number: u64) -> [Piece; 2] {
    let (key, first) = (
        number.is_multiple_of(25),
        if number.is_multiple_of(25) {
            0x91
        } else {
            0xA1
        },
    );
    let picture = enhanced(first, b"avc1", &avc_track_body(number, key, 300));
    let frame = enhanced(0x91, b"mp4a", &aac_frame(number)[2..]);
    [video(number, picture), sound(number, frame)]
}

/// The same in the old form.
fn plain_avc_and_aac(number: u64) -> [Vec<u8>; 2] {
    [
        avc_frame(number, number.is_multiple_of(25), 300),
        aac_frame(number),
    ]
}

/// The same packet behind a nanosecond offset of 999,999.
fn with_modifier(payload: &[u8]) -> Vec<u8> {
    let (first, rest) = payload.split_first().unwrap();
    let head = [first & 0xF0 | 7, 2, 0x0F, 0x42, 0x3F, first & 0x0F];
    [&head[..], rest].concat()
}
