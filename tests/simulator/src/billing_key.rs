//! Billing keys, as `/subscribe/customers` shows them: I'mport keeps one under each `customer_uid`, and the merchant
//! never sees the key itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{channel::Channel, order::Buyer};

/// A billing key: what lets a merchant charge a `customer_uid` without the buyer.
#[derive(Clone, Debug)]
pub struct BillingKey {
    /// The merchant's name for it.
    pub customer_uid: String,
    /// Where it was issued and is charged.
    pub channel: Channel,
    /// Who it was issued to.
    pub buyer: Buyer,
    /// When a key was first stored under this `customer_uid`.
    pub inserted: Timestamp,
    /// When the present one was.
    pub updated: Timestamp,
    /// The buyer ended it at CHAI. I'mport does not know: it still shows the key, and charges are declined.
    pub ended_at_gateway: bool,
}

impl BillingKey {
    /// The Customer object of the REST API. Card fields are null: CHAI debits bank accounts.
    pub fn to_json(&self) -> Value {
        json!({
            "customer_uid": self.customer_uid,
            "pg_provider": self.channel.pg_provider,
            "pg_id": self.channel.pg_id,
            "sandbox": self.channel.sandbox,
            "customer_id": null,
            "card_name": null,
            "card_code": null,
            "card_issuer_code": null,
            "card_issuer_name": null,
            "card_publisher_code": null,
            "card_publisher_name": null,
            "card_number": null,
            "card_type": null,
            "customer_name": self.buyer.name,
            "customer_tel": self.buyer.tel,
            "customer_email": self.buyer.email,
            "customer_addr": self.buyer.addr,
            "customer_postcode": self.buyer.postcode,
            "inserted": self.inserted.as_second(),
            "updated": self.updated.as_second(),
        })
    }
}
