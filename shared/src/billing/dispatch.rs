//! Dispatch: read what is due, put it on the queue. Its cost grows with what is due, not with how many subscribe.
//!
//! *Crash anywhere*: what was sent is worked on, what was not is still due at the next tick. What is sent twice is dropped
//! by the queue (same step, same deduplication id) or by the claim's condition.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::metrics::{self, Metric};
use crate::queue::{BATCH, Message, Queue};
use crate::store::{Store, StoreError};
use crate::subscription::id::DUE_SHARDS;

/// How much of the index one query reads.
const PAGE: i32 = 500;
/// Shards that are read side by side.
const ABREAST: usize = 4;
/// How often the failed part of a batch is sent again.
const SENDS: usize = 3;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Dispatched {
    /// Steps that are on the queue.
    pub sent: usize,
    /// Steps that the queue did not take; they stay due.
    pub failed: usize,
    /// Shards that could not be read to the end; they stay due, too.
    pub shards_cut_short: usize,
    /// The age of the oldest step, in milliseconds.
    pub oldest_ms: i64,
}

/// Sends all that is due at `clock`'s present, until `budget` is used up. While charging is off, that is refunds alone.
///
/// # Errors
/// Where no shard could be read at all.
pub async fn dispatch(
    store: &Store,
    queue: &dyn Queue,
    clock: &dyn Clock,
    budget: Duration,
) -> Result<Dispatched, StoreError> {
    let now = clock.now();
    let started = tokio::time::Instant::now();
    let charging = store.charging_is_on(now).await?;
    let tick = Tick { now, started, budget, charging };
    let shards = stream::iter(0..DUE_SHARDS)
        .map(|shard| dispatch_shard(store, queue, shard, tick))
        .buffer_unordered(ABREAST)
        .collect::<Vec<_>>()
        .await;
    let mut total = Dispatched::default();
    let mut first_error = None;
    let mut readable = false;
    for (dispatched, error) in shards {
        total.sent += dispatched.sent;
        total.failed += dispatched.failed;
        total.shards_cut_short += dispatched.shards_cut_short;
        total.oldest_ms = total.oldest_ms.max(dispatched.oldest_ms);
        readable |= error.is_none();
        first_error = first_error.or(error);
    }
    info!(
        sent = total.sent,
        failed = total.failed,
        shards_cut_short = total.shards_cut_short,
        oldest_ms = total.oldest_ms,
        charging,
        outcome = "dispatched",
        "dispatch"
    );
    #[allow(clippy::cast_precision_loss)]
    metrics::put(&[(Metric::OldestDue, total.oldest_ms as f64), (Metric::StepsSent, total.sent as f64)]);
    match first_error {
        Some(error) if !readable => Err(error),
        Some(_) | None => Ok(total),
    }
}

/// What holds for all shards.
#[derive(Debug, Clone, Copy)]
struct Tick {
    now: Timestamp,
    started: tokio::time::Instant,
    budget: Duration,
    charging: bool,
}

async fn dispatch_shard(
    store: &Store,
    queue: &dyn Queue,
    shard: u8,
    Tick { now, started, budget, charging }: Tick,
) -> (Dispatched, Option<StoreError>) {
    let mut done = Dispatched::default();
    let mut from = None;
    loop {
        if started.elapsed() >= budget {
            done.shards_cut_short = 1;
            return (done, None);
        }
        let page = match store.due(shard, now, from, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                warn!(shard, %error, outcome = "cut short", "a shard could not be read");
                done.shards_cut_short = 1;
                return (done, Some(error));
            }
        };
        if let Some(oldest) = page.due.first() {
            done.oldest_ms = done.oldest_ms.max(now.as_millisecond() - oldest.due_at.as_millisecond());
        }
        let wanted = page.due.into_iter().filter(|due| charging || due.is_refund());
        let messages: Vec<Message> = wanted.map(Message::Step).collect();
        for (place, batch) in messages.chunks(BATCH).enumerate() {
            // The oldest come first; what is left waits for the next tick.
            if place > 0 && started.elapsed() >= budget {
                done.shards_cut_short = 1;
                return (done, None);
            }
            let failed = send(queue, batch).await;
            done.failed += failed;
            done.sent += batch.len() - failed;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return (done, None),
        }
    }
}

/// Sends a batch, and what of it was not taken again. Returns how many were not taken in the end.
async fn send(queue: &dyn Queue, batch: &[Message]) -> usize {
    let mut left = batch.to_vec();
    for _ in 0..SENDS {
        match queue.send(&left).await {
            Ok(failed) => left = failed.into_iter().filter_map(|place| left.get(place).cloned()).collect(),
            Err(error) => warn!(%error, messages = left.len(), outcome = "not sent", "a batch was not taken"),
        }
        if left.is_empty() {
            return 0;
        }
    }
    left.len()
}
