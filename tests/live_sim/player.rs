//! `Player`: a simulated player: its place on a worker, its egress, its far end.
//!
//! Invariant: the egress does what the worker's does: control bytes go ahead of media except in the
//! middle of a frame.

use corecast::config::{Enhanced, Multitrack};
use corecast::ids::{PlayerId, StreamRef};
use corecast::live::{Cursor, LagLimits, Live, Source};
use corecast::media::{Gather, Taste};
use corecast::rtmp::caps::{Caps, FourCcSet};
use corecast::time::Millis;

use super::encoder::Style;
use super::viewer::Viewer;

/// See the module head.
#[derive(Debug)]
pub struct Player {
    pub id: PlayerId,
    /// Index of its stream's name.
    pub name: usize,
    pub stream: StreamRef,
    /// `None` while it waits for the stream.
    pub cursor: Option<Cursor>,
    pub taste: Taste,
    pub takes: Takes,
    pub control: Vec<u8>,
    pub viewer: Viewer,
    pub ready: bool,
    pub paused: bool,
    pub audio: bool,
    pub video: bool,
}

/// The four kinds of player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Said nothing, gets enhanced codecs.
    Forward,
    /// Said nothing, gets legacy codecs only.
    Strict,
    /// Everything, further tracks too.
    All,
    /// Named its codecs: none of ours.
    Named,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    pub bytes: usize,
    pub lost: u64,
    /// The stream has ended and everything was sent.
    pub over: bool,
}

impl Takes {
    pub fn taste(self) -> Taste {
        let mut caps = Caps::default();
        let (mut enhanced, mut multitrack) = (Enhanced::Forward, Multitrack::Capable);
        match self {
            Self::Forward => {}
            Self::Strict => enhanced = Enhanced::Strict,
            Self::All => {
                (caps.multitrack, caps.mod_ex) = (true, true);
                multitrack = Multitrack::All;
            }
            Self::Named => caps.fourccs = Some(FourCcSet::default()),
        }
        Taste::new(&caps, enhanced, multitrack)
    }

    /// Whether the leading video track of an encoder reaches this player.
    pub fn video_of(self, style: Style) -> bool {
        match style {
            Style::AudioOnly => false,
            Style::Hvc1 => matches!(self, Self::Forward | Self::All),
            Style::Legacy | Style::Mp3 | Style::Avc1 | Style::Multitrack => true,
        }
    }
}

impl Player {
    /// Writes at most `budget` bytes, as a worker does when the socket can take more.
    pub fn flush(
        &mut self,
        live: &Live,
        limits: LagLimits,
        now: Millis,
        mut budget: usize,
    ) -> Flushed {
        let mut flushed = Flushed {
            bytes: 0,
            lost: 0,
            over: false,
        };
        let Some(cursor) = &mut self.cursor else {
            self.ready = false;
            return flushed;
        };
        let stream = live.stream(self.stream).expect("a player's stream stays");
        let source = Source {
            log: stream.log(),
            headers: stream.headers(),
            taste: &self.taste,
        };
        loop {
            let cut = cursor.is_mid_frame();
            if !cut && !self.paused {
                let lost = cursor.prepare(source, limits, now, &mut self.control);
                if lost > 0 {
                    self.viewer.restart(false);
                    flushed.lost += lost;
                }
            }
            let mut heads = Vec::new();
            let mut gather = Gather::new();
            let waiting = self.control.len();
            let ahead = if cut { 0 } else { waiting };
            assert!(ahead == 0 || gather.push(&self.control));
            if cut && (self.paused || waiting > 0) {
                cursor.gather(source, 1, &mut heads, &mut gather);
            } else if !self.paused {
                cursor.gather(source, usize::MAX, &mut heads, &mut gather);
            }
            let owed = gather.bytes();
            let mut left = owed.min(budget);
            budget -= left;
            flushed.bytes += left;
            let written = left;
            for slice in gather.slices() {
                let taken = slice.len().min(left);
                self.viewer.read(&slice[..taken]);
                left -= taken;
            }
            let from_control = written.min(ahead);
            drop(gather);
            self.control.drain(..from_control);
            cursor.advance(source, written - from_control);
            if written < owed {
                return flushed;
            }
            if owed == 0 {
                self.ready = false;
                let end = stream.is_ended() && self.control.is_empty();
                flushed.over = end && (self.paused || cursor.is_drained(stream.log()));
                return flushed;
            }
        }
    }
}
