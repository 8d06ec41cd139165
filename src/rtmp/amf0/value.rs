//! `Value` and `Object`: what a message says, borrowed from its bytes.
//!
//! Invariant: text stays bytes; pairs keep the order of the wire, and looking one up finds
//! the last of its name. PROTOCOL.

/// One AMF value. 24 bytes, so that a message full of small ones stays cheap.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A double, any bit pattern.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A short or long string; not necessarily UTF-8.
    String(&'a [u8]),
    /// Named values, as commands carry them.
    Object(Object<'a>),
    /// Named values in the other form, as metadata carries them.
    EcmaArray(Object<'a>),
    /// Values without names.
    StrictArray(Vec<Self>),
    /// Named values with a class name.
    TypedObject(Box<TypedObject<'a>>),
    /// Null.
    Null,
    /// Undefined; also a reference that leads nowhere.
    Undefined,
    /// Something the sender could not write, or an AMF3 value without a counterpart here.
    Unsupported,
    /// A point in time. The zone on the wire is ignored.
    Date {
        /// Milliseconds since 1970 in UTC, may be fractional or NaN.
        unix_ms: f64,
    },
    /// An XML document as text.
    Xml(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The number as a count or an id: finite, whole, 0 to 2^32 - 1.
    pub fn as_u32(&self) -> Option<u32> {
        let number = self.as_number()?;
        let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and in range"
        )]
        whole.then_some(number as u32)
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The bytes of a string.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of a string that is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The named values, in whichever of the three forms they came.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) => Some(object),
            Self::TypedObject(typed) => Some(&typed.object),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::String(bytes)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<bool> for Value<'_> {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl<'a> From<Object<'a>> for Value<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl<'a> From<Vec<Self>> for Value<'a> {
    fn from(items: Vec<Self>) -> Self {
        Self::StrictArray(items)
    }
}

/// Named values in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a> {
    pairs: Box<[Pair<'a>]>,
}

/// A name and its value.
pub(in crate::rtmp) type Pair<'a> = (&'a [u8], Value<'a>);

impl<'a> Object<'a> {
    /// An object without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// An object of these pairs.
    pub(in crate::rtmp) fn from_pairs(pairs: Vec<Pair<'a>>) -> Self {
        Self {
            pairs: pairs.into_boxed_slice(),
        }
    }

    /// The object with one more pair at its end. Names longer than 65,535 bytes are not encoded.
    #[must_use]
    pub fn with(self, key: &'a (impl AsRef<[u8]> + ?Sized), value: impl Into<Value<'a>>) -> Self {
        let mut pairs = self.pairs.into_vec();
        pairs.push((key.as_ref(), value.into()));
        Self::from_pairs(pairs)
    }

    /// The last value of that name.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&Value<'a>> {
        let key = key.as_ref();
        self.pairs
            .iter()
            .rev()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// All pairs in the order of the wire, duplicates included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &Value<'a>)> {
        self.pairs.iter().map(|(name, value)| (*name, value))
    }

    /// Pairs, duplicates included.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Named values with a class name.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedObject<'a> {
    /// The class; a name nobody here acts upon.
    pub class: &'a [u8],
    /// Its values.
    pub object: Object<'a>,
}

const _: () = assert!(size_of::<Value<'_>>() == 24 && size_of::<Pair<'_>>() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_names_wins() {
        let object = Object::new()
            .with("app", "live")
            .with("tcUrl", "x")
            .with("app", "vod");
        assert_eq!(object.get("app").and_then(Value::as_str), Some("vod"));
        assert_eq!(object.len(), 3);
        assert_eq!(object.get("flashVer"), None);
    }

    #[test]
    fn only_whole_numbers_in_range_are_ids() {
        for (number, expected) in [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (4_294_967_295.0, Some(u32::MAX)),
            (4_294_967_296.0, None),
            (-1.0, None),
            (1.5, None),
            (1e308, None),
            (9_007_199_254_740_993.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(Value::Number(number).as_u32(), expected, "{number}");
        }
        assert_eq!(Value::String(b"1").as_u32(), None);
    }

    #[test]
    fn all_three_object_forms_are_objects() {
        let object = Object::new().with("a", true);
        let typed = TypedObject {
            class: b"C",
            object: object.clone(),
        };
        for value in [
            Value::Object(object.clone()),
            Value::EcmaArray(object.clone()),
            Value::TypedObject(Box::new(typed)),
        ] {
            assert_eq!(value.as_object(), Some(&object));
        }
        assert_eq!(Value::StrictArray(Vec::new()).as_object(), None);
    }

    #[test]
    fn text_is_bytes_first() {
        assert_eq!(Value::String(b"\xFFx").as_str(), None);
        assert_eq!(
            Value::String(b"\xFFx").as_bytes(),
            Some(b"\xFFx".as_slice())
        );
        assert_eq!(Value::Null.as_bytes(), None);
    }
}
