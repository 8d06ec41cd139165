//! Scenarios over one or two workers, and the frames that all tests of this folder use.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::config::{GopCache, OnDuplicate};
use crate::ids::ConnId;
use crate::media::{Frame, Headers, Lane, Traits};
use crate::rtmp::message::{Body, Kind};

/// A frame of the given kind with a payload of its own.
pub(super) fn frame(lane: Lane, join: bool, header: bool, timestamp_ms: u64) -> Arc<Frame> {
    let payload = match (lane, header) {
        (Lane::Video, true) => vec![0x17, 0, 0, 0, 0, 1], // H.264 sequence header
        (Lane::Video, false) if join => vec![0x17, 1, 0, 0, 0, 2], // H.264 key frame
        (Lane::Video, false) => vec![0x27, 1, 0, 0, 0, 3], // H.264 inter frame
        (Lane::Audio, true) => vec![0xAF, 0, 0x12, 0x10], // AAC sequence header
        (Lane::Audio, false) => vec![0xAF, 1, 4],         // AAC frame
        (Lane::Data, _) => vec![2, 0, 1, b'x'],           // AMF0 string
    };
    let tag = match lane {
        Lane::Audio => crate::codec::audio(&payload).ok(),
        Lane::Video => crate::codec::video(&payload).ok(),
        Lane::Data => None,
    };
    let traits = Traits { lane, join, header };
    Arc::new(Frame::build(
        Body::with_payload(&payload),
        traits,
        tag,
        timestamp_ms,
        128,
    ))
}

pub(super) fn key(timestamp_ms: u64) -> Arc<Frame> {
    frame(Lane::Video, true, false, timestamp_ms)
}

pub(super) fn inter(timestamp_ms: u64) -> Arc<Frame> {
    frame(Lane::Video, false, false, timestamp_ms)
}

pub(super) fn sound(timestamp_ms: u64) -> Arc<Frame> {
    frame(Lane::Audio, false, false, timestamp_ms)
}

pub(super) const LIMITS: LogLimits = LogLimits {
    bytes: 1 << 20,
    frames: 100,
    lag_ms: 10_000,
};

/// Pushes frames as a stream does: headers are noted once they are in the log.
pub(super) fn fill(log: &mut Log, headers: &mut Arc<Headers>, frames: &[Arc<Frame>], now: Millis) {
    for frame in frames {
        log.push(Arc::clone(frame), headers, now);
        if frame.traits().header || frame.is_bare() {
            Arc::make_mut(headers).note(frame);
        }
    }
    log.check();
}

/// Two workers whose mail is delivered by hand.
struct Pair {
    workers: [Live; 2],
    mail: Vec<(usize, WorkerId, Mail)>,
    directory: Arc<Directory>,
}

struct Out<'a>(usize, &'a mut Vec<(usize, WorkerId, Mail)>);

impl Post for Out<'_> {
    fn post(&mut self, to: WorkerId, mail: Mail) {
        self.1.push((self.0, to, mail));
    }
}

impl Pair {
    fn new() -> Self {
        let policy = Policy {
            on_duplicate: OnDuplicate::Replace,
            takeover_ms: 5_000,
            streams_max: 10,
        };
        let directory = Arc::new(Directory::new(policy));
        let settings = Settings {
            gop_cache: GopCache::Full,
            log: LIMITS,
            grace_ms: 1_000,
            grace_on_clean_end: false,
            play_wait_ms: 3_000,
            linger_ms: 500,
            merge_ms: 0,
            chunk_size: 128,
        };
        let worker = |id| Live::new(WorkerId(id), settings, Arc::clone(&directory));
        Self {
            workers: [worker(0), worker(1)],
            mail: Vec::new(),
            directory: directory.clone(),
        }
    }

    fn publish(&mut self, at: usize, conn: u32, now: u64) -> (StreamRef, Run) {
        let by = player(at, conn);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut out = Out(at, &mut self.mail);
        self.workers[at]
            .publish(&name(), by, peer, Millis(now), &mut out)
            .unwrap()
    }

