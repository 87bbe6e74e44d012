//! Workers die, answers are lost, the table throttles: at every network call of a first charge, a renewal, a look-up and a
//! refund, and always with the same end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journeys::fate::{Blow, Fate};
use journeys::{World, no_money, seoul};
use maedal::aws::http_client;
use maedal::billing::Billing;
use maedal::clock::TestClock;
use maedal::iamport::{Https, Sending, Transport};
use maedal::subscription::{MerchantUid, SubscriptionId};
use sandbox::buyer::Button;
use simulator::{Call, Fault, Rule};

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
    // A token, look-up, confirm, claim, `again`, settle.
    for nth in 1..=6 {
        for blow in BLOWS {
            let world = World::new().await;
            world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
            let id = world.session("coffee").await;
            let window = world.buyer.open_window(id).await.unwrap();
            let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
            let imp_uid = back.split("imp_uid=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
            let name = MerchantUid::window(id, 1);
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
            let due = maedal::store::Due {
                subscription: id,
                charge: Some(maedal::store::Key::of(&charge).sk),
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
