//! The way out of the sandbox: the table's stream, read as Lambda's poller does, through `notify`'s real handler, onto a
//! bus of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use maedal::bus::{Bus, Putting};
use maedal::clock::{Clock, TestClock};
use maedal::events::{DomainEvent, Kind};
use maedal::store::Store;
use notify::StreamEvent;
use serde_json::Value;

use crate::claim::Claim;
use crate::ink::Ink;

/// A batch that Lambda hands to `notify`.
const BATCH: usize = 100;

/// A bus that keeps what leaves.
#[derive(Debug, Default)]
pub struct LocalBus {
    left: Mutex<Vec<DomainEvent>>,
    /// Whether each is shown as it leaves.
    shown: bool,
}

impl LocalBus {
    /// All that has left, in order.
    pub fn events(&self) -> Vec<DomainEvent> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bus for LocalBus {
    fn put<'a>(&'a self, batch: &'a [DomainEvent]) -> Putting<'a> {
        Box::pin(async move {
            for event in batch.iter().filter(|_| self.shown) {
                println!("{}", line(event));
            }
            self.left.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
            Ok(Vec::new())
        })
    }
}

/// An event in a line: when, what, whose, and how much.
fn line(event: &DomainEvent) -> String {
    let ink = Ink::on(&std::io::stdout());
    let kind = format!("{:<37}", event.kind.word());
    let kind = match event.kind {
        Kind::ChargePaid | Kind::Activated | Kind::Renewed => ink.good(kind),
        Kind::ChargeDeclined | Kind::PastDue | Kind::NeedsReview | Kind::ChargeInDoubt => ink.bad(kind),
        _ => kind,
    };
    let at = maedal::subscription::period::in_seoul(event.occurred_at).strftime("%m-%d %H:%M:%S").to_string();
    let amount = event.refund.or(event.charge.as_ref().map(|charge| charge.amount));
    let amount = amount.map(|amount| format!("  {amount}")).unwrap_or_default();
    format!("  {}  {kind} {} v{}{amount}", ink.soft(at), event.subscription.id, event.version)
}

/// The table's clock is the stack's, so that events tell the stack's time.
#[derive(Debug)]
pub(crate) struct TableClock(pub(crate) Arc<TestClock>);

impl dynoxide::storage_backend::Clock for TableClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().as_second()).unwrap_or_default()
    }

    #[allow(clippy::cast_precision_loss)]
    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_millisecond() as f64 / 1_000.0
    }
}

/// The stream of the sandbox's table, from where it was left.
pub struct Outbox {
    database: Database,
    table: String,
    app: notify::App,
    bus: Arc<LocalBus>,
    claims: Mutex<Vec<Claim>>,
    iterator: tokio::sync::Mutex<Option<String>>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outbox({})", self.table)
    }
}

impl Outbox {
    pub(crate) fn new(database: Database, store: Store, table: &str, shown: bool) -> Self {
        let bus = Arc::new(LocalBus { left: Mutex::default(), shown });
        let app = notify::App { bus: bus.clone(), store };
        Self {
            database,
            table: table.to_owned(),
            app,
            bus,
            claims: Mutex::default(),
            iterator: tokio::sync::Mutex::default(),
        }
    }

    /// The claims that the stream has told of so far, in order.
    pub fn claims(&self) -> Vec<Claim> {
        self.lock_claims().clone()
    }

    fn lock_claims(&self) -> MutexGuard<'_, Vec<Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what is new in the stream to `notify`, and returns all that has left so far.
    pub async fn drain(&self) -> Vec<DomainEvent> {
        let mut iterator = self.iterator.lock().await;
        if iterator.is_none() {
            *iterator = self.beginning();
        }
        while let Some(from) = iterator.clone() {
            let request = GetRecordsRequest { shard_iterator: from, limit: Some(BATCH) };
            let Ok(page) = self.database.get_records(request) else { break };
            let records: Vec<Value> = page.records.iter().filter_map(|r| serde_json::to_value(r).ok()).collect();
            if records.is_empty() {
                break;
            }
            self.lock_claims().extend(records.iter().filter_map(Claim::read));
            let again = notify::handle(&self.app, StreamEvent { records }).await;
            if !again.failures.is_empty() {
                // Lambda would come back to it; here nothing that fails once works later.
                tracing::error!(?again, "the stream stands still");
                break;
            }
            *iterator = page.next_shard_iterator;
        }
        self.bus.events()
    }

    /// The stream's beginning; none where the table has no stream (a file of an earlier version).
    fn beginning(&self) -> Option<String> {
        let request = ListStreamsRequest { table_name: Some(self.table.clone()), ..ListStreamsRequest::default() };
        let stream_arn = self.database.list_streams(request).ok()?.streams.into_iter().next()?.stream_arn;
        let request = DescribeStreamRequest { stream_arn: stream_arn.clone(), ..DescribeStreamRequest::default() };
        let shard = self.database.describe_stream(request).ok()?.stream_description.shards.into_iter().next()?;
        let request = GetShardIteratorRequest {
            stream_arn,
            shard_id: shard.shard_id,
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            sequence_number: None,
        };
        self.database.get_shard_iterator(request).ok()?.shard_iterator
    }
}
