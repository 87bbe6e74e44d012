//! Workers die, answers are lost, the table throttles: at every network call of a first charge, a renewal, a look-up and a
//! refund, and always with the same end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use jiff::SignedDuration;
use journeys::fate::{Blow, Fate};
use journeys::{World, no_money, seoul};
use maedal::aws::http_client;
use maedal::billing::{Billing, Span};
use maedal::clock::{Clock, TestClock};
use maedal::events::Kind;
use maedal::iamport::{Https, Sending, Transport};
use maedal::key::Key;
use maedal::store::Entry;
use maedal::subscription::{Charge, Status, Subscription, SubscriptionId, Won};
use sandbox::buyer::Button;
use serde_json::json;
use simulator::{Call, Fault, Rule};
use tokio::sync::Notify;

use crate::names::squat;

const BLOWS: [Blow; 5] = [Blow::DieBefore, Blow::DieAfter, Blow::LoseAnswer, Blow::Throttle, Blow::Conflict];

/// Lives on without trouble and compares the books.
async fn ends_well(world: &World, id: SubscriptionId, expected: &[&str], what: &str) {
    world.no_faults();
    world.live_until(seoul("2026-12-26T20:00")).await;
    assert_eq!(world.outcomes(id).await, expected, "{what}");
    let report = world.reconciled(&[id]).await;
    assert_eq!((report.in_doubt, report.needs_review), (0, 0), "{what}");
}

/// A worker of its own does `work`, and `blow` strikes at its `nth` call.
async fn struck(world: &World, nth: usize, blow: Blow, work: impl AsyncFn(&Billing)) {
    let fate = Arc::new(Fate::default());
    let worker = world.worker(&fate);
    fate.strike(nth, blow);
    let _ = fate.live(work(&worker)).await;
    assert!(fate.calls() >= nth, "{blow:?} at call {nth} struck nothing");
}

#[tokio::test]
async fn a_renewal_survives_every_blow_at_every_call() {
    // A token, claim, `again`, settle.
    for nth in 1..=4 {
        for blow in BLOWS {
            let world = World::new().await;
            let id = world.subscribed("coffee").await;
            world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
            world.stack.clock.set(seoul("2026-12-23T10:01"));
            let due = world.due(id).await;
            struck(&world, nth, blow, async |worker| drop(worker.work(&due).await)).await;
            ends_well(&world, id, &["paid", "paid"], &format!("{blow:?} at call {nth}")).await;
        }
    }
}

#[tokio::test]
async fn a_first_charge_survives_every_blow_at_every_call() {
    // A read, a token, look-up, confirm, claim, `again`, settle.
    for nth in 1..=7 {
        for blow in BLOWS {
            let world = World::new().await;
            world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
            let id = world.session("coffee").await;
            let window = world.buyer.open_window(id).await.unwrap();
            let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
            let imp_uid = back.split("imp_uid=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
            let name = world.window_name(id, 1).await;
            struck(&world, nth, blow, async |worker| drop(worker.confirm(name, &imp_uid).await)).await;
            ends_well(&world, id, &["paid", "paid"], &format!("{blow:?} at call {nth}")).await;
        }
    }
}

#[tokio::test]
async fn a_look_up_in_doubt_survives_every_blow_at_every_call() {
    // A claim that fails, a token, look-up, claim again, `again`, settle.
    for nth in 1..=6 {
        for blow in BLOWS {
            let world = World::new().await;
            let id = world.subscribed("coffee").await;
            world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
            world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect));
            world.at(seoul("2026-12-23T10:01")).await;
            // The second look, after the settle delay, sends again.
            world.live_until(seoul("2026-12-23T10:10")).await;
            world.stack.clock.set(seoul("2026-12-23T11:02"));
            let due = world.due(id).await;
            struck(&world, nth, blow, async |worker| drop(worker.work(&due).await)).await;
            ends_well(&world, id, &["paid", "paid"], &format!("{blow:?} at call {nth}")).await;
        }
    }
}

