//! Well-formed, damaged and hostile AMF0 bytes. PROTOCOL, Z-38 to Z-42.

use super::*;
use crate::wire::Short;

fn whole(bytes: &[u8]) -> Vec<Value<'_>> {
    let decoded = decode(bytes, &AmfLimits::STRANGER).unwrap();
    assert_eq!((decoded.complete, decoded.error), (true, None));
    decoded.values
}

fn broken(bytes: &[u8]) -> AmfError {
    decode(bytes, &AmfLimits::STRANGER).unwrap_err()
}

fn part(bytes: &[u8]) -> (Vec<Value<'_>>, Option<AmfError>) {
    let decoded = decode(bytes, &AmfLimits::STRANGER).unwrap();
    assert!(!decoded.complete);
    (decoded.values, decoded.error)
}

#[test]
fn every_simple_marker_is_read() {
    let bytes = [
        &[0x00, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0][..], // number 1
        &[0x01, 0x02],                             // true, any non-zero byte
        &[0x02, 0x00, 0x01, b'a'],                 // string
        &[0x0C, 0x00, 0x00, 0x00, 0x01, b'b'],     // long string
        &[0x05, 0x06, 0x0D],                       // null, undefined, unsupported
        &[0x0B, 0x40, 0x59, 0, 0, 0, 0, 0, 0, 0xFF, 0x88], // date 100, zone ignored
        &[0x0F, 0x00, 0x00, 0x00, 0x01, b'x'],     // XML
        &[0x10, 0x00, 0x01, b'C', 0x00, 0x01, b'k', 0x05, 0, 0, 9], // typed object
        &[0x11, 0x06, 0x03, b'q'],                 // AMF3 string
        &[0x05],                                   // AMF0 again
    ]
    .concat();
    let object = Object::new().with("k", Value::Null);
    let expected = [
        Value::Number(1.0),
        Value::Boolean(true),
        Value::String(b"a"),
        Value::String(b"b"),
        Value::Null,
        Value::Undefined,
        Value::Unsupported,
        Value::Date { unix_ms: 100.0 },
        Value::Xml(b"x"),
        Value::TypedObject(Box::new(TypedObject {
            class: b"C",
            object,
        })),
        Value::String(b"q"),
        Value::Null,
    ];
    assert_eq!(whole(&bytes), expected);
}

#[test]
fn a_property_may_have_an_empty_name() {
    let bytes = [
        0x03, 0x00, 0x00, 0x01, 0x01, // object, "" = true
        0x00, 0x01, b'a', 0x05, // a = null
        0x00, 0x00, 0x09, // end
    ];
    let expected = Object::new().with("", true).with("a", Value::Null);
    assert_eq!(whole(&bytes), [Value::Object(expected)]);
}

#[test]
fn the_count_of_an_ecma_array_is_only_a_hint() {
    for count in [[0; 4], [0, 0, 0, 1], [0, 0, 0, 2], [0xFF; 4]] {
        let mut bytes = vec![0x08];
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(&[0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09]);
        let expected = Object::new().with("a", Value::Null);
        assert_eq!(
            whole(&bytes),
            [Value::EcmaArray(expected)],
            "count {count:?}"
        );
    }
}

#[test]
fn a_missing_end_marker_keeps_what_was_read() {
    let pair = [0x00, 0x01, b'a', 0x05];
    for tail in [&[][..], &[0x00], &[0x00, 0x00]] {
        let bytes = [&[0x03, 0x00, 0x01, b'o', 0x03][..], &pair, tail].concat();
        let inner = Object::new().with("a", Value::Null);
        let expected = Value::Object(Object::new().with("o", inner));
        assert_eq!(part(&bytes), (vec![expected], None));
    }
}

#[test]
fn values_before_damage_are_kept() {
    let bytes = [
        0x05, 0x03, 0x00, 0x01, b'a', 0x05, 0x00, 0x01, b'b', 0x04, 0x05,
    ];
    let object = Object::new().with("a", Value::Null);
    let expected = vec![Value::Null, Value::Object(object)];
    assert_eq!(
        part(&bytes),
        (expected, Some(AmfError::Marker { found: 0x04 }))
    );
}

#[test]
fn reserved_markers_and_a_lone_end_are_damage() {
    for found in [0x04, 0x09, 0x0E, 0x12, 0xFF] {
        assert_eq!(
            part(&[found]),
            (Vec::new(), Some(AmfError::Marker { found }))
        );
    }
}

#[test]
fn a_name_without_a_value_is_damage() {
    let (values, error) = part(&[0x03, 0x00, 0x01, b'a']);
    assert_eq!(values, [Value::Object(Object::new())]);
    assert_eq!(error, Some(AmfError::Short(Short { wanted: 1, left: 0 })));
}

#[test]
fn counts_and_lengths_are_checked_before_anything_is_reserved() {
    let (values, error) = part(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x05]);
    assert!(values.is_empty());
    assert_eq!(
        error,
        Some(AmfError::Count {
            count: u32::MAX,
            left: 1
        })
    );
    assert!(matches!(
        broken(&[0x0C, 0xFF, 0xFF, 0xFF, 0xFF]),
        AmfError::LongString { .. }
    ));
    let short = AmfError::Short(Short { wanted: 5, left: 1 });
    assert_eq!(part(&[0x02, 0x00, 0x05, b'a']), (Vec::new(), Some(short)));
}

