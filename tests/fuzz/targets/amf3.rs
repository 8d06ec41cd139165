//! AMF3 values as any peer may write them.
//!
//! Input: limits (bit 0), the value.
//!
//! Laws: a value takes at least a byte and no more than there are, keeps to its limits, is the same
//! when it comes wrapped in AMF0, and survives AMF0's encoder.

use corecast::rtmp::amf0::{self, encode};
use corecast::rtmp::amf3::{decode, without_selector};

use super::amf0::{count, limits, survives};
use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let limits = limits(taker.u8());
    let bytes = taker.rest;
    if let Some(values) = without_selector(bytes) {
        assert!(!values.is_empty() && bytes.ends_with(values));
        assert!(bytes.len() - values.len() <= 1);
    }
    let Ok((value, used)) = decode(bytes, &limits) else {
        return;
    };
    assert!(0 < used && used <= bytes.len());
    assert!(count(&value, 1, &limits) <= limits.values_max as usize);
    survives(std::slice::from_ref(&value));

    let mut wrapped = vec![0x11];
    wrapped.extend_from_slice(&bytes[..used]);
    // Wrapped it costs one value more and has a little less memory: that may be too much.
    if let Ok(decoded) = amf0::decode(&wrapped, &limits) {
        let bytes_of = |value| {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            bytes
        };
        let [same] = decoded.values.as_slice() else {
            panic!("one value became {}", decoded.values.len());
        };
        assert!(decoded.complete);
        assert!(bytes_of(same) == bytes_of(&value));
    }
}
