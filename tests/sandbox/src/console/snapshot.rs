//! All subscriptions and their charges at one moment: read from the database itself, past the stack, whose calls are counted.

use std::collections::BTreeMap;

use dynoxide::actions::scan::ScanRequest;
use maedal::events::Image;
use maedal::store::Ledger;
use maedal::subscription::{Subscription, SubscriptionId};

use crate::books::Account;
use crate::stack::{Parts, TABLE};
use crate::time::Standstill;

/// The accounts, the newest subscription first.
pub(super) struct Snapshot {
    pub(super) accounts: Vec<Account>,
}

impl Snapshot {
    pub(super) fn take(parts: &Parts) -> Result<Self, Standstill> {
        let mut subscriptions: Vec<Subscription> = Vec::new();
        let mut ledgers: BTreeMap<SubscriptionId, Ledger> = BTreeMap::new();
        let mut from = None;
        loop {
            let request = ScanRequest {
                table_name: TABLE.to_owned(),
                exclusive_start_key: from.take(),
                ..ScanRequest::default()
            };
            let page = parts.database().scan(request)?;
            for item in page.items.unwrap_or_default() {
                match Image::read(serde_json::from_value(serde_json::to_value(item)?)?)? {
                    Image::Subscription { subscription, .. } => subscriptions.push(*subscription),
                    Image::Charge(charge) => ledgers.entry(charge.subscription).or_default().charges.push(*charge),
                    Image::Finding(_) | Image::Other => (),
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        subscriptions.sort_by_key(|subscription| std::cmp::Reverse(subscription.id));
        let accounts = subscriptions.into_iter().map(|subscription| {
            let mut ledger = ledgers.remove(&subscription.id).unwrap_or_default();
            ledger.charges.sort_by_key(|charge| (charge.period, charge.attempt, charge.further));
            Account { subscription, ledger }
        });
        Ok(Self { accounts: accounts.collect() })
    }

    pub(super) fn account(&self, id: SubscriptionId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.subscription.id == id)
    }
}
