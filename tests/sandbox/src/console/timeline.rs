//! What has happened to one subscription, in words, the newest first: intents, calls to I'mport and their answers, webhooks,
//! events. What they are made of is one click away.

use jiff::Timestamp;
use maedal::events::DomainEvent;
use maedal::pages::Language;
use maedal::subscription::{MerchantUid, Purpose, Subscription, SubscriptionId, Won};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;
use simulator::{Call, Exchange, Webhook};

use super::view::{View, second};
use crate::claim::Claim;
use crate::stack::Parts;

/// So many of the latest entries are shown at first.
const SHOWN: usize = 40;

/// Where an entry comes from. In this order where the clock says the same of several: what is asked about a window comes
/// before the attempt that follows from it, and the ledger's word last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Window,
    Intent,
    Call,
    Webhook,
    Event,
}

/// How it went, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Plain,
    Good,
    Bad,
    Doubt,
}

struct Entry {
    at: Timestamp,
    source: Source,
    text: String,
    mark: Mark,
    raw: Value,
}

/// The timeline of a subscription. `events` are all that have left.
pub(super) fn timeline(parts: &Parts, view: &View, subscription: &Subscription, events: &[DomainEvent]) -> Markup {
    let words = view.words();
    let (id, customer_uid) = (subscription.id, subscription.customer_uid.as_str());
    let mut entries = Vec::new();
    entries.extend(
        parts.outbox.claims().iter().filter(|claim| claim.subscription == id).map(|claim| claimed(view, claim)),
    );
    {
        let iamport = parts.iamport();
        let about = |merchant_uid: Option<&str>, uid: Option<&str>| {
            uid == Some(customer_uid) || merchant_uid.and_then(of) == Some(id)
        };
        let calls =
            iamport.exchanges().filter(|call| about(call.merchant_uid.as_deref(), call.customer_uid.as_deref()));
        entries.extend(calls.map(|call| called(view, call)));
        let webhooks = iamport.webhooks().iter().filter(|webhook| of_webhook(webhook) == Some(id));
        entries.extend(webhooks.map(|webhook| told(view, webhook)));
    }
    entries.extend(events.iter().filter(|event| event.subscription.id == id).map(|event| happened(view, event)));
    // Events know the second only.
    entries.sort_by_key(|entry| (entry.at.as_second(), entry.source));
    let count = entries.len();
    let shown = if view.whole { count } else { SHOWN.min(count) };
    html! {
        h3 id="timeline-title" { (words.timeline) }
        @if entries.is_empty() { p { (words.nothing_yet) } }
        ol.timeline aria-labelledby="timeline-title" {
            @for (nth, entry) in entries.iter().enumerate().rev().take(shown) {
                li class=(class(entry.mark)) {
                    time datetime=(entry.at) { (second(entry.at)) }
                    span.source { (words.source(entry.source)) }
                    span.what { (entry.text) }
                    details id={ "raw-" (nth) } {
                        summary { "JSON" span.hidden { " " (entry.text) } }
                        pre tabindex="0" { (pretty(&entry.raw)) }
                    }
                }
            }
        }
        @if shown < count { p { a href={ (view.all_of_it().path()) "#subscription" } { ((words.all_entries)(count)) } } }
    }
}

impl super::words::Words {
    fn source(&self, source: Source) -> &'static str {
        match source {
            Source::Window | Source::Call => self.call,
            Source::Intent => self.intent,
            Source::Webhook => self.webhook,
            Source::Event => self.event,
        }
    }
}

const fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Plain => "plain",
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Doubt => "doubt",
    }
}

fn of(merchant_uid: &str) -> Option<SubscriptionId> {
    merchant_uid.parse::<MerchantUid>().ok().map(|uid| uid.subscription)
}

/// Whom a webhook is about.
pub(super) fn of_webhook(webhook: &Webhook) -> Option<SubscriptionId> {
    of(&field(webhook, "merchant_uid")?)
}

/// A field of a webhook's body, JSON or form.
pub(super) fn field(webhook: &Webhook, name: &str) -> Option<String> {
    match serde_json::from_str::<Value>(&webhook.body) {
        Ok(body) => body[name].as_str().map(str::to_owned),
        Err(_) => {
            let mut fields = form_urlencoded::parse(webhook.body.as_bytes());
            fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
        }
    }
}

