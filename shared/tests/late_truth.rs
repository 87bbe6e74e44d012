//! An earlier attempt turns out to be paid while the next one is in flight: the period is paid once, whatever becomes of that.

#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::{LatePayment, Proof};
use maedal::subscription::{
    Checkout, Interval, MerchantUid, PaymentMethod, Plan, Policy, Status, Step, Subscription, SubscriptionId, Terms,
    Won,
};

const PRICE: Won = Won::new(9_900);

fn paid(imp_uid: &str) -> Payment {
    Payment { imp_uid: imp_uid.parse().unwrap(), paid_at: None, receipt_url: None }
}

fn declined() -> Proof {
    Proof::Declined { reason: "잔액이 부족합니다.".to_owned(), imp_uid: None }
}

fn open(now: Timestamp) -> Subscription {
    let terms = Terms {
        name: "플랜".to_owned(),
        amount: PRICE,
        tax_free: Won::ZERO,
        interval: Interval::MONTHLY,
        trial_days: 0,
        dunning: None,
    };
    let plan = Plan { id: "plan".parse().unwrap(), version: 1, terms };
    let expires_at = now + SignedDuration::from_hours(1);
    let checkout = Checkout { expires_at, success_url: None, cancel_url: None, decline: None, replaces: None };
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

/// The second period's first attempt was declined and its second one is in flight, when the first turns out to be paid.
fn paid_behind_our_back(policy: &Policy) -> (Subscription, Timestamp) {
    let mut subscription = open("2026-11-30T01:00:00Z".parse().unwrap());
    let (_, now) = claim(&mut subscription, "2026-11-30T01:00:00Z".parse().unwrap(), policy);
    subscription.settle(Proof::Paid(paid("imp_2")), now, policy).unwrap();
    let (first, now) = claim(&mut subscription, now, policy);
    subscription.settle(declined(), now, policy).unwrap();
    assert_eq!(subscription.status, Status::PastDue);
    let (_, now) = claim(&mut subscription, now, policy);
    let late = LatePayment { merchant_uid: first, amount: PRICE, credit: Won::ZERO, payment: paid("imp_3") };
    let charge = subscription.record_late(late, false, now).unwrap();
    assert!(!charge.duplicate);
    assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2));
    (subscription, now)
}

#[test]
fn then_a_second_payment_goes_back() {
    let policy = Policy::default();
    let (mut subscription, now) = paid_behind_our_back(&policy);
    let charge = subscription.settle(Proof::Paid(paid("imp_4")), now, &policy).unwrap();
    assert!(charge.duplicate);
    assert_eq!(charge.refund.map(|refund| refund.amount), Some(PRICE));
    assert_eq!((subscription.status, subscription.paid_through, subscription.period), (Status::Active, 2, 3));
}

#[test]
fn then_a_decline_changes_nothing() {
    let policy = Policy::default();
    let (mut subscription, now) = paid_behind_our_back(&policy);
    let charge = subscription.settle(declined(), now, &policy).unwrap();
    assert!(!charge.duplicate && charge.refund.is_none());
    assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2));
    assert_eq!(subscription.dunning, None);
}

#[test]
fn periods_that_are_skipped_stay_uncharged_and_the_next_one_begins_anew() {
    let policy = Policy::default();
    let (mut subscription, _) = paid_behind_our_back(&policy);
    subscription.skip_to(5);
    assert_eq!((subscription.period, subscription.attempts, subscription.paid_through), (5, 0, 2));
}
