//! Renewals by the charge protocol, rule by rule.

use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use journeys::{World, monthly, no_money, seoul};
use maedal::aws::http_client;
use maedal::billing::{Charged, Worked};
use maedal::clock::Clock;
use maedal::iamport::{Again, Https, Sending, Transport, TransportError};
use maedal::store::Guard;
use maedal::subscription::{CLAIMS_A_DAY, ChargeStatus, Status, Won};
use serde_json::json;
use simulator::{Call, Fault, Rule};

/// The budget: claim, `again`, settle; at most 8 write units, no read.
#[tokio::test]
async fn a_renewal_is_three_network_calls_eight_write_units_and_no_read() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    for month in ["2026-12-23T10:01", "2027-01-23T10:01"] {
        world.stack.clock.set(seoul(month));
        // The token is one call for half an hour of work.
        let _ = world.stack.billing.iamport.payments_of(world.window_name(id, 1).await).await;
        let due = world.due(id).await;
        let (table, iamport) = (world.stack.billing.store.meter().usage(), world.stack.billing.iamport.calls());
        let worked = world.stack.billing.work(&due).await.unwrap();
        assert!(matches!(worked, Worked::Charged(Charged::Paid(_))), "{worked:?}");
        let table = world.stack.billing.store.meter().usage() - table;
        assert_eq!((table.calls, world.stack.billing.iamport.calls() - iamport), (2, 1));
        assert_eq!(table.read_units, 0.0);
        assert!(table.write_units <= 8.0, "{table:?}");
    }
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_month_end_anchor_is_kept() {
    let world = World::new().await;
    world.stack.clock.set(seoul("2027-01-31T10:00"));
    let id = world.subscribed("coffee").await;
    for (moment, charges) in [
        ("2027-02-28T09:59", 1),
        ("2027-02-28T10:02", 2),
        ("2027-03-30T10:02", 2),
        ("2027-03-31T10:02", 3),
        ("2027-04-30T10:02", 4),
    ] {
        world.live_until(seoul(moment)).await;
        assert_eq!(world.outcomes(id).await.len(), charges, "{moment}");
    }
}