#[tokio::test]
async fn a_refund_survives_every_blow_at_every_call() {
    // Read the charge, a token, cancel, read the refunds, write.
    for nth in 1..=5 {
        for blow in BLOWS {
            let world = World::new().await;
            let id = world.subscribed("coffee").await;
            world.fault(Rule::once(Call::Again, Fault::LatePaid(jiff::SignedDuration::from_hours(26))));
            world.live_until(seoul("2026-12-24T10:30")).await;
            // The late payment is recorded by its webhook; its refund is due.
            world.stack.clock.set(seoul("2026-12-24T12:30"));
            world.stack.deliver_webhooks().await;
            let charge = world.ledger(id).await.charges.into_iter().find(|charge| charge.refund.is_some());
            let charge = charge.expect("a refund is under way");
            let due = maedal::subscription::Due {
                subscription: id,
                charge: Some(maedal::key::Key::of(&charge).sk),
                due_at: charge.refund.unwrap().due_at,
            };
            struck(&world, nth, blow, async |worker| drop(worker.work(&due).await)).await;
            ends_well(&world, id, &["paid", "paid", "paid"], &format!("{blow:?} at call {nth}")).await;
            assert_eq!(world.ledger(id).await.refunds.len(), 1);
        }
    }
}

/// Look-ups take a while.
#[derive(Debug)]
struct SlowLookups {
    inner: Https,
    clock: Arc<TestClock>,
    take: Duration,
}

impl Transport for SlowLookups {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        if request.uri().path().starts_with("/payments/findAll") {
            self.clock.advance(self.take);
        }
        self.inner.send(request, timeout)
    }
}

/// A worker that is held up between its claim and its send does not send: others may have concluded by then.
#[tokio::test]
async fn a_worker_that_is_held_up_for_longer_than_half_a_minute_does_not_send() {
    for (seconds, sent) in [(30, true), (31, false)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::once(Call::Again, no_money()));
        world.live_until(seoul("2026-12-23T12:00")).await;
        world.stack.clock.set(seoul("2026-12-24T10:01"));
        let due = world.due(id).await;
        let (clock, take) = (world.stack.clock.clone(), Duration::from_secs(seconds));
        let worker = world.worker_over(http_client(), SlowLookups { inner: Https::new(), clock, take });
        worker.work(&due).await.unwrap();
        assert_eq!(world.payments() == 3, sent, "{seconds} s");
        let doubt = world.subscription(id).await.doubt;
        assert_eq!(doubt.is_some_and(|doubt| doubt.unsent), !sent, "{seconds} s");
        ends_well(&world, id, &["paid", "declined", "paid"], "held up").await;
        assert_eq!(world.payments(), 3);
    }
}

/// The token takes a while.
#[derive(Debug)]
struct SlowToken {
    inner: Https,
    clock: Arc<TestClock>,
    take: Duration,
}

impl Transport for SlowToken {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        if request.uri().path() == "/users/getToken" {
            self.clock.advance(self.take);
        }
        self.inner.send(request, timeout)
    }
}

#[tokio::test]
async fn a_charge_whose_token_took_longer_than_half_a_minute_is_not_sent() {
    for (seconds, sent) in [(30, true), (31, false)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.stack.clock.set(seoul("2026-12-23T10:01"));
        let due = world.due(id).await;
        let (clock, take) = (world.stack.clock.clone(), Duration::from_secs(seconds));
        let worker = world.worker_over(http_client(), SlowToken { inner: Https::new(), clock, take });
        worker.work(&due).await.unwrap();
        assert_eq!(world.payments() == 2, sent, "{seconds} s");
        let doubt = world.subscription(id).await.doubt;
        assert_eq!(doubt.is_some_and(|doubt| doubt.unsent), !sent, "{seconds} s");
        ends_well(&world, id, &["paid", "paid"], "held up").await;
        assert_eq!(world.payments(), 2);
    }
}

/// A look-up's answer is held back until the test lets it go.
#[derive(Debug)]
struct HeldLookups {
    inner: Https,
    held: Arc<(Notify, Notify)>,
}

impl Transport for HeldLookups {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        let lookup = request.uri().path().starts_with("/payments/findAll");
        Box::pin(async move {
            let answer = self.inner.send(request, timeout).await;
            if lookup {
                let (answered, let_go) = &*self.held;
                answered.notify_one();
                let_go.notified().await;
            }
            answer
        })
    }
}

