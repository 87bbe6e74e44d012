//! Whatever happens to a subscription, in whatever order: there is a way forward, no step is lost, the anchor stays.

#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::Proof;
use maedal::subscription::{
    AfterDunning, Checkout, EndReason, Interval, MissedPeriods, PaymentMethod, Plan, Policy, Status, Step,
    Subscription, SubscriptionId, Terms, Unit, Won,
};
use proptest::prelude::*;

/// What comes of the next thing that is tried.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Paid,
    NoMoney,
    KeyGone,
    NoAnswer,
    WorkerDies,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Paid),
        3 => Just(Luck::NoMoney),
        1 => Just(Luck::KeyGone),
        2 => Just(Luck::NoAnswer),
        1 => Just(Luck::WorkerDies),
    ]
}

fn interval() -> impl Strategy<Value = Interval> {
    (prop_oneof![Just(Unit::Day), Just(Unit::Week), Just(Unit::Month), Just(Unit::Year)], 1..4u16)
        .prop_map(|(unit, count)| Interval { unit, count })
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<bool>(), any::<bool>()).prop_map(|(unpaid, each)| {
        let mut policy = Policy::default();
        policy.dunning.then = if unpaid { AfterDunning::LeaveUnpaid } else { AfterDunning::Cancel };
        policy.missed = if each { MissedPeriods::ChargeEach } else { MissedPeriods::Skip };
        policy
    })
}

fn open(interval: Interval, trial_days: u16, now: Timestamp) -> Subscription {
    let terms = Terms {
        name: "플랜".to_owned(),
        amount: Won::new(9_900),
        tax_free: Won::ZERO,
        interval,
        trial_days,
        dunning: None,
    };
    let plan = Plan { id: "plan".parse().unwrap(), version: 1, terms };
    let checkout = Checkout {
        expires_at: now + SignedDuration::from_hours(1),
        success_url: None,
        cancel_url: None,
        decline: None,
        replaces: None,
    };
    let id: SubscriptionId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    Subscription::open(id, "customer".parse().unwrap(), id.into(), plan, checkout, now)
}

fn billing_key(subscription: &mut Subscription, now: Timestamp) {
    subscription.windows += 1;
    subscription.payment_method = Some(PaymentMethod {
        window: subscription.windows,
        imp_uid: Some("imp_1".parse().unwrap()),
        provider: None,
        confirmed_at: now,
        broken: false,
        deleted: false,
    });
}

fn proof(luck: Luck) -> Option<Proof> {
    let declined = |reason: &str| Some(Proof::Declined { reason: reason.to_owned(), imp_uid: None });
    match luck {
        Luck::Paid => {
            Some(Proof::Paid(Payment { imp_uid: "imp_2".parse().unwrap(), paid_at: None, receipt_url: None }))
        }
        Luck::NoMoney => declined("잔액이 부족합니다."),
        Luck::KeyGone => declined("등록되지 않은 구매자입니다."),
        Luck::NoAnswer | Luck::WorkerDies => None,
    }
}

/// Carries a step out, as the use cases do, without a table and without I'mport.
fn carry_out(subscription: &mut Subscription, step: Step, luck: Luck, now: Timestamp, policy: &Policy) {
    match step {
        Step::Nothing { .. } => (),
        Step::Charge(intent) => {
            assert!(intent.period > subscription.paid_through, "a paid period is charged again: {subscription:?}");
            subscription.claims.rotate_right(1);
            subscription.claims[0] = now.as_millisecond();
            subscription.in_flight = Some(intent);
            subscription.claimed_at = Some(now);
            subscription.sends = 1;
            settle_or_doubt(subscription, luck, now, policy);
        }
        Step::Resolve => settle_or_doubt(subscription, luck, now, policy),
        Step::CheckWindows => subscription.window_opened_at = None,
        Step::ExpireCheckout => subscription.end(EndReason::CheckoutExpired, now),
        Step::StartTrial => subscription.start_trial(now),
        Step::SkipTo { period } => {
            assert!(period > subscription.period);
            subscription.skip_to(period);
        }
        Step::UseCredit(intent) => drop(subscription.settle_by_credit(&intent, now)),
        Step::GoUnpaid(intent) => drop(subscription.settle_without_key(&intent, now, policy)),
        Step::SwitchPlan => subscription.switch_plan(),
        Step::DeleteKey | Step::Repair(_) => unreachable!("nobody asked for it"),
        Step::CancelAtPeriodEnd => subscription.end(EndReason::Requested, now),
        Step::GiveUp => subscription.end(EndReason::Unpaid, now),
    }
}

