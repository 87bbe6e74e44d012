//! Refunds: money that goes back, all of a payment or a part.
//!
//! At most one refund of a payment is under way. It carries the balance that it starts from (I'mport's `checksum`), so
//! that sending it twice moves money once: the second finds another balance and is refused.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::id::{ImpUid, MerchantUid, SubscriptionId};
use super::won::Won;

/// A refund that was decided and isn't settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundIntent {
    /// How much goes back.
    pub amount: Won,
    /// What of the payment stood before.
    pub balance: Won,
    /// Why, for the record.
    pub reason: String,
    /// When it was decided.
    #[serde(with = "millisecond::required")]
    pub requested_at: Timestamp,
    /// When I'mport is asked next.
    #[serde(with = "millisecond::required")]
    pub due_at: Timestamp,
    /// How often I'mport was asked.
    pub tries: u32,
}

/// A refund in the ledger. Its identity is I'mport's cancellation id, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// The attempt that had been paid.
    pub merchant_uid: MerchantUid,
    /// I'mport's name for the payment.
    pub imp_uid: ImpUid,
    /// I'mport's name for the cancellation.
    pub cancellation_id: String,
    /// How much went back.
    pub amount: Won,
    /// When I'mport says that it did.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub refunded_at: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}
