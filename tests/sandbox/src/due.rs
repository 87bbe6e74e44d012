//! When the next step is due: asked of the database itself, past the stack, whose calls are counted and which never asks
//! what will be due later.

use std::collections::HashMap;

use dynoxide::actions::query::QueryRequest;
use dynoxide::types::AttributeValue;
use dynoxide::{Database, DynoxideError};
use jiff::Timestamp;
use maedal::store::table::DUE_INDEX;
use maedal::subscription::id::DUE_SHARDS;

/// The `due` index, as the database has it.
pub(crate) struct DueIndex(pub(crate) Database);

impl std::fmt::Debug for DueIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DueIndex")
    }
}

impl DueIndex {
    /// When the first step of `table` is due.
    pub(crate) fn first(&self, table: &str) -> Result<Option<Timestamp>, DynoxideError> {
        let mut first = None;
        for shard in 0..DUE_SHARDS {
            let page = self.0.query(QueryRequest {
                table_name: table.to_owned(),
                index_name: Some(DUE_INDEX.to_owned()),
                key_condition_expression: Some("due_shard = :shard".to_owned()),
                expression_attribute_values: Some(HashMap::from([(
                    ":shard".to_owned(),
                    AttributeValue::N(shard.to_string()),
                )])),
                scan_index_forward: true,
                limit: Some(1),
                ..QueryRequest::default()
            })?;
            let due_at = page.items.iter().flatten().find_map(|item| match item.get("due_at") {
                Some(AttributeValue::N(millis)) => Timestamp::from_millisecond(millis.parse().ok()?).ok(),
                _ => None,
            });
            first = first.into_iter().chain(due_at).min();
        }
        Ok(first)
    }
}
