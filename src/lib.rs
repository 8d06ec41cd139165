//! Corecast: a live-streaming server that serves one stream from every core of the machine.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

pub mod codec;
pub mod ids;
pub mod limits;
pub mod live;
pub mod logging;
pub mod media;
pub mod mesh;
pub mod rtmp;
pub mod time;
pub mod wheel;
pub mod wire;
pub mod config;
pub mod cli;
pub mod server;
pub mod worker;
