//! Subscriptions: opened, confirmed, claimed, written back.

use crate::subscription::period::FOREVER;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    Put, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::unknown::{Nested, SCHEMA, Shape};
use super::{Store, StoreError, n, s};
use crate::key::{Item, Key};
use crate::subscription::step::{BREAKER_SPAN, WINDOW_LOOK};
use crate::subscription::{
    Buyer, CLAIMS_A_DAY, CustomerUid, Intent, PaymentMethod, Policy, Status, Subscription, SubscriptionId,
};

/// When a buyer's data was erased.
const ERASED_AT: &str = "erased_at";
/// The most payment windows that one session may open.
pub const MOST_WINDOWS: u32 = 30;

/// A request that may come again, and the answer that its repeats get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Which operation the key belongs to.
    #[serde(skip)]
    pub operation: &'static str,
    /// The caller's key.
    #[serde(skip)]
    pub key: String,
    /// A digest of the request: a key must not come back with another one.
    pub digest: String,
    /// The answer, as JSON.
    pub answer: String,
    /// When it may be forgotten, in Unix seconds.
    pub ttl: i64,
}

/// What came of opening a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    New,
    /// The `Idempotency-Key` has an answer already.
    Repeat(Idempotency),
    /// The `customer_uid` belongs to another subscription.
    CustomerUidTaken,
}

/// What a claim must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The item is still due at this time: the queue message's word. No read is needed.
    Due(Timestamp),
    /// The item is at this version, and this is its next charge: the caller has just read it.
    Seen(u64, Box<Intent>),
}

/// A conditional update that wasn't made.
#[derive(Debug)]
pub enum Taken {
    /// The item as it stands; none where there is no such item.
    Found(Option<Box<Subscription>>),
    /// The table.
    Store(StoreError),
}

