//! What is under way: the queue, attempts in doubt, and what waits for a person.

use maud::{Markup, html};

use super::snapshot::Snapshot;
use super::view::{View, minute};
use crate::stack::Parts;

pub(super) fn section(parts: &Parts, view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    let subscriptions = || snapshot.accounts.iter().map(|account| &account.subscription);
    let in_flight = subscriptions().filter_map(|subscription| Some((subscription, subscription.in_flight.as_ref()?)));
    let in_flight: Vec<_> = in_flight.collect();
    let review: Vec<_> =
        subscriptions().filter_map(|subscription| Some((subscription, subscription.review.as_ref()?))).collect();
    let next = parts.next_happening().ok().flatten();
    let (waiting, dead) = (parts.queue.len(), parts.queue.dead_letters());
    html! {
        section id="queue" aria-labelledby="queue-title" data-live {
            h2 id="queue-title" { (words.queue) }
            dl {
                div { dt { (words.waiting) } dd id="waiting" { (waiting) } }
                div { dt { (words.dead_letters) } dd { @if dead.is_empty() { "0" } @else { span class="mark bad" { (dead.len()) } } } }
                div { dt { (words.next_happening) } dd { @if let Some(next) = next { (minute(next)) } @else { "–" } } }
                div { dt { (words.in_doubt) } dd id="doubts" { (in_flight.len()) } }
            }
            @if !dead.is_empty() {
                details id="dead" { summary { (words.dead_letters) } @for message in &dead { pre { (message.body) } } }
            }
            @if !in_flight.is_empty() {
                ul {
                    @for (subscription, intent) in in_flight {
                        li {
                            a href={ (view.of(subscription.id).path()) "#subscription" } { (subscription.customer_id) }
                            " · " (intent.amount) " · " code { (intent.merchant_uid) }
                            @if let Some(doubt) = &subscription.doubt {
                                " · " (words.next_look) " " (minute(doubt.next_look))
                            }
                        }
                    }
                }
            }
            @if !review.is_empty() {
                h3 { (words.needs_a_person) }
                ul {
                    @for (subscription, review) in review {
                        li {
                            a href={ (view.of(subscription.id).path()) "#subscription" } { (subscription.customer_id) }
                            ": " (review.reason)
                        }
                    }
                }
            }
        }
    }
}
