//! DynamoDB in the process: a request of the SDK's as JSON, its answer as JSON, no sockets. What was written is read along,
//! so that the rules are checked at each write without asking the table.

use std::collections::{BTreeMap, BTreeSet};

use dynoxide::{Database, DynoxideError};
use jiff::Timestamp;
use maedal::key::Key;
use maedal::subscription::{Charge, Due, MerchantUid, Refund, ReviewCause, Status, Subscription, SubscriptionId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use simulator::Order;

/// A table's answer: an HTTP status and a body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200, or an error's.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// Carries out `operation`.
pub fn carry_out(database: &Database, operation: &str, body: &str) -> Answer {
    let answer = match operation {
        "GetItem" => typed(body, |request| database.get_item(request)),
        "BatchGetItem" => typed(body, |request| database.batch_get_item(request)),
        "PutItem" => typed(body, |request| database.put_item(request)),
        "UpdateItem" => typed(body, |request| database.update_item(request)),
        "Query" => typed(body, |request| database.query(request)),
        "Scan" => typed(body, |request| database.scan(request)),
        "DeleteItem" => typed(body, |request| database.delete_item(request)),
        "TransactWriteItems" => typed(body, |request| database.transact_write_items(request)),
        "CreateTable" => typed(body, |request| database.create_table(request)),
        "DescribeTable" => typed(body, |request| database.describe_table(request)),
        "DeleteTable" => typed(body, |request| database.delete_table(request)),
        other => Err(DynoxideError::ValidationException(format!("{other} is not used here"))),
    };
    match answer {
        Ok(body) => Answer { status: 200, body },
        Err(error) => Answer { status: error.status_code(), body: error.to_json() },
    }
}

fn typed<Request: DeserializeOwned, Response: Serialize>(
    body: &str,
    run: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, DynoxideError> {
    let unread = |e: serde_json::Error| DynoxideError::ValidationException(e.to_string());
    serde_json::to_string(&run(serde_json::from_str(body).map_err(unread)?)?).map_err(unread)
}

/// One written item that matters here.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum Written {
    /// A subscription.
    Subscription(Box<Subscription>),
    /// A charge, by its sort key.
    Charge(String, Box<Charge>),
    /// A refund, by its sort key.
    Refund(String, Box<Refund>),
}

/// A subscription's items.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Its own.
    pub subscription: Option<Subscription>,
    /// By sort key.
    pub charges: BTreeMap<String, Charge>,
    /// By sort key.
    pub refunds: BTreeMap<String, Refund>,
    /// The payments that something was found of.
    pub findings: BTreeSet<String>,
}

impl Account {
    /// Whether a person is called.
    pub fn is_in_review(&self) -> bool {
        let waits =
            |subscription: &Subscription| subscription.status == Status::NeedsReview && subscription.repair.is_none();
        self.subscription.as_ref().is_some_and(waits)
    }

    /// Whether nothing more comes of it until that person decides: nothing that I'mport may say would end its review.
    pub fn waits_for_a_person(&self) -> bool {
        let review = self.subscription.as_ref().and_then(|subscription| subscription.review.as_ref());
        self.is_in_review() && review.is_some_and(|review| review.cause == ReviewCause::Difference)
    }
}

/// All that was written, as the table has it.
#[derive(Debug, Default)]
pub struct Copy {
    /// By subscription.
    pub accounts: BTreeMap<SubscriptionId, Account>,
    tokens: BTreeSet<String>,
    /// Whether the kill switch is thrown.
    pub charging_is_off: bool,
    /// What can't be read as what it should be.
    pub unread: Vec<String>,
    /// The items that a newer version of the code has written something into.
    newer: BTreeSet<String>,
    /// Those of which that was lost.
    pub lost: Vec<String>,
}

/// What a newer version of the code writes, and the one that runs doesn't know.
pub const FROM_NEWER: &str = "from_a_newer_version";

impl Copy {
    /// A table that holds these items.
    pub fn of(items: &[Value]) -> Self {
        let mut copy = Self::default();
        items.iter().for_each(|item| drop(copy.put(item)));
        copy
    }

