//! Looking up and deleting billing keys: `/subscribe/customers`. For an unknown `customer_uid` clients have seen HTTP
//! 200 with `code` 1, where PortOne documents a 404; the simulator answers what clients have seen.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    billing_key::BillingKey,
    channel::Channel,
    envelope::Envelope,
    order::Buyer,
    params::{Params, missing},
    simulator::Simulator,
};

impl Simulator {
    /// `GET /subscribe/customers/{customer_uid}`
    pub(crate) fn customer(&self, customer_uid: &str) -> Result<Envelope, Envelope> {
        let key = self.books.keys.get(customer_uid).ok_or_else(|| no_key(customer_uid))?;
        Ok(Envelope::ok(key.to_json()))
    }

    /// `DELETE /subscribe/customers/{customer_uid}`
    pub(crate) fn delete_customer(&mut self, customer_uid: &str) -> Result<Envelope, Envelope> {
        let key = self.books.keys.remove(customer_uid).ok_or_else(|| no_key(customer_uid))?;
        Ok(Envelope::ok(key.to_json()))
    }

    /// `GET /subscribe/customers?customer_uid[]=..`: none found is an empty list.
    pub(crate) fn customers(&self, params: &Params) -> Result<Envelope, Envelope> {
        let asked = params.texts("customer_uid");
        if asked.is_empty() {
            return Err(missing("customer_uid"));
        }
        let found: Vec<Value> = asked
            .iter()
            .filter_map(|customer_uid| self.books.keys.get(customer_uid))
            .map(BillingKey::to_json)
            .collect();
        let some_missing = !found.is_empty() && found.len() < asked.len();
        Ok(if some_missing { Envelope::partial(found.into()) } else { Envelope::ok(found.into()) })
    }

    /// The buyer ends the agreement in CHAI's app. I'mport is not told. `false`: there is no such key.
    pub fn end_key_at_gateway(&mut self, customer_uid: &str) -> bool {
        match self.books.keys.get_mut(customer_uid) {
            Some(key) => {
                key.ended_at_gateway = true;
                true
            }
            None => false,
        }
    }

    /// Stores a billing key under its `customer_uid`, in place of the one that may be there.
    pub(crate) fn store_key(&mut self, customer_uid: String, channel: Channel, buyer: Buyer, now: Timestamp) {
        let inserted = self.books.key(&customer_uid).map_or(now, |old| old.inserted);
        let key = BillingKey { customer_uid, channel, buyer, inserted, updated: now, ended_at_gateway: false };
        self.books.keys.insert(key.customer_uid.clone(), key);
    }

    /// Puts a key in place without a window, as if it had been issued before this history begins.
    pub fn seed_key(&mut self, customer_uid: &str, now: Timestamp) {
        let channel = self.channel(None, "trans");
        self.store_key(customer_uid.into(), channel, Buyer::default(), now);
    }
}

/// HTTP 200 and code 1, as clients have seen it; the schema has 404.
fn no_key(customer_uid: &str) -> Envelope {
    Envelope::refused(1, format!("요청하신 customer_uid({customer_uid})로 등록된 정보를 찾을 수 없습니다."))
}
