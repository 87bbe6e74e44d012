//! A command's write: the subscription at the version that was read, what changes in the ledger with it, and the answer
//! that repeats get, in one transaction.

use jiff::Timestamp;

use super::subscriptions::subscription_item;
use super::{Entry, Idempotency, Store, StoreError};
use crate::subscription::{Policy, Subscription};

/// What came of a command's write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commanded {
    /// It is written. The subscription is the next version.
    Done,
    /// The `Idempotency-Key` has an answer already.
    Repeat(Idempotency),
}

impl Store {
    /// Writes what a command changed. Somebody else's write in between is a conflict: read again and decide anew.
    pub async fn command(
        &self,
        subscription: &Subscription,
        seen: u64,
        entries: &[Entry],
        idempotency: Option<&Idempotency>,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Commanded, StoreError> {
        const TASK: &str = "carry out a command";
        let mut writes = vec![self.put_seen(subscription_item(subscription, now, policy)?, seen)?];
        for entry in entries {
            writes.extend(self.write_entry(entry)?);
        }
        if let Some(idempotency) = idempotency {
            writes.push(self.put_idempotency(idempotency, now)?);
        }
        let Err(reasons) = self.transact(writes, TASK).await? else { return Ok(Commanded::Done) };
        match reasons.into_iter().next_back().flatten().filter(|_| idempotency.is_some()) {
            Some(first) => {
                let first = serde_dynamo::from_item(first).map_err(|e| StoreError::corrupt(TASK, &e))?;
                Ok(Commanded::Repeat(first))
            }
            None => Err(StoreError::Conflict { task: TASK }),
        }
    }
}
