//! Webhooks to the merchant. PortOne documents that they are unsigned, sent once by default (resends are opt-in, five
//! at most, a minute apart), and that a failed payment sends none unless a schedule made it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::{
    config::WebhookFormat,
    fault::{Call, Fault},
    payment::Payment,
    rule::About,
    simulator::Simulator,
};

/// Resends where the merchant has opted in: at most so many, a minute apart (PortOne V1 webhook guide).
const RESENDS: usize = 5;
/// When a webhook that nobody has answered is sent again, where resends are on.
pub const RESEND_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// By how much an early webhook is ahead of the answer that it belongs to.
const HEAD_START: SignedDuration = SignedDuration::from_secs(1);

/// A hint to the merchant that a payment may have changed. Unsigned, and perhaps never delivered.
#[derive(Clone, Debug, Serialize)]
pub struct Webhook {
    /// Its number in the log, from 0.
    pub id: usize,
    /// Where to POST it.
    pub url: String,
    /// `application/json` or `application/x-www-form-urlencoded`.
    pub content_type: &'static str,
    /// `imp_uid`, `merchant_uid`, `status`, and for a cancellation `cancellation_id`.
    pub body: String,
    /// What the receiver said each time: an HTTP status, or null if it could not be reached.
    pub answers: Vec<Option<u16>>,
    /// It was swallowed: it is never sent.
    pub lost: bool,
    /// When what it tells of happened.
    pub made_at: Timestamp,
}

/// All webhooks ever made, and those that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    log: Vec<Webhook>,
    due: BTreeSet<(Timestamp, usize)>,
    stirrings: usize,
}

impl Outbox {
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|&(due, _)| due)
    }

    pub(crate) fn stirrings(&self) -> usize {
        self.stirrings
    }

    /// It is sent at `at`, and not when it was to be.
    fn plan(&mut self, at: Timestamp, id: usize) {
        self.due.retain(|&(_, other)| other != id);
        self.due.insert((at, id));
        self.stirrings += 1;
    }
}

impl Simulator {
    /// All webhooks ever made, oldest first.
    pub fn webhooks(&self) -> &[Webhook] {
        &self.outbox.log
    }

    /// Takes the webhooks that are to be sent by now, in order. Report each with [`Simulator::webhook_answered`].
    pub fn take_due_webhooks(&mut self, now: Timestamp) -> Vec<Webhook> {
        self.tick(now);
        let later = self.outbox.due.split_off(&(now + SignedDuration::from_nanos(1), 0));
        let due = std::mem::replace(&mut self.outbox.due, later);
        due.into_iter().map(|(_, id)| self.outbox.log[id].clone()).collect()
    }

    /// What came of sending a webhook: an HTTP status, or `None` for a network error.
    pub fn webhook_answered(&mut self, id: usize, answer: Option<u16>, now: Timestamp) {
        let Some(webhook) = self.outbox.log.get_mut(id) else {
            return;
        };
        webhook.answers.push(answer);
        self.outbox.stirrings += 1;
        let failed = answer.is_none_or(|status| status >= 500);
        if self.config.webhook_resends && failed && webhook.answers.len() <= RESENDS {
            self.outbox.due.insert((now + RESEND_AFTER, id));
        }
    }

    /// As [`Simulator::webhook_answered`], where it is told by a log and wasn't taken before.
    pub(crate) fn webhook_was_sent(&mut self, id: usize, answer: Option<u16>, at: Timestamp) {
        self.tick(at);
        self.outbox.due.retain(|&(_, other)| other != id);
        self.webhook_answered(id, answer, at);
    }

    /// The console's button: sends a webhook again, to the URL it had. `false`: there is none with this id.
    pub fn resend_webhook(&mut self, id: usize, now: Timestamp) -> bool {
        let known = id < self.outbox.log.len();
        if known {
            self.outbox.due.insert((now, id));
            self.outbox.stirrings += 1;
        }
        known
    }

    /// Sends a webhook at `at`: again where it was sent, and then instead of when it was to be where it wasn't. `false`:
    /// there is none with this id.
    pub fn send_webhook_at(&mut self, id: usize, at: Timestamp) -> bool {
        let Some(webhook) = self.outbox.log.get_mut(id) else { return false };
        webhook.lost = false;
        self.outbox.plan(at, id);
        true
    }

    /// Swallows what is still to be sent of a webhook. `false`: there is none with this id.
    pub fn lose_webhook(&mut self, id: usize) -> bool {
        let Some(webhook) = self.outbox.log.get_mut(id) else { return false };
        webhook.lost = true;
        self.outbox.due.retain(|&(_, other)| other != id);
        self.outbox.stirrings += 1;
        true
    }

    /// When a webhook is sent next, where it is to be sent.
    pub fn webhook_due(&self, id: usize) -> Option<Timestamp> {
        self.outbox.due.iter().find(|&&(_, other)| other == id).map(|&(due, _)| due)
    }

    /// Tells the merchant about a payment's present status.
    pub(crate) fn notify(&mut self, imp_uid: &str, cancellation_id: Option<&str>, now: Timestamp) {
        let Some(payment) = self.books.payment(imp_uid) else {
            return;
        };
        let order = &payment.order;
        let about = About::order(order);
        let urls = match order.notice_urls.as_slice() {
            [] => self.config.webhook_url.clone().into_iter().collect(),
            urls => urls.to_vec(),
        };
        let (content_type, body) = write(self.config.webhook_format, payment, cancellation_id);
        for url in urls {
            let fault = self.faults.strike(Call::Webhook, &about, now).fault;
            let due = match fault {
                Some(Fault::WebhookLate(delay)) => now + delay,
                _ => now,
            };
            if fault == Some(Fault::WebhookEarly) {
                self.hold_answer = HEAD_START;
            }
            let lost = fault == Some(Fault::WebhookLost);
            let copies = if fault == Some(Fault::WebhookTwice) { 2 } else { 1 };
            for _ in 0..copies {
                let id = self.outbox.log.len();
                let (url, body) = (url.clone(), body.clone());
                self.outbox.log.push(Webhook { id, url, content_type, body, answers: Vec::new(), lost, made_at: now });
                self.outbox.stirrings += 1;
                if !lost {
                    self.outbox.due.insert((due, id));
                }
            }
        }
    }
}

fn write(format: WebhookFormat, payment: &Payment, cancellation_id: Option<&str>) -> (&'static str, String) {
    let (imp_uid, merchant_uid, status) = (&payment.imp_uid, &payment.order.merchant_uid, payment.status.as_str());
    match format {
        WebhookFormat::Json => {
            let mut body = json!({"imp_uid": imp_uid, "merchant_uid": merchant_uid, "status": status});
            if let Some(id) = cancellation_id {
                body["cancellation_id"] = id.into();
            }
            ("application/json", body.to_string())
        }
        WebhookFormat::Form => {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.append_pair("imp_uid", imp_uid)
                .append_pair("merchant_uid", merchant_uid)
                .append_pair("status", status);
            if let Some(id) = cancellation_id {
                body.append_pair("cancellation_id", id);
            }
            ("application/x-www-form-urlencoded", body.finish())
        }
    }
}
