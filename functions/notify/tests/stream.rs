//! The sample events through the handler, and a bus that doesn't take everything.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use maedal::bus::{Bus, BusError, Putting};
use maedal::events::DomainEvent;
use notify::{App, BatchResponse, StreamEvent, handle};
use serde_json::{Value, json};

/// A bus that fails as it is told: for each call, the places that it doesn't take, or an error.
#[derive(Debug, Default)]
struct FickleBus {
    taken: Mutex<Vec<DomainEvent>>,
    moods: Mutex<Vec<Result<Vec<usize>, BusError>>>,
}

impl Bus for FickleBus {
    fn put<'a>(&'a self, batch: &'a [DomainEvent]) -> Putting<'a> {
        Box::pin(async move {
            let mut moods = self.moods.lock().unwrap();
            let failed = if moods.is_empty() { Vec::new() } else { moods.remove(0)? };
            let taken = batch.iter().enumerate().filter(|(place, _)| !failed.contains(place));
            self.taken.lock().unwrap().extend(taken.map(|(_, event)| event.clone()));
            Ok(failed)
        })
    }
}

impl FickleBus {
    fn words(&self) -> Vec<&'static str> {
        self.taken.lock().unwrap().iter().map(|event| event.kind.word()).collect()
    }
}

fn sample(name: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/notify").join(name).with_extension("json");
    serde_json::from_str(&std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))).unwrap()
}

fn event(samples: &[&str]) -> StreamEvent {
    let records = samples.iter().flat_map(|name| sample(name)["Records"].as_array().unwrap().clone()).collect();
    StreamEvent { records }
}

async fn app() -> (App, Arc<FickleBus>) {
    let bus = Arc::new(FickleBus::default());
    let store = stack::billing().await.unwrap().store.clone();
    (App { bus: bus.clone(), store }, bus)
}

