//! All subscriptions and their charges at one moment: read from the database itself, past the stack, whose calls are counted.

use maedal::subscription::SubscriptionId;

use crate::books::{Account, all_accounts};
use crate::stack::Parts;
use crate::time::Standstill;

/// The accounts, the newest subscription first.
pub(super) struct Snapshot {
    pub(super) accounts: Vec<Account>,
}

impl Snapshot {
    pub(super) fn take(parts: &Parts) -> Result<Self, Standstill> {
        Ok(Self { accounts: all_accounts(parts.database())? })
    }

    pub(super) fn account(&self, id: SubscriptionId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.subscription.id == id)
    }
}
