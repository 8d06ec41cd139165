//! What was wrong with AMF bytes.
//!
//! Invariant: an error is either damage (the values before it can be used) or a broken limit (none
//! can). PROTOCOL, RELIABILITY §4.

use crate::wire::Short;

/// Why AMF0 or AMF3 bytes could not be decoded, or not to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    // Damage.
    /// The bytes end inside a value.
    #[error("value is cut: {0}")]
    Short(#[from] Short),
    /// A marker that AMF0 reserves or does not have; its length is unknown.
    #[error("AMF0 marker {found:#04x} cannot be decoded")]
    Marker {
        /// The marker.
        found: u8,
    },
    /// A marker that AMF3 does not have.
    #[error("AMF3 marker {found:#04x} cannot be decoded")]
    Amf3Marker {
        /// The marker.
        found: u8,
    },
    /// More elements than there are bytes.
    #[error("{count} elements announced, only {left} bytes left")]
    Count {
        /// Elements announced.
        count: u32,
        /// Bytes left in the message.
        left: usize,
    },
    /// An AMF3 reference behind the end of its table.
    #[error("AMF3 reference {index} into a table of {len}")]
    Reference {
        /// The index found.
        index: u32,
        /// Entries the table has.
        len: usize,
    },
    /// An AMF3 object in a format only its class knows.
    #[error("externalizable AMF3 object: its length is unknown")]
    Externalizable,

    // Broken limits.
    /// Objects and arrays nested too deep.
    #[error("values nested deeper than {allowed}")]
    TooDeep {
        /// Deepest nesting allowed.
        allowed: u8,
    },
    /// Too many values in one message.
    #[error("more than {allowed} values")]
    TooManyValues {
        /// Values allowed.
        allowed: u32,
    },
    /// Too much memory for the size of the message.
    #[error("decoded values take more than {allowed} bytes")]
    TooMuchMemory {
        /// Bytes allowed for this message.
        allowed: usize,
    },
    /// A string value too long.
    #[error("string of {found} bytes, {allowed} allowed")]
    LongString {
        /// Length found, in bytes.
        found: usize,
        /// Length allowed, in bytes.
        allowed: u32,
    },
    /// A property name too long.
    #[error("property name of {found} bytes, {allowed} allowed")]
    LongKey {
        /// Length found, in bytes.
        found: usize,
        /// Length allowed, in bytes.
        allowed: u32,
    },
}

impl AmfError {
    /// Whether a limit was broken: then nothing of the message is to be used.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Short(_)
            | Self::Marker { .. }
            | Self::Amf3Marker { .. }
            | Self::Count { .. }
            | Self::Reference { .. }
            | Self::Externalizable => false,
            Self::TooDeep { .. }
            | Self::TooManyValues { .. }
            | Self::TooMuchMemory { .. }
            | Self::LongString { .. }
            | Self::LongKey { .. } => true,
        }
    }
}
