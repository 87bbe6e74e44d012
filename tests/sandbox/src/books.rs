//! Both books side by side: our ledger and I'mport's payments. What they say must be equal to the won.

use std::collections::{BTreeMap, BTreeSet};

use dynoxide::Database;
use dynoxide::actions::scan::ScanRequest;
use jiff::{SignedDuration, Timestamp};
use maedal::events::Image;
use maedal::store::{Ledger, StoreError};
use maedal::subscription::{AfterDunning, MerchantUid, Policy, Purpose, Status, Subscription, SubscriptionId, Won};
use serde::Serialize;
use simulator::Simulator;

use crate::crowd;
use crate::stack::{Parts, TABLE};

/// How late a step may be before its subscription counts as forgotten.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What a life came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Checkout sessions that were opened.
    pub sessions: usize,
    /// Those that became subscriptions.
    pub subscriptions: usize,
    /// Subscriptions by state.
    pub states: BTreeMap<&'static str, usize>,
    /// Charges that were paid.
    pub paid: usize,
    /// Charges that were declined.
    pub declined: usize,
    /// Attempts that were in doubt and are settled.
    pub in_doubt_resolved: usize,
    /// Attempts that are in doubt still.
    pub in_doubt: usize,
    /// Subscriptions that wait for a person.
    pub needs_review: usize,
    /// Payments that bought nothing and went back.
    pub duplicates_refunded: usize,
    /// Periods with more than one payment that stands, by I'mport's books.
    pub double_charges: usize,
    /// Subscriptions whose next step is overdue, payments of I'mport's that the ledger doesn't have.
    pub forgotten: usize,
    /// What stands in the ledger.
    pub ledger_won: Won,
    /// What stands at I'mport.
    pub iamport_won: Won,
}

impl Report {
    /// Whether the two books agree, nobody was charged twice and nobody was forgotten.
    pub fn is_clean(&self) -> bool {
        self.double_charges == 0 && self.forgotten == 0 && self.ledger_won == self.iamport_won
    }
}

/// A subscription with all that was paid for it.
#[derive(Debug, Clone)]
pub struct Account {
    /// The subscription.
    pub subscription: Subscription,
    /// Its ledger.
    pub ledger: Ledger,
}

/// Reads the accounts of `ids`.
pub async fn accounts(stack: &Parts, ids: &[SubscriptionId]) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(subscription) = stack.billing.store.subscription(*id).await? {
            accounts.push(Account { subscription, ledger: stack.billing.store.ledger(*id).await? });
        }
    }
    Ok(accounts)
}

/// Reads all accounts from the database itself, past whoever serves it; the newest subscription first.
///
/// # Errors
/// Where the database can't be read, or holds what isn't ours.
pub fn all_accounts(database: &Database) -> Result<Vec<Account>, crowd::Error> {
    let mut subscriptions: Vec<Subscription> = Vec::new();
    let mut ledgers: BTreeMap<SubscriptionId, Ledger> = BTreeMap::new();
    let mut from = None;
    loop {
        let request =
            ScanRequest { table_name: TABLE.to_owned(), exclusive_start_key: from.take(), ..ScanRequest::default() };
        let page = database.scan(request)?;
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
    Ok(accounts.collect())
}

/// Compares our books with I'mport's.
pub fn compare(policy: &Policy, iamport: &Simulator, accounts: &[Account], now: Timestamp) -> Report {
    let mut report = Report { sessions: accounts.len(), ..Report::default() };
    let mut known = BTreeSet::new();
    for Account { subscription, ledger } in accounts {
        *report.states.entry(subscription.status.word()).or_default() += 1;
        let began = subscription.paid_through > 0 || subscription.anchor.is_some();
        report.subscriptions += usize::from(began);
        report.needs_review += usize::from(subscription.status == Status::NeedsReview);
        report.in_doubt += usize::from(subscription.in_flight.is_some());
        report.ledger_won = report.ledger_won + ledger.standing();
        for charge in &ledger.charges {
            match charge.payment() {
                Some(payment) => {
                    report.paid += 1;
                    known.insert(payment.imp_uid.to_string());
                }
                None => report.declined += 1,
            }
            report.in_doubt_resolved += usize::from(charge.was_in_doubt);
            report.duplicates_refunded += usize::from(charge.duplicate && charge.refund.is_none());
        }
        report.forgotten += usize::from(is_forgotten(policy, subscription, now));
    }
    let mut standing: BTreeMap<(SubscriptionId, u32), usize> = BTreeMap::new();
    for payment in iamport.books().payments().iter().filter(|payment| payment.was_charged()) {
        report.iamport_won = report.iamport_won + Won::new(payment.balance());
        report.forgotten += usize::from(!known.contains(&payment.imp_uid));
        if let Ok(MerchantUid { subscription, purpose: Purpose::Charge { period, .. }, .. }) =
            payment.order.merchant_uid.parse()
            && payment.balance() > 0
        {
            *standing.entry((subscription, period)).or_default() += 1;
        }
    }
    report.double_charges = standing.values().filter(|payments| **payments > 1).count();
    report
}

/// A subscription that lives and whose next step should long have been done, or that has no next step at all.
fn is_forgotten(policy: &Policy, subscription: &Subscription, now: Timestamp) -> bool {
    let dunning = subscription.plan.terms.dunning.as_ref().unwrap_or(&policy.dunning);
    let may_rest = match subscription.status {
        Status::Expired | Status::Canceled | Status::Paused | Status::NeedsReview => true,
        Status::PastDue => dunning.then == AfterDunning::LeaveUnpaid,
        Status::Pending | Status::Trialing | Status::Active => false,
    };
    match subscription.listed_at {
        None => !may_rest,
        Some(listed_at) => now.duration_since(listed_at) > FORGOTTEN_AFTER,
    }
}
