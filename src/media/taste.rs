//! `Taste`: which frames a player can take, and in which form.
//!
//! Invariant: a legacy frame (no FourCC, no multitrack, no ModEx) passes every player untouched;
//! the choice is made per frame from its classification alone, so every player of one taste sees
//! the same bytes (PROTOCOL M-56, M-63 to M-66).

use crate::codec::{Media, Tag};
use crate::config::{Enhanced, Multitrack};
use crate::media::Frame;
use crate::rtmp::caps::{Caps, FourCcSet};

/// What a player said it can take, combined with what the operator decided for silent ones.
#[derive(Clone, Debug)]
pub struct Taste {
    /// Codecs the player listed; `None` when it said nothing about E-RTMP.
    fourccs: Option<FourCcSet>,
    /// Enhanced codecs go to players that said nothing (`--enhanced forward`, M-63).
    silent_takes_enhanced: bool,
    multitrack: bool,
    mod_ex: bool,
}

impl Taste {
    /// From the player's connect command and the operator's settings.
    #[must_use]
    pub fn new(caps: &Caps, enhanced: Enhanced, multitrack: Multitrack) -> Self {
        Self {
            fourccs: caps.fourccs.clone(),
            silent_takes_enhanced: enhanced == Enhanced::Forward,
            multitrack: caps.multitrack || multitrack == Multitrack::All,
            mod_ex: caps.mod_ex,
        }
    }

    /// The form of `frame` this player gets: itself, its plain twin, or nothing.
    #[must_use]
    pub fn choose<'a>(&self, frame: &'a Frame) -> Option<&'a Frame> {
        let Some(tag) = frame.tag() else {
            return (!frame.is_clear()).then_some(frame);
        };
        if is_legacy(tag) {
            return Some(frame);
        }
        let whole = (self.multitrack || !tag.multitrack)
            && (self.mod_ex || !tag.mod_ex)
            && self.takes_codec(tag);
        // The twin of a list of tracks is its first track alone: whoever takes lists gets the list.
        if whole && (self.fourccs.is_some() || tag.many_tracks) {
            return Some(frame);
        }
        // A silent player gets the legacy twin where one exists: every player can take that.
        match frame.plain() {
            Some(plain) if plain.tag().is_some_and(is_legacy) => Some(plain),
            _ if whole => Some(frame),
            Some(plain) if plain.tag().is_some_and(|t| self.takes_plain(t)) => Some(plain),
            _ => None,
        }
    }

    fn takes_plain(&self, tag: &Tag) -> bool {
        !tag.multitrack && !tag.mod_ex && self.takes_codec(tag)
    }

    fn takes_codec(&self, tag: &Tag) -> bool {
        if !tag.codec.is_known() {
            // Silence, commands and what is reserved name no codec to compare.
            return true;
        }
        match &self.fourccs {
            Some(set) => tag.codec.fourcc().is_none_or(|fourcc| match tag.media {
                Media::Audio => set.takes_audio(fourcc),
                Media::Video => set.takes_video(fourcc),
            }),
            None => self.silent_takes_enhanced,
        }
    }
}

fn is_legacy(tag: &Tag) -> bool {
    !(tag.enhanced || tag.multitrack || tag.mod_ex)
}
