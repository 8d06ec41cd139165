//! What a player that knows less than the publisher is sent: headers rewritten, media untouched.
//!
//! Invariant: a rewrite changes headers only; the codec bytes of track 0 arrive as they came.
//! Whether a player that announced nothing gets enhanced codecs at all is the caller's policy
//! (M-63, `Codec::has_legacy_form`); this file says in which form.
//!
//! PROTOCOL M-56, M-65, M-66.

use super::enhanced::{self, Head, Header, RawTrack};
use super::{Codec, Part, Tag};

/// What becomes of a message for a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Send the payload as it is.
    Same,
    /// Send these bytes instead.
    Rewritten(Vec<u8>),
    /// Send nothing: the player cannot use it.
    Nothing,
}

/// The message for a player that announced nothing: track 0 only, without ModEx, and H.264, AAC
/// and MP3 as legacy tags. Other codecs have no legacy form (M-65) and stay enhanced, unwrapped:
/// ffmpeg since 6.1 plays them without having said so (M-63).
#[must_use]
pub fn plain(tag: &Tag, payload: &[u8]) -> Plain {
    if !tag.enhanced {
        return Plain::Same;
    }
    let Ok(Head::Tracks(mut header)) = enhanced::head(tag.media, payload) else {
        return Plain::Nothing;
    };
    while let Ok(Some(raw)) = header.next_track() {
        if raw.track != 0 {
            continue;
        }
        return if header.codec(&raw).has_legacy_form() {
            legacy(&header, &raw).map_or(Plain::Nothing, Plain::Rewritten)
        } else if header.is_wrapped() {
            Plain::Rewritten(header.single(&raw))
        } else {
            Plain::Same
        };
    }
    Plain::Nothing
}

/// The message for a player that takes everything but ModEx: the wrappers are removed, all
/// tracks stay (M-66).
#[must_use]
pub fn without_mod_ex(tag: &Tag, payload: &[u8]) -> Plain {
    if !tag.mod_ex {
        return Plain::Same;
    }
    let Some((packet, at)) = enhanced::unwrap_mod_ex(payload) else {
        return Plain::Nothing;
    };
    match (payload.first(), payload.get(at..)) {
        (Some(first), Some(rest)) => Plain::Rewritten(join(&[first & 0xF0 | packet], rest)),
        _ => Plain::Nothing,
    }
}

/// The legacy tag for a track that has one. End of sequence is always flagged key, as legacy
/// encoders do (M-05); the end of an AAC track and everything without a legacy meaning is `None`.
fn legacy(header: &Header<'_>, raw: &RawTrack<'_>) -> Option<Vec<u8>> {
    let track = header.open(raw).ok()?;
    let out = match (track.codec, header.part(raw)) {
        (Codec::Avc, Part::Config) => join(&[KEY_AVC, 0, 0, 0, 0], track.body),
        (Codec::Avc, Part::Frame { .. }) => {
            // The offset came from 24 bits, so its upper byte is sign only.
            let [_, high, middle, low] = track.cts_ms.to_be_bytes();
            join(
                &[header.frame_type() << 4 | AVC, 1, high, middle, low],
                track.body,
            )
        }
        (Codec::Avc, Part::End) => vec![KEY_AVC, 2, 0, 0, 0],
        (Codec::Aac, Part::Config) => join(&[AAC, 0], track.body),
        (Codec::Aac, Part::Frame { .. }) => join(&[AAC, 1], track.body),
        (Codec::Mp3, Part::Frame { .. }) => join(&[MP3], track.body),
        _ => return None,
    };
    Some(out)
}

fn join(head: &[u8], body: &[u8]) -> Vec<u8> {
    [head, body].concat()
}

/// Codec id of H.264.
const AVC: u8 = 7;
/// Frame type key, codec H.264.
const KEY_AVC: u8 = 0x17;
/// AAC; rate, size and stereo bits are fixed, truth is in the AudioSpecificConfig (M-01).
const AAC: u8 = 0xAF;
/// MP3, 44 kHz, 16 bits, stereo; decoders believe the frame header instead.
const MP3: u8 = 0x2F;
