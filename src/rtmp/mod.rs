//! Under construction.

pub mod handshake;
