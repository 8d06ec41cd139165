//! AMF0 values as any peer may write them.
//!
//! Input: limits (bit 0), the values.
//!
//! Laws: what was decoded keeps to its limits, comes from the input's own bytes, and survives
//! being encoded and decoded again; damage and the missing end are told apart.

use corecast::limits::AmfLimits;
use corecast::rtmp::amf0::{AmfError, Object, Value, decode, encode, first_string};

use super::taker::Taker;

pub fn run(input: &[u8]) {
    let mut taker = Taker::new(input);
    let limits = limits(taker.u8());
    let bytes = taker.rest;
    let decoded = match decode(bytes, &limits) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(error.is_limit(), "damage is not an error: {error}");
            return;
        }
    };
    assert!(decoded.error.is_none_or(|error| !error.is_limit()));
    assert!(!decoded.complete || decoded.error.is_none());
    let values: usize = decoded
        .values
        .iter()
        .map(|value| count(value, 1, &limits))
        .sum();
    assert!(values <= limits.values_max as usize);
    if let (Some(Value::String(name)), Some((first, used))) =
        (decoded.values.first(), first_string(bytes))
    {
        assert_eq!(*name, first);
        assert!(used <= bytes.len());
    }
    survives(&decoded.values);
}

/// The limits that a flag chooses.
pub fn limits(flags: u8) -> AmfLimits {
    if flags & 1 == 0 {
        AmfLimits::STRANGER
    } else {
        AmfLimits::AUTHORISED
    }
}

/// Values in a value, which stands at `depth`; checks the limits on the way.
pub fn count(value: &Value<'_>, depth: u8, limits: &AmfLimits) -> usize {
    let pairs = |object: &Object<'_>| -> usize {
        object
            .iter()
            .map(|(key, value)| {
                assert!(key.len() <= limits.key_bytes_max as usize);
                count(value, depth + 1, limits)
            })
            .sum()
    };
    let inside = match value {
        Value::Object(object) | Value::EcmaArray(object) => pairs(object),
        Value::TypedObject(typed) => pairs(&typed.object),
        Value::StrictArray(items) => items
            .iter()
            .map(|item| count(item, depth + 1, limits))
            .sum(),
        Value::String(text) | Value::Xml(text) => {
            assert!(text.len() <= limits.string_bytes_max as usize);
            return 1;
        }
        _ => return 1,
    };
    assert!(depth <= limits.depth_max, "nested {depth} deep");
    1 + inside
}

/// Encoding and decoding again changes nothing. Compared as bytes: a NaN is not equal to itself.
pub fn survives(values: &[Value<'_>]) {
    let mut bytes = Vec::new();
    for value in values {
        encode(value, &mut bytes);
        if bytes.len() > ECHO_BYTES_MAX {
            return; // references may make much of little
        }
    }
    let again = match decode(&bytes, &WIDE) {
        Ok(again) => again,
        // The budget follows the length, and this form may be the shorter one.
        Err(AmfError::TooMuchMemory { .. }) => return,
        Err(error) => panic!("our own bytes: {error}"),
    };
    assert!(again.complete, "our own bytes: {:?}", again.error);
    assert_eq!(again.values.len(), values.len());
    let mut twice = Vec::new();
    again
        .values
        .iter()
        .for_each(|value| encode(value, &mut twice));
    assert!(twice == bytes, "encoded twice, two results");
}

const WIDE: AmfLimits = AmfLimits {
    depth_max: 32,
    values_max: u32::MAX,
    string_bytes_max: u32::MAX,
    key_bytes_max: u32::MAX,
};

/// Enough for every input but those that repeat themselves by reference.
const ECHO_BYTES_MAX: usize = 16 << 10;
