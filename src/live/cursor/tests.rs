//! A cursor and a log: what one player is given.

use super::*;
use crate::codec;
use crate::config::{Enhanced, Multitrack};
use crate::limits::ReaderLimits;
use crate::live::LogLimits;
use crate::live::tests::{LIMITS, fill, frame, inter, key, sound};
use crate::media::Traits;
use crate::rtmp::caps::Caps;
use crate::rtmp::chunk::ChunkReader;
use crate::rtmp::message::Body;

const NEVER: LagLimits = LagLimits {
    ms: u64::MAX,
    bytes: u64::MAX,
};

/// A stream's log and its only player.
struct Bench {
    log: Log,
    headers: Arc<Headers>,
    taste: Taste,
    reader: ChunkReader,
    /// What has arrived.
    payloads: Vec<Vec<u8>>,
}

impl Bench {
    fn new(limits: LogLimits, frames: &[Arc<Frame>]) -> Self {
        let taste = silent();
        let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
        reader.set_chunk_size(128).unwrap();
        let mut bench = Self {
            log: Log::new(limits),
            headers: Arc::default(),
            taste,
            reader,
            payloads: Vec::new(),
        };
        bench.push(frames);
        bench
    }

    fn push(&mut self, frames: &[Arc<Frame>]) {
        fill(&mut self.log, &mut self.headers, frames, Millis(0));
    }

    /// One flush of at most `budget` bytes: timestamp and first byte of what arrives whole.
    fn flush(&mut self, cursor: &mut Cursor, limits: LagLimits, budget: usize) -> Vec<Seen> {
        let source = Source {
            log: &self.log,
            headers: &self.headers,
            taste: &self.taste,
        };
        let (mut control, mut heads) = (Vec::new(), Vec::new());
        cursor.prepare(source, limits, Millis(0), &mut control);
        let mut gather = Gather::new();
        cursor.gather(source, usize::MAX, &mut heads, &mut gather);
        let slices = gather.slices().iter();
        let mut bytes: Vec<u8> = slices.flat_map(|slice| slice.to_vec()).collect();
        bytes.truncate(budget);
        drop(gather);
        cursor.advance(source, bytes.len());
        control.append(&mut bytes);
        let mut input = control.as_slice();
        let mut seen = Vec::new();
        while let Some(message) = self.reader.read(&mut input).unwrap() {
            seen.push((message.timestamp, message.payload()[..2].to_vec()));
            self.payloads.push(message.payload().to_vec());
        }
        seen
    }

    /// Everything that is owed.
    fn payloads(&mut self, cursor: &mut Cursor) -> Vec<Vec<u8>> {
        self.payloads.clear();
        self.flush_all(cursor);
        self.payloads.clone()
    }

    fn flush_all(&mut self, cursor: &mut Cursor) -> Vec<Seen> {
        self.flush(cursor, NEVER, usize::MAX)
    }
}

type Seen = (u32, Vec<u8>);

fn config() -> Arc<Frame> {
    frame(Lane::Video, false, true, 0)
}

/// An H.264 sequence header of another content than `config`.
fn other_config() -> Arc<Frame> {
    message(Lane::Video, &[0x17, 0, 0, 0, 0, 2])
}

/// What a publisher sends, at time 0.
fn message(lane: Lane, payload: &[u8]) -> Arc<Frame> {
    let tag = match lane {
        Lane::Audio => codec::audio(payload).ok(),
        Lane::Video => codec::video(payload).ok(),
        Lane::Data => None,
    };
    let header = lane.is_header(tag.as_ref(), payload);
    let traits = Traits {
        lane,
        join: false,
        header,
    };
    Arc::new(Frame::build(
        Body::with_payload(payload),
        traits,
        tag,
        0,
        128,
    ))
}

/// The payloads of what a player of that taste gets when it is given everything at once.
fn heard(taste: Taste, sent: &[Arc<Frame>]) -> Vec<Vec<u8>> {
    let mut bench = Bench::new(LIMITS, &[]);
    bench.taste = taste;
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.push(sent);
    bench.payloads(&mut cursor)
}

fn times(seen: &[Seen]) -> Vec<u32> {
    seen.iter().map(|(timestamp, _)| *timestamp).collect()
}

