use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::Config;

use crate::merchant::{Answer, Merchant, WEBHOOK_URL};

/// A stormy life: all that came back, the webhooks, and the books.
fn life(seed: u64) -> (Vec<Option<Answer>>, Vec<(Timestamp, String)>, Value) {
    let url = Some(WEBHOOK_URL.to_owned());
    let mut merchant = Merchant::with(Config { seed, webhook_url: url, webhook_resends: true, ..Config::default() });
    merchant.simulator.faults().add_storm(0.05);
    let (mut answers, mut webhooks) = (Vec::new(), Vec::new());
    let credentials = json!({"imp_key": "simulated_key", "imp_secret": "simulated_secret"}).to_string();
    for month in 0..200 {
        let merchant_uid = format!("order{}", month / 2);
        let token = merchant.try_call(Method::POST, "/users/getToken", "application/json", credentials.clone());
        if let Some(token) = token.as_ref().and_then(|answer| answer.body["response"]["access_token"].as_str()) {
            merchant.token = Some(token.into());
        }
        answers.push(token);
        answers.push(merchant.try_again(&merchant_uid, 1000 + month));
        let find_all = format!("/payments/findAll/{merchant_uid}");
        answers.push(merchant.try_call(Method::GET, &find_all, "application/json", String::new()));
        merchant.wait(700);
        for webhook in merchant.webhooks_due() {
            webhooks.push((merchant.now, webhook.body));
            merchant.simulator.webhook_answered(webhook.id, Some(503), merchant.now);
        }
    }
    (answers, webhooks, merchant.simulator.books().to_json())
}

#[test]
fn one_seed_and_the_same_requests_give_one_history() {
    assert!(life(7) == life(7));
}

#[test]
fn another_seed_gives_another() {
    assert!(life(7) != life(8));
}

#[test]
fn a_storm_leaves_marks_and_does_not_stop_everything() {
    let (answers, _, books) = life(7);
    assert!(answers.iter().any(Option::is_none));
    assert!(answers.iter().flatten().any(|answer| answer.status >= 500));
    assert!(books["totals"]["paid"].as_u64().unwrap() > 0);
}
