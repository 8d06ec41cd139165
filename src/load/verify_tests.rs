//! Every fault a player can meet is told, once, and nothing else is.

use super::fault::{Fault, Media};
use super::verify::Verifier;
use crate::load::film::{Beat, Film, Reel};
use crate::load::flv::Tag;
use crate::load::made::{Made, Recipe, Shape};
use crate::load::mark::Mark;
use crate::load::tape::Tape;
use crate::rtmp::message::{Body, Kind, Message};
use std::sync::Arc;

fn made() -> Arc<Film> {
    Arc::new(Film::Made(Made::new(Recipe {
        shape: Shape::H264,
        bitrate: 500_000,
        fps: 25,
        gop: 10,
        audio: true,
    })))
}

/// Twenty pictures, key frames at 0 and 10, with two kinds of sound between them.
fn tape() -> Arc<Film> {
    let tag = |kind, timestamp, payload: Vec<u8>| Tag {
        kind,
        timestamp,
        payload,
    };
    let mut tags = vec![
        tag(Kind::Video, 0, vec![0x17, 0, 0, 0, 0, 1]),
        tag(Kind::Audio, 0, vec![0xAF, 0, 0x11, 0x90]),
    ];
    for n in 0..20_u8 {
        let first = if n % 10 == 0 { 0x17 } else { 0x27 };
        let at = u32::from(n) * 40;
        tags.push(tag(Kind::Video, at, vec![first, 1, 0, 0, 0, n]));
        tags.push(tag(Kind::Audio, at + 5, vec![0xAF, 1, n / 10]));
    }
    Arc::new(Film::File(Tape::new(tags).unwrap()))
}

/// Headers and the first `count` messages, as a player would get them.
fn shown(film: &Film, count: usize) -> Vec<Message> {
    let message = |kind, timestamp, payload: &[u8]| Message {
        kind,
        timestamp,
        stream_id: 1,
        body: Body::with_payload(payload),
    };
    let mut all: Vec<Message> = film
        .headers()
        .iter()
        .map(|(kind, payload)| message(*kind, 0, payload))
        .collect();
    let mut reel = Reel::default();
    for _ in 0..count {
        let beat: Beat = film.next(&mut reel);
        let mut payload = Vec::new();
        film.write(&beat, 0, 1_000_000 + beat.at_us, &mut payload);
        all.push(message(beat.kind, beat.timestamp_ms(), &payload));
    }
    all
}

/// What a player of these messages complains about.
fn faults(film: &Arc<Film>, messages: &[Message]) -> Vec<Fault> {
    let mut verifier = Verifier::new(Some(Arc::clone(film)), 0);
    for message in messages {
        verifier.take(message, 1_000);
    }
    verifier.settle();
    verifier.take_faults()
}

fn films() -> [Arc<Film>; 2] {
    [made(), tape()]
}

/// Place of the `nth` video message behind the headers, counted from 0.
fn picture(messages: &[Message], nth: usize) -> usize {
    let videos = messages
        .iter()
        .enumerate()
        .filter(|(_, m)| m.kind == Kind::Video);
    videos.map(|(place, _)| place).nth(nth + 1).unwrap()
}

#[test]
fn a_whole_film_has_no_fault_even_over_the_seam_of_a_tape() {
    for film in films() {
        let all = shown(&film, 90);
        assert_eq!(faults(&film, &all), []);
        let mut verifier = Verifier::new(Some(Arc::clone(&film)), 0);
        let mut sent = Reel::default();
        for _ in 0..90 {
            film.next(&mut sent);
        }
        assert!(!verifier.has_headers());
        let numbers: Vec<Option<u64>> = all
            .iter()
            .filter_map(|m| verifier.take(m, 1))
            .map(|seen| seen.number)
            .collect();
        assert!(verifier.has_headers());
        assert!(numbers.into_iter().eq((0..90).map(Some)));
        verifier.finish(&sent);
        assert_eq!(verifier.take_faults(), []);
    }
}

#[test]
fn a_player_that_joins_at_a_later_key_frame_has_no_fault() {
    for film in films() {
        let mut all = shown(&film, 90);
        let key = picture(&all, 10);
        all.drain(2..key);
        assert_eq!(faults(&film, &all), []);
    }
}

