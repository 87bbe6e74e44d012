//! The webhooks of I'mport, and what can befall them: again, now, late, never.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::Response;
use http::HeaderMap;
use jiff::SignedDuration;
use maedal::clock::Clock;
use maud::{Markup, html};
use serde::Deserialize;
use simulator::Webhook;

use super::actions::{back, back_to, foreign, is_ours};
use super::timeline::{field, of_webhook, webhook_words};
use super::view::{View, minute, second};
use crate::stack::Parts;

/// So many of the latest are shown.
const SHOWN: usize = 8;
/// How much later one comes that comes late.
const LATE: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn section(parts: &Parts, view: &View) -> Markup {
    let words = view.words();
    let iamport = parts.iamport();
    let of_this = |webhook: &&Webhook| view.subscription.is_none_or(|id| of_webhook(webhook) == Some(id));
    let shown: Vec<&Webhook> = iamport.webhooks().iter().rev().filter(of_this).take(SHOWN).collect();
    html! {
        section id="webhooks" aria-labelledby="webhooks-title" data-live {
            h2 id="webhooks-title" { (words.webhooks) }
            @if shown.is_empty() { p { (words.nothing_yet) } }
            ol.webhooks {
                @for webhook in shown {
                    li {
                        div {
                            time datetime=(webhook.made_at) { (second(webhook.made_at)) } " "
                            (webhook_words(view, webhook).0) " "
                            code { (field(webhook, "imp_uid").unwrap_or_default()) }
                            @if let Some(due) = iamport.webhook_due(webhook.id) { " · " (words.due_at) " " (minute(due)) }
                        }
                        form.row method="post" action="/console/webhooks" {
                            (back(view))
                            input type="hidden" name="id" value=(webhook.id);
                            @let sent = !webhook.answers.is_empty();
                            (button(webhook.id, "now", if sent { words.send_again } else { words.send_now }))
                            (button(webhook.id, "late", words.send_late))
                            @if iamport.webhook_due(webhook.id).is_some() { (button(webhook.id, "never", words.send_never)) }
                        }
                    }
                }
            }
        }
    }
}

fn button(id: usize, when: &str, text: &str) -> Markup {
    html! { button.quiet id={ "webhook-" (id) "-" (when) } name="when" value=(when) type="submit" { (text) } }
}

/// When a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Now,
    Late,
    Never,
}

#[derive(Deserialize)]
pub(super) struct Sent {
    id: usize,
    when: When,
    back: String,
}

pub(super) async fn send(State(parts): State<Arc<Parts>>, headers: HeaderMap, Form(form): Form<Sent>) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    let now = parts.clock.now();
    match form.when {
        When::Now => {
            parts.iamport().send_webhook_at(form.id, now);
            parts.deliver_webhooks().await;
        }
        When::Late => {
            parts.iamport().send_webhook_at(form.id, now.saturating_add(LATE).unwrap_or(now));
        }
        When::Never => {
            parts.iamport().lose_webhook(form.id);
        }
    }
    back_to(&form.back)
}