/// Who subscribes at 23:50 is charged at once, and renews at nine the next morning; the anchor stays.
#[tokio::test]
async fn a_renewal_outside_the_charge_window_waits_for_its_opening() {
    let world = World::new().await;
    world.stack.clock.set(seoul("2026-11-23T23:50"));
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-24T08:59")).await;
    assert_eq!(world.outcomes(id).await, ["paid"]);
    world.live_until(seoul("2026-12-24T09:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.subscription(id).await.start_of(3), Some(seoul("2027-01-23T23:50")));
}

/// A message that was held up until the window has closed.
#[tokio::test]
async fn a_renewal_that_comes_late_at_night_waits_for_the_morning() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    let due = world.due(id).await;
    world.stack.clock.set(seoul("2026-12-23T23:00"));
    let worked = world.stack.billing.work(&due).await.unwrap();
    assert!(matches!(worked, Worked::NotDue(_)), "{worked:?}");
    assert_eq!(world.payments(), 1);
    world.live_until(seoul("2026-12-24T08:59")).await;
    assert_eq!(world.payments(), 1);
    world.live_until(seoul("2026-12-24T09:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.subscription(id).await.start_of(3), Some(seoul("2027-01-23T10:00")), "the anchor stays");
}

#[tokio::test]
async fn a_message_that_comes_twice_early_late_or_for_nobody_charges_once() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let due = world.due(id).await;
    let early = world.stack.billing.work(&due).await.unwrap();
    assert!(matches!(early, Worked::NotDue(_)), "{early:?}");

    world.stack.clock.set(seoul("2026-12-23T10:01"));
    let (one, other) = tokio::join!(world.stack.billing.work(&due), world.stack.billing.work(&due));
    let paid = [one.unwrap(), other.unwrap()].iter().filter(|w| matches!(w, Worked::Charged(Charged::Paid(_)))).count();
    assert_eq!(paid, 1, "one of two workers");
    let late = world.stack.billing.work(&due).await.unwrap();
    assert!(matches!(late, Worked::NotDue(_)), "{late:?}");
    assert_eq!(world.payments(), 2);

    let mut nobody = due.clone();
    nobody.subscription = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    assert_eq!(world.stack.billing.work(&nobody).await.unwrap(), Worked::Unknown);
    world.reconciled(&[id]).await;
}

/// Rules 2 to 4: an attempt in doubt keeps its name, blocks, and is looked up until it is known.
#[tokio::test]
async fn an_attempt_whose_answer_was_lost_is_resolved_by_its_own_name() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.at(seoul("2026-12-23T10:01")).await;
    assert!(world.subscription(id).await.in_flight.is_some());
    assert_eq!(world.outcomes(id).await, ["paid"]);

    // A worker that comes meanwhile changes nothing.
    let due = world.due(id).await;
    world.stack.billing.work(&due).await.unwrap();
    assert_eq!(world.payments(), 2);

    world.live_until(seoul("2026-12-23T10:08")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert!(world.ledger(id).await.charges[1].was_in_doubt);
    assert_eq!(world.payments(), 2);
    world.reconciled(&[id]).await;
}

/// Rule 3: the network delivered the request two times, the copy is refused, and I'mport doesn't show the payment yet.
#[tokio::test]
async fn a_refusal_proves_nothing_while_imports_books_may_lag() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::always(Fault::LookupMiss(SignedDuration::from_mins(4))).on(Call::Lookup));
    let again = Again {
        customer_uid: &id.to_string().parse().unwrap(),
        merchant_uid: world.charge_name(id, 2, 1).await,
        amount: Won::new(9_900),
        name: "매달 커피",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
    let charged = world.stack.billing.work(&world.due(id).await).await.unwrap();
    assert!(matches!(charged, Worked::Charged(Charged::InDoubt(_))), "{charged:?}");

    world.live_until(seoul("2026-12-26T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.payments(), 2);
    world.reconciled(&[id]).await;
}

/// Rule 3: with a refusal, a failed payment of the same name is proof: at once.
#[tokio::test]
async fn a_refusal_is_proof_where_every_send_has_failed() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, no_money()));
    let again = Again {
        customer_uid: &id.to_string().parse().unwrap(),
        merchant_uid: world.charge_name(id, 2, 1).await,
        amount: Won::new(9_900),
        name: "매달 커피",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
    world.fault(Rule::once(Call::Again, Fault::Refuse { code: 1, message: "이미 시도된 주문번호입니다.".into() }));
    let charged = world.stack.billing.work(&world.due(id).await).await.unwrap();
    assert!(matches!(charged, Worked::Charged(Charged::Declined(_))), "{charged:?}");
    let declined = world.ledger(id).await.charges.remove(1).status;
    // In the words of the payment that failed, not of the copy that was refused.
    assert!(
        matches!(&declined, ChargeStatus::Declined { reason, imp_uid: Some(_) } if reason == "잔액이 부족합니다."),
        "{declined:?}"
    );
}

/// The answer to every charge is lost.
#[derive(Debug)]
struct LostAnswers(Https);

impl Transport for LostAnswers {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        let charges = request.uri().path().ends_with("/again");
        Box::pin(async move {
            let answer = self.0.send(request, timeout).await;
            if charges { Err(TransportError::Lost("the answer was lost".to_owned())) } else { answer }
        })
    }
}

/// Rule 3: one failed payment proves nothing of an attempt that was sent two times, until the settle delay has passed.
#[tokio::test]
async fn a_failure_is_no_proof_where_another_send_is_open() {
    for webhooks in [true, false] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        if !webhooks {
            world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        }
        // The first send never arrives; the second one is declined, and its answer is lost.
        world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect));
        world.live_until(seoul("2026-12-23T10:02")).await;
        world.fault(Rule::once(Call::Again, no_money()));
        world.stack.clock.set(seoul("2026-12-23T10:13"));
        let worker = world.worker_over(http_client(), LostAnswers(Https::new()));
        worker.work(&world.due(id).await).await.unwrap();
        assert_eq!((world.payments(), world.subscription(id).await.sends), (2, 2));

        world.live_until(seoul("2026-12-23T10:22")).await;
        assert_eq!(world.outcomes(id).await, ["paid"], "the first send may still arrive");
        world.live_until(seoul("2026-12-23T10:26")).await;
        assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
        world.reconciled(&[id]).await;
    }
}

