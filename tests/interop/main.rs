//! Interop with the real tools: publishers × players, judged by the hash of every packet.
//!
//! Invariant: nothing is skipped in silence. A missing tool fails the run with the way to
//! install it (`tools.rs`); what a player may miss is written in the tables below.
//!
//! Map: `tools` finds the programs, `child` runs them, `clips` makes the programme, `server`
//! starts Corecast and nginx, `publishers` are the rows, `players` the columns, `packets` compares
//! recordings, `matrix` runs one row. Files and `matrix.txt` stay in `target/tmp/interop`.
//! PROTOCOL section 14 (Y-01), INTEROP 4.6.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod child;
mod clips;
mod matrix;
mod matroska;
mod packets;
mod picture;
mod players;
mod publishers;
mod reconnect;
mod recorder;
mod refusals;
mod server;
mod tools;

use clips::Clip;
use matrix::Expect::{AudioOnly, FirstTracks, Frames, Same, Unreadable};
use matrix::{Expect, Row};
use players::Column;
use publishers::Publisher;

#[test]
fn h264_with_b_frames_and_aac_arrives_whole_everywhere() {
    if !tools::ready() {
        return;
    }
    let dir = Row::new("ffmpeg h264+aac", LEGACY).run();
    picture::looks_like_the_source(&dir);
}

#[test]
fn audio_alone_arrives_whole() {
    run(Row {
        clip: Clip::Aac,
        ..Row::new("ffmpeg audio only", AUDIO)
    });
}

#[test]
fn video_alone_arrives_whole() {
    run(Row {
        clip: Clip::H264,
        ..Row::new("ffmpeg video only", LEGACY)
    });
}

#[test]
fn timestamps_cross_2_to_the_24_unharmed() {
    // 16,776 s is 1.2 s before 2^24 ms: the extended timestamp sets in while everybody watches.
    let publisher = Publisher::FfmpegFrom(16_776);
    run(Row {
        publisher,
        ..Row::new("ffmpeg from 16776 s", LEGACY)
    });
}

#[test]
fn timestamps_may_start_beyond_2_to_the_24() {
    let publisher = Publisher::FfmpegFrom(20_000);
    run(Row {
        publisher,
        ..Row::new("ffmpeg from 20000 s", LEGACY)
    });
}

#[test]
fn a_query_behind_the_name_is_not_part_of_it() {
    run(Row {
        query: "?key=secret&user=me",
        play_query: "?token=watch",
        ..Row::new("ffmpeg name?query", LEGACY)
    });
}

#[test]
fn a_path_of_three_levels_is_one_stream_for_every_client() {
    run(Row {
        app: "a/b",
        stream: "c",
        ..Row::new("ffmpeg a/b/c", LEGACY)
    });
}

#[test]
fn the_newest_ffmpeg_speaks_the_old_way_to_all() {
    run(Row {
        publisher: Publisher::FfmpegNew,
        ..Row::new("ffmpeg 9 h264+aac", LEGACY)
    });
}

#[test]
fn gstreamer_rtmp2sink_is_heard_everywhere() {
    run(Row {
        publisher: Publisher::GstRtmp2Sink,
        ..Row::new("gst rtmp2sink", LEGACY)
    });
}

#[test]
fn gstreamer_rtmpsink_is_heard_everywhere() {
    run(Row {
        publisher: Publisher::GstRtmpSink,
        ..Row::new("gst rtmpsink", LEGACY)
    });
}

#[test]
fn nginx_may_push_to_us() {
    // nginx closes its push without a word, which the server takes for an accident: the name is
    // held, and the players stay, as long as the reconnect grace lasts.
    run(Row {
        publisher: Publisher::NginxPush,
        flags: &["--reconnect-grace", "1s"],
        ..Row::new("nginx push", LEGACY)
    });
}

#[test]
fn hevc_and_aac_reach_who_can_read_them() {
    run(Row {
        clip: Clip::HevcAac,
        ..Row::new("ffmpeg 9 hevc+aac", ENHANCED)
    });
}

#[test]
fn av1_and_opus_reach_who_can_read_them() {
    run(Row {
        clip: Clip::Av1Opus,
        ..Row::new("ffmpeg 9 av1+opus", ENHANCED)
    });
}

#[test]
fn vp9_and_flac_reach_who_can_read_them() {
    run(Row {
        clip: Clip::Vp9Flac,
        ..Row::new("ffmpeg 9 vp9+flac", ENHANCED)
    });
}

