//! The bus port: domain events leave. Two buses exist: EventBridge, and the sandbox's own.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::events::{DomainEvent, SOURCE};

/// A call takes at most this many events (EventBridge).
pub const BATCH: usize = 10;

/// Takes events in.
pub trait Bus: Debug + Send + Sync + 'static {
    /// Puts up to [`BATCH`] events and returns the places of those that were not taken. An error: none surely was.
    fn put<'a>(&'a self, batch: &'a [DomainEvent]) -> Putting<'a>;
}

/// Events on their way.
pub type Putting<'a> = Pin<Box<dyn Future<Output = Result<Vec<usize>, BusError>> + Send + 'a>>;

/// A bus that can't be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not put events on the bus: {0}")]
pub struct BusError(pub String);

/// An EventBridge bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl EventBridge {
    /// The bus `name`.
    pub fn new(client: aws_sdk_eventbridge::Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }
}

impl Bus for EventBridge {
    fn put<'a>(&'a self, batch: &'a [DomainEvent]) -> Putting<'a> {
        Box::pin(async move {
            let mut entries = Vec::with_capacity(batch.len());
            for event in batch {
                let detail = serde_json::to_string(event).map_err(|e| BusError(e.to_string()))?;
                entries.push(
                    PutEventsRequestEntry::builder()
                        .event_bus_name(&self.name)
                        .source(SOURCE)
                        .detail_type(event.kind.word())
                        .time(DateTime::from_millis(event.occurred_at.as_millisecond()))
                        .detail(detail)
                        .build(),
                );
            }
            let put = self.client.put_events().set_entries(Some(entries)).send().await.map_err(|e| {
                let code = aws_sdk_eventbridge::error::ProvideErrorMetadata::code(&e).map(str::to_owned);
                BusError(code.unwrap_or_else(|| "no answer".to_owned()))
            })?;
            // The answer names no event: its entries stand in the order of the request's.
            let failed = put.entries().iter().enumerate().filter(|(_, entry)| entry.error_code().is_some());
            Ok(failed.map(|(place, _)| place).collect())
        })
    }
}
