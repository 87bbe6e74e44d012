//! Plans: the current version of each in one partition, every version in its plan's own.

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use jiff::Timestamp;

use super::{Idempotency, Store, StoreError, n, s};
use crate::key::{Item, Key};
use crate::subscription::{Plan, PlanId};

/// What came of putting a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanPut {
    /// This version is sold from here on.
    New,
    /// The `Idempotency-Key` has an answer already.
    Repeat(Idempotency),
    /// Somebody put a version at the same time.
    Lost,
}

impl Store {
    /// The version of a plan that is sold now.
    pub async fn plan(&self, id: &PlanId) -> Result<Option<Plan>, StoreError> {
        const TASK: &str = "read a plan";
        let item = self.get(&Key::current_plan(id), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// A version of a plan.
    pub async fn plan_version(&self, id: &PlanId, version: u32) -> Result<Option<Plan>, StoreError> {
        const TASK: &str = "read a version of a plan";
        let item = self.get(&Key::plan_version(id, version), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// All plans that are sold now, by id.
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        const TASK: &str = "list the plans";
        let query = self.query().key_condition_expression("pk = :pk").expression_attribute_values(":pk", s("PLANS"));
        self.all(query, TASK).await
    }

    /// Puts the version of `plan` that follows the current one.
    pub async fn put_plan(
        &self,
        plan: &Plan,
        idempotency: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<PlanPut, StoreError> {
        const TASK: &str = "put a plan";
        let item = |key: Key| -> Result<Item, StoreError> {
            let mut item: Item = serde_dynamo::to_item(plan).map_err(|e| StoreError::corrupt(TASK, &e))?;
            item.extend(key.item());
            Ok(item)
        };
        let current = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item(Key::current_plan(&plan.id))?))
            .condition_expression("attribute_not_exists(pk) OR #version < :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", n(plan.version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::build)?;
        let mut writes = vec![
            TransactWriteItem::builder().put(current).build(),
            self.put_if(item(Key::plan_version(&plan.id, plan.version))?, "attribute_not_exists(pk)")?,
        ];
        if let Some(idempotency) = idempotency {
            writes.push(self.put_idempotency(idempotency, now)?);
        }
        let Err(reasons) = self.transact(writes, TASK).await? else { return Ok(PlanPut::New) };
        match reasons.get(2) {
            Some(Some(first)) => {
                Ok(PlanPut::Repeat(serde_dynamo::from_item(first.clone()).map_err(|e| StoreError::corrupt(TASK, &e))?))
            }
            Some(None) | None => Ok(PlanPut::Lost),
        }
    }

    /// The answer that this key's first request got, while it is kept.
    pub async fn idempotency(
        &self,
        operation: &'static str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Idempotency>, StoreError> {
        const TASK: &str = "read the answer to a repeat";
        let item = self.get(&Key::idempotency(operation, key), TASK).await?;
        let record: Option<Idempotency> =
            item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()?;
        Ok(record.filter(|record| record.ttl >= now.as_second()))
    }
}
