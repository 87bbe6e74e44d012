//! What the simulator does, told by behaviour: one file per thing that a merchant deals with.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod cancel;
mod charge;
mod customer;
mod fault;
mod history;
mod journal;
mod log;
mod lookup;
mod merchant;
mod schedule;
mod server;
mod shape;
mod token;
mod webhook;
mod window;
