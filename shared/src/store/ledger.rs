//! The ledger: charges and refunds of a subscription, in the subscription's own partition.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use jiff::Timestamp;

use super::day::paid_day;
use super::subscriptions::subscription_item;
use super::unknown::{Nested, Shape};
use super::{Store, StoreError, n, s};
use crate::key;
use crate::key::{Item, Key};
use crate::subscription::{Audit, Bill, Charge, Finding, ImpUid, Policy, Refund, Subscription, SubscriptionId, Won};

/// A change of the ledger, with what it must find.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A charge that the ledger doesn't have.
    New(Charge),
    /// A charge that replaces what the ledger has: only where that is as it was read.
    Changed {
        /// As read.
        was: Charge,
        /// As it is now.
        is: Charge,
    },
    /// A refund that the ledger doesn't have.
    Refund(Refund),
    /// A decision of an operator.
    Audit(Audit),
    /// A finding, new or as it is now.
    Finding(Finding),
}

impl Entry {
    /// With what a charge that enters the ledger, or enters it anew, was for.
    fn billed(&self, subscription: &Subscription) -> Self {
        let mut entry = self.clone();
        if let Self::New(charge) | Self::Changed { is: charge, .. } = &mut entry {
            charge.bill = Some(Bill::of(subscription, charge.period));
        }
        entry
    }
}

/// All that a subscription has been paid and has given back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// By period and attempt.
    pub charges: Vec<Charge>,
    /// By payment.
    pub refunds: Vec<Refund>,
}

impl Ledger {
    /// Paid and not given back.
    pub fn standing(&self) -> Won {
        self.charges.iter().map(Charge::standing).sum()
    }
}

/// What came of settling.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Settled {
    /// It is written.
    Written,
    /// The ledger has this charge in the place of a new one, and the subscription is as it was read.
    InTheWay(Box<Charge>),
}

/// The most charges on a page.
pub const MOST_CHARGES: u8 = 100;

/// A page of the charges of a subscription.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChargePage {
    /// The charges.
    pub charges: Vec<Charge>,
    /// Where the next page goes on. None on the last.
    pub next: Option<ChargeCursor>,
}

/// The charge that a page ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeCursor(String);

/// `00001-002`, and `00001-002-imp_…` for a further payment of the same name.
impl std::fmt::Display for ChargeCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.replacen('#', "-", 2))
    }
}

impl std::str::FromStr for ChargeCursor {
    type Err = crate::subscription::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let digits = |part: Option<&str>, most: usize| {
            part.is_some_and(|part| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
        };
        let attempt = |part: Option<&str>| part == Some(key::PAID) || digits(part, 10);
        let good = digits(parts.next(), 10)
            && attempt(parts.next())
            && parts.next().is_none_or(|uid| uid.parse::<ImpUid>().is_ok());
        match good {
            true => Ok(Self(text.replacen('-', "#", 2))),
            false => Err(crate::subscription::InvalidId("a cursor is what the page before had as its next")),
        }
    }
}

