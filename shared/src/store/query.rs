//! Queries: one page, or all pages of one. Metered, with the table's refusals by name.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use serde::de::DeserializeOwned;

use super::{Store, StoreError};
use crate::key::Item;

impl Store {
    /// A query of the table, to be filled in.
    pub(super) fn query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&self.table).return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// One page.
    pub(super) async fn page(&self, query: QueryFluentBuilder, task: &'static str) -> Result<QueryOutput, StoreError> {
        match query.send().await {
            Ok(page) => {
                self.meter.read(page.consumed_capacity());
                Ok(page)
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(task, &e))
            }
        }
    }

    /// What all pages hold.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        query: QueryFluentBuilder,
        task: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        let read = |item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(task, &e));
        self.all_read(query, task, read).await
    }

    /// What all pages hold, as `read` reads it.
    pub(super) async fn all_read<T>(
        &self,
        query: QueryFluentBuilder,
        task: &'static str,
        read: impl Fn(Item) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = self.page(query.clone().set_exclusive_start_key(from.take()), task).await?;
            for item in page.items.unwrap_or_default() {
                all.push(read(item)?);
            }
            match page.last_evaluated_key {
                Some(key) => from = Some(key),
                None => return Ok(all),
            }
        }
    }
}
