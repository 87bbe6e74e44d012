//! The sandbox: the whole stack on one machine, with embedded DynamoDB and an I'mport stand-in. No account, no Docker.
//!
//! [`Stack`] is also what the journeys test against.

pub mod backup;
pub mod books;
pub mod buyer;
mod claim;
pub mod console;
pub mod crowd;
mod due;
pub mod gateway;
pub mod ink;
pub mod lambda;
pub mod outbox;
pub mod play;
pub mod queue;
pub mod shop;
pub mod stack;
pub mod time;

pub use books::Report;
pub use claim::Claim;
pub use stack::{Options, Stack, StartError};
