//! What the merchant and the buyer ask for, at the edges of what they may.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use maedal::subscription::settle::Proof;
use maedal::subscription::{
    BuyerAction, Charge, Command, Facts, Interval, Policy, Reason, RefundPart, Status, Subscription, Unit, When, Won,
};

use super::{DAY, HOUR, PRICE, START, claim, declined, open, open_with, paid, plan, session};

/// One whose first period is paid, and that charge.
fn with_charge() -> (Subscription, Charge) {
    let policy = Policy::default();
    let mut subscription = open(START);
    let (_, now) = claim(&mut subscription, START, &policy);
    let charge = subscription.settle(Proof::Paid(paid("imp_2")), now, &policy).unwrap();
    (subscription, charge)
}

/// One whose second period was declined, and when.
fn past_due() -> (Subscription, Timestamp) {
    let policy = Policy::default();
    let (mut subscription, _) = with_charge();
    let (_, now) = claim(&mut subscription, START, &policy);
    subscription.settle(declined(), now, &policy).unwrap();
    (subscription, now)
}

/// What comes of a command. The error is the reason.
fn ask(
    subscription: &mut Subscription,
    command: &Command,
    now: Timestamp,
    paid: Option<&Charge>,
) -> Result<Option<Charge>, Reason> {
    subscription.command(command, &Facts { now, policy: &Policy::default(), paid }).map_err(|refused| refused.reason)
}

fn change(name: &str, when: When) -> Command {
    Command::ChangePlan { plan: Box::new(plan(name, Interval::MONTHLY, 0)), when }
}

#[test]
fn a_trial_that_was_paused_is_a_trial_again_and_a_subscription_is_active() {
    let mut trial = open_with(plan("플랜", Interval::MONTHLY, 14), START);
    trial.start_trial(START);
    let (paid, _) = with_charge();
    for (mut subscription, status) in [(trial, Status::Trialing), (paid, Status::Active)] {
        ask(&mut subscription, &Command::Pause, START + DAY, None).unwrap();
        ask(&mut subscription, &Command::Resume, START + DAY, None).unwrap();
        assert_eq!(subscription.status, status);
    }
}

#[test]
fn resuming_skips_only_periods_that_are_over() {
    let resumed = |after_days: i32| {
        let (mut subscription, _) = with_charge();
        subscription.attempts = 3;
        ask(&mut subscription, &Command::Pause, START + DAY, None).unwrap();
        ask(&mut subscription, &Command::Resume, START + DAY * after_days, None).unwrap();
        (subscription.period, subscription.attempts)
    };
    assert_eq!(resumed(2), (2, 3), "the paid period still runs");
    assert_eq!(resumed(35), (2, 3), "the next one does: it goes on where its attempts stood");
    assert_eq!(resumed(95), (4, 0));
}

#[test]
fn what_is_not_used_up_becomes_credit_and_nothing_is_written_where_all_is() {
    let (mut subscription, charge) = with_charge();
    let changed = ask(&mut subscription, &change("더 큰 것", When::Now), START, Some(&charge)).unwrap().unwrap();
    assert_eq!((subscription.credit, changed.credited), (PRICE, PRICE));

    let (mut subscription, charge) = with_charge();
    let end = subscription.start_of(2).unwrap();
    assert_eq!(ask(&mut subscription, &change("더 큰 것", When::Now), end, Some(&charge)), Ok(None));
    assert_eq!(subscription.credit, Won::ZERO);
}

#[test]
fn while_a_refund_is_under_way_nothing_else_is_made_of_the_payment() {
    let (subscription, mut charge) = with_charge();
    charge.give_back(Won::new(100), "a broken cup", START);
    let cancel = Command::Cancel { when: When::Now, refund: RefundPart::Unused };
    for command in [cancel, change("더 큰 것", When::Now)] {
        let mut asked = subscription.clone();
        assert_eq!(ask(&mut asked, &command, START, Some(&charge)), Err(Reason::RefundUnderWay));
        assert_eq!(asked, subscription, "nothing was changed");
    }
}

#[test]
fn a_plan_of_other_periods_counts_them_from_its_first() {
    let weekly = Interval { unit: Unit::Week, count: 1 };
    for (interval, anchor_period) in [(weekly, 2), (Interval::MONTHLY, 1)] {
        let (mut subscription, _) = with_charge();
        let (begins, anchor) = (subscription.start_of(2), subscription.anchor);
        subscription.next_plan = Some(plan("다른 것", interval, 0));
        subscription.switch_plan();
        assert_eq!(subscription.start_of(2), begins, "the plan that was chosen begins where the other ends");
        let kept = if anchor_period == 1 { anchor } else { begins };
        assert_eq!((subscription.anchor, subscription.anchor_period), (kept, anchor_period));
        assert_eq!((subscription.plan.terms.interval, subscription.next_plan), (interval, None));
    }
}

