//! What a client said about itself in terms of Enhanced RTMP.
//!
//! Invariant: at most 64 FourCCs are kept per list; anything of a wrong type, length or range
//! counts as not said. PROTOCOL §6.5 (M-60, M-61).

/// Capabilities of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// It sent any E-RTMP key, so the reply may carry such keys too.
    pub enhanced: bool,
    /// Codecs it takes; `None` = it said nothing about codecs, which means little: new ffmpeg
    /// plays HEVC and advertises nothing (M-63).
    pub fourccs: Option<FourCcSet>,
    /// It understands reconnect requests (`capsEx` bit 1).
    pub reconnect: bool,
    /// It understands multitrack messages (`capsEx` bit 2).
    pub multitrack: bool,
    /// It understands ModEx wrappers (`capsEx` bit 4).
    pub mod_ex: bool,
    /// It understands nanosecond offsets (`capsEx` bit 8).
    pub nano_offset: bool,
}

/// The codecs a client named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FourCcSet {
    any_audio: bool,
    any_video: bool,
    codes: Vec<[u8; 4]>,
}

impl FourCcSet {
    /// Whether the client takes this video codec.
    #[must_use]
    pub fn takes_video(&self, fourcc: [u8; 4]) -> bool {
        self.any_video || self.codes.contains(&fourcc)
    }

    /// Whether the client takes this audio codec.
    #[must_use]
    pub fn takes_audio(&self, fourcc: [u8; 4]) -> bool {
        self.any_audio || self.codes.contains(&fourcc)
    }
}
