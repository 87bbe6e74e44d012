//! `notify`: the table's stream becomes domain events on the merchant's bus. It reads no table and has no secret of
//! I'mport's. What the bus has taken is kept for the API's list of events, in a partition of its own.
//!
//! The order of a shard is kept: at the first record that can't be told, the batch ends, and Lambda begins anew there
//! (`ReportBatchItemFailures`). What had left by then leaves again, under the same ids. What never works is bisected out
//! and goes to the failure destination.

mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maedal::bus::{BATCH, Bus};
use maedal::events::{DomainEvent, Kind};
use maedal::metrics::{self, Metric};
use maedal::store::Store;
use maedal::subscription::Won;
use tracing::{error, info, warn};

pub use record::{BatchResponse, StreamEvent};
use record::{Failure, Record};

/// How often an event that the bus doesn't take is put again before the record goes back to the stream.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// Where events go.
    pub bus: Arc<dyn Bus>,
    /// Where those that went are listed.
    pub store: Store,
}

/// Handles a batch of the stream and says from which record on it must come again.
pub async fn handle(app: &App, event: StreamEvent) -> BatchResponse {
    let (told, unreadable) = tell(event);
    let mut waiting: &[(String, DomainEvent)] = &told;
    while !waiting.is_empty() {
        let (batch, rest) = waiting.split_at(waiting.len().min(BATCH));
        if let Some(sequence_number) = put(app.bus.as_ref(), batch).await {
            return BatchResponse::again_from(sequence_number);
        }
        // They have left, and leave again with it: a consumer knows their ids.
        let events: Vec<DomainEvent> = batch.iter().map(|(_, event)| event.clone()).collect();
        if let (Err(error), Some((first, _))) = (app.store.keep_events(&events).await, batch.first()) {
            warn!(%error, sequence_number = first, outcome = "again", "events not listed");
            return BatchResponse::again_from(first.clone());
        }
        measure(&events);
        waiting = rest;
    }
    unreadable.map_or_else(BatchResponse::default, BatchResponse::again_from)
}

/// What has left, as metrics: what leaves again is counted again.
fn measure(events: &[DomainEvent]) {
    let mut measured: BTreeMap<Metric, f64> = BTreeMap::new();
    let mut add = |metric, value| *measured.entry(metric).or_default() += value;
    #[allow(clippy::cast_precision_loss)]
    let won = |won: Won| won.get() as f64;
    for event in events {
        match event.kind {
            Kind::ChargePaid => {
                add(Metric::ChargesPaid, 1.0);
                add(Metric::WonCharged, event.charge.as_ref().map_or(0.0, |charge| won(charge.amount)));
            }
            Kind::ChargeDeclined => add(Metric::ChargesDeclined, 1.0),
            Kind::ChargeInDoubt => add(Metric::InDoubt, 1.0),
            Kind::ChargeRefunded => add(Metric::WonRefunded, event.refund.map_or(0.0, won)),
            Kind::NeedsReview => add(Metric::NeedsReview, 1.0),
            Kind::BooksDiffer => add(Metric::BooksDiffer, 1.0),
            Kind::Created
            | Kind::TrialStarted
            | Kind::Activated
            | Kind::Renewed
            | Kind::PastDue
            | Kind::Paused
            | Kind::Resumed
            | Kind::CancelScheduled
            | Kind::CancelWithdrawn
            | Kind::Canceled
            | Kind::Expired
            | Kind::ReviewEnded
            | Kind::PlanChanged
            | Kind::PaymentMethodChanged
            | Kind::PaymentMethodBroken
            | Kind::PaymentMethodRemoved
            | Kind::ChargeCredited
            | Kind::ChargeDuplicate => (),
        }
    }
    metrics::put(&measured.into_iter().collect::<Vec<_>>());
}

/// The events of each record with its sequence number, up to the first record that can't be read.
pub fn tell(event: StreamEvent) -> (Vec<(String, DomainEvent)>, Option<String>) {
    let mut told = Vec::new();
    for record in event.records {
        let (sequence_number, events) = match Record::read(record) {
            Ok(record) => (record.sequence_number, maedal::events::events(record.old, record.new, record.written_at)),
            Err(Failure { sequence_number: Some(sequence_number), reason }) => {
                error!(sequence_number, reason, outcome = "again", "a stream record that can't be read");
                return (told, Some(sequence_number));
            }
            Err(Failure { sequence_number: None, reason }) => {
                error!(reason, outcome = "dropped", "something that isn't a stream record");
                continue;
            }
        };
        match events {
            Ok(events) => told.extend(events.into_iter().map(|event| (sequence_number.clone(), event))),
            Err(failure) => {
                error!(sequence_number, %failure, outcome = "again", "a stream record that can't be told");
                return (told, Some(sequence_number));
            }
        }
    }
    (told, None)
}

/// Puts a batch; the sequence number of the first event that the bus doesn't take.
async fn put(bus: &dyn Bus, batch: &[(String, DomainEvent)]) -> Option<String> {
    let mut waiting: Vec<usize> = (0..batch.len()).collect();
    for nth in 0..TRIES {
        if nth > 0 {
            tokio::time::sleep(PAUSE * 2_u32.pow(nth)).await;
        }
        let events: Vec<DomainEvent> = waiting.iter().map(|place| batch[*place].1.clone()).collect();
        match bus.put(&events).await {
            Ok(failed) => {
                for event in events.iter().enumerate().filter(|(nth, _)| !failed.contains(nth)).map(|(_, event)| event)
                {
                    info!(id = event.id, kind = event.kind.word(), version = event.version, "event");
                }
                waiting = failed.into_iter().filter_map(|nth| waiting.get(nth).copied()).collect();
            }
            Err(failure) => warn!(%failure, events = events.len(), "events not taken"),
        }
        if waiting.is_empty() {
            return None;
        }
    }
    let first = waiting.into_iter().min().map(|place| batch[place].0.clone())?;
    warn!(sequence_number = first, outcome = "again", "events not taken");
    Some(first)
}
