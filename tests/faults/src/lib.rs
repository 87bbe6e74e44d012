//! The proof that nobody is charged twice and nobody is forgotten, whatever fails, whenever: the real use cases over the real
//! clients, under virtual time, against I'mport's simulator and DynamoDB's emulator in the process. One seed is one history.
//!
//! What may happen, and within which bounds, is in [`fault`]; what must hold is in [`rules`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod actor;
pub mod bugs;
pub mod dice;
pub mod fault;
pub mod history;
pub mod log;
pub mod oracle;
pub mod people;
pub mod proof;
pub mod queue;
pub mod rules;
pub mod script;
pub mod shrink;
pub mod table;
pub mod time;
pub mod words;
pub mod world;
