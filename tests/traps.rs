//! The traps that cost other servers most (PROTOCOL list T), each with a test that falls into it.
//!
//! Invariant: every row names a test that exists, every trap but 16 has a row and every test of
//! this crate has one; `table` checks it. Trap 16, the flags of an FLV header, is not met by a
//! server that writes no FLV.
//!
//! | trap | test |
//! |---|---|
//! | 1 | tests/traps/wire.rs::t01_a_plain_s1_has_zero_version_bytes |
//! | 1 | src/rtmp/handshake/server.rs::a_plain_s1_has_zero_version_bytes |
//! | 2 | tests/traps/wire.rs::t02_every_chunk_past_4_h_39_min_repeats_the_timestamp |
//! | 2 | src/rtmp/chunk/writer.rs::an_extended_timestamp_is_in_every_chunk |
//! | 2 | tests/traps/wire.rs::t02_an_encoder_may_leave_the_repeated_timestamp_out |
//! | 2 | src/rtmp/chunk/reader/tests.rs::an_extended_timestamp_is_repeated_or_left_out |
//! | 3 | tests/traps/wire.rs::t03_an_extended_value_of_format_1_or_2_is_a_step_that_wraps |
//! | 3 | src/rtmp/chunk/reader/tests.rs::an_extended_delta_is_added |
//! | 3 | src/rtmp/chunk/reader/tests.rs::a_delta_wraps_past_2_to_the_32 |
//! | 4 | tests/traps/media.rs::t04_a_skip_cuts_no_message_and_says_no_abort |
//! | 4 | src/rtmp/server/tests/clients.rs::t4_no_session_ever_hears_an_abort_or_half_a_message |
//! | 5 | tests/traps/wire.rs::t05_our_chunk_size_is_large_early_and_taken_back_from_ffmpeg |
//! | 6 | tests/traps/wire.rs::t06_start_comes_on_the_streams_own_message_stream |
//! | 6 | tests/traps/wire.rs::t06_connect_succeeds_with_a_code_in_its_info |
//! | 7 | tests/traps/sockets.rs::t07_after_a_refusal_the_socket_closes_and_late_bytes_do_no_harm |
//! | 7 | tests/traps/wire.rs::t07_bad_name_is_followed_by_rejected_which_obs_understands |
//! | 7 | src/rtmp/server/tests/traps.rs::t7_a_refused_connect_says_why_and_closes |
//! | 8 | tests/traps/wire.rs::t08_the_end_is_unpublish_notify_and_stream_eof |
//! | 9 | tests/traps/wire.rs::t09_every_split_of_a_url_and_its_query_means_one_stream |
//! | 9 | src/rtmp/url.rs::t9_the_same_url_gives_the_same_name_however_the_client_cuts_it |
//! | 10 | tests/traps/media.rs::t10_what_only_looks_like_a_key_frame_is_no_place_to_join |
//! | 10 | src/codec/golden_tests.rs::b_01_legacy_video |
//! | 10 | src/codec/golden_tests.rs::b_03_color_info_whatever_the_frame_type |
//! | 11 | tests/traps/media.rs::t11_an_empty_av1_sequence_start_never_replaces_a_real_one |
//! | 12 | tests/traps/wire.rs::t12_gst_deletes_by_name_with_transaction_0_and_hears_nothing |
//! | 12 | tests/traps/wire.rs::t12_gst_plays_from_minus_2 |
//! | 12 | tests/traps/media.rs::t12_the_metadata_spam_of_gst_is_passed_once |
//! | 12 | src/rtmp/server/tests/traps.rs::t12_metadata_as_often_as_gst_sends_it_is_no_flood |
//! | 13 | tests/traps/wire.rs::t13_publish_false_ends_the_publish |
//! | 14 | tests/traps/wire.rs::t14_no_data_start_is_sent |
//! | 15 | tests/traps/media.rs::t15_an_old_player_gets_enhanced_h264_in_the_old_form |
//! | 15 | tests/traps/media.rs::t15_a_silent_player_gets_enhanced_hevc_unless_strict |
//! | 15 | tests/traps/media.rs::t15_a_player_that_lists_codecs_gets_those_alone |
//! | 15 | tests/traps/media.rs::t15_further_tracks_reach_capable_players_alone |
//! | 17 | tests/traps/wire.rs::t17_limits_come_before_allocation |
//! | 17 | tests/traps/wire.rs::t17_memory_follows_what_arrived_and_not_what_was_announced |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod common;

#[path = "traps/media.rs"]
mod media;
#[path = "traps/sockets.rs"]
mod sockets;
#[path = "traps/table.rs"]
mod table;
#[path = "traps/wire.rs"]
mod wire;
