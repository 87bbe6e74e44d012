//! The table itself: for the sandbox and the tests. A deployed one comes from `template.yaml`; a test keeps them alike.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
};

use super::StoreError;

/// The sparse index of what is due: hash `due_shard`, range `due_at`.
pub const DUE_INDEX: &str = "due";
/// The merchant's customers' subscriptions: hash `customer_id`, range `id`.
pub const CUSTOMER_INDEX: &str = "by_customer";
/// The subscriptions in a state: hash `status`, range `id`. A renewal changes neither, so it costs nothing there.
pub const STATE_INDEX: &str = "by_state";

/// Creates the table `name`, unless it is there.
pub async fn create(client: &Client, name: &str) -> Result<(), StoreError> {
    let described = client.describe_table().table_name(name).send().await;
    if described.is_ok_and(|d| d.table.and_then(|t| t.table_status) == Some(TableStatus::Active)) {
        return Ok(());
    }
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("due_shard", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("due_at", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("customer_id", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("id", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("status", ScalarAttributeType::S)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index(DUE_INDEX, "due_shard", "due_at")?)
        .global_secondary_indexes(index(CUSTOMER_INDEX, "customer_id", "id")?)
        .global_secondary_indexes(index(STATE_INDEX, "status", "id")?)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()
                .map_err(StoreError::build)?,
        )
        .send()
        .await
        .map_err(|e| StoreError::from_sdk("create the table", &e))?;
    Ok(())
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, StoreError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().map_err(StoreError::build)
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, StoreError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(StoreError::build)
}

fn index(name: &str, hash: &str, range: &str) -> Result<GlobalSecondaryIndex, StoreError> {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash)?)
        .key_schema(key(range, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .map_err(StoreError::build)
}
