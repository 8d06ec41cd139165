//! Laws of the AMF codecs, over generated values and bytes.

use proptest::prelude::*;

use super::{Object, TypedObject, Value, decode, encode};
use crate::limits::AmfLimits;

/// A value that owns its text, to borrow `Value`s from.
#[derive(Clone, Debug)]
enum Owned {
    Plain(Value<'static>),
    String(Vec<u8>),
    Xml(Vec<u8>),
    Items(Vec<Self>),
    Pairs(u8, Vec<u8>, Vec<(Vec<u8>, Self)>),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => value.clone(),
            Self::String(bytes) => Value::String(bytes),
            Self::Xml(bytes) => Value::Xml(bytes),
            Self::Items(items) => Value::StrictArray(items.iter().map(Self::value).collect()),
            Self::Pairs(form, class, pairs) => {
                let object = pairs.iter().fold(Object::new(), |object, (key, value)| {
                    object.with(key, value.value())
                });
                match form {
                    0 => Value::Object(object),
                    1 => Value::EcmaArray(object),
                    _ => Value::TypedObject(Box::new(TypedObject { class, object })),
                }
            }
        }
    }
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn owned() -> impl Strategy<Value = Owned> {
    let leaf = prop_oneof![
        any::<f64>().prop_map(|number| Owned::Plain(Value::Number(number))),
        any::<bool>().prop_map(|boolean| Owned::Plain(Value::Boolean(boolean))),
        any::<f64>().prop_map(|unix_ms| Owned::Plain(Value::Date { unix_ms })),
        Just(Owned::Plain(Value::Null)),
        Just(Owned::Plain(Value::Undefined)),
        Just(Owned::Plain(Value::Unsupported)),
        bytes(12).prop_map(Owned::String),
        (65_530..65_540_usize).prop_map(|len| Owned::String(vec![b's'; len])),
        bytes(12).prop_map(Owned::Xml),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Owned::Items),
            (
                0..3_u8,
                bytes(6),
                prop::collection::vec((bytes(6), inner), 0..6)
            )
                .prop_map(|(form, class, pairs)| Owned::Pairs(form, class, pairs)),
        ]
    })
}

fn encoded(owned: &[Owned]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in owned {
        encode(&value.value(), &mut out);
    }
    out
}

/// The heap a value holds, in bytes.
fn heap(value: &Value<'_>) -> usize {
    let pairs =
        |object: &Object<'_>| -> usize { object.iter().map(|(_, value)| 40 + heap(value)).sum() };
    match value {
        Value::StrictArray(items) => items.capacity() * 24 + items.iter().map(heap).sum::<usize>(),
        Value::Object(object) | Value::EcmaArray(object) => pairs(object),
        Value::TypedObject(typed) => size_of::<TypedObject<'_>>() + pairs(&typed.object),
        _ => 0,
    }
}

/// What `bytes` hold when decoded under limits that do not help, if they decode.
fn decoded_heap(bytes: &[u8]) -> Option<usize> {
    let limits = AmfLimits {
        values_max: u32::MAX,
        ..WIDE
    };
    let values = decode(bytes, &limits).ok()?.values;
    Some(values.capacity() * 24 + values.iter().map(heap).sum::<usize>())
}

#[test]
fn hostile_messages_hold_four_times_their_size_at_most() {
    let pair: &[u8] = &[0, 0, 5];
    let typed: &[u8] = &[0x10, 0, 0, 0, 0, 9];
    let array: &[u8] = &[0x0A, 0, 0, 0, 0];
    for (front, unit) in [
        (&[][..], &[5][..]),
        (&[3], pair),
        (&[], typed),
        (&[], array),
    ] {
        let mut decodes = 0;
        for count in (0..20_000).step_by(100) {
            let bytes = [front, &unit.repeat(count)].concat();
            if let Some(heap) = decoded_heap(&bytes) {
                assert!(
                    heap <= 4 * bytes.len() + (64 << 10),
                    "{heap} for {}",
                    bytes.len()
                );
                decodes += 1;
            }
        }
        assert!(
            (5..200).contains(&decodes),
            "small ones pass, large ones do not: {decodes}"
        );
    }
}

const WIDE: AmfLimits = AmfLimits {
    string_bytes_max: 1 << 20,
    ..AmfLimits::AUTHORISED
};

proptest! {
    #[test]
    fn decoding_undoes_encoding(owned in prop::collection::vec(owned(), 0..4)) {
        let bytes = encoded(&owned);
        let decoded = decode(&bytes, &WIDE).unwrap();
        prop_assert!(decoded.complete);
        let expected: Vec<_> = owned.iter().map(Owned::value).collect();
        prop_assert_eq!(decoded.values, expected);
    }

    #[test]
    fn every_cut_is_partial_and_never_panics(owned in prop::collection::vec(owned(), 1..3)) {
        let bytes = encoded(&owned);
        let step = 1 + bytes.len() / 256;
        for end in (0..bytes.len()).step_by(step) {
            let decoded = decode(&bytes[..end], &WIDE).unwrap();
            prop_assert!(decoded.values.len() <= owned.len());
            prop_assert!(!decoded.complete || decoded.values.len() < owned.len());
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(
        bytes in prop::collection::vec(prop_oneof![0..0x14_u8, any::<u8>()], 0..300),
    ) {
        let heap = decoded_heap(&bytes).unwrap_or(0);
        prop_assert!(heap <= 4 * bytes.len() + (64 << 10));
        let _ = crate::rtmp::amf3::decode(&bytes, &AmfLimits::STRANGER);
    }

    #[test]
    fn what_was_decoded_encodes_to_the_same_again(
        bytes in prop::collection::vec(prop_oneof![0..0x14_u8, any::<u8>()], 0..300),
    ) {
        if let Ok(first) = decode(&bytes, &AmfLimits::STRANGER) {
            let mut once = Vec::new();
            first.values.iter().for_each(|value| encode(value, &mut once));
            let second = decode(&once, &AmfLimits { depth_max: 32, ..WIDE }).unwrap();
            let mut twice = Vec::new();
            second.values.iter().for_each(|value| encode(value, &mut twice));
            prop_assert_eq!(once, twice);
        }
    }
}
