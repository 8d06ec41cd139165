//! The chunk stream: Z-12 to Z-33.

use corecast::rtmp::Error;
use corecast::rtmp::message::{Control, Kind};

use crate::common::bench::{Bench, head, message};

/// Basic header of any id, shortest form.
fn basic(fmt: u8, csid: u32) -> Vec<u8> {
    let top = fmt << 6;
    match csid {
        2..=63 => vec![top | csid as u8],
        64..=319 => vec![top, (csid - 64) as u8],
        _ => [vec![top | 1], ((csid - 64) as u16).to_le_bytes().to_vec()].concat(),
    }
}

#[test]
fn z12_a_chunk_stream_may_begin_with_format_0_or_1_only() {
    for csid in (2..400).chain([1_000, 0xFFFF, 65_598, 65_599]) {
        let empty_audio = [0, 0, 0, 0, 0, 0, 8];
        let cases = [
            (1, &empty_audio[..], true),
            (2, &[0; 3], false),
            (3, &[], false),
        ];
        for (fmt, rest, allowed) in cases {
            let mut bench = Bench::shaken();
            let outcome = bench.feed(&[basic(fmt, csid), rest.to_vec()].concat());
            // DJI cameras begin chunk stream 33 with format 2 (INTEROP 11).
            let allowed = allowed || (fmt, csid) == (2, 33);
            match outcome {
                Ok(()) => assert!(allowed, "format {fmt} on {csid}"),
                Err(Error::FreshChunkStream { csid: found, .. }) => {
                    assert!(!allowed && found == csid, "format {fmt} on {csid}");
                }
                Err(other) => panic!("format {fmt} on {csid}: {other}"),
            }
        }
    }
}

#[test]
fn z13_chunk_streams_are_counted_however_short_their_messages() {
    for (mut bench, max) in [(Bench::connected(1), 8), (Bench::publishing(), 64)] {
        let mut opened = 0;
        let outcome = (3..65_599_u32).try_for_each(|csid| {
            let whole = [basic(0, csid), vec![0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 0xAF]].concat();
            opened += 1;
            bench.feed(&whole)
        });
        assert!(matches!(outcome, Err(Error::ChunkStreams { max: found, .. }) if found == max));
        assert!(opened <= max + 1, "{opened}");
    }
}

#[test]
fn z14_announced_megabytes_on_many_chunk_streams_cost_what_arrived() {
    let mut bench = Bench::publishing();
    let mut outcome = Ok(());
    for csid in 4..20 {
        let begun = [head(csid, 0, 8 << 20, 9, 1), vec![0; 128]].concat();
        outcome = outcome.and_then(|()| bench.feed(&begun));
        assert!(bench.session.partial_bytes() <= 8 * 128);
    }
    assert_eq!(outcome, Err(Error::PartialMessages { max: 8 }));
    // Six messages of 8 MiB, 3 MiB of each: the common budget of 16 MiB ends it.
    let mut bench = Bench::publishing();
    bench
        .message(Kind::SetChunkSize, 0, &(1_u32 << 20).to_be_bytes())
        .unwrap();
    let mebibyte = vec![0; 1 << 20];
    let outcome = (4..10).try_for_each(|csid| {
        bench.feed(&[head(csid, 0, 8 << 20, 9, 1), mebibyte.clone()].concat())?;
        (0..2).try_for_each(|_| bench.feed(&[vec![0xC0 | csid], mebibyte.clone()].concat()))
    });
    let max = 16 << 20;
    assert_eq!(
        outcome,
        Err(Error::PartialBytes {
            found: max + (1 << 20),
            max
        })
    );
}

#[test]
fn z15_a_message_too_long_for_its_time_closes_on_its_header() {
    let limits = [
        ("shaken", 64 << 10),
        ("connected", 64 << 10),
        ("publishing", 8 << 20),
        ("playing", 64 << 10),
    ];
    for ((name, mut bench), (same, max)) in Bench::every_state().into_iter().zip(limits) {
        assert_eq!(name, same);
        let header = head(3, 0, max + 1, 20, 0);
        let outcome = bench.feed(&header);
        let allowed = matches!(outcome, Err(Error::MessageLength { max: m, .. }) if m == max);
        assert!(allowed, "{name}: {outcome:?}");
        assert_eq!(bench.session.partial_bytes(), 0);
    }
    for kind in 1..=6 {
        let mut bench = Bench::connected(1);
        let outcome = bench.feed(&head(2, 0, 65, kind, 0));
        assert!(
            matches!(outcome, Err(Error::MessageLength { max: 64, .. })),
            "type {kind}"
        );
    }
}

