//! `charge`: a batch of queue messages, one step of one subscription each. The only function that charges on schedule.
//!
//! The messages of a batch overlap, those of one group come one after the other. What fails goes back to the queue by
//! itself (`ReportBatchItemFailures`), with what follows it in its group, and never with its neighbours.

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use maedal::billing::{Billing, HearError, Heard};
use maedal::queue::Message;
use maedal::store::StoreError;
use tracing::{error, info, warn};

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
}

/// Handles a batch and says which messages must come again.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    let mut groups: Vec<(String, Vec<SqsMessage>)> = Vec::new();
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        match groups.iter_mut().find(|(name, _)| *name == group && !group.is_empty()) {
            Some((_, messages)) => messages.push(message),
            None => groups.push((group, vec![message])),
        }
    }
    let failed = join_all(groups.into_iter().map(|(_, messages)| handle_group(app, messages))).await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.into_iter().flatten().collect();
    response
}

/// One message after the other. After a failure the rest of the group goes back untried, so that its order stays.
async fn handle_group(app: &App, messages: Vec<SqsMessage>) -> Vec<BatchItemFailure> {
    let mut failed = Vec::new();
    for message in messages {
        let done = failed.is_empty() && handle_message(app, &message).await;
        if !done {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.unwrap_or_default();
            failed.push(failure);
        }
    }
    failed
}

/// Whether the message is done with. One that can never work is: its step, if it has one, is still in the index.
async fn handle_message(app: &App, message: &SqsMessage) -> bool {
    let message_id = message.message_id.as_deref().unwrap_or_default();
    let body = message.body.as_deref().unwrap_or_default();
    let failure = match serde_json::from_str(body) {
        Ok(Message::Step(due)) => match app.billing.work(&due).await {
            Ok(worked) => {
                info!(subscription = %due.subscription, due_at = %due.due_at, outcome = worked.word(), "step");
                return true;
            }
            Err(failure) => failure,
        },
        Ok(Message::Hint(hint)) => match app.billing.hear(&hint).await {
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
        },
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
