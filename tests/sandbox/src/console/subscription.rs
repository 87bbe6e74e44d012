//! One subscription, looked at closely: where it stands, its payments in both books, its timeline, and the calls that a shop
//! would make.

use maedal::clock::Clock;
use maedal::events::DomainEvent;
use maedal::subscription::Subscription;
use maud::{Markup, html};

use super::actions::back;
use super::books::{lines, mark};
use super::snapshot::Snapshot;
use super::view::{View, minute};
use super::{curl, list, timeline};
use crate::books::Account;
use crate::stack::Parts;

pub(super) fn section(
    parts: &Parts,
    view: &View,
    snapshot: &Snapshot,
    account: &Account,
    events: &[DomainEvent],
) -> Markup {
    let words = view.words();
    let subscription = &account.subscription;
    let planned = subscription.planned_charge(parts.clock.now(), &parts.billing.policy);
    html! {
        section id="subscription" aria-labelledby="subscription-title" {
            h2 id="subscription-title" { (words.subscription) " " code { (subscription.id) } }
            div.columns {
                div id="facts" data-live {
                    dl {
                        div { dt { (words.state_word) } dd id="state" { (list::state(view, subscription)) } }
                        div { dt { (words.customer) } dd { (subscription.customer_id) } }
                        div { dt { (words.plan) } dd { (subscription.plan.terms.name) " · " (subscription.plan.terms.amount) } }
                        div { dt { (words.next_charge) } dd id="next" {
                            @if let Some((at, amount)) = planned { (minute(at)) " · " (amount) } @else { "–" }
                        } }
                        div { dt { (words.billing_key) } dd {
                            @match &subscription.payment_method {
                                Some(method) if method.deleted => { (words.key_deleted) }
                                Some(method) if method.broken => { (words.key_broken) }
                                Some(method) => { (method.provider.as_deref().unwrap_or("–")) " · " (minute(method.confirmed_at)) }
                                None => { "–" }
                            }
                        } }
                        @if let Some(review) = &subscription.review { div { dt { (words.needs_a_person) } dd { (review.reason) } } }
                    }
                    @if subscription.can_be_charged() { (end_key(parts, view, subscription)) }
                    h3 id="payments-title" { (words.payments) }
                    (payments(parts, view, snapshot, account))
                    form method="post" action={ "/shop/my/" (subscription.id) } { button.quiet type="submit" { (words.my_page) } }
                    (curl::section(parts, view, account))
                }
                div id="timeline" data-live { (timeline::timeline(parts, view, subscription, events)) }
            }
        }
    }
}

/// What the buyer can do in CHAI's app: of which nobody is told.
fn end_key(parts: &Parts, view: &View, subscription: &Subscription) -> Markup {
    let words = view.words();
    let uid = subscription.customer_uid.as_str();
    let ended = parts.iamport().books().key(uid).is_none_or(|key| key.ended_at_gateway);
    html! {
        @if ended { p id="key-ended" class="mark bad" { (words.key_ended) } }
        @else {
            form method="post" action="/console/keys/end" {
                (back(view))
                input type="hidden" name="customer_uid" value=(uid);
                button.quiet id="end-key" type="submit" { (words.end_key) }
            }
        }
    }
}

/// What the merchant can do in I'mport's own console.
fn cancel(view: &View, imp_uid: &str) -> Markup {
    html! {
        form method="post" action="/console/payments/cancel" {
            (back(view))
            input type="hidden" name="imp_uid" value=(imp_uid);
            button.link id={ "cancel-" (imp_uid) } type="submit" { (view.words().cancel_in_console) span.hidden { " " (imp_uid) } }
        }
    }
}

/// Every attempt in the ledger, with what I'mport has under its name.
fn payments(parts: &Parts, view: &View, snapshot: &Snapshot, account: &Account) -> Markup {
    let words = view.words();
    let lines = lines(parts, snapshot, Some(account.subscription.id));
    let known: Vec<&str> =
        account.ledger.charges.iter().filter_map(|charge| Some(charge.payment()?.imp_uid.as_str())).collect();
    let unknown = lines.iter().filter(|(imp_uid, _)| !known.contains(&imp_uid.as_str()));
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="payments-title" {
            table id="charges" {
                thead { tr {
                    th scope="col" { (words.period) } th.number scope="col" { (words.ours) } th.number scope="col" { (words.theirs) }
                    th scope="col" { "imp_uid" }
                } }
                tbody {
                    @for charge in account.ledger.charges.iter().rev() {
                        @let line = charge.payment().and_then(|payment| lines.get(payment.imp_uid.as_str()));
                        tr {
                            th scope="row" { (charge.period) "-" (charge.attempt) }
                            td.number { @if charge.payment().is_some() { (charge.standing()) } @else { (words.charge(&charge.status)) } }
                            td.number {
                                @if let Some(line) = line {
                                    span class=(mark(line.verdict())) { (line.theirs.paid.saturating_sub(line.theirs.back)) }
                                } @else { "–" }
                            }
                            td {
                                @if let Some(payment) = charge.payment() { code { (payment.imp_uid) } }
                                @if let Some((payment, line)) = charge.payment().zip(line) {
                                    @if line.theirs.paid > line.theirs.back { (cancel(view, payment.imp_uid.as_str())) }
                                }
                            }
                        }
                    }
                    @for (imp_uid, line) in unknown {
                        tr {
                            th scope="row" { "–" } td.number { "–" }
                            td.number { span class=(mark(line.verdict())) { (line.theirs.paid.saturating_sub(line.theirs.back)) } }
                            td { code { (imp_uid) } }
                        }
                    }
                }
            }
        }
    }
}