#[test]
fn a_dropped_frame_is_one_gap() {
    for film in films() {
        let mut all = shown(&film, 60);
        let place = picture(&all, 5);
        all.remove(place);
        let found = faults(&film, &all);
        assert!(
            matches!(
                found[..],
                [Fault::Gap {
                    media: Media::Video,
                    missing: 1,
                    ..
                }]
            ),
            "{found:?}"
        );
    }
}

#[test]
fn a_repeated_frame_is_told() {
    for film in films() {
        let mut all = shown(&film, 60);
        let place = picture(&all, 5);
        all.insert(place, all[place].clone());
        let found = faults(&film, &all);
        assert!(
            matches!(
                found[..],
                [Fault::Repeat {
                    media: Media::Video,
                    ..
                }]
            ),
            "{found:?}"
        );
    }
}

#[test]
fn a_changed_byte_is_told_wherever_it_is() {
    for film in films() {
        let all = shown(&film, 60);
        let place = picture(&all, 5);
        let len = all[place].payload().len();
        for at in [1, len / 2, len - 1] {
            let mut all = all.clone();
            let mut payload = all[place].payload().to_vec();
            // A high bit, so that it becomes no other message of the tape.
            payload[at] ^= 0x40;
            all[place].body = Body::with_payload(&payload);
            let found = faults(&film, &all);
            // Byte 1 tells a header from a frame: such a message is no frame at all.
            assert_eq!(found.len(), 1, "byte {at}: {found:?}");
        }
    }
}

#[test]
fn a_missing_header_is_told_for_each_kind() {
    for film in films() {
        for (place, media) in [(0, Media::Video), (1, Media::Audio)] {
            let mut all = shown(&film, 60);
            all.remove(place);
            assert_eq!(faults(&film, &all), [Fault::MissingHeader(media)]);
        }
    }
}

#[test]
fn a_changed_header_is_told() {
    for film in films() {
        let mut all = shown(&film, 10);
        let payload = [all[0].payload(), &[0]].concat();
        all[0].body = Body::with_payload(&payload);
        assert_eq!(faults(&film, &all), [Fault::HeaderChanged(Media::Video)]);
    }
}

#[test]
fn a_late_start_is_told() {
    for film in films() {
        let mut all = shown(&film, 60);
        let place = picture(&all, 3);
        all.drain(2..place);
        assert_eq!(faults(&film, &all), [Fault::LateStart]);
    }
}

#[test]
fn a_timestamp_that_falls_is_told_but_one_that_wraps_is_not() {
    for film in films() {
        let mut all = shown(&film, 60);
        for message in &mut all {
            message.timestamp = message.timestamp.wrapping_sub(500);
        }
        assert_eq!(faults(&film, &all), []);
        let place = picture(&all, 5);
        all[place].timestamp = all[place].timestamp.wrapping_sub(100);
        let found = faults(&film, &all);
        assert!(matches!(found[..], [Fault::TimeFell { .. }]), "{found:?}");
    }
}

/// Place of the first sound behind the `nth` video message.
fn sound(messages: &[Message], nth: usize) -> usize {
    let from = picture(messages, nth);
    let behind = messages[from..].iter();
    from + behind.take_while(|m| m.kind != Kind::Audio).count()
}

#[test]
fn a_message_that_comes_late_is_told_once_whether_its_own_kind_or_the_other_passed_it() {
    for film in films() {
        let all = shown(&film, 60);
        let late = picture(&all, 5);
        for behind in [sound(&all, 5), picture(&all, 6)] {
            let mut all = all.clone();
            let message = all.remove(late);
            all.insert(behind, message);
            let found = faults(&film, &all);
            assert!(
                matches!(
                    found[..],
                    [Fault::OutOfOrder {
                        media: Media::Video,
                        ..
                    }]
                ),
                "{found:?}"
            );
        }
    }
}

#[test]
fn sounds_that_are_all_alike_are_told_apart_by_their_time() {
    for film in films() {
        let all = shown(&film, 60);
        let place = sound(&all, 4);
        let mut dropped = all.clone();
        dropped.remove(place);
        let found = faults(&film, &dropped);
        let media = Media::Audio;
        assert!(
            matches!(found[..], [Fault::Gap { media: m, missing: 1, .. }] if m == media),
            "{found:?}"
        );
        let mut repeated = all.clone();
        repeated.insert(place, all[place].clone());
        let found = faults(&film, &repeated);
        assert!(
            matches!(found[..], [Fault::Repeat { media: m, .. }] if m == media),
            "{found:?}"
        );
    }
}