/// Two workers find no trace of an attempt. One sends it again; the other hears of it only when the period is over, and must not
/// take what it has seen for the end of what was sent since.
#[tokio::test]
async fn what_was_looked_up_before_the_latest_claim_declines_nothing() {
    let world = World::new().await;
    world.put_plan("daily", json!({ "name": "Daily", "amount": 900, "interval": { "unit": "day", "count": 1 } })).await;
    world.stack.clock.set(seoul("2026-12-01T10:00"));
    let id = world.subscribed("daily").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::CutBeforeEffect));
    // A quarter of an hour before the period is over.
    world.stack.clock.set(seoul("2026-12-03T09:45"));
    let due = world.due(id).await;
    world.stack.billing.work(&due).await.unwrap();
    world.stack.clock.set(seoul("2026-12-03T09:59"));
    assert_eq!(world.subscription(id).await.in_flight.unwrap().period, 2);

    let held = Arc::new((Notify::new(), Notify::new()));
    let other = world.worker_over(http_client(), HeldLookups { inner: Https::new(), held: held.clone() });
    let due = world.due(id).await;
    let meanwhile = async {
        held.0.notified().await;
        world.fault(Rule::once(Call::Again, Fault::CutThenEffect(SignedDuration::from_mins(4))));
        world.stack.billing.work(&due).await.unwrap();
        world.stack.clock.set(seoul("2026-12-03T10:00:01"));
        held.1.notify_one();
    };
    let (worked, ()) = tokio::join!(other.work(&due), meanwhile);
    worked.unwrap();
    let s = world.subscription(id).await;
    assert_eq!((s.sends, s.in_flight.map(|intent| intent.period)), (2, Some(2)), "it is still under way");
    world.live_until(seoul("2026-12-03T11:00")).await;
    assert_eq!(world.outcomes(id).await[..2], ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

/// A worker that dies after its claim leaves an attempt that another one sends, once its lease and the settle delay are over.
#[tokio::test]
async fn a_worker_that_dies_after_its_claim_is_not_waited_for() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    let due = world.due(id).await;
    let guard = maedal::store::Guard::Due(due.due_at);
    // The claim is made, and then nothing for ten minutes.
    let claimed = world.stack.billing.store.claim(id, &guard, seoul("2026-12-23T10:01")).await.unwrap();
    assert!(claimed.in_flight.is_some());
    world.stack.clock.set(seoul("2026-12-23T10:11"));
    world.stack.billing.work(&due).await.unwrap();
    ends_well(&world, id, &["paid", "paid"], "held up").await;
    assert_eq!(world.payments(), 2);
}

#[tokio::test]
async fn many_workers_on_one_message_charge_once() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    let due = world.due(id).await;
    let fate = Arc::new(Fate::default());
    let workers: Vec<_> = (0..5).map(|_| world.worker(&fate)).collect();
    let (a, b, c, d, e) = tokio::join!(
        workers[0].work(&due),
        workers[1].work(&due),
        workers[2].work(&due),
        workers[3].work(&due),
        workers[4].work(&due),
    );
    for worked in [a, b, c, d, e] {
        worked.unwrap();
    }
    assert_eq!(world.payments(), 2);
    ends_well(&world, id, &["paid", "declined", "paid"], "five workers").await;
}

