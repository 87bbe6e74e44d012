//! DynamoDB records: `customer_uid` -> subscription, its ledger, plans.
//!
//! Three kinds of write, and what is true after a crash in each:
//!
//! * A **conditional update** ([`Store::claim`], [`Store::confirm`], [`Store::open_window`]) happened or not; its
//!   condition makes a second one a no-op, and tells the caller what stands there instead.
//! * A **versioned put** ([`Store::put`]) replaces exactly the version that was read.
//! * A **transaction** ([`Store::settle`], [`Store::create`]) writes the subscription and its ledger together or neither.
//!
//! An answer that was lost is not an outcome: the SDK sends again (transactions with the same token), and whoever comes
//! next finds what stands.

mod command;
mod day;
mod due;
mod events;
mod findings;
mod imports;
mod ledger;
mod list;
mod lost;
mod meter;
mod plans;
mod query;
mod run;
mod subscriptions;
mod switch;
pub mod table;
mod unknown;

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

pub use command::Commanded;
pub use day::Compared;
pub use due::DuePage;
pub use events::{EVENTS_KEPT, EventCursor, EventPage, MOST_EVENTS};
pub use findings::Found;
pub use imports::{ImportCreated, MOST_REFUSED, Origin, RefusedPage, Taking};
pub use ledger::{ChargeCursor, ChargePage, Entry, Ledger, MOST_CHARGES, Settled};
pub use list::{ListBy, ListPage, MOST_LISTED};
pub use meter::Meter;
pub use plans::PlanPut;
pub use run::{Run, Sweep};
pub use subscriptions::{Created, Guard, Idempotency, MOST_WINDOWS, Taken};
pub use switch::{Charging, Incident, SWITCH_KEPT};

/// The table.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    meter: Arc<Meter>,
    /// When the switch was read last, and how it stood.
    switch: Arc<Mutex<Option<(Timestamp, Charging)>>>,
}

impl Store {
    /// The table `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), meter: Arc::default(), switch: Arc::default() }
    }

    /// What this store has used so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

/// A table that could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first. Read again and decide anew.
    #[error("could not {task}: the item was changed by someone else meanwhile")]
    Conflict {
        /// What was to be done.
        task: &'static str,
    },
    /// Not now: throttled, unreachable, no answer. It may have been done all the same.
    #[error("could not {task}: DynamoDB said {reason}")]
    Unavailable {
        /// What was to be done.
        task: &'static str,
        /// DynamoDB's code, or the network's trouble.
        reason: String,
    },
    /// An item that doesn't read as what it should be, or a request that can't be built: a defect.
    #[error("could not {task}: {reason}")]
    Defect {
        /// What was to be done.
        task: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    fn from_sdk<E: ProvideErrorMetadata + std::error::Error + 'static, R: std::fmt::Debug>(
        task: &'static str,
        error: &SdkError<E, R>,
    ) -> Self {
        // Only the code: a message may repeat the item.
        match error.code() {
            Some("ConditionalCheckFailedException") => Self::Conflict { task },
            Some(code @ ("ValidationException" | "AccessDeniedException" | "ResourceNotFoundException")) => {
                Self::Defect { task, reason: format!("{code}: {}", error.message().unwrap_or_default()) }
            }
            Some(code) => Self::Unavailable { task, reason: code.to_owned() },
            None => Self::Unavailable { task, reason: DisplayErrorContext(error).to_string() },
        }
    }

    fn build(error: BuildError) -> Self {
        Self::Defect { task: "build a request", reason: error.to_string() }
    }

    fn corrupt(task: &'static str, error: &serde_dynamo::Error) -> Self {
        Self::Defect { task, reason: error.to_string() }
    }
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}
