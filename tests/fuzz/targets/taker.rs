//! `Taker`: small decisions from the front of an input, the rest is payload.
//!
//! Invariant: never fails; where the input has ended every decision is 0 and every piece empty.

use std::hash::{DefaultHasher, Hash, Hasher};

pub struct Taker<'a> {
    pub rest: &'a [u8],
}

impl<'a> Taker<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn u16(&mut self) -> u16 {
        u16::from(self.u8()) << 8 | u16::from(self.u8())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// As many of `count` bytes as there are.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (piece, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        piece
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Lengths to cut a byte stream by: a count below 64, then as many codes. Below 128 a code is a
/// length in bytes, 0 everything; above, 16 bytes each. They are used over and over.
pub struct Cuts<'a> {
    codes: &'a [u8],
    at: usize,
}

impl<'a> Cuts<'a> {
    pub fn take(taker: &mut Taker<'a>) -> Self {
        let count = usize::from(taker.u8() % 64);
        Self {
            codes: taker.bytes(count),
            at: 0,
        }
    }

    /// The next piece of `stream`, never empty unless that is.
    pub fn piece(&mut self, stream: &mut &'a [u8]) -> &'a [u8] {
        let code = match self.codes.len() {
            0 => 0,
            len => self.codes[self.at % len],
        };
        self.at += 1;
        let len = match code {
            0 => stream.len(),
            1..128 => usize::from(code),
            _ => (usize::from(code) - 127) * 16,
        };
        let (piece, rest) = stream.split_at(len.min(stream.len()));
        *stream = rest;
        piece
    }
}

/// What happened, as a number: so that two runs can be compared without keeping either.
#[derive(Default)]
pub struct Digest {
    hasher: DefaultHasher,
    pub things: usize,
}

impl Digest {
    pub fn add(&mut self, thing: impl Hash) {
        thing.hash(&mut self.hasher);
        self.things += 1;
    }

    pub fn value(&self) -> (usize, u64) {
        (self.things, self.hasher.finish())
    }
}
