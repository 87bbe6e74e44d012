//! Lists of subscriptions: by the merchant's customer and by state. The indexes hold keys only; what is listed is read from
//! the table, so that an answer is never older than the table itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity, Select};

use super::subscriptions::from_item;
use super::table::{CUSTOMER_INDEX, STATE_INDEX};
use super::{Store, StoreError, s};
use crate::key::{Item, Key};
use crate::subscription::{CustomerId, CustomerUid, Status, Subscription, SubscriptionId};

/// The most subscriptions on a page.
pub const MOST_LISTED: u8 = 100;

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListBy {
    /// All of one customer.
    Customer(CustomerId),
    /// All in one state.
    State(Status),
}

/// A page of subscriptions, the newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Where the next page goes on: after this one. None on the last.
    pub next: Option<SubscriptionId>,
}

impl ListBy {
    fn index(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Customer(id) => (CUSTOMER_INDEX, "customer_id", id.as_str()),
            Self::State(status) => (STATE_INDEX, "status", status.word()),
        }
    }

    fn still_holds(&self, subscription: &Subscription) -> bool {
        match self {
            Self::Customer(id) => subscription.customer_id == *id,
            Self::State(status) => subscription.status == *status,
        }
    }
}

impl Store {
    /// A page of at most `limit`, going on after `after`.
    pub async fn list(&self, by: &ListBy, after: Option<SubscriptionId>, limit: u8) -> Result<ListPage, StoreError> {
        self.list_read(by, after, limit, true).await
    }

    /// As [`Store::list`], at half its price: what is read may be a moment old, and is a hint.
    pub async fn list_as_it_was(
        &self,
        by: &ListBy,
        after: Option<SubscriptionId>,
        limit: u8,
    ) -> Result<ListPage, StoreError> {
        self.list_read(by, after, limit, false).await
    }

    /// How many subscriptions are in a state, as far as the index knows.
    pub async fn count_in(&self, status: Status) -> Result<u64, StoreError> {
        const TASK: &str = "count subscriptions";
        let (mut count, mut from) = (0, None);
        loop {
            let query = self
                .query()
                .index_name(STATE_INDEX)
                .key_condition_expression("#status = :status")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", s(status.word()))
                .select(Select::Count)
                .set_exclusive_start_key(from);
            let page = self.page(query, TASK).await?;
            count += u64::try_from(page.count).unwrap_or(0);
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(count);
            }
        }
    }

    async fn list_read(
        &self,
        by: &ListBy,
        after: Option<SubscriptionId>,
        limit: u8,
        consistent: bool,
    ) -> Result<ListPage, StoreError> {
        const TASK: &str = "list subscriptions";
        let (index, attribute, value) = by.index();
        let from = after.map(|id| {
            let mut key = Key::subscription(id).item();
            key.insert("id".to_owned(), s(id.to_string()));
            key.insert(attribute.to_owned(), s(value));
            key
        });
        let query = self
            .query()
            .index_name(index)
            .key_condition_expression("#by = :by")
            .expression_attribute_names("#by", attribute)
            .expression_attribute_values(":by", s(value))
            .scan_index_forward(false)
            .limit(i32::from(limit.clamp(1, MOST_LISTED)))
            .set_exclusive_start_key(from);
        let page = self.page(query, TASK).await?;
        let listed = |item: &Item| item.get("id").and_then(|id| id.as_s().ok()).and_then(|id| id.parse().ok());
        let ids: Vec<SubscriptionId> = page.items.unwrap_or_default().iter().filter_map(listed).collect();
        let next = page.last_evaluated_key.as_ref().and_then(listed);
        let mut found = self.subscriptions(&ids, consistent).await?;
        let subscriptions = ids.iter().filter_map(|id| found.remove(id)).filter(|found| by.still_holds(found));
        Ok(ListPage { subscriptions: subscriptions.collect(), next })
    }

    /// Up to a hundred subscriptions by id.
    async fn subscriptions(
        &self,
        ids: &[SubscriptionId],
        consistent: bool,
    ) -> Result<HashMap<SubscriptionId, Subscription>, StoreError> {
        const TASK: &str = "read subscriptions";
        let keys = ids.iter().map(|id| Key::subscription(*id).item()).collect();
        let found = self.read_items(keys, consistent, TASK).await?.into_iter().map(|item| from_item(item, TASK));
        found.map(|found| found.map(|found| (found.id, found))).collect()
    }

    /// Up to a hundred `customer_uid`s: the subscriptions of those that have one.
    pub async fn of_customer_uids(
        &self,
        uids: &[&CustomerUid],
    ) -> Result<HashMap<CustomerUid, Subscription>, StoreError> {
        const TASK: &str = "read whose customer_uids are";
        let keys = uids.iter().map(|uid| Key::customer_uid(uid).item()).collect();
        let owner = |item: &Item| item.get("subscription").and_then(|id| id.as_s().ok()).and_then(|id| id.parse().ok());
        let ids: Vec<SubscriptionId> = self.items(keys, TASK).await?.iter().filter_map(owner).collect();
        let found = if ids.is_empty() { HashMap::new() } else { self.subscriptions(&ids, true).await? };
        Ok(found.into_values().map(|found| (found.customer_uid.clone(), found)).collect())
    }

    /// Up to a hundred items by key, those that are there.
    pub(super) async fn items(&self, keys: Vec<Item>, task: &'static str) -> Result<Vec<Item>, StoreError> {
        self.read_items(keys, true, task).await
    }

    async fn read_items(
        &self,
        mut keys: Vec<Item>,
        consistent: bool,
        task: &'static str,
    ) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        while !keys.is_empty() {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(consistent)
                .build()
                .map_err(StoreError::build)?;
            let result = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            let page = match result {
                Ok(page) => page,
                Err(e) => {
                    self.meter.failed();
                    return Err(StoreError::from_sdk(task, &e));
                }
            };
            self.meter.read(page.consumed_capacity());
            let items = page.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
            if items.is_empty() && page.unprocessed_keys.as_ref().is_some_and(|left| !left.is_empty()) {
                return Err(StoreError::Unavailable { task, reason: "no item was read".to_owned() });
            }
            found.extend(items);
            let mut left = page.unprocessed_keys.unwrap_or_default();
            keys = left.remove(&self.table).map(|left| left.keys).unwrap_or_default();
        }
        Ok(found)
    }
}
