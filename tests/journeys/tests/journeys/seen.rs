//! What an operator sees: every metric that an alarm may watch is really written, and no line says who the buyers are.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use journeys::{World, no_money, seoul, watched};
use maedal::billing::Span;
use maedal::clock::Clock;
use maedal::metrics::Metric;
use maedal::store::Entry;
use maedal::subscription::{Charge, Status, Won};
use serde_json::json;
use simulator::{Call, Fault, Rule};

/// One life in which everything happens that is measured.
#[tokio::test]
async fn every_metric_is_written_and_no_line_names_a_buyer() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.commanded(id, "charges/1-1/refund", json!({ "amount": 900, "reason": "a test" })).await;
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.live_until(seoul("2026-12-23T12:00")).await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.live_until(seoul("2027-01-23T12:00")).await;
    // The ledger says another amount than I'mport.
    let was = world.ledger(id).await.charges[0].clone();
    let is = Charge { amount: Won::new(1_000), ..was.clone() };
    world.stack.billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
    let to = world.stack.clock.now();
    let from = to.saturating_sub(SignedDuration::from_hours(24 * 80)).unwrap();
    let run = world.stack.billing.reconcile(Span { from, to }, std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(run.found, 1);
    assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
    world.stack.events().await;

    let all: BTreeSet<String> = Metric::ALL.iter().map(|metric| metric.name().to_owned()).collect();
    assert_eq!(watched::measured(), all);
    assert_eq!(watched::leaked(), [""; 0]);
}