    fn send(&mut self, at: usize, (stream, run): (StreamRef, Run), frame: &Frame, now: u64) {
        let kind = frame.traits().lane.kind();
        let timestamp = u32::try_from(frame.timestamp_ms()).unwrap();
        let body = Body::with_payload(frame.payload());
        let message = Message {
            kind,
            timestamp,
            stream_id: 1,
            body,
        };
        let mut out = Out(at, &mut self.mail);
        self.workers[at].append(stream, run, message, Millis(now), &mut out);
    }

    fn end(&mut self, at: usize, (stream, run): (StreamRef, Run), end: End, now: u64) {
        let mut out = Out(at, &mut self.mail);
        self.workers[at].unpublish(stream, run, end, Millis(now), &mut out);
    }

    fn play(&mut self, at: usize, conn: u32, now: u64) -> Joined {
        let mut out = Out(at, &mut self.mail);
        self.workers[at]
            .play(&name(), player(at, conn), Millis(now), &mut out)
            .unwrap()
    }

    fn tick(&mut self, at: usize, now: u64) {
        self.workers[at].tick(Millis(now), &mut Out(at, &mut self.mail));
    }

    /// One whole pass over every stream that is due: who would be written to.
    fn serve(&mut self, at: usize, now: u64) -> Vec<PlayerId> {
        let (mut due, mut players) = (Vec::new(), Vec::new());
        self.workers[at].take_due(Millis(now), &mut due);
        for stream in due {
            self.workers[at].players_after(stream, None, usize::MAX, &mut players);
            self.workers[at].served(stream);
        }
        players
    }

    /// Delivers all mail, and what it leads to.
    fn deliver(&mut self, now: u64) {
        while !self.mail.is_empty() {
            let (from, to, mail) = self.mail.remove(0);
            let sender = WorkerId(u8::try_from(from).unwrap());
            let mut out = Out(to.index(), &mut self.mail);
            self.workers[to.index()].deliver(sender, mail, Millis(now), &mut out);
            self.workers[to.index()].check();
        }
    }

    fn timestamps(&self, at: usize, stream: StreamRef) -> Vec<u64> {
        let log = self.workers[at].stream(stream).unwrap().log();
        let places = log.first().0..log.head().0;
        places
            .filter_map(|seq| log.frame(crate::ids::Seq(seq)))
            .map(|f| f.timestamp_ms())
            .collect()
    }
}

fn name() -> StreamName {
    StreamName::new("live/cam")
}

fn player(at: usize, index: u32) -> PlayerId {
    let worker = WorkerId(u8::try_from(at).unwrap());
    PlayerId {
        conn: ConnId {
            worker,
            index,
            generation: 1,
        },
        stream_id: 1,
    }
}

fn started(effects: &[Effect]) -> Option<StreamRef> {
    effects.iter().find_map(|effect| match effect {
        Effect::Start { stream, .. } => Some(*stream),
        _ => None,
    })
}

#[test]
fn a_player_on_another_worker_gets_the_stream_from_its_newest_key_frame() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    for frame in [key(0), inter(40), key(80), inter(120)] {
        pair.send(0, live, &frame, 0);
    }
    assert!(matches!(pair.play(1, 2, 0), Joined::Waiting(_)));
    pair.deliver(0);
    let stream = started(&pair.workers[1].take_effects()).expect("the player starts");
    pair.send(0, live, &inter(160), 0);
    pair.deliver(0);
    assert_eq!(pair.timestamps(1, stream), [80, 120, 160]);
}

#[test]
fn a_clean_end_tells_players_at_once() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(0), 0);
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    pair.end(0, live, End::Clean, 10);
    assert!(pair.workers[0].stream(stream).unwrap().is_ended());
    assert_eq!(pair.serve(0, 10), [player(0, 2)]);
    pair.workers[0].leave(stream, player(0, 2), Millis(10));
    assert!(pair.workers[0].is_empty() && pair.directory.is_empty());
}

#[test]
fn a_slow_player_keeps_the_log_of_an_ended_stream_no_longer_than_it_may_lag() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    for at in [0, 40, 80] {
        pair.send(0, live, &key(at), 0);
    }
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    pair.end(0, live, End::Clean, 10);
    pair.serve(0, 10);
    pair.tick(0, 10 + LIMITS.lag_ms);
    assert!(pair.workers[0].stream(stream).unwrap().memory_bytes() > 0);
    pair.tick(0, 11 + LIMITS.lag_ms);
    let left = pair.workers[0].stream(stream).unwrap().log();
    assert_eq!((left.memory_bytes(), left.first()), (0, left.head()));
    let told = pair.serve(0, 20_000);
    assert_eq!(told, [player(0, 2)], "it can be told of the end");
}

