//! Dispatch: what is due goes on the queue, and nothing else is read.

use std::sync::Arc;
use std::time::Duration;

use journeys::fate::{Blow, Fate};
use journeys::{World, seoul};
use maedal::billing::dispatch;
use serde_json::json;

#[tokio::test]
async fn two_ticks_at_once_send_each_step_once() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.subscribed("coffee").await);
    }
    world.stack.clock.set(seoul("2026-12-23T10:05"));
    let (one, other) = tokio::join!(world.stack.tick(), world.stack.tick());
    assert_eq!((one.unwrap().sent, other.unwrap().sent), (5, 5));
    assert_eq!(world.stack.queue.len(), 5, "the queue drops the repeats");
    while !world.stack.charge_batch().await.is_empty() {}
    assert_eq!(world.payments(), 10);
    assert_eq!(world.stack.tick().await.unwrap().sent, 0);
    world.reconciled(&ids).await;
}

#[tokio::test]
async fn a_batch_overlaps_and_a_bad_message_blocks_nobody() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:05"));
    world.stack.tick().await.unwrap();
    let mut batch = world.stack.queue.receive(10);
    for body in ["", "not json", "{}", r#"{"step":{}}"#, r#"{"step":{"subscription":"x","due_at":1}}"#] {
        let mut bad = batch[0].clone();
        bad.id = format!("bad-{body}");
        bad.group = "bad".into();
        bad.body = body.into();
        batch.insert(0, bad);
    }
    let response =
        charge::handle(&world.stack.charge, sandbox::stack::sqs_event(&batch), sandbox::stack::CHARGE_TIME).await;
    assert!(response.batch_item_failures.is_empty(), "{response:?}");
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
}

/// Reads grow with what is due, not with how many subscribe.
#[tokio::test]
async fn reads_do_not_grow_with_the_subscribers() {
    let world = World::new().await;
    world
        .put_plan("yearly", json!({ "name": "해마다", "amount": 99_000, "interval": { "unit": "year", "count": 1 } }))
        .await;
    let measure = || async {
        let before = world.stack.billing.store.meter().usage();
        let sent = world.stack.tick().await.unwrap().sent;
        (sent, world.stack.billing.store.meter().usage() - before)
    };
    for _ in 0..8 {
        world.subscribed("coffee").await;
    }
    world.stack.clock.set(seoul("2026-12-23T12:00"));
    let (sent, few) = measure().await;
    assert_eq!(sent, 8);
    world.stack.clock.set(seoul("2026-11-23T12:00"));
    for _ in 0..80 {
        world.subscribed("yearly").await;
    }
    world.stack.clock.set(seoul("2026-12-23T12:00"));
    let (sent, many) = measure().await;
    assert_eq!(sent, 8);
    assert_eq!(few.read_units, many.read_units);
    assert_eq!(few.calls, many.calls);
}

/// What can't be read now is due at the next tick still. Only where nothing at all can be read is the tick a failure.
#[tokio::test]
async fn a_shard_that_cannot_be_read_holds_up_no_other() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.subscribed("coffee").await);
    }
    world.stack.clock.set(seoul("2026-12-23T10:05"));
    let fate = Arc::new(Fate::default());
    let worker = world.worker(&fate);
    let tick = || dispatch(&worker.store, &*world.stack.queue, &*worker.clock, Duration::from_secs(60));
    // The switch is read first, and kept; then four shards side by side, each as often as the client tries.
    (2..=13).for_each(|nth| fate.strike(nth, Blow::Throttle));
    let some = tick().await.unwrap();
    assert!((1..=4).contains(&some.shards_cut_short) && (1..=20).contains(&some.sent), "{some:?}");
    (1..=100).for_each(|nth| fate.strike(nth, Blow::Throttle));
    assert!(tick().await.is_err());
    fate.relent();
    let all = tick().await.unwrap();
    assert_eq!((all.sent, all.shards_cut_short), (20, 0));
    while !world.stack.charge_batch().await.is_empty() {}
    assert_eq!(world.payments(), 40);
    world.reconciled(&ids).await;
}
