//! Corecast: a live-streaming server that serves one stream from every core of the machine.
//!
//! An encoder publishes over RTMP to whichever worker the kernel hands its connection to; players
//! on all workers watch. A worker is one pinned thread with its own event loop, and workers share
//! nothing but letters, a table of names and the counts at the door. A message is encoded once and
//! everybody is served slices of it.
//!
//! # The floors
//!
//! A module uses only modules of floors below its own and of its own folder; `tests/tidy.rs`
//! enforces it.
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 ground | [`ids`], [`time`], [`limits`], [`config`], [`wire`], [`wheel`] | names, bounds |
//! | 1 protocol | [`rtmp`], [`codec`] | RTMP as state machines; what is in a message |
//! | 2 media | [`media`] | [`media::Frame`], timestamps, headers |
//! | 3 live | [`live`] | streams, logs, cursors, the directory, mail |
//! | 4 services | [`mesh`] | mailboxes between workers |
//! | 5 worker | [`worker`] | sockets and the event loop |
//! | 6 boot | [`cli`], [`server`], [`logging`], `main` | flags, start, signals, log lines |
//! | | [`load`] | the load tool, `corecast-load` |
//!
//! Floors 0 to 3 are sans-I/O: bytes, mail and `now` come in; events, bytes and mail go out. No
//! socket, clock, thread or random number is below the worker, so all of it runs in tests at any
//! speed and from a seed.
//!
//! # The life of a frame
//!
//! 1. `worker/mod.rs`, `read`: bytes leave the socket into the worker's one scratch buffer.
//! 2. `rtmp/chunk/reader.rs`: chunks become a [`rtmp::message::Message`]. The payload is copied
//!    once, into a buffer with head room, which it never leaves again.
//! 3. `rtmp/server/`: the session reports `Event::Media`; `worker/rtmp.rs` hands it to
//!    [`live::Live::append`].
//! 4. `live/publication.rs`: the message is classified by [`codec`], its timestamp repaired by
//!    [`media::Timeline`], and [`media::Frame::build`] writes the chunk head into the head room.
//!    From here on it is immutable and shared as `Arc<Frame>`.
//! 5. `live/log.rs`: the owner worker appends it to the stream's log, which is the GOP cache and
//!    the memory bound at once. For every other worker with players it posts one
//!    [`live::Mail::Frame`].
//! 6. `mesh/port.rs`: when the turn has read everything, all mail for one worker leaves as one
//!    letter, and its bell is rung if it sleeps; the owner's own players come after that.
//! 7. `live/mirrors.rs`: the other worker appends the same `Arc<Frame>` to its mirror of the log.
//! 8. `live/cursor.rs`: a player is a place in the log. `worker/conn.rs`, `flush`: once a turn its
//!    cursor gathers slices of all it is owed ([`media::Gather`]) and one `writev` sends them.
//! 9. When the log evicts the frame and no player holds a half-sent piece of it, it is freed.

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

pub mod cli;
pub mod codec;
pub mod config;
pub mod ids;
pub mod limits;
pub mod live;
pub mod load;
pub mod logging;
pub mod media;
pub mod mesh;
pub mod rtmp;
pub mod server;
pub mod time;
pub mod wheel;
pub mod wire;
pub mod worker;
