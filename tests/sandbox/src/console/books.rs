//! Both books side by side: our ledger and I'mport's payments, payment by payment, and what they come to.

use std::collections::{BTreeMap, BTreeSet};

use maedal::clock::Clock;
use maedal::subscription::{MerchantUid, SubscriptionId, Won};
use maud::{Markup, html};

use super::snapshot::Snapshot;
use super::view::View;
use crate::books::compare;
use crate::stack::Parts;

/// What one book has of one payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Side {
    pub(super) paid: Won,
    pub(super) back: Won,
}

impl Side {
    fn add(&mut self, other: Side) {
        self.paid = self.paid + other.paid;
        self.back = self.back + other.back;
    }
}

/// What both books have of one payment.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) ours: Side,
    pub(super) theirs: Side,
    pub(super) merchant_uid: String,
    /// It is being settled: an attempt in flight, or a refund under way.
    pub(super) open: bool,
}

/// How the two books stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Agree,
    /// They differ by nothing but what is being settled.
    Open,
    Differ,
}

impl Line {
    pub(super) fn verdict(&self) -> Verdict {
        match (self.ours == self.theirs, self.open) {
            (true, _) => Verdict::Agree,
            (false, true) => Verdict::Open,
            (false, false) => Verdict::Differ,
        }
    }
}

/// The payments of both books by I'mport's name. What a file remembers of an earlier life isn't compared: I'mport here
/// begins anew with every start.
pub(super) fn lines(parts: &Parts, snapshot: &Snapshot, only: Option<SubscriptionId>) -> BTreeMap<String, Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let mut open = BTreeSet::new();
    let accounts = snapshot.accounts.iter().filter(|account| only.is_none_or(|id| account.subscription.id == id));
    for account in accounts {
        open.extend(account.subscription.in_flight.as_ref().map(|intent| intent.merchant_uid.to_string()));
        for charge in account.ledger.charges.iter().filter(|charge| charge.settled_at >= parts.began_at) {
            if charge.refund.is_some() {
                open.insert(charge.merchant_uid.to_string());
            }
            if let Some(payment) = charge.payment() {
                let line = lines.entry(payment.imp_uid.to_string()).or_default();
                line.merchant_uid = charge.merchant_uid.to_string();
                line.ours.add(Side { paid: charge.amount, back: charge.refunded });
            }
        }
    }
    for payment in parts.iamport().books().payments().iter().filter(|payment| payment.was_charged()) {
        let owner = payment.order.merchant_uid.parse::<MerchantUid>().ok().map(|uid| uid.subscription);
        if only.is_none_or(|id| owner == Some(id)) {
            let line = lines.entry(payment.imp_uid.clone()).or_default();
            line.merchant_uid.clone_from(&payment.order.merchant_uid);
            line.theirs.add(Side { paid: Won::new(payment.order.amount), back: Won::new(payment.cancel_amount()) });
        }
    }
    for line in lines.values_mut() {
        line.open = open.contains(&line.merchant_uid);
    }
    lines
}

pub(super) fn section(parts: &Parts, view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    let lines = lines(parts, snapshot, None);
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    for line in lines.values() {
        ours.add(line.ours);
        theirs.add(line.theirs);
    }
    let verdicts: Vec<Verdict> = lines.values().map(Line::verdict).collect();
    let verdict = match (verdicts.contains(&Verdict::Differ), verdicts.contains(&Verdict::Open)) {
        (true, _) => Verdict::Differ,
        (false, true) => Verdict::Open,
        (false, false) => Verdict::Agree,
    };
    let report = compare(&parts.billing.policy, &parts.iamport(), &snapshot.accounts, parts.clock.now());
    let apart: Vec<(&String, &Line)> = lines.iter().filter(|(_, line)| line.verdict() != Verdict::Agree).collect();
    html! {
        section id="books" aria-labelledby="books-title" data-live {
            h2 id="books-title" { (words.books) }
            p id="verdict" role="status" class=(mark(verdict)) { (words.verdict(verdict)) }
            div.wide tabindex="0" role="region" aria-labelledby="books-title" {
                table {
                    thead { tr { td {} th.number scope="col" { (words.ours) } th.number scope="col" { (words.theirs) } } }
                    tbody {
                        tr { th scope="row" { (words.paid) } td.number { (ours.paid) } td.number { (theirs.paid) } }
                        tr { th scope="row" { (words.given_back) } td.number { (ours.back) } td.number { (theirs.back) } }
                        tr.sum {
                            th scope="row" { (words.standing) }
                            td.number id="ours" { (ours.paid.saturating_sub(ours.back)) }
                            td.number id="theirs" { (theirs.paid.saturating_sub(theirs.back)) }
                        }
                    }
                }
            }
            @if !apart.is_empty() {
                ul {
                    @for (imp_uid, line) in apart {
                        li {
                            code { (imp_uid) } ": " (line.ours.paid.saturating_sub(line.ours.back)) " / "
                            (line.theirs.paid.saturating_sub(line.theirs.back))
                            @if line.open { " · " (words.being_settled) }
                        }
                    }
                }
            }
            p class=(if report.double_charges == 0 { "quiet" } else { "bad" }) { (words.charged_twice) ": " (report.double_charges) }
        }
    }
}

pub(super) const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agree => "mark good",
        Verdict::Open => "mark doubt",
        Verdict::Differ => "mark bad",
    }
}
