//! A finding: a difference between I'mport's books and ours that no step can settle.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::id::{ImpUid, MerchantUid, SubscriptionId};
use super::repair::RepairAction;
use super::won::Won;

/// A difference of one payment, with both sides' facts as they were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whose, by the name of the payment, or by the billing key that it charged. There may be no such subscription.
    pub subscription: SubscriptionId,
    /// What the payment is called.
    pub merchant_uid: PaymentName,
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

/// What a payment is called at I'mport: by us, or by whoever else uses the account. A plain text either way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PaymentName {
    /// A name that this stack makes.
    Ours(MerchantUid),
    /// Any other; up to 40 characters (PortOne V1 OpenAPI).
    Foreign(String),
}

impl PaymentName {
    /// The name, where it is one of ours.
    pub const fn ours(&self) -> Option<MerchantUid> {
        match self {
            Self::Ours(name) => Some(*name),
            Self::Foreign(_) => None,
        }
    }
}

impl From<MerchantUid> for PaymentName {
    fn from(name: MerchantUid) -> Self {
        Self::Ours(name)
    }
}

impl fmt::Display for PaymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(name) => name.fmt(f),
            Self::Foreign(name) => f.write_str(name),
        }
    }
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
    /// The subscription's billing key was charged under a name that isn't ours: by a schedule of I'mport's own that was left
    /// over, or by another system of the merchant's. The buyer may be paying twice.
    ForeignCharge,
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
            Self::ForeignCharge => "foreign_charge",
            Self::UnknownThere => "unknown_there",
            Self::Differs => "differs",
            Self::RefundDiffers => "refund_differs",
        }
    }

    /// Whether nothing may be charged until a person has looked. Where somebody else than the billing key has paid, it may:
    /// or whoever knows the merchant's code could stop being charged. So it may where another system charges the same key:
    /// what is owed here is owed all the same.
    pub const fn stops_charging(self) -> bool {
        match self {
            Self::UnknownThere | Self::Differs | Self::RefundDiffers => true,
            Self::UnknownSubscription | Self::UnknownCharge | Self::ForeignCharge => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_text_whoever_made_it() {
        let ours = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7C00002001";
        for (text, is_ours) in [(ours, true), ("old-shop-2026-12", false), ("", false)] {
            let name: PaymentName = serde_json::from_value(text.into()).unwrap();
            assert_eq!((name.to_string().as_str(), name.ours().is_some()), (text, is_ours));
            assert_eq!(serde_json::to_value(&name).unwrap(), text);
        }
    }

    #[test]
    fn a_finding_of_before_reads_as_it_was_meant() {
        let text = r#"{"subscription":"01KB3Q0QZ8W3V5T7Y9A1C3E5G7","merchant_uid":"01KB3Q0QZ8W3V5T7Y9A1C3E5G7C00002001",
            "imp_uid":"imp_1","kind":"unknown_charge","detail":"d","there":{"amount":9900,"refunded":0},"found_at":0}"#;
        let finding: Finding = serde_json::from_str(text).unwrap();
        assert_eq!(finding.merchant_uid.ours(), Some(MerchantUid::charge(finding.subscription, 2, 1)));
    }
}
