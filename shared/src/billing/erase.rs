//! Erasing a buyer's data, as the law lets them ask for. It is in an item of its own beside each subscription, and nowhere else:
//! the ledger, the events and the log know the merchant's own name for the buyer, which says nothing without the merchant.
//!
//! *Crash anywhere*: what is erased stays so; asked again, the rest is.

use tracing::info;

use super::Billing;
use crate::store::{ListBy, MOST_LISTED, StoreError};
use crate::subscription::CustomerId;

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// The customer's subscriptions.
    pub subscriptions: usize,
    /// Those whose buyer's data was there, and is erased now.
    pub erased: usize,
}

impl Billing {
    /// Erases the buyer's data of all subscriptions of a customer. Nothing else changes: what is charged is charged.
    pub async fn erase(&self, customer_id: &CustomerId) -> Result<Erased, StoreError> {
        let by = ListBy::Customer(customer_id.clone());
        let (mut done, mut after) = (Erased::default(), None);
        loop {
            let page = self.store.list(&by, after, MOST_LISTED).await?;
            for subscription in &page.subscriptions {
                done.subscriptions += 1;
                if self.store.erase_buyer(subscription.id, self.now()).await? {
                    done.erased += 1;
                    info!(subscription = %subscription.id, outcome = "erased", "a buyer's data");
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }
}
