//! Under construction.

pub mod amf0;
pub mod amf3;
pub mod caps;
pub mod chunk;
pub mod client;
pub mod error;
pub mod handshake;
pub mod message;
pub mod server;
pub mod url;

pub use error::Error;