    /// Reads along. `response` is the answer to a request that was carried out.
    pub fn follow(&mut self, operation: &str, request: &str, response: &str) -> Vec<Written> {
        let Ok(request) = serde_json::from_str::<Value>(request) else { return Vec::new() };
        match operation {
            "PutItem" => self.put(&request["Item"]).into_iter().collect(),
            "UpdateItem" => {
                let response: Value = serde_json::from_str(response).unwrap_or_default();
                self.put(&response["Attributes"]).into_iter().collect()
            }
            "TransactWriteItems" => {
                let token = request["ClientRequestToken"].as_str().unwrap_or_default().to_owned();
                if !token.is_empty() && !self.tokens.insert(token) {
                    // It was carried out before, and has changed nothing now.
                    return Vec::new();
                }
                let items = request["TransactItems"].as_array().into_iter().flatten();
                items
                    .filter_map(|item| match &item["Delete"]["Key"] {
                        Value::Null => self.put(&item["Put"]["Item"]),
                        key => self.delete(key),
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn delete(&mut self, key: &Value) -> Option<Written> {
        let [pk, sk] = ["pk", "sk"].map(|name| key[name]["S"].as_str().unwrap_or_default());
        let id: SubscriptionId = pk.strip_prefix("SUB#")?.parse().ok()?;
        self.accounts.get_mut(&id)?.charges.remove(sk);
        None
    }

    fn put(&mut self, item: &Value) -> Option<Written> {
        let Value::Object(item) = plain_item(item) else { return None };
        let pk = item.get("pk")?.as_str()?.to_owned();
        let sk = item.get("sk")?.as_str()?.to_owned();
        if pk == Key::switch().pk {
            self.charging_is_off = item.get("on") == Some(&Value::Bool(false));
            return None;
        }
        let id: SubscriptionId = pk.strip_prefix("SUB#")?.parse().ok()?;
        match item.contains_key(FROM_NEWER) {
            true => drop(self.newer.insert(format!("{pk} {sk}"))),
            false if self.newer.contains(&format!("{pk} {sk}")) => self.lost.push(format!("{pk} {sk}")),
            false => (),
        }
        let account = self.accounts.entry(id).or_default();
        let item = Value::Object(item);
        let written = match sk.split('#').next().unwrap_or_default() {
            "SUB" => serde_json::from_value(item).map(|subscription: Subscription| {
                account.subscription = Some(subscription.clone());
                Some(Written::Subscription(Box::new(subscription)))
            }),
            "CHARGE" => serde_json::from_value(item).map(|charge: Charge| {
                match charge.moved {
                    true => drop(account.charges.remove(&sk)),
                    false => drop(account.charges.insert(sk.clone(), charge.clone())),
                }
                Some(Written::Charge(sk.clone(), Box::new(charge)))
            }),
            "REFUND" => serde_json::from_value(item).map(|refund: Refund| {
                account.refunds.insert(sk.clone(), refund.clone());
                Some(Written::Refund(sk.clone(), Box::new(refund)))
            }),
            "FINDING" => {
                account.findings.extend(sk.split_once('#').map(|(_, imp_uid)| imp_uid.to_owned()));
                Ok(None)
            }
            _ => Ok(None),
        };
        match written {
            Ok(written) => written,
            Err(error) => {
                self.unread.push(format!("{pk} {sk}: {error}"));
                None
            }
        }
    }

    /// Whose order it is: by its name where it is one of ours, else by its billing key.
    pub fn account_of(&self, order: &Order) -> Option<(SubscriptionId, &Account)> {
        if let Ok(name) = order.merchant_uid.parse::<MerchantUid>() {
            return self.accounts.get(&name.subscription).map(|account| (name.subscription, account));
        }
        let is_its_key = |account: &Account| {
            account.subscription.as_ref().is_some_and(|own| own.customer_uid.as_str() == order.customer_uid)
        };
        self.accounts.iter().find(|(_, account)| is_its_key(account)).map(|(id, account)| (*id, account))
    }

    /// Whether any subscription waits for a person.
    pub fn waits_for_a_person(&self) -> bool {
        self.accounts.values().any(Account::waits_for_a_person)
    }

    /// All payments that the ledger has.
    pub fn entered(&self) -> Vec<(String, u64)> {
        let charges = self.accounts.values().flat_map(|account| account.charges.values());
        charges.filter_map(|charge| Some((charge.payment()?.imp_uid.to_string(), charge.refunded.get()))).collect()
    }

    /// The shards of the index that hold anything.
    pub fn shards(&self) -> BTreeSet<u8> {
        self.accounts.keys().map(|id| id.due_shard()).collect()
    }

    /// What the index lists as due at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for (id, account) in &self.accounts {
            let listed = account.subscription.as_ref().and_then(|subscription| subscription.listed_at);
            due.extend(listed.map(|due_at| Due { subscription: *id, charge: None, due_at }));
            due.extend(account.charges.iter().filter_map(|(sk, charge)| {
                Some(Due { subscription: *id, charge: Some(sk.clone()), due_at: charge.refund.as_ref()?.due_at })
            }));
        }
        due.retain(|due| due.due_at <= now);
        due.sort_by_key(|due| due.due_at);
        due
    }

    /// When the first step is due that the index lists.
    pub fn next_due(&self) -> Option<Timestamp> {
        let subscriptions = self.accounts.values().filter_map(|account| account.subscription.as_ref()?.listed_at);
        let refunds = self.accounts.values().flat_map(|account| account.charges.values());
        subscriptions.chain(refunds.filter_map(|charge| Some(charge.refund.as_ref()?.due_at))).min()
    }
}

/// DynamoDB's JSON as plain JSON.
fn plain_item(item: &Value) -> Value {
    match item {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        _ => Value::Null,
    }
}

fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else { return Value::Null };
    match (kind.as_str(), value) {
        ("S" | "BOOL", value) => value.clone(),
        ("N", Value::String(number)) => serde_json::from_str(number).unwrap_or_default(),
        ("L", Value::Array(values)) => values.iter().map(plain).collect(),
        ("M", Value::Object(fields)) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}
