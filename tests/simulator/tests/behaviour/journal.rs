use serde_json::json;
use simulator::{Call, Exchange, Fault, Rule};

use crate::merchant::Merchant;

#[test]
fn calls_are_kept_with_their_answers_and_without_secrets() {
    let mut merchant = Merchant::new();
    merchant.again("before", 1000);
    assert_eq!(merchant.simulator.exchanges().count(), 0, "nobody has asked for it yet");

    merchant.simulator.keep_journal();
    merchant.fetch_token();
    merchant.simulator.faults().add(Rule::once(Call::Again, Fault::CutAfterEffect));
    assert!(merchant.try_again("order", 9900).is_none());
    merchant.get("/payments/findAll/order");

    let kept: Vec<Exchange> = merchant.simulator.exchanges().cloned().collect();
    let calls: Vec<_> = kept.iter().map(|exchange| (exchange.call, exchange.status)).collect();
    assert_eq!(calls, [(Call::Token, Some(200)), (Call::Again, None), (Call::Lookup, Some(200))]);
    assert_eq!(kept[1].merchant_uid.as_deref(), Some("order"));
    assert_eq!(kept[1].request["amount"], json!(9900));
    assert_eq!(kept[1].fault, Some(Fault::CutAfterEffect));
    assert_eq!(kept[2].answer["response"]["list"][0]["status"], json!("paid"));

    let secrets = merchant.simulator.config().clone();
    let token = merchant.fetch_token()["access_token"].as_str().unwrap().to_owned();
    let text = serde_json::to_string(&kept).unwrap();
    for secret in [secrets.imp_key, secrets.imp_secret, token] {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
}
