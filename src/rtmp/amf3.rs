//! AMF3, as far as commands need it: read into AMF0's `Value`, never written.
//!
//! Invariant: a count is checked against the bytes left before it is believed, an index against
//! its table; what has no counterpart in `Value` is read to its end and becomes `Unsupported`.
//! PROTOCOL §4.2.

use super::amf0::{AmfError, Budget, Object, TypedObject, Value};
use crate::limits::AmfLimits;
use crate::wire::Reader;

/// Decodes one AMF3 value; returns it and the bytes it took.
///
/// # Errors
/// Damage or a broken limit. Nothing of the value is kept.
pub fn decode<'a>(bytes: &'a [u8], limits: &AmfLimits) -> Result<(Value<'a>, usize), AmfError> {
    let mut reader = Reader::new(bytes);
    let mut budget = Budget::new(limits, bytes.len());
    let value = read(&mut reader, &mut budget, &mut Tables::default(), 0)?;
    Ok((value, bytes.len().saturating_sub(reader.len())))
}

/// The AMF0 values of a message of type 15, 16 or 17, without the selector in front.
///
/// `None`: neither a selector nor a string, or nothing behind it; drop the message (Z-45).
pub fn without_selector(payload: &[u8]) -> Option<&[u8]> {
    match payload {
        [0x00, values @ ..] if !values.is_empty() => Some(values),
        // SRS sends type 15 without a selector, the name's string marker first.
        [0x02, _, ..] => Some(payload),
        _ => None,
    }
}

/// Reads one value for a decoder that stands at `depth`.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    budget: &mut Budget,
    tables: &mut Tables<'a>,
    depth: u8,
) -> Result<Value<'a>, AmfError> {
    Decoder {
        reader,
        budget,
        tables,
    }
    .value(depth)
}

/// What references count, per message.
#[derive(Debug, Default)]
pub(super) struct Tables<'a> {
    strings: Vec<&'a [u8]>,
    traits: Vec<Traits<'a>>,
    /// The sealed names of all traits, one behind the other.
    names: Vec<&'a [u8]>,
    /// Objects met so far. They are counted only: a reference to one is undefined, which cannot
    /// be made a bomb and is enough for arguments of commands.
    objects: usize,
}

impl Tables<'_> {
    /// The state to come back to.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            strings: self.strings.len(),
            traits: self.traits.len(),
            names: self.names.len(),
            objects: self.objects,
        }
    }

    /// Forgets what was put in since `mark`.
    pub(super) fn reset_to(&mut self, mark: &Mark) {
        self.strings.truncate(mark.strings);
        self.traits.truncate(mark.traits);
        self.names.truncate(mark.names);
        self.objects = mark.objects;
    }
}

/// The lengths of the tables at one moment.
pub(super) struct Mark {
    strings: usize,
    traits: usize,
    names: usize,
    objects: usize,
}

/// What a class of objects has in common.
#[derive(Clone, Copy, Debug)]
struct Traits<'a> {
    class: &'a [u8],
    /// Its names are `names[first..first + count]`.
    first: usize,
    count: usize,
    dynamic: bool,
}

struct Decoder<'d, 'a> {
    reader: &'d mut Reader<'a>,
    budget: &'d mut Budget,
    tables: &'d mut Tables<'a>,
}