impl From<StoreError> for Taken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// The subscription, as of the last write.
    pub async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        const TASK: &str = "read a subscription";
        self.get(&Key::subscription(id), TASK).await?.map(|item| from_item(item, TASK)).transpose()
    }

    /// Opens the connection: reads a subscription that nobody has.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        self.get(&Key::subscription(SubscriptionId::new(ulid::Ulid::nil())), "open a connection").await.map(drop)
    }

    /// The buyer's data; empty where it was erased.
    pub async fn buyer(&self, id: SubscriptionId) -> Result<Buyer, StoreError> {
        const TASK: &str = "read a buyer";
        Ok(match self.get(&Key::buyer(id), TASK).await? {
            Some(mut item) => {
                for name in ["pk", "sk", ERASED_AT] {
                    item.remove(name);
                }
                serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))?
            }
            None => Buyer::default(),
        })
    }

    /// Erases the buyer's data, and keeps when. False where there was none to erase.
    pub async fn erase_buyer(&self, id: SubscriptionId, now: Timestamp) -> Result<bool, StoreError> {
        const TASK: &str = "erase a buyer's data";
        let mut item = Key::buyer(id).item();
        item.insert(ERASED_AT.to_owned(), n(now.as_millisecond()));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#erased_at)")
            .expression_attribute_names("#erased_at", ERASED_AT)
            .build()
            .map_err(StoreError::build)?;
        Ok(self.transact(vec![TransactWriteItem::builder().put(put).build()], TASK).await?.is_ok())
    }

    /// Opens a session: the subscription, its buyer, its `customer_uid` and the answer to repeats, or nothing.
    pub async fn create(
        &self,
        subscription: &Subscription,
        buyer: &Buyer,
        idempotency: Option<&Idempotency>,
        policy: &Policy,
    ) -> Result<Created, StoreError> {
        const TASK: &str = "open a checkout session";
        let new = "attribute_not_exists(pk)";
        let mut owner = Key::customer_uid(&subscription.customer_uid).item();
        owner.insert("subscription".to_owned(), s(subscription.id.to_string()));
        let mut person: Item = serde_dynamo::to_item(buyer).map_err(|e| StoreError::corrupt(TASK, &e))?;
        person.extend(Key::buyer(subscription.id).item());

        let mut writes = vec![
            self.put_if(subscription_item(subscription, subscription.created_at, policy)?, new)?,
            self.put_if(owner, new)?,
            self.put_if(person, new)?,
        ];
        if let Some(idempotency) = idempotency {
            writes.push(self.put_idempotency(idempotency, subscription.created_at)?);
        }
        let Err(reasons) = self.transact(writes, TASK).await? else { return Ok(Created::New) };
        // The repeat first: a repeat finds its own customer_uid taken, too.
        if let Some(Some(first)) = reasons.get(3) {
            return Ok(Created::Repeat(
                serde_dynamo::from_item(first.clone()).map_err(|e| StoreError::corrupt(TASK, &e))?,
            ));
        }
        match reasons.get(1) {
            Some(Some(_)) => Ok(Created::CustomerUidTaken),
            Some(None) | None => Err(StoreError::Conflict { task: TASK }),
        }
    }

    /// Counts an opening of the payment window, before it opens, and returns the session with the new count.
    pub async fn open_window(&self, id: SubscriptionId, now: Timestamp) -> Result<Subscription, Taken> {
        let look_at = now.saturating_add(WINDOW_LOOK).unwrap_or(FOREVER);
        let update = self
            .update(&Key::subscription(id))
            .update_expression(
                "SET #version = #version + :one, windows = windows + :one, window_opened_at = :now, due_at = :look_at, \
                 due_shard = :shard REMOVE next_charge",
            )
            .condition_expression(format!(
                "#status = :pending AND checkout.expires_at > :now AND windows < :most \
                 AND attribute_not_exists(in_flight) \
                 AND (attribute_not_exists(payment_method) OR payment_method.broken = :true) AND {UNDERSTOOD}"
            ))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .expression_attribute_values(":look_at", n(look_at.as_millisecond()))
            .expression_attribute_values(":shard", n(id.due_shard()))
            .expression_attribute_values(":most", n(MOST_WINDOWS))
            .expression_attribute_values(":true", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
            .expression_attribute_values(":pending", s(Status::Pending.word()));
        self.conditional(update, "open a payment window").await
    }

    /// Records the first billing key of a checkout session, which I'mport has issued for the session's own `customer_uid`. What
    /// follows is listed already: the look for the window. A key for a subscription that lives, whose next step it may move, is
    /// written by [`Store::put`].
    pub async fn confirm(
        &self,
        id: SubscriptionId,
        customer_uid: &CustomerUid,
        method: &PaymentMethod,
        now: Timestamp,
    ) -> Result<Subscription, Taken> {
        const TASK: &str = "record a billing key";
        let item = serde_dynamo::to_attribute_value(method).map_err(|e| StoreError::corrupt(TASK, &e))?;
        let still_open = now.saturating_sub(crate::subscription::CONFIRM_GRACE).unwrap_or(Timestamp::MIN);
        let update = self
            .update(&Key::subscription(id))
            .update_expression("SET #version = #version + :one, payment_method = :method REMOVE window_opened_at")
            .condition_expression(format!(
                "customer_uid = :customer_uid AND windows >= :window \
                 AND (attribute_not_exists(payment_method) OR payment_method.#window < :window) \
                 AND #status = :pending AND checkout.expires_at > :still_open AND {UNDERSTOOD}"
            ))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_names("#window", "window")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":method", item)
            .expression_attribute_values(":customer_uid", s(customer_uid.as_str()))
            .expression_attribute_values(":window", n(method.window))
            .expression_attribute_values(":still_open", n(still_open.as_millisecond()))
            .expression_attribute_values(":pending", s(Status::Pending.word()));
        self.conditional(update, TASK).await
    }

    /// Makes the next charge the attempt in flight: the intent, stored before its effect. The condition is the circuit
    /// breaker: nothing else in flight, the period unpaid, not over, and fewer than [`CLAIMS_A_DAY`] claims in 24 hours.
    pub async fn claim(&self, id: SubscriptionId, guard: &Guard, now: Timestamp) -> Result<Subscription, Taken> {
        const TASK: &str = "claim a charge";
        let update = self
            .update(&Key::subscription(id))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .expression_attribute_values(":yesterday", n(breaker_start(now)))
            .expression_attribute_values(":pending", s(Status::Pending.word()))
            .expression_attribute_values(":trialing", s(Status::Trialing.word()))
            .expression_attribute_values(":active", s(Status::Active.word()))
            .expression_attribute_values(":past_due", s(Status::PastDue.word()));
        let breaker = breaker_condition();
        let statuses = "#status IN (:pending, :trialing, :active, :past_due)";
        let shift = shift_claims();
        let update = match guard {
            Guard::Due(due_at) => update
                .update_expression(format!("SET #version = #version + :one, in_flight = next_charge, {CLAIMED}, {shift}"))
                .condition_expression(format!(
                    "due_at = :due_at AND due_at <= :now AND attribute_exists(next_charge) \
                     AND attribute_not_exists(in_flight) AND paid_through < next_charge.period \
                     AND next_charge.#until > :now AND {breaker} AND {statuses} AND {UNDERSTOOD}"
                ))
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":due_at", n(due_at.as_millisecond())),
            Guard::Seen(version, intent) => update
                .update_expression(format!("SET #version = #version + :one, in_flight = :intent, {CLAIMED}, {shift}"))
                .condition_expression(format!(
                    "#version = :version AND attribute_not_exists(in_flight) AND paid_through < :period AND {breaker} AND {statuses} AND {UNDERSTOOD}"
                ))
                .expression_attribute_values(":version", n(version))
                .expression_attribute_values(":period", n(intent.period))
                .expression_attribute_values(
                    ":intent",
                    serde_dynamo::to_attribute_value(intent).map_err(|e| StoreError::corrupt(TASK, &e))?,
                ),
        };
        self.conditional(update, TASK).await
    }

    /// Claims the attempt in flight once more, to be sent again under the same name: after proof that I'mport has no
    /// trace of it. The breaker counts this, too.
    pub async fn claim_again(&self, seen: &Subscription, now: Timestamp) -> Result<Subscription, Taken> {
        let shift = shift_claims();
        let update = self
            .update(&Key::subscription(seen.id))
            .update_expression(format!(
                "SET #version = #version + :one, claimed_at = :now, sends = sends + :one, {shift}"
            ))
            .condition_expression(format!(
                "#version = :version AND attribute_exists(in_flight) AND {} AND {UNDERSTOOD}",
                breaker_condition()
            ))
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":version", n(seen.version))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .expression_attribute_values(":yesterday", n(breaker_start(now)));
        self.conditional(update, "claim a charge again").await
    }

    /// Replaces the version that was read. The subscription's version goes up only if the write was made.
    pub async fn put(
        &self,
        subscription: &mut Subscription,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        const TASK: &str = "write a subscription";
        let seen = subscription.version;
        let mut next = subscription.clone();
        next.version = seen + 1;
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(subscription_item(&next, now, policy)?))
            .condition_expression("#version = :seen")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":seen", n(seen))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match result {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                *subscription = next;
                Ok(())
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(TASK, &e))
            }
        }
    }

    /// Closes a session and frees its `customer_uid`, together.
    pub async fn put_expired(
        &self,
        subscription: &mut Subscription,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        const TASK: &str = "expire a checkout session";
        let seen = subscription.version;
        subscription.version += 1;
        let free = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Key::customer_uid(&subscription.customer_uid).item()))
            .build()
            .map_err(StoreError::build)?;
        let writes = vec![
            self.put_seen(subscription_item(subscription, now, policy)?, seen)?,
            TransactWriteItem::builder().delete(free).build(),
        ];
        match self.transact(writes, TASK).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(StoreError::Conflict { task: TASK }),
        }
    }

    /// A put in a transaction that replaces exactly version `seen`.
    pub(super) fn put_seen(&self, item: Item, seen: u64) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("#version = :seen")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":seen", n(seen))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::build)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A put in a transaction under a condition; the item that stood in its way comes back.
    pub(super) fn put_if(&self, item: Item, condition: &str) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::build)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The answer that repeats of a request get, unless there is one that is still good.
    pub(super) fn put_idempotency(
        &self,
        record: &Idempotency,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item: Item =
            serde_dynamo::to_item(record).map_err(|e| StoreError::corrupt("keep an answer for repeats", &e))?;
        item.extend(Key::idempotency(record.operation, &record.key).item());
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR #ttl < :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now.as_second()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::build)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// All of `writes` or none. The inner error has, write by write, the item that stood in its way.
    pub(super) async fn transact(
        &self,
        writes: Vec<TransactWriteItem>,
        task: &'static str,
    ) -> Result<Result<(), Vec<Option<Item>>>, StoreError> {
        let result = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let error = match result {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                return Ok(Ok(()));
            }
            Err(error) => error,
        };
        self.meter.failed();
        let Some(canceled) = error.as_service_error().and_then(|e| match e {
            aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(c) => Some(c),
            _ => None,
        }) else {
            return Err(StoreError::from_sdk(task, &error));
        };
        let reasons = canceled.cancellation_reasons();
        let code = |wanted: &str| reasons.iter().any(|reason| reason.code() == Some(wanted));
        if code("ConditionalCheckFailed") {
            return Ok(Err(reasons.iter().map(|reason| reason.item.clone()).collect()));
        }
        match code("TransactionConflict") {
            true => Err(StoreError::Conflict { task }),
            false => {
                let codes: Vec<_> =
                    reasons.iter().filter_map(|reason| reason.code()).filter(|code| *code != "None").collect();
                Err(StoreError::Unavailable { task, reason: codes.join(", ") })
            }
        }
    }

    /// A consistent read of one item.
    pub(super) async fn get(&self, key: &Key, task: &'static str) -> Result<Option<Item>, StoreError> {
        let result = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match result {
            Ok(output) => {
                self.meter.read(output.consumed_capacity());
                Ok(output.item)
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(task, &e))
            }
        }
    }

    /// An update of a subscription. Its condition has to name [`UNDERSTOOD`].
    fn update(&self, key: &Key) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .expression_attribute_names("#schema", SCHEMA)
            .expression_attribute_values(":schema", n(SUBSCRIPTION.schema))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn conditional(&self, update: UpdateItemFluentBuilder, task: &'static str) -> Result<Subscription, Taken> {
        match update.send().await {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                Ok(from_item(output.attributes.unwrap_or_default(), task)?)
            }
            Err(error) => {
                self.meter.failed();
                match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        let found = failed.item.clone().map(|item| from_item(item, task)).transpose()?;
                        Err(Taken::Found(found.map(Box::new)))
                    }
                    Some(_) | None => Err(Taken::Store(StoreError::from_sdk(task, &error))),
                }
            }
        }
    }
}

