//! What a run came to: both books against each other, and I'mport's alone against what each subscriber was to pay.

use std::collections::BTreeMap;

use maedal::subscription::{MerchantUid, Purpose, Status, SubscriptionId, Won};
use sandbox::Report;
use sandbox::books::Account;
use serde::Serialize;
use simulator::{Payment, Simulator};

use crate::people::People;
use crate::prepare::{Crowd, Fate, PRICE, REFUND};
use crate::tally::Counts;

/// So many of what is wrong are told one by one.
const TOLD: usize = 20;

/// The end of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// Subscriptions that fell due.
    pub(crate) subscribers: usize,
    /// Buyers who approved in the payment window.
    pub(crate) bought: usize,
    /// How long it took.
    pub(crate) seconds: u64,
    /// All that was killed.
    pub(crate) kills: u64,
    /// Functions that were killed in the middle of an event.
    pub(crate) kills_at_work: u64,
    /// What was killed.
    pub(crate) counts: Counts,
    /// The fewest kills at work that prove anything.
    pub(crate) least_kills_at_work: u64,
    /// The two books.
    pub(crate) books: Report,
    /// Whether all came to rest in time.
    pub(crate) quiet: bool,
    /// Whatever isn't as it should be.
    pub(crate) wrong: Vec<String>,
}

impl Verdict {
    /// Whether all that must hold does.
    pub(crate) fn holds(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.wrong.iter().take(TOLD).cloned().collect();
        let mut must = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let books = &self.books;
        must(self.wrong.len() <= TOLD, format!("and {} more of that kind", self.wrong.len().saturating_sub(TOLD)));
        must(self.quiet, "not everything came to rest".to_owned());
        must(books.is_clean(), "the two books differ".to_owned());
        must(books.needs_review == 0, format!("{} need a person", books.needs_review));
        must(books.in_doubt == 0, format!("{} are in doubt still", books.in_doubt));
        must(self.counts.ended_by_themselves.is_empty(), format!("ended: {:?}", self.counts.ended_by_themselves));
        let (cut, least) = (self.kills_at_work, self.least_kills_at_work);
        must(cut >= least, format!("{cut} were killed at work; fewer than {least} prove nothing"));
        problems
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let Self { subscribers, bought, seconds, kills, kills_at_work, books, .. } = self;
        let servers: Vec<String> =
            self.counts.servers_killed.iter().map(|(name, kills)| format!("{name} {kills}")).collect();
        let mut text = format!(
            "{subscribers} subscriptions were due and {bought} were bought, in {} minutes.\n\
             {kills} processes were killed: {kills_at_work} functions at work, {}.\n\
             {} charges paid, {} declined, {} were in doubt and are resolved, {} paid twice and given back.\n\
             {} charged twice, {} forgotten. Ledger {}, I'mport {}.\n",
            seconds / 60,
            servers.join(", "),
            books.paid,
            books.declined,
            books.in_doubt_resolved,
            books.duplicates_refunded,
            books.double_charges,
            books.forgotten,
            books.ledger_won,
            books.iamport_won,
        );
        for problem in self.problems() {
            text.push_str(&format!("WRONG: {problem}\n"));
        }
        text
    }

    /// One line of JSON: the two books, and what was killed.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Whatever isn't as it should be, subscription by subscription.
pub(crate) fn wrong(accounts: &[Account], iamport: &Simulator, crowd: &Crowd, people: &People) -> Vec<String> {
    let mut charges: BTreeMap<SubscriptionId, Vec<(u32, &Payment)>> = BTreeMap::new();
    for payment in iamport.books().payments() {
        if let Ok(MerchantUid { subscription, purpose: Purpose::Charge { period, .. }, .. }) =
            payment.order.merchant_uid.parse()
        {
            charges.entry(subscription).or_default().push((period, payment));
        }
    }
    let charges = |id: &SubscriptionId| charges.get(id).map(Vec::as_slice).unwrap_or_default();
    let accounts: BTreeMap<SubscriptionId, &Account> =
        accounts.iter().map(|account| (account.subscription.id, account)).collect();
    let mut wrong = people.unserved();

    let bought = people.bought();
    let sold = bought.iter().map(|id| (id, Fate::Charged, 1));
    let due = crowd.subscribers.iter().map(|(id, fate)| (id, *fate, crowd.period));
    for (id, fate, period) in due.chain(sold) {
        let Some(account) = accounts.get(id) else {
            wrong.push(format!("{id} is not in the table"));
            continue;
        };
        let paid: Vec<&(u32, &Payment)> = charges(id).iter().filter(|(_, payment)| payment.was_paid()).collect();
        let stands: u64 = paid.iter().map(|(_, payment)| payment.balance()).sum();
        let as_it_should = match (fate, paid.as_slice()) {
            (Fate::Charged, [(at, _)]) => *at == period && stands == PRICE,
            (Fate::Refunded, [(at, _)]) => *at == period && stands == PRICE - REFUND,
            (Fate::Canceled, [(at, _)]) => *at == period && stands == PRICE,
            (Fate::Canceled, []) => charges(id).is_empty(),
            (Fate::Declined, []) => !charges(id).is_empty(),
            (Fate::Charged | Fate::Refunded | Fate::Canceled | Fate::Declined, _) => false,
        };
        let status = account.subscription.status;
        let in_state = match fate {
            Fate::Charged | Fate::Refunded => status == Status::Active,
            Fate::Declined => status == Status::PastDue,
            Fate::Canceled => status == Status::Canceled,
        };
        if !as_it_should || !in_state {
            let tries = charges(id).len();
            wrong.push(format!(
                "{id} ({fate:?}) is {}: {} of {tries} tries paid, {stands} won stand",
                status.word(),
                paid.len()
            ));
        }
    }
    for (id, account) in &accounts {
        let stands: u64 = charges(id).iter().map(|(_, payment)| payment.balance()).sum();
        let ledger = account.ledger.standing();
        if ledger != Won::new(stands) {
            wrong.push(format!("{id}: {ledger} in the ledger, {stands} won at I'mport"));
        }
    }
    wrong
}
