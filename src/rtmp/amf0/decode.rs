//! Bytes to values.
//!
//! Invariant: the reader only moves forward, except to replay the value a reference names; each
//! value read, replayed ones too, is paid from the budget first. PROTOCOL.

use super::budget::Budget;
use super::error::AmfError;
use super::marker;
use super::value::{Object, Pair, TypedObject, Value};
use crate::limits::AmfLimits;
use crate::rtmp::amf3;
use crate::wire::Reader;

/// The values of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<'a> {
    /// The values, in order. A container that damage or the end cut short is here with what was
    /// read of it.
    pub values: Vec<Value<'a>>,
    /// False when bytes were damaged or the end markers of open objects are missing.
    pub complete: bool,
    /// The first damage; nothing behind it was read. `None` with `complete == false` means that
    /// only end markers are missing, as Envivio encoders send it.
    pub error: Option<AmfError>,
}

/// Decodes values until the bytes end.
///
/// # Errors
/// A limit was broken. Damage is no error here: see [`Decoded::error`].
pub fn decode<'a>(bytes: &'a [u8], limits: &AmfLimits) -> Result<Decoded<'a>, AmfError> {
    let mut decoder = Decoder {
        bytes,
        reader: Reader::new(bytes),
        budget: Budget::new(limits, bytes.len()),
        complex: Vec::new(),
        replays: 0,
        amf3: amf3::Tables::default(),
        complete: true,
        damage: None,
    };
    let mut values = Vec::new();
    while decoder.complete && !decoder.reader.is_empty() {
        match decoder.value(0) {
            Ok(value) => values.push(value),
            Err(error) => decoder.stop(error)?,
        }
    }
    Ok(Decoded {
        values,
        complete: decoder.complete,
        error: decoder.damage,
    })
}

/// The string at the front, short or long, and the bytes it takes with its marker: the name of a
/// data message without decoding the rest.
pub fn first_string(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = Reader::new(bytes);
    let len = match reader.u8().ok()? {
        marker::STRING => usize::from(reader.u16().ok()?),
        marker::LONG_STRING => usize::try_from(reader.u32().ok()?).ok()?,
        _ => return None,
    };
    let text = reader.bytes(len).ok()?;
    Some((text, bytes.len().saturating_sub(reader.len())))
}

struct Decoder<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    budget: Budget,
    /// The objects and arrays met so far, which references count.
    complex: Vec<Span>,
    /// References being replayed; nothing new is put into the tables meanwhile.
    replays: u8,
    amf3: amf3::Tables<'a>,
    /// False stops all reading.
    complete: bool,
    damage: Option<AmfError>,
}