/// Rule 3: finding nothing proves nothing until the settle delay has passed; then the same name is sent again.
#[tokio::test]
async fn an_attempt_that_never_arrived_is_sent_again_under_the_same_name() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect));
    world.at(seoul("2026-12-23T10:01")).await;
    world.live_until(seoul("2026-12-23T10:10")).await;
    assert_eq!(world.payments(), 1, "looked up, and not sent again yet");

    world.live_until(seoul("2026-12-23T11:05")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    let charges = world.ledger(id).await.charges;
    assert_eq!((charges[1].period, charges[1].attempt), (2, 1));
    world.reconciled(&[id]).await;
}

/// I'mport gets to a request minutes after its connection was cut: the settle delay is there for this.
#[tokio::test]
async fn an_attempt_that_arrives_late_is_not_sent_again_before() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::CutThenEffect(SignedDuration::from_mins(8))));
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.payments(), 2);
    world.reconciled(&[id]).await;
}

/// A lookup that misses for a while must not lead to a second payment.
#[tokio::test]
async fn a_payment_that_i_mport_shows_late_is_found_later() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.fault(Rule::always(Fault::LookupMiss(SignedDuration::from_mins(7))).on(Call::Lookup));
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.payments(), 2);
}

/// Rule 4's end: what can't be resolved in seven days goes to a person, and is not charged again. I'mport is asked on, once a
/// day: what it says, once it can be asked, ends the review.
#[tokio::test]
async fn what_cannot_be_resolved_in_seven_days_needs_review_until_iamport_answers() {
    // Where it never arrived, it is sent again, under its own name.
    for fate in [Fault::CutAfterEffect, Fault::CutBeforeEffect] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.fault(Rule::once(Call::Again, fate.clone()));
        world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
        world.live_until(seoul("2026-12-30T09:00")).await;
        assert_eq!(world.subscription(id).await.status, Status::Active);
        world.live_until(seoul("2027-01-02T09:00")).await;
        assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
        world.live_until(seoul("2027-01-10T09:00")).await;
        let calls = world.stack.billing.iamport.calls();
        world.live_until(seoul("2027-01-15T09:00")).await;
        assert!((4..=6).contains(&(world.stack.billing.iamport.calls() - calls)), "once a day");
        assert!(world.payments() <= 2, "nothing is charged meanwhile");
        world.no_faults();
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2027-01-16T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.review, world.outcomes(id).await), (None, vec!["paid", "paid"]), "{fate:?}");
        world.live_until(seoul("2027-01-24T12:00")).await;
        assert_eq!(world.subscription(id).await.status, Status::Active, "{fate:?}");
        world.reconciled(&[id]).await;
    }
}

/// What never arrived is not sent any more once its period is over.
#[tokio::test]
async fn an_attempt_that_never_arrived_ends_with_its_period() {
    let world = World::new().await;
    world.put_plan("paper", json!({ "name": "신문", "amount": 900, "interval": { "unit": "day", "count": 1 } })).await;
    let id = world.subscribed("paper").await;
    world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect));
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    world.live_until(seoul("2026-11-25T09:50")).await;
    let name = world.charge_name(id, 2, 1).await;
    assert_eq!(world.subscription(id).await.in_flight.unwrap().merchant_uid, name);
    world.live_until(seoul("2026-11-25T10:10")).await;
    world.no_faults();
    world.live_until(seoul("2026-11-27T12:00")).await;
    assert_eq!(world.stack.iamport().books().payments_of(&name.to_string()).count(), 0);
    assert_eq!(world.outcomes(id).await.iter().filter(|word| **word == "declined").count(), 1);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.reconciled(&[id]).await;
}