/// A restored table may hold a part of a recent transaction (AWS, "Transactions: how it works"): the charge is in the ledger, the
/// subscription hasn't advanced.
#[tokio::test]
async fn a_settlement_that_a_restore_has_torn_is_mended() {
    for decline in [false, true] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-23T09:55")).await;
        let mut before = world.subscription(id).await;
        if decline {
            world.fault(Rule::once(Call::Again, no_money()));
        }
        world.live_until(seoul("2026-12-23T10:05")).await;
        assert_eq!(world.outcomes(id).await, ["paid", if decline { "declined" } else { "paid" }]);
        before.version = world.subscription(id).await.version;
        let billing = &world.stack.billing;
        billing.store.put(&mut before, world.stack.clock.now(), &billing.policy).await.unwrap();
        for _ in 0..100 {
            Box::pin(world.after(SignedDuration::from_mins(7))).await;
        }
        world.live_until(seoul("2026-12-24T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.in_flight), (Status::Active, 2, None), "declined: {decline}");
        world.reconciled(&[id]).await;
    }
}

/// The subscription as it stands before what has just been settled, whose charge stays in the ledger: with the attempt in flight,
/// or before its claim.
async fn tear(world: &World, mut before: Subscription, in_flight: bool) {
    let (billing, now) = (&world.stack.billing, world.stack.clock.now());
    if in_flight {
        before.in_flight = before.next_charge(now, &billing.policy);
        (before.claimed_at, before.sends) = (before.in_flight.as_ref().map(|_| now), 1);
    }
    before.version = world.subscription(before.id).await.version;
    billing.store.put(&mut before, now, &billing.policy).await.unwrap();
}

/// As above: before the subscription's next step another payment is recorded, of the same name or of the next. It is the duplicate.
#[tokio::test]
async fn a_torn_settlement_is_mended_where_another_payment_of_its_period_is_recorded() {
    for attempt in [1, 2] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-23T09:55")).await;
        let before = world.subscription(id).await;
        world.live_until(seoul("2026-12-23T10:05")).await;
        tear(&world, before, false).await;
        let (name, now) = (world.charge_name(id, 2, attempt).await, world.stack.clock.now());
        let imp_uid = {
            let mut iamport = world.stack.iamport();
            iamport.charge_elsewhere(&id.to_string(), &name.to_string(), 9_900, now).unwrap()
        };
        let billing = &world.stack.billing;
        let shown = billing.iamport.payment(&imp_uid.parse().unwrap()).await.unwrap().unwrap();
        billing.record(name, &shown).await.unwrap();
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.period, s.in_flight), (Status::Active, 2, 3, None), "{attempt}");
        world.live_until(seoul("2026-12-24T12:00")).await;
        assert_eq!(world.payments(), 3, "{attempt}");
        let balance = world.stack.iamport().books().payment(&imp_uid).unwrap().balance();
        assert_eq!((balance, world.ledger(id).await.standing()), (0, Won::new(2 * 9_900)), "{attempt}");
        world.reconciled(&[id]).await;
    }
}

/// As above, and before the subscription's next step a person is called, and decides.
#[tokio::test]
async fn a_torn_settlement_is_mended_by_an_operators_decision_of_something_else() {
    for (action, declined, in_flight) in [
        ("accept", false, false),
        ("accept", false, true),
        ("refund", false, true),
        ("write_off", false, true),
        ("accept", true, true),
        ("write_off", true, true),
    ] {
        let what = format!("{action}, declined: {declined}, in flight: {in_flight}");
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-23T09:55")).await;
        let mut before = world.subscription(id).await;
        if declined {
            world.fault(Rule::once(Call::Again, no_money()));
        }
        world.live_until(seoul("2026-12-23T10:05")).await;
        let billing = &world.stack.billing;
        if !in_flight {
            before.needs_review("something else".to_owned(), world.stack.clock.now());
        }
        tear(&world, before, in_flight).await;
        if in_flight {
            let mut torn = world.subscription(id).await;
            torn.needs_review("something else".to_owned(), world.stack.clock.now());
            billing.store.put(&mut torn, world.stack.clock.now(), &billing.policy).await.unwrap();
        }
        world.live_until(seoul("2026-12-23T10:20")).await;
        assert_eq!(world.subscription(id).await.status, Status::NeedsReview, "{what}");
        world.commanded(id, "repair", json!({ "action": action, "reason": "checked" })).await;
        world.live_until(seoul("2026-12-23T10:30")).await;
        let s = world.subscription(id).await;
        let expected = if declined { (Status::PastDue, 1) } else { (Status::Active, 2) };
        assert_eq!(((s.status, s.paid_through), s.in_flight), (expected, None), "{what}");
        world.live_until(seoul("2026-12-24T12:00")).await;
        let paid = world.ledger(id).await;
        assert_eq!((paid.standing(), paid.refunds.len()), (Won::new(2 * 9_900), 0), "{what}");
        world.reconciled(&[id]).await;
    }
}

