//! Faults by hand: what goes wrong next at I'mport, the gateway, the network, and with webhooks.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::Response;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use maedal::clock::Clock;
use maedal::subscription::SubscriptionId;
use maud::{Markup, html};
use serde::Deserialize;
use simulator::{Call, Fault, Rule};

use super::actions::{back, back_to, foreign, is_ours};
use super::view::View;
use super::words::Words;
use crate::stack::Parts;

/// What gateways say when they decline. The first three may work another day; the others need a new billing key.
const DECLINES: [&str; 6] = [
    "잔액이 부족합니다.",
    "이용 한도를 초과했습니다.",
    "은행 점검 시간입니다.",
    "해지된 정기결제입니다.",
    "유효기간이 지난 카드입니다.",
    "분실 신고된 카드입니다.",
];
/// How much later a payment or a webhook comes that comes late.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Decline,
    LostAnswer,
    LostRequest,
    LatePaid,
    WebhookLost,
    WebhookTwice,
    WebhookLate,
}

impl Choice {
    const ALL: [Choice; 7] = [
        Choice::Decline,
        Choice::LostAnswer,
        Choice::LostRequest,
        Choice::LatePaid,
        Choice::WebhookLost,
        Choice::WebhookTwice,
        Choice::WebhookLate,
    ];

    const fn word(self) -> &'static str {
        match self {
            Choice::Decline => "decline",
            Choice::LostAnswer => "lost_answer",
            Choice::LostRequest => "lost_request",
            Choice::LatePaid => "late_paid",
            Choice::WebhookLost => "webhook_lost",
            Choice::WebhookTwice => "webhook_twice",
            Choice::WebhookLate => "webhook_late",
        }
    }

    const fn text(self, words: &Words) -> &'static str {
        match self {
            Choice::Decline => words.fault_decline,
            Choice::LostAnswer => words.fault_lost_answer,
            Choice::LostRequest => words.fault_lost_request,
            Choice::LatePaid => words.fault_late_paid,
            Choice::WebhookLost => words.fault_webhook_lost,
            Choice::WebhookTwice => words.fault_webhook_twice,
            Choice::WebhookLate => words.fault_webhook_late,
        }
    }

    fn rule(self, message: String) -> Rule {
        match self {
            Choice::Decline => Rule::once(Call::Again, Fault::Decline { message }),
            Choice::LostAnswer => Rule::once(Call::Again, Fault::CutAfterEffect),
            Choice::LostRequest => Rule::once(Call::Again, Fault::CutBeforeEffect),
            Choice::LatePaid => Rule::once(Call::Again, Fault::LatePaid(LATE)),
            Choice::WebhookLost => Rule::once(Call::Webhook, Fault::WebhookLost),
            Choice::WebhookTwice => Rule::once(Call::Webhook, Fault::WebhookTwice),
            Choice::WebhookLate => Rule::once(Call::Webhook, Fault::WebhookLate(LATE)),
        }
    }
}

pub(super) fn section(parts: &Parts, view: &View) -> Markup {
    let words = view.words();
    html! {
        section aria-labelledby="faults-title" {
            h2 id="faults-title" { (words.faults) }
            p.soft { @if view.subscription.is_some() { (words.faults_of_this) } @else { (words.faults_of_any) } }
            form.stacked method="post" action="/console/faults" {
                (back(view))
                @if let Some(id) = view.subscription { input type="hidden" name="subscription" value=(id); }
                label for="fault" { (words.fault) }
                select id="fault" name="fault" {
                    @for choice in Choice::ALL { option value=(choice.word()) { (choice.text(words)) } }
                }
                label for="message" { (words.fault_message) }
                select id="message" name="message" { @for message in DECLINES { option { (message) } } }
                button id="add-fault" type="submit" { (words.add_fault) }
            }
            div id="faults" data-live { (in_force(parts, view)) }
        }
    }
}

/// The rules that can still strike, and the two switches.
fn in_force(parts: &Parts, view: &View) -> Markup {
    let words = view.words();
    let mut iamport = parts.iamport();
    let down = iamport.faults().down_until().is_some_and(|end| end > parts.clock.now());
    let rules: Vec<Rule> = iamport.faults().rules().iter().filter(|rule| rule.times != Some(0)).cloned().collect();
    html! {
        @if !rules.is_empty() {
            ul id="rules" { @for rule in &rules { li { code { (serde_json::to_string(&rule.fault).unwrap_or_default()) }
                @if let Some(whose) = &rule.merchant_uid { " · " code { (whose) } }
            } } }
        }
        div.row {
            form method="post" action="/console/iamport" {
                (back(view))
                @if down {
                    span class="mark bad" { (words.iamport_is_down) } " "
                    button id="iamport-up" name="up" value="true" type="submit" { (words.iamport_up) }
                } @else {
                    button.quiet id="iamport-down" name="up" value="false" type="submit" { (words.iamport_down) }
                }
            }
            @if !rules.is_empty() {
                form method="post" action="/console/faults/clear" {
                    (back(view)) button.quiet id="clear-faults" type="submit" { (words.clear_faults) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Added {
    fault: Choice,
    message: String,
    subscription: Option<SubscriptionId>,
    back: String,
}

pub(super) async fn add(State(parts): State<Arc<Parts>>, headers: HeaderMap, Form(form): Form<Added>) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    let rule = form.fault.rule(form.message);
    let rule = match form.subscription {
        // Every merchant_uid of ours begins with the subscription's id.
        Some(id) => rule.merchant_uid(id.to_string()),
        None => rule,
    };
    parts.iamport().faults().add(rule);
    back_to(&form.back)
}

#[derive(Deserialize)]
pub(super) struct Back {
    back: String,
}

pub(super) async fn clear(State(parts): State<Arc<Parts>>, headers: HeaderMap, Form(form): Form<Back>) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    parts.iamport().faults().clear();
    back_to(&form.back)
}

#[derive(Deserialize)]
pub(super) struct Switched {
    up: bool,
    back: String,
}

/// I'mport goes down, until it is put up again.
pub(super) async fn switch(
    State(parts): State<Arc<Parts>>,
    headers: HeaderMap,
    Form(form): Form<Switched>,
) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    parts.iamport().faults().set_down((!form.up).then_some(Timestamp::MAX));
    back_to(&form.back)
}

#[derive(Deserialize)]
pub(super) struct Ended {
    customer_uid: String,
    back: String,
}

/// The buyer ends the agreement in CHAI's app.
pub(super) async fn end_key(State(parts): State<Arc<Parts>>, headers: HeaderMap, Form(form): Form<Ended>) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    parts.iamport().end_key_at_gateway(&form.customer_uid);
    back_to(&form.back)
}

#[derive(Deserialize)]
pub(super) struct Canceled {
    imp_uid: String,
    back: String,
}

/// The merchant cancels a payment in I'mport's own console. What can't be cancelled any more is not.
pub(super) async fn cancel(
    State(parts): State<Arc<Parts>>,
    headers: HeaderMap,
    Form(form): Form<Canceled>,
) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    let now = parts.clock.now();
    let _ = parts.iamport().cancel_in_console(&form.imp_uid, None, now);
    back_to(&form.back)
}
