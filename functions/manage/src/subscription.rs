//! A subscription as the merchant sees it, without our bookkeeping.

use jiff::Timestamp;
use maedal::subscription::{Ended, Plan, Policy, Review, Status, Subscription, Won};
use serde::Serialize;

/// `GET /v1/subscriptions/{id}`.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    id: String,
    /// Goes up with every change. A command that names it is refused where it isn't this any more.
    version: u64,
    status: Status,
    customer_id: &'a str,
    customer_uid: &'a str,
    plan: &'a Plan,
    /// The plan from the next period on.
    next_plan: Option<&'a Plan>,
    created_at: Timestamp,
    /// The period that the next charge pays for.
    period: u32,
    /// The last period that was paid; 0 before the first.
    paid_through: u32,
    current_period_start: Option<Timestamp>,
    current_period_end: Option<Timestamp>,
    /// When the next attempt is due; null where none is planned.
    next_charge_at: Option<Timestamp>,
    /// How much it will be, less the credit; null where none is planned.
    next_charge_amount: Option<Won>,
    /// What the next charges are less by.
    credit: Won,
    carried: Won,
    /// An attempt is being made, or its outcome is being found out.
    in_doubt: bool,
    cancel_at_period_end: bool,
    /// The gateway that issued the billing key.
    payment_provider: Option<&'a str>,
    billing_key: BillingKey,
    dunning: Option<DunningView>,
    review: Option<ReviewView<'a>>,
    ended: Option<EndedView>,
}

/// What is known of the billing key.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum BillingKey {
    /// None was issued yet.
    None,
    /// It can be charged, as far as we know.
    Active,
    /// The gateway said that it can't be charged any more.
    Broken,
    /// It is being deleted at I'mport.
    Deleting,
    /// It was deleted.
    Deleted,
}

impl BillingKey {
    fn of(s: &Subscription) -> Self {
        match &s.payment_method {
            _ if s.key_deletion.is_some() => Self::Deleting,
            None => Self::None,
            Some(method) if method.deleted => Self::Deleted,
            Some(method) if method.broken => Self::Broken,
            Some(_) => Self::Active,
        }
    }
}

#[derive(Debug, Serialize)]
struct DunningView {
    since: Timestamp,
    last_decline: Timestamp,
    declines: u32,
}

#[derive(Debug, Serialize)]
struct ReviewView<'a> {
    since: Timestamp,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct EndedView {
    at: Timestamp,
    reason: maedal::subscription::EndReason,
}

impl<'a> View<'a> {
    /// As it stands at `now`.
    pub(crate) fn of(s: &'a Subscription, now: Timestamp, policy: &Policy) -> Self {
        // In a trial, no period has begun.
        let current = s.period_at(now).filter(|_| s.anchor.is_some_and(|anchor| anchor <= now));
        let next = s.planned_charge(now, policy);
        Self {
            id: s.id.to_string(),
            version: s.version,
            status: s.status,
            customer_id: s.customer_id.as_str(),
            customer_uid: s.customer_uid.as_str(),
            plan: &s.plan,
            next_plan: s.next_plan.as_ref(),
            created_at: s.created_at,
            period: s.period,
            paid_through: s.paid_through,
            current_period_start: current.and_then(|period| s.start_of(period)),
            current_period_end: current.and_then(|period| s.start_of(period.saturating_add(1))),
            next_charge_at: next.map(|(at, _)| at),
            next_charge_amount: next.map(|(_, amount)| amount),
            credit: s.credit,
            carried: s.carried,
            in_doubt: s.in_flight.is_some(),
            cancel_at_period_end: s.cancel_at_period_end,
            payment_provider: s.payment_method.as_ref().and_then(|method| method.provider.as_deref()),
            billing_key: BillingKey::of(s),
            dunning: s.dunning.as_ref().map(|dunning| DunningView {
                since: dunning.since,
                last_decline: dunning.last_decline,
                declines: dunning.declines,
            }),
            review: s.review.as_ref().map(|Review { since, reason, .. }| ReviewView { since: *since, reason }),
            ended: s.ended.as_ref().map(|Ended { at, reason }| EndedView { at: *at, reason: *reason }),
        }
    }
}