/// As above, of an attempt that came to nothing because somebody else had paid under its name: that is no decline.
#[tokio::test]
async fn an_attempt_that_was_void_is_no_decline_where_a_restore_has_torn_it() {
    for before_the_claim in [true, false] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-23T09:50")).await;
        squat(&world, world.charge_name(id, 2, 1).await, "somebody-else").await;
        let mut before = world.subscription(id).await;
        world.live_until(seoul("2026-12-23T10:08")).await;
        if !before_the_claim {
            before = world.subscription(id).await;
            assert!(before.in_flight.is_some());
        }
        world.stack.clock.set(seoul("2026-12-23T10:15"));
        world.stack.billing.work(&world.due(id).await).await.unwrap();
        assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
        let after = world.subscription(id).await;
        assert_eq!((after.in_flight, after.dunning, after.attempts), (None, None, 1));
        before.version = after.version;
        let billing = &world.stack.billing;
        billing.store.put(&mut before, world.stack.clock.now(), &billing.policy).await.unwrap();
        world.live_until(seoul("2026-12-23T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.in_flight), (Status::Active, 2, None), "{before_the_claim}");
        let events = world.stack.events().await;
        assert!(!events.iter().any(|event| event.kind == Kind::PastDue), "{before_the_claim}");
    }
}

/// As above, of a payment that was shown late: each look finds it in the ledger.
#[tokio::test]
async fn late_truth_that_a_restore_has_torn_is_mended() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(3))));
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    let mut before = world.subscription(id).await;
    world.live_until(seoul("2026-12-27T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    before.version = world.subscription(id).await.version;
    let billing = &world.stack.billing;
    billing.store.put(&mut before, world.stack.clock.now(), &billing.policy).await.unwrap();
    world.live_until(seoul("2026-12-29T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.paid_through, s.in_flight, world.payments()), (Status::Active, 2, None, 2));
    world.reconciled(&[id]).await;
}

/// The charge says that it went back, and the refund isn't in the ledger; and the other way round.
#[tokio::test]
async fn a_refund_that_a_restore_has_torn_is_mended() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let name = world.ledger(id).await.charges[0].merchant_uid;
    let path = format!("/v1/subscriptions/{id}/charges/1-1/refund");
    let body = serde_json::json!({ "amount": 3_000, "reason": "asked" });
    assert_eq!(world.call(http::Method::POST, &path, &body, None).await.status, 202);
    world.after(SignedDuration::from_mins(2)).await;
    let whole = world.ledger(id).await;
    assert_eq!((whole.charges[0].refunded.get(), whole.refunds.len()), (3_000, 1));
    let billing = &world.stack.billing;
    let shown = billing.iamport.payments_of(name).await.unwrap().remove(0);

    let refund = &whole.refunds[0];
    let key = Key::refund(id, refund.imp_uid.as_str(), &refund.cancellation_id);
    let key = serde_json::json!({ "pk": { "S": key.pk }, "sk": { "S": key.sk } });
    let request = serde_json::json!({ "TableName": sandbox::stack::TABLE, "Key": key });
    world.stack.database().delete_item(serde_json::from_value(request).unwrap()).unwrap();
    assert_eq!(world.ledger(id).await.refunds.len(), 0);
    billing.record(name, &shown).await.unwrap();
    assert_eq!(world.ledger(id).await.refunds, whole.refunds);

    let was = world.ledger(id).await.charges.remove(0);
    let is = Charge { refunded: Won::ZERO, ..was.clone() };
    billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
    billing.record(name, &shown).await.unwrap();
    let mended = world.ledger(id).await;
    assert_eq!((mended.charges[0].refunded.get(), mended.refunds), (3_000, whole.refunds));
}

/// No webhook comes once more: comparing the books finds it, on the day of the payment or of the refund, and only once.
#[tokio::test]
async fn a_refund_entry_that_a_restore_has_lost_is_found_by_comparing_the_books() {
    for days in [0, 3] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.after(SignedDuration::from_hours(24 * days)).await;
        world.commanded(id, "charges/1-1/refund", json!({ "amount": 3_000, "reason": "asked" })).await;
        world.after(SignedDuration::from_mins(2)).await;
        let whole = world.ledger(id).await.refunds;
        let key = Key::refund(id, whole[0].imp_uid.as_str(), &whole[0].cancellation_id);
        let request =
            json!({ "TableName": sandbox::stack::TABLE, "Key": { "pk": { "S": key.pk }, "sk": { "S": key.sk } } });
        world.stack.database().delete_item(serde_json::from_value(request).unwrap()).unwrap();
        world.after(SignedDuration::from_hours(1)).await;
        for settled in [1, 0] {
            let span = Span { from: seoul("2026-11-23T00:00"), to: world.stack.clock.now() };
            let run = Box::pin(world.stack.billing.reconcile(span, Duration::from_secs(60))).await.unwrap();
            assert_eq!((run.settled, run.found), (settled, 0), "{days} days");
            assert_eq!(world.ledger(id).await.refunds, whole, "{days} days");
        }
    }
}

/// The other half: the subscription has advanced, and the charge isn't in the ledger.
#[tokio::test]
async fn a_settlement_whose_charge_a_restore_has_lost_is_found_by_comparing_the_books() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T10:05")).await;
    let key = serde_json::json!({ "pk": { "S": format!("SUB#{id}") }, "sk": { "S": "CHARGE#00002#PAID" } });
    let request = serde_json::json!({ "TableName": sandbox::stack::TABLE, "Key": key });
    world.stack.database().delete_item(serde_json::from_value(request).unwrap()).unwrap();
    assert_eq!(world.outcomes(id).await, ["paid"]);
    let span = Span { from: seoul("2026-12-23T00:00"), to: seoul("2026-12-24T00:00") };
    world.stack.clock.set(seoul("2026-12-24T03:00"));
    let run = Box::pin(world.stack.billing.reconcile(span, Duration::from_secs(60))).await.unwrap();
    assert_eq!((run.settled, world.outcomes(id).await), (1, vec!["paid", "paid"]));
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.paid_through, s.period), (Status::Active, 2, 3));
    world.reconciled(&[id]).await;
}

