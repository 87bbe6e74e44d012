//! The buyer's own page: what is subscribed, what comes next, what was paid; and buttons that work without a script.

use http::{Response, StatusCode};
use maud::{Markup, html};

use super::Pages;
use super::layout::Content;
use crate::store::ChargePage;
use crate::subscription::{BuyerAction, Charge, ChargeStatus, Status, Subscription, Won};

/// What the page shows.
#[derive(Debug)]
pub struct My<'a> {
    /// The key to the page, for its own links and forms.
    pub token: &'a str,
    /// The subscription.
    pub subscription: &'a Subscription,
    /// Its payments.
    pub payments: &'a ChargePage,
    /// Why the last press did nothing.
    pub notice: Option<Notice>,
}

/// Why a press did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The subscription has changed since the page was shown.
    Stale,
}

impl Pages<'_> {
    /// The page. Where a press did nothing, its status says so, too.
    pub fn my(&self, my: &My<'_>) -> Response<String> {
        let words = self.language.words();
        let (seen, path) = (my.subscription, self.my_path(my.token));
        let button = |action: BuyerAction| {
            let (at, text, quiet) = match action {
                BuyerAction::ChangePaymentMethod => ("payment-method", words.change_payment_method, false),
                BuyerAction::Cancel => ("cancel", words.cancel, true),
                BuyerAction::Resume => ("resume", words.resume, false),
            };
            let explained = match action {
                BuyerAction::Cancel if seen.status == Status::PastDue => Some(words.cancel_now),
                BuyerAction::Cancel => Some(words.cancel_later),
                BuyerAction::ChangePaymentMethod | BuyerAction::Resume => None,
            };
            html! {
                @if seen.buyer_may(action) {
                    form method="post" action=(self.localized(&format!("{path}/{at}"))) {
                        input type="hidden" name="version" value=(seen.version);
                        button.quiet[quiet] id=(at) type="submit" { (text) }
                        @if let Some(explained) = explained { p.soft { (explained) } }
                    }
                }
            }
        };
        let older = my.payments.next.as_ref().map(|next| {
            let query = if self.asked { format!("&lang={}", self.language.code()) } else { String::new() };
            format!("{path}?after={next}{query}")
        });
        let main = html! {
            h1 { (seen.plan.terms.name) }
            p.notice role="alert" { @if my.notice == Some(Notice::Stale) { (words.stale) } }
            p id="status" role="status" { (self.standing(seen)) }
            (self.facts(seen))
            (button(BuyerAction::Resume))
            (button(BuyerAction::ChangePaymentMethod))
            h2 { (words.payments) }
            @if my.payments.charges.is_empty() { p { (words.no_payments) } }
            ul id="payments" { @for charge in &my.payments.charges { li { (self.payment(charge)) } } }
            @if let Some(older) = older { a href=(older) { (words.older) } }
            (button(BuyerAction::Cancel))
        };
        let status = if my.notice.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
        self.show(Content { status, title: words.my, waits: false, path: Some(path), main, scripts: None })
    }

    /// In a sentence: where it stands.
    fn standing(&self, seen: &Subscription) -> String {
        let words = self.language.words();
        if seen.status == Status::NeedsReview {
            return words.review.meaning.to_owned();
        }
        if seen.in_flight.is_some() {
            return words.charging.to_owned();
        }
        let ends = seen.ends_at().map(|at| self.language.date(at));
        match (seen.status, ends) {
            (Status::Canceled, _) => words.ended.heading.to_owned(),
            (_, Some(ends)) => (words.ending)(&ends),
            _ if !seen.can_be_charged() => words.no_payment_method.to_owned(),
            (Status::PastDue, None) => words.unpaid.to_owned(),
            (Status::Paused, None) => words.paused.heading.to_owned(),
            (Status::Trialing, None) => words.in_trial.to_owned(),
            (Status::Active | Status::Pending | Status::Expired | Status::NeedsReview, None) => words.in_use.to_owned(),
        }
    }

    fn facts(&self, seen: &Subscription) -> Markup {
        let (words, language) = (self.language.words(), self.language);
        let terms = &seen.plan.terms;
        let later = seen.next_plan.as_ref().filter(|_| !seen.cancel_at_period_end && !seen.status.is_over());
        let method = seen.payment_method.as_ref().filter(|method| !method.deleted);
        html! {
            dl {
                div { dt { (words.plan) } dd { (terms.name) " · " (terms.amount) " · " (language.every(terms.interval)) } }
                @if let Some(next) = self.next(seen) { div { dt { (words.next_charge) } dd id="next" { (next) } } }
                @if let Some(later) = later {
                    div {
                        dt { (words.then_plan) }
                        dd { (later.terms.name) " · " (later.terms.amount) " · " (language.every(later.terms.interval)) }
                    }
                }
                @if seen.credit > Won::ZERO && !seen.status.is_over() {
                    div { dt { (words.credit) } dd { (seen.credit) } }
                }
                @if let Some(ends) = seen.ends_at() { div { dt { (words.ends) } dd id="ends" { (language.date(ends)) } } }
                @if let Some(ended) = &seen.ended { div { dt { (words.ended_on) } dd { (language.date(ended.at)) } } }
                @if let Some(method) = method {
                    div {
                        dt { (words.payment_method) }
                        dd id="method" {
                            @if let Some(provider) = &method.provider { (provider) " · " }
                            ((words.registered)(&language.date(method.confirmed_at)))
                            @if method.broken { " · " (words.broken) }
                        }
                    }
                }
            }
        }
    }

    /// When and how much, where a charge is to come.
    fn next(&self, seen: &Subscription) -> Option<String> {
        let planned = seen.planned_charge(self.now(), &self.billing.policy);
        let (at, amount) = planned.filter(|_| seen.can_be_charged())?;
        Some(format!("{} · {amount}", self.language.date(at)))
    }

    fn payment(&self, charge: &Charge) -> Markup {
        let words = self.language.words();
        let (at, word, receipt) = match &charge.status {
            ChargeStatus::Paid(payment) => {
                let receipt = payment.receipt_url.as_deref().filter(|url| is_https(url));
                (payment.paid_at.unwrap_or(charge.settled_at), words.paid_word, receipt)
            }
            ChargeStatus::Declined { .. } => (charge.settled_at, words.declined_word, None),
            ChargeStatus::Credited => (charge.settled_at, words.credited_word, None),
            ChargeStatus::Imported => {
                let began = charge.bill.as_ref().and_then(|bill| bill.starts_at);
                (began.unwrap_or(charge.settled_at), words.imported_word, None)
            }
        };
        let amount = if charge.amount == Won::ZERO { charge.credit } else { charge.amount };
        html! {
            span { (self.language.date(at)) }
            span { strong { (amount) } " " (word) }
            @if let ChargeStatus::Declined { reason, .. } = &charge.status { span.soft { (reason) } }
            @if charge.refunded > Won::ZERO { span.soft { ((words.refunded)(&charge.refunded.to_string())) } }
            @if let Some(receipt) = receipt { a href=(receipt) target="_blank" rel="noopener noreferrer" { (words.receipt) } }
        }
    }
}

/// I'mport's word for where a receipt is; it must be nothing but an address.
fn is_https(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| url.scheme() == "https")
}
