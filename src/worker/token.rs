//! `Token` ⇄ what it stands for: the bell, a listener, or a connection with its generation.
//!
//! Invariant: generation in the high half, slab index in the low half; the highest generation is
//! never given to a connection, so the reserved tokens cannot be mistaken for one. A stale event
//! for a reused place finds another generation and does nothing (DESIGN §5.1).

use mio::Token;

/// Wakes the worker for mail.
pub const BELL: Token = Token(usize::MAX);

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Bell,
    Listener(usize),
    Conn { index: u32, generation: u32 },
}

/// The token of the `n`th listener.
pub(super) fn listener(n: usize) -> Token {
    Token(usize::MAX - 1 - n)
}

/// The token of a connection.
pub(super) fn conn(index: u32, generation: u32) -> Token {
    let high = u64::from(generation % GENERATIONS) << 32;
    Token(usize::try_from(high | u64::from(index)).unwrap_or(0))
}

/// The generation after `generation`.
pub(super) fn next_generation(generation: u32) -> u32 {
    (generation + 1) % GENERATIONS
}

/// What `token` stands for.
pub(super) fn source(token: Token) -> Source {
    if token == BELL {
        return Source::Bell;
    }
    let bits = token.0 as u64;
    let generation = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    if generation == u32::MAX {
        return Source::Listener(usize::MAX - 1 - token.0);
    }
    let index = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    Source::Conn { index, generation }
}

/// Generations in use: one less than the half can hold.
const GENERATIONS: u32 = u32::MAX;

const _: () = assert!(size_of::<usize>() == 8, "a token holds two 32-bit halves");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_token_comes_back_as_what_it_was() {
        assert_eq!(source(BELL), Source::Bell);
        for n in [0, 1, 31] {
            assert_eq!(source(listener(n)), Source::Listener(n));
        }
        for (index, generation) in [(0, 0), (7, 3), (u32::MAX, u32::MAX - 1)] {
            assert_eq!(source(conn(index, generation)), Source::Conn { index, generation });
        }
    }

    #[test]
    fn a_generation_never_reaches_the_reserved_half() {
        assert_eq!(next_generation(u32::MAX - 1), 0);
        assert_eq!(next_generation(4), 5);
    }
}