/// Rule 5: a decline that turns into a payment counts, and the retry that follows is not sent.
#[tokio::test]
async fn a_decline_that_turns_into_a_payment_is_found_before_the_retry() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    // After the night's comparison, so that nothing but the retry itself can find it.
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(23))));
    world.live_until(seoul("2026-12-24T09:50")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    assert_eq!(world.subscription(id).await.status, Status::PastDue);

    world.live_until(seoul("2026-12-24T10:10")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.subscription(id).await.in_flight, None, "the retry that was never sent is let go");
    assert_eq!(world.subscription(id).await.status, Status::Active);
    assert_eq!(world.payments(), 2, "no second attempt was made");
    world.reconciled(&[id]).await;
}

/// The retry was sent, and never arrived; meanwhile the period is paid. It is not sent again.
#[tokio::test]
async fn an_attempt_that_never_arrived_is_not_sent_again_where_its_period_is_paid_meanwhile() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let [first, retry] = [world.charge_name(id, 2, 1).await, world.charge_name(id, 2, 2).await];
    let late = SignedDuration::from_hours(24) + SignedDuration::from_mins(3);
    world.fault(Rule::once(Call::Again, Fault::LatePaid(late)).merchant_uid(first.to_string()));
    world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect).merchant_uid(retry.to_string()));
    world.live_until(seoul("2026-12-24T10:02")).await;
    let subscription = world.subscription(id).await;
    assert_eq!(subscription.in_flight.map(|intent| intent.merchant_uid), Some(retry));
    assert!(!subscription.doubt.unwrap().unsent);
    world.live_until(seoul("2026-12-24T10:05")).await;
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.paid_through, subscription.in_flight.map(|intent| intent.merchant_uid)), (2, Some(retry)));

    world.live_until(seoul("2026-12-25T12:00")).await;
    assert_eq!(world.stack.iamport().books().payments_of(&retry.to_string()).count(), 0);
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "declined"]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.reconciled(&[id]).await;
}

/// Rule 5's other half: where the period was paid meanwhile, the late payment goes back at once.
#[tokio::test]
async fn a_period_that_is_paid_twice_gives_the_later_payment_back() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    // The first attempt is declined, and pays an hour after the second attempt has.
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(26))));
    world.live_until(seoul("2026-12-24T10:10")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    world.live_until(seoul("2026-12-24T13:00")).await;

    let ledger = world.ledger(id).await;
    let late = &ledger.charges[1];
    assert!(late.duplicate && late.refunded == Won::new(9_900) && late.refund.is_none(), "{late:?}");
    assert_eq!(ledger.refunds.len(), 1);
    assert_eq!(ledger.standing(), Won::new(19_800));
    world.reconciled(&[id]).await;
}

/// Rule 6: a payment of another amount is never taken for the one that was meant.
#[tokio::test]
async fn a_payment_that_is_not_what_was_meant_needs_review() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    // Somebody with the merchant's credentials charges the same name with another amount, while our call is lost.
    let name = world.charge_name(id, 2, 1).await;
    let other = maedal::iamport::Again {
        customer_uid: &id.into(),
        merchant_uid: name,
        amount: Won::new(100),
        name: "매달 커피",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&other, jiff::Timestamp::MAX).await.unwrap();
    world.live_until(seoul("2026-12-23T12:00")).await;
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.paid_through), (Status::NeedsReview, 1));
    let reason = subscription.review.unwrap().reason;
    assert!(reason.contains("100원") && reason.contains("9,900원"), "{reason}");
    world.live_until(seoul("2027-02-23T12:00")).await;
    assert_eq!(world.payments(), 2);
}

/// Rule 7: the write itself refuses more attempts in a day than the breaker allows, whoever asks.
#[tokio::test]
async fn the_breaker_bounds_the_attempts_of_a_day() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    for _ in 0..CLAIMS_A_DAY + 2 {
        world.buyer.subscribe(id).await.unwrap();
        world.after(SignedDuration::from_mins(2)).await;
    }
    assert_eq!(world.payments(), CLAIMS_A_DAY);

    // A claim by hand fares no better.
    let seen = world.subscription(id).await;
    let intent = seen.next_charge(world.stack.billing.clock.now(), &world.stack.billing.policy);
    if let Some(intent) = intent {
        let guard = Guard::Seen(seen.version, Box::new(intent));
        let charged = world.stack.billing.charge(id, &guard).await.unwrap();
        assert!(matches!(charged, Charged::NotClaimed(_)), "{charged:?}");
    }
    assert_eq!(world.payments(), CLAIMS_A_DAY);
}

