//! How the mesh weighs the mail of streams, and the port as the place where it is left.

use crate::ids::{StreamRef, WorkerId};
use crate::live::{Mail, Post};
use crate::mesh::{Port, Weigh};

impl Weigh for Mail {
    /// Frames are media, headers among them: a join point brings the headers along that a mirror
    /// may have missed, so shedding one costs nothing. A snapshot is what starts a mirror: control.
    fn media_bytes(&self) -> usize {
        match self {
            Self::Frame { frame, .. } => frame.memory_bytes().max(1),
            _ => 0,
        }
    }

    fn stream_key(&self) -> u64 {
        let key = |to: &StreamRef| u64::from(to.index) << 32 | u64::from(to.epoch);
        match self {
            Self::Frame { to, .. }
            | Self::Closed { to, .. }
            | Self::Subscribe { to, .. }
            | Self::Unsubscribe { to, .. } => key(to),
            Self::Opened(opened) => key(&opened.to),
            Self::Evict { .. } | Self::Drain { .. } | Self::Cut => u64::MAX,
        }
    }

    fn is_key(&self) -> bool {
        matches!(self, Self::Frame { frame, .. } if frame.traits().join)
    }

    fn ends_lag(&self) -> bool {
        matches!(self, Self::Opened(_) | Self::Closed { .. })
    }
}

impl Post for Port<Mail> {
    fn post(&mut self, to: WorkerId, mail: Mail) {
        Self::post(self, to, mail);
    }
}
