//! Everything off at once: nobody is charged, everybody is answered; and on again, everybody is charged once.

use http::Method;
use jiff::SignedDuration;
use journeys::{World, seoul};
use maedal::clock::Clock;
use maedal::store::SWITCH_KEPT;
use maedal::subscription::{Status, Won};
use serde_json::{Value, json};

async fn switch(world: &World, on: bool) -> Value {
    let body = json!({ "on": on, "reason": "a test" });
    let answer = world.call(Method::PUT, "/v1/charging", &body, None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn switched_off_under_load_nobody_is_charged_and_on_again_everybody_is_once() {
    let world = World::new().await;
    assert_eq!(world.read("/v1/charging").await.body, json!({ "on": true, "since": null, "by": null, "reason": null }));
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.push(world.subscribed("coffee").await);
    }
    let refunded = ids[0];
    // They are on the queue when it goes off: some are charged, some are not.
    world.stack.clock.set(seoul("2026-12-23T10:01"));
    world.stack.tick().await.unwrap();
    world.stack.charge_batch().await;
    let charged = world.payments();
    assert_eq!(charged, 25 + 10);
    let off = switch(&world, false).await;
    assert_eq!((&off["on"], &off["by"], &off["reason"]), (&json!(false), &json!("unsigned"), &json!("a test")));
    while !world.stack.charge_batch().await.is_empty() {}
    assert_eq!(world.payments(), charged);

    // Pages and the API answer; money goes back; a new buyer's key is kept, and not charged.
    let answer = world.commanded(refunded, "charges/1-1/refund", json!({ "reason": "a test" })).await;
    assert_eq!(answer["refund"]["amount"], 9_900);
    let newcomer = world.session("coffee").await;
    let landing = world.buyer.subscribe(newcomer).await.unwrap();
    assert_eq!(landing.status, 200, "{landing:?}");
    for _ in 0..3 {
        world.after(SignedDuration::from_hours(1)).await;
    }
    let waiting = world.subscription(newcomer).await;
    assert_eq!((waiting.status, waiting.can_be_charged()), (Status::Pending, true));
    assert_eq!(world.payments(), charged);
    assert_eq!(world.ledger(refunded).await.charges[0].standing(), Won::ZERO);
    assert_eq!(world.read("/v1/charging").await.body["on"], false);

    let on = switch(&world, true).await;
    assert_eq!(on["on"], true);
    world.live_until(seoul("2026-12-24T12:00")).await;
    for id in &ids {
        assert_eq!(world.outcomes(*id).await, ["paid", "paid"]);
    }
    assert_eq!(world.outcomes(newcomer).await, ["paid"]);
    ids.push(newcomer);
    world.reconciled(&ids).await;
}

/// A worker in another process hears of it within seconds.
#[tokio::test]
async fn another_worker_takes_its_word_for_seconds_only() {
    let world = World::new().await;
    let other =
        maedal::store::Store::new(maedal::aws::Aws::local(&world.stack.dynamodb_url).dynamodb(), sandbox::stack::TABLE);
    let now = || world.stack.clock.now();
    assert!(other.charging_is_on(now()).await.unwrap());
    switch(&world, false).await;
    assert!(other.charging_is_on(now()).await.unwrap(), "its word is fresh");
    world.stack.clock.advance(SWITCH_KEPT.unsigned_abs());
    assert!(!other.charging_is_on(now()).await.unwrap());
    let before = other.meter().usage();
    assert!(!other.charging_is_on(now()).await.unwrap());
    assert_eq!((other.meter().usage() - before).calls, 0);
}

#[tokio::test]
async fn a_switch_needs_a_reason() {
    let world = World::new().await;
    for body in [json!({ "on": false }), json!({ "on": false, "reason": " " }), json!({ "reason": "x" })] {
        let answer = world.call(Method::PUT, "/v1/charging", &body, None).await;
        assert_eq!(answer.status, 422, "{body}");
    }
}
