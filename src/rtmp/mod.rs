//! Under construction.

pub mod caps;
pub mod chunk;
pub mod error;
pub mod handshake;
pub mod message;
pub mod server;
pub mod url;

pub use error::Error;
