//! Deadlines, floods, acknowledgements and unread answers.

use super::*;

/// The session's next deadline must be `at`; a millisecond before nothing happens.
fn expire(bench: &mut Bench, at: u64) -> Result<(), Error> {
    assert_eq!(bench.session.next_timeout(), Millis(at));
    bench.session.timeout(Millis(at - 1)).unwrap();
    assert!(bench.session.out().is_empty());
    let outcome = bench.session.timeout(Millis(at));
    assert_eq!(bench.session.is_closing(), outcome.is_err());
    outcome
}

#[test]
fn the_handshake_deadline_is_absolute() {
    let mut bench = Bench::new(); // accepted at 1,000
    for byte in [3, 0, 0, 0] {
        bench.now = bench.now + 1_000;
        bench.feed(&[byte]).unwrap();
    }
    assert_eq!(
        expire(&mut bench, 6_000),
        Err(Error::Timeout(Stage::Handshake))
    );
    assert_eq!(bench.session.next_timeout(), Millis::NEVER);
}

#[test]
fn connect_must_follow_the_handshake_in_10_s_and_a_role_the_accept_in_15_s() {
    let mut bench = Bench::new();
    bench.now = Millis(3_000);
    bench.feed(&Client::new().bytes).unwrap();
    bench.forget();
    assert_eq!(
        expire(&mut bench, 13_000),
        Err(Error::Timeout(Stage::Connect))
    );

    let mut bench = Bench::connected(1);
    for second in 2..15 {
        bench.now = Millis(second * 1_000);
        bench.call(0, "_checkbw", 0.0, &[]).unwrap(); // renews nothing
    }
    assert_eq!(expire(&mut bench, 16_000), Err(Error::Timeout(Stage::Role)));
}

#[test]
fn while_the_host_thinks_the_peer_is_not_late() {
    for name in ["publish", "play"] {
        let mut bench = Bench::connected(1);
        bench.hold = true;
        bench.call(1, name, 0.0, &["cam".into()]).unwrap();
        bench.forget();
        assert_eq!(expire(&mut bench, 31_000), Ok(())); // the ping
        bench.forget();
        bench.now = Millis(31_001);
        bench.call(1, "closeStream", 0.0, &[]).unwrap();
        assert_eq!(
            expire(&mut bench, 16_000),
            Err(Error::Timeout(Stage::Role)),
            "no longer asked"
        );
    }
}