impl Store {
    /// A page of `limit` charges, going on after `after`: the oldest first, or the newest. It has less only where it is the last.
    pub async fn charges(
        &self,
        id: SubscriptionId,
        after: Option<&ChargeCursor>,
        limit: u8,
        newest_first: bool,
    ) -> Result<ChargePage, StoreError> {
        const TASK: &str = "list charges";
        let mut from = after.map(|ChargeCursor(place)| {
            let mut key = Key::subscription(id).item();
            key.insert("sk".to_owned(), s(format!("{}{place}", key::CHARGE)));
            key
        });
        let query = self
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(Key::subscription(id).pk))
            .expression_attribute_values(":prefix", s(key::CHARGE))
            .scan_index_forward(!newest_first)
            .consistent_read(true);
        let mut charges = Vec::new();
        let mut left = limit.clamp(1, MOST_CHARGES);
        // What has moved away isn't shown, and another is shown for it.
        while left > 0 {
            let query = query.clone().limit(i32::from(left)).set_exclusive_start_key(from.take());
            let page = self.page(query, TASK).await?;
            for item in page.items.unwrap_or_default() {
                let charge = read_charge(item, TASK)?;
                if !charge.moved {
                    charges.push(charge);
                    left = left.saturating_sub(1);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        let place = |key: Item| Some(key.get("sk")?.as_s().ok()?.strip_prefix(key::CHARGE)?.to_owned());
        Ok(ChargePage { charges, next: from.and_then(place).map(ChargeCursor) })
    }

    /// Writes the subscription, where it is still at the version that was read, and its ledger entries: all or nothing. A charge
    /// that stands in the way of a new one, though nobody else has written the subscription, is no conflict: trying again would find
    /// the same for ever.
    pub async fn settle(
        &self,
        subscription: &mut Subscription,
        entries: &[Entry],
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Settled, StoreError> {
        const SETTLE: &str = "settle a charge";
        let seen = subscription.version;
        let mut next = subscription.clone();
        next.version = seen + 1;
        let mut writes = vec![self.put_seen(subscription_item(&next, now, policy)?, seen)?];
        for entry in entries {
            writes.extend(self.write_entry(&entry.billed(&next))?);
        }
        let Err(in_the_way) = self.transact(writes, SETTLE).await? else {
            *subscription = next;
            return Ok(Settled::Written);
        };
        let mut in_the_way = in_the_way.into_iter();
        // The subscription's own condition comes first: somebody else was faster.
        if in_the_way.next().flatten().is_some() {
            return Err(StoreError::Conflict { task: SETTLE });
        }
        let charge =
            |item: &Item| item.get("sk").and_then(|sk| sk.as_s().ok()).is_some_and(|sk| sk.starts_with(key::CHARGE));
        match in_the_way.flatten().find(charge) {
            Some(item) => Ok(Settled::InTheWay(Box::new(read_charge(item, SETTLE)?))),
            None => Err(StoreError::Conflict { task: SETTLE }),
        }
    }

    /// Writes ledger entries that leave the subscription as it is.
    pub async fn write(&self, entries: &[Entry]) -> Result<(), StoreError> {
        const TASK: &str = "write the ledger";
        let mut writes = Vec::new();
        for entry in entries {
            writes.extend(self.write_entry(entry)?);
        }
        match self.transact(writes, TASK).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(StoreError::Conflict { task: TASK }),
        }
    }

    /// The charges of one period, further payments included.
    pub async fn charges_of(&self, id: SubscriptionId, period: u32) -> Result<Vec<Charge>, StoreError> {
        self.charges_under(id, &format!("{}{period:05}#", key::CHARGE), "read a period's charges").await
    }

    /// The charge of an attempt, wherever it stands; not a further payment of its name.
    pub async fn charge_of(&self, id: SubscriptionId, period: u32, attempt: u32) -> Result<Option<Charge>, StoreError> {
        let charges = self.charges_of(id, period).await?;
        Ok(charges.into_iter().find(|charge| charge.attempt == attempt && !charge.further))
    }

    /// The refunds of one payment.
    pub async fn refunds_of(&self, id: SubscriptionId, imp_uid: &ImpUid) -> Result<Vec<Refund>, StoreError> {
        self.under(id, &format!("{}{imp_uid}#", key::REFUND), "read a payment's refunds").await
    }

    /// The refunds of all its payments.
    pub async fn refunds(&self, id: SubscriptionId) -> Result<Vec<Refund>, StoreError> {
        self.under(id, key::REFUND, "read the refunds").await
    }

    /// The whole ledger.
    pub async fn ledger(&self, id: SubscriptionId) -> Result<Ledger, StoreError> {
        let mut charges = self.charges_under(id, key::CHARGE, "read the charges").await?;
        let refunds = self.refunds(id).await?;
        charges.sort_by_key(|charge: &Charge| (charge.period, charge.attempt, charge.further));
        Ok(Ledger { charges, refunds })
    }

    /// The charge at `key`; `None` where there is none.
    pub async fn charge_at(&self, key: &Key) -> Result<Option<Charge>, StoreError> {
        const TASK: &str = "read a charge";
        let charge = self.get(key, TASK).await?.map(|item| read_charge(item, TASK)).transpose()?;
        Ok(charge.filter(|charge| !charge.moved))
    }

    pub(super) fn write_entry(&self, entry: &Entry) -> Result<Vec<TransactWriteItem>, StoreError> {
        let one = match entry {
            Entry::New(charge) => self.put_new_charge(charge)?,
            Entry::Changed { was, is } => {
                let (from, to) = (Key::of(was), Key::new_charge(is));
                // What pays for its period now, or pays for it no more, belongs elsewhere. The entry that it was is kept.
                if was.is_settled() != is.is_settled() && from != to {
                    let left = Charge { moved: true, refund: None, ..was.clone() };
                    let moved = Charge { place: None, ..is.clone() };
                    return Ok(vec![self.put_seen_charge(was, &left)?, self.put_new_charge(&moved)?]);
                }
                self.put_seen_charge(was, &Charge { place: Some(from.sk), ..is.clone() })?
            }
            Entry::Audit(audit) => {
                let mut item: Item =
                    serde_dynamo::to_item(audit).map_err(|e| StoreError::corrupt("write a decision", &e))?;
                item.extend(Key::audit(audit.subscription, audit.at.as_millisecond()).item());
                self.put_if(item, "attribute_not_exists(pk)")?
            }
            Entry::Finding(finding) => {
                let mut item: Item =
                    serde_dynamo::to_item(finding).map_err(|e| StoreError::corrupt("write a finding", &e))?;
                item.extend(Key::finding(finding.subscription, finding.imp_uid.as_str()).item());
                let put =
                    Put::builder().table_name(&self.table).set_item(Some(item)).build().map_err(StoreError::build)?;
                TransactWriteItem::builder().put(put).build()
            }
            Entry::Refund(refund) => {
                let mut item: Item =
                    serde_dynamo::to_item(refund).map_err(|e| StoreError::corrupt("write a refund", &e))?;
                item.extend(Key::refund(refund.subscription, refund.imp_uid.as_str(), &refund.cancellation_id).item());
                self.put_if(item, "attribute_not_exists(pk)")?
            }
        };
        Ok(vec![one])
    }

    /// A charge where none is. What has moved away from there is none any more.
    fn put_new_charge(&self, charge: &Charge) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(charge_item(charge)?))
            .condition_expression("attribute_not_exists(pk) OR moved = :moved")
            .expression_attribute_values(":moved", AttributeValue::Bool(true))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::build)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A charge in its place, where that is as it was read.
    fn put_seen_charge(&self, was: &Charge, is: &Charge) -> Result<TransactWriteItem, StoreError> {
        let refund = match &was.refund {
            Some(_) => "refund.tries = :tries",
            None => "attribute_not_exists(refund)",
        };
        let credited = match was.credited {
            Won::ZERO => "attribute_not_exists(credited)",
            _ => "credited = :credited",
        };
        let mut put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(charge_item(is)?))
            .condition_expression(format!(
                "#status = :status AND refunded = :refunded AND {refund} AND {credited} AND attribute_not_exists(moved)"
            ))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", s(was.status.word()))
            .expression_attribute_values(":refunded", n(was.refunded.get()));
        if let Some(refund) = &was.refund {
            put = put.expression_attribute_values(":tries", n(refund.tries));
        }
        if was.credited > Won::ZERO {
            put = put.expression_attribute_values(":credited", n(was.credited.get()));
        }
        Ok(TransactWriteItem::builder().put(put.build().map_err(StoreError::build)?).build())
    }

    /// What operators decided, the oldest first.
    pub async fn audits(&self, id: SubscriptionId) -> Result<Vec<Audit>, StoreError> {
        self.under(id, key::AUDIT, "read the decisions").await
    }

    /// What a subscription's partition holds under `prefix`.
    async fn under<T: serde::de::DeserializeOwned>(
        &self,
        id: SubscriptionId,
        prefix: &str,
        task: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        self.all(self.query_under(id, prefix), task).await
    }

    /// The charges that a subscription's partition holds under `prefix`.
    async fn charges_under(
        &self,
        id: SubscriptionId,
        prefix: &str,
        task: &'static str,
    ) -> Result<Vec<Charge>, StoreError> {
        let mut charges = self.all_read(self.query_under(id, prefix), task, |item| read_charge(item, task)).await?;
        charges.retain(|charge| !charge.moved);
        Ok(charges)
    }

    fn query_under(&self, id: SubscriptionId, prefix: &str) -> QueryFluentBuilder {
        self.query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(Key::subscription(id).pk))
            .expression_attribute_values(":prefix", s(prefix))
            .consistent_read(true)
    }
}