fn settle_or_doubt(subscription: &mut Subscription, luck: Luck, now: Timestamp, policy: &Policy) {
    match (proof(luck), luck) {
        (Some(proof), _) => drop(subscription.settle(proof, now, policy)),
        (None, Luck::WorkerDies) => (),
        (None, _) => subscription.keep_in_doubt(false, None, now),
    }
}

fn check(subscription: &Subscription, now: Timestamp, policy: &Policy) {
    let due = subscription.due_at(now, policy);
    let may_rest = match subscription.status {
        Status::Expired | Status::Canceled | Status::Paused | Status::NeedsReview => true,
        Status::PastDue => policy.dunning.then == AfterDunning::LeaveUnpaid,
        Status::Pending | Status::Trialing | Status::Active => false,
    };
    assert!(due.is_some() || may_rest, "no way forward: {subscription:?}");
    match (subscription.next_step(now, policy), due) {
        (Step::Nothing { until }, due) => {
            assert_eq!(until, due);
            assert!(due.is_none_or(|due| due > now));
        }
        (_, due) => assert!(due.is_some_and(|due| due <= now)),
    }
    if let Some(due) = due.filter(|due| *due > now) {
        let step = subscription.next_step(due, policy);
        assert!(!matches!(step, Step::Nothing { .. }), "listed for {due}, and then nothing is due: {subscription:?}");
        if let Step::Charge(_) = step
            && matches!(subscription.status, Status::Trialing | Status::Active)
        {
            assert!(policy.charge_window.is_open(due), "a renewal at {due}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn there_is_always_a_way_forward_and_no_step_is_lost(
        interval in interval(),
        trial_days in prop_oneof![Just(0u16), 1..40u16],
        policy in policy(),
        hour in 0..24i64,
        lucks in prop::collection::vec((luck(), 0..2_000i64, any::<bool>()), 1..60),
    ) {
        let start: Timestamp = "2026-11-30T15:00:00Z".parse().unwrap();
        let mut now = start + SignedDuration::from_hours(hour);
        let mut subscription = open(interval, trial_days, now);
        check(&subscription, now, &policy);
        billing_key(&mut subscription, now);
        check(&subscription, now, &policy);

        let mut anchor = None;
        for (luck, delay_minutes, new_key) in lucks {
            let Some(due) = subscription.due_at(now, &policy) else { break };
            // The system may sleep past the time.
            now = due.max(now) + SignedDuration::from_mins(delay_minutes * i64::from(delay_minutes % 3 == 0));
            let paid_through = subscription.paid_through;
            let step = subscription.next_step(now, &policy);
            carry_out(&mut subscription, step, luck, now, &policy);
            if new_key && !subscription.can_be_charged() {
                billing_key(&mut subscription, now + SignedDuration::from_secs(1));
                now += SignedDuration::from_secs(2);
            }
            check(&subscription, now, &policy);
            prop_assert!(subscription.paid_through >= paid_through);
            prop_assert!(anchor.is_none() || subscription.anchor == anchor, "the anchor moved");
            anchor = subscription.anchor;
        }
    }

    /// A week of doubt is the longest: then a person has it, and I'mport is asked on, once a day.
    #[test]
    fn an_attempt_never_stays_in_doubt_for_longer_than_its_looks(delays in prop::collection::vec(0..600i64, 40)) {
        let policy = Policy::default();
        let start: Timestamp = "2026-11-30T01:00:00Z".parse().unwrap();
        let mut now = start;
        let mut subscription = open(Interval::MONTHLY, 0, now);
        billing_key(&mut subscription, now);
        let step = subscription.next_step(now, &policy);
        carry_out(&mut subscription, step, Luck::NoAnswer, now, &policy);
        for delay in delays {
            let Some(due) = subscription.due_at(now, &policy) else { break };
            now = due + SignedDuration::from_mins(delay);
            let step = subscription.next_step(now, &policy);
            prop_assert!(matches!(step, Step::Resolve | Step::Nothing { .. }), "{step:?}");
            carry_out(&mut subscription, step, Luck::NoAnswer, now, &policy);
            if let Some(review) = &subscription.review {
                prop_assert!(review.since.duration_since(start) <= SignedDuration::from_hours(24 * 9));
                let next = subscription.due_at(now, &policy);
                prop_assert!(next.is_some_and(|next| next.duration_since(now) <= SignedDuration::from_hours(24)));
            }
        }
        prop_assert_eq!(subscription.status, Status::NeedsReview);
    }
}