#[test]
fn players_are_kept_through_the_grace_period() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(5_000), 0);
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    pair.end(0, live, End::Lost, 100);
    pair.tick(0, 1_099);
    assert!(!pair.workers[0].stream(stream).unwrap().is_ended());
    let again = pair.publish(0, 3, 1_099);
    pair.send(0, again, &inter(0), 1_100);
    pair.send(0, again, &key(40), 1_140);
    assert_eq!(again.0, stream);
    let times = pair.timestamps(0, stream);
    assert_eq!(times.len(), 2, "video goes on with a key frame: {times:?}");
    assert!(times[1] > times[0], "the clock goes on: {times:?}");
}

#[test]
fn after_the_grace_period_the_stream_has_ended() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(5_000), 0);
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    pair.end(0, live, End::Lost, 100);
    pair.tick(0, 1_100);
    assert!(pair.workers[0].stream(stream).unwrap().is_ended());
}

#[test]
fn a_publisher_that_was_taken_over_is_not_heard_any_more() {
    let mut pair = Pair::new();
    let first = pair.publish(0, 1, 0);
    pair.send(0, first, &key(1_000), 0);
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    let second = pair.publish(1, 3, 10);
    // Evict and Opened are still under way.
    pair.send(0, first, &inter(9_000), 20);
    pair.send(1, second, &key(0), 20);
    pair.deliver(30);
    let evicted = pair.workers[0].take_effects();
    assert!(
        evicted
            .iter()
            .any(|effect| matches!(effect, Effect::Evict { .. }))
    );
    let times = pair.timestamps(0, stream);
    assert_eq!(times.len(), 2);
    assert!(times[1] > times[0] && times[1] < 9_000, "{times:?}");
}

#[test]
fn an_older_publication_does_not_come_back_to_a_vacant_stream() {
    let mut pair = Pair::new();
    assert!(matches!(pair.play(1, 9, 0), Joined::Waiting(_)));
    let first = pair.publish(0, 1, 0);
    let late: Vec<_> = pair.mail.drain(..).collect();
    let second = pair.publish(1, 2, 10);
    pair.end(1, second, End::Lost, 20);
    pair.mail = late;
    pair.deliver(30);
    let (stream, _) = second;
    let known = pair.workers[1].stream(stream).unwrap().source_run();
    assert_ne!(known, Some(first.1));
}

#[test]
fn frames_shed_on_the_way_leave_a_gap_up_to_the_next_key_frame() {
    let mut pair = Pair::new();
    pair.play(1, 2, 0);
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(0), 0);
    pair.deliver(0);
    let stream = started(&pair.workers[1].take_effects()).expect("the player starts");
    pair.send(0, live, &inter(40), 0);
    pair.mail.clear();
    for frame in [inter(80), sound(90), key(120), inter(160)] {
        pair.send(0, live, &frame, 0);
    }
    pair.deliver(0);
    assert_eq!(pair.timestamps(1, stream), [0, 120, 160]);
}

#[test]
fn a_mirror_is_given_up_when_it_has_lingered_without_a_player() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.play(1, 2, 0);
    pair.deliver(0);
    let stream = started(&pair.workers[1].take_effects()).expect("the player starts");
    pair.workers[1].leave(stream, player(1, 2), Millis(100));
    pair.tick(1, 599);
    assert_eq!(pair.workers[1].len(), 1);
    pair.tick(1, 600);
    pair.deliver(600);
    assert!(pair.workers[1].is_empty());
    pair.send(0, live, &key(0), 700);
    assert!(pair.mail.is_empty(), "nobody is subscribed");
}

#[test]
fn a_player_that_comes_to_a_lingering_mirror_keeps_it() {
    let mut pair = Pair::new();
    pair.publish(0, 1, 0);
    let Joined::Waiting(stream) = pair.play(1, 2, 0) else {
        panic!("the mirror is new")
    };
    pair.workers[1].leave(stream, player(1, 2), Millis(0));
    pair.play(1, 3, 400);
    pair.tick(1, 600);
    pair.deliver(600);
    assert!(started(&pair.workers[1].take_effects()).is_some());
}

