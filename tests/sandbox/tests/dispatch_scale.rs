//! Dispatch reads what is due, however many subscribe.
//!
//! `MAEDAL_SUBSCRIBERS` says how many others there are: 50,000 without it, a million to see it at scale.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use maedal::aws::Aws;
use maedal::billing::dispatch;
use maedal::clock::TestClock;
use maedal::ids::Ids;
use maedal::store::{Store, table};
use maedal::subscription::SubscriptionId;
use sandbox::queue::LocalQueue;
use sandbox::stack::TABLE;

const DUE: usize = 10_000;
const AT_ONCE: usize = 50_000;

type Item = HashMap<String, AttributeValue>;

/// What dispatch sees of a subscription: its keys and when it is due; and as many bytes as one has beside them.
fn item(id: SubscriptionId, due_at: Timestamp) -> Item {
    let text = |text: String| AttributeValue::S(text);
    let number = |number: i64| AttributeValue::N(number.to_string());
    [
        ("pk", text(format!("SUB#{id}"))),
        ("sk", text("SUB".to_owned())),
        ("id", text(id.to_string())),
        ("customer_id", text(format!("customer-{id}"))),
        ("status", text("active".to_owned())),
        ("due_shard", number(i64::from(id.due_shard()))),
        ("due_at", number(due_at.as_millisecond())),
        ("rest", text("x".repeat(500))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Read units of one tick with [`DUE`] due among `others` that aren't.
async fn read_units(others: usize) -> f64 {
    let now: Timestamp = "2026-12-23T01:00:00Z".parse().unwrap();
    let database = dynoxide::Database::memory().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = database.clone();
    tokio::spawn(async move { dynoxide::server::serve_on(listener, served).await });
    let client = Aws::local(url).dynamodb();
    table::create(&client, TABLE).await.unwrap();

    let ids = Ids::seeded(1);
    let mut left = DUE + others;
    while left > 0 {
        let batch = left.min(AT_ONCE);
        let items = (0..batch).map(|nth| {
            let due_at =
                if left - nth <= DUE { now } else { now + SignedDuration::from_hours(24 + (nth % 700) as i64) };
            item(SubscriptionId::new(ids.next(now)), due_at)
        });
        database.import_items(TABLE, items.collect(), dynoxide::ImportOptions::default()).unwrap();
        left -= batch;
    }

    let clock = Arc::new(TestClock::at(now));
    let queue = LocalQueue::new(clock.clone());
    let store = Store::new(client, TABLE);
    let dispatched = dispatch(&store, &queue, clock.as_ref(), Duration::from_secs(600)).await.unwrap();
    assert_eq!((dispatched.sent, queue.len()), (DUE, DUE));
    store.meter().usage().read_units
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_the_same_among_ten_thousand_subscribers_and_among_very_many() {
    let very_many = std::env::var("MAEDAL_SUBSCRIBERS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    let (few, many) = (read_units(0).await, read_units(very_many).await);
    println!("{DUE} due: {few} read units of {DUE} subscribers, {many} of {}", DUE + very_many);
    assert!((many - few).abs() <= few * 0.05, "{few} and {many}");
}
