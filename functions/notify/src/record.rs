//! A record of a DynamoDB stream, as Lambda hands it over, and the answer to a batch of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_dynamo::Item;
use serde_json::Value;

/// A batch of one shard, oldest first. Each record is read by itself, so that one that can't be read is one.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct StreamEvent {
    /// The records.
    #[serde(rename = "Records")]
    pub records: Vec<Value>,
}

/// What must come again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BatchResponse {
    /// Nothing, or the one record from which on Lambda begins anew.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<BatchItemFailure>,
}

/// A record that must come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchItemFailure {
    /// Its sequence number.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}

impl BatchResponse {
    /// The record `sequence_number` and all that follow it.
    pub fn again_from(sequence_number: String) -> Self {
        Self { failures: vec![BatchItemFailure { sequence_number }] }
    }
}

/// A change of one item.
pub(crate) struct Record {
    pub(crate) sequence_number: String,
    pub(crate) old: Option<Item>,
    pub(crate) new: Option<Item>,
    pub(crate) written_at: Timestamp,
}

/// A record that can't be read.
pub(crate) struct Failure {
    pub(crate) sequence_number: Option<String>,
    pub(crate) reason: String,
}

#[derive(Deserialize)]
struct Envelope {
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    sequence_number: String,
    approximate_creation_date_time: f64,
    #[serde(default)]
    old_image: Option<Item>,
    #[serde(default)]
    new_image: Option<Item>,
}

impl Record {
    pub(crate) fn read(record: Value) -> Result<Self, Failure> {
        let sequence_number = record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).map(str::to_owned);
        let failure = |reason: String| Failure { sequence_number: sequence_number.clone(), reason };
        let Envelope { dynamodb: change } = Envelope::deserialize(&record).map_err(|e| failure(e.to_string()))?;
        // AWS writes whole seconds, with a fraction of zero.
        #[allow(clippy::cast_possible_truncation)]
        let written_at =
            Timestamp::from_second(change.approximate_creation_date_time as i64).map_err(|e| failure(e.to_string()))?;
        Ok(Self { sequence_number: change.sequence_number, old: change.old_image, new: change.new_image, written_at })
    }
}
