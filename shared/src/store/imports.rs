//! Imports: how far each has come, the rows that came with its request, those that it refused, and the subscriptions that
//! it makes.
//!
//! *Crash before a subscription is made*: its line comes again. *Crash after*: its line comes again too, and finds whose
//! the `customer_uid` is: the row's own. *Crash before the place in the file is written*: the lines since the last place come
//! again, and their counts and refusals are written with it or not at all.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::subscriptions::subscription_item;
use super::{Entry, Idempotency, Store, StoreError, n, s};
use crate::import::{Import, ImportId, RefusedRow};
use crate::key;
use crate::key::{Item, Key};
use crate::subscription::period::FOREVER;
use crate::subscription::{Buyer, Charge, CustomerUid, Policy, Subscription};

/// How long an import and what it refused can be read.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// The most refused rows on a page.
pub const MOST_REFUSED: u8 = 100;

/// What came of asking for an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportCreated {
    /// It is there.
    New,
    /// The `Idempotency-Key` has an answer already.
    Repeat(Idempotency),
}

/// Which row a `customer_uid` came by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The import.
    pub import: ImportId,
    /// The line.
    pub line: u64,
    /// What the row said, without the buyer's data.
    pub row: String,
}

/// What came of taking a row in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// The subscription is there.
    New,
    /// The `customer_uid` has a subscription: by this row of an import, or by none.
    Taken(Option<Origin>),
}

/// A page of the rows that an import refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefusedPage {
    /// By line.
    pub rows: Vec<RefusedRow>,
    /// The line that the next page goes on after. None on the last.
    pub next: Option<u64>,
}

impl Store {
    /// Writes down an import that was asked for, with the rows that came with the request.
    pub async fn create_import(
        &self,
        import: &Import,
        rows: Option<&str>,
        idempotency: Option<&Idempotency>,
    ) -> Result<ImportCreated, StoreError> {
        const TASK: &str = "begin an import";
        let new = "attribute_not_exists(pk)";
        let mut writes = Vec::new();
        if let Some(idempotency) = idempotency {
            writes.push(self.put_idempotency(idempotency, import.created_at)?);
        }
        writes.push(self.put_if(import_item(import)?, new)?);
        if let Some(rows) = rows {
            let mut item = kept(Key::import_rows(import.id).item(), import);
            item.insert("text".to_owned(), s(rows));
            writes.push(self.put_if(item, new)?);
        }
        let Err(reasons) = self.transact(writes, TASK).await? else { return Ok(ImportCreated::New) };
        match reasons.into_iter().next().flatten().filter(|_| idempotency.is_some()) {
            Some(first) => {
                let first = serde_dynamo::from_item(first).map_err(|e| StoreError::corrupt(TASK, &e))?;
                Ok(ImportCreated::Repeat(first))
            }
            None => Err(StoreError::Conflict { task: TASK }),
        }
    }

