//! The client side of RTMP, without sockets: for the tests, the load tool and the relay.
//!
//! | file | what it holds |
//! |---|---|
//! | `address.rs` | an `rtmp://` URL, taken apart |
//! | `config.rs` | what to do and how to introduce oneself |
//! | `event.rs` | what a session reports, how it ends, how it fails |
//! | `session.rs` | `ClientSession`: steps from handshake to media, and the verbs of the host |
//! | `answer.rs` | what the server's commands and statuses do to the session |
//! | `command.rs` | the commands a client sends, as bytes |
//! | `flow.rs` | acknowledgements, windows, ping counting |
//!
//! PROTOCOL §7.1, §7.2.

mod address;
mod answer;
mod command;
mod config;
mod event;
mod flow;
mod session;
#[cfg(test)]
mod tests;

pub use address::{Address, AddressError};
pub use config::{Advert, ClientConfig, Role};
pub use event::{ClientError, ClientEvent, Ending, Status, Step};
pub use session::ClientSession;