#[test]
fn vvc_and_ac3_reach_who_can_read_them() {
    run(Row {
        clip: Clip::VvcAc3,
        ..Row::new("ffmpeg 9 vvc+ac3", ENHANCED)
    });
}

#[test]
fn a_strict_server_gives_silent_players_the_audio_alone() {
    let flags = &["--enhanced", "strict"];
    run(Row {
        clip: Clip::HevcAac,
        flags,
        ..Row::new("strict hevc+aac", STRICT)
    });
}

#[test]
fn of_many_tracks_a_silent_player_gets_the_first() {
    run(Row {
        clip: Clip::Multitrack,
        ..Row::new("ffmpeg 9 two+two tracks", TRACK_0)
    });
}

#[test]
fn all_tracks_reach_everybody_when_so_configured() {
    let flags = &["--multitrack", "all"];
    run(Row {
        clip: Clip::Multitrack,
        flags,
        ..Row::new("two+two tracks to all", ALL_TRACKS)
    });
}

fn run(row: Row) {
    if tools::ready() {
        row.run();
    }
}

/// Every player there is, for what every player knows.
const LEGACY: &[(Column, Expect)] = &[
    (Column::Ffmpeg, Same),
    (Column::Ffprobe, Same),
    (Column::Rtmpdump, Same),
    (Column::RtmpdumpSwf, Same),
    (Column::GstRtmp2Src, Same),
    (Column::FfmpegNew, Same),
    (Column::FfmpegNewEnhanced, Same),
    (Column::Mpv, Frames),
    (Column::Vlc, Frames),
    (Column::NginxPull, Same),
    (Column::LateFfmpeg, Same),
    (Column::LateRtmpdump, Same),
];

/// Without a picture there are no frames to count.
const AUDIO: &[(Column, Expect)] = &[
    (Column::Ffmpeg, Same),
    (Column::Ffprobe, Same),
    (Column::Rtmpdump, Same),
    (Column::RtmpdumpSwf, Same),
    (Column::GstRtmp2Src, Same),
    (Column::FfmpegNew, Same),
    (Column::FfmpegNewEnhanced, Same),
    (Column::NginxPull, Same),
    (Column::LateFfmpeg, Same),
    (Column::LateRtmpdump, Same),
];

/// Codecs that only Enhanced RTMP carries, forwarded to all (M-63): the old players break on
/// them (M-64), those that look into nothing record them.
const ENHANCED: &[(Column, Expect)] = &[
    (Column::FfmpegNew, Same),
    (Column::FfmpegNewEnhanced, Same),
    (Column::Rtmpdump, Same),
    (Column::RtmpdumpSwf, Same),
    (Column::GstRtmp2Src, Same),
    (Column::LateRtmpdump, Same),
    (Column::Ffmpeg, Unreadable),
    (Column::Ffprobe, Unreadable),
    (Column::Mpv, Unreadable),
    (Column::Vlc, Unreadable),
    (Column::NginxPullNew, Same),
];

/// Who says nothing about Enhanced RTMP gets no enhanced track.
const STRICT: &[(Column, Expect)] = &[
    (Column::FfmpegNewEnhanced, Same),
    (Column::FfmpegNew, AudioOnly),
    (Column::Ffmpeg, AudioOnly),
    (Column::Ffprobe, AudioOnly),
    (Column::Rtmpdump, AudioOnly),
    (Column::GstRtmp2Src, AudioOnly),
    (Column::NginxPull, AudioOnly),
];

/// The first tracks travel in the old form, so that every player can watch them.
const TRACK_0: &[(Column, Expect)] = &[
    (Column::Ffmpeg, FirstTracks),
    (Column::Ffprobe, FirstTracks),
    (Column::FfmpegNew, FirstTracks),
    (Column::FfmpegNewEnhanced, FirstTracks),
    (Column::Rtmpdump, FirstTracks),
    (Column::RtmpdumpSwf, FirstTracks),
    (Column::GstRtmp2Src, FirstTracks),
    (Column::Mpv, Frames),
    (Column::Vlc, Frames),
    (Column::NginxPull, FirstTracks),
    (Column::LateFfmpeg, FirstTracks),
];

const ALL_TRACKS: &[(Column, Expect)] = &[
    (Column::FfmpegNew, Same),
    (Column::FfmpegNewEnhanced, Same),
    (Column::Rtmpdump, Same),
    (Column::GstRtmp2Src, Same),
    (Column::LateRtmpdump, Same),
    (Column::Ffmpeg, Unreadable),
];