    /// An import as it stands.
    pub async fn import(&self, id: ImportId) -> Result<Option<Import>, StoreError> {
        const TASK: &str = "read an import";
        let item = self.get(&Key::import(id), TASK).await?;
        item.map(|item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(TASK, &e))).transpose()
    }

    /// The rows that came with an import's request; nothing once it is over.
    pub async fn import_rows(&self, id: ImportId) -> Result<Option<String>, StoreError> {
        let item = self.get(&Key::import_rows(id), "read the rows of an import").await?;
        Ok(item.and_then(|mut item| item.remove("text")).and_then(|text| text.as_s().ok().cloned()))
    }

    /// Writes how far an import has come, and what it has refused on the way. The version goes up only if both were
    /// written. Once it is over, the rows that came with its request are gone with the same write: they hold buyers' data.
    pub async fn put_import(&self, import: &mut Import, refused: &[RefusedRow]) -> Result<(), StoreError> {
        const TASK: &str = "write how far an import has come";
        let seen = import.version;
        let mut next = import.clone();
        next.version = seen + 1;
        let mut writes = vec![self.put_seen(import_item(&next)?, seen)?];
        for row in refused {
            let item: Item = serde_dynamo::to_item(row).map_err(|e| StoreError::corrupt(TASK, &e))?;
            let mut item = kept(item, import);
            item.extend(Key::refused_row(import.id, row.line).item());
            writes.push(self.put_if(item, "attribute_not_exists(pk)")?);
        }
        if next.is_over() && next.source == crate::import::Source::Request {
            writes.push(self.put_if(kept(Key::import_rows(import.id).item(), import), "attribute_exists(pk)")?);
        }
        match self.transact(writes, TASK).await? {
            Ok(()) => {
                *import = next;
                Ok(())
            }
            Err(_) => Err(StoreError::Conflict { task: TASK }),
        }
    }

    /// A page of at most `limit` rows that an import refused, going on after the line `after`.
    pub async fn refused_rows(&self, id: ImportId, after: Option<u64>, limit: u8) -> Result<RefusedPage, StoreError> {
        const TASK: &str = "list the rows that an import refused";
        let query = self
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(Key::import(id).pk))
            .expression_attribute_values(":prefix", s(key::REFUSED))
            .limit(i32::from(limit.clamp(1, MOST_REFUSED)))
            .set_exclusive_start_key(after.map(|line| Key::refused_row(id, line).item()));
        let page = self.page(query, TASK).await?;
        let more = page.last_evaluated_key.is_some();
        let rows: Vec<RefusedRow> =
            serde_dynamo::from_items(page.items.unwrap_or_default()).map_err(|e| StoreError::corrupt(TASK, &e))?;
        let next = rows.last().map(|row| row.line).filter(|_| more);
        Ok(RefusedPage { rows, next })
    }

    /// Up to a hundred `customer_uid`s: those that have a subscription, and the row that each came by.
    pub async fn origins(&self, uids: &[&CustomerUid]) -> Result<Vec<(CustomerUid, Option<Origin>)>, StoreError> {
        const TASK: &str = "read whose customer_uids are";
        let keys = uids.iter().map(|uid| Key::customer_uid(uid).item()).collect();
        let mut found = Vec::new();
        for item in self.items(keys, TASK).await? {
            let of = uids
                .iter()
                .find(|uid| item.get("pk").and_then(|pk| pk.as_s().ok()) == Some(&Key::customer_uid(uid).pk));
            if let Some(uid) = of {
                found.push(((*uid).clone(), origin(item)?));
            }
        }
        Ok(found)
    }

    /// Takes a row in: the subscription, what was `paid` elsewhere, its buyer and whose the `customer_uid` is, or nothing.
    pub async fn take_in(
        &self,
        subscription: &Subscription,
        paid: Option<Charge>,
        buyer: &Buyer,
        origin_of_row: &Origin,
        policy: &Policy,
    ) -> Result<Taking, StoreError> {
        const TASK: &str = "take in a subscription";
        let new = "attribute_not_exists(pk)";
        let corrupt = |e| StoreError::corrupt(TASK, &e);
        let mut owner: Item = serde_dynamo::to_item(origin_of_row).map_err(corrupt)?;
        owner.extend(Key::customer_uid(&subscription.customer_uid).item());
        owner.insert("subscription".to_owned(), s(subscription.id.to_string()));
        let mut writes = vec![
            self.put_if(owner, new)?,
            self.put_if(subscription_item(subscription, subscription.created_at, policy)?, new)?,
        ];
        if let Some(paid) = paid {
            writes.extend(self.write_entry(&Entry::New(paid))?);
        }
        if *buyer != Buyer::default() {
            let mut person: Item = serde_dynamo::to_item(buyer).map_err(corrupt)?;
            person.extend(Key::buyer(subscription.id).item());
            writes.push(self.put_if(person, new)?);
        }
        let Err(reasons) = self.transact(writes, TASK).await? else { return Ok(Taking::New) };
        match reasons.into_iter().next().flatten() {
            Some(owner) => Ok(Taking::Taken(origin(owner)?)),
            None => Err(StoreError::Conflict { task: TASK }),
        }
    }
}

fn import_item(import: &Import) -> Result<Item, StoreError> {
    let item: Item = serde_dynamo::to_item(import).map_err(|e| StoreError::corrupt("write an import", &e))?;
    let mut item = kept(item, import);
    item.extend(Key::import(import.id).item());
    Ok(item)
}

/// With the time at which it may go.
fn kept(mut item: Item, import: &Import) -> Item {
    let until = import.created_at.saturating_add(KEPT).unwrap_or(FOREVER);
    item.insert("ttl".to_owned(), n(until.as_second()));
    item
}

/// The row that a `customer_uid` came by; none where it came by a checkout session.
fn origin(item: Item) -> Result<Option<Origin>, StoreError> {
    if !item.contains_key("import") {
        return Ok(None);
    }
    serde_dynamo::from_item(item).map(Some).map_err(|e| StoreError::corrupt("read whose a customer_uid is", &e))
}