#[test]
fn a_publisher_must_send_media_and_only_media_counts() {
    let mut bench = Bench::publishing(); // accepted at 1,000
    bench.now = Millis(15_000);
    let metadata = payload(&["onMetaData".into(), Object::new().into()]);
    bench.message(Kind::DataAmf0, 1, &metadata).unwrap();
    bench
        .message(Kind::UserControl, 0, &[0, 3, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    assert_eq!(
        expire(&mut bench, 16_000),
        Err(Error::Timeout(Stage::FirstMedia))
    );

    let mut bench = Bench::publishing();
    bench.now = Millis(15_000);
    bench.message(Kind::Audio, 1, &[0xAF, 1]).unwrap();
    bench.now = Millis(24_000);
    bench.message(Kind::DataAmf0, 1, &metadata).unwrap();
    assert_eq!(
        expire(&mut bench, 25_000),
        Err(Error::Timeout(Stage::MediaIdle))
    );
}

#[test]
fn a_silent_player_is_pinged_and_any_byte_renews() {
    let mut bench = Bench::playing();
    assert_eq!(expire(&mut bench, 31_000), Ok(()));
    assert_eq!(bench.said(), ["User(PingRequest(31000))"]);
    bench.now = Millis(45_000);
    bench.feed(&[0x03]).unwrap(); // the first byte of anything
    assert_eq!(expire(&mut bench, 75_000), Ok(()));
    bench.forget();
    bench.session.sent(Millis(80_000)); // the ping's own bytes prove nothing
    assert_eq!(expire(&mut bench, 90_000), Err(Error::Timeout(Stage::Pong)));
}

#[test]
fn a_player_that_takes_media_is_not_pinged() {
    let mut bench = Bench::playing();
    bench.session.sent(Millis(30_000));
    assert_eq!(expire(&mut bench, 60_000), Ok(()));
}

#[test]
fn after_its_role_ended_a_peer_may_take_another_for_a_minute() {
    let mut bench = Bench::publishing();
    bench.now = Millis(2_000);
    bench.call(1, "closeStream", 0.0, &[]).unwrap();
    bench.forget();
    bench.now = Millis(32_000);
    bench.feed(&[]).unwrap();
    assert_eq!(expire(&mut bench, 32_000), Ok(()));
    bench.forget();
    bench.now = Millis(40_000);
    bench.call(0, "_checkbw", 0.0, &[]).unwrap();
    assert_eq!(expire(&mut bench, 62_000), Err(Error::Timeout(Stage::Role)));
}

#[test]
fn a_late_timeout_is_as_good_as_a_punctual_one() {
    let mut bench = Bench::playing();
    bench.session.timeout(Millis(u64::MAX - 1)).unwrap();
    assert_eq!(bench.said().len(), 1);
    assert_eq!(
        bench.session.timeout(Millis(u64::MAX - 1)),
        Ok(()),
        "there is no later time than never"
    );
}

#[test]
fn a_flood_of_pings_closes_and_a_hundred_a_second_do_not() {
    let mut bench = Bench::playing();
    bench.now = Millis(10_000);
    let ping = [0, 6, 0, 0, 0, 1];
    for _ in 0..1_000 {
        bench.now = bench.now + 10;
        bench.message(Kind::UserControl, 0, &ping).unwrap();
    }
    let flood = (0..300).try_for_each(|_| bench.message(Kind::UserControl, 0, &ping));
    assert_eq!(flood, Err(Error::ControlFlood { per_second: 100 }));
    assert!(bench.session.is_closing());
}

#[test]
fn chunk_sizes_and_empty_messages_without_end_close_too() {
    for (kind, payload) in [
        (Kind::SetChunkSize, &[0, 0, 16, 0][..]),
        (Kind::WindowAckSize, &[]),
        (Kind::SharedObjectAmf0, &[]),
        (Kind::Other(99), &[]),
        (Kind::CommandAmf0, &[]),
    ] {
        let mut bench = Bench::connected(0);
        let flood = (0..1_000).try_for_each(|_| bench.message(kind, 0, payload));
        assert!(matches!(flood, Err(Error::ControlFlood { .. })), "{kind:?}");
    }
}

#[test]
fn acknowledgements_as_often_as_rtmpdump_sends_them_are_no_flood() {
    let mut bench = Bench::playing();
    for _ in 0..500 {
        bench.message(Kind::Ack, 0, &[1, 2, 3, 4]).unwrap();
    }
    assert!(bench.said().is_empty());
}

#[test]
fn answers_nobody_reads_are_bounded() {
    let limits = SessionLimits {
        control_per_second: 1_000_000,
        ..SessionLimits::DEFAULT
    };
    let mut bench = Bench::playing();
    bench.session.config.limits = limits;
    bench.session.budget = Budget::new(1_000_000, bench.now);
    let mut ping = vec![0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    ping = ping.repeat(100_000);
    let mut input = &ping[..];
    let outcome = bench.session.recv(&mut input, bench.now);
    assert!(
        matches!(outcome, Err(Error::Unread { max: 65_536, .. })),
        "{outcome:?}"
    );
    assert!(bench.session.out().len() < 66_000);
}

#[test]
fn received_bytes_are_acknowledged_each_half_window() {
    let mut bench = Bench::publishing();
    bench
        .message(Kind::WindowAckSize, 0, &[0, 1, 0, 0])
        .unwrap();
    bench.forget();
    for _ in 0..100 {
        bench.message(Kind::Video, 1, &[0x27; 1_000]).unwrap();
    }
    let said = bench.said();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("Ack(32768"), "{said:?}");
}

#[test]
fn errors_end_everything_but_what_was_said() {
    let mut bench = Bench::connected(0);
    let error = bench.message(Kind::SetChunkSize, 0, &[0, 0, 0, 0]);
    assert!(matches!(error, Err(Error::ChunkSize { .. })));
    assert!(bench.session.is_closing());
    bench.call(0, "createStream", 5.0, &[]).unwrap();
    assert!(bench.said().is_empty() && bench.told().is_empty());
}

#[test]
fn a_message_longer_than_the_window_is_acknowledged_alike_in_any_split() {
    let mut bytes = Vec::new();
    let head = Head {
        csid: 6,
        timestamp: 0,
        kind: Kind::Video,
        stream_id: 1,
    };
    crate::rtmp::chunk::write_message(&mut bytes, &head, &[0x27; 300_000], 128);
    let acks = |piece: usize| {
        let mut bench = Bench::publishing();
        bench
            .message(Kind::WindowAckSize, 0, &[0, 1, 0, 0])
            .unwrap();
        bench.forget();
        bytes
            .chunks(piece)
            .for_each(|piece| bench.feed(piece).unwrap());
        bench.said()
    };
    let whole = acks(usize::MAX);
    assert_eq!(whole.len(), 9, "{whole:?}");
    assert_eq!(acks(1_000), whole);
}

#[test]
fn a_publisher_of_more_than_its_bitrate_is_told_so_and_ended() {
    let mut bench = Bench::publishing();
    let limits = SessionLimits {
        media_mbit_per_second: 8,
        ..SessionLimits::DEFAULT
    };
    bench.session.media_budget = MediaBudget::new(&limits, bench.now);
    let frame = vec![0x27; 40_000];
    for _ in 0..60 * 25 {
        bench.now = bench.now + 40; // 8 Mbit/s for a minute
        bench.message(Kind::Video, 1, &frame).unwrap();
        bench.forget();
    }
    bench.now = bench.now + 2_000;
    let burst = (1..1_000).find(|_| bench.message(Kind::Video, 1, &frame).is_err());
    assert_eq!(burst, Some(2_000_000 / 40_000 + 1));
    assert!(bench.session.is_closing());
    let said = heard(&mut bench);
    assert!(said.contains("NetStream.Publish.Rejected"), "{said}");
    assert!(said.contains("the 8 Mbit/s allowed here"), "{said}");
}

#[test]
fn a_publisher_may_catch_up_ten_seconds_of_messages_and_no_more() {
    let mut bench = Bench::publishing();
    let flood = (1..20_000).find(|_| bench.message(Kind::Audio, 1, &[0xAF, 1]).is_err());
    assert_eq!(flood, Some(10_001));
    let said = heard(&mut bench);
    assert!(said.contains("1000 messages a second"), "{said}");

    let mut bench = Bench::publishing();
    for _ in 0..30_000 {
        bench.now = bench.now + 1; // 1,000 a second for half a minute
        bench.message(Kind::Audio, 1, &[0xAF, 1]).unwrap();
    }
}

#[test]
fn the_parts_of_an_aggregate_count_as_messages() {
    let mut bench = Bench::publishing();
    let part = [8, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xAF, 1, 0, 0, 0, 13];
    let aggregate = part.repeat(1_000);
    let flood = (1..100).find(|_| bench.message(Kind::Aggregate, 1, &aggregate).is_err());
    assert_eq!(flood, Some(10));
    assert!(heard(&mut bench).contains("1000 messages a second"));
}

#[test]
fn a_frame_longer_than_allowed_is_named_to_the_encoder_and_to_nobody_else() {
    let header = [4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
    let mut bench = Bench::publishing();
    let outcome = bench.feed(&header);
    assert!(
        matches!(
            outcome,
            Err(Error::MessageLength {
                found: 0xFF_FFFF,
                max: 0x80_0000,
                ..
            })
        ),
        "{outcome:?}"
    );
    let said = heard(&mut bench);
    assert!(
        said.contains("16777215 bytes, 8388608 are allowed"),
        "{said}"
    );

    let mut stranger = Bench::connected(1);
    assert!(stranger.feed(&header).is_err());
    assert!(heard(&mut stranger).is_empty());
}

/// The bytes said since the last look, for the words in them.
fn heard(bench: &mut Bench) -> String {
    bench.out.append(bench.session.out());
    String::from_utf8_lossy(&std::mem::take(&mut bench.out)).into_owned()
}