#[test]
fn z16_z17_a_message_that_changes_halfway_closes() {
    let begun = [head(4, 0, 300, 9, 1), vec![0; 128]].concat();
    let fmt1 =
        |length: u32, kind: u8| [&[0x44, 0, 0, 0], &length.to_be_bytes()[1..], &[kind]].concat();
    let cases = [
        ("shorter, format 0", head(4, 0, 200, 9, 1)),
        ("longer, format 0", head(4, 0, 3_000, 9, 1)),
        ("another stream, format 0", head(4, 0, 300, 9, 2)),
        ("another type, format 0", head(4, 0, 300, 8, 1)),
        ("shorter, format 1", fmt1(129, 9)),
        ("longer, format 1", fmt1(0xFFFF, 9)),
        ("another type, format 1", fmt1(300, 18)),
        ("empty, format 1", fmt1(0, 9)),
    ];
    for (name, change) in cases {
        let mut bench = Bench::publishing();
        bench.feed(&begun).unwrap();
        let outcome = bench.feed(&[change, vec![0; 500]].concat());
        let csid = 4;
        let (kind, length) = (Kind::Video, 300);
        let changed = Error::MessageChanged { csid, kind, length };
        assert_eq!(outcome, Err(changed), "{name}");
        assert!(bench.told.is_empty(), "{name}: half a message got through");
    }
}

#[test]
fn z18_z19_chunk_sizes_that_spin_or_allocate_are_refused() {
    for size in [0, 1, 2, 127, 0x8000_0000, 0xFFFF_FFFF_u32] {
        let mut bench = Bench::connected(1);
        let outcome = bench.message(Kind::SetChunkSize, 0, &size.to_be_bytes());
        assert_eq!(
            outcome,
            Err(Error::ChunkSize {
                found: size,
                min: 128
            })
        );
    }
    for size in [128, 65_536, 0x00FF_FFFF, 0x0100_0000, 0x7FFF_FFFF_u32] {
        let mut bench = Bench::connected(1);
        bench
            .message(Kind::SetChunkSize, 0, &size.to_be_bytes())
            .unwrap();
        bench.assert_alive();
    }
}

#[test]
fn z20_chunk_sizes_in_turn_without_end_are_a_flood() {
    let mut bench = Bench::publishing();
    let mut count = 0;
    let outcome = (0..1_000_000).try_for_each(|turn| {
        let size: u32 = if turn % 2 == 0 { 65_536 } else { 128 };
        count += 1;
        bench.message(Kind::SetChunkSize, 0, &size.to_be_bytes())
    });
    assert_eq!(outcome, Err(Error::ControlFlood { per_second: 100 }));
    assert!(count <= 201, "{count}");
}

#[test]
fn z21_a_chunk_size_of_less_than_four_bytes_is_dropped() {
    for len in 0..4 {
        let mut bench = Bench::connected(1);
        let before = bench.session.dropped();
        bench.gently(Kind::SetChunkSize, 0, &[0xFF; 3][..len]);
        assert_eq!(bench.session.dropped(), before + 1);
        bench.assert_alive();
    }
}

#[test]
fn z22_extended_timestamps_in_every_mix_end_in_sync_or_closed() {
    let mut random = 0x1234_5678_9ABC_DEF1_u64;
    let mut roll = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut whole, mut closed) = (0, 0);
    for _ in 0..2_000 {
        let mut bench = Bench::publishing();
        let time = [0xFF_FFFF, 0, 0xC606_0606, 0xFFFF_FFFF, 20_000_000][roll(5) as usize];
        let mut bytes = head(6, 0xFF_FFFF, 600, 9, 1);
        bytes.extend(u32::to_be_bytes(time));
        bytes.extend([0xC6; 128]);
        for _ in 0..roll(6) {
            bytes.push(0xC6);
            match roll(3) {
                0 => bytes.extend(time.to_be_bytes()),
                1 => bytes.extend(time.wrapping_add(1).to_be_bytes()),
                _ => {}
            }
            bytes.extend(vec![0xC6; 128]);
        }
        match bench.feed(&bytes) {
            Ok(()) => whole += bench.media().len(),
            Err(_) => closed += 1,
        }
    }
    assert!(whole > 100, "{whole} messages, {closed} closed");
}