#[test]
fn who_waits_too_long_is_told_that_there_is_no_such_stream() {
    let mut pair = Pair::new();
    pair.play(0, 2, 0);
    pair.tick(0, 2_999);
    assert!(pair.workers[0].take_effects().is_empty());
    pair.tick(0, 3_000);
    let effects = pair.workers[0].take_effects();
    assert!(matches!(effects.as_slice(), [Effect::NotFound { .. }]));
    assert!(pair.workers[0].is_empty() && pair.directory.is_empty());
}

#[test]
fn a_stream_that_is_live_elsewhere_is_waited_for_though_the_wait_is_over() {
    let mut pair = Pair::new();
    pair.publish(0, 1, 0);
    pair.play(1, 2, 0);
    pair.tick(1, 3_000);
    assert!(pair.workers[1].take_effects().is_empty(), "a letter away");
    pair.deliver(3_000);
    assert!(started(&pair.workers[1].take_effects()).is_some());
}

#[test]
fn kinds_of_frames_are_what_their_bytes_say() {
    assert_eq!(key(0).traits().lane.kind(), Kind::Video);
    assert!(key(0).tag().unwrap().is_key() && !inter(0).tag().unwrap().is_key());
}

/// Serves a pass in slices of `max`, and lets `meddle` change things behind each slice.
fn pass(
    pair: &mut Pair,
    stream: StreamRef,
    max: usize,
    mut meddle: impl FnMut(&mut Pair, usize),
) -> Vec<PlayerId> {
    let (mut all, mut slices) = (Vec::<PlayerId>::new(), 0);
    loop {
        let mut slice = Vec::new();
        pair.workers[0].players_after(stream, all.last().copied(), max, &mut slice);
        if slice.is_empty() {
            pair.workers[0].served(stream);
            return all;
        }
        assert!(slice.len() <= max);
        all.extend(slice);
        slices += 1;
        meddle(pair, slices);
    }
}

#[test]
fn a_pass_in_slices_reaches_whoever_stays_exactly_once() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(0), 0);
    let mut stream = None;
    for conn in 10..30 {
        let Joined::Now(at, _) = pair.play(0, conn, 0) else {
            panic!("the stream is live")
        };
        stream = Some(at);
    }
    let stream = stream.unwrap();
    let mut due = Vec::new();
    pair.workers[0].take_due(Millis(0), &mut due);
    assert_eq!(due, [stream]);
    let reached = pass(&mut pair, stream, 3, |pair, slices| {
        // One that was served, one that comes next, and one far behind leave.
        let gone = [(1, 11), (2, 16), (3, 28)]
            .into_iter()
            .find(|(n, _)| *n == slices);
        if let Some((_, conn)) = gone {
            pair.workers[0].leave(stream, player(0, conn), Millis(0));
        }
    });
    let expected: Vec<PlayerId> = (10..30)
        .filter(|conn| ![16, 28].contains(conn))
        .map(|conn| player(0, conn))
        .collect();
    assert_eq!(reached, expected);
}

#[test]
fn news_that_come_during_a_pass_are_due_when_it_is_over() {
    let mut pair = Pair::new();
    let live = pair.publish(0, 1, 0);
    pair.send(0, live, &key(0), 0);
    let Joined::Now(stream, _) = pair.play(0, 2, 0) else {
        panic!("the stream is live")
    };
    let mut due = Vec::new();
    pair.workers[0].take_due(Millis(0), &mut due);
    pair.send(0, live, &key(40), 40);
    due.clear();
    pair.workers[0].take_due(Millis(40), &mut due);
    assert!(due.is_empty(), "one pass at a time");
    let again = pair.workers[0].served(stream);
    assert!(again <= Millis(40), "nobody else would ask for it");
    pair.workers[0].take_due(Millis(40), &mut due);
    assert_eq!(due, [stream]);
    assert_eq!(pair.workers[0].served(stream), Millis::NEVER);
    due.clear();
    pair.workers[0].take_due(Millis(40), &mut due);
    assert!(due.is_empty(), "nothing is new");
}
