use serde_json::json;

use crate::merchant::Merchant;

#[test]
fn a_token_lives_half_an_hour_and_everybody_gets_the_same() {
    let mut merchant = Merchant::new();
    let first = merchant.fetch_token();
    assert_eq!(first["now"], merchant.now.as_second());
    assert_eq!(first["expired_at"], merchant.now.as_second() + 1800);

    merchant.wait(1700);
    let second = merchant.fetch_token();
    assert_eq!(second["access_token"], first["access_token"]);
    assert_eq!(second["expired_at"], first["expired_at"]);
}

#[test]
fn in_its_last_minute_a_token_is_extended_by_five_minutes() {
    let mut merchant = Merchant::new();
    let first = merchant.fetch_token();
    merchant.wait(1741);
    let second = merchant.fetch_token();
    assert_eq!(second["access_token"], first["access_token"]);
    assert_eq!(second["expired_at"].as_i64(), first["expired_at"].as_i64().map(|end| end + 300));
}

#[test]
fn an_expired_token_is_refused_and_a_new_one_differs() {
    let mut merchant = Merchant::new();
    let first = merchant.fetch_token();
    merchant.wait(1800);
    assert_eq!(merchant.get("/payments/imp_1").failure(), (401, "Unauthorized"));
    assert_ne!(merchant.fetch_token()["access_token"], first["access_token"]);
}

#[test]
fn the_header_may_say_bearer() {
    let mut merchant = Merchant::new();
    merchant.token = merchant.token.map(|token| format!("Bearer {token}"));
    assert_eq!(merchant.get("/payments/imp_1").status, 404);
}

#[test]
fn no_token_or_a_wrong_one_is_401() {
    let mut merchant = Merchant::new();
    merchant.token = None;
    assert_eq!(merchant.again("order", 1000).failure(), (401, "Unauthorized"));
    merchant.token = Some("wrong".into());
    assert_eq!(merchant.again("order", 1000).failure(), (401, "Unauthorized"));
    assert!(merchant.simulator.books().payments().is_empty());
}

#[test]
fn missing_credentials_are_400_and_wrong_ones_401() {
    let mut merchant = Merchant::new();
    let missing = merchant.post("/users/getToken", json!({"imp_key": "simulated_key"}));
    assert_eq!(missing.failure(), (400, "imp_key, imp_secret 파라메터가 누락되었습니다."));
    let wrong = merchant.post("/users/getToken", json!({"imp_key": "simulated_key", "imp_secret": "x"}));
    assert_eq!(wrong.failure(), (401, "Unauthorized"));
}

#[test]
fn credentials_may_come_as_a_form() {
    let mut merchant = Merchant::new();
    assert!(merchant.post_form("/users/getToken", "imp_key=simulated_key&imp_secret=simulated_secret").is_ok());
}
