use serde_json::json;
use simulator::{Call, Fault, Rule};

use crate::merchant::Merchant;

#[test]
fn a_payment_can_be_taken_back_in_parts_until_nothing_is_left() {
    let mut merchant = Merchant::new();
    merchant.again("order", 10_000);
    let part =
        merchant.post("/payments/cancel", json!({"merchant_uid": "order", "amount": 3000, "reason": "일할 환불"}));
    let payment = part.response();
    // A part is `cancelled`, too.
    assert_eq!(payment["status"], "cancelled");
    assert_eq!(payment["cancel_amount"], 3000);
    assert_eq!(payment["cancel_history"][0]["reason"], "일할 환불");
    assert!(payment["cancel_history"][0]["cancellation_id"].is_string());

    let rest = merchant.post("/payments/cancel", json!({"merchant_uid": "order", "amount": 0, "checksum": 7000}));
    assert_eq!(rest.response()["cancel_amount"], 10_000);
    assert_eq!(merchant.simulator.books().totals().net, 0);
    let more = merchant.post("/payments/cancel", json!({"merchant_uid": "order"}));
    assert_eq!(more.refusal(), (1, "이미 전액취소된 주문입니다."));
}

#[test]
fn a_wrong_checksum_cancels_nothing() {
    let mut merchant = Merchant::new();
    merchant.again("order", 10_000);
    let body = json!({"merchant_uid": "order", "amount": 3000, "checksum": 10_000});
    assert!(merchant.post("/payments/cancel", body.clone()).is_ok());
    // The same request again, as after a lost answer.
    assert_eq!(merchant.post("/payments/cancel", body).refusal().0, 1);
    assert_eq!(merchant.simulator.books().totals().cancelled, 3000);
}

#[test]
fn more_than_is_left_is_refused() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    assert_eq!(merchant.post("/payments/cancel", json!({"merchant_uid": "order", "amount": 1001})).refusal().0, 1);
}

#[test]
fn what_was_never_paid_can_not_be_cancelled() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    let nothing = (1, "취소할 결제건이 존재하지 않습니다.");
    // A wrong imp_uid is not made good by a right merchant_uid.
    for body in [json!({"merchant_uid": "other"}), json!({"imp_uid": "imp_1", "merchant_uid": "order"})] {
        assert_eq!(merchant.post("/payments/cancel", body).refusal(), nothing);
    }
    assert_eq!(merchant.post("/payments/cancel", json!({})).failure().0, 400);
}

#[test]
fn the_gateway_may_refuse_a_cancellation() {
    let mut merchant = Merchant::new();
    merchant.again("order", 1000);
    let decline = Fault::Decline { message: "취소 불가 시간입니다.".into() };
    merchant.simulator.faults().add(Rule::once(Call::Cancel, decline));
    let answer = merchant.post("/payments/cancel", json!({"merchant_uid": "order"}));
    assert_eq!(answer.refusal(), (-1, "취소 불가 시간입니다."));
    assert_eq!(merchant.simulator.books().totals().cancelled, 0);
}
