//! What a player that knows less than the publisher is sent.
use super::Tag;

/// What becomes of a message for a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Send the payload as it is.
    Same,
    /// Send these bytes instead.
    Rewritten(Vec<u8>),
    /// Send nothing: the player cannot use it.
    Nothing,
}

/// What a player that announced nothing can take.
#[must_use]
pub fn plain(_tag: &Tag, _payload: &[u8]) -> Plain {
    Plain::Same
}

/// The message without its ModEx wrappers (M-66).
#[must_use]
pub fn without_mod_ex(_tag: &Tag, _payload: &[u8]) -> Plain {
    Plain::Same
}
