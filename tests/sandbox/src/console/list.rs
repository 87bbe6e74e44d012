//! The list of subscriptions: by state, by a text, page by page.

use maedal::clock::Clock;
use maedal::subscription::{Status, Subscription};
use maud::{Markup, html};

use super::snapshot::Snapshot;
use super::view::{STATES, View, minute};
use crate::books::Account;
use crate::stack::Parts;

/// So many are on a page.
const PAGE: usize = 20;

pub(super) fn section(parts: &Parts, view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    html! {
        section aria-labelledby="subscriptions-title" {
            h2 id="subscriptions-title" { (words.subscriptions) }
            form.search role="search" action="/" {
                @if let Some(language) = view.asked_language() { input type="hidden" name="lang" value=(language); }
                @if let Some(state) = view.state { input type="hidden" name="state" value=(state.word()); }
                label for="search" { (words.search) }
                input id="search" type="search" name="search" value=(view.search);
                button type="submit" { (words.find) }
            }
            div id="list" data-live { (list(parts, view, snapshot)) }
        }
    }
}

fn list(parts: &Parts, view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    let text = view.search.to_lowercase();
    let found: Vec<&Account> =
        snapshot.accounts.iter().filter(|account| contains(&account.subscription, &text)).collect();
    let count = |state: Status| found.iter().filter(|account| account.subscription.status == state).count();
    let shown: Vec<&Account> = found
        .iter()
        .copied()
        .filter(|account| view.state.is_none_or(|state| account.subscription.status == state))
        .collect();
    let pages = shown.len().div_ceil(PAGE);
    let page = view.page.min(pages.saturating_sub(1));
    let tab = |state: Option<Status>, text: &str, count: usize| {
        html! {
            li { a href=(view.in_state(state).path()) aria-current=[(view.state == state).then_some("true")] {
                (text) " " span.count { (count) }
            } }
        }
    };
    html! {
        nav aria-label=(words.states) {
            ul.tabs {
                (tab(None, words.all, found.len()))
                @for state in STATES {
                    @let count = count(state);
                    @if count > 0 || view.state == Some(state) { (tab(Some(state), words.state(state), count)) }
                }
            }
        }
        @if shown.is_empty() {
            p { @if snapshot.accounts.is_empty() { (words.nobody) " " a href="/shop" { (words.shop) } } @else { (words.none_found) } }
        } @else {
            div.wide tabindex="0" role="region" aria-labelledby="subscriptions-title" {
                table id="accounts" {
                    thead { tr {
                        th scope="col" { (words.customer) } th scope="col" { (words.plan) }
                        th scope="col" { (words.state_word) } th scope="col" { (words.next_charge) }
                        th.number scope="col" { (words.in_ledger) }
                    } }
                    tbody { @for account in shown.iter().skip(page * PAGE).take(PAGE) { (row(parts, view, account)) } }
                }
            }
        }
        @if pages > 1 {
            nav.pages aria-label=(words.pages) {
                @if page > 0 { a rel="prev" href=(view.at_page(page - 1).path()) { (words.newer) } }
                span { (page + 1) " / " (pages) }
                @if page + 1 < pages { a rel="next" href=(view.at_page(page + 1).path()) { (words.older) } }
            }
        }
    }
}

fn row(parts: &Parts, view: &View, Account { subscription, ledger }: &Account) -> Markup {
    let chosen = view.subscription == Some(subscription.id);
    let next = subscription.planned_charge(parts.clock.now(), &parts.billing.policy);
    html! {
        tr.chosen[chosen] {
            th scope="row" {
                a id={ "open-" (subscription.id) } href={ (view.of(subscription.id).path()) "#subscription" } { (subscription.customer_id) }
                br; code { (subscription.id) }
            }
            td { (subscription.plan.terms.name) }
            td { (state(view, subscription)) }
            td { @if let Some((at, _)) = next { (minute(at)) } @else { "–" } }
            td.number { (ledger.standing()) }
        }
    }
}

/// The state, in a colour of its own beside the word.
pub(super) fn state(view: &View, subscription: &Subscription) -> Markup {
    let status = subscription.status;
    let mark = match status {
        Status::Active | Status::Trialing => "good",
        Status::PastDue | Status::NeedsReview => "bad",
        Status::Pending | Status::Paused | Status::Canceled | Status::Expired => "quiet",
    };
    html! {
        span class={ "mark " (mark) } { (view.words().state(status)) }
        @if subscription.in_flight.is_some() { " " span class="mark doubt" { (view.words().in_flight) } }
    }
}

fn contains(subscription: &Subscription, text: &str) -> bool {
    let has = |whole: &str| whole.to_lowercase().contains(text);
    has(&subscription.id.to_string())
        || has(subscription.customer_id.as_str())
        || has(subscription.customer_uid.as_str())
        || has(subscription.plan.id.as_str())
        || has(&subscription.plan.terms.name)
}
