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
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::media::{Lane, Traits};
    use crate::rtmp::message::Body;

    fn video(payload: &[u8]) -> Frame {
        let tag = codec::video(payload).unwrap();
        let traits = Traits {
            lane: Lane::Video,
            join: false,
            header: false,
        };
        Frame::build(Body::with_payload(payload), traits, Some(tag), 0, 128)
    }

    fn given<'a>(taste: &Taste, frame: &'a Frame) -> Option<&'a [u8]> {
        taste.choose(frame).map(Frame::payload)
    }

    fn silent(enhanced: Enhanced, multitrack: Multitrack) -> Taste {
        Taste::new(&Caps::default(), enhanced, multitrack)
    }

    const LEGACY: &[u8] = &[0x27, 1, 0, 0, 0, 9];
    /// FourCC form of the same: inter frame, coded frames, composition offset 0.
    const AVC1: &[u8] = b"\xA1avc1\x00\x00\x00\x09";
    const HVC1: &[u8] = b"\xA3hvc1\x09";
    /// Track 1 alone: inter frame, multitrack, one track, coded frames X.
    const SECOND: &[u8] = b"\xA6\x03avc1\x01\x09";
    /// Tracks 0 and 1 in one message.
    const LIST: &[u8] = b"\xA6\x13avc1\x00\x00\x00\x01\x09\x01\x00\x00\x01\x08";

    #[test]
    fn a_legacy_frame_passes_every_player_untouched() {
        let nothing = Caps {
            fourccs: Some(FourCcSet::default()),
            ..Caps::default()
        };
        let nothing = Taste::new(&nothing, Enhanced::Strict, Multitrack::Capable);
        for taste in [nothing, silent(Enhanced::Strict, Multitrack::Capable)] {
            assert_eq!(given(&taste, &video(LEGACY)), Some(LEGACY));
        }
    }

    #[test]
    fn enhanced_h264_reaches_a_silent_player_in_the_legacy_form() {
        for enhanced in [Enhanced::Forward, Enhanced::Strict] {
            let taste = silent(enhanced, Multitrack::Capable);
            assert_eq!(given(&taste, &video(AVC1)), Some(LEGACY));
        }
    }

    #[test]
    fn hevc_reaches_a_silent_player_unless_the_operator_is_strict() {
        let forward = silent(Enhanced::Forward, Multitrack::Capable);
        assert_eq!(given(&forward, &video(HVC1)), Some(HVC1));
        let strict = silent(Enhanced::Strict, Multitrack::Capable);
        assert_eq!(given(&strict, &video(HVC1)), None);
    }

    #[test]
    fn a_player_that_named_other_codecs_does_not_get_this_one() {
        let caps = Caps {
            fourccs: Some(FourCcSet::default()),
            ..Caps::default()
        };
        let taste = Taste::new(&caps, Enhanced::Forward, Multitrack::Capable);
        assert_eq!(given(&taste, &video(HVC1)), None);
        assert_eq!(given(&taste, &video(AVC1)), Some(LEGACY));
    }

    #[test]
    fn further_tracks_go_only_to_players_that_take_them() {
        let one = silent(Enhanced::Forward, Multitrack::Capable);
        assert_eq!(given(&one, &video(SECOND)), None);
        assert_eq!(
            given(&one, &video(LIST)),
            Some(LEGACY),
            "the first track of the list"
        );
        let all = silent(Enhanced::Forward, Multitrack::All);
        assert_eq!(given(&all, &video(SECOND)), Some(SECOND));
        assert_eq!(given(&all, &video(LIST)), Some(LIST));
    }
}
