//! What I'mport says of a payment. Fields and values that we don't know are passed over, as its documentation asks.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use crate::subscription::Won;

/// A payment as I'mport shows it. Only the fields that a decision hangs on; source: PortOne V1 OpenAPI.
#[derive(Debug, Clone, Deserialize)]
pub struct IamportPayment {
    /// I'mport's name for it, 1 to 32 characters.
    pub imp_uid: String,
    /// Our name for it.
    #[serde(default, deserialize_with = "or_default")]
    pub merchant_uid: String,
    amount: Number,
    #[serde(default)]
    cancel_amount: Option<Number>,
    /// Three letters; `KRW` for all that we charge.
    #[serde(default, deserialize_with = "or_default")]
    pub currency: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Whose billing key.
    #[serde(default)]
    pub customer_uid: Option<String>,
    /// What the billing key was used for; none for an ordinary payment.
    #[serde(default)]
    pub customer_uid_usage: Option<Usage>,
    /// The gateway.
    #[serde(default)]
    pub pg_provider: Option<String>,
    /// Unix seconds; 0 where it wasn't paid.
    #[serde(default, deserialize_with = "or_default")]
    paid_at: i64,
    /// The gateway's words on a failure.
    #[serde(default)]
    pub fail_reason: Option<String>,
    /// The buyer's receipt.
    #[serde(default)]
    pub receipt_url: Option<String>,
    /// Every cancellation of it, whole or partial.
    #[serde(default, deserialize_with = "or_default")]
    pub cancel_history: Vec<Cancellation>,
}

/// Where a payment stands. A partly cancelled one is `cancelled`, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentStatus {
    /// The window is open, or was left: nothing is decided.
    Ready,
    /// The money moved.
    Paid,
    /// It moved, and all or a part of it went back.
    Cancelled,
    /// It did not move.
    Failed,
    /// A value that is newer than this code: nothing is known.
    Other(String),
}

impl<'de> Deserialize<'de> for PaymentStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "ready" => Self::Ready,
            "paid" => Self::Paid,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            _ => Self::Other(word),
        })
    }
}

/// What a billing key was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Usage {
    /// To issue it: no money moves.
    Issue,
    /// To charge.
    Payment,
    /// To charge on I'mport's own schedule.
    Scheduled,
    /// A value that is newer than this code.
    Other(String),
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "issue" => Self::Issue,
            "payment" => Self::Payment,
            "payment.scheduled" => Self::Scheduled,
            _ => Self::Other(word),
        })
    }
}

/// One cancellation of a payment.
#[derive(Debug, Clone, Deserialize)]
pub struct Cancellation {
    amount: Number,
    /// The gateway's name for it.
    #[serde(default, deserialize_with = "or_default")]
    pub pg_tid: String,
    /// I'mport's name for it; older ones have none.
    #[serde(default)]
    pub cancellation_id: Option<String>,
    /// Unix seconds.
    #[serde(default, deserialize_with = "or_default")]
    cancelled_at: i64,
    /// Why.
    #[serde(default, deserialize_with = "or_default")]
    pub reason: String,
}

impl Cancellation {
    /// How much went back; `None` where it isn't whole won.
    pub fn amount(&self) -> Option<Won> {
        Won::from_number(&self.amount)
    }

    /// When.
    pub fn cancelled_at(&self) -> Option<Timestamp> {
        moment(self.cancelled_at)
    }
}

impl IamportPayment {
    /// How much was paid; `None` where it isn't whole won, which no charge of ours is.
    pub fn amount(&self) -> Option<Won> {
        Won::from_number(&self.amount)
    }

    /// How much of it went back.
    pub fn cancel_amount(&self) -> Won {
        self.cancel_amount.as_ref().and_then(Won::from_number).unwrap_or(Won::ZERO)
    }

    /// Whether not all of it went back.
    pub fn stands(&self) -> bool {
        self.was_paid() && self.amount().is_none_or(|amount| amount > self.cancel_amount())
    }

    /// When it was paid.
    pub fn paid_at(&self) -> Option<Timestamp> {
        moment(self.paid_at)
    }

    /// Whether it says neither whose billing key was used nor what for.
    pub fn names_no_key(&self) -> bool {
        self.customer_uid.is_none() && self.customer_uid_usage.is_none()
    }

    /// Whether money moved from the buyer, even if it went back since.
    pub fn was_paid(&self) -> bool {
        match self.status {
            PaymentStatus::Paid => true,
            // A window that was left may end as cancelled without ever having been paid.
            PaymentStatus::Cancelled => self.paid_at > 0 || self.cancel_amount() > Won::ZERO,
            PaymentStatus::Ready | PaymentStatus::Failed | PaymentStatus::Other(_) => false,
        }
    }
}

fn moment(unix_seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(unix_seconds).ok().filter(|_| unix_seconds > 0)
}

/// I'mport writes `null` where a value is missing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payment(changed: &Value) -> IamportPayment {
        let mut payment = json!({ "imp_uid": "imp_1", "amount": 9_900, "status": "paid" });
        payment.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        serde_json::from_value(payment).unwrap()
    }

    #[test]
    fn a_cancellation_was_paid_where_it_says_when_or_what_went_back() {
        let was_paid = |paid_at: i64, cancel_amount: u64| {
            let cancelled = json!({ "status": "cancelled", "paid_at": paid_at, "cancel_amount": cancel_amount });
            payment(&cancelled).was_paid()
        };
        assert!(was_paid(1_795_395_600, 0));
        assert!(was_paid(0, 100));
        assert!(!was_paid(0, 0), "a window that was left");
    }

    #[test]
    fn it_stands_until_all_of_it_went_back() {
        let stands = |cancel_amount: u64| {
            payment(&json!({ "status": "cancelled", "paid_at": 1, "cancel_amount": cancel_amount })).stands()
        };
        assert!(stands(0) && stands(9_899));
        assert!(!stands(9_900));
        assert!(!payment(&json!({ "status": "failed" })).stands());
    }
}
