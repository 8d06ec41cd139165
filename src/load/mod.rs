//! The load tool: publishers and players by the thousand, and whether each got everything.
//!
//! | file | what it holds |
//! |---|---|
//! | `flags`, `plan` | the command line, and the run it asks for |
//! | `run` | leads the threads through the phases, adds up, judges |
//! | `board` | what threads tell each other |
//! | `hand` | one thread with its connections |
//! | `publisher`, `player`, `idle` | one connection each |
//! | `film` | what is shown: `made` here, or a `tape` read from an `flv` file |
//! | `mark`, `record` | what is in a made message; codec settings |
//! | `verify`, `lane` | whether a player got it; which messages of a kind came |
//! | `fault`, `loss` | what a player can find wrong; all that can go wrong |
//! | `silence` | whether a player gets nothing although its stream goes on |
//! | `wire`, `delay` | where messages end in a player's bytes; how long things take |
//! | `dial`, `procfs`, `clock` | sockets and limits; the server's processes; time |
//! | `bare` | a yardstick: the least a server can do |
//! | `report`, `table`, `chart` | what was found: for programs, for people, as a picture |
//!
//! Invariants: a verdict is built on comparison, not on trust: a few players of each stream check
//! every bit, and the others are compared with them by the byte. Only loopback addresses are
//! loaded unless the caller says otherwise.

pub mod bare;
pub mod board;
pub mod chart;
pub mod clock;
pub mod delay;
pub mod dial;
pub mod fault;
pub mod film;
pub mod flags;
pub mod flv;
pub mod hand;
pub mod idle;
mod lane;
pub mod loss;
pub mod made;
pub mod mark;
pub mod plan;
pub mod player;
pub mod procfs;
pub mod publisher;
pub mod record;
pub mod report;
pub mod run;
mod silence;
pub mod table;
pub mod tape;
pub mod verify;
#[cfg(test)]
mod verify_tests;
pub mod wire;
