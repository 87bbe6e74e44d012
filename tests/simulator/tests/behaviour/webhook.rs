use jiff::SignedDuration;
use serde_json::json;
use simulator::{Call, Config, Fault, Rule, WebhookFormat};

use crate::merchant::{Merchant, WEBHOOK_URL};

#[test]
fn a_charge_is_told_as_json() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    let [webhook] = &merchant.webhooks_due()[..] else { panic!("one webhook") };
    let imp_uid = merchant.simulator.books().payments()[0].imp_uid.as_str();
    assert_eq!(webhook.url, WEBHOOK_URL);
    assert_eq!(webhook.content_type, "application/json");
    let body: serde_json::Value = serde_json::from_str(&webhook.body).unwrap();
    assert_eq!(body, json!({"imp_uid": imp_uid, "merchant_uid": "order", "status": "paid"}));
    assert!(merchant.webhooks_due().is_empty());
}

#[test]
fn a_charge_may_be_told_as_a_form() {
    let url = Some(WEBHOOK_URL.into());
    let mut merchant =
        Merchant::with(Config { webhook_url: url, webhook_format: WebhookFormat::Form, ..Config::default() });
    merchant.again("order", 1000);
    let webhook = merchant.webhooks_due().remove(0);
    assert_eq!(webhook.content_type, "application/x-www-form-urlencoded");
    assert!(webhook.body.ends_with("&merchant_uid=order&status=paid"), "{}", webhook.body);
}

#[test]
fn notice_url_takes_the_place_of_the_console_url() {
    let mut merchant = Merchant::new();
    let notice_url = "http://127.0.0.1:2/other";
    let body =
        json!({"customer_uid": "buyer", "merchant_uid": "order", "amount": 1, "name": "x", "notice_url": notice_url});
    merchant.post("/subscribe/payments/again", body);
    assert_eq!(merchant.webhooks_due()[0].url, notice_url);
}

#[test]
fn a_cancellation_is_told_from_the_console_and_over_the_api_only_on_demand() {
    let mut merchant = Merchant::new();
    merchant.again("order", 3000);
    merchant.webhooks_due();
    merchant.post("/payments/cancel", json!({"merchant_uid": "order", "amount": 1000}));
    assert!(merchant.webhooks_due().is_empty());
    merchant.post("/payments/cancel", json!({"merchant_uid": "order", "amount": 1000, "enable_webhook": true}));
    assert_eq!(merchant.webhooks_due().len(), 1);

    let imp_uid = merchant.simulator.books().payments()[0].imp_uid.clone();
    assert_eq!(merchant.post("/_simulator/cancel", json!({"imp_uid": imp_uid})).status, 200);
    let webhook = merchant.webhooks_due().remove(0);
    let cancellation = merchant.simulator.books().payments()[0].cancellations.last().unwrap();
    assert!(webhook.body.contains(&cancellation.cancellation_id));
    assert!(webhook.body.contains(r#""status":"cancelled""#));
}

#[test]
fn a_webhook_is_sent_once_whatever_the_receiver_says() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    let id = merchant.webhooks_due()[0].id;
    merchant.simulator.webhook_answered(id, Some(500), merchant.now);
    merchant.wait(3600);
    assert!(merchant.webhooks_due().is_empty());
}

#[test]
fn with_resends_it_is_sent_five_times_more_a_minute_apart_until_it_is_taken() {
    let url = Some(WEBHOOK_URL.into());
    let mut merchant = Merchant::with(Config { webhook_url: url, webhook_resends: true, ..Config::default() });
    merchant.again("order", 1000);
    let mut sent = 0;
    while let [webhook] = &merchant.webhooks_due()[..] {
        sent += 1;
        merchant.simulator.webhook_answered(webhook.id, None, merchant.now);
        merchant.wait(59);
        assert!(merchant.webhooks_due().is_empty());
        merchant.wait(1);
    }
    assert_eq!(sent, 6);

    merchant.fetch_token();
    merchant.again("other", 1000);
    let id = merchant.webhooks_due()[0].id;
    merchant.simulator.webhook_answered(id, Some(200), merchant.now);
    merchant.wait(60);
    assert!(merchant.webhooks_due().is_empty());
}

#[test]
fn a_webhook_can_be_sent_again_by_hand() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    merchant.webhooks_due();
    assert_eq!(merchant.post("/_simulator/webhooks/0/resend", json!({})).status, 200);
    assert_eq!(merchant.webhooks_due().len(), 1);
    assert_eq!(merchant.post("/_simulator/webhooks/9/resend", json!({})).status, 400);
    assert_eq!(merchant.get("/_simulator/webhooks").body[0]["url"], WEBHOOK_URL);
}

/// The webhooks that are due at once and five minutes later, and how long the charge's answer took.
fn told(fault: Fault) -> (usize, usize, u64) {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::once(Call::Webhook, fault));
    let delay = merchant.again("order", 1000).delay;
    let at_once = merchant.webhooks_due().len();
    merchant.wait(300);
    (at_once, merchant.webhooks_due().len(), delay.as_secs())
}

#[test]
fn a_webhook_can_be_lost_doubled_early_or_late() {
    assert_eq!(told(Fault::WebhookLost), (0, 0, 0));
    assert_eq!(told(Fault::WebhookTwice), (2, 0, 0));
    assert_eq!(told(Fault::WebhookEarly), (1, 0, 1));
    assert_eq!(told(Fault::WebhookLate(jiff::SignedDuration::from_mins(5))), (0, 1, 0));
}

#[test]
fn a_webhook_can_be_held_back_swallowed_and_sent_after_all() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    let id = merchant.simulator.webhooks()[0].id;
    let hour = merchant.now + SignedDuration::from_hours(1);
    assert!(merchant.simulator.send_webhook_at(id, hour));
    assert!(merchant.webhooks_due().is_empty());
    assert_eq!(merchant.simulator.webhook_due(id), Some(hour));
    merchant.wait(3600);
    assert_eq!(merchant.webhooks_due().len(), 1);

    assert!(merchant.simulator.send_webhook_at(id, hour) && merchant.simulator.lose_webhook(id));
    assert!(merchant.webhooks_due().is_empty());
    assert!(merchant.simulator.webhooks()[0].lost);
    let now = merchant.now;
    assert!(merchant.simulator.send_webhook_at(id, now));
    assert_eq!(merchant.webhooks_due().len(), 1);
    assert!(!merchant.simulator.webhooks()[0].lost);
    assert!(!merchant.simulator.lose_webhook(7) && !merchant.simulator.send_webhook_at(7, now));
}
