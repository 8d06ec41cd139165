//! Application, stream name and tcUrl of a client, normalised once to one stream name.
//!
//! Invariant: two clients given the same URL end at the same [`StreamName`], whichever way they
//! cut it. PROTOCOL C-13 to C-15, C-61; INTEROP 22 to 26; names: RELIABILITY §4.

/// Why a name cannot be used. The text is a sentence for the broadcaster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Fewer than two parts.
    #[error("the address needs an application and a stream name, like rtmp://host/live/camera")]
    Incomplete,
}
