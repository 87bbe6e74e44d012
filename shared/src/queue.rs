//! The queue port: what is due goes in, one message per step. Two queues exist: SQS FIFO, and the sandbox's own.
//!
//! The message group is the subscription, so that its steps come one at a time; the deduplication id is the step, so that
//! a dispatcher that runs twice sends once.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::{Deserialize, Serialize};

use crate::digest::digest;
use crate::import::ImportId;
use crate::subscription::Due;

/// A batch holds at most this many messages (SQS).
pub const BATCH: usize = 10;

/// What a queue carries: steps and hints to `charge`, imports to `import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A step is due.
    Step(Due),
    /// I'mport said that something happened, and could not be asked at the time.
    Hint(Hint),
    /// An import has rows that are not done.
    Import(Turn),
}

/// An import goes on from where it was at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The import.
    pub id: ImportId,
    /// Its version: what makes this message another than the one before.
    pub version: u64,
}

/// A webhook's word: which payment to ask I'mport about. Nothing in it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// I'mport's name for the payment.
    pub imp_uid: String,
    /// Our name for it.
    pub merchant_uid: String,
    /// What tells this hint from others about the same payment. The queue drops a repeat for minutes after the first was
    /// followed, so one that announces something newer must not look like it. Nothing else comes of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
}

impl Message {
    /// The message group.
    pub fn group(&self) -> String {
        match self {
            Self::Step(due) => due.subscription.to_string(),
            // Apart from the steps, so that a hint that must wait doesn't hold up a charge.
            Self::Hint(hint) => format!("hint-{}", digest(&hint.imp_uid)),
            // One group: imports come one at a time, so that the bound on calls to I'mport is one for all of them.
            Self::Import(_) => "imports".to_owned(),
        }
    }

    /// The deduplication id.
    pub fn deduplication_id(&self) -> String {
        match self {
            Self::Step(due) => due.step_id(),
            Self::Hint(hint) => {
                format!("hint-{}", digest(&format!("{} {} {}", hint.imp_uid, hint.merchant_uid, hint.mark)))
            }
            Self::Import(turn) => format!("{}-{}", turn.id, turn.version),
        }
    }
}

/// Takes messages in.
pub trait Queue: Debug + Send + Sync + 'static {
    /// Sends up to [`BATCH`] messages and returns the places of those that were not taken. An error: none surely was.
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>>;
}

/// A queue that can't be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not send to the queue: {0}")]
pub struct QueueError(pub String);

/// An SQS FIFO queue.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Sqs {
    /// The queue at `url`.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

impl Queue for Sqs {
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        Box::pin(async move {
            let mut entries = Vec::with_capacity(batch.len());
            for (place, message) in batch.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_group_id(message.group())
                    .message_deduplication_id(message.deduplication_id())
                    .message_body(serde_json::to_string(message).map_err(|e| QueueError(e.to_string()))?)
                    .build()
                    .map_err(|e| QueueError(e.to_string()))?;
                entries.push(entry);
            }
            let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
            let sent = sent.map_err(|e| {
                let code = aws_sdk_sqs::error::ProvideErrorMetadata::code(&e).map(str::to_owned);
                QueueError(code.unwrap_or_else(|| "no answer".to_owned()))
            })?;
            Ok(sent.failed.iter().filter_map(|failed| failed.id.parse().ok()).collect())
        })
    }
}
