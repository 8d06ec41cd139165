//! Under construction.

pub mod amf0;
pub mod amf3;
pub mod chunk;
pub mod client;
pub mod error;
pub mod handshake;
pub mod message;

pub use error::Error;
