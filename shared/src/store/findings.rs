//! What reconciling found, beside the ledger of its subscription. It stays: a finding is made once.

use super::{Store, StoreError, s};
use crate::key;
use crate::key::{Item, Key};
use crate::subscription::{Finding, ImpUid, SubscriptionId};

/// What came of writing a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is there now.
    New,
    /// It was there.
    Known,
}

impl Store {
    /// Writes a finding, unless there is one of this payment.
    pub async fn put_finding(&self, finding: &Finding) -> Result<Found, StoreError> {
        const TASK: &str = "write a finding";
        let mut item: Item = serde_dynamo::to_item(finding).map_err(|e| StoreError::corrupt(TASK, &e))?;
        item.extend(Key::finding(finding.subscription, finding.imp_uid.as_str()).item());
        match self.transact(vec![self.put_if(item, "attribute_not_exists(pk)")?], TASK).await? {
            Ok(()) => Ok(Found::New),
            Err(_) => Ok(Found::Known),
        }
    }

    /// What was found of one payment.
    pub async fn finding(&self, id: SubscriptionId, imp_uid: &ImpUid) -> Result<Option<Finding>, StoreError> {
        const TASK: &str = "read a finding";
        let item = self.get(&Key::finding(id, imp_uid.as_str()), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// All that was found of a subscription.
    pub async fn findings(&self, id: SubscriptionId) -> Result<Vec<Finding>, StoreError> {
        let query = self
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(Key::subscription(id).pk))
            .expression_attribute_values(":prefix", s(key::FINDING))
            .consistent_read(true);
        self.all(query, "read the findings").await
    }
}