/// What this version knows of a charge's item.
const CHARGE: Shape = Shape {
    schema: 1,
    known: &[
        "pk",
        "sk",
        "schema",
        "due_shard",
        "due_at",
        "paid_day",
        "subscription",
        "period",
        "attempt",
        "merchant_uid",
        "amount",
        "credit",
        "carried",
        "left",
        "credited",
        "status",
        "imp_uid",
        "paid_at",
        "receipt_url",
        "reason",
        "settled_at",
        "was_in_doubt",
        "duplicate",
        "further",
        "refunded",
        "refund",
        "bill",
        "moved",
    ],
    nested: &[
        Nested {
            name: "refund",
            identity: "requested_at",
            known: &["amount", "balance", "reason", "requested_at", "due_at", "tries"],
        },
        Nested {
            name: "bill",
            identity: "version",
            known: &["version", "customer_id", "customer_uid", "plan", "plan_version", "name", "starts_at", "ends_at"],
        },
    ],
};

fn read_charge(item: Item, task: &'static str) -> Result<Charge, StoreError> {
    let (charge, unknown) = CHARGE.read(item, task)?;
    Ok(Charge { unknown, ..charge })
}

/// A charge as an item. One with a refund under way is due, until that is settled.
fn charge_item(charge: &Charge) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(charge).map_err(|e| StoreError::corrupt("write a charge", &e))?;
    item.extend(Key::of(charge).item());
    if let Some(paid_at) = charge.payment().and_then(|payment| payment.paid_at).filter(|_| !charge.moved) {
        item.insert("paid_day".to_owned(), s(paid_day(paid_at, charge.subscription.due_shard())));
    }
    if let Some(refund) = &charge.refund {
        item.insert("due_shard".to_owned(), n(charge.subscription.due_shard()));
        item.insert("due_at".to_owned(), n(refund.due_at.as_millisecond()));
    }
    CHARGE.complete(&mut item, &charge.unknown);
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::unknown::tests::names_all;
    use crate::subscription::charge::Payment;
    use crate::subscription::{ChargeStatus, MerchantUid, RefundIntent};

    #[test]
    fn all_that_a_charge_may_have_is_named_so_that_the_rest_is_carried_along() {
        let (at, id) = (Timestamp::UNIX_EPOCH, SubscriptionId::new(ulid::Ulid::from_parts(1, 2)));
        let (one, imp_uid): (_, ImpUid) = (Won::new(1), "imp_1".parse().unwrap());
        let paid = Payment { imp_uid: imp_uid.clone(), paid_at: Some(at), receipt_url: Some(String::new()) };
        let charge = Charge {
            subscription: id,
            period: 1,
            attempt: 1,
            merchant_uid: MerchantUid::charge(id, 1, 1),
            amount: one,
            credit: one,
            carried: one,
            left: one,
            credited: one,
            status: ChargeStatus::Paid(paid),
            settled_at: at,
            was_in_doubt: true,
            duplicate: true,
            further: true,
            refunded: one,
            refund: Some(RefundIntent {
                amount: one,
                balance: one,
                reason: String::new(),
                requested_at: at,
                due_at: at,
                tries: 1,
            }),
            bill: Some(Bill {
                version: 1,
                customer_id: "c".parse().unwrap(),
                customer_uid: id.into(),
                plan: "coffee".parse().unwrap(),
                plan_version: 1,
                name: String::new(),
                starts_at: Some(at),
                ends_at: Some(at),
            }),
            moved: true,
            place: None,
            unknown: crate::subscription::unknown::Unknown::default(),
        };
        let mut full = charge_item(&charge).unwrap();
        let status = ChargeStatus::Declined { reason: String::new(), imp_uid: Some(imp_uid) };
        full.extend(charge_item(&Charge { status, ..charge }).unwrap());
        names_all(&CHARGE, &full, &["pk", "sk", "schema", "due_shard", "due_at", "paid_day"]);
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for good in ["00001-002", "1-1", "00012-001-imp_123", "00012-PAID"] {
            assert_eq!(good.parse::<ChargeCursor>().unwrap().to_string(), good);
        }
        for bad in ["", "1", "-", "1-", "-1", "x-1", "1-x", "12345678901-1", "1-12345678901", "1-1-", "1#1", "+1-1"] {
            assert!(bad.parse::<ChargeCursor>().is_err(), "{bad}");
        }
    }
}
