//! What a client said about itself in terms of Enhanced RTMP.
//!
//! Invariant: at most 64 FourCCs are kept; anything of a wrong type, length or range counts as
//! not said. PROTOCOL §6.5 (M-60, M-61).

use super::amf0::{Object, Value};

/// Capabilities of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// It sent any E-RTMP key, so the reply carries such keys too (M-61).
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

impl Caps {
    /// Reads the keys of connect's command object.
    #[must_use]
    pub fn read(object: &Object<'_>) -> Self {
        let list = object.get("fourCcList").and_then(|list| match list {
            Value::StrictArray(items) => Some(items.as_slice()),
            _ => None,
        });
        let video = object.get("videoFourCcInfoMap").and_then(Value::as_object);
        let audio = object.get("audioFourCcInfoMap").and_then(Value::as_object);
        let caps_ex = object.get("capsEx").and_then(Value::as_number);
        let flags = object.get("capsEx").and_then(Value::as_u32).unwrap_or(0);
        Self {
            enhanced: list.is_some() || video.is_some() || audio.is_some() || caps_ex.is_some(),
            fourccs: FourCcSet::read(list, video, audio),
            reconnect: flags & 1 != 0,
            multitrack: flags & 2 != 0,
            mod_ex: flags & 4 != 0,
            nano_offset: flags & 8 != 0,
        }
    }

    /// What we declare, in the form the reply to connect carries it: any codec is forwarded, and
    /// reconnect, multitrack and ModEx are understood (M-61).
    #[must_use]
    pub fn declare<'a>(object: Object<'a>) -> Object<'a> {
        let any = || Object::new().with("*", CAN_FORWARD);
        object
            .with("videoFourCcInfoMap", any())
            .with("audioFourCcInfoMap", any())
            .with("capsEx", RECONNECT_MULTITRACK_MODEX)
    }
}

/// The codecs a client named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FourCcSet {
    any_audio: bool,
    any_video: bool,
    codes: Vec<[u8; 4]>,
}

impl FourCcSet {
    /// Whether the client takes this video codec. True when it only spoke about audio.
    #[must_use]
    pub fn takes_video(&self, fourcc: [u8; 4]) -> bool {
        self.any_video || self.codes.contains(&fourcc)
    }

    /// Whether the client takes this audio codec. True when it only spoke about video.
    #[must_use]
    pub fn takes_audio(&self, fourcc: [u8; 4]) -> bool {
        self.any_audio || self.codes.contains(&fourcc)
    }

    fn read(
        list: Option<&[Value<'_>]>,
        video: Option<&Object<'_>>,
        audio: Option<&Object<'_>>,
    ) -> Option<Self> {
        if list.is_none() && video.is_none() && audio.is_none() {
            return None;
        }
        let named = list.unwrap_or_default().iter().filter_map(Value::as_bytes);
        let any = named.clone().any(|code| code == b"*");
        let mut set = Self {
            any_audio: any || (list.is_none() && audio.is_none()),
            any_video: any || (list.is_none() && video.is_none()),
            codes: Vec::new(),
        };
        named.for_each(|code| set.add(code));
        set.any_video |= set.add_map(video);
        set.any_audio |= set.add_map(audio);
        Some(set)
    }

    /// Adds the codecs the client decodes or forwards; returns whether that is any.
    fn add_map(&mut self, map: Option<&Object<'_>>) -> bool {
        let mut any = false;
        for (code, flags) in map.into_iter().flat_map(Object::iter) {
            if flags.as_u32().unwrap_or(0) & (CAN_DECODE | CAN_FORWARD) != 0 {
                any |= code == b"*";
                self.add(code);
            }
        }
        any
    }

    fn add(&mut self, code: &[u8]) {
        if let Ok(code) = <[u8; 4]>::try_from(code)
            && self.codes.len() < CODES_MAX
            && !self.codes.contains(&code)
        {
            self.codes.push(code);
        }
    }
}

const CODES_MAX: usize = 64;
const CAN_DECODE: u32 = 1;
const CAN_FORWARD: u32 = 4;
const RECONNECT_MULTITRACK_MODEX: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_said_nothing() {
        let caps = Caps::read(&Object::new().with("app", "live"));
        assert_eq!(caps, Caps::default());
        assert!(!caps.enhanced && caps.fourccs.is_none());
    }

