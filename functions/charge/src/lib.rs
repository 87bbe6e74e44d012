//! `charge`: a batch of queue messages, one step of one subscription each. The only function that charges on schedule.
//!
//! The messages of a batch overlap, those of one group come one after the other. What fails goes back to the queue by
//! itself (`ReportBatchItemFailures`), with what follows it in its group, and never with its neighbours.
//!
//! Where I'mport is slow or refuses, fewer overlap, or none is begun ([`Brake`](maedal::iamport::Brake)); nor is any for which
//! the time may not suffice, so that nothing ends half-way. A step that isn't begun is put off: it leaves the queue and stays
//! due, so dispatch sends it again, the oldest first, and an outage fills no dead-letter queue.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::stream::{self, StreamExt};
use maedal::billing::{Billing, HearError, Heard, Worked};
use maedal::queue::Message;
use maedal::store::StoreError;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
}

/// What a message may take: a charge that I'mport answers at its last moment, with look-ups before and after, and a settlement.
const LONGEST: Duration = Duration::from_secs(60);

/// How often I'mport is asked for a payment that a webhook named and it doesn't show. Anybody can make up a webhook, so that none
/// of these is worth a person's look: it is let go of, and a payment that was real is found by `reconcile`.
const MOST_LOOKS: u32 = 3;

/// What holds for a batch.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// No message is begun later.
    last_begin: Instant,
    /// Whether charging is on.
    charging: bool,
}

/// Handles a batch within `time` and says which messages must come again. While charging is off, money only goes back: the
/// steps of subscriptions are let go of, since the index has them, and dispatch sends them once it is on again.
pub async fn handle(app: &App, event: SqsEvent, time: Duration) -> SqsBatchResponse {
    match app.billing.store.charging_is_on(app.billing.clock.now()).await {
        Ok(charging) => handle_batch(app, event, time, charging).await,
        Err(failure) => {
            // Who can't read the switch can't charge either.
            warn!(%failure, outcome = "again", "batch not begun");
            let mut response = SqsBatchResponse::default();
            response.batch_item_failures = event.records.into_iter().map(again).collect();
            response
        }
    }
}

/// As [`handle`], where it is known whether charging is on.
pub async fn handle_batch(app: &App, event: SqsEvent, time: Duration, charging: bool) -> SqsBatchResponse {
    let terms = Terms { last_begin: Instant::now() + time.saturating_sub(LONGEST), charging };
    let mut groups: Vec<(String, Vec<SqsMessage>)> = Vec::new();
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        match groups.iter_mut().find(|(name, _)| *name == group && !group.is_empty()) {
            Some((_, messages)) => messages.push(message),
            None => groups.push((group, vec![message])),
        }
    }
    let groups = groups.into_iter().map(|(_, messages)| handle_group(app, messages, terms));
    let failed = stream::iter(groups).buffer_unordered(app.billing.iamport.brake().abreast());
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.concat().await;
    response
}

/// How often the queue has handed it out, this time included.
fn receipts(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn again(message: SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message.message_id.unwrap_or_default();
    failure
}

/// One message after the other. After a failure the rest of the group goes back untried, so that its order stays.
async fn handle_group(app: &App, messages: Vec<SqsMessage>, terms: Terms) -> Vec<BatchItemFailure> {
    let mut failed = Vec::new();
    for message in messages {
        let done = failed.is_empty() && handle_message(app, &message, terms).await;
        if !done {
            failed.push(again(message));
        }
    }
    failed
}

/// Whether the message is done with. One that can never work is: its step, if it has one, is still in the index.
async fn handle_message(app: &App, message: &SqsMessage, terms: Terms) -> bool {
    let began = Instant::now();
    let message_id = message.message_id.as_deref().unwrap_or_default();
    let body = message.body.as_deref().unwrap_or_default();
    let closed = app.billing.iamport.brake().is_closed(app.billing.clock.now());
    let put_off = closed || began > terms.last_begin;
    let failure = match serde_json::from_str(body) {
        Ok(Message::Step(due)) if put_off => {
            info!(subscription = %due.subscription, due_at = %due.due_at, closed, outcome = "put_off", "step");
            return true;
        }
        Ok(Message::Hint(_)) if put_off => {
            info!(message_id, closed, outcome = "again", "a webhook is put off");
            return false;
        }
        Ok(Message::Step(due)) if !terms.charging && !due.is_refund() => {
            info!(subscription = %due.subscription, due_at = %due.due_at, outcome = "held", "charging is off");
            return true;
        }
        Ok(Message::Step(due))
            if !due.is_refund()
                && app.billing.store.incident().is_some()
                && !app.billing.iamport.brake().may_probe(app.billing.clock.now()) =>
        {
            info!(subscription = %due.subscription, due_at = %due.due_at, outcome = "held", "an incident goes on");
            return true;
        }
        Ok(Message::Step(due)) => match app.billing.work(&due).await {
            Ok(worked) => {
                // What waits for the incident's end must not take the turn of what tells of it.
                if !matches!(worked, Worked::Charged(_)) {
                    app.billing.iamport.brake().probe_again();
                }
                let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                info!(
                    subscription = %due.subscription, due_at = %due.due_at, outcome = worked.word(), duration_ms, "step"
                );
                return true;
            }
            Err(failure) => failure,
        },
        Ok(Message::Hint(hint)) => match app.billing.hear(&hint).await {
            Ok(Heard::Due(due)) if !terms.charging => {
                info!(subscription = %due.subscription, due_at = %due.due_at, outcome = "held", "charging is off");
                return true;
            }
            Ok(Heard::Due(due)) => match app.billing.work(&due).await {
                Ok(_) => return true,
                Err(failure) => failure,
            },
            Ok(Heard::Handled(_) | Heard::Known | Heard::Undecided | Heard::NotOurs) => return true,
            Err(HearError::Store(failure)) => failure,
            Err(HearError::Iamport(failure)) => {
                warn!(message_id, %failure, outcome = "again", "I'mport can't be asked about a webhook yet");
                return false;
            }
            Err(failure @ HearError::NotShown) => {
                let over = receipts(message) >= MOST_LOOKS;
                let outcome = if over { "let_go" } else { "again" };
                warn!(message_id, merchant_uid = hint.merchant_uid, %failure, outcome, "a webhook that nothing bears out");
                return over;
            }
        },
        Ok(Message::Import(turn)) => {
            error!(message_id, import = %turn.id, outcome = "dropped", "an import on the queue of steps");
            return true;
        }
        Err(problem) => {
            // The text itself may be anything, and stays out of the log.
            error!(
                message_id,
                line = problem.line(),
                column = problem.column(),
                outcome = "dropped",
                "a message that is none of ours"
            );
            return true;
        }
    };
    match failure {
        StoreError::Conflict { .. } | StoreError::Unavailable { .. } => {
            warn!(message_id, %failure, outcome = "again", "step not done")
        }
        StoreError::Defect { .. } => error!(message_id, %failure, outcome = "again", "step not done: a defect"),
    }
    false
}