fn sequence_number(event: &StreamEvent, record: usize) -> String {
    event.records[record]["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_sample_event_is_told() {
    for (name, expected) in [
        ("open-session", vec!["subscription.created"]),
        ("billing-key", vec!["subscription.payment_method_changed"]),
        ("first-charge", vec!["subscription.activated", "charge.paid"]),
        ("renewal", vec!["subscription.renewed", "charge.paid"]),
        ("decline", vec!["subscription.past_due", "charge.declined"]),
        ("recovery", vec!["subscription.renewed", "charge.paid"]),
        ("refund", vec!["charge.refunded"]),
        ("removed-by-ttl", vec![]),
    ] {
        let (app, bus) = app().await;
        assert_eq!(handle(&app, event(&[name])).await, BatchResponse::default(), "{name}");
        assert_eq!(bus.words(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_event_has_all_that_a_consumer_needs() {
    let (app, bus) = app().await;
    handle(&app, event(&["renewal"])).await;
    let taken = bus.taken.lock().unwrap();
    let told: Vec<Value> = taken.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(told[0]["type"], "subscription.renewed");
    for pointer in [
        "/id",
        "/version",
        "/occurred_at",
        "/subscription/customer_id",
        "/subscription/customer_uid",
        "/subscription/plan/amount",
        "/subscription/period/starts_at",
        "/subscription/period/ends_at",
        "/subscription/next_charge/at",
    ] {
        assert!(told[0].pointer(pointer).is_some(), "{pointer}: {}", told[0]);
    }
    for pointer in [
        "/subscription/customer_id",
        "/subscription/plan/id",
        "/charge/amount",
        "/charge/imp_uid",
        "/charge/merchant_uid",
        "/charge/receipt_url",
        "/charge/paid_at",
        "/charge/period/ends_at",
    ] {
        assert!(told[1].pointer(pointer).is_some(), "{pointer}: {}", told[1]);
    }
    assert_eq!(told[0]["version"], told[1]["version"], "one write, one version");
}

#[tokio::test]
async fn a_buyers_data_never_leaves() {
    let (app, bus) = app().await;
    let samples = event(&["open-session", "billing-key", "first-charge", "renewal", "decline", "recovery", "refund"]);
    let sent = serde_json::to_string(&samples.records).unwrap();
    handle(&app, samples).await;
    let told = serde_json::to_string(&*bus.taken.lock().unwrap()).unwrap();
    for private in ["김매달", "buyer@shop.example", "010-1234-5678"] {
        assert!(sent.contains(private) && !told.contains(private), "{private}");
    }
}

#[tokio::test]
async fn what_the_bus_does_not_take_is_put_again_alone() {
    let (app, bus) = app().await;
    *bus.moods.lock().unwrap() = vec![Ok(vec![0]), Err(BusError("ThrottlingException".into())), Ok(vec![])];
    assert_eq!(handle(&app, event(&["first-charge"])).await, BatchResponse::default());
    assert_eq!(bus.words(), ["charge.paid", "subscription.activated"]);
}

#[tokio::test]
async fn the_batch_comes_again_from_the_first_record_that_was_not_taken() {
    let (app, bus) = app().await;
    // Events: activated, paid (records 0 and 1), renewed, paid (3 and 4; record 2 is a claim).
    *bus.moods.lock().unwrap() = vec![Ok(vec![2, 3]), Ok(vec![0, 1]), Ok(vec![0])];
    let batch = event(&["first-charge", "renewal"]);
    let expected = BatchResponse::again_from(sequence_number(&batch, 3));
    assert_eq!(handle(&app, batch.clone()).await, expected);

    // The stream gives what is left again, under the same ids.
    let first: Vec<String> = bus.taken.lock().unwrap().iter().map(|event| event.id.clone()).collect();
    handle(&app, StreamEvent { records: batch.records[3..].to_vec() }).await;
    let all: Vec<String> = bus.taken.lock().unwrap().iter().map(|event| event.id.clone()).collect();
    let repeated = all[first.len()..].iter().filter(|id| first.contains(id)).count();
    assert_eq!((first.len(), all.len(), repeated), (3, 5, 1));
}

#[tokio::test]
async fn more_events_than_one_call_takes_go_in_tens() {
    let (app, bus) = app().await;
    let batch = event(&["first-charge"; 8]);
    assert_eq!(handle(&app, batch).await, BatchResponse::default());
    assert_eq!(bus.words().len(), 16);
}

#[tokio::test]
async fn a_record_that_can_not_be_told_stops_the_batch_there() {
    let (app, bus) = app().await;
    let mut batch = event(&["first-charge", "renewal"]);
    batch.records[3]["dynamodb"]["NewImage"]["status"] = json!({ "S": "on the moon" });
    let expected = BatchResponse::again_from(sequence_number(&batch, 3));
    assert_eq!(handle(&app, batch).await, expected);
    assert_eq!(bus.words(), ["subscription.activated", "charge.paid"], "what came before has left");
}

#[tokio::test]
async fn what_is_none_of_ours_is_ignored() {
    let (app, bus) = app().await;
    let mut plan = sample("first-charge")["Records"][0].clone();
    plan["dynamodb"]["NewImage"] =
        json!({ "pk": { "S": "PLANS" }, "sk": { "S": "coffee" }, "colour": { "BOOL": true } });
    let batch = StreamEvent { records: vec![plan, json!({ "hello": "world" }), json!(null)] };
    assert_eq!(handle(&app, batch).await, BatchResponse::default());
    assert_eq!(bus.words(), [""; 0]);
}

/// What the list has, the newest first.
async fn listed(app: &App, event: &StreamEvent) -> Vec<Value> {
    let id = event.records[0]["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().strip_prefix("SUB#").unwrap();
    app.store.events(id.parse().unwrap(), None, 100).await.unwrap().events
}

#[tokio::test]
async fn what_has_left_is_listed_once_however_often_it_left() {
    let (app, bus) = app().await;
    let batch = event(&["first-charge", "renewal", "first-charge"]);
    for _ in 0..2 {
        assert_eq!(handle(&app, batch.clone()).await, BatchResponse::default());
    }
    let listed = listed(&app, &batch).await;
    let words: Vec<&str> = listed.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(words, ["charge.paid", "subscription.renewed", "charge.paid", "subscription.activated"]);
    let left = bus.taken.lock().unwrap();
    for event in &listed {
        assert!(left.iter().any(|left| serde_json::to_value(left).unwrap() == *event), "as it left");
    }
}

/// What can't be listed comes again: it leaves twice rather than never be listed.
#[tokio::test]
async fn an_event_that_can_not_be_listed_comes_again() {
    let (app, bus) = app().await;
    let nowhere = maedal::aws::Aws::local("http://127.0.0.1:9").dynamodb();
    let broken = App { bus: app.bus.clone(), store: maedal::store::Store::new(nowhere, "maedal") };
    let batch = event(&["first-charge"]);
    let again = BatchResponse::again_from(sequence_number(&batch, 0));
    assert_eq!(handle(&broken, batch.clone()).await, again);
    assert_eq!(handle(&app, batch.clone()).await, BatchResponse::default());
    assert_eq!((bus.words().len(), listed(&app, &batch).await.len()), (4, 2));
}

#[test]
fn the_answer_is_as_lambda_reads_it() {
    let text = |response: &BatchResponse| serde_json::to_value(response).unwrap();
    assert_eq!(text(&BatchResponse::default()), json!({ "batchItemFailures": [] }));
    let again = BatchResponse::again_from("7".into());
    assert_eq!(text(&again), json!({ "batchItemFailures": [{ "itemIdentifier": "7" }] }));
}
