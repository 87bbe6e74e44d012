use serde_json::json;
use simulator::{Call, Fault, Rule};

use crate::merchant::Merchant;

#[test]
fn again_charges_the_billing_key() {
    let mut merchant = Merchant::new();
    let answer = merchant.again("order", 9900);
    let payment = answer.response();
    assert_eq!(payment["status"], "paid");
    assert_eq!(payment["amount"], 9900);
    assert_eq!(payment["customer_uid"], "buyer");
    assert_eq!(payment["customer_uid_usage"], "payment");
    assert_eq!(payment["paid_at"], merchant.now.as_second());
    assert_eq!(payment["failed_at"], 0);
    assert_eq!(payment["sandbox"], false);
    assert_eq!(merchant.simulator.books().totals().net, 9900);
}

#[test]
fn again_may_come_as_a_form() {
    let mut merchant = Merchant::new();
    let form = "customer_uid=buyer&merchant_uid=order&amount=9900&name=%EC%9B%94";
    let answer = merchant.post_form("/subscribe/payments/again", form);
    assert_eq!(answer.response()["name"], "월");
}

#[test]
fn an_unknown_key_is_refused_with_code_1() {
    let mut merchant = Merchant::new();
    let body = json!({"customer_uid": "nobody", "merchant_uid": "order", "amount": 1000, "name": "x"});
    let answer = merchant.post("/subscribe/payments/again", body);
    assert_eq!(answer.refusal(), (1, "등록되지 않은 구매자입니다."));
}

#[test]
fn a_decline_is_code_0_and_failed_with_the_reason() {
    let mut merchant = Merchant::new();
    let decline = Fault::Decline { message: "잔액이 부족합니다.".into() };
    merchant.simulator.faults().add(Rule::once(Call::Again, decline));
    let answer = merchant.again("order", 9900);
    assert_eq!(answer.response()["status"], "failed");
    assert_eq!(answer.response()["fail_reason"], "잔액이 부족합니다.");
    assert_eq!(answer.response()["failed_at"], merchant.now.as_second());
    assert_eq!(answer.response()["paid_at"], 0);
    assert!(merchant.webhooks_due().is_empty());
}

#[test]
fn a_failed_order_can_be_tried_again_and_a_paid_one_cannot() {
    let mut merchant = Merchant::new();
    let decline = Fault::Decline { message: "한도 초과".into() };
    merchant.simulator.faults().add(Rule::once(Call::Again, decline));
    merchant.again("order", 9900);
    merchant.again("order", 9900);
    assert_eq!(merchant.statuses("order"), ["failed", "paid"]);
    assert_eq!(merchant.again("order", 9900).refusal().0, 1);
    assert_eq!(merchant.simulator.books().totals().paid, 9900);
}

#[test]
fn a_key_that_the_buyer_ended_at_chai_is_declined_though_iamport_still_shows_it() {
    let mut merchant = Merchant::new();
    assert_eq!(merchant.delete("/_simulator/keys/buyer").status, 200);
    assert!(merchant.get("/subscribe/customers/buyer").is_ok());
    assert_eq!(merchant.again("order", 9900).response()["status"], "failed");
}

#[test]
fn what_is_missing_or_too_long_is_400() {
    let mut merchant = Merchant::new();
    let good = json!({"customer_uid": "buyer", "merchant_uid": "order", "amount": 1000, "name": "x"});
    for (field, value) in [
        ("customer_uid", json!(null)),
        ("customer_uid", json!("c".repeat(81))),
        ("merchant_uid", json!(null)),
        ("merchant_uid", json!("m".repeat(41))),
        ("name", json!(null)),
        ("name", json!("가".repeat(41))),
        ("amount", json!(null)),
        ("amount", json!(-1)),
        ("amount", json!(99.5)),
        ("amount", json!({"total": 8900})),
        ("buyer_name", json!("n".repeat(17))),
        ("buyer_postcode", json!("123456789")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = merchant.post("/subscribe/payments/again", body);
        assert_eq!(answer.failure().0, 400, "{field} = {value}");
    }
    assert!(merchant.simulator.books().payments().is_empty());
    assert!(merchant.post("/subscribe/payments/again", good).is_ok());
}

#[test]
fn a_body_that_is_no_json_and_a_path_that_is_not_there_are_errors() {
    let mut merchant = Merchant::new();
    let broken = merchant.try_call(http::Method::POST, "/subscribe/payments/again", "application/json", "{".into());
    assert_eq!(broken.unwrap().failure().0, 400);
    assert_eq!(merchant.get("/no/such/path").status, 404);
}

#[test]
fn a_name_that_is_paid_is_refused_unless_the_gateway_charges_it_again() {
    let mut merchant = Merchant::new();
    merchant.again("order", 9900);
    assert_eq!(merchant.again("order", 9900).refusal().0, 1);
    merchant.simulator.set_pays_again(true);
    assert_eq!(merchant.again("order", 9900).response()["status"], "paid");
    assert_eq!(merchant.simulator.books().totals().net, 2 * 9900);
}

#[test]
fn an_amount_below_the_gateways_least_is_refused_and_leaves_no_trace() {
    let config = simulator::Config { least_amount: 100, ..simulator::Config::default() };
    let mut merchant = Merchant::with(config);
    assert_eq!(merchant.again("order", 99).refusal(), (1, "결제금액은 100원 이상이어야 합니다."));
    assert_eq!(merchant.simulator.books().payments().len(), 0);
    assert_eq!(merchant.again("order", 100).response()["status"], "paid");
}

#[test]
fn somebody_else_with_the_same_credentials_charges_the_same_key() {
    let mut merchant = Merchant::new();
    let now = merchant.now;
    let imp_uid = merchant.simulator.charge_elsewhere("buyer", "old-shop-1", 5000, now).unwrap();
    assert!(merchant.simulator.books().payment(&imp_uid).unwrap().was_charged());
    assert_eq!(merchant.simulator.charge_elsewhere("nobody", "old-shop-2", 5000, now), None);
    let due = now + jiff::SignedDuration::from_hours(1);
    assert!(merchant.simulator.schedule_elsewhere("buyer", "old-shop-3", 5000, due));
    merchant.simulator.tick(due);
    assert_eq!(merchant.simulator.books().totals().net, 2 * 5000);
}