/// Where an object or array lies in the message: `start < end`.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    /// `usize::MAX` until its end was read.
    end: usize,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        self.budget.value()?;
        let start = self.position();
        Ok(match self.reader.u8()? {
            marker::NUMBER => Value::Number(self.reader.f64()?),
            marker::BOOLEAN => Value::Boolean(self.reader.u8()? != 0),
            marker::STRING => {
                let len = u32::from(self.reader.u16()?);
                Value::String(self.text(len)?)
            }
            marker::LONG_STRING => {
                let len = self.reader.u32()?;
                Value::String(self.text(len)?)
            }
            marker::XML => {
                let len = self.reader.u32()?;
                Value::Xml(self.text(len)?)
            }
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::UNSUPPORTED => Value::Unsupported,
            marker::DATE => {
                let unix_ms = self.reader.f64()?;
                self.reader.u16()?; // the zone
                Value::Date { unix_ms }
            }
            marker::REFERENCE => self.reference(start, depth)?,
            marker::AMF3 => self.amf3(depth)?,
            found @ (marker::OBJECT
            | marker::ECMA_ARRAY
            | marker::STRICT_ARRAY
            | marker::TYPED_OBJECT) => self.container(found, start, depth)?,
            found => return Err(AmfError::Marker { found }),
        })
    }

    /// An object or array behind its marker; remembers it for references.
    fn container(&mut self, found: u8, start: usize, depth: u8) -> Result<Value<'a>, AmfError> {
        let depth = self.budget.deeper(depth)?;
        let index = self.complex.len();
        let fresh = self.replays == 0;
        if fresh {
            self.budget.memory(size_of::<Span>())?;
            self.complex.push(Span {
                start,
                end: usize::MAX,
            });
        }
        let value = match found {
            marker::STRICT_ARRAY => Value::StrictArray(self.items(depth)?),
            marker::TYPED_OBJECT => {
                let class = self.key()?;
                self.budget.memory(size_of::<TypedObject<'_>>())?;
                let object = self.pairs(depth)?;
                Value::TypedObject(Box::new(TypedObject { class, object }))
            }
            marker::ECMA_ARRAY => {
                self.reader.u32()?; // the count is a hint, often a wrong one
                Value::EcmaArray(self.pairs(depth)?)
            }
            _ => Value::Object(self.pairs(depth)?),
        };
        let end = self.position();
        let ended = fresh && self.complete;
        if let Some(span) = self.complex.get_mut(index).filter(|_| ended) {
            span.end = end;
        }
        Ok(value)
    }

    /// Pairs up to the end marker, or up to damage or the end of the message.
    fn pairs(&mut self, depth: u8) -> Result<Object<'a>, AmfError> {
        let mut pairs = Vec::new();
        while self.complete {
            match self.pair(depth) {
                Ok(Some(pair)) => pairs.push(pair),
                Ok(None) => break,
                Err(error) => self.stop(error)?,
            }
        }
        Ok(Object::from_pairs(pairs))
    }

    /// The next pair; `None` at the end marker or where the message ends in its place.
    fn pair(&mut self, depth: u8) -> Result<Option<Pair<'a>>, AmfError> {
        match self.reader.rest() {
            [0, 0, marker::OBJECT_END, ..] => {
                self.reader.bytes(3)?;
                return Ok(None);
            }
            [] | [0] | [0, 0] => {
                self.complete = false;
                return Ok(None);
            }
            _ => {}
        }
        let key = self.key()?;
        self.budget
            .memory(size_of::<Pair<'_>>().saturating_sub(size_of::<Value<'_>>()))?;
        Ok(Some((key, self.value(depth)?)))
    }

    fn items(&mut self, depth: u8) -> Result<Vec<Value<'a>>, AmfError> {
        let count = self.reader.u32()?;
        let left = self.reader.len();
        if usize::try_from(count).map_or(true, |count| count > left) {
            return Err(AmfError::Count { count, left }); // an item takes a byte at least
        }
        let mut items = Vec::new();
        for _ in 0..count {
            match self.value(depth) {
                Ok(value) => items.push(value),
                Err(error) => self.stop(error)?,
            }
            if !self.complete {
                break;
            }
        }
        items.shrink_to_fit();
        Ok(items)
    }

    /// A reference that stands at `at`: reads the value it names once more, at the price of a new
    /// one (Z-42). One that leads nowhere or to a value still open there is undefined.
    fn reference(&mut self, at: usize, depth: u8) -> Result<Value<'a>, AmfError> {
        let index = usize::from(self.reader.u16()?);
        let Some(span) = self.complex.get(index).filter(|span| span.end <= at) else {
            return Ok(Value::Undefined);
        };
        let Some(bytes) = self.bytes.get(span.start..) else {
            return Ok(Value::Undefined);
        };
        // Each jump leads back, to a value that ended before: `replays` ≤ `complex.len()`, and a
        // level deeper each time.
        let depth = self.budget.deeper(depth)?;
        let resume = std::mem::replace(&mut self.reader, Reader::new(bytes));
        self.replays = self.replays.saturating_add(1);
        let value = self.value(depth);
        self.replays = self.replays.saturating_sub(1);
        self.reader = resume;
        value
    }

    /// One AMF3 value; the switch holds for no other.
    fn amf3(&mut self, depth: u8) -> Result<Value<'a>, AmfError> {
        let mark = self.amf3.mark();
        let value = amf3::read(&mut self.reader, &mut self.budget, &mut self.amf3, depth);
        if self.replays > 0 {
            self.amf3.reset_to(&mark);
        }
        value
    }

    fn text(&mut self, len: u32) -> Result<&'a [u8], AmfError> {
        let len = self.budget.string(len)?;
        Ok(self.reader.bytes(len)?)
    }

    fn key(&mut self) -> Result<&'a [u8], AmfError> {
        let len = self.reader.u16()?;
        let len = self.budget.key(usize::from(len))?;
        Ok(self.reader.bytes(len)?)
    }

    /// Notes damage, after which reading ends; a broken limit is passed on.
    fn stop(&mut self, error: AmfError) -> Result<(), AmfError> {
        if error.is_limit() {
            return Err(error);
        }
        self.complete = false;
        self.damage = self.damage.or(Some(error));
        Ok(())
    }

    fn position(&self) -> usize {
        self.bytes.len().saturating_sub(self.reader.len())
    }
}

#[cfg(test)]
mod tests;