fn raw(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn pretty(raw: &Value) -> String {
    serde_json::to_string_pretty(raw).unwrap_or_default()
}

fn claimed(view: &View, claim: &Claim) -> Entry {
    let text = (view.words().claimed)(
        &claim.intent.amount.to_string(),
        claim.intent.period,
        claim.intent.attempt,
        claim.sends,
    );
    Entry { at: claim.at, source: Source::Intent, text, mark: Mark::Plain, raw: raw(claim) }
}

fn called(view: &View, call: &Exchange) -> Entry {
    let words = view.words();
    let amount = call.request["amount"].as_u64().map(|amount| format!(" {}", Won::new(amount))).unwrap_or_default();
    let asked = match call.call {
        Call::Again => words.asked_to_charge,
        Call::Lookup => words.asked_for_payment,
        Call::Cancel => words.asked_to_cancel,
        Call::Window => words.asked_for_window,
        Call::Customer if call.method == "DELETE" => words.asked_to_delete_key,
        Call::Customer => words.asked_for_key,
        Call::Token | Call::Schedule | Call::ScheduledCharge | Call::Webhook => &call.path,
    };
    let (answer, mark) = answered(view, call);
    let window = call.merchant_uid.as_deref().and_then(|uid| uid.parse::<MerchantUid>().ok());
    let window = call.call == Call::Window || window.is_some_and(|uid| matches!(uid.purpose, Purpose::Window { .. }));
    let source = if window { Source::Window } else { Source::Call };
    Entry { at: call.at, source, text: format!("{asked}{amount} → {answer}"), mark, raw: raw(call) }
}

/// What I'mport answered.
fn answered(view: &View, call: &Exchange) -> (String, Mark) {
    let words = view.words();
    let Some(status) = call.status else { return (words.cut.to_owned(), Mark::Doubt) };
    let message = call.answer["message"].as_str().unwrap_or_default();
    match (status, call.answer["code"].as_i64()) {
        (300..400, _) => (words.led_on.to_owned(), Mark::Plain),
        (500.., _) => (format!("HTTP {status}"), Mark::Doubt),
        (400.., _) => (format!("HTTP {status} {message}"), Mark::Plain),
        (_, Some(0)) => {
            let response = &call.answer["response"];
            match response["list"].as_array() {
                Some(list) => {
                    let found: Vec<String> = list.iter().map(|payment| payment_word(view, payment).0).collect();
                    (if found.is_empty() { words.nothing_found.to_owned() } else { found.join(", ") }, Mark::Plain)
                }
                None => payment_word(view, response),
            }
        }
        (_, Some(code)) => ((words.refused)(code, message), Mark::Bad),
        // The window has an answer of its own.
        (_, None) if call.call == Call::Window => ("OK".to_owned(), Mark::Plain),
        (_, None) => (words.unreadable.to_owned(), Mark::Doubt),
    }
}

fn payment_word(view: &View, payment: &Value) -> (String, Mark) {
    let words = view.words();
    match payment["status"].as_str() {
        Some("paid") => (words.paid.to_owned(), Mark::Good),
        Some("failed") => {
            let reason = payment["fail_reason"].as_str().unwrap_or_default();
            (format!("{}: {reason}", words.declined), Mark::Bad)
        }
        Some("cancelled") => {
            let back = payment["cancel_amount"].as_u64().map(Won::new).unwrap_or_default();
            (format!("{} {back}", words.given_back), Mark::Plain)
        }
        Some(other) => (other.to_owned(), Mark::Plain),
        None => ("OK".to_owned(), Mark::Plain),
    }
}

fn told(view: &View, webhook: &Webhook) -> Entry {
    let (text, mark) = webhook_words(view, webhook);
    Entry { at: webhook.made_at, source: Source::Webhook, text, mark, raw: raw(webhook) }
}

/// What a webhook says, and what came of it.
pub(super) fn webhook_words(view: &View, webhook: &Webhook) -> (String, Mark) {
    let words = view.words();
    let status = field(webhook, "status").unwrap_or_default();
    let (came, mark) = match webhook.answers.last() {
        None if webhook.lost => (words.never_sent.to_owned(), Mark::Bad),
        None => (words.not_yet_sent.to_owned(), Mark::Plain),
        Some(Some(code @ 200..300)) => (format!("{} {code}", words.we_answered), Mark::Good),
        Some(Some(code)) => (format!("{} {code}", words.we_answered), Mark::Bad),
        Some(None) => (words.not_reached.to_owned(), Mark::Bad),
    };
    let times = if webhook.answers.len() > 1 { format!(" ×{}", webhook.answers.len()) } else { String::new() };
    (format!("{status} → {came}{times}"), mark)
}

fn happened(view: &View, event: &DomainEvent) -> Entry {
    use maedal::events::Kind;
    let (korean, english, mark) = match event.kind {
        Kind::Created => ("결제 신청이 열렸습니다", "a checkout session was opened", Mark::Plain),
        Kind::TrialStarted => ("무료 체험이 시작되었습니다", "the free trial has begun", Mark::Good),
        Kind::Activated => {
            ("첫 기간이 결제되어 구독이 시작되었습니다", "the first period was paid: active", Mark::Good)
        }
        Kind::Renewed => ("다음 기간이 결제되었습니다", "a further period was paid: renewed", Mark::Good),
        Kind::PastDue => ("갱신 결제가 거절되어 연체되었습니다", "a renewal was declined: past due", Mark::Bad),
        Kind::Paused => ("일시 중지되었습니다", "paused", Mark::Plain),
        Kind::Resumed => ("다시 시작되었습니다", "resumed", Mark::Plain),
        Kind::CancelScheduled => ("기간 끝에 해지하도록 신청되었습니다", "ends with the paid period", Mark::Plain),
        Kind::CancelWithdrawn => ("해지 신청이 취소되었습니다", "goes on after all", Mark::Plain),
        Kind::Canceled => ("해지되었습니다", "canceled", Mark::Plain),
        Kind::Expired => ("결제 신청 시간이 지났습니다", "the checkout session expired", Mark::Plain),
        Kind::NeedsReview => ("사람이 확인해야 합니다", "a person must look", Mark::Bad),
        Kind::ReviewEnded => ("사람이 확인했습니다", "a person has looked", Mark::Plain),
        Kind::PlanChanged => ("상품이 변경되었습니다", "the plan was changed", Mark::Plain),
        Kind::PaymentMethodChanged => ("빌링키가 발급되었습니다", "a billing key was issued", Mark::Good),
        Kind::PaymentMethodBroken => {
            ("빌링키로 더 이상 결제할 수 없습니다", "the billing key can't be charged any more", Mark::Bad)
        }
        Kind::PaymentMethodRemoved => ("빌링키가 삭제되었습니다", "the billing key was deleted", Mark::Plain),
        Kind::ChargePaid => ("결제되어 장부에 적혔습니다", "paid, and in the ledger", Mark::Good),
        Kind::ChargeDeclined => ("거절되어 장부에 적혔습니다", "declined, and in the ledger", Mark::Bad),
        Kind::ChargeCredited => ("적립액으로 결제되었습니다", "paid by credit", Mark::Good),
        Kind::ChargeInDoubt => (
            "결과를 알 수 없습니다. 알게 될 때까지 다시 조회합니다",
            "in doubt: looked up until it is known",
            Mark::Doubt,
        ),
        Kind::ChargeDuplicate => ("이미 결제된 기간입니다. 돌려줍니다", "paid for nothing: it goes back", Mark::Doubt),
        Kind::ChargeRefunded => ("환불되었습니다", "given back", Mark::Plain),
        Kind::BooksDiffer => ("아임포트와 장부가 다릅니다", "I'mport's books and ours differ", Mark::Bad),
    };
    let words = match view.language() {
        Language::Korean => korean,
        Language::English => english,
    };
    let amount = event.refund.or(event.charge.as_ref().map(|charge| charge.amount));
    let amount = amount.map(|amount| format!(" · {amount}")).unwrap_or_default();
    let reason = event.charge.as_ref().and_then(|charge| charge.decline_reason.as_deref());
    let reason = reason.map(|reason| format!(" · {reason}")).unwrap_or_default();
    let text = format!("{}: {words}{amount}{reason}", event.kind.word());
    Entry { at: event.occurred_at, source: Source::Event, text, mark, raw: raw(event) }
}
