//! A subscription as the merchant sees it, without our bookkeeping.

use jiff::Timestamp;
use maedal::subscription::{Ended, Plan, Policy, Review, Status, Subscription};
use serde::Serialize;

/// `GET /v1/subscriptions/{id}`.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    id: String,
    status: Status,
    customer_id: &'a str,
    customer_uid: &'a str,
    plan: &'a Plan,
    created_at: Timestamp,
    /// The period that the next charge pays for.
    period: u32,
    /// The last period that was paid; 0 before the first.
    paid_through: u32,
    current_period_start: Option<Timestamp>,
    current_period_end: Option<Timestamp>,
    /// When the next attempt is due; null where none is planned.
    next_charge_at: Option<Timestamp>,
    /// An attempt is being made, or its outcome is being found out.
    in_doubt: bool,
    cancel_at_period_end: bool,
    /// The gateway that issued the billing key.
    payment_provider: Option<&'a str>,
    dunning: Option<DunningView>,
    review: Option<ReviewView<'a>>,
    ended: Option<EndedView>,
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
        let current = s.anchor.map(|anchor| (s.plan.terms.interval.period_at(now, anchor), anchor));
        // In a trial, no period has begun.
        let current = current.filter(|(_, anchor)| *anchor <= now);
        Self {
            id: s.id.to_string(),
            status: s.status,
            customer_id: s.customer_id.as_str(),
            customer_uid: s.customer_uid.as_str(),
            plan: &s.plan,
            created_at: s.created_at,
            period: s.period,
            paid_through: s.paid_through,
            current_period_start: current.map(|(period, anchor)| s.plan.terms.interval.start_of(period, anchor)),
            current_period_end: current.map(|(period, anchor)| s.plan.terms.interval.end_of(period, anchor)),
            next_charge_at: s.next_charge(now, policy).and_then(|_| s.due_at(now, policy)),
            in_doubt: s.in_flight.is_some(),
            cancel_at_period_end: s.cancel_at_period_end,
            payment_provider: s.payment_method.as_ref().and_then(|method| method.provider.as_deref()),
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
