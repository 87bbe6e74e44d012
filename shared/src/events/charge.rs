//! What a change of a charge in the ledger means.

use jiff::Timestamp;
use serde::Serialize;

use super::subscription::{Period, PlanFacts, SubscriptionFacts};
use super::{DomainEvent, Kind};
use crate::subscription::{Charge, ChargeStatus, ImpUid, Intent, MerchantUid, Subscription, Won};

/// What an event tells of a charge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChargeFacts {
    /// The name that I'mport knows the attempt by.
    pub merchant_uid: MerchantUid,
    /// I'mport's name for the payment, where it made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imp_uid: Option<ImpUid>,
    /// How much was asked for.
    pub amount: Won,
    /// How much of it went back so far.
    pub refunded: Won,
    /// What it pays for.
    pub period: Period,
    /// Which attempt at the period, from 1.
    pub attempt: u32,
    /// When I'mport says that it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    /// The buyer's receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_url: Option<String>,
    /// How much of it the credit balance paid, beside the amount.
    #[serde(skip_serializing_if = "Won::is_zero")]
    pub credit: Won,
    /// Why it was declined, in the gateway's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_reason: Option<String>,
    /// For a while nobody knew what had become of it.
    pub was_in_doubt: bool,
    /// It bought nothing, and goes back.
    pub duplicate: bool,
}

impl ChargeFacts {
    fn of(charge: &Charge) -> Self {
        let bill = charge.bill.as_ref();
        let (imp_uid, decline_reason) = match &charge.status {
            ChargeStatus::Paid(payment) => (Some(payment.imp_uid.clone()), None),
            ChargeStatus::Declined { reason, imp_uid } => (imp_uid.clone(), Some(reason.clone())),
            ChargeStatus::Credited | ChargeStatus::Imported => (None, None),
        };
        Self {
            merchant_uid: charge.merchant_uid,
            imp_uid,
            amount: charge.amount,
            credit: charge.credit,
            refunded: charge.refunded,
            period: Period {
                number: charge.period,
                starts_at: bill.and_then(|bill| bill.starts_at),
                ends_at: bill.and_then(|bill| bill.ends_at),
            },
            attempt: charge.attempt,
            paid_at: charge.payment().and_then(|payment| payment.paid_at),
            receipt_url: charge.payment().and_then(|payment| payment.receipt_url.clone()),
            decline_reason,
            was_in_doubt: charge.was_in_doubt,
            duplicate: charge.duplicate,
        }
    }

    /// An attempt that isn't in the ledger yet.
    pub(super) fn in_doubt(subscription: &Subscription, intent: &Intent) -> Self {
        Self {
            merchant_uid: intent.merchant_uid,
            imp_uid: None,
            amount: intent.amount,
            credit: intent.credit,
            refunded: Won::ZERO,
            period: Period::of(subscription, intent.period),
            attempt: intent.attempt,
            paid_at: None,
            receipt_url: None,
            decline_reason: None,
            was_in_doubt: true,
            duplicate: false,
        }
    }
}

pub(super) fn events(old: Option<&Charge>, new: &Charge, written_at: Timestamp) -> Vec<DomainEvent> {
    // What it came to stands elsewhere, and is told of there.
    if new.moved {
        return Vec::new();
    }
    let bill = new.bill.as_ref();
    let version = bill.map_or(0, |bill| bill.version);
    // A further payment of the same name has its own place in the ledger, and so its own name here.
    let further = new.payment().filter(|_| new.further).map(|payment| format!("-{}", payment.imp_uid));
    // What has left the place was told of, perhaps by the same name: what takes it is news, by an id of its own.
    let taken = old.filter(|old| old.moved).map_or_else(String::new, |_| format!("-v{version}"));
    let old = old.filter(|old| !old.moved);
    let place = format!("{}{}", new.merchant_uid, further.unwrap_or_default());
    let event = |kind: Kind, nth: &str, refund: Option<Won>| DomainEvent {
        id: format!("{place}-{}{nth}{taken}", kind.word().trim_start_matches("charge.")),
        kind,
        version,
        occurred_at: written_at,
        subscription: SubscriptionFacts {
            customer_id: bill.map(|bill| bill.customer_id.clone()),
            customer_uid: bill.map(|bill| bill.customer_uid.clone()),
            plan: bill.map(PlanFacts::of_bill),
            ..SubscriptionFacts::named(new.subscription)
        },
        charge: Some(ChargeFacts::of(new)),
        refund,
        finding: None,
    };
    let mut events = Vec::new();
    match (&new.status, old.map(|old| &old.status)) {
        (ChargeStatus::Paid(_), Some(ChargeStatus::Paid(_)))
        | (ChargeStatus::Declined { .. } | ChargeStatus::Credited, Some(_))
        // It was paid elsewhere, and told of there.
        | (ChargeStatus::Imported, Some(_) | None) => (),
        (
            ChargeStatus::Paid(_),
            Some(ChargeStatus::Declined { .. } | ChargeStatus::Credited | ChargeStatus::Imported) | None,
        ) => {
            events.push(event(Kind::ChargePaid, "", None));
        }
        (ChargeStatus::Credited, None) => events.push(event(Kind::ChargeCredited, "", None)),
        (ChargeStatus::Declined { .. }, None) => events.push(event(Kind::ChargeDeclined, "", None)),
    }
    if new.duplicate && !old.is_some_and(|old| old.duplicate) {
        events.push(event(Kind::ChargeDuplicate, "", None));
    }
    let before = old.map_or(Won::ZERO, |old| old.refunded);
    if new.refunded > before {
        let nth = format!("-{}", new.refunded.get());
        events.push(event(Kind::ChargeRefunded, &nth, Some(new.refunded.saturating_sub(before))));
    }
    events
}
