//! What a change of a subscription means.

use jiff::Timestamp;
use serde::Serialize;

use super::charge::ChargeFacts;
use super::{DomainEvent, Kind};
use crate::subscription::{
    Bill, CustomerId, CustomerUid, Dunning, Ended, ImpUid, Intent, Interval, Plan, PlanId, Review, Status,
    Subscription, SubscriptionId, Won,
};

/// What an event tells of a subscription. Events of a charge tell only whose it is and which plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriptionFacts {
    /// Its id.
    pub id: SubscriptionId,
    /// The merchant's name for the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// What I'mport keeps the billing key under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_uid: Option<CustomerUid>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Where it stood before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<Status>,
    /// What is sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanFacts>,
    /// The last period that was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// When the trial ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<Timestamp>,
    /// The charge that is planned next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_charge: Option<NextCharge>,
    /// It ends with the paid period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_at_period_end: Option<bool>,
    /// The billing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<PaymentMethodFacts>,
    /// Present while past due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dunning: Option<DunningFacts>,
    /// Why a person must look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewFacts>,
    /// When and why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndedFacts>,
}

/// What is sold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanFacts {
    /// The plan.
    pub id: PlanId,
    /// Its version.
    pub version: u32,
    /// What the buyer reads.
    pub name: String,
    /// What a period costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Won>,
    /// How long it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// A period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Period {
    /// Counted from 1.
    pub number: u32,
    /// When it starts; unknown before the first payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When the next one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// A charge that is planned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NextCharge {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amount: Won,
    /// For which period.
    pub period: u32,
    /// Which attempt at it.
    pub attempt: u32,
}

/// A billing key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PaymentMethodFacts {
    /// I'mport's name for the issuance; none where the key was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imp_uid: Option<ImpUid>,
    /// The gateway behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// It can't be charged any more.
    pub broken: bool,
}

/// Where a past-due subscription stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DunningFacts {
    /// The first decline.
    pub since: Timestamp,
    /// How many declines so far.
    pub declines: u32,
}

/// Why a person must look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewFacts {
    /// Since when.
    pub since: Timestamp,
    /// In words for the operator.
    pub reason: String,
    /// Where it would stand otherwise.
    pub was: Status,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndedFacts {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: crate::subscription::EndReason,
}

impl PlanFacts {
    fn of(plan: &Plan) -> Self {
        Self {
            id: plan.id.clone(),
            version: plan.version,
            name: plan.terms.name.clone(),
            amount: Some(plan.terms.amount),
            interval: Some(plan.terms.interval),
        }
    }

    pub(super) fn of_bill(bill: &Bill) -> Self {
        Self {
            id: bill.plan.clone(),
            version: bill.plan_version,
            name: bill.name.clone(),
            amount: None,
            interval: None,
        }
    }
}

impl Period {
    pub(super) fn of(subscription: &Subscription, number: u32) -> Self {
        Self {
            number,
            starts_at: subscription.start_of(number),
            ends_at: subscription.start_of(number.saturating_add(1)),
        }
    }
}

impl SubscriptionFacts {
    /// Only its name.
    pub(super) const fn named(id: SubscriptionId) -> Self {
        Self {
            id,
            customer_id: None,
            customer_uid: None,
            status: None,
            previous_status: None,
            plan: None,
            period: None,
            trial_ends_at: None,
            next_charge: None,
            cancel_at_period_end: None,
            payment_method: None,
            dunning: None,
            review: None,
            ended: None,
        }
    }

    fn of(old: Option<&Subscription>, new: &Subscription, next_charge: Option<&Intent>) -> Self {
        let review = |Review { since, reason, was, .. }: &Review| ReviewFacts {
            since: *since,
            reason: reason.clone(),
            was: *was,
        };
        Self {
            id: new.id,
            customer_id: Some(new.customer_id.clone()),
            customer_uid: Some(new.customer_uid.clone()),
            status: Some(new.status),
            previous_status: old.map(|old| old.status),
            plan: Some(PlanFacts::of(&new.plan)),
            period: (new.paid_through > 0).then(|| Period::of(new, new.paid_through)),
            trial_ends_at: new.anchor.filter(|_| new.status == Status::Trialing),
            next_charge: next_charge.zip(new.listed_at).map(|(intent, at)| NextCharge {
                at,
                amount: intent.amount,
                period: intent.period,
                attempt: intent.attempt,
            }),
            cancel_at_period_end: Some(new.cancel_at_period_end),
            payment_method: new.payment_method.as_ref().map(|method| PaymentMethodFacts {
                imp_uid: method.imp_uid.clone(),
                provider: method.provider.clone(),
                broken: method.broken,
            }),
            dunning: new
                .dunning
                .as_ref()
                .map(|Dunning { since, declines, .. }| DunningFacts { since: *since, declines: *declines }),
            review: new.review.as_ref().map(review),
            ended: new.ended.as_ref().map(|Ended { at, reason }| EndedFacts { at: *at, reason: *reason }),
        }
    }
}

