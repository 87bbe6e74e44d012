//! Which calls a fault strikes: by endpoint, `merchant_uid`, `customer_uid`, number of times, chance and time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Call, Fault},
    order::Order,
};

/// When a fault strikes. What is left out does not matter; an empty rule strikes every call that its fault fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// This call only.
    pub call: Option<Call>,
    /// Only where the `merchant_uid` contains this.
    pub merchant_uid: Option<String>,
    /// Only where the `customer_uid` contains this.
    pub customer_uid: Option<String>,
    /// So many times, then never again.
    pub times: Option<u32>,
    /// With this probability, 0 to 1, drawn from the seed.
    pub chance: Option<f64>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not at or after.
    pub until: Option<Timestamp>,
}

impl Rule {
    /// Strikes every call that the fault fits. Narrow it with the methods below.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            merchant_uid: None,
            customer_uid: None,
            times: None,
            chance: None,
            from: None,
            until: None,
        }
    }

    /// Strikes the next fitting call, once.
    pub fn once(call: Call, fault: Fault) -> Self {
        Self { call: Some(call), times: Some(1), ..Self::always(fault) }
    }

    /// Only this call.
    pub fn on(self, call: Call) -> Self {
        Self { call: Some(call), ..self }
    }

    /// Only so many times.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only where the `merchant_uid` contains this.
    pub fn merchant_uid(self, part: impl Into<String>) -> Self {
        Self { merchant_uid: Some(part.into()), ..self }
    }

    /// Only where the `customer_uid` contains this.
    pub fn customer_uid(self, part: impl Into<String>) -> Self {
        Self { customer_uid: Some(part.into()), ..self }
    }

    /// Only with this probability, 0 to 1.
    pub fn chance(self, chance: f64) -> Self {
        Self { chance: Some(chance), ..self }
    }

    /// Only in this span.
    pub fn between(self, from: Timestamp, until: Timestamp) -> Self {
        Self { from: Some(from), until: Some(until), ..self }
    }

    pub(crate) fn fits(&self, call: Call, about: &About, now: Timestamp) -> bool {
        let contains = |part: &Option<String>, whole: Option<&str>| {
            part.as_deref().is_none_or(|part| whole.is_some_and(|whole| whole.contains(part)))
        };
        self.fault.fits(call)
            && self.call.is_none_or(|only| only == call)
            && contains(&self.merchant_uid, about.merchant_uid.as_deref())
            && contains(&self.customer_uid, about.customer_uid.as_deref())
            && self.times != Some(0)
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// Whom a call is about, as far as it is known before its effect.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) merchant_uid: Option<String>,
    pub(crate) customer_uid: Option<String>,
}

impl About {
    pub(crate) fn order(order: &Order) -> Self {
        Self { merchant_uid: Some(order.merchant_uid.clone()), customer_uid: Some(order.customer_uid.clone()) }
    }
}
