use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

use crate::merchant::Merchant;

fn schedule(merchant: &mut Merchant, merchant_uid: &str, after: i64) -> crate::merchant::Answer {
    let at = merchant.now.as_second() + after;
    let order = json!({"merchant_uid": merchant_uid, "schedule_at": at, "amount": 5000, "name": "예약"});
    merchant.post("/subscribe/payments/schedule", json!({"customer_uid": "buyer", "schedules": [order]}))
}

#[test]
fn a_schedule_charges_at_its_time_and_tells_by_webhook() {
    let mut merchant = Merchant::new();
    let planned = schedule(&mut merchant, "order", 3600);
    assert_eq!(planned.response()[0]["schedule_status"], "scheduled");
    assert_eq!(planned.response()[0]["imp_uid"], Value::Null);
    let due = merchant.simulator.next_happening().unwrap();
    assert_eq!(due.as_second(), merchant.now.as_second() + 3600);

    merchant.wait(3600);
    assert_eq!(merchant.webhooks_due().len(), 1);
    merchant.fetch_token();
    let done = merchant.get("/subscribe/payments/schedule/order");
    assert_eq!(done.response()["schedule_status"], "executed");
    assert_eq!(done.response()["payment_status"], "paid");
    let payment = merchant.get("/payments/find/order");
    assert_eq!(payment.response()["customer_uid_usage"], "payment.scheduled");
}

#[test]
fn a_failed_schedule_is_told_by_webhook_too() {
    let mut merchant = Merchant::new();
    let decline = Fault::Decline { message: "한도 초과".into() };
    merchant.simulator.faults().add(Rule::once(Call::ScheduledCharge, decline));
    schedule(&mut merchant, "order", 60);
    merchant.wait(60);
    assert!(merchant.webhooks_due()[0].body.contains(r#""status":"failed""#));
    assert_eq!(merchant.get("/subscribe/payments/schedule/order").response()["fail_reason"], "한도 초과");
}

#[test]
fn unschedule_without_merchant_uid_revokes_all_of_the_customer() {
    let mut merchant = Merchant::new();
    schedule(&mut merchant, "a", 60);
    schedule(&mut merchant, "b", 60);
    let revoked = merchant.post("/subscribe/payments/unschedule", json!({"customer_uid": "buyer"}));
    assert_eq!(revoked.response().as_array().unwrap().len(), 2);
    merchant.wait(60);
    merchant.simulator.tick(merchant.now);
    assert!(merchant.simulator.books().payments().is_empty());
    let nothing = merchant.post("/subscribe/payments/unschedule", json!({"customer_uid": "buyer"}));
    assert_eq!(nothing.refusal(), (1, "취소할 예약결제 기록이 존재하지 않습니다."));
}

#[test]
fn schedules_may_come_as_a_form_and_are_listed() {
    let mut merchant = Merchant::new();
    let at = merchant.now.as_second() + 60;
    let form = format!(
        "customer_uid=buyer&schedules[0][merchant_uid]=a&schedules[0][schedule_at]={at}&schedules[0][amount]=1&schedules[0][name]=n"
    );
    assert!(merchant.post_form("/subscribe/payments/schedule", &form).is_ok());
    let list = merchant.get(&format!("/subscribe/payments/schedule?schedule_from={at}&schedule_to={}", at + 1));
    assert_eq!(list.response()["list"][0]["merchant_uid"], "a");
    let mut span = |days: i64| {
        merchant.get(&format!(
            "/subscribe/payments/schedule?schedule_from={at}&schedule_to={}&schedule_status=scheduled",
            at + days * 86_400
        ))
    };
    assert_eq!(span(92).response()["total"], 1);
    assert_eq!(span(93).failure().0, 400, "three months at most");
}

#[test]
fn an_unknown_key_a_known_order_and_a_past_time_are_refused() {
    let mut merchant = Merchant::new();
    schedule(&mut merchant, "order", 60);
    assert_eq!(schedule(&mut merchant, "order", 60).refusal().0, 1);
    assert_eq!(schedule(&mut merchant, "late", -1).refusal().0, 1);
    let nobody = merchant.post("/subscribe/payments/schedule", json!({"customer_uid": "nobody", "schedules": []}));
    assert_eq!(nobody.refusal(), (1, "등록된 고객정보가 없습니다."));
    assert_eq!(merchant.get("/subscribe/payments/schedule/unknown").failure().0, 404);
}