#[test]
fn a_retry_waits_for_the_breaker_to_the_millisecond() {
    let (mut subscription, now) = past_due();
    let oldest = now - DAY + HOUR;
    subscription.claims = [oldest.as_millisecond(); 4];
    let opens = oldest + DAY;
    let before = opens - SignedDuration::from_millis(1);
    assert_eq!(ask(&mut subscription, &Command::Retry, before, None), Err(Reason::TooManyAttempts));
    assert_eq!(ask(&mut subscription, &Command::Retry, opens, None), Ok(None));
}

#[test]
fn a_retry_that_was_asked_for_uses_up_no_retry_day_unless_it_falls_on_one() {
    let policy = Policy::default();
    for (hours, declines) in [(1, 1), (25, 2)] {
        let (mut subscription, now) = past_due();
        let now = now + HOUR * hours;
        ask(&mut subscription, &Command::Retry, now, None).unwrap();
        claim(&mut subscription, now, &policy);
        subscription.settle(declined(), now, &policy).unwrap();
        assert_eq!(subscription.dunning.unwrap().declines, declines, "after {hours} hours");
    }
}

#[test]
fn a_window_for_a_new_payment_method_is_open_until_its_time_is_over_or_a_key_has_come() {
    let (mut subscription, _) = with_charge();
    assert!(!subscription.is_replacing(START), "nobody has asked");
    subscription.windows = 7;
    let ends = START + HOUR;
    let command = Command::ReplacePaymentMethod { checkout: session(ends) };
    ask(&mut subscription, &command, START, None).unwrap();
    assert!(subscription.is_replacing(START));
    assert!(!subscription.is_replacing(ends));
    assert!(subscription.buyer_has(BuyerAction::ChangePaymentMethod, START));
    assert_eq!(subscription.windows_of_session(), 0, "openings before don't count");
    subscription.windows += 3;
    assert_eq!(subscription.windows_of_session(), 3);
    let mut replaced = subscription.clone();
    replaced.payment_method.as_mut().unwrap().window = 8;
    assert!(!replaced.is_replacing(START));
    let (mut busy, policy) = (subscription, Policy::default());
    claim(&mut busy, START, &policy);
    assert!(!busy.is_replacing(START), "not while a charge is in flight");
}

#[test]
fn a_second_press_of_a_buttons_changes_nothing() {
    let (mut subscription, _) = with_charge();
    let has = |subscription: &Subscription, action| subscription.buyer_has(action, START);
    assert_eq!(subscription.ends_at(), None);
    assert!(!has(&subscription, BuyerAction::Cancel) && has(&subscription, BuyerAction::Resume));
    let cancel = subscription.buyer_command(BuyerAction::Cancel, session(START));
    assert_eq!(cancel, Command::Cancel { when: When::PeriodEnd, refund: RefundPart::None });
    ask(&mut subscription, &cancel, START, None).unwrap();
    assert!(has(&subscription, BuyerAction::Cancel) && !has(&subscription, BuyerAction::Resume));
    assert_eq!(subscription.ends_at(), subscription.start_of(2));
    ask(&mut subscription, &Command::Cancel { when: When::Now, refund: RefundPart::None }, START, None).unwrap();
    assert!(has(&subscription, BuyerAction::Cancel));
    assert!(!has(&subscription, BuyerAction::Resume), "it can't be cancelled any more, so it was not resumed");
}

#[test]
fn a_buyer_who_is_past_due_cancels_at_once() {
    let (subscription, _) = past_due();
    let now = Command::Cancel { when: When::Now, refund: RefundPart::None };
    assert_eq!(subscription.buyer_command(BuyerAction::Cancel, session(START)), now);
}

/// What is as usual takes no room in the table: an item of less than a kilobyte is one write unit.
#[test]
fn what_is_as_usual_is_not_written() {
    let written = |subscription: &Subscription| {
        let item = serde_json::to_value(subscription).unwrap();
        // Sorted, whatever features serde_json has been built with.
        let names = |item: &serde_json::Value| {
            item.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        (names(&item), names(&item["plan"]))
    };
    let usual = [
        "anchor",
        "attempts",
        "checkout",
        "claims",
        "created_at",
        "customer_id",
        "customer_uid",
        "id",
        "paid_through",
        "payment_method",
        "period",
        "plan",
        "status",
        "version",
        "windows",
    ];
    let (mut subscription, _) = with_charge();
    let (names, plan) = written(&subscription);
    assert_eq!(names, usual);
    assert_eq!(plan, ["amount", "id", "interval", "name", "version"]);

    subscription.anchor_period = 2;
    subscription.credit = Won::new(1);
    subscription.plan.terms.tax_free = Won::new(1);
    subscription.plan.terms.trial_days = 1;
    let (names, plan) = written(&subscription);
    for name in ["anchor_period", "credit"] {
        assert!(names.iter().any(|written| written == name), "{name}");
    }
    for name in ["tax_free", "trial_days"] {
        assert!(plan.iter().any(|written| written == name), "{name}");
    }
}
