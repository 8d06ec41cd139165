//! Well-formed, damaged and hostile AMF3 bytes. PROTOCOL, Z-43 to Z-45.

use super::*;

fn value(bytes: &[u8]) -> Value<'_> {
    let (value, used) = decode(bytes, &AmfLimits::STRANGER).unwrap();
    assert_eq!(used, bytes.len());
    value
}

fn error(bytes: &[u8]) -> AmfError {
    decode(bytes, &AmfLimits::STRANGER).unwrap_err()
}

#[test]
fn simple_values_are_read() {
    assert_eq!(value(&[0x00]), Value::Undefined);
    assert_eq!(value(&[0x01]), Value::Null);
    assert_eq!(value(&[0x02]), Value::Boolean(false));
    assert_eq!(value(&[0x03]), Value::Boolean(true));
    assert_eq!(
        value(&[0x05, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]),
        Value::Number(1.0)
    );
    assert_eq!(value(&[0x06, 0x05, b'h', b'i']), Value::String(b"hi"));
    assert_eq!(value(&[0x0B, 0x03, b'x']), Value::Xml(b"x"));
    assert_eq!(value(&[0x0C, 0x03, 0xFF]), Value::String(b"\xFF"));
    let date = [0x08, 0x01, 0x40, 0x59, 0, 0, 0, 0, 0, 0];
    assert_eq!(value(&date), Value::Date { unix_ms: 100.0 });
}

#[test]
fn integers_take_one_to_four_bytes_and_have_a_sign() {
    let cases: [(&[u8], f64); 6] = [
        (&[0x04, 0x7F], 127.0),
        (&[0x04, 0x81, 0x00], 128.0),
        (&[0x04, 0x81, 0x80, 0x00], 16_384.0),
        (&[0x04, 0xBF, 0xFF, 0xFF, 0xFF], 268_435_455.0),
        (&[0x04, 0xC0, 0x80, 0x80, 0x00], -268_435_456.0),
        (&[0x04, 0xFF, 0xFF, 0xFF, 0xFF], -1.0),
    ];
    for (bytes, expected) in cases {
        assert_eq!(value(bytes), Value::Number(expected));
    }
}

#[test]
fn strings_and_traits_are_shared_by_reference() {
    let bytes = [
        0x09, 0x05, 0x01, // array of two, no names
        0x0A, 0x1B, // object, inline traits: one sealed name, dynamic
        0x01, // no class
        0x03, b'a', // sealed name, string 0
        0x06, 0x00, // a = string 0
        0x03, b'b', 0x04, 0x05, // b = 5, string 1
        0x01, // end of the dynamic part
        0x0A, 0x01, // object, traits 0
        0x06, 0x02, // a = string 1
        0x01, // end of the dynamic part
    ];
    let first = Object::new().with("a", "a").with("b", 5.0);
    let second = Object::new().with("a", "b");
    assert_eq!(
        value(&bytes),
        Value::StrictArray(vec![first.into(), second.into()])
    );
}

#[test]
fn a_class_makes_a_typed_object_and_names_an_ecma_array() {
    let typed = TypedObject {
        class: b"C",
        object: Object::new(),
    };
    assert_eq!(
        value(&[0x0A, 0x03, 0x03, b'C']),
        Value::TypedObject(Box::new(typed))
    );
    let array = [0x09, 0x03, 0x03, b'k', 0x03, 0x01, 0x01]; // k = true, then null at 0
    assert_eq!(
        value(&array),
        Value::EcmaArray(Object::new().with("k", true))
    );
}

#[test]
fn vectors_and_dictionaries_are_read_to_their_end() {
    assert_eq!(value(&[0x0D, 0x03, 0x00, 0, 0, 0, 7]), Value::Unsupported);
    assert_eq!(
        value(&[0x0F, 0x03, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]),
        Value::Unsupported
    );
    assert_eq!(value(&[0x11, 0x03, 0x00, 0x01, 0x03]), Value::Unsupported);
    let vector = [0x10, 0x03, 0x00, 0x01, 0x01];
    assert_eq!(value(&vector), Value::StrictArray(vec![Value::Null]));
}

#[test]
fn a_reference_to_an_object_is_undefined() {
    let bytes = [0x09, 0x03, 0x01, 0x09, 0x00]; // an array that holds itself
    assert_eq!(value(&bytes), Value::StrictArray(vec![Value::Undefined]));
}

#[test]
fn references_behind_their_table_are_errors() {
    assert_eq!(
        error(&[0x06, 0x00]),
        AmfError::Reference { index: 0, len: 0 }
    );
    assert_eq!(
        error(&[0x0A, 0x00]),
        AmfError::Reference { index: 0, len: 0 }
    );
    assert_eq!(
        error(&[0x0A, 0x05]),
        AmfError::Reference { index: 1, len: 0 }
    );
    let far = [0x06, 0xFF, 0xFF, 0xFF, 0xFE];
    assert_eq!(
        error(&far),
        AmfError::Reference {
            index: 0x0FFF_FFFF,
            len: 0
        }
    );
}

#[test]
fn huge_counts_are_errors_before_anything_is_reserved() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF];
    for marker in [0x09, 0x0D, 0x0E, 0x0F, 0x10, 0x11] {
        let bytes = [&[marker][..], &huge, &[0x00, 0x01]].concat();
        assert!(
            matches!(error(&bytes), AmfError::Count { .. }),
            "marker {marker:#04x}"
        );
    }
    // 2^25 - 1 sealed names, without the externalizable bit.
    let traits = [0x0A, 0xFF, 0xFF, 0xFF, 0xFB, 0x01];
    assert_eq!(
        error(&traits),
        AmfError::Count {
            count: (1 << 25) - 1,
            left: 0
        }
    );
    for marker in [0x06, 0x0B, 0x0C] {
        let bytes = [&[marker][..], &huge].concat();
        assert!(
            matches!(error(&bytes), AmfError::LongString { .. }),
            "marker {marker:#04x}"
        );
    }
}

#[test]
fn externalizable_objects_and_unknown_markers_are_errors() {
    assert_eq!(error(&[0x0A, 0x07, 0x01]), AmfError::Externalizable);
    assert_eq!(error(&[0x12]), AmfError::Amf3Marker { found: 0x12 });
}

#[test]
fn nested_arrays_stop_at_the_depth_limit() {
    let bytes = [0x09, 0x03, 0x01].repeat(70_000);
    assert_eq!(error(&bytes), AmfError::TooDeep { allowed: 16 });
}

#[test]
fn the_selector_is_taken_off_where_there_is_one() {
    assert_eq!(
        without_selector(&[0x00, 0x02, 0x00]),
        Some([0x02, 0x00].as_slice())
    );
    assert_eq!(
        without_selector(&[0x02, 0x00, 0x00]),
        Some([0x02, 0x00, 0x00].as_slice())
    );
    for payload in [&[][..], &[0x00], &[0x02], &[0x11, 0x0A], &[0x05, 0x00]] {
        assert_eq!(without_selector(payload), None);
    }
}