/// One settled charge per period is the table's rule: a query beside the read needn't show what was written a moment ago.
#[tokio::test]
async fn of_two_payments_for_a_period_one_goes_back_even_where_a_query_shows_neither() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(4 * 24))));
    world.live_until(seoul("2026-12-26T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    world.stack.clock.set(seoul("2026-12-27T12:00"));
    let name = world.ledger(id).await.charges[1].merchant_uid;
    let paid = world.stack.billing.iamport.payments_of(name).await.unwrap().remove(0);
    assert!(paid.was_paid());
    let hides = Arc::new(AtomicUsize::new(3));
    let worker = world.worker_over(SharedHttpClient::new(hiding::Hiding(http_client(), hides.clone())), Https::new());
    worker.record(name, &paid).await.unwrap();
    assert!(hides.load(Ordering::SeqCst) < 3, "a query was shown too little");
    let settled = world.ledger(id).await.charges.iter().filter(|c| c.period == 2 && c.is_settled()).count();
    assert_eq!(settled, 1);
    world.live_until(seoul("2026-12-28T12:00")).await;
    let balances: Vec<u64> =
        world.stack.iamport().books().payments().iter().filter(|p| p.was_charged()).map(|p| p.balance()).collect();
    assert_eq!(balances, [9_900, 0, 9_900]);
    world.reconciled(&[id]).await;
}

mod hiding {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::body::SdkBody;

    /// The first so many queries of period 2 don't see its second attempt yet.
    #[derive(Debug, Clone)]
    pub(super) struct Hiding(pub(super) SharedHttpClient, pub(super) Arc<AtomicUsize>);

    #[derive(Debug, Clone)]
    struct Connector(SharedHttpConnector, Arc<AtomicUsize>);

    impl HttpClient for Hiding {
        fn http_connector(&self, s: &HttpConnectorSettings, c: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(Connector(self.0.http_connector(s, c), self.1.clone()))
        }
    }

    impl HttpConnector for Connector {
        fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
            let wanted = "\"CHARGE#00002#\"";
            if body.contains(wanted) && self.1.load(Ordering::SeqCst) > 0 {
                self.1.fetch_sub(1, Ordering::SeqCst);
                let less = body.replace(wanted, "\"CHARGE#00002#001\"");
                request.headers_mut().insert("content-length", less.len().to_string());
                *request.body_mut() = SdkBody::from(less);
            }
            self.0.call(request)
        }
    }
}