#[tokio::test]
async fn periods_missed_while_the_system_slept_are_skipped_by_default() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.at(seoul("2027-03-25T12:00")).await;
    world.live_until(seoul("2027-03-26T12:00")).await;
    let periods: Vec<u32> = world.ledger(id).await.charges.iter().map(|charge| charge.period).collect();
    assert_eq!(periods, [1, 5], "only the current one is charged");
    assert_eq!(world.subscription(id).await.start_of(6), Some(seoul("2027-04-23T10:00")));
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn periods_missed_can_be_charged_each_once() {
    let mut options = sandbox::Options::default();
    options.policy.missed = maedal::subscription::MissedPeriods::ChargeEach;
    let world = World::with(options).await;
    let id = world.subscribed("coffee").await;
    world.at(seoul("2027-03-25T12:00")).await;
    world.live_until(seoul("2027-03-27T12:00")).await;
    let periods: Vec<u32> = world.ledger(id).await.charges.iter().map(|charge| charge.period).collect();
    assert_eq!(periods, [1, 2, 3, 4, 5]);
    world.reconciled(&[id]).await;
}

/// A clock that jumps back makes nothing due, and charges nothing twice.
#[tokio::test]
async fn a_clock_that_jumps_back_charges_nothing_twice() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.at(seoul("2026-12-23T10:01")).await;
    world.at(seoul("2026-11-25T10:00")).await;
    world.at(seoul("2026-12-23T10:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_plan_of_days_renews_daily() {
    let world = World::new().await;
    world
        .put_plan("daily", json!({ "name": "날마다", "amount": 1_000, "interval": { "unit": "day", "count": 1 } }))
        .await;
    world
        .put_plan("yearly", json!({ "name": "해마다", "amount": 99_000, "interval": { "unit": "year", "count": 1 } }))
        .await;
    let (daily, yearly) = (world.subscribed("daily").await, world.subscribed("yearly").await);
    world.live_until(seoul("2026-12-03T10:02")).await;
    assert_eq!(world.outcomes(daily).await.len(), 11);
    assert_eq!(world.outcomes(yearly).await.len(), 1);
    let _ = monthly();
}

/// I'mport has charged one name two times, and an operator has given one payment back by hand before the attempt was resolved.
async fn paid_two_times_and_given_back(given_back: &[usize]) -> (Vec<u64>, u32, Vec<&'static str>) {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.at(seoul("2026-12-23T10:01")).await;
    let name = world.subscription(id).await.in_flight.unwrap().merchant_uid.to_string();
    let now = world.stack.clock.now();
    {
        let mut iamport = world.stack.iamport();
        iamport.charge_elsewhere(&id.to_string(), &name, 9_900, now).unwrap();
        let both: Vec<String> = iamport.books().payments_of(&name).map(|payment| payment.imp_uid.clone()).collect();
        for nth in given_back {
            iamport.cancel_in_console(&both[*nth], None, now).unwrap();
        }
    }
    world.live_until(seoul("2026-12-26T12:00")).await;
    world.reconciled(&[id]).await;
    let balances = world.stack.iamport().books().payments_of(&name).map(|payment| payment.balance()).collect();
    (balances, world.subscription(id).await.paid_through, world.outcomes(id).await)
}

/// The network delivers a request two times: one is declined, and the other is paid so many minutes later. Meanwhile the merchant
/// asks for the charge once more.
#[tokio::test]
async fn a_request_that_arrives_twice_pays_once_whenever_it_is_tried_again() {
    for (minutes, payments) in [(3, 3), (8, 4)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.fault(Rule::once(Call::Again, no_money()));
        world.at(seoul("2026-12-23T10:00")).await;
        assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
        let name = world.charge_name(id, 2, 1).await.to_string();
        let arrives = seoul("2026-12-23T10:00").saturating_add(SignedDuration::from_mins(minutes)).unwrap();
        let twin = || world.stack.iamport().charge_elsewhere(&id.to_string(), &name, 9_900, arrives).unwrap();
        if minutes < 5 {
            world.live_until(arrives).await;
            twin();
        }
        world.live_until(seoul("2026-12-23T10:05")).await;
        world.commanded(id, "retry", json!({})).await;
        world.live_until(seoul("2026-12-23T10:07")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through), (Status::Active, 2), "{minutes}");
        if minutes > 5 {
            world.live_until(arrives).await;
            twin();
        }
        // What no webhook tells is found as the books are compared.
        world.live_until(seoul("2026-12-25T12:00")).await;
        assert_eq!(world.payments(), payments, "{minutes}");
        assert_eq!(world.ledger(id).await.standing(), Won::new(2 * 9_900), "{minutes}");
        world.reconciled(&[id]).await;
    }
}

