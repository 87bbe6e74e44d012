//! A finding: a difference between I'mport's books and ours that no step can settle.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::id::{ImpUid, MerchantUid, SubscriptionId};
use super::repair::RepairAction;
use super::won::Won;

/// A difference of one payment, with both sides' facts as they were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whose, by the name of the payment. There may be no such subscription.
    pub subscription: SubscriptionId,
    /// Our name for the payment.
    pub merchant_uid: MerchantUid,
    /// I'mport's name for it.
    pub imp_uid: ImpUid,
    /// What differs.
    pub kind: FindingKind,
    /// For the operator, in words.
    pub detail: String,
    /// Our side; none where the ledger doesn't have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<Side>,
    /// I'mport's side; none where I'mport doesn't have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<Side>,
    /// When it was found.
    #[serde(with = "millisecond::required")]
    pub found_at: Timestamp,
    /// What an operator decided of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<RepairAction>,
}

/// What one side's books say of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How much was paid; 0 where it isn't whole won.
    pub amount: Won,
    /// How much of it went back.
    pub refunded: Won,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// I'mport was paid for a subscription that isn't there: lost with a restore, or another stack's of the same account.
    UnknownSubscription,
    /// I'mport was paid under a name that was never charged here, and not by the billing key: nobody owes us that.
    UnknownCharge,
    /// The ledger has a payment that I'mport doesn't.
    UnknownThere,
    /// The amount, the currency, the customer_uid or the usage isn't what was meant.
    Differs,
    /// Less went back at I'mport than the ledger says.
    RefundDiffers,
}

impl FindingKind {
    /// The word that the API and the table use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownSubscription => "unknown_subscription",
            Self::UnknownCharge => "unknown_charge",
            Self::UnknownThere => "unknown_there",
            Self::Differs => "differs",
            Self::RefundDiffers => "refund_differs",
        }
    }

    /// Whether nothing may be charged until a person has looked. Where somebody else than the billing key has paid, it may:
    /// or whoever knows the merchant's code could stop being charged.
    pub const fn stops_charging(self) -> bool {
        match self {
            Self::UnknownThere | Self::Differs | Self::RefundDiffers => true,
            Self::UnknownSubscription | Self::UnknownCharge => false,
        }
    }
}
