//! `ClientConfig`: what a client session is to do and how it introduces itself.
//!
//! Invariant: plain data, fixed before the session starts. PROTOCOL, M-60.

use crate::limits::{AmfLimits, ReaderLimits};
use crate::rtmp::client::Address;

/// Settings of one client session.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Publish, play or neither.
    pub role: Role,
    /// Application, as in the connect command's `app`.
    pub app: String,
    /// The connect command's `tcUrl`.
    pub tc_url: String,
    /// Stream name with its query, as in the publish or play command.
    pub stream: String,
    /// The connect command's `flashVer`.
    pub flash_ver: String,
    /// Our own chunk size in bytes, 1..=0xFF_FFFF; told to the server before connect unless 128.
    pub chunk_size: u32,
    /// Handshake with a signed C1, as Flash and ffmpeg do (H-27).
    pub digest: bool,
    /// Enhanced RTMP keys for connect. Some old servers refuse keys they do not know.
    pub advert: Option<Advert>,
    /// Length of the buffer told to the server after play, in milliseconds.
    pub set_buffer_ms: u32,
    /// Longest wait for each step (handshake, connect, createStream, publish or play), in
    /// milliseconds.
    pub step_ms: u64,
    /// Bounds of the chunk reader once the server may send media; before, and always for a
    /// publisher, `ReaderLimits::STRANGER` holds.
    pub reader: ReaderLimits,
    /// Bounds of the AMF decoder.
    pub amf: AmfLimits,
}

impl ClientConfig {
    /// A publisher of that address, with the defaults of the fields the address does not name.
    #[must_use]
    pub fn publish(address: &Address) -> Self {
        Self::new(Role::Publish, PUBLISHER_AGENT, address)
    }

    /// A player of that address.
    #[must_use]
    pub fn play(address: &Address) -> Self {
        Self::new(Role::Play, PLAYER_AGENT, address)
    }

    /// A connection to that address's application that asks for no stream.
    #[must_use]
    pub fn idle(address: &Address) -> Self {
        Self::new(Role::Idle, PLAYER_AGENT, address)
    }

    fn new(role: Role, flash_ver: &str, address: &Address) -> Self {
        Self {
            role,
            app: address.app.clone(),
            tc_url: address.tc_url(),
            stream: address.stream.clone(),
            flash_ver: flash_ver.to_owned(),
            chunk_size: 60_000,
            digest: false,
            advert: None,
            set_buffer_ms: 3_000,
            step_ms: 10_000,
            reader: ReaderLimits::PUBLISHER,
            amf: AmfLimits::AUTHORISED,
        }
    }
}

/// What the session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends media.
    Publish,
    /// Receives media.
    Play,
    /// Asks for nothing once connect was accepted: for measuring what a connection costs.
    Idle,
}

/// What a client says about Enhanced RTMP (M-60). An empty list and empty maps are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advert {
    /// `fourCcList`: codecs as four characters, or `*` for any.
    pub four_cc_list: Vec<String>,
    /// `videoFourCcInfoMap`: codec or `*` to flags (1 decode, 2 encode, 4 forward).
    pub video: Vec<(String, u8)>,
    /// `audioFourCcInfoMap`, likewise.
    pub audio: Vec<(String, u8)>,
    /// `capsEx`: 1 reconnect, 2 multitrack, 4 ModEx, 8 nanosecond offsets.
    pub caps_ex: Option<u8>,
}

impl Advert {
    /// A player or relay that takes whatever comes: any codec, several tracks, ModEx, reconnect.
    #[must_use]
    pub fn everything() -> Self {
        let any = || vec![("*".to_owned(), 7)];
        Self {
            four_cc_list: vec!["*".to_owned()],
            video: any(),
            audio: any(),
            caps_ex: Some(7),
        }
    }
}

const PUBLISHER_AGENT: &str = "FMLE/3.0 (compatible; Corecast)";
const PLAYER_AGENT: &str = "LNX 10,0,32,18";