#[test]
fn a_late_joiner_starts_at_the_latest_keyframe() {
    let mut bench = Bench::new(
        LIMITS,
        &[config(), key(40), inter(80), key(120), inter(160)],
    );
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    let seen = bench.flush_all(&mut cursor);
    // The sequence header carries the time of the key frame (K-39).
    assert_eq!(times(&seen), [120, 120, 160]);
    assert_eq!(seen[0].1, [0x17, 0]);
    assert!(cursor.is_drained(&bench.log));
}

#[test]
fn without_a_gop_cache_audio_starts_at_once_and_video_at_the_next_key_frame() {
    let mut bench = Bench::new(LIMITS, &[config(), key(40), inter(80)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Off, 1);
    bench.push(&[inter(120), sound(130), key(160), inter(200)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [130, 130, 160, 200]);
}

#[test]
fn a_still_picture_is_followed_by_the_live_edge() {
    let mut bench = Bench::new(LIMITS, &[config(), key(40), inter(80), inter(120)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Key, 1);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [40, 40]);
    bench.push(&[inter(160), key(200)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [200]);
}

#[test]
fn headers_that_changed_behind_a_still_picture_come_before_the_live_edge() {
    let mut bench = Bench::new(LIMITS, &[config(), key(40), other_config(), inter(80)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Key, 1);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [40, 40]);
    bench.push(&[key(200)]);
    let seen = bench.flush_all(&mut cursor);
    assert_eq!(seen[0], (200, vec![0x17, 0]));
    assert_eq!(times(&seen), [200, 200]);
}

#[test]
fn an_audio_join_point_does_not_let_video_through_in_mid_gop() {
    let join = frame(Lane::Audio, true, false, 80);
    let mut bench = Bench::new(LIMITS, &[key(0), inter(40), join]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.push(&[inter(120), sound(130), key(160)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [80, 130, 160]);
}

#[test]
fn a_slow_player_skips_to_the_newest_key_frame_and_gets_the_headers_that_changed() {
    for (header, wanted) in [
        (config(), vec![120, 160]),
        (other_config(), vec![120, 120, 160]),
    ] {
        let mut bench = Bench::new(LIMITS, &[config(), key(0), inter(40)]);
        let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
        bench.flush_all(&mut cursor);
        bench.push(&[inter(80), header, key(120), inter(160)]);
        let limits = LagLimits { bytes: 50, ..NEVER };
        let seen = bench.flush(&mut cursor, limits, usize::MAX);
        assert_eq!(times(&seen), wanted);
        assert_eq!(
            seen[0].1[1] == 0,
            wanted.len() == 3,
            "the header goes first"
        );
    }
}

#[test]
fn a_player_whose_place_was_evicted_waits_for_the_next_key_frame() {
    let mut bench = Bench::new(
        LogLimits {
            frames: 2,
            ..LIMITS
        },
        &[key(0)],
    );
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.push(&[inter(40), inter(80), inter(120)]);
    assert!(bench.flush_all(&mut cursor).is_empty());
    bench.push(&[inter(160), key(200)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [200]);
}

#[test]
fn a_frame_once_begun_is_finished_although_the_log_has_dropped_it() {
    let mut bench = Bench::new(
        LogLimits {
            frames: 2,
            ..LIMITS
        },
        &[key(0)],
    );
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    assert!(bench.flush(&mut cursor, NEVER, 5).is_empty());
    assert!(cursor.is_mid_frame());
    bench.push(&[inter(40), inter(80), key(120)]);
    let mut seen = bench.flush_all(&mut cursor);
    seen.append(&mut bench.flush_all(&mut cursor));
    assert_eq!(times(&seen), [0, 120]);
}

#[test]
fn headers_due_after_a_pause_wait_for_a_cut_frame_and_for_nothing_else() {
    let mut bench = Bench::new(LIMITS, &[config(), key(0)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    assert_eq!(times(&bench.flush(&mut cursor, NEVER, 5)), [0]);
    bench.push(&[other_config(), key(80)]);
    cursor.rejoin(&bench.log, GopCache::Full);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [0]);
    assert_eq!(bench.flush_all(&mut cursor)[0], (80, vec![0x17, 0]));
}

#[test]
fn video_that_was_switched_off_comes_back_with_a_key_frame() {
    let mut bench = Bench::new(LIMITS, &[key(0)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.flush_all(&mut cursor);
    cursor.receive(None, Some(false));
    bench.push(&[inter(40), sound(50)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [50]);
    cursor.receive(None, Some(true));
    bench.push(&[inter(80), key(120)]);
    assert_eq!(times(&bench.flush_all(&mut cursor)), [120]);
}

#[test]
fn a_header_is_sent_again_when_it_changes_and_when_it_changes_back() {
    let sent = [
        config(),
        config(),
        other_config(),
        other_config(),
        config(),
        key(0),
        config(),
        inter(40),
    ];
    let got = heard(silent(), &sent);
    let wanted = [0, 2, 4, 5, 7].map(|at: usize| sent[at].payload());
    assert_eq!(got, wanted);
}

#[test]
fn a_pause_does_not_repeat_headers_that_did_not_change() {
    let mut bench = Bench::new(LIMITS, &[config(), key(0)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.flush_all(&mut cursor);
    bench.push(&[inter(40), config(), key(80)]);
    cursor.rejoin(&bench.log, GopCache::Full);
    assert_eq!(bench.flush_all(&mut cursor), [(80, vec![0x17, 1])]);
}

#[test]
fn a_header_that_was_begun_is_known_and_is_not_begun_again() {
    let mut bench = Bench::new(LIMITS, &[]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.push(&[config(), config(), key(40)]);
    assert!(bench.flush(&mut cursor, NEVER, 5).is_empty());
    bench.push(&[key(80)]);
    cursor.rejoin(&bench.log, GopCache::Full);
    let mut seen = bench.flush_all(&mut cursor);
    seen.append(&mut bench.flush_all(&mut cursor));
    assert_eq!(seen, [(0, vec![0x17, 0]), (80, vec![0x17, 1])]);
}

#[test]
fn a_player_that_stands_before_a_header_it_is_owed_anyway_gets_it_once() {
    // The place of the skip is a header, and the headers valid there are the same.
    let mut bench = Bench::new(LIMITS, &[config(), sound(0)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Off, 1);
    bench.push(&[config()]);
    assert_eq!(bench.payloads(&mut cursor), [config().payload()]);
    assert!(cursor.is_drained(&bench.log));
}

#[test]
fn a_header_that_the_player_cannot_take_is_not_in_force_there() {
    let refused = Taste::new(&Caps::default(), Enhanced::Strict, Multitrack::Capable);
    let hevc = message(Lane::Video, b"\x90hvc1\x01");
    let sent = [config(), hevc, config(), key(0)];
    let wanted = [sent[0].payload(), sent[3].payload()];
    assert_eq!(heard(refused, &sent), wanted);
    let all = sent.each_ref().map(|frame| frame.payload().to_vec());
    assert_eq!(
        heard(silent(), &sent),
        all,
        "who gets the other one needs the first again"
    );
}

#[test]
fn a_header_in_another_form_of_message_is_the_same_header() {
    let (new, old) = (b"\x90avc1\x01".as_slice(), [0x17, 0, 0, 0, 0, 1].as_slice());
    let sent = [message(Lane::Video, new), message(Lane::Video, old), key(0)];
    assert_eq!(heard(silent(), &sent), [old, sent[2].payload()]);
}

#[test]
fn metadata_is_sent_again_only_when_it_changed() {
    let data = |n| {
        message(
            Lane::Data,
            &[b"\x02\x00\x0aonMetaData\x05".as_slice(), &[n]].concat(),
        )
    };
    let clear = message(Lane::Data, b"\x02\x00\x0f@clearDataFrame");
    let cue = message(Lane::Data, b"\x02\x00\x0aonCuePoint\x05");
    let sent = [
        data(1),
        data(1),
        cue.clone(),
        clear,
        data(1),
        data(2),
        data(1),
        cue,
    ];
    let wanted = [0, 2, 5, 6, 7].map(|at: usize| sent[at].payload());
    assert_eq!(heard(silent(), &sent), wanted);
}

#[test]
fn an_empty_header_says_nothing_to_a_player_that_has_a_full_one() {
    let [empty, full, other] = [b"\x90av01".as_slice(), b"\x90av01\x81", b"\x90vp09\x01"]
        .map(|payload| message(Lane::Video, payload));
    let sent = [&empty, &full, &empty, &full, &other, &empty, &full].map(Arc::clone);
    let wanted = [0, 1, 4, 5, 6].map(|at: usize| sent[at].payload());
    assert_eq!(heard(silent(), &sent), wanted);
}

#[test]
fn each_track_has_headers_of_its_own_and_a_list_is_known_track_by_track() {
    let track = |n, content: u8| {
        message(
            Lane::Video,
            &[b"\x96\x00avc1".as_slice(), &[n, content]].concat(),
        )
    };
    let list = message(
        Lane::Video,
        b"\x96\x10avc1\x00\x00\x00\x01\xAA\x01\x00\x00\x01\xBB",
    );
    let sent = [
        list.clone(),
        track(1, 0xBB),
        track(0, 0xAA),
        track(1, 0xCC),
        list,
    ];
    let wanted = [0, 3, 4].map(|at: usize| sent[at].payload());
    assert_eq!(heard(every_track(), &sent), wanted);
    let many: Vec<_> = (0..12).map(|n| track(n, n)).collect();
    let twice: Vec<_> = many.iter().chain(&many).map(Arc::clone).collect();
    assert_eq!(heard(every_track(), &twice).len(), 12);
}

#[test]
fn a_list_that_passed_is_not_sent_again_as_single_tracks_after_a_skip() {
    let list = message(
        Lane::Video,
        b"\x96\x10avc1\x00\x00\x00\x01\xAA\x01\x00\x00\x01\xBB",
    );
    let mut bench = Bench::new(LIMITS, &[]);
    bench.taste = every_track();
    let mut cursor = Cursor::join(&bench.log, GopCache::Full, 1);
    bench.push(&[list, key(0)]);
    assert_eq!(bench.payloads(&mut cursor).len(), 2);
    bench.push(&[inter(40), key(80)]);
    cursor.rejoin(&bench.log, GopCache::Full);
    assert_eq!(bench.payloads(&mut cursor), [key(80).payload()]);
}

#[test]
fn colours_and_channels_are_sent_again_with_a_setup_that_changed() {
    let color = message(
        Lane::Video,
        b"\xD4hvc1\x02\x00\x09colorInfo\x03\x00\x00\x09",
    );
    let config = |n| message(Lane::Video, &[b"\x90hvc1".as_slice(), &[n]].concat());
    let sent = [
        config(1),
        color.clone(),
        config(1),
        color.clone(),
        config(2),
        color,
    ];
    let wanted = [0, 1, 4, 5].map(|at: usize| sent[at].payload());
    assert_eq!(heard(silent(), &sent), wanted);
}

#[test]
fn sound_that_was_of_a_codec_without_headers_in_between_needs_its_header_again() {
    let aac = message(Lane::Audio, &[0xAF, 0, 0x12, 0x10]);
    let mp3 = message(Lane::Audio, &[0x2F, 9]);
    let bare = |payload| {
        let frame = Arc::try_unwrap(message(Lane::Audio, payload)).unwrap();
        Arc::new(frame.bare())
    };
    let sent = [
        aac.clone(),
        sound(0),
        bare(&[0x2F, 9]),
        mp3.clone(),
        aac.clone(),
    ];
    assert_eq!(heard(silent(), &sent).len(), 5);
    let same = [aac.clone(), bare(&[0xAF, 1, 4]), sound(0), aac.clone()];
    assert_eq!(heard(silent(), &same).len(), 3, "the same codec");
    // Who skips the frame that changed the codec knows from the headers there.
    let mut bench = Bench::new(LIMITS, &[aac.clone(), sound(0)]);
    let mut cursor = Cursor::join(&bench.log, GopCache::Off, 1);
    bench.push(&[sound(20)]);
    assert_eq!(bench.payloads(&mut cursor).len(), 2);
    bench.push(&[bare(&[0x2F, 9])]);
    cursor.rejoin(&bench.log, GopCache::Off);
    bench.push(&[mp3, aac.clone(), sound(40)]);
    assert_eq!(bench.payloads(&mut cursor)[1], aac.payload());
}

fn silent() -> Taste {
    Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::Capable)
}

fn every_track() -> Taste {
    Taste::new(&Caps::default(), Enhanced::Forward, Multitrack::All)
}