#[test]
fn strings_and_names_stop_at_their_limits() {
    let mut string = vec![0x02, 0x20, 0x01];
    string.resize(3 + 8_193, b'x');
    let expected = AmfError::LongString {
        found: 8_193,
        allowed: 8_192,
    };
    assert_eq!(broken(&string), expected);
    let mut object = vec![0x03, 0x01, 0x01];
    object.resize(3 + 257, b'x');
    object.push(0x05);
    assert_eq!(
        broken(&object),
        AmfError::LongKey {
            found: 257,
            allowed: 256
        }
    );
}

#[test]
fn values_stop_at_their_limit() {
    assert_eq!(whole(&[0x05; 1_024]).len(), 1_024);
    assert_eq!(
        broken(&[0x05; 1_025]),
        AmfError::TooManyValues { allowed: 1_024 }
    );
    let many = decode(&[0x05; 8_192], &AmfLimits::AUTHORISED);
    assert!(
        matches!(many, Err(AmfError::TooMuchMemory { .. })),
        "24 bytes for one"
    );
}

#[test]
fn a_long_keyframe_index_fits() {
    let mut bytes = vec![0x0A, 0x00, 0x00, 0x10, 0x00];
    bytes.extend_from_slice(&[0; 9 * 4_096]);
    let decoded = decode(&bytes, &AmfLimits::AUTHORISED).unwrap();
    assert!(matches!(&decoded.values[..], [Value::StrictArray(items)] if items.len() == 4_096));
}

#[test]
fn seventy_thousand_nested_values_need_no_stack() {
    // A-11, Z-38: crashed flvmeta and Red5.
    let levels: [(&[u8], &[u8]); 5] = [
        (&[], &[0x0A, 0, 0, 0, 1]),
        (&[], &[0x03, 0, 1, b'a']),
        (&[], &[0x08, 0, 0, 0, 1, 0, 1, b'a']),
        (&[], &[0x10, 0, 0, 0, 1, b'a']),
        (&[0x11], &[0x09, 0x03, 0x01]),
    ];
    for (front, level) in levels {
        let bytes = [front, &level.repeat(70_000)].concat();
        let limits = AmfLimits {
            depth_max: 255,
            values_max: u32::MAX,
            ..AmfLimits::STRANGER
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10);
        let result = thread
            .spawn(move || decode(&bytes, &limits).map(|_| ()))
            .unwrap()
            .join();
        assert_eq!(
            result.unwrap(),
            Err(AmfError::TooDeep { allowed: 32 }),
            "{level:02x?}"
        );
    }
}

#[test]
fn sixteen_levels_pass_and_seventeen_do_not() {
    let level = [0x0A, 0, 0, 0, 1];
    let bytes = [level.repeat(16), vec![0x05]].concat();
    assert_eq!(whole(&bytes).len(), 1);
    let bytes = [level.repeat(17), vec![0x05]].concat();
    assert_eq!(broken(&bytes), AmfError::TooDeep { allowed: 16 });
}

#[test]
fn a_reference_is_read_as_the_value_it_names() {
    let bytes = [
        0x0A, 0, 0, 0, 3, // array 0
        0x03, 0, 1, b'a', 0x05, 0, 0, 9, // object 1
        0x07, 0, 1, // reference to 1
        0x07, 0, 2, // reference to nothing
        0x07, 0, 0, // behind its end: reference to 0
    ];
    let object = Value::Object(Object::new().with("a", Value::Null));
    let array = Value::StrictArray(vec![object.clone(), object, Value::Undefined]);
    assert_eq!(whole(&bytes), [array.clone(), array]);
}

#[test]
fn a_reference_to_an_open_value_is_undefined_in_replays_too() {
    let bytes = [
        0x03, 0, 1, b'a', 0x07, 0, 0, 0, 0, 9, // object 0 holds itself
        0x07, 0, 0, // and is named from outside
    ];
    let object = Value::Object(Object::new().with("a", Value::Undefined));
    assert_eq!(whole(&bytes), [object.clone(), object]);
}

#[test]
fn a_reference_bomb_is_paid_from_the_budget() {
    // Array n holds array n - 1 ten times over: 10^12 values if copied freely.
    let mut bytes = vec![0x0A, 0, 0, 0, 1, 0x05];
    for index in 0..12 {
        bytes.extend_from_slice(&[0x0A, 0, 0, 0, 10]);
        bytes.extend_from_slice(&[0x07, 0, index].repeat(10));
    }
    assert!(broken(&bytes).is_limit());
}

#[test]
fn the_first_string_is_found_without_the_rest() {
    let name = [0x02, 0x00, 0x02, b'o', b'n', 0xFF];
    assert_eq!(first_string(&name), Some((b"on".as_slice(), 5)));
    let long = [0x0C, 0, 0, 0, 1, b'x'];
    assert_eq!(first_string(&long), Some((b"x".as_slice(), 6)));
    for cut in 0..5 {
        assert_eq!(first_string(&name[..cut]), None);
    }
    assert_eq!(first_string(&[0x05]), None);
}
