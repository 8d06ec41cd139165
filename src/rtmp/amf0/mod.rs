//! AMF0, the value format of RTMP commands and metadata.
//!
//! Invariant: decoding borrows all text from the message, never reserves by a count of the peer's
//! and stops at the limits, so a message makes at most four times its size (plus 64 KiB) of live
//! memory and a bounded stack. PROTOCOL §4.1.
//!
//! * `value` — `Value` and `Object`: looking into them and building them
//! * `decode` — bytes to values, keeping what came before damage
//! * `encode` — values to bytes
//! * `budget` — what one message may still cost, shared with AMF3
//! * `error` — what was wrong

mod budget;
mod decode;
mod encode;
mod error;
#[cfg(test)]
mod laws;
mod value;

pub(in crate::rtmp) use budget::Budget;
pub use decode::{Decoded, decode, first_string};
pub use encode::encode;
pub use error::AmfError;
pub use value::{Object, TypedObject, Value};

/// The type markers. Missing ones are reserved or invalid.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AMF3: u8 = 0x11;
}
