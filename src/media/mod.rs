//! One media message, ready for every player.
//!
//! | file | what it holds |
//! |---|---|
//! | `frame` | [`Frame`]: a message encoded once, shared by every player |
//! | `gather` | [`Gather`]: slices of frames on their way into one `writev` |
//! | `taste` | [`Taste`]: which frames a player can take, and in which form |
//! | `timeline` | [`Timeline`]: the timestamps of one stream, repaired once |
//! | `headers` | [`Headers`]: metadata and sequence headers that a late joiner needs first |
//! | `known` | [`Known`]: which of those a player has already |

mod frame;
mod gather;
mod headers;
mod known;
mod taste;
mod timeline;

pub use frame::{Frame, Heads, Lane, Stamp, Traits};
pub use gather::Gather;
pub use headers::Headers;
pub use known::Known;
pub use taste::Taste;
pub use timeline::{Resume, Timeline};
