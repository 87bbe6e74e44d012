//! A charge: one attempt to be paid for one period. The ledger of a subscription is its charges and refunds.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::Subscription;
use super::id::{CustomerId, CustomerUid, ImpUid, MerchantUid, PlanId, SubscriptionId};
use super::refund::RefundIntent;
use super::unknown::Unknown;
use super::won::Won;

/// What is about to be charged: stored before I'mport hears of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The period that it pays for.
    pub period: u32,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// The name that I'mport will know it by.
    pub merchant_uid: MerchantUid,
    /// How much, of money: what the period costs, less the credit.
    pub amount: Won,
    /// How much of the credit balance it uses.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub credit: Won,
    /// How much of the amount was too little to be charged before.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub carried: Won,
    /// What is too little to be charged now: the next charge is more by it.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub left: Won,
    /// The opening of the window that issued the billing key that it charges, 0 where that was imported: what becomes of it
    /// says nothing about any other key. Unknown in attempts of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// From here on it must not be sent any more: the period is over.
    #[serde(with = "millisecond::required")]
    pub until: Timestamp,
}

/// An attempt in the ledger, settled one way or the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// The period that it pays for.
    pub period: u32,
    /// Which attempt at it.
    pub attempt: u32,
    /// The name that I'mport knows it by.
    pub merchant_uid: MerchantUid,
    /// How much money was asked for.
    pub amount: Won,
    /// How much of the credit balance it uses, once settled.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub credit: Won,
    /// How much of the money was for what was too little to be charged before.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub carried: Won,
    /// What was too little to be charged: the next charge is more by it.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub left: Won,
    /// How much of it became credit again, when the plan was changed within the period.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub credited: Won,
    /// What came of it.
    #[serde(flatten)]
    pub status: ChargeStatus,
    /// When it entered the ledger as it is.
    #[serde(with = "millisecond::required")]
    pub settled_at: Timestamp,
    /// For a while nobody knew what had become of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_in_doubt: bool,
    /// The period was paid before: this payment goes back to the buyer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// I'mport has another payment of the same name, which entered the ledger before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub further: bool,
    /// How much of it went back.
    #[serde(default)]
    pub refunded: Won,
    /// A refund under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundIntent>,
    /// What it was for. The store fills it in as the charge enters the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
    /// It isn't what its attempt came to any more: what it came to stands in another place of the ledger. Kept, and not shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
    /// Where in the table it was read from; none where it wasn't.
    #[serde(default, rename = "sk", skip_serializing)]
    pub place: Option<String>,
    /// What a newer version has written into it.
    #[serde(skip)]
    pub unknown: Unknown,
}

/// What a charge was for, as of the write that settled it: so that whoever tells of a charge needs no second look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The subscription's version by that write.
    pub version: u64,
    /// The merchant's name for the buyer.
    pub customer_id: CustomerId,
    /// What I'mport keeps the billing key under.
    pub customer_uid: CustomerUid,
    /// The plan.
    pub plan: PlanId,
    /// Its version.
    pub plan_version: u32,
    /// What the buyer reads.
    pub name: String,
    /// When the period starts; unknown where the first one was declined.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When the next one does.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

impl Bill {
    /// For `period` of `subscription`, as it is written.
    pub fn of(subscription: &Subscription, period: u32) -> Self {
        Self {
            version: subscription.version,
            customer_id: subscription.customer_id.clone(),
            customer_uid: subscription.customer_uid.clone(),
            plan: subscription.plan.id.clone(),
            plan_version: subscription.plan.version,
            name: subscription.plan.terms.name.clone(),
            starts_at: subscription.start_of(period),
            ends_at: subscription.start_of(period.saturating_add(1)),
        }
    }
}

/// What came of an attempt, or of what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ChargeStatus {
    /// The money moved.
    Paid(Payment),
    /// It did not.
    Declined {
        /// The gateway's words.
        reason: String,
        /// I'mport's name for the attempt, where it made one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        imp_uid: Option<ImpUid>,
    },
    /// The credit balance covered all of it: no money moved, and I'mport knows nothing of it.
    Credited,
    /// It was paid where the subscription was before it was brought here. The buyer has it in the period, but no money of it
    /// can go back from here, none of it is in I'mport's books as ours, and none is income here.
    Imported,
}

impl ChargeStatus {
    /// The word that the API and the table use.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Paid(_) => "paid",
            Self::Declined { .. } => "declined",
            Self::Credited => "credited",
            Self::Imported => "imported",
        }
    }
}

/// A payment that I'mport has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// I'mport's name for it.
    pub imp_uid: ImpUid,
    /// When I'mport says that it was paid.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    /// The buyer's receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_url: Option<String>,
}

impl Charge {
    /// What became of `intent`, as it enters the ledger: nothing of it has gone back.
    pub(crate) fn of(
        subscription: SubscriptionId,
        intent: &Intent,
        status: ChargeStatus,
        settled_at: Timestamp,
    ) -> Self {
        Self {
            subscription,
            period: intent.period,
            attempt: intent.attempt,
            merchant_uid: intent.merchant_uid,
            amount: intent.amount,
            credit: intent.credit,
            carried: intent.carried,
            left: intent.left,
            credited: Won::ZERO,
            status,
            settled_at,
            was_in_doubt: false,
            duplicate: false,
            further: false,
            refunded: Won::ZERO,
            refund: None,
            bill: None,
            moved: false,
            place: None,
            unknown: Unknown::default(),
        }
    }

    /// The payment, where it was paid.
    pub fn payment(&self) -> Option<&Payment> {
        match &self.status {
            ChargeStatus::Paid(payment) => Some(payment),
            ChargeStatus::Declined { .. } | ChargeStatus::Credited | ChargeStatus::Imported => None,
        }
    }

    /// What of it stands: paid and not given back.
    pub fn standing(&self) -> Won {
        match &self.status {
            ChargeStatus::Paid(_) => self.amount.saturating_sub(self.refunded),
            ChargeStatus::Declined { .. } | ChargeStatus::Credited | ChargeStatus::Imported => Won::ZERO,
        }
    }

    /// Whether it paid for its period, with money or with credit.
    pub fn is_settled(&self) -> bool {
        match &self.status {
            ChargeStatus::Paid(_) | ChargeStatus::Credited | ChargeStatus::Imported => !self.duplicate,
            ChargeStatus::Declined { .. } => false,
        }
    }

    /// What the buyer has in its period: money that stands and credit, without what was for earlier ones and what became
    /// credit again.
    pub fn worth(&self) -> Won {
        match &self.status {
            ChargeStatus::Paid(_) | ChargeStatus::Credited => {
                (self.standing().saturating_sub(self.carried) + self.credit).saturating_sub(self.credited)
            }
            ChargeStatus::Imported => self.amount.saturating_sub(self.credited),
            ChargeStatus::Declined { .. } => Won::ZERO,
        }
    }

    /// How much money can go back: what stands, without what became credit.
    pub fn refundable(&self) -> Won {
        self.standing().min(self.worth())
    }

    /// Decides that `amount` goes back.
    pub fn give_back(&mut self, amount: Won, reason: &str, now: Timestamp) {
        let balance = self.standing();
        let reason = reason.to_owned();
        self.refund = Some(RefundIntent { amount, balance, reason, requested_at: now, due_at: now, tries: 0 });
    }
}
