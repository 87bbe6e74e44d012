//! The buyer's own page: what it shows, and what its buttons do. A button is a command of the version that the page
//! showed: where the merchant, a renewal or another tab was faster, nothing is done and the buyer looks again.
//!
//! *Crash before the write*: nothing happened. *Crash after*: it is done, and a second press finds it so.

use jiff::{SignedDuration, Timestamp};

use super::{Billing, CommandError, CommandRequest};
use crate::store::{ChargeCursor, ChargePage, StoreError};
use crate::subscription::{BuyerAction, Checkout, Status, Subscription, SubscriptionId};

/// Payments on a page.
const SHOWN: u8 = 12;

/// What a press of a button came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Pressed {
    /// It is as the buyer wants it, by this press or an earlier one.
    Done(Box<Subscription>),
    /// The subscription isn't as the page had shown it. Nothing was done.
    Stale(Box<Subscription>),
}

impl Billing {
    /// The subscription that a link is for. `None`: there is no page of it (yet).
    pub async fn my_subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        Ok(self.store.subscription(id).await?.filter(|found| match found.status {
            Status::Pending | Status::Expired => false,
            Status::Trialing
            | Status::Active
            | Status::PastDue
            | Status::Paused
            | Status::Canceled
            | Status::NeedsReview => true,
        }))
    }

    /// Its payments, the newest first.
    pub async fn my_payments(
        &self,
        id: SubscriptionId,
        after: Option<&ChargeCursor>,
    ) -> Result<ChargePage, StoreError> {
        self.store.charges(id, after, SHOWN, true).await
    }

    /// Does what the buyer asks for, where the page showed version `seen`. A window for a new payment method may be
    /// opened for `life`. `None`: there is no such page.
    pub async fn press(
        &self,
        id: SubscriptionId,
        action: BuyerAction,
        seen: u64,
        life: SignedDuration,
    ) -> Result<Option<Pressed>, StoreError> {
        let now = self.now();
        let Some(found) = self.my_subscription(id).await? else { return Ok(None) };
        if found.version != seen || !found.buyer_may(action) {
            return Ok(Some(pressed_before(found, action, now)));
        }
        let checkout = Checkout {
            expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX),
            success_url: None,
            cancel_url: None,
            decline: None,
            replaces: None,
        };
        let command = found.buyer_command(action, checkout);
        let body = serde_json::Value::Null;
        let request = CommandRequest { subscription: id, key: None, body: &body, version: Some(seen) };
        match self.command(&command, request).await {
            Ok(done) => Ok(Some(Pressed::Done(Box::new(done.subscription)))),
            // Somebody was faster, between our read and the write.
            Err(CommandError::Version { .. } | CommandError::Refused(_)) => {
                Ok(self.my_subscription(id).await?.map(|found| pressed_before(found, action, now)))
            }
            Err(CommandError::Unknown | CommandError::KeyReused) => Ok(None),
            Err(CommandError::Store(error)) => Err(error),
        }
    }
}

fn pressed_before(found: Subscription, action: BuyerAction, now: Timestamp) -> Pressed {
    match found.buyer_has(action, now) {
        true => Pressed::Done(Box::new(found)),
        false => Pressed::Stale(Box::new(found)),
    }
}
