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

/// What was paid on a day in Korea, by I'mport's own time: hash `paid_day`, range `paid_at`. Sparse (paid charges only), and
/// it holds what reconciling compares. It costs a renewal one write unit.
pub const DAY_INDEX: &str = "by_day";
/// What [`DAY_INDEX`] holds beside the keys.
pub const COMPARED: [&str; 3] = ["imp_uid", "amount", "refunded"];

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
        .attribute_definitions(attribute("paid_day", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("paid_at", ScalarAttributeType::N)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index(DUE_INDEX, "due_shard", "due_at")?)
        .global_secondary_indexes(index(CUSTOMER_INDEX, "customer_id", "id")?)
        .global_secondary_indexes(index(STATE_INDEX, "status", "id")?)
        .global_secondary_indexes(index_with(DAY_INDEX, "paid_day", "paid_at", &COMPARED)?)
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
    index_with(name, hash, range, &[])
}

fn index_with(name: &str, hash: &str, range: &str, held: &[&str]) -> Result<GlobalSecondaryIndex, StoreError> {
    let projection = match held {
        [] => Projection::builder().projection_type(ProjectionType::KeysOnly),
        held => Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(held.iter().map(|name| (*name).to_owned()).collect())),
    };
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash)?)
        .key_schema(key(range, KeyType::Range)?)
        .projection(projection.build())
        .build()
        .map_err(StoreError::build)
}