#[test]
fn the_first_sound_behind_the_first_key_frame_is_owed_and_those_before_it_are_not() {
    for film in films() {
        let all = shown(&film, 90);
        let key = picture(&all, 10);
        let mut early = all.clone();
        early.drain(2..key - 1);
        assert_eq!(early[2].kind, Kind::Audio);
        assert_eq!(faults(&film, &early), []);
        let mut late = all.clone();
        late.remove(sound(&all, 10));
        late.drain(2..key);
        let found = faults(&film, &late);
        assert!(
            matches!(
                found[..],
                [Fault::Gap {
                    media: Media::Audio,
                    missing: 1,
                    ..
                }]
            ),
            "{found:?}"
        );
    }
}

#[test]
fn so_many_holes_are_told_at_once_and_the_rest_at_the_end() {
    let film = made();
    let mut odd = false;
    let mut all = shown(&film, 200);
    all.retain(|message| {
        odd ^= message.kind == Kind::Video;
        odd || message.kind != Kind::Video
    });
    let mut verifier = Verifier::new(Some(Arc::clone(&film)), 0);
    for message in &all {
        verifier.take(message, 1_000);
    }
    let early = verifier.take_faults().len();
    assert!(early > 10, "{early}");
    verifier.settle();
    assert_eq!(verifier.take_faults().len(), 16);
}

#[test]
fn a_changed_first_message_of_a_kind_hides_nothing_else() {
    for film in films() {
        let mut all = shown(&film, 60);
        let place = picture(&all, 0);
        let mut payload = all[place].payload().to_vec();
        payload[5..].fill(0xEE);
        all[place].body = Body::with_payload(&payload);
        let media = Media::Video;
        let (number, at) = (None, 0);
        let changed = Fault::Changed { media, number, at };
        assert_eq!(faults(&film, &all), [changed]);
        assert!(changed.to_string().starts_with("video: a message differs"));
    }
}

#[test]
fn a_missing_end_and_a_missing_kind_are_told_at_the_end() {
    for film in films() {
        let mut sent = Reel::default();
        for _ in 0..60 {
            film.next(&mut sent);
        }
        let mut all = shown(&film, 60);
        all.retain(|message| message.kind == Kind::Video);
        all.truncate(20);
        let mut verifier = Verifier::new(Some(Arc::clone(&film)), 0);
        for message in &all {
            verifier.take(message, 1);
        }
        verifier.finish(&sent);
        let missing = sent.videos - 19;
        let media = Media::Video;
        let told = [
            Fault::Behind { media, missing },
            Fault::Nothing(Media::Audio),
        ];
        assert_eq!(verifier.take_faults(), told);
    }
}

#[test]
fn a_message_of_another_stream_is_told() {
    let film = made();
    let mut all = shown(&film, 20);
    let (Film::Made(made), place) = (&*film, picture(&all, 4)) else {
        unreachable!()
    };
    let mut payload = Vec::new();
    let mark = Mark {
        stream: 9,
        number: 4,
        own: 4,
        sent_us: 7,
    };
    made.write(Kind::Video, &mark, &mut payload);
    all.insert(
        place,
        Message {
            body: Body::with_payload(&payload),
            ..all[place].clone()
        },
    );
    let media = Media::Video;
    assert_eq!(
        faults(&film, &all),
        [Fault::WrongStream { media, found: 9 }]
    );
}

#[test]
fn a_strangers_stream_is_judged_by_its_marks_and_its_form() {
    let film = made();
    let mut all = shown(&film, 60);
    let place = picture(&all, 5);
    all.remove(place);
    let mut verifier = Verifier::new(None, 77);
    for message in &all {
        verifier.take(message, 0);
    }
    verifier.settle();
    let found = verifier.take_faults();
    assert!(
        matches!(found[..], [Fault::Gap { missing: 1, .. }]),
        "{found:?}"
    );
}
