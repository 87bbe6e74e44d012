//! How far reconciling is, and how far the look through the living subscriptions, so that the next tick goes on where this one
//! ends.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::key::{Item, Key};
use crate::subscription::{Status, SubscriptionId};

/// A run over some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// All before this is compared, of its day, too.
    #[serde(with = "millisecond::required")]
    pub next: Timestamp,
    /// Where it ends.
    #[serde(with = "millisecond::required")]
    pub to: Timestamp,
}

/// A look through all living subscriptions: is each listed where it is due?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The first moment in Korea of the day that it is of.
    #[serde(with = "millisecond::required")]
    pub day: Timestamp,
    /// The state that is looked through. None where all are.
    #[serde(default, rename = "state", skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The last one of it that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SubscriptionId>,
    /// How many weren't listed.
    #[serde(default)]
    pub unlisted: u64,
}

impl Store {
    /// The latest look through the living subscriptions.
    pub async fn sweep(&self) -> Result<Option<Sweep>, StoreError> {
        const TASK: &str = "read how far the look through the living subscriptions is";
        let item = self.get(&Key::sweep(), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// Notes how far it is. Two side by side look at the same ones twice, and nothing else.
    pub async fn put_sweep(&self, sweep: &Sweep) -> Result<(), StoreError> {
        const TASK: &str = "write how far the look through the living subscriptions is";
        let item: Item = serde_dynamo::to_item(sweep).map_err(|e| StoreError::corrupt(TASK, &e))?;
        self.put_progress(item, &Key::sweep(), TASK).await
    }

    /// The latest run.
    pub async fn run(&self) -> Result<Option<Run>, StoreError> {
        const TASK: &str = "read how far reconciling is";
        let item = self.get(&Key::run(), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// Notes how far it is. Two runs side by side compare the same days twice, and nothing else.
    pub async fn put_run(&self, run: &Run) -> Result<(), StoreError> {
        const TASK: &str = "write how far reconciling is";
        let item: Item = serde_dynamo::to_item(run).map_err(|e| StoreError::corrupt(TASK, &e))?;
        self.put_progress(item, &Key::run(), TASK).await
    }

    async fn put_progress(&self, mut item: Item, key: &Key, task: &'static str) -> Result<(), StoreError> {
        item.extend(key.item());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                Ok(())
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(task, &e))
            }
        }
    }
}
