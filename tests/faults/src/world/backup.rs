//! The table's copy, and its restore: as a point-in-time recovery makes it, which may hold half of a transaction.

use dynoxide::Database;
use jiff::Timestamp;
use maedal::key::Key;
use maedal::subscription::{MerchantUid, Status, SubscriptionId};
use serde_json::{Value, json};
use simulator::Payment;

use super::World;
use crate::log::Did;
use crate::rules::Rule;
use crate::table::{Copy, carry_out};

/// What the table held.
#[derive(Debug)]
pub(super) struct Backup {
    at: Timestamp,
    items: Vec<Value>,
    /// Of the transaction that comes next, it has a part.
    pub(super) tears: bool,
}

/// All that the table holds.
pub(super) fn items(database: &Database) -> Vec<Value> {
    let answer = carry_out(database, "Scan", &json!({ "TableName": TABLE }).to_string());
    let answer: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    answer["Items"].as_array().cloned().unwrap_or_default()
}

const TABLE: &str = crate::history::TABLE;

fn key(item: &Value) -> Value {
    json!({ "pk": item["pk"], "sk": item["sk"] })
}

impl World {
    /// Copies the table.
    pub fn back_up(&self, tears: bool) {
        let backup = Backup { at: self.time.now(), items: items(&self.database), tears };
        self.say(|| format!("the table is copied: {} items", backup.items.len()));
        self.inner().backup = Some(backup);
    }

    /// The copy holds the items `before` the transaction `body`, and a part of what that has written.
    pub(super) fn tear(&self, before: Vec<Value>, body: &str) {
        let (mut items, now) = (before, self.time.now());
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        for (nth, action) in request["TransactItems"].as_array().into_iter().flatten().enumerate() {
            if !self.dice.happens(&format!("torn {now} {nth}"), 500) {
                continue;
            }
            let (put, deleted) = (&action["Put"]["Item"], &action["Delete"]["Key"]);
            let at = if put.is_object() { key(put) } else { key(deleted) };
            items.retain(|item| key(item) != at);
            if put.is_object() {
                items.push(put.clone());
            }
        }
        self.say(|| "the table is copied in the middle of that transaction".to_owned());
        self.inner().backup = Some(Backup { at: now, items, tears: false });
    }

    /// The table is lost, and is what its copy was: when that was. `None`: there is no copy.
    pub fn restore(&self) -> Option<Timestamp> {
        let now = self.time.now();
        let mut inner = self.inner();
        let Backup { at, mut items, .. } = inner.backup.take()?;
        for item in self::items(&self.database) {
            let delete = json!({ "TableName": TABLE, "Key": key(&item) });
            carry_out(&self.database, "DeleteItem", &delete.to_string());
        }
        for item in &mut items {
            // Whatever has written it, a version that understands it is deployed by now.
            if item["schema"].is_object() {
                item["schema"] = json!({ "N": "1" });
            }
            carry_out(&self.database, "PutItem", &json!({ "TableName": TABLE, "Item": item }).to_string());
        }
        let super::Inner { copy, rules, iamport, latest, .. } = &mut *inner;
        (*copy, *latest) = (Copy::of(&items), super::Latest::default());
        rules.switched(copy.charging_is_off, now);
        rules.restored(copy, iamport, at, now);
        drop(inner);
        self.say(|| format!("the table is restored as it was at {at}"));
        Some(at)
    }

    /// Whether anything of `id`'s payments went back since `from`.
    pub fn went_back_since(&self, id: SubscriptionId, from: Timestamp) -> bool {
        let inner = self.inner();
        let mut own = inner.iamport.books().payments().iter().filter(|payment| {
            let name = payment.order.merchant_uid.parse::<MerchantUid>();
            name.is_ok_and(|name| name.subscription == id)
        });
        own.any(|payment| payment.cancellations.iter().any(|cancellation| cancellation.cancelled_at >= from))
    }

    /// Of all these, the restored table has lost commands: a person must look before they are charged.
    pub fn are_held(&self, ids: impl Iterator<Item = SubscriptionId>) {
        let mut inner = self.inner();
        let super::Inner { copy, rules, .. } = &mut *inner;
        for id in ids {
            let Some(subscription) = copy.accounts.get(&id).and_then(|account| account.subscription.as_ref()) else {
                continue;
            };
            if subscription.status != Status::NeedsReview && !subscription.status.is_over() {
                rules.broken(Rule::Unwanted, format!("{id} goes on, and the restored table has lost a command of it"));
            }
        }
    }

    /// Somebody cancels the latest payment of `id` in I'mport's console.
    pub fn cancel_by_hand(&self, id: SubscriptionId) {
        let now = self.time.now();
        let mut inner = self.inner();
        let super::Inner { rules, iamport, .. } = &mut *inner;
        let own = |payment: &&Payment| {
            let name = payment.order.merchant_uid.parse::<MerchantUid>();
            name.is_ok_and(|name| name.subscription == id) && payment.was_charged() && payment.balance() > 0
        };
        let latest = iamport.books().payments().iter().rfind(own).map(|p| (p.imp_uid.clone(), p.balance()));
        let Some((imp_uid, amount)) = latest else { return };
        if iamport.cancel_in_console(&imp_uid, None, now).is_ok() {
            rules.canceled_by_hand(&imp_uid, amount, now);
        }
        drop(inner);
        self.note(id, Did::CanceledByHand);
        self.say(|| format!("somebody cancels {imp_uid} in I'mport's console"));
        self.changed.notify_one();
    }

    /// A newer version of the code writes into a subscription what this one doesn't know, by a schema of its own or not. False:
    /// there is no such subscription.
    pub fn write_newer(&self, id: SubscriptionId, schema: Option<u32>) -> bool {
        let Key { pk, sk } = Key::subscription(id);
        let set = if schema.is_some() { ", #schema = :schema" } else { "" };
        let mut names = json!({ "#version": "version", "#newer": crate::table::FROM_NEWER });
        let mut values = json!({ ":one": { "N": "1" }, ":newer": { "S": "kept" } });
        if let Some(schema) = schema {
            names["#schema"] = "schema".into();
            values[":schema"] = json!({ "N": schema.to_string() });
        }
        let body = json!({
            "TableName": TABLE, "Key": { "pk": { "S": pk }, "sk": { "S": sk } },
            "UpdateExpression": format!("SET #version = #version + :one, #newer = :newer{set}"),
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": values, "ReturnValues": "ALL_NEW",
        });
        self.inner().rules.left_to_newer(id, false);
        let done = self.at_table("UpdateItem", &body.to_string()).status == 200;
        if done && schema.is_some_and(|schema| schema > 1) {
            self.inner().rules.left_to_newer(id, true);
        }
        self.say(|| format!("a newer version writes {id}: {done}, schema {schema:?}"));
        done
    }
}
