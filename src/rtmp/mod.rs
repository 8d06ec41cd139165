//! Under construction.

pub mod amf0;
pub mod amf3;
pub mod handshake;
