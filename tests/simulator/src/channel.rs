//! The payment gateway and the merchant's id there, read from the `pg` of a payment window's request.

use serde::Serialize;

use crate::simulator::Simulator;

/// The payment gateway behind a payment or a billing key.
#[derive(Clone, Debug, Serialize)]
pub struct Channel {
    /// `pc` for a window, `api` for a charge without one.
    pub medium: &'static str,
    /// e.g. `chai`.
    pub pg_provider: String,
    /// The merchant's id at the gateway.
    pub pg_id: String,
    /// e.g. `trans`.
    pub pay_method: String,
    /// Whether it is a test channel.
    pub sandbox: bool,
}

impl Simulator {
    /// The channel for a `pg` of the form `chai` or `chai.{merchant's id at the gateway}`.
    pub(crate) fn channel(&self, pg: Option<&str>, pay_method: &str) -> Channel {
        let (pg_provider, pg_id) = match pg.unwrap_or("chai").split_once('.') {
            Some((provider, id)) => (provider, id),
            None => (pg.unwrap_or("chai"), "simulated_shop"),
        };
        Channel {
            medium: "pc",
            pg_provider: pg_provider.into(),
            pg_id: pg_id.into(),
            pay_method: pay_method.into(),
            sandbox: self.config.sandbox,
        }
    }
}