/// What a newer version has written so that this one must not touch it is left alone.
const UNDERSTOOD: &str = "(attribute_not_exists(#schema) OR #schema <= :schema)";
const CLAIMED: &str = "claimed_at = :now, sends = :one";

/// Pushes `:now` to the front of the claims that the breaker remembers. Each right side is read before any is written.
fn shift_claims() -> String {
    let shifted = (1..CLAIMS_A_DAY).map(|i| format!("claims[{i}] = claims[{}]", i - 1));
    shifted.chain(["claims[0] = :now".to_owned()]).collect::<Vec<_>>().join(", ")
}

fn breaker_condition() -> String {
    format!("claims[{}] <= :yesterday", CLAIMS_A_DAY - 1)
}

fn breaker_start(now: Timestamp) -> i64 {
    now.as_millisecond() - i64::try_from(BREAKER_SPAN.as_millis()).unwrap_or(i64::MAX)
}

/// The subscription as an item: its fields, its keys, and what follows from it at `now`: when it is due, and the charge
/// that a claim without a read makes live.
pub(super) fn subscription_item(
    subscription: &Subscription,
    now: Timestamp,
    policy: &Policy,
) -> Result<Item, StoreError> {
    let corrupt = |e| StoreError::corrupt("write a subscription", &e);
    let mut item: Item = serde_dynamo::to_item(subscription).map_err(corrupt)?;
    item.extend(Key::subscription(subscription.id).item());
    if let Some(due_at) = subscription.due_at(now, policy) {
        item.insert("due_shard".to_owned(), n(subscription.id.due_shard()));
        item.insert("due_at".to_owned(), n(due_at.as_millisecond()));
    }
    if let Some(intent) = subscription.next_charge(now, policy) {
        item.insert("next_charge".to_owned(), serde_dynamo::to_attribute_value(intent).map_err(corrupt)?);
    }
    SUBSCRIPTION.complete(&mut item, &subscription.unknown);
    Ok(item)
}