impl<'a> Decoder<'_, 'a> {
    fn value(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        self.budget.value()?;
        match self.reader.u8()? {
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::NULL => Ok(Value::Null),
            marker::FALSE => Ok(Value::Boolean(false)),
            marker::TRUE => Ok(Value::Boolean(true)),
            marker::INTEGER => Ok(Value::Number(signed(self.u29()?))),
            marker::DOUBLE => Ok(Value::Number(self.reader.f64()?)),
            marker::STRING => self.string().map(Value::String),
            marker::XML_DOCUMENT | marker::XML => self.run(Value::Xml),
            marker::BYTE_ARRAY => self.run(Value::String),
            marker::DATE => match self.inline()? {
                Some(_) => Ok(Value::Date {
                    unix_ms: self.reader.f64()?,
                }),
                None => Ok(Value::Undefined),
            },
            marker::ARRAY => self.array(depth),
            marker::OBJECT => self.object(depth),
            marker::INT_VECTOR | marker::UINT_VECTOR => self.numbers(4),
            marker::DOUBLE_VECTOR => self.numbers(8),
            marker::OBJECT_VECTOR => self.vector(depth),
            marker::DICTIONARY => self.dictionary(depth),
            found => Err(AmfError::Amf3Marker { found }),
        }
    }

    /// An integer of 1 to 4 bytes, at most 2^29 - 1.
    fn u29(&mut self) -> Result<u32, AmfError> {
        let mut number: u32 = 0;
        for _ in 0..3 {
            let byte = self.reader.u8()?;
            number = (number << 7) | u32::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Ok((number << 8) | u32::from(self.reader.u8()?))
    }

    /// The head of a complex value: the 28 bits behind the flag, `None` for a reference.
    fn inline(&mut self) -> Result<Option<u32>, AmfError> {
        let head = self.u29()?;
        if head & 1 == 0 {
            within(head >> 1, self.tables.objects)?;
            return Ok(None);
        }
        self.tables.objects = self.tables.objects.saturating_add(1);
        Ok(Some(head >> 1))
    }

    fn string(&mut self) -> Result<&'a [u8], AmfError> {
        let head = self.u29()?;
        if head & 1 == 0 {
            // CVE-2015-8270: librtmp read behind its table here.
            let index = within(head >> 1, self.tables.strings.len())?;
            return Ok(self.tables.strings.get(index).copied().unwrap_or_default());
        }
        let text = self.text(head >> 1)?;
        if !text.is_empty() {
            self.budget.memory(size_of::<&[u8]>())?;
            self.tables.strings.push(text);
        }
        Ok(text)
    }

    fn key(&mut self) -> Result<&'a [u8], AmfError> {
        let key = self.string()?;
        self.budget.key(key.len())?;
        Ok(key)
    }

    fn text(&mut self, len: u32) -> Result<&'a [u8], AmfError> {
        let len = self.budget.string(len)?;
        Ok(self.reader.bytes(len)?)
    }

    /// XML or bytes.
    fn run(&mut self, make: fn(&'a [u8]) -> Value<'a>) -> Result<Value<'a>, AmfError> {
        match self.inline()? {
            Some(len) => self.text(len).map(make),
            None => Ok(Value::Undefined),
        }
    }

    /// An array without names becomes a strict one. Of one with names only these are kept: its
    /// numbered part has no place beside them.
    fn array(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        let Some(count) = self.inline()? else {
            return Ok(Value::Undefined);
        };
        let depth = self.budget.deeper(depth)?;
        self.room_for(count, 1)?;
        let mut pairs = Vec::new();
        self.dynamic_pairs(&mut pairs, depth)?;
        if pairs.is_empty() {
            return Ok(Value::StrictArray(self.items(count, depth)?));
        }
        self.skip_values(count, depth)?;
        Ok(Value::EcmaArray(Object::from_pairs(pairs)))
    }

    fn object(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        let Some(head) = self.inline()? else {
            return Ok(Value::Undefined);
        };
        let depth = self.budget.deeper(depth)?;
        let traits = self.traits(head)?;
        let mut pairs = Vec::new();
        for index in (traits.first..).take(traits.count) {
            let name = self.tables.names.get(index).copied().unwrap_or_default();
            self.budget.memory(size_of::<&[u8]>())?;
            pairs.push((name, self.value(depth)?));
        }
        if traits.dynamic {
            self.dynamic_pairs(&mut pairs, depth)?;
        }
        let object = Object::from_pairs(pairs);
        if traits.class.is_empty() {
            return Ok(Value::Object(object));
        }
        self.budget.memory(size_of::<TypedObject<'_>>())?;
        Ok(Value::TypedObject(Box::new(TypedObject {
            class: traits.class,
            object,
        })))
    }

    /// The traits an object begins with; `head` is its head without the lowest bit.
    fn traits(&mut self, head: u32) -> Result<Traits<'a>, AmfError> {
        if head & 1 == 0 {
            let index = within(head >> 1, self.tables.traits.len())?;
            let known = self.tables.traits.get(index).copied();
            return known.ok_or(AmfError::Reference {
                index: head >> 1,
                len: 0,
            });
        }
        if head & 2 != 0 {
            return Err(AmfError::Externalizable);
        }
        let count = head >> 3;
        let class = self.key()?;
        // CVE-2015-8271: librtmp grew its list of properties by this count.
        let names = self.room_for(count, 1)?;
        self.budget.memory(size_of::<Traits<'_>>())?;
        let first = self.tables.names.len();
        for _ in 0..names {
            let name = self.key()?;
            self.budget.memory(size_of::<&[u8]>())?;
            self.tables.names.push(name);
        }
        let traits = Traits {
            class,
            first,
            count: names,
            dynamic: head & 4 != 0,
        };
        self.tables.traits.push(traits);
        Ok(traits)
    }

    /// Named values up to an empty name.
    fn dynamic_pairs(
        &mut self,
        pairs: &mut Vec<(&'a [u8], Value<'a>)>,
        depth: u8,
    ) -> Result<(), AmfError> {
        loop {
            let key = self.key()?;
            if key.is_empty() {
                return Ok(());
            }
            self.budget.memory(size_of::<&[u8]>())?;
            pairs.push((key, self.value(depth)?));
        }
    }

    fn items(&mut self, count: u32, depth: u8) -> Result<Vec<Value<'a>>, AmfError> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth)?);
        }
        items.shrink_to_fit();
        Ok(items)
    }

    fn skip_values(&mut self, count: u32, depth: u8) -> Result<(), AmfError> {
        for _ in 0..count {
            self.value(depth)?;
        }
        Ok(())
    }

    /// A vector of numbers, `size` bytes each: no command has one.
    fn numbers(&mut self, size: usize) -> Result<Value<'a>, AmfError> {
        let Some(count) = self.inline()? else {
            return Ok(Value::Undefined);
        };
        self.reader.u8()?; // whether its length is fixed
        let bytes = self.room_for(count, size)?;
        self.reader.bytes(bytes)?;
        Ok(Value::Unsupported)
    }

    fn vector(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        let Some(count) = self.inline()? else {
            return Ok(Value::Undefined);
        };
        let depth = self.budget.deeper(depth)?;
        self.reader.u8()?; // whether its length is fixed
        self.key()?; // the class of its items
        self.room_for(count, 1)?;
        Ok(Value::StrictArray(self.items(count, depth)?))
    }

    fn dictionary(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        let Some(count) = self.inline()? else {
            return Ok(Value::Undefined);
        };
        let depth = self.budget.deeper(depth)?;
        self.reader.u8()?; // whether its keys are weak
        self.room_for(count, 2)?;
        self.skip_values(count, depth)?;
        self.skip_values(count, depth)?;
        Ok(Value::Unsupported)
    }

    /// The bytes `count` elements of at least `size` bytes take, which must be there.
    fn room_for(&self, count: u32, size: usize) -> Result<usize, AmfError> {
        let left = self.reader.len();
        let bytes = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(size));
        bytes
            .filter(|bytes| *bytes <= left)
            .ok_or(AmfError::Count { count, left })
    }
}

/// A table index as a position, if the table reaches that far.
fn within(index: u32, len: usize) -> Result<usize, AmfError> {
    let position = usize::try_from(index)
        .ok()
        .filter(|position| *position < len);
    position.ok_or(AmfError::Reference { index, len })
}

/// A 29-bit integer with its sign in bit 28.
fn signed(number: u32) -> f64 {
    let unsigned = f64::from(number);
    if number & 0x1000_0000 == 0 {
        unsigned
    } else {
        unsigned - f64::from(0x2000_0000)
    }
}

/// The type markers.
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0A;
    pub(super) const XML: u8 = 0x0B;
    pub(super) const BYTE_ARRAY: u8 = 0x0C;
    pub(super) const INT_VECTOR: u8 = 0x0D;
    pub(super) const UINT_VECTOR: u8 = 0x0E;
    pub(super) const DOUBLE_VECTOR: u8 = 0x0F;
    pub(super) const OBJECT_VECTOR: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

#[cfg(test)]
mod tests;
