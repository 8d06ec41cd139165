//! Under construction.

pub mod chunk;
pub mod error;
pub mod message;

pub use error::Error;