#[test]
fn z23_steps_of_all_ones_and_times_at_the_end_wrap() {
    let mut bench = Bench::publishing();
    let mut bytes = head(4, 0xFF_FFFF, 1, 8, 1);
    bytes.extend([0xFF; 4]);
    bytes.push(0xAF);
    for _ in 0..1_000 {
        // Format 2 with a step of 2^32 - 1, then format 3: the same step again.
        bytes.extend([0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xAF]);
        bytes.extend([0xC4, 0xFF, 0xFF, 0xFF, 0xFF, 0xAF]);
    }
    bytes.extend([head(4, 0, 1, 8, 1), vec![0xAF]].concat());
    bench.feed(&bytes).unwrap();
    let times: Vec<u32> = bench.media().iter().map(|m| m.timestamp).collect();
    assert_eq!(times.len(), 2_002);
    assert_eq!(
        (times[0], times[1], times[2]),
        (u32::MAX, u32::MAX - 1, u32::MAX - 2)
    );
    assert_eq!(times[2_001], 0);
}

#[test]
fn z24_empty_messages_of_every_type_are_cheap_and_bounded() {
    for kind in 0..=255 {
        for (name, mut bench) in Bench::every_state() {
            let empty = head(3, 0, 0, kind, 1);
            let outcome = (0..5_000).try_for_each(|_| bench.feed(&empty));
            assert!(
                bench.out.len() < 100 << 10,
                "{name}: {} bytes said",
                bench.out.len()
            );
            match outcome {
                // Media and data are bounded by their bytes, all else by number.
                Ok(()) => assert!(matches!(kind, 8 | 9 | 15 | 18 | 22), "{name}: type {kind}"),
                Err(Error::ControlFlood { .. } | Error::NotConnect) => {}
                Err(other) => panic!("{name}: type {kind}: {other}"),
            }
        }
    }
}

#[test]
fn z25_aborts_of_any_id_leave_the_stream_in_step() {
    for csid in [0, 1, 2, 3, 4, 63, 65_599, 0xFFFF_FFFF_u32] {
        let mut bench = Bench::publishing();
        bench
            .feed(&[head(4, 0, 300, 9, 1), vec![0x27; 128]].concat())
            .unwrap();
        let abort = message(2, Kind::Abort, 0, &csid.to_be_bytes());
        bench.feed(&abort).unwrap();
        if csid == 4 {
            assert_eq!(bench.session.partial_bytes(), 0, "discarded");
            bench
                .feed(&[head(4, 0, 1, 8, 1), vec![0xAF]].concat())
                .unwrap();
        } else {
            bench
                .feed(&[vec![0xC4], vec![0x27; 128], vec![0xC4], vec![0x27; 44]].concat())
                .unwrap();
        }
        assert_eq!(bench.media().len(), 1, "abort of {csid}");
        bench.assert_alive();
    }
}

#[test]
fn z26_no_window_makes_a_storm_of_acknowledgements() {
    for window in [0, 1, 2, 0xFFFF_FFFF_u32] {
        let mut bench = Bench::publishing();
        bench.gently(Kind::WindowAckSize, 0, &window.to_be_bytes());
        bench.forget();
        let video = message(6, Kind::Video, 1, &vec![0x27; 4_000]);
        for _ in 0..1_000 {
            bench.feed(&video).unwrap();
        }
        let acks = bench.said().len();
        assert!(
            acks <= 4_200_000 / 16_384,
            "{acks} for a window of {window}"
        );
        bench.assert_alive();
    }
}

#[test]
fn z27_acknowledgements_and_bandwidths_of_any_value_change_nothing() {
    for value in [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF_u32] {
        for limit in [0, 1, 2, 3, 255] {
            let mut bench = Bench::playing();
            bench.gently(Kind::Ack, 0, &value.to_be_bytes());
            assert!(bench.said().is_empty());
            let bandwidth = [&value.to_be_bytes()[..], &[limit]].concat();
            bench.gently(Kind::SetPeerBandwidth, 0, &bandwidth);
            let said = bench.said();
            assert!(said.len() <= 1, "{said:?}");
            bench.assert_alive();
        }
    }
}

#[test]
fn z28_media_on_an_impossible_message_stream_goes_to_the_only_publish_or_nowhere() {
    for stream_id in [0x0100_0000, 0xFFFF_FFFF] {
        for (name, mut bench) in Bench::every_state() {
            let outcome = bench.message(Kind::Video, stream_id, &[0x27; 10]);
            assert!(outcome.is_ok(), "{name}: {outcome:?}");
            assert_eq!(
                bench.media().len(),
                usize::from(name == "publishing"),
                "{name}"
            );
        }
    }
}

