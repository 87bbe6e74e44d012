use serde_json::{Value, json};
use simulator::{Call, Config, Fault, Rule};

use crate::merchant::Merchant;

const MISSING: (u16, &str) = (404, "존재하지 않는 결제정보입니다.");

/// An order whose first `failures` attempts were declined, a second apart.
fn tried(merchant: &mut Merchant, merchant_uid: &str, failures: u32) {
    let decline = Fault::Decline { message: "한도 초과".into() };
    merchant.simulator.faults().add(Rule::once(Call::Again, decline).times(failures));
    for _ in 0..=failures {
        merchant.again(merchant_uid, 1000);
        merchant.wait(1);
    }
}

fn imp_uid(answer: &Value) -> &str {
    answer["imp_uid"].as_str().unwrap()
}

#[test]
fn what_is_not_there_is_404_in_every_lookup() {
    let mut merchant = Merchant::new();
    for path in [
        "/payments/imp_1",
        "/payments/find/order",
        "/payments/find/order/paid",
        "/payments/findAll/order",
        "/payments?imp_uid[]=imp_1",
    ] {
        assert_eq!(merchant.get(path).failure(), MISSING, "{path}");
    }
}

#[test]
fn find_all_lists_every_attempt_newest_first() {
    let mut merchant = Merchant::new();
    tried(&mut merchant, "order", 2);
    let answer = merchant.get("/payments/findAll/order");
    let statuses: Vec<_> = answer.response()["list"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["paid", "failed", "failed"]);

    let oldest_first = merchant.get("/payments/findAll/order?sorting=started");
    assert_eq!(oldest_first.response()["list"][0]["status"], "failed");
    let failed = merchant.get("/payments/findAll/order/failed");
    assert_eq!(failed.response()["total"], 2);
    assert_eq!(merchant.get("/payments/findAll/order/cancelled").failure(), MISSING);
    assert_eq!(merchant.get("/payments/findAll/order/stolen").failure().0, 400);
    assert_eq!(merchant.get("/payments/findAll/order?sorting=sideways").failure().0, 400);
}

#[test]
fn find_all_comes_in_pages() {
    let mut merchant = Merchant::new();
    tried(&mut merchant, "order", 4);
    let mut page = |page: u32| {
        let answer = merchant.get(&format!("/payments/findAll/order?page={page}&limit=2"));
        let response = answer.response();
        let length = response["list"].as_array().unwrap().len();
        (response["total"].clone(), response["previous"].clone(), response["next"].clone(), length)
    };
    assert_eq!(page(1), (json!(5), json!(0), json!(2), 2));
    assert_eq!(page(2), (json!(5), json!(1), json!(3), 2));
    assert_eq!(page(3), (json!(5), json!(2), json!(0), 1));
    assert_eq!(merchant.get("/payments/findAll/order?page=4&limit=2").status, 400);
    assert_eq!(merchant.get("/payments/findAll/order?limit=1001").status, 400);
}

#[test]
fn find_gives_the_first_by_sorting() {
    let mut merchant = Merchant::new();
    tried(&mut merchant, "order", 1);
    assert_eq!(merchant.get("/payments/find/order").response()["status"], "paid");
    assert_eq!(merchant.get("/payments/find/order?sorting=started").response()["status"], "failed");
    assert_eq!(merchant.get("/payments/find/order/failed").response()["status"], "failed");
}

#[test]
fn several_are_207_if_some_are_missing() {
    let mut merchant = Merchant::new();
    let first = merchant.again("a", 1000);
    let imp_uid = imp_uid(first.response());
    merchant.again("b", 1000);
    let all = merchant.get(&format!("/payments?imp_uid[]={imp_uid}&merchant_uid[]=b"));
    assert_eq!(all.response().as_array().unwrap().len(), 2);
    let some = merchant.get(&format!("/payments?imp_uid[]={imp_uid}&imp_uid[]=imp_1"));
    assert_eq!(some.status, 207);
    assert_eq!(some.body["response"].as_array().unwrap().len(), 1);
    let many = "imp_uid[]=imp_1&".repeat(101);
    assert_eq!(merchant.get(&format!("/payments?{many}")).status, 400);
}

#[test]
fn by_status_goes_by_the_time_of_that_status() {
    let mut merchant = Merchant::new();
    let start = merchant.now.as_second();
    merchant.again("a", 1000);
    merchant.wait(100);
    merchant.again("b", 1000);
    merchant.post("/payments/cancel", json!({"merchant_uid": "a"}));
    let mut found = |query: &str| merchant.get(&format!("/payments/status/{query}")).response()["total"].clone();
    assert_eq!(found("all"), 2);
    assert_eq!(found("paid"), 1);
    assert_eq!(found(&format!("cancelled?from={start}&to={}", start + 99)), 0);
    assert_eq!(found(&format!("cancelled?from={start}&to={}", start + 100)), 1);
}

#[test]
fn by_status_spans_ninety_days_at_most() {
    let mut merchant = Merchant::new();
    let (to, days) = (merchant.now.as_second(), 24 * 3600);
    assert!(merchant.get(&format!("/payments/status/all?from={}&to={to}", to - 90 * days)).is_ok());
    assert_eq!(merchant.get(&format!("/payments/status/all?from={}&to={to}", to - 90 * days - 1)).status, 400);
    assert_eq!(merchant.get("/payments/status/lost").status, 400);
}

#[test]
fn a_test_channel_payment_is_hidden_by_imp_uid_unless_asked_for() {
    let mut merchant = Merchant::with(Config { sandbox: true, ..Config::default() });
    let answer = merchant.again("order", 1000);
    let imp_uid = imp_uid(answer.response());
    assert_eq!(merchant.get(&format!("/payments/{imp_uid}")).failure(), MISSING);
    assert!(merchant.get(&format!("/payments/{imp_uid}?include_sandbox=true")).is_ok());
    assert!(merchant.get("/payments/findAll/order").is_ok());
}
