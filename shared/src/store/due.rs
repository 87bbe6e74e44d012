//! What is due: the sparse index that dispatch reads, shard by shard, oldest first.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::DUE_INDEX;
use super::{Item, Key, Store, StoreError, n};
use crate::subscription::SubscriptionId;

/// A step that is due: what the queue carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Whose.
    pub subscription: SubscriptionId,
    /// The charge with a refund under way, by its sort key; none where the subscription itself is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// Since when. The claim's condition compares it: a step that was done is due no more at that time.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub due_at: Timestamp,
}

impl Due {
    /// The name of the step: the same for every copy of this message, another for the next step.
    pub fn step_id(&self) -> String {
        let charge = self.charge.as_deref().map(|sk| sk.replace('#', "-")).unwrap_or_default();
        format!("{}{charge}-{}", self.subscription, self.due_at.as_millisecond())
    }

    /// Whether money goes back by it. Else it may charge.
    pub fn is_refund(&self) -> bool {
        self.charge.is_some()
    }

    /// Where its item is.
    pub fn key(&self) -> Key {
        let mut key = Key::subscription(self.subscription);
        if let Some(sk) = &self.charge {
            key.sk.clone_from(sk);
        }
        key
    }
}

/// A page of what is due in one shard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DuePage {
    /// Oldest first.
    pub due: Vec<Due>,
    /// Where the next page begins; none on the last.
    pub next: Option<Item>,
}

impl Store {
    /// What is due in `shard` at `now`, from `from` on, at most `limit`.
    pub async fn due(&self, shard: u8, now: Timestamp, from: Option<Item>, limit: i32) -> Result<DuePage, StoreError> {
        const TASK: &str = "read what is due";
        let query = self
            .query()
            .index_name(DUE_INDEX)
            .key_condition_expression("due_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", n(shard))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .limit(limit)
            .set_exclusive_start_key(from);
        let page = self.page(query, TASK).await?;
        let due = page.items.unwrap_or_default().iter().filter_map(read_due).collect();
        Ok(DuePage { due, next: page.last_evaluated_key })
    }
}

fn read_due(item: &Item) -> Option<Due> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let key = Key { pk: text("pk")?.clone(), sk: text("sk")?.clone() };
    let due_at = item.get("due_at")?.as_n().ok()?.parse().ok()?;
    Some(Due {
        subscription: key.subscription_id()?,
        charge: (key.sk != super::key::SUB).then_some(key.sk),
        due_at: Timestamp::from_millisecond(due_at).ok()?,
    })
}
