//! Transitions of a subscription, one by one: pure, without a table and without I'mport.

#![allow(clippy::unwrap_used)]

mod agenda;
mod commands;
mod doubt;
mod late_truth;

use jiff::{SignedDuration, Timestamp};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::Proof;
use maedal::subscription::{
    Checkout, Interval, MerchantUid, PaymentMethod, Plan, Policy, Step, Subscription, SubscriptionId, Terms, Won,
};

const PRICE: Won = Won::new(9_900);
/// Ten in the morning in Korea.
const START: Timestamp = Timestamp::constant(1_796_000_400, 0);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn paid(imp_uid: &str) -> Payment {
    Payment { imp_uid: imp_uid.parse().unwrap(), paid_at: None, receipt_url: None }
}

/// One whose first period is paid.
fn active() -> Subscription {
    let (mut subscription, policy) = (open(START), Policy::default());
    let (_, now) = claim(&mut subscription, START, &policy);
    subscription.settle(Proof::Paid(paid("imp_2")), now, &policy).unwrap();
    subscription
}

fn declined() -> Proof {
    Proof::Declined { reason: "잔액이 부족합니다.".to_owned(), imp_uid: None }
}

fn plan(name: &str, interval: Interval, trial_days: u16) -> Plan {
    let terms =
        Terms { name: name.to_owned(), amount: PRICE, tax_free: Won::ZERO, interval, trial_days, dunning: None };
    Plan { id: "plan".parse().unwrap(), version: 1, terms }
}

/// A session of `plan` whose buyer has approved.
fn open_with(plan: Plan, now: Timestamp) -> Subscription {
    let checkout = session(now + SignedDuration::from_hours(1));
    let id: SubscriptionId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let mut subscription = Subscription::open(id, "customer".parse().unwrap(), id.into(), plan, checkout, now);
    subscription.windows = 1;
    subscription.payment_method = Some(PaymentMethod {
        window: 1,
        imp_uid: Some("imp_1".parse().unwrap()),
        provider: None,
        confirmed_at: now,
        broken: false,
        deleted: false,
    });
    subscription
}

fn session(expires_at: Timestamp) -> Checkout {
    Checkout { expires_at, success_url: None, cancel_url: None, decline: None, replaces: None }
}

fn open(now: Timestamp) -> Subscription {
    open_with(plan("플랜", Interval::MONTHLY, 0), now)
}

/// Takes the next charge in flight, when it is due. Returns its name and the time.
fn claim(subscription: &mut Subscription, after: Timestamp, policy: &Policy) -> (MerchantUid, Timestamp) {
    let now = subscription.due_at(after, policy).unwrap().max(after);
    let Step::Charge(intent) = subscription.next_step(now, policy) else { panic!("no charge is due at {now}") };
    let name = intent.merchant_uid;
    subscription.in_flight = Some(intent);
    subscription.claimed_at = Some(now);
    subscription.sends = 1;
    (name, now)
}
