//! What one message may still cost to decode.
//!
//! Invariant: charged before the memory is taken; `values_left` and `bytes_left` only fall.
//! RELIABILITY §3.1 A6 (4 × the input + 64 KiB) and §4 (depth, values, strings, names).

use super::error::AmfError;
use super::value::Value;
use crate::limits::AmfLimits;

/// The remaining budget of one message.
#[derive(Debug)]
pub(in crate::rtmp) struct Budget {
    limits: AmfLimits,
    values_left: u32,
    /// Bytes of values that may still be made, ≤ `bytes_max`.
    bytes_left: usize,
    bytes_max: usize,
}

impl Budget {
    /// The budget of a message of `len` bytes.
    pub(in crate::rtmp) fn new(limits: &AmfLimits, len: usize) -> Self {
        // Half of the promise, because a growing Vec holds up to twice what is in it.
        let bytes_max = len.saturating_mul(2).saturating_add(32 << 10);
        let limits = AmfLimits {
            depth_max: limits.depth_max.min(DEPTH_CEILING),
            ..*limits
        };
        Self {
            limits,
            values_left: limits.values_max,
            bytes_left: bytes_max,
            bytes_max,
        }
    }

    /// Pays for one value.
    pub(in crate::rtmp) fn value(&mut self) -> Result<(), AmfError> {
        let allowed = self.limits.values_max;
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(AmfError::TooManyValues { allowed })?;
        self.memory(size_of::<Value<'_>>())
    }

    /// Pays for `bytes` of tables beside the values.
    pub(in crate::rtmp) fn memory(&mut self, bytes: usize) -> Result<(), AmfError> {
        let allowed = self.bytes_max;
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes)
            .ok_or(AmfError::TooMuchMemory { allowed })?;
        Ok(())
    }

    /// The depth inside a container that stands at `depth`.
    pub(in crate::rtmp) fn deeper(&self, depth: u8) -> Result<u8, AmfError> {
        let allowed = self.limits.depth_max;
        let inner = depth.checked_add(1).filter(|inner| *inner <= allowed);
        inner.ok_or(AmfError::TooDeep { allowed })
    }

    /// Checks the length of a string value, before it is read.
    pub(in crate::rtmp) fn string(&self, len: u32) -> Result<usize, AmfError> {
        let allowed = self.limits.string_bytes_max;
        let found = usize::try_from(len).unwrap_or(usize::MAX);
        if len > allowed {
            Err(AmfError::LongString { found, allowed })
        } else {
            Ok(found)
        }
    }

    /// Checks the length of a property name.
    pub(in crate::rtmp) fn key(&self, found: usize) -> Result<usize, AmfError> {
        let allowed = self.limits.key_bytes_max;
        let fits = u32::try_from(found).is_ok_and(|len| len <= allowed);
        if fits {
            Ok(found)
        } else {
            Err(AmfError::LongKey { found, allowed })
        }
    }
}

/// Deepest nesting whatever the limits say: decoding recurses, and this many levels fit 128 KiB.
const DEPTH_CEILING: u8 = 32;