    #[test]
    fn the_keys_haishinkit_sends_are_read() {
        let list = vec![Value::from("hvc1"), Value::from("av01")];
        let caps = Caps::read(
            &Object::new()
                .with("fourCcList", list)
                .with("videoFourCcInfoMap", Object::new().with("hvc1", 3u32))
                .with("audioFourCcInfoMap", Object::new().with("Opus", 2u32))
                .with("capsEx", 0u32),
        );
        let set = caps.fourccs.clone().unwrap();
        assert!(caps.enhanced && !caps.multitrack && !caps.reconnect && !caps.mod_ex);
        assert!(set.takes_video(*b"hvc1") && set.takes_video(*b"av01"));
        assert!(!set.takes_video(*b"vp09"));
        assert!(!set.takes_audio(*b"Opus"), "it can only encode Opus");
    }

    #[test]
    fn a_star_means_any_codec_of_its_side() {
        let all = vec![Value::from("*")];
        let all = Caps::read(&Object::new().with("fourCcList", all));
        let all = all.fourccs.unwrap();
        assert!(all.takes_video(*b"vvc1") && all.takes_audio(*b"fLaC"));

        let map = Object::new().with("*", 4u32);
        let list = vec![Value::from("Opus")];
        let video = Caps::read(
            &Object::new()
                .with("fourCcList", list)
                .with("videoFourCcInfoMap", map),
        );
        let video = video.fourccs.unwrap();
        assert!(video.takes_video(*b"vvc1"));
        assert!(video.takes_audio(*b"Opus") && !video.takes_audio(*b"fLaC"));
    }

    #[test]
    fn who_speaks_about_one_side_only_is_silent_on_the_other() {
        let map = Object::new().with("av01", 1u32);
        let caps = Caps::read(&Object::new().with("videoFourCcInfoMap", map));
        let set = caps.fourccs.unwrap();
        assert!(set.takes_video(*b"av01") && !set.takes_video(*b"hvc1"));
        assert!(set.takes_audio(*b"Opus"));
    }

    #[test]
    fn wrong_types_lengths_and_numbers_count_as_not_said() {
        let odd = vec![
            Value::Null,
            Value::from("hvc"),
            Value::from("hvc12"),
            Value::from(1u32),
        ];
        let caps = Caps::read(
            &Object::new()
                .with("fourCcList", odd)
                .with("videoFourCcInfoMap", "hvc1")
                .with("capsEx", f64::NAN),
        );
        assert!(!caps.fourccs.unwrap().takes_video(*b"hvc1"));
        assert!(!caps.reconnect && !caps.multitrack && !caps.mod_ex);
        for number in [-1.0, 1.5, 1e300] {
            let caps = Caps::read(&Object::new().with("capsEx", number));
            assert!(!caps.reconnect && !caps.multitrack, "{number}");
        }
        let unknown_bits = Caps::read(&Object::new().with("capsEx", 0xFFF7u32));
        assert!(unknown_bits.mod_ex && !unknown_bits.nano_offset);
    }

    #[test]
    fn a_list_is_cut_at_64_codecs() {
        let names: Vec<String> = (0..1_000).map(|i| format!("{i:04}")).collect();
        let list: Vec<Value<'_>> = names.iter().map(|n| Value::from(n.as_str())).collect();
        let caps = Caps::read(&Object::new().with("fourCcList", list));
        let set = caps.fourccs.unwrap();
        assert_eq!(set.codes.len(), CODES_MAX);
        assert!(set.takes_video(*b"0063") && !set.takes_video(*b"0064"));
    }
}
