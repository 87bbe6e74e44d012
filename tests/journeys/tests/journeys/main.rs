//! End-to-end tests, by what a person or a machine does. One binary, so that the stack is linked once.

#![allow(clippy::unwrap_used)]

mod charge;
mod commands;
mod crash;
mod dispatch;
mod dunning;
mod erase;
mod events;
mod import;
mod kill_switch;
mod manage_api;
mod names;
mod outage;
mod reconcile;
mod repair;
mod sample_shop;
mod secrets;
mod seen;
mod subscribe;
mod upgrade;
mod webhook;
mod webhook_bodies;
mod webhook_orders;
