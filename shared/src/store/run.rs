//! How far reconciling is, so that the next tick goes on where this one ends.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::{Item, Key, Store, StoreError};

/// A run over some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// All before this is compared.
    #[serde(with = "millisecond::required")]
    pub next: Timestamp,
    /// Where it ends.
    #[serde(with = "millisecond::required")]
    pub to: Timestamp,
}

impl Store {
    /// The latest run.
    pub async fn run(&self) -> Result<Option<Run>, StoreError> {
        const TASK: &str = "read how far reconciling is";
        let item = self.get(&Key::run(), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// Notes how far it is. Two runs side by side compare the same days twice, and nothing else.
    pub async fn put_run(&self, run: &Run) -> Result<(), StoreError> {
        const TASK: &str = "write how far reconciling is";
        let mut item: Item = serde_dynamo::to_item(run).map_err(|e| StoreError::corrupt(TASK, &e))?;
        item.extend(Key::run().item());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                Ok(())
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(TASK, &e))
            }
        }
    }
}