pub(super) fn from_item(item: Item, task: &'static str) -> Result<Subscription, StoreError> {
    let (subscription, unknown) = SUBSCRIPTION.read(item, task)?;
    Ok(Subscription { unknown, ..subscription })
}

const INTENT: &[&str] =
    &["period", "attempt", "merchant_uid", "amount", "credit", "carried", "left", "window", "until"];
const PLAN: &[&str] = &["id", "version", "name", "amount", "tax_free", "interval", "trial_days", "dunning"];

/// What this version knows of a subscription's item.
const SUBSCRIPTION: Shape = Shape {
    schema: 1,
    known: &[
        "pk",
        "sk",
        "schema",
        "due_shard",
        "due_at",
        "next_charge",
        "id",
        "version",
        "status",
        "customer_id",
        "customer_uid",
        "name_key",
        "plan",
        "created_at",
        "checkout",
        "windows",
        "window_opened_at",
        "payment_method",
        "anchor",
        "anchor_period",
        "period",
        "attempts",
        "paid_through",
        "dunning",
        "not_before",
        "in_flight",
        "claimed_at",
        "sends",
        "doubt",
        "claims",
        "cancel_at_period_end",
        "next_plan",
        "credit",
        "carried",
        "key_deletion",
        "review",
        "repair",
        "ended",
    ],
    nested: &[
        Nested { name: "plan", identity: "version", known: PLAN },
        Nested { name: "next_plan", identity: "version", known: PLAN },
        Nested { name: "in_flight", identity: "merchant_uid", known: INTENT },
        Nested { name: "next_charge", identity: "merchant_uid", known: INTENT },
        Nested {
            name: "checkout",
            identity: "expires_at",
            known: &["expires_at", "success_url", "cancel_url", "decline", "replaces"],
        },
        Nested {
            name: "payment_method",
            identity: "window",
            known: &["window", "imp_uid", "provider", "confirmed_at", "broken", "deleted"],
        },
        Nested {
            name: "dunning",
            identity: "since",
            known: &["since", "last_decline", "window", "declines", "retry_at"],
        },
        Nested { name: "doubt", identity: "since", known: &["since", "looks", "next_look", "unsent", "refusal"] },
        Nested { name: "key_deletion", identity: "due_at", known: &["due_at", "tries"] },
        Nested { name: "review", identity: "since", known: &["since", "reason", "was", "cause", "lost"] },
        Nested { name: "repair", identity: "action", known: &["action", "due_at"] },
        Nested { name: "ended", identity: "at", known: &["at", "reason"] },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::unknown::tests::names_all;
    use crate::subscription::{
        Checkout, Doubt, Dunning, EndReason, Ended, Interval, KeyDeletion, Plan, Repair, RepairAction, Review,
        ReviewCause, Terms, Unit, Won,
    };

    /// A subscription that has all that one can have, if never at once.
    fn full() -> Subscription {
        let now: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let id = SubscriptionId::new(ulid::Ulid::from_parts(1, 2));
        let terms = Terms {
            name: "coffee".to_owned(),
            amount: Won::new(9_900),
            tax_free: Won::new(1),
            interval: Interval { unit: Unit::Month, count: 1 },
            trial_days: 1,
            dunning: Some(Policy::default().dunning),
        };
        let plan = Plan { id: "coffee".parse().unwrap(), version: 1, terms };
        let checkout = Checkout {
            expires_at: now,
            success_url: Some(String::new()),
            cancel_url: Some(String::new()),
            decline: Some(String::new()),
            replaces: Some(1),
        };
        let mut s = Subscription::open(id, "c".parse().unwrap(), id.into(), plan.clone(), checkout, now);
        s.payment_method = Some(PaymentMethod {
            window: 1,
            imp_uid: Some("imp_1".parse().unwrap()),
            provider: Some("chai".to_owned()),
            confirmed_at: now,
            broken: true,
            deleted: true,
        });
        let intent = Intent {
            period: 1,
            attempt: 1,
            merchant_uid: crate::subscription::MerchantUid::charge(id, 1, 1),
            amount: Won::new(1),
            credit: Won::new(1),
            carried: Won::new(1),
            left: Won::new(1),
            window: Some(1),
            until: now,
        };
        (s.anchor, s.anchor_period, s.window_opened_at, s.claimed_at) = (Some(now), 2, Some(now), Some(now));
        (s.sends, s.credit, s.carried, s.cancel_at_period_end) = (1, Won::new(1), Won::new(1), true);
        s.name_key = Some(crate::subscription::NameKey::new(1));
        s.dunning = Some(Dunning { retry_at: Some(now), ..Dunning::begin(1, now) });
        s.in_flight = Some(intent);
        s.not_before = Some(now);
        s.doubt = Some(Doubt { since: now, looks: 1, next_look: now, unsent: true, refusal: Some(String::new()) });
        s.next_plan = Some(plan);
        s.key_deletion = Some(KeyDeletion { due_at: now, tries: 1 });
        let reason = String::new();
        s.review = Some(Review { since: now, reason, was: Status::Active, cause: ReviewCause::Doubt, lost: true });
        s.repair = Some(Repair { action: RepairAction::Accept, due_at: now });
        s.ended = Some(Ended { at: now, reason: EndReason::Requested });
        s
    }

    #[test]
    fn all_that_a_subscription_may_have_is_named_so_that_the_rest_is_carried_along() {
        let full = full();
        let mut item: Item = serde_dynamo::to_item(&full).unwrap();
        item.insert("next_charge".to_owned(), serde_dynamo::to_attribute_value(full.in_flight).unwrap());
        names_all(&SUBSCRIPTION, &item, &["pk", "sk", "schema", "due_shard", "due_at"]);
    }
}
