//! Commands that a restore has lost, beside their subscription: so that each is told of once, however often it is fed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::subscriptions::subscription_item;
use super::{Store, StoreError, n, s};
use crate::key;
use crate::key::{Item, Key};
use crate::subscription::{Policy, Subscription, SubscriptionId};

impl Store {
    /// The digests of the lost commands of `id` that a person was told of.
    pub async fn lost(&self, id: SubscriptionId) -> Result<BTreeSet<String>, StoreError> {
        const TASK: &str = "read the lost commands";
        let query = self
            .query()
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(Key::subscription(id).pk))
            .expression_attribute_values(":prefix", s(key::LOST))
            .consistent_read(true);
        let place = |item: Item| item.get("sk")?.as_s().ok()?.strip_prefix(key::LOST).map(str::to_owned);
        Ok(self.all_read(query, TASK, |item| Ok(place(item))).await?.into_iter().flatten().collect())
    }

    /// Writes a subscription that waits for a person, and which lost commands (digest, in words) that is about: all or nothing.
    pub async fn put_lost(
        &self,
        subscription: &mut Subscription,
        commands: &[(String, String)],
        now: Timestamp,
        policy: &Policy,
    ) -> Result<(), StoreError> {
        const TASK: &str = "hand lost commands to a person";
        let seen = subscription.version;
        let mut next = subscription.clone();
        next.version = seen + 1;
        let mut writes = vec![self.put_seen(subscription_item(&next, now, policy)?, seen)?];
        for (digest, what) in commands {
            let mut item = Key::lost(next.id, digest).item();
            item.insert("what".to_owned(), s(what));
            item.insert("found_at".to_owned(), n(now.as_millisecond()));
            writes.push(self.put_if(item, "attribute_not_exists(pk)")?);
        }
        match self.transact(writes, TASK).await? {
            Ok(()) => {
                *subscription = next;
                Ok(())
            }
            Err(_) => Err(StoreError::Conflict { task: TASK }),
        }
    }
}
