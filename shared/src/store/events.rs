//! The events of a subscription, for the merchant who asks for them: what `notify` has put on the bus, kept for a while.
//!
//! They are in a partition of their own beside the subscription's: so `notify` may write there and nowhere else, and its
//! writes are none that it would tell of. An event has one place, by its time, version and id: written twice it is there
//! once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use jiff::SignedDuration;

use super::{Store, StoreError, n, s};
use crate::events::DomainEvent;
use crate::key::{Item, Key};
use crate::subscription::{InvalidId, SubscriptionId};

/// How long an event can be listed.
pub const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The most events on a page.
pub const MOST_EVENTS: u8 = 100;

/// How often what the table doesn't take is put again, before the caller hears of it.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// A page of events, the newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventPage {
    /// The events, as they left.
    pub events: Vec<serde_json::Value>,
    /// Where the next page goes on. None on the last.
    pub next: Option<EventCursor>,
}

/// The event that a page ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCursor(String);

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventCursor {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let good =
            (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        good.then(|| Self(text.to_owned())).ok_or(InvalidId("a cursor is what the page before had as its next"))
    }
}

impl Store {
    /// Keeps up to 25 events. Again is as good as once.
    pub async fn keep_events(&self, events: &[DomainEvent]) -> Result<(), StoreError> {
        const TASK: &str = "keep events";
        let mut items = BTreeMap::new();
        for event in events {
            let item = item(event).map_err(|e| StoreError::Defect { task: TASK, reason: e.to_string() })?;
            items.insert(event.id.as_str(), item);
        }
        let put = |item| PutRequest::builder().set_item(Some(item)).build().map_err(StoreError::build);
        let mut waiting = items
            .into_values()
            .map(|item| Ok(WriteRequest::builder().put_request(put(item)?).build()))
            .collect::<Result<Vec<_>, StoreError>>()?;
        for nth in 0..TRIES {
            if waiting.is_empty() {
                return Ok(());
            }
            if nth > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(nth)).await;
            }
            let written = self
                .client
                .batch_write_item()
                .request_items(&self.table, waiting)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            match written {
                Ok(written) => {
                    self.meter.wrote(written.consumed_capacity());
                    waiting =
                        written.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default();
                }
                Err(e) => {
                    self.meter.failed();
                    return Err(StoreError::from_sdk(TASK, &e));
                }
            }
        }
        match waiting.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unavailable { task: TASK, reason: "not all events were taken".to_owned() }),
        }
    }

    /// A page of at most `limit` events of a subscription, the newest first, going on after `after`.
    pub async fn events(
        &self,
        id: SubscriptionId,
        after: Option<&EventCursor>,
        limit: u8,
    ) -> Result<EventPage, StoreError> {
        const TASK: &str = "list events";
        let query = self
            .query()
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(Key::event(id, "").pk))
            .scan_index_forward(false)
            .limit(i32::from(limit.clamp(1, MOST_EVENTS)))
            .set_exclusive_start_key(after.map(|EventCursor(place)| Key::event(id, place).item()));
        let page = self.page(query, TASK).await?;
        let text =
            |item: &Item, name: &str| item.get(name).and_then(|text| text.as_s().ok()).cloned().unwrap_or_default();
        let events = page.items.unwrap_or_default();
        Ok(EventPage {
            events: events
                .iter()
                .map(|item| serde_json::from_str(&text(item, "event")))
                .collect::<Result<_, _>>()
                .map_err(|e| StoreError::Defect { task: TASK, reason: e.to_string() })?,
            next: page.last_evaluated_key.map(|key| EventCursor(text(&key, "sk"))),
        })
    }
}

fn item(event: &DomainEvent) -> Result<Item, serde_json::Error> {
    // In the order of what happened, as far as whole seconds and versions tell.
    let place = format!("{:011}-{:010}-{}", event.occurred_at.as_second(), event.version, event.id);
    let mut item = Key::event(event.subscription.id, &place).item();
    item.insert("event".to_owned(), s(serde_json::to_string(event)?));
    let forgotten = event.occurred_at.saturating_add(EVENTS_KEPT).unwrap_or(event.occurred_at);
    item.insert("ttl".to_owned(), n(forgotten.as_second()));
    Ok(item)
}
