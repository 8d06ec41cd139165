//! Values to bytes.
//!
//! Invariant: what is written decodes to the same value, except that a property whose name is
//! longer than 65,535 bytes is left out. PROTOCOL.

use super::marker;
use super::value::{Object, Value};

/// Appends one value. Long strings take the long form, dates zone 0.
///
/// Recurses as deep as the value is nested; decoded values are bounded, ours are shallow.
pub fn encode(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => put_double(out, marker::NUMBER, *number),
        Value::Boolean(boolean) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(bytes) => put_string(out, bytes),
        Value::Object(object) => {
            out.push(marker::OBJECT);
            put_pairs(out, object);
        }
        Value::EcmaArray(object) => {
            out.push(marker::ECMA_ARRAY);
            let count = u32::try_from(object.len()).unwrap_or(0); // a hint only
            out.extend_from_slice(&count.to_be_bytes());
            put_pairs(out, object);
        }
        Value::StrictArray(items) => put_items(out, items),
        Value::TypedObject(typed) => match u16::try_from(typed.class.len()) {
            Ok(len) => {
                out.push(marker::TYPED_OBJECT);
                put_short(out, len, typed.class);
                put_pairs(out, &typed.object);
            }
            Err(_) => {
                out.push(marker::OBJECT);
                put_pairs(out, &typed.object);
            }
        },
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::Unsupported => out.push(marker::UNSUPPORTED),
        Value::Date { unix_ms } => {
            put_double(out, marker::DATE, *unix_ms);
            out.extend_from_slice(&[0, 0]);
        }
        Value::Xml(bytes) => put_long(out, marker::XML, bytes),
    }
}

fn put_double(out: &mut Vec<u8>, marker: u8, number: f64) {
    out.push(marker);
    out.extend_from_slice(&number.to_bits().to_be_bytes());
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match u16::try_from(bytes.len()) {
        Ok(len) => {
            out.push(marker::STRING);
            put_short(out, len, bytes);
        }
        Err(_) => put_long(out, marker::LONG_STRING, bytes),
    }
}

fn put_short(out: &mut Vec<u8>, len: u16, bytes: &[u8]) {
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_long(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    match u32::try_from(bytes.len()) {
        Ok(len) => {
            out.push(marker);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(bytes);
        }
        Err(_) => out.push(marker::UNSUPPORTED), // 4 GiB of text has no form
    }
}

fn put_pairs(out: &mut Vec<u8>, object: &Object<'_>) {
    for (key, value) in object.iter() {
        if let Ok(len) = u16::try_from(key.len()) {
            put_short(out, len, key);
            encode(value, out);
        }
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

fn put_items(out: &mut Vec<u8>, items: &[Value<'_>]) {
    let Ok(count) = u32::try_from(items.len()) else {
        return out.push(marker::UNSUPPORTED);
    };
    out.push(marker::STRICT_ARRAY);
    out.extend_from_slice(&count.to_be_bytes());
    for item in items {
        encode(item, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    #[test]
    fn an_info_object_has_the_bytes_players_expect() {
        let info = Object::new()
            .with("level", "status")
            .with("clientid", 1_u32);
        let expected = [
            &[0x03][..],                                             // object
            &[0x00, 0x05],                                           // name length
            b"level",                                                //
            &[0x02, 0x00, 0x06],                                     // string, length
            b"status",                                               //
            &[0x00, 0x08],                                           // name length
            b"clientid",                                             //
            &[0x00, 0x3F, 0xF0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00], // number 1
            &[0x00, 0x00, 0x09],                                     // end
        ];
        assert_eq!(encoded(&info.into()), expected.concat());
    }

    #[test]
    fn an_ecma_array_tells_its_count() {
        let array = Value::EcmaArray(Object::new().with("a", true));
        let expected = [
            0x08, 0x00, 0x00, 0x00, 0x01, // ECMA array, count
            0x00, 0x01, b'a', 0x01, 0x01, // name, true
            0x00, 0x00, 0x09, // end
        ];
        assert_eq!(encoded(&array), expected);
    }

    #[test]
    fn strings_take_the_long_form_from_65_536_bytes_on() {
        let text = vec![b'x'; 65_536];
        let short = encoded(&Value::String(&text[1..]));
        assert_eq!(short[..4], [0x02, 0xFF, 0xFF, b'x']);
        let long = encoded(&Value::String(&text));
        assert_eq!(long[..6], [0x0C, 0x00, 0x01, 0x00, 0x00, b'x']);
        assert_eq!(long.len(), 5 + 65_536);
    }

    #[test]
    fn a_name_of_65_536_bytes_is_left_out() {
        let name = vec![b'x'; 65_536];
        let object = Object::new().with(&name, 1.0).with("a", Value::Null);
        assert_eq!(
            encoded(&object.into()),
            [0x03, 0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09]
        );
    }

    #[test]
    fn a_nan_keeps_its_bits() {
        let bits = 0x7FF0_0000_DEAD_BEEF_u64;
        assert_eq!(
            encoded(&Value::Number(f64::from_bits(bits)))[1..],
            bits.to_be_bytes()
        );
    }
}
