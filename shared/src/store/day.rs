//! What was paid on a day, for reconciling: the ledger by I'mport's own time, so that both books are cut at the same place.

use jiff::Timestamp;
use serde::Deserialize;

use super::table::DAY_INDEX;
use super::{Store, StoreError, n, s};
use crate::key::Key;
use crate::subscription::period::in_seoul;
use crate::subscription::{ImpUid, SubscriptionId, Won};

/// How many parts a day is spread over, so that a million charges of an hour don't meet in one.
const PARTS: u8 = 4;

/// A paid charge of the ledger, with what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Where the charge is.
    pub key: Key,
    /// I'mport's name for the payment.
    pub imp_uid: ImpUid,
    /// How much was paid.
    pub amount: Won,
    /// How much of it went back.
    pub refunded: Won,
}

#[derive(Deserialize)]
struct Held {
    pk: String,
    sk: String,
    imp_uid: ImpUid,
    amount: Won,
    refunded: Won,
}

/// The index's hash of what was paid at `paid_at`: the day in Korea, and a part of it.
pub(super) fn paid_day(paid_at: Timestamp, shard: u8) -> String {
    format!("{}#{}", in_seoul(paid_at).date(), shard % PARTS)
}

impl Store {
    /// The paid charges of the ledger that I'mport was paid from `from` until before `to`, which lie on one day in Korea. `None`
    /// where they are more than `most`.
    pub async fn paid_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> Result<Option<Vec<Compared>>, StoreError> {
        const TASK: &str = "read what was paid on a day";
        let mut all = Vec::new();
        for part in 0..PARTS {
            let query = self
                .query()
                .index_name(DAY_INDEX)
                .key_condition_expression("paid_day = :day AND paid_at BETWEEN :from AND :last")
                .expression_attribute_values(":day", s(paid_day(from, part)))
                .expression_attribute_values(":from", n(from.as_millisecond()))
                .expression_attribute_values(":last", n(to.as_millisecond() - 1));
            let mut after = None;
            loop {
                let page = self.page(query.clone().set_exclusive_start_key(after.take()), TASK).await?;
                let held: Vec<Held> = serde_dynamo::from_items(page.items.unwrap_or_default())
                    .map_err(|e| StoreError::corrupt(TASK, &e))?;
                all.extend(held.into_iter().filter_map(|Held { pk, sk, imp_uid, amount, refunded }| {
                    let key = Key { pk, sk };
                    Some(Compared { subscription: key.subscription_id()?, key, imp_uid, amount, refunded })
                }));
                if all.len() > most {
                    return Ok(None);
                }
                match page.last_evaluated_key {
                    Some(key) => after = Some(key),
                    None => break,
                }
            }
        }
        Ok(Some(all))
    }
}
