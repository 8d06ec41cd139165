//! `Fault`: what a player that reads everything can find wrong with what it got.
//!
//! Invariant: numbers are those among the messages of one kind, as the publisher counts them from
//! 0.

use std::fmt;

use thiserror::Error;

/// What a player did not get as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A frame before its sequence header.
    #[error("{0} without its header")]
    MissingHeader(Media),
    /// The first picture cannot be decoded alone.
    #[error("the first picture is no key frame")]
    LateStart,
    /// Messages that never came.
    #[error("{media}: {missing} messages missing before number {number}")]
    Gap {
        /// Kind of message.
        media: Media,
        /// How many.
        missing: u64,
        /// Number of the message that came instead.
        number: u64,
    },
    /// A message that had come before.
    #[error("{media}: number {number} came again")]
    Repeat {
        /// Kind of message.
        media: Media,
        /// Its number.
        number: u64,
    },
    /// A message that came behind one that was sent after it, of whichever kind.
    #[error("{media}: number {number} came behind what was sent after it")]
    OutOfOrder {
        /// Kind of message.
        media: Media,
        /// Its number.
        number: u64,
    },
    /// A message that is not what was sent.
    #[error("{media}: {} differs from what was sent, at byte {at}", Named(*.number))]
    Changed {
        /// Kind of message.
        media: Media,
        /// Its number, or the one that was due; `None` when neither is known.
        number: Option<u64>,
        /// First byte that differs; 0 when nothing about it is right.
        at: usize,
    },
    /// A header that is not what was sent.
    #[error("the {0} header differs from what was sent")]
    HeaderChanged(Media),
    /// A message of another stream.
    #[error("{media}: a message of stream {found}")]
    WrongStream {
        /// Kind of message.
        media: Media,
        /// Stream it was sent on.
        found: u32,
    },
    /// A timestamp below the one before.
    #[error("{media}: the timestamp fell from {before} to {after} ms")]
    TimeFell {
        /// Kind of message.
        media: Media,
        /// Timestamp of the message before.
        before: u32,
        /// Its own.
        after: u32,
    },
    /// The end is missing.
    #[error("{media}: the last {missing} messages never came")]
    Behind {
        /// Kind of message.
        media: Media,
        /// How many.
        missing: u64,
    },
    /// Not one message of a kind came.
    #[error("{0}: nothing came")]
    Nothing(Media),
}

impl Fault {
    /// How many messages it is about.
    #[must_use]
    pub fn messages(&self) -> u64 {
        match self {
            Self::Gap { missing, .. } | Self::Behind { missing, .. } => *missing,
            _ => 1,
        }
    }

    /// Whether the bytes of the connection are not those that others should have got.
    #[must_use]
    pub fn changes_bytes(&self) -> bool {
        match self {
            Self::MissingHeader(_)
            | Self::LateStart
            | Self::HeaderChanged(_)
            | Self::TimeFell { .. } => false,
            Self::Gap { .. }
            | Self::Repeat { .. }
            | Self::OutOfOrder { .. }
            | Self::Changed { .. }
            | Self::WrongStream { .. }
            | Self::Behind { .. }
            | Self::Nothing(_) => true,
        }
    }
}

/// Audio or video, for messages to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
        })
    }
}

/// A message by its number, if it has one.
struct Named(Option<u64>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "number {number}"),
            None => f.write_str("a message"),
        }
    }
}
