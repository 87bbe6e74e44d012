//! What is next, at the edges of time and number.

use jiff::SignedDuration;
use maedal::subscription::id::{LAST_ATTEMPT, LAST_PERIOD};
use maedal::subscription::settle::Proof;
use maedal::subscription::{
    CHECKOUT_GRACE, Checkout, Command, DunningPolicy, Facts, KeyDeletion, Policy, RefundPart, Review, Status, Step,
    When,
};

use super::{DAY, HOUR, PRICE, START, active, claim, declined, open, session};

#[test]
fn a_charge_is_planned_unless_something_is_in_its_way() {
    let policy = Policy::default();
    let subscription = active();
    let due = subscription.start_of(2).unwrap();
    let planned = |subscription: &maedal::subscription::Subscription| subscription.planned_charge(START, &policy);
    assert_eq!(planned(&subscription), Some((due, PRICE)));
    let mut in_flight = subscription.clone();
    claim(&mut in_flight, START, &policy);
    let deleting = maedal::subscription::Subscription {
        key_deletion: Some(KeyDeletion { due_at: due, tries: 0 }),
        ..subscription.clone()
    };
    let mut review = subscription.clone();
    review.needs_review("another amount".to_owned(), START);
    assert!(matches!(review.review, Some(Review { was: Status::Active, .. })));
    for waits in [in_flight, deleting, review] {
        assert_eq!(planned(&waits), None, "{waits:?}");
    }
}

#[test]
fn a_paused_one_that_is_to_end_ends_with_its_paid_period() {
    let policy = Policy::default();
    let mut subscription = active();
    let facts = Facts { now: START, policy: &policy, paid: None };
    subscription.command(&Command::Pause, &facts).unwrap();
    assert_eq!(subscription.due_at(START, &policy), None);
    let cancel = Command::Cancel { when: When::PeriodEnd, refund: RefundPart::None };
    subscription.command(&cancel, &facts).unwrap();
    let end = subscription.start_of(2).unwrap();
    assert_eq!(subscription.due_at(START, &policy), Some(end));
    assert_eq!(subscription.next_step(end, &policy), Step::CancelAtPeriodEnd);
}

#[test]
fn what_was_due_in_the_charge_window_and_is_late_waits_for_the_next_opening() {
    let policy = Policy::default();
    let subscription = active();
    let due = subscription.start_of(2).unwrap();
    assert_eq!(subscription.due_at(due + HOUR * 3, &policy), Some(due));
    // Eleven hours later it is nine in the evening.
    assert_eq!(subscription.due_at(due + HOUR * 11, &policy), Some(due + HOUR * 23));
}

#[test]
fn a_billing_key_of_another_window_than_the_declined_one_is_tried_at_once() {
    let policy = Policy::default();
    let mut subscription = active();
    let (_, now) = claim(&mut subscription, START, &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    for (window, due_at) in [(1, now + DAY), (2, now)] {
        subscription.payment_method.as_mut().unwrap().window = window;
        assert_eq!(subscription.due_at(now + HOUR, &policy), Some(due_at));
    }
}

/// As an older version has written it.
#[test]
fn where_the_declined_window_is_not_known_a_key_that_is_newer_than_the_decline_is_tried_at_once() {
    let policy = Policy::default();
    let mut subscription = active();
    let (_, now) = claim(&mut subscription, START, &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    subscription.dunning.as_mut().unwrap().window = None;
    let millisecond = SignedDuration::from_millis(1);
    for (confirmed_at, due_at) in [(now, now + DAY), (now + millisecond, now)] {
        subscription.payment_method.as_mut().unwrap().confirmed_at = confirmed_at;
        assert_eq!(subscription.due_at(now + HOUR, &policy), Some(due_at));
    }
}

/// The new key came while the attempt was in doubt; an older version has made the attempt, in the second case.
#[test]
fn a_decline_judges_the_billing_key_that_it_charged() {
    let policy = Policy::default();
    for known in [true, false] {
        for (window, confirmed_at, broken) in [(1, START, true), (2, START + HOUR * 24 * 60, false)] {
            let mut subscription = active();
            let (_, now) = claim(&mut subscription, START, &policy);
            let intent = subscription.in_flight.as_mut().unwrap();
            intent.window = intent.window.filter(|_| known);
            let method = subscription.payment_method.as_mut().unwrap();
            (method.window, method.confirmed_at) = (window, confirmed_at);
            let hard = Proof::Declined { reason: "유효기간이 지난 카드입니다.".to_owned(), imp_uid: None };
            subscription.settle(hard, now + HOUR, &policy).unwrap();
            assert_eq!(subscription.payment_method.as_ref().unwrap().broken, broken, "{known} {window}");
            let retried = subscription.next_charge(now + HOUR, &policy).map(|intent| intent.window);
            assert_eq!(retried, (!broken).then_some(Some(window)), "{known} {window}");
        }
    }
}

#[test]
fn nobody_is_given_up_while_a_payment_window_is_open() {
    let policy = Policy { dunning: DunningPolicy { retry_days: vec![], ..Default::default() }, ..Policy::default() };
    let mut subscription = active();
    let (_, now) = claim(&mut subscription, START, &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    let end = now + DAY;
    assert_eq!(subscription.next_step(end, &policy), Step::GiveUp);
    let ends = end + HOUR;
    subscription.checkout = Some(Checkout { replaces: Some(1), ..session(ends) });
    assert_eq!(subscription.due_at(end, &policy), Some(end), "a session without a window");
    subscription.windows = 2;
    assert_eq!(subscription.due_at(end, &policy), Some(ends + CHECKOUT_GRACE));
    assert_eq!(subscription.next_step(ends + CHECKOUT_GRACE, &policy), Step::GiveUp);
}

#[test]
fn where_no_name_is_left_for_an_attempt_none_is_made() {
    let policy = Policy::default();
    for (period, attempts, is_left) in [
        (LAST_PERIOD, LAST_ATTEMPT - 1, true),
        (LAST_PERIOD, LAST_ATTEMPT, false),
        (LAST_PERIOD + 1, LAST_ATTEMPT - 1, false),
    ] {
        let mut subscription = active();
        subscription.period = period;
        subscription.attempts = attempts;
        assert_eq!(subscription.next_charge(START, &policy).is_some(), is_left, "{period} {attempts}");
    }
}

#[test]
fn a_session_whose_first_charge_was_declined_closes_when_its_time_is_over() {
    let policy = Policy::default();
    let mut subscription = open(START);
    claim(&mut subscription, START, &policy);
    subscription.settle(declined(), START, &policy).unwrap();
    let closes_at = subscription.checkout.as_ref().unwrap().closes_at();
    assert_eq!(subscription.due_at(START, &policy), Some(closes_at));
    assert_eq!(subscription.next_step(closes_at, &policy), Step::ExpireCheckout);
}
