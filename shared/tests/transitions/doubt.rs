//! An attempt in doubt: when it is looked up, and when it may be sent again.

use jiff::SignedDuration;
use maedal::subscription::settle::Proof;
use maedal::subscription::{Policy, Status, Step, Subscription};

use super::{DAY, HOUR, START, active, claim, open, paid};

/// The second period's attempt is in flight since ten in the morning.
fn in_flight() -> (Subscription, jiff::Timestamp) {
    let mut subscription = active();
    let (_, now) = claim(&mut subscription, START, &Policy::default());
    (subscription, now)
}

#[test]
fn it_is_looked_up_after_five_and_eleven_minutes_an_hour_and_daily_for_a_week() {
    let (mut subscription, claimed_at) = in_flight();
    let mut looks = Vec::new();
    let mut now = claimed_at + SignedDuration::from_secs(1);
    while subscription.status != Status::NeedsReview {
        subscription.keep_in_doubt(false, None, now);
        if let Some(doubt) = subscription.doubt.as_ref().filter(|doubt| doubt.next_look > now) {
            looks.push(doubt.next_look.duration_since(claimed_at).as_mins());
            now = doubt.next_look;
        }
    }
    // Each from the claim; the first is five minutes from when there was doubt.
    assert_eq!(looks[1..], [11, 60, 1_440, 2_880, 4_320, 5_760, 7_200, 8_640, 10_080, 11_520], "and on, once a day");
    assert!(subscription.in_flight.is_some(), "the name stays taken until a person has looked");
}

#[test]
fn a_new_send_begins_its_looks_anew_and_the_week_goes_on() {
    let (mut subscription, claimed_at) = in_flight();
    subscription.keep_in_doubt(true, None, claimed_at);
    subscription.keep_in_doubt(false, None, claimed_at + SignedDuration::from_mins(5));
    let again = claimed_at + DAY;
    subscription.claimed_at = Some(again);
    subscription.keep_in_doubt(false, None, again);
    let doubt = subscription.doubt.clone().unwrap();
    assert_eq!((doubt.looks, doubt.since, doubt.unsent), (0, claimed_at, false));
    assert_eq!(doubt.next_look, again + SignedDuration::from_mins(5));
}

#[test]
fn it_is_sent_again_within_the_charge_window_or_at_once_where_the_buyer_waits() {
    let policy = Policy::default();
    let (subscription, claimed_at) = in_flight();
    assert_eq!(subscription.may_send_again_at(claimed_at, &policy), None);
    // Nine in the evening is too late, nine in the morning is not.
    let evening = claimed_at + HOUR * 11;
    assert_eq!(subscription.may_send_again_at(evening, &policy), Some(claimed_at + HOUR * 23));
    let mut first = open(START);
    claim(&mut first, START, &policy);
    assert_eq!(first.may_send_again_at(START + HOUR * 11, &policy), None);
    // Nor before the circuit breaker lets it.
    first.claims = [(START + HOUR).as_millisecond(); 4];
    assert_eq!(first.may_send_again_at(START + HOUR * 2, &policy), Some(START + HOUR + DAY));
}

#[test]
fn what_waits_for_the_hour_is_looked_up_at_that_hour() {
    let (mut subscription, claimed_at) = in_flight();
    let later = claimed_at + HOUR * 23;
    subscription.look_again_at(later);
    assert_eq!(subscription.next_step(later, &Policy::default()), Step::Resolve);
    assert_eq!(subscription.due_at(claimed_at, &Policy::default()), Some(later));
}

#[test]
fn a_first_payment_needs_its_window_no_more_and_a_later_one_leaves_a_window_for_a_new_method_alone() {
    let policy = Policy::default();
    let mut first = open(START);
    first.window_opened_at = Some(START);
    let (_, now) = claim(&mut first, START, &policy);
    first.settle(Proof::Paid(paid("imp_2")), now, &policy).unwrap();
    assert_eq!(first.window_opened_at, None);
    assert!(first.checkout.is_some(), "the session's page tells of it");

    let (mut renewal, now) = in_flight();
    renewal.window_opened_at = Some(now);
    let asked = maedal::subscription::Checkout { replaces: Some(1), ..super::session(now + HOUR) };
    for (checkout, stays) in [
        (asked.clone(), true),
        (maedal::subscription::Checkout { expires_at: now, ..asked }, false),
        (super::session(now + HOUR), false),
    ] {
        let mut renewal = Subscription { checkout: Some(checkout), ..renewal.clone() };
        renewal.settle(Proof::Paid(paid("imp_3")), now, &policy).unwrap();
        assert_eq!(renewal.window_opened_at, Some(now));
        assert_eq!(renewal.checkout.is_some(), stays);
    }
}
