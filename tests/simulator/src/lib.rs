//! A stand-in for I'mport (아임포트, PortOne V1) that can misbehave: its REST API for billing keys, its JS SDK, a CHAI
//! payment window, webhooks, and a [`FaultPlan`].
//!
//! The core, [`Simulator`], has no clock, no I/O and no async: its books, a request and a time give a reply and the
//! webhooks to send. So it also runs inside a test under virtual time, where one seed is one history. [`serve`] puts
//! it behind a socket.
//!
//! ```
//! use jiff::Timestamp;
//! use simulator::{Call, Config, Fault, Rule, Simulator};
//!
//! let now = Timestamp::UNIX_EPOCH;
//! let mut simulator = Simulator::new(Config::default());
//! simulator.seed_key("buyer", now);
//! simulator.faults().add(Rule::once(Call::Token, Fault::CutBeforeEffect));
//!
//! let form = "imp_key=simulated_key&imp_secret=simulated_secret";
//! let request = http::Request::post("/users/getToken")
//!     .header("content-type", "application/x-www-form-urlencoded")
//!     .body(form.into())?;
//! assert!(simulator.handle(&request, now).answer().is_none());
//! assert!(simulator.handle(&request, now).answer().is_some());
//! # Ok::<(), http::Error>(())
//! ```
//!
//! What it answers follows the PortOne V1 OpenAPI and, where that is silent, what public clients and their tests have
//! seen. Words that are only ours are said to be so.

mod billing_key;
mod books;
mod cancel;
mod channel;
mod charge;
mod config;
mod console;
mod control;
mod customer;
mod envelope;
mod fault;
mod fault_plan;
mod ids;
mod incoming;
mod journal;
mod log;
mod lookup;
mod order;
mod params;
mod payment;
mod reply;
mod route;
mod rule;
mod schedule;
mod server;
mod simulator;
mod spoil;
mod token;
mod webhook;
mod window;

pub use billing_key::BillingKey;
pub use books::{Books, Totals};
pub use channel::Channel;
pub use config::{Config, WebhookFormat};
pub use fault::{Call, Fault, Nonsense};
pub use fault_plan::FaultPlan;
pub use journal::Exchange;
pub use log::Log;
pub use order::{Buyer, Order};
pub use payment::{Cancellation, Payment, Status, Usage};
pub use reply::{Outcome, Reply};
pub use rule::Rule;
pub use schedule::Schedule;
pub use server::{Clock, WebhookClient, deliver_due, serve, serve_logged, serve_without_webhooks};
pub use simulator::Simulator;
pub use webhook::{RESEND_AFTER, Webhook};
