//! An earlier attempt turns out to be paid while the next one is in flight: the period is paid once, whatever becomes of that.

use jiff::{SignedDuration, Timestamp};
use maedal::subscription::settle::{LatePayment, Proof};
use maedal::subscription::{MerchantUid, Policy, Status, Subscription, Won};

use super::{PRICE, claim, declined, open, paid};

/// The second period's first attempt was declined and its second one is in flight, when the first turns out to be paid.
fn paid_behind_our_back(policy: &Policy) -> (Subscription, Timestamp) {
    let mut subscription = open("2026-11-30T01:00:00Z".parse().unwrap());
    let (_, now) = claim(&mut subscription, "2026-11-30T01:00:00Z".parse().unwrap(), policy);
    subscription.settle(Proof::Paid(paid("imp_2")), now, policy).unwrap();
    let (first, now) = claim(&mut subscription, now, policy);
    subscription.settle(declined(), now, policy).unwrap();
    assert_eq!(subscription.status, Status::PastDue);
    let (_, now) = claim(&mut subscription, now, policy);
    let late = LatePayment {
        merchant_uid: first,
        amount: PRICE,
        credit: Won::ZERO,
        carried: Won::ZERO,
        payment: paid("imp_3"),
    };
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

/// A person looks; what comes meanwhile moves it on from where it stands, and not from where it never stood.
#[test]
fn what_comes_while_a_person_looks_leaves_a_pause_a_pause() {
    let policy = Policy::default();
    for (was, is) in [
        (Status::Paused, Status::Paused),
        (Status::Canceled, Status::Canceled),
        (Status::Trialing, Status::Active),
        (Status::PastDue, Status::Active),
    ] {
        let mut subscription = super::active();
        subscription.status = was;
        subscription.needs_review("the books disagree".to_owned(), super::START);
        let merchant_uid = MerchantUid::charge(subscription.id, 2, 1);
        let late =
            LatePayment { merchant_uid, amount: PRICE, credit: Won::ZERO, carried: Won::ZERO, payment: paid("imp_3") };
        subscription.record_late(late, false, super::START).unwrap();
        assert_eq!((subscription.status, subscription.standing()), (Status::NeedsReview, is), "{was:?}");
    }
    // A decline, too: of a first charge, whose buyer may open the window again.
    let mut subscription = open(super::START);
    let (_, now) = claim(&mut subscription, super::START, &policy);
    subscription.needs_review("the books disagree".to_owned(), now);
    subscription.settle(declined(), now, &policy).unwrap();
    assert_eq!((subscription.standing(), subscription.dunning), (Status::Pending, None));
}

/// The books have lost a first payment.
#[test]
fn a_first_period_began_when_it_was_paid_and_never_in_the_future() {
    let now: Timestamp = "2026-11-30T01:00:00Z".parse().unwrap();
    let began = |paid_at: Option<Timestamp>| {
        let mut subscription = open(now);
        let payment = maedal::subscription::charge::Payment { paid_at, ..paid("imp_2") };
        let merchant_uid = MerchantUid::charge(subscription.id, 1, 1);
        subscription.record_late(
            LatePayment { merchant_uid, amount: PRICE, credit: Won::ZERO, carried: Won::ZERO, payment },
            false,
            now,
        );
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 1));
        subscription.anchor.unwrap()
    };
    let hour = SignedDuration::from_hours(1);
    assert_eq!(began(Some(now - hour)), now - hour);
    assert_eq!(began(Some(now + hour)), now);
    assert_eq!(began(None), now);
}

/// What an attempt was to use of the credit, another has used meanwhile; or a person has given less of it back.
#[test]
fn a_late_payment_uses_the_credit_that_is_there() {
    let policy = Policy::default();
    for (balance, used) in [(0, 0), (1_000, 1_000), (3_000, 3_000), (5_000, 3_000)] {
        let (mut subscription, now) = paid_behind_our_back(&policy);
        subscription.release();
        subscription.skip_to(4);
        subscription.credit = Won::new(balance);
        let late = LatePayment {
            merchant_uid: MerchantUid::charge(subscription.id, 3, 1),
            amount: PRICE.saturating_sub(Won::new(3_000)),
            credit: Won::new(3_000),
            carried: Won::ZERO,
            payment: paid("imp_5"),
        };
        let charge = subscription.record_late(late.clone(), false, now).unwrap();
        assert_eq!((charge.credit.get(), subscription.credit.get()), (used, balance - used));
        // What bought nothing has used nothing.
        let charge = subscription.record_late(late, true, now).unwrap();
        assert_eq!((charge.duplicate, charge.credit, subscription.credit.get()), (true, Won::ZERO, balance - used));
    }
}

/// The buyer waits at the first charge, which fails; the key counts as broken, until the charge turns out to be paid: with it.
#[test]
fn a_key_whose_first_charge_was_paid_late_is_not_broken() {
    let policy = Policy::default();
    let mut subscription = open("2026-11-30T01:00:00Z".parse().unwrap());
    let (first, now) = claim(&mut subscription, "2026-11-30T01:00:00Z".parse().unwrap(), &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    assert!(!subscription.can_be_charged());
    let late = LatePayment {
        merchant_uid: first,
        amount: PRICE,
        credit: Won::ZERO,
        carried: Won::ZERO,
        payment: paid("imp_1"),
    };
    subscription.record_late(late, false, now).unwrap();
    assert_eq!(subscription.status, Status::Active);
    let (_, now) = claim(&mut subscription, now, &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    assert!(subscription.can_be_charged(), "a decline for want of money is tried again on its day");
}
