use serde_json::{Value, json};

use crate::merchant::Merchant;

#[test]
fn approving_stores_the_key_and_goes_back_with_the_old_query() {
    let mut merchant = Merchant::new();
    let location = merchant.press(Merchant::window_params("issue", "new"), "approve");
    let payment = merchant.simulator.books().payments_of("issue").next().unwrap();
    let expected = format!(
        "https://shop.example/complete?plan=basic&lang=ko&imp_uid={}&merchant_uid=issue&imp_success=true",
        payment.imp_uid
    );
    assert_eq!(location, expected);
    assert!(merchant.simulator.books().key("new").is_some());
}

#[test]
fn issuance_is_a_paid_payment_whose_amount_is_only_shown() {
    let mut merchant = Merchant::new();
    merchant.press(Merchant::window_params("issue", "new"), "approve");
    let answer = merchant.get("/payments/find/issue");
    assert_eq!(answer.response()["status"], "paid");
    assert_eq!(answer.response()["amount"], 9900);
    assert_eq!(answer.response()["customer_uid_usage"], "issue");
    assert_eq!(merchant.simulator.books().totals().paid, 0);
    assert!(merchant.webhooks_due()[0].body.contains(r#""merchant_uid":"issue""#));
}

#[test]
fn declining_and_closing_go_back_with_a_percent_encoded_error() {
    for button in ["decline", "close"] {
        let mut merchant = Merchant::new();
        let location = merchant.press(Merchant::window_params("issue", "new"), button);
        assert!(location.contains("&merchant_uid=issue&imp_success=false&error_code=F000"), "{location}");
        assert!(location.contains("&error_msg=") && location.is_ascii() && !location.contains('+'), "{location}");
        assert_eq!(merchant.statuses("issue"), ["failed"]);
        assert!(merchant.simulator.books().key("new").is_none());
        assert!(merchant.webhooks_due().is_empty());
    }
}

#[test]
fn a_window_that_is_left_open_stays_ready() {
    let mut merchant = Merchant::new();
    merchant.post("/chai/window", Merchant::window_params("issue", "new"));
    assert_eq!(merchant.get("/payments/find/issue").response()["status"], "ready");
}

#[test]
fn pressing_twice_does_it_once() {
    let mut merchant = Merchant::new();
    let opened = merchant.post("/chai/window", Merchant::window_params("issue", "new")).body;
    let path = format!("/chai/window/{}", opened["window_id"].as_str().unwrap());
    let first = merchant.post(&format!("{path}/approve"), Value::Null).location;
    let second = merchant.post(&format!("{path}/close"), Value::Null).location;
    assert_eq!(first, second);
    assert_eq!(merchant.webhooks_due().len(), 1);
    assert_eq!(merchant.get(&path).status, 404);
}

#[test]
fn a_fragment_stays_at_the_end() {
    let mut merchant = Merchant::new();
    let mut params = Merchant::window_params("issue", "new");
    params["m_redirect_url"] = json!("https://shop.example/complete#done");
    let location = merchant.press(params, "approve");
    assert!(location.starts_with("https://shop.example/complete?imp_uid="), "{location}");
    assert!(location.ends_with("#done"), "{location}");
}

#[test]
fn a_return_address_in_korean_is_percent_encoded() {
    let mut merchant = Merchant::new();
    let mut params = Merchant::window_params("issue", "new");
    params["m_redirect_url"] = json!("https://shop.example/완료?a=1");
    let location = merchant.press(params, "approve");
    assert!(location.starts_with("https://shop.example/%EC%99%84%EB%A3%8C?a=1&imp_uid="), "{location}");
}

#[test]
fn issuing_again_replaces_the_key() {
    let mut merchant = Merchant::new();
    merchant.simulator.end_key_at_gateway("buyer");
    merchant.wait(60);
    merchant.press(Merchant::window_params("issue", "buyer"), "approve");
    let key = merchant.simulator.books().key("buyer").unwrap();
    assert!(key.inserted < key.updated);
    assert_eq!(merchant.again("order", 1000).response()["status"], "paid");
}

#[test]
fn params_that_the_sdk_refuses_open_no_window() {
    let mut merchant = Merchant::new();
    merchant.press(Merchant::window_params("paid", "new"), "approve");
    for (field, value) in [
        ("user_code", json!("imp99999999")),
        ("customer_uid", json!(null)),
        ("amount", json!("9900")),
        ("amount", json!(null)),
        ("merchant_uid", json!(1234)),
        ("pay_method", json!("card")),
        ("name", json!(null)),
        ("m_redirect_url", json!("javascript:alert(1)")),
    ] {
        let mut params = Merchant::window_params("issue", "new");
        params[field] = value.clone();
        let answer = merchant.post("/chai/window", params);
        assert_eq!(answer.body["success"], false, "{field} = {value}");
        assert_eq!(answer.body["imp_uid"], Value::Null);
        assert!(answer.body["error_code"].is_string() && answer.body["error_msg"].is_string());
    }
    let again = merchant.post("/chai/window", Merchant::window_params("paid", "new"));
    assert_eq!(again.body["error_code"], "F1002");
    assert_eq!(again.body["error_msg"], "이미 결제가 이루어진 거래건입니다.");
    // Without a callback, the SDK goes there.
    let back = again.body["redirect_url"].as_str().unwrap();
    assert!(back.starts_with("https://shop.example/complete?plan=basic&lang=ko&merchant_uid=paid&imp_success=false"));
}

#[test]
fn other_gateways_may_use_other_methods() {
    let mut merchant = Merchant::new();
    let mut params = Merchant::window_params("issue", "new");
    params["pg"] = json!("kakaopay.TCSUBSCRIP");
    params["pay_method"] = json!("card");
    merchant.press(params, "approve");
    let channel = &merchant.simulator.books().key("new").unwrap().channel;
    assert_eq!((channel.pg_provider.as_str(), channel.pg_id.as_str()), ("kakaopay", "TCSUBSCRIP"));
}

#[test]
fn the_page_escapes_what_comes_from_outside() {
    let mut merchant = Merchant::new();
    let mut params = Merchant::window_params("issue", "new");
    params["name"] = json!("<script>alert(1)</script>");
    let opened = merchant.post("/chai/window", params).body;
    let page = merchant.get(&format!("/chai/window/{}", opened["window_id"].as_str().unwrap())).text;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    assert!(!merchant.get("/").text.contains("<script>"));
}

#[test]
fn a_page_of_another_origin_may_open_a_window() {
    let mut merchant = Merchant::new();
    let preflight = merchant.try_call(http::Method::OPTIONS, "/chai/window", "text/plain", String::new()).unwrap();
    assert_eq!(preflight.status, 204);
    assert!(merchant.get("/v1/iamport.js").text.contains("request_pay"));
    assert!(merchant.get("/js/iamport.payment-1.2.0.js").text.contains("request_pay"));
}