/// All that the change means, from the cause to the consequence. A subscription that comes into being in any state is
/// read as one that was pending.
pub(super) fn events(
    old: Option<&Subscription>,
    new: &Subscription,
    next_charge: Option<&Intent>,
    written_at: Timestamp,
) -> Vec<DomainEvent> {
    let mut kinds = Vec::new();
    if old.is_none() {
        kinds.push(Kind::Created);
    }
    kinds.extend(payment_method(old, new));
    if old.is_some_and(|old| (&old.plan.id, old.plan.version) != (&new.plan.id, new.plan.version)) {
        kinds.push(Kind::PlanChanged);
    }
    kinds.extend(in_doubt(old, new).map(|_| Kind::ChargeInDoubt));
    kinds.extend(payment(old, new));
    kinds.extend(transition(old.map_or(Status::Pending, Subscription::standing), new.standing()));
    match (old.is_some_and(|old| old.cancel_at_period_end), new.cancel_at_period_end) {
        (false, true) => kinds.push(Kind::CancelScheduled),
        (true, false) if !new.standing().is_over() => kinds.push(Kind::CancelWithdrawn),
        (true, _) | (false, false) => (),
    }
    match (old.is_some_and(|old| old.review.is_some()), new.review.is_some()) {
        (false, true) => kinds.push(Kind::NeedsReview),
        (true, false) => kinds.push(Kind::ReviewEnded),
        (true, true) | (false, false) => (),
    }

    let facts = SubscriptionFacts::of(old, new, next_charge);
    let event = |kind: Kind| {
        let doubt = in_doubt(old, new).filter(|_| kind == Kind::ChargeInDoubt);
        DomainEvent {
            id: format!("{}-{}-{}", new.id, new.version, kind.word().rsplit('.').next().unwrap_or_default()),
            kind,
            version: new.version,
            occurred_at: written_at,
            subscription: facts.clone(),
            charge: doubt.map(|intent| ChargeFacts::in_doubt(new, intent)),
            refund: None,
            finding: None,
        }
    };
    kinds.into_iter().map(event).collect()
}

/// The attempt of which nobody knew what became of it from this write on.
fn in_doubt<'a>(old: Option<&Subscription>, new: &'a Subscription) -> Option<&'a Intent> {
    let intent = new.in_flight.as_ref().filter(|_| new.doubt.is_some())?;
    let before = old.filter(|old| old.doubt.is_some()).and_then(|old| old.in_flight.as_ref());
    (before.map(|before| before.merchant_uid) != Some(intent.merchant_uid)).then_some(intent)
}

fn payment_method(old: Option<&Subscription>, new: &Subscription) -> Option<Kind> {
    match (old.and_then(|old| old.payment_method.as_ref()), &new.payment_method) {
        (None, Some(_)) => Some(Kind::PaymentMethodChanged),
        (Some(before), Some(now)) if before.imp_uid != now.imp_uid => Some(Kind::PaymentMethodChanged),
        (Some(before), Some(now)) if now.deleted && !before.deleted => Some(Kind::PaymentMethodRemoved),
        (Some(before), Some(now)) if now.broken && !before.broken => Some(Kind::PaymentMethodBroken),
        (Some(_), None) => Some(Kind::PaymentMethodRemoved),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn payment(old: Option<&Subscription>, new: &Subscription) -> Option<Kind> {
    match old.map_or(0, |old| old.paid_through) {
        before if new.paid_through <= before => None,
        0 => Some(Kind::Activated),
        1.. => Some(Kind::Renewed),
    }
}

/// What the change of status says beyond a payment.
fn transition(was: Status, is: Status) -> Option<Kind> {
    if was == is {
        return None;
    }
    match (was, is) {
        (_, Status::Canceled) => Some(Kind::Canceled),
        (_, Status::Expired) => Some(Kind::Expired),
        (_, Status::Paused) => Some(Kind::Paused),
        (Status::Paused, Status::Active | Status::Trialing | Status::PastDue) => Some(Kind::Resumed),
        (_, Status::PastDue) => Some(Kind::PastDue),
        (_, Status::Trialing) => Some(Kind::TrialStarted),
        // Into `active` leads a payment, which has its own event; into `needs_review` the review.
        (_, Status::Active | Status::Pending | Status::NeedsReview) => None,
    }
}
