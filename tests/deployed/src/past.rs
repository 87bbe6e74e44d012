//! Time that passes, without a wait: a subscription's items move into the past.
//!
//! The deployed functions have the system's clock and no other. A period later, every moment in a subscription's items lies
//! a period further back; that is all a clock can change in the table. Korea has no summer time, so a plan by the day is
//! due when it should be.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Result;
use crate::aws::Aws;

/// From 2020 to 2100, in Unix milliseconds. No amount in won comes near.
const MOMENTS: std::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;
const TABLE: &str = "DynamoDB_20120810";

/// All items of a subscription.
pub async fn items(aws: &Aws, table: &str, subscription: &str) -> Result<Vec<Value>> {
    let query = json!({
        "TableName": table,
        "ConsistentRead": true,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": { ":pk": { "S": format!("SUB#{subscription}") } },
    });
    let found = aws.json("dynamodb", &format!("{TABLE}.Query"), &query).await?;
    match found["Items"].as_array() {
        Some(items) if !items.is_empty() => Ok(items.clone()),
        Some(_) | None => Err(format!("the table has no subscription {subscription}").into()),
    }
}

/// `days` go by for a subscription.
pub async fn pass(aws: &Aws, table: &str, subscription: &str, days: i64) -> Result<()> {
    // A second more: what is due at the very moment of the step before is the same step to the queue.
    let by = SignedDuration::from_hours(24 * days).saturating_add(SignedDuration::from_secs(1));
    for item in items(aws, table, subscription).await? {
        let mut past = item.clone();
        move_back(&mut past, by);
        let mut put = json!({ "TableName": table, "Item": past });
        // Nobody else may have written meanwhile.
        if !item["version"].is_null() {
            put["ConditionExpression"] = json!("#version = :seen");
            put["ExpressionAttributeNames"] = json!({ "#version": "version" });
            put["ExpressionAttributeValues"] = json!({ ":seen": item["version"] });
        }
        aws.json("dynamodb", &format!("{TABLE}.PutItem"), &put).await?;
    }
    Ok(())
}

fn move_back(value: &mut Value, by: SignedDuration) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(number)) = fields.get_mut("N") {
                if let Some(moment) = number.parse().ok().filter(|millis| MOMENTS.contains(millis))
                    && let Ok(moment) = Timestamp::from_millisecond(moment)
                    && let Ok(earlier) = moment.checked_sub(by)
                {
                    *number = earlier.as_millisecond().to_string();
                }
                return;
            }
            fields.values_mut().for_each(|field| move_back(field, by));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_back(value, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