/// One item of an aggregate: type, size, time, back pointer.
fn item(kind: u8, size: u32, payload: &[u8], back: u32) -> Vec<u8> {
    let size = size.to_be_bytes();
    let front = [&[kind], &size[1..], &[0, 0, 5, 0, 0, 0, 0]].concat();
    [front, payload.to_vec(), back.to_be_bytes().to_vec()].concat()
}

#[test]
fn z29_damaged_aggregates_lose_their_rest_and_three_in_a_row_close() {
    let good = item(8, 2, &[0xAF, 1], 13);
    let mut nested = good.clone();
    for _ in 0..1_000 {
        nested = item(22, nested.len() as u32, &nested, 7);
    }
    let cases = [
        (
            "size past the end",
            [good.clone(), item(9, 0xFF_FFFF, &[0x27], 0)].concat(),
            1,
            true,
        ),
        ("a thousand deep", [good.clone(), nested].concat(), 1, true),
        (
            "wrong back pointer",
            [item(8, 1, &[0xAF], 0xFFFF_FFFF), good.clone()].concat(),
            2,
            false,
        ),
        (
            "a tail of one byte",
            [good.clone(), vec![8]].concat(),
            1,
            true,
        ),
        (
            "a control message inside",
            [good, item(1, 4, &[0; 4], 0)].concat(),
            1,
            true,
        ),
        ("nothing", vec![], 0, false),
    ];
    for (name, payload, items, damaged) in cases {
        let mut bench = Bench::publishing();
        bench.gently(Kind::Aggregate, 1, &payload);
        assert_eq!(bench.media().len(), items, "{name}");
        let again = (0..2).try_for_each(|_| bench.message(Kind::Aggregate, 1, &payload));
        assert_eq!(again.is_err(), damaged, "{name}: {again:?}");
    }
}

#[test]
fn z30_an_aggregate_holds_only_so_many_messages() {
    let mut bench = Bench::publishing();
    let payload = item(8, 0, &[], 11).repeat(100_000);
    bench.gently(Kind::Aggregate, 1, &payload);
    assert_eq!(bench.media().len(), 8_192);
    bench.assert_alive();
}

#[test]
fn z31_interleaved_chunks_cost_no_more_the_longer_they_go_on() {
    // Eight messages of 1 MiB in chunks of 128, a chunk each in turn: 65,536 chunks.
    let mut bench = Bench::publishing();
    let mut bytes = Vec::new();
    for chunk in 0..8_192 {
        for csid in 4..12 {
            if chunk == 0 {
                bytes.extend(head(csid, 0, 1 << 20, 9, 1));
            } else {
                bytes.push(0xC0 | csid);
            }
            bytes.extend([0x27; 128]);
        }
    }
    let started = std::time::Instant::now();
    bench.feed(&bytes).unwrap();
    assert_eq!(bench.media().len(), 8);
    let took = started.elapsed();
    assert!(took.as_secs() < 2, "{took:?} for {} bytes", bytes.len());
}

#[test]
fn z32_every_type_with_random_payloads_is_survived_in_every_state() {
    let mut random = 0xDEAD_BEEF_0BAD_CAFE_u64;
    let mut roll = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for kind in 0..=255_u8 {
        for (_, mut bench) in Bench::every_state() {
            for _ in 0..4 {
                let most = [4, 64, 4_097][roll(3) as usize];
                let len = roll(most);
                let mut payload: Vec<u8> = (0..len).map(|_| roll(256) as u8).collect();
                if roll(2) == 0 && payload.len() > 1 {
                    payload[0] = roll(20) as u8; // a marker that means something
                }
                let stream_id = roll(3) as u32;
                if bench
                    .message(Kind::from_wire(kind), stream_id, &payload)
                    .is_err()
                {
                    break;
                }
            }
        }
    }
}

#[test]
fn z33_a_message_of_any_length_up_to_the_limit_arrives_whole() {
    for len in [512_000, 555_725, (8 << 20) - 1, 8 << 20] {
        let mut bench = Bench::publishing();
        let size = Control::SetChunkSize(65_536);
        let mut payload = Vec::new();
        size.write(&mut payload);
        bench.gently(size.kind(), 0, &payload);
        let mut bytes = head(6, 0, len, 9, 1);
        for at in (0..len).step_by(65_536) {
            if at > 0 {
                bytes.push(0xC6);
            }
            bytes.extend(vec![0x27; 65_536.min((len - at) as usize)]);
        }
        bench.feed(&bytes).unwrap();
        assert_eq!(bench.media()[0].payload().len(), len as usize);
    }
}
