//! Redirect, webhook, tick, and a duplicate of each: whatever comes first, the ledger is the same.

use std::sync::Arc;
use std::time::Duration;

use journeys::World;
use journeys::fate::{Blow, Fate};
use maedal::queue::Message;
use maedal::subscription::{Due, Status, SubscriptionId};
use sandbox::buyer::Button;
use sandbox::queue::Received;
use simulator::{Call, Fault, Rule};

use crate::webhook::{told, webhook};

/// A hint that comes to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// The browser is back.
    Redirect,
    /// All that I'mport has told about this subscription so far.
    Webhook,
    /// The minute's tick, and the queue until it is empty.
    Tick,
    /// The first step's message once more.
    Message,
}

/// All different orders of `hints`, which must be sorted.
fn orders(hints: &[Hint]) -> Vec<Vec<Hint>> {
    if hints.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in hints.iter().enumerate() {
        if place > 0 && hints[place - 1] == *first {
            continue;
        }
        let mut rest = hints.to_vec();
        rest.remove(place);
        all.extend(orders(&rest).into_iter().map(|order| [vec![*first], order].concat()));
    }
    all
}

/// The ledger without what differs from order to order: ids, times, and whether anybody was ever in doubt.
async fn entries(world: &World, id: SubscriptionId) -> Vec<String> {
    let ledger = world.ledger(id).await;
    let charges = ledger.charges.iter().map(|charge| {
        let outcome = if charge.payment().is_some() { "paid" } else { "declined" };
        let marks = (charge.duplicate, charge.further, charge.refund.is_some());
        format!("{}.{} {outcome} {} {marks:?}", charge.period, charge.attempt, charge.standing().get())
    });
    charges.chain(ledger.refunds.iter().map(|refund| format!("refund {}", refund.amount.get()))).collect()
}

async fn drain(world: &World) {
    while !world.stack.charge_batch().await.is_empty() {}
}

async fn befall(world: &World, id: SubscriptionId, hint: Hint, back: &str, due: Option<&Due>) {
    match hint {
        Hint::Redirect => {
            let landing = world.buyer.come_back(back).await.unwrap();
            assert!(landing.status.is_success() || landing.status.is_redirection(), "{landing:?}");
        }
        Hint::Webhook => {
            for body in told(world, &id.to_string()) {
                assert_eq!(webhook(world, &body).await.0, 200);
            }
        }
        Hint::Tick => {
            world.stack.tick().await.unwrap();
            drain(world).await;
        }
        Hint::Message => {
            let due = due.unwrap().clone();
            let body = serde_json::to_string(&Message::Step(due)).unwrap();
            world.stack.queue.duplicate(&Received { id: "again".into(), group: id.to_string(), body, receipts: 0 });
            drain(world).await;
        }
    }
}

/// Runs a first charge in every order of `hints`, with `gap` between one and the next.
async fn first_charges(hints: &[Hint], gap: Duration) -> usize {
    let world = World::new().await;
    // Webhooks are sent by hand.
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let mut ids = Vec::new();
    for order in orders(hints) {
        let id = world.session("coffee").await;
        let window = world.buyer.open_window(id).await.unwrap();
        let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
        for hint in &order {
            befall(&world, id, *hint, &back, None).await;
            world.stack.clock.advance(gap);
        }
        drain(&world).await;
        assert_eq!(entries(&world, id).await, ["1.1 paid 9900 (false, false, false)"], "{order:?}");
        let subscription = world.subscription(id).await;
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 1), "{order:?}");
        ids.push(id);
    }
    assert_eq!(world.payments(), ids.len(), "each is charged once");
    world.reconciled(&ids).await;
    ids.len()
}

#[tokio::test]
async fn a_first_charge_has_the_same_ledger_in_every_order() {
    use Hint::{Redirect, Tick, Webhook};
    let hints = [Redirect, Redirect, Webhook, Webhook, Tick, Tick];
    assert_eq!(first_charges(&hints, Duration::ZERO).await, 90);
}

/// So late that a repeat of a webhook isn't remembered any more.
#[tokio::test]
async fn a_first_charge_has_the_same_ledger_in_every_slow_order() {
    use Hint::{Redirect, Tick, Webhook};
    let hints = [Redirect, Redirect, Webhook, Webhook, Tick, Tick];
    assert_eq!(first_charges(&hints, Duration::from_secs(31)).await, 90);
}

#[tokio::test]
async fn a_first_charge_needs_no_redirect() {
    use Hint::{Tick, Webhook};
    assert_eq!(first_charges(&[Webhook, Webhook, Tick, Tick], Duration::from_secs(31)).await, 6);
}

#[tokio::test]
async fn a_first_charge_needs_no_webhook() {
    use Hint::{Redirect, Tick};
    assert_eq!(first_charges(&[Redirect, Redirect, Tick, Tick], Duration::from_secs(31)).await, 6);
}

/// How far a renewal has come when the hints begin.
#[derive(Debug, Clone, Copy)]
enum Begun {
    /// It is due.
    Due,
    /// I'mport has made it, and its answer was lost: in doubt.
    AnswerLost,
    /// I'mport has made it, and the worker died: in flight.
    WorkerDied,
}

async fn renewals(begun: Begun) {
    const EACH: Duration = Duration::from_secs(20 * 60);
    let world = World::new().await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let orders = orders(&[Hint::Webhook, Hint::Webhook, Hint::Tick, Hint::Tick, Hint::Message]);
    assert_eq!(orders.len(), 30);
    let mut ids = Vec::new();
    for _ in &orders {
        ids.push(world.subscribed("coffee").await);
        world.stack.clock.advance(EACH);
    }
    for (id, order) in ids.iter().zip(&orders) {
        let due = world.due(*id).await;
        world.stack.clock.set(due.due_at);
        match begun {
            Begun::Due => (),
            Begun::AnswerLost => {
                world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
                world.stack.tick().await.unwrap();
                drain(&world).await;
                assert!(world.subscription(*id).await.doubt.is_some());
            }
            Begun::WorkerDied => {
                let fate = Arc::new(Fate::default());
                // Claim, token, `again`.
                fate.strike(3, Blow::DieAfter);
                assert!(fate.live(world.worker(&fate).work(&due)).await.is_none());
                assert!(world.subscription(*id).await.in_flight.is_some());
            }
        }
        for hint in order {
            befall(&world, *id, *hint, "", Some(&due)).await;
            world.stack.clock.advance(Duration::from_secs(3 * 60));
        }
        world.stack.turn().await.unwrap();
        let paid = ["1.1 paid 9900 (false, false, false)", "2.1 paid 9900 (false, false, false)"];
        assert_eq!(entries(&world, *id).await, paid, "{begun:?} {order:?}");
        let subscription = world.subscription(*id).await;
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2), "{begun:?} {order:?}");
    }
    assert_eq!(world.payments(), 60, "each is charged twice: at first, and once more");
    world.reconciled(&ids).await;
}

#[tokio::test]
async fn a_renewal_has_the_same_ledger_in_every_order() {
    renewals(Begun::Due).await;
}

#[tokio::test]
async fn a_renewal_in_doubt_has_the_same_ledger_in_every_order() {
    renewals(Begun::AnswerLost).await;
}

#[tokio::test]
async fn a_renewal_whose_worker_died_has_the_same_ledger_in_every_order() {
    renewals(Begun::WorkerDied).await;
}
