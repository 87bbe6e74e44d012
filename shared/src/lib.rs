//! Maedal: recurring billing over I'mport (PortOne V1).
//!
//! The crate has four parts, and knowledge flows one way:
//!
//! * [`subscription`]: the rules of the business. Pure: no I/O, no clock, no async.
//! * [`iamport`]: the client of I'mport's V1 REST API. Every outcome has a name.
//! * [`store`]: DynamoDB records of subscriptions, charges and plans.
//! * [`billing`]: the use cases, the only place where the three above meet.
//!
//! [`import`] reads what a merchant brings from elsewhere. [`pages`] shows a buyer what they came to; [`events`] says what a write of the table means to the merchant.
//!
//! Each function of the stack takes an event, runs one use case and answers. No file imports anything of a module that stands higher
//! than its own: `tests/one_way.rs` has them in order, and shows that.

pub mod aws;
pub mod billing;
pub mod bus;
pub mod clock;
pub mod config;
pub mod digest;
pub mod events;
pub mod iamport;
pub mod ids;
pub mod import;
pub mod key;
pub mod link;
pub mod metrics;
pub mod pages;
pub mod queue;
pub mod rotating;
pub mod secret;
pub mod site;
pub mod store;
pub mod subscription;
pub mod telemetry;
