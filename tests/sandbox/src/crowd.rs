//! Very many subscribers at once, put into the database past the stack: for what is measured at scale.

use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::types::{AttributeValue, Item};
use jiff::{SignedDuration, Timestamp};
use maedal::aws::Aws;
use maedal::billing::dispatch;
use maedal::clock::{Clock, TestClock};
use maedal::ids::Ids;
use maedal::key::Key;
use maedal::store::{Store, table};
use maedal::subscription::SubscriptionId;
use tokio::net::TcpListener;

use crate::queue::LocalQueue;
use crate::stack::{Stack, TABLE};

/// Items that go into the table at once.
const AT_ONCE: usize = 20_000;

/// Any failure: a measurement ends with it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Puts `many` copies of the subscription `model` into the stack's table, each with its billing key at I'mport.
///
/// # Errors
/// Where the model isn't there or the database refuses.
pub fn copies(stack: &Stack, model: SubscriptionId, many: usize) -> Result<(), Error> {
    let (ids, now) = (Ids::seeded(7), stack.clock.now());
    let all: Vec<SubscriptionId> = (0..many).map(|_| SubscriptionId::new(ids.next(now))).collect();
    Model::of(stack, model)?.copy_to(stack.database(), &all, |_| None)?;
    let mut iamport = stack.iamport();
    for id in &all {
        iamport.seed_key(&id.to_string(), now);
    }
    Ok(())
}

/// A subscription as the table holds it, of which copies can be made.
#[derive(Debug)]
pub struct Model {
    item: String,
    name: String,
}

impl Model {
    /// The subscription `id` of `stack`.
    ///
    /// # Errors
    /// Where it isn't there.
    pub fn of(stack: &Stack, id: SubscriptionId) -> Result<Self, Error> {
        let key = Key::subscription(id);
        let keys = [("pk", key.pk), ("sk", key.sk)].map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        let request = GetItemRequest { table_name: TABLE.to_owned(), key: keys.into(), ..GetItemRequest::default() };
        let item = stack.database().get_item(request)?.item.ok_or("the model isn't in the table")?;
        Ok(Self { item: serde_json::to_string(&item)?, name: id.to_string() })
    }

    /// Puts a copy under each of `ids` into a database; the nth is listed as due at `due_at(nth)`, else as the model is.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn copy_to(
        &self,
        database: &Database,
        ids: &[SubscriptionId],
        due_at: impl Fn(usize) -> Option<Timestamp>,
    ) -> Result<(), Error> {
        for (some, chunk) in ids.chunks(AT_ONCE).enumerate() {
            let copy = |(nth, id): (usize, &SubscriptionId)| {
                let mut item: Item = serde_json::from_str(&self.item.replace(&self.name, &id.to_string()))?;
                item.insert("due_shard".to_owned(), AttributeValue::N(id.due_shard().to_string()));
                if let Some(due_at) = due_at(some * AT_ONCE + nth) {
                    item.insert("due_at".to_owned(), AttributeValue::N(due_at.as_millisecond().to_string()));
                }
                Ok(item)
            };
            let items = chunk.iter().enumerate().map(copy).collect::<Result<Vec<_>, serde_json::Error>>()?;
            database.import_items(TABLE, items, dynoxide::ImportOptions::default())?;
        }
        Ok(())
    }
}

/// What one tick came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// Messages that were sent.
    pub sent: usize,
    /// Read units of the table.
    pub read_units: f64,
    /// How long it took.
    pub elapsed: Duration,
}

/// One tick of dispatch with `due` subscriptions due among `others` that aren't.
///
/// # Errors
/// Where the database refuses.
pub async fn tick_among(due: usize, others: usize) -> Result<Tick, Error> {
    let now: Timestamp = "2026-12-23T01:00:00Z".parse()?;
    let database = Database::memory()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Aws::local(format!("http://{}", listener.local_addr()?)).dynamodb();
    let served = database.clone();
    let server = tokio::spawn(async move { dynoxide::server::serve_on(listener, served).await });
    table::create(&client, TABLE).await?;

    let ids = Ids::seeded(1);
    let mut left = due + others;
    while left > 0 {
        let batch = left.min(AT_ONCE);
        let items = (0..batch).map(|nth| {
            let hours = i64::try_from(24 + nth % 700).unwrap_or(24);
            let due_at = if left - nth <= due { now } else { now + SignedDuration::from_hours(hours) };
            outline(SubscriptionId::new(ids.next(now)), due_at)
        });
        database.import_items(TABLE, items.collect(), dynoxide::ImportOptions::default())?;
        left -= batch;
    }

    let clock = Arc::new(TestClock::at(now));
    let queue = LocalQueue::new(clock.clone());
    let store = Store::new(client, TABLE);
    let started = std::time::Instant::now();
    let dispatched = dispatch(&store, &queue, clock.as_ref(), Duration::from_secs(600)).await?;
    let elapsed = started.elapsed();
    server.abort();
    Ok(Tick { sent: dispatched.sent, read_units: store.meter().usage().read_units, elapsed })
}

/// What dispatch sees of a subscription: its keys and when it is due; and as many bytes as one has beside them.
fn outline(id: SubscriptionId, due_at: Timestamp) -> Item {
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
