//! What is due: the sparse index that dispatch reads, shard by shard, oldest first.

use jiff::Timestamp;

use super::table::DUE_INDEX;
use super::{Store, StoreError, n};
use crate::key::{Item, Key};
use crate::subscription::Due;

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
        charge: (key.sk != crate::key::SUB).then_some(key.sk),
        due_at: Timestamp::from_millisecond(due_at).ok()?,
    })
}