/// As above, the other way round: the answer is of the one that is declined, and the other was paid before. It is found before
/// anything else is asked for.
#[tokio::test]
async fn a_request_that_arrives_twice_and_was_paid_first_is_not_asked_for_under_another_name() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.stack.iamport().set_pays_again(true);
    let now = seoul("2026-12-23T09:59:59");
    world.live_until(now).await;
    let name = world.charge_name(id, 2, 1).await.to_string();
    world.stack.iamport().charge_elsewhere(&id.to_string(), &name, 9_900, now).unwrap();
    world.fault(Rule::once(Call::Again, no_money()));
    world.live_until(seoul("2026-12-23T10:05")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    world.commanded(id, "retry", json!({})).await;
    world.live_until(seoul("2026-12-23T10:10")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.paid_through, world.payments()), (Status::Active, 2, 3));
    world.reconciled(&[id]).await;
}

/// Whether one payment was given back by hand or two were, before we knew of them or later, or one by hand and the other by us as a
/// duplicate: the period stays paid, and isn't charged once more.
#[tokio::test]
async fn a_period_whose_payments_were_all_given_back_stays_paid() {
    for (payments, known_before) in [(1, false), (1, true), (2, false), (2, true)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
        world.at(seoul("2026-12-23T10:01")).await;
        let name = world.subscription(id).await.in_flight.unwrap().merchant_uid.to_string();
        if payments == 2 {
            let now = world.stack.clock.now();
            world.stack.iamport().charge_elsewhere(&id.to_string(), &name, 9_900, now).unwrap();
        }
        if known_before {
            world.live_until(seoul("2026-12-23T12:00")).await;
            assert_eq!(world.ledger(id).await.standing(), Won::new(2 * 9_900), "a duplicate went back");
        }
        let now = world.stack.clock.now();
        {
            let mut iamport = world.stack.iamport();
            let all: Vec<_> = iamport.books().payments_of(&name).map(|p| (p.imp_uid.clone(), p.balance())).collect();
            for (imp_uid, _) in all.iter().filter(|(_, balance)| *balance > 0) {
                iamport.cancel_in_console(imp_uid, None, now).unwrap();
            }
        }
        world.live_until(seoul("2026-12-27T12:00")).await;
        let what = format!("{payments} payments, known before: {known_before}");
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.dunning, s.in_flight), (Status::Active, 2, None, None), "{what}");
        assert_eq!(s.listed_at, Some(seoul("2027-01-23T10:00")), "{what}");
        assert_eq!(world.ledger(id).await.standing(), Won::new(9_900), "{what}");
        assert_eq!(world.payments(), 1 + payments, "{what}");
        world.reconciled(&[id]).await;
    }
}

#[tokio::test]
async fn of_two_payments_the_one_that_stands_pays() {
    for (given_back, balances) in [(&[0][..], [0, 9_900]), (&[1], [9_900, 0]), (&[], [9_900, 0]), (&[0, 1], [0, 0])] {
        let (stand, paid_through, outcomes) = paid_two_times_and_given_back(given_back).await;
        assert_eq!((stand, paid_through), (balances.to_vec(), 2), "given back: {given_back:?}");
        assert_eq!(outcomes, ["paid", "paid", "paid"]);
    }
}
