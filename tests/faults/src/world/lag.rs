//! Queries that are read-committed, as DynamoDB's are: one that runs beside a transaction shows each of its items either as it
//! was before or as it is after. A read of a single item doesn't.

use dynoxide::Database;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::dice::Dice;
use crate::table::{Answer, carry_out};

/// So long after a transaction has changed its items, until whoever sent it hears of that, a query may show what was before.
const LAG: SignedDuration = SignedDuration::from_millis(200);

/// The latest transaction: its items as they were before it, null where there was none.
#[derive(Debug, Default)]
pub(super) struct Latest {
    at: Option<Timestamp>,
    by: Option<String>,
    items: Vec<(Value, Value)>,
}

impl Latest {
    /// The items that the transaction `body` is about to change.
    pub(super) fn before(database: &Database, body: &str, now: Timestamp) -> Self {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let actions = request["TransactItems"].as_array().into_iter().flatten();
        let keys = actions.filter_map(|action| {
            let (_, action) = action.as_object()?.iter().next()?;
            let item = if action["Item"].is_object() { &action["Item"] } else { &action["Key"] };
            Some(json!({ "pk": item["pk"], "sk": item["sk"] }))
        });
        let items = keys.map(|key| {
            let get = json!({ "TableName": request_table(&request), "Key": key, "ConsistentRead": true });
            let answer = carry_out(database, "GetItem", &get.to_string());
            let answer: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            (key, answer["Item"].clone())
        });
        Self { at: Some(now), by: myself(), items: items.collect() }
    }

    /// Makes the answer to the query `body` show some of them as they were.
    pub(super) fn lag(&self, dice: Dice, body: &str, answer: &mut Answer, now: Timestamp) {
        let Some(at) = self.at.filter(|at| now.duration_since(*at) < LAG && self.by != myself()) else { return };
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let values = &request["ExpressionAttributeValues"];
        if request["IndexName"].is_string() || request["Limit"].is_number() || !values[":prefix"].is_object() {
            return;
        }
        let mut shown: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let Some(items) = shown["Items"].as_array_mut() else { return };
        for (nth, (key, was)) in self.items.iter().enumerate() {
            let prefix = values[":prefix"]["S"].as_str().unwrap_or_default();
            let asked = key["pk"] == values[":pk"] && key["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with(prefix));
            if !asked || !dice.happens(&format!("lag {at} {now} {nth}"), 500) {
                continue;
            }
            items.retain(|item| item["sk"] != key["sk"]);
            if was.is_object() {
                items.push(was.clone());
            }
        }
        items.sort_by(|a, b| a["sk"]["S"].as_str().cmp(&b["sk"]["S"].as_str()));
        let count = items.len();
        shown["Count"] = count.into();
        answer.body = shown.to_string();
    }
}

/// Who asks: to whoever has made the transaction, all after it is as it is.
fn myself() -> Option<String> {
    Actor::me().map(|me| me.name.clone())
}

fn request_table(request: &Value) -> &Value {
    let first = request["TransactItems"].as_array().and_then(|actions| actions.first()?.as_object()?.values().next());
    first.map_or(&Value::Null, |action| &action["TableName"])
}
