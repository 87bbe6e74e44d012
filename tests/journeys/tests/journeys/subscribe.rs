//! A buyer subscribes: checkout, payment window, `m_redirect_url`, first charge.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use journeys::{World, monthly, no_money, seoul};
use maedal::subscription::{Status, Won};
use sandbox::buyer::{Button, read};
use serde_json::{Value, json};
use simulator::{Call, Fault, Nonsense, Rule};

#[tokio::test]
async fn a_buyer_subscribes_and_the_first_charge_is_in_the_ledger() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    let page = world.buyer.come_back(&format!("/checkout/{id}")).await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.page.contains("매달 커피") && page.page.contains("9,900원"), "{}", page.page);

    let landing = world.buyer.subscribe(id).await.unwrap();
    assert_eq!(landing.status, StatusCode::SEE_OTHER);
    let result = world.buyer.come_back(&landing.location.unwrap()).await.unwrap();
    assert!(result.page.contains("9,900원"), "{}", result.page);

    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 1));
    assert_eq!(world.outcomes(id).await, ["paid"]);
    let report = world.reconciled(&[id]).await;
    assert_eq!((report.ledger_won, report.iamport_won), (Won::new(9_900), Won::new(9_900)));
}

/// The budget: read, look-up and write to confirm, claim, `again`, settle.
#[tokio::test]
async fn a_first_charge_is_six_network_calls() {
    let world = World::new().await;
    // The token is one call for half an hour of work.
    world.subscribed("coffee").await;
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();

    let (table, iamport) = (world.stack.billing.store.meter().usage(), world.stack.billing.iamport.calls());
    world.buyer.come_back(&back).await.unwrap();
    let table = world.stack.billing.store.meter().usage() - table;
    assert_eq!((table.calls, world.stack.billing.iamport.calls() - iamport), (4, 2));
    // Whether the window is ours, and whether charging is on.
    assert_eq!(table.read_units, 2.0);
    assert_eq!(world.outcomes(id).await, ["paid"]);
}

#[tokio::test]
async fn the_window_is_asked_for_exactly_as_the_guide_says() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    let first = world.buyer.open_window(id).await.unwrap();
    let second = world.buyer.open_window(id).await.unwrap();
    assert_eq!(
        first["request"],
        json!({
            "pg": "chai",
            "pay_method": "trans",
            "merchant_uid": world.window_name(id, 1).await.to_string(),
            "name": "매달 커피",
            "amount": 0,
            "customer_uid": id.to_string(),
            "buyer_email": "buyer@shop.example",
            "buyer_name": "김매달",
            "buyer_tel": "010-1234-5678",
            "m_redirect_url": format!("{}/payments/complete", world.stack.url),
        })
    );
    assert_eq!(
        second["request"]["merchant_uid"],
        world.window_name(id, 2).await.to_string(),
        "each opening has its own name"
    );
}

#[tokio::test]
async fn a_trial_charges_nothing_until_it_ends() {
    let world = World::new().await;
    world.put_plan("paper", json!({ "name": "신문", "amount": 4_900, "interval": monthly(), "trial_days": 14 })).await;
    let id = world.subscribed("paper").await;
    assert_eq!(world.subscription(id).await.status, Status::Trialing);
    assert_eq!(world.payments(), 0);

    world.live_until(seoul("2026-12-07T09:59")).await;
    assert_eq!(world.payments(), 0);
    world.live_until(seoul("2026-12-07T10:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid"]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.live_until(seoul("2027-01-07T10:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_declined_first_charge_is_said_and_can_be_tried_again() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    let landing = world.buyer.subscribe(id).await.unwrap();
    assert_eq!(landing.status, StatusCode::OK);
    assert!(landing.page.contains("잔액이 부족합니다."), "{}", landing.page);
    assert_eq!(world.subscription(id).await.status, Status::Pending);

    // Nothing tries again by itself.
    world.after(SignedDuration::from_mins(12)).await;
    assert_eq!(world.payments(), 1);

    let landing = world.buyer.subscribe(id).await.unwrap();
    assert_eq!(landing.status, StatusCode::SEE_OTHER);
    assert_eq!(world.outcomes(id).await, ["declined", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_window_that_is_declined_or_closed_can_be_opened_again() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    for button in [Button::Decline, Button::Close] {
        let window = world.buyer.open_window(id).await.unwrap();
        let back = world.buyer.press(&window, button).await.unwrap().unwrap();
        let landing = world.buyer.come_back(&back).await.unwrap();
        assert_eq!(landing.status, StatusCode::OK);
        assert!(landing.page.contains("<button"), "the page offers to try again: {}", landing.page);
    }
    assert_eq!(world.buyer.subscribe(id).await.unwrap().status, StatusCode::SEE_OTHER);
    assert_eq!(world.outcomes(id).await, ["paid"]);
}

#[tokio::test]
async fn a_reload_and_a_second_tab_charge_once() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    let (one, other) = tokio::join!(world.buyer.come_back(&back), world.buyer.come_back(&back));
    let reload = world.buyer.come_back(&back).await.unwrap();
    for landing in [one.unwrap(), other.unwrap(), reload] {
        assert!(landing.status == StatusCode::SEE_OTHER || landing.status == StatusCode::OK, "{landing:?}");
    }
    world.stack.turn().await.unwrap();
    assert_eq!(world.outcomes(id).await, ["paid"]);
    assert_eq!(world.payments(), 1);
    // A month later the address is still in the history of the browser.
    world.live_until(seoul("2026-12-24T12:00")).await;
    world.buyer.come_back(&back).await.unwrap();
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

/// The redirect is lost and so is the webhook: the opened window is looked up after ten minutes.
#[tokio::test]
async fn a_buyer_of_whom_nobody_told_us_is_found() {
    let world = World::new().await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.live_until(seoul("2026-11-23T10:12")).await;
    assert_eq!(world.subscription(id).await.status, Status::Active);
    assert_eq!(world.outcomes(id).await, ["paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_session_that_nobody_used_expires_and_frees_its_customer_uid() {
    let world = World::new().await;
    let request = json!({ "plan": "coffee", "customer_id": "c", "customer_uid": "gildong_0001_1234" });
    let open = || world.buyer.send(Method::POST, "/v1/checkout-sessions", &request, None);
    let first = open().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let id = read(first).await["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(open().await.unwrap().status(), StatusCode::CONFLICT);

    let window = world.buyer.open_window(id).await.unwrap();
    world.live_until(seoul("2026-11-23T11:35")).await;
    assert_eq!(world.subscription(id).await.status, Status::Expired);
    assert_eq!(open().await.unwrap().status(), StatusCode::CREATED);

    // The buyer comes back far too late: nothing is charged.
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    let landing = world.buyer.come_back(&back).await.unwrap();
    assert_eq!(landing.status, StatusCode::GONE);
    world.live_until(seoul("2026-11-25T12:00")).await;
    assert_eq!(world.payments(), 0);
}

/// Whatever I'mport does at any call: an honest page, and a right ledger later.
#[tokio::test]
async fn whatever_goes_wrong_at_imports_side_the_ledger_is_right_later() {
    let troubles = [
        Fault::CutBeforeEffect,
        Fault::CutAfterEffect,
        Fault::ErrorBeforeEffect(500),
        Fault::ErrorAfterEffect(502),
        Fault::Nonsense(Nonsense::Html),
        Fault::Nonsense(Nonsense::Truncated),
        Fault::Nonsense(Nonsense::Empty),
        Fault::ExpiredToken,
        Fault::Refuse { code: -1, message: "일시적인 오류입니다.".into() },
    ];
    for call in [Call::Token, Call::Lookup, Call::Again] {
        for trouble in troubles.iter().filter(|trouble| call != Call::Token || **trouble != Fault::ExpiredToken) {
            let world = World::new().await;
            world.fault(Rule::once(call, trouble.clone()));
            let id = world.session("coffee").await;
            let landing = world.buyer.subscribe(id).await.unwrap();
            assert!(
                landing.status.is_success()
                    || landing.status.is_redirection()
                    || landing.status == StatusCode::SERVICE_UNAVAILABLE,
                "{call:?} {trouble:?}: {landing:?}"
            );
            let refused = matches!((call, trouble), (Call::Again, Fault::Refuse { .. }));
            world.live_until(seoul("2026-11-23T18:00")).await;
            let expected = if refused { vec!["declined"] } else { vec!["paid"] };
            assert_eq!(world.outcomes(id).await, expected, "{call:?} {trouble:?}");
            world.reconciled(&[id]).await;
        }
    }
}

#[tokio::test]
async fn a_forged_return_changes_nothing() {
    let world = World::new().await;
    let victim = world.session("coffee").await;
    let window = world.buyer.open_window(victim).await.unwrap();
    let name = window["request"]["merchant_uid"].as_str().unwrap();
    let complete = |query: String| {
        let buyer = world.buyer.clone();
        async move { buyer.come_back(&format!("/payments/complete?{query}")).await.unwrap() }
    };

    // A success that I'mport knows nothing of.
    let landing = complete(format!("imp_uid=imp_000000000000&merchant_uid={name}&imp_success=true&success=true")).await;
    assert!(!landing.status.is_redirection(), "{landing:?}");

    // Somebody else's payment.
    let other = world.subscribed("coffee").await;
    let theirs = world.ledger(other).await.charges[0].payment().unwrap().imp_uid.clone();
    let landing = complete(format!("imp_uid={theirs}&merchant_uid={name}&imp_success=true")).await;
    assert_eq!(landing.status, StatusCode::BAD_REQUEST);

    // A billing key for the victim's customer_uid under a name of its own making, with an amount.
    let mut forged = window.clone();
    forged["request"]["amount"] = json!(1_000_000);
    forged["request"]["merchant_uid"] = json!(world.window_name(victim, 1).await.to_string());
    let back = world.buyer.press(&forged, Button::Approve).await.unwrap().unwrap();
    assert_eq!(world.buyer.come_back(&back).await.unwrap().status, StatusCode::BAD_REQUEST);

    // A window that was never opened.
    let mut unopened = window.clone();
    unopened["request"]["merchant_uid"] = json!(world.window_name(victim, 7).await.to_string());
    let back = world.buyer.press(&unopened, Button::Approve).await.unwrap().unwrap();
    assert!(world.buyer.come_back(&back).await.unwrap().status.is_client_error());

    for (query, status) in [
        ("merchant_uid=nobody&imp_uid=imp_1".to_owned(), StatusCode::NOT_FOUND),
        (format!("merchant_uid={}&imp_uid=imp_1", world.charge_name(victim, 1, 1).await), StatusCode::NOT_FOUND),
        ("imp_uid=imp_1".to_owned(), StatusCode::BAD_REQUEST),
        (format!("merchant_uid={name}&merchant_uid={name}&imp_uid=imp_1"), StatusCode::BAD_REQUEST),
        (format!("merchant_uid={name}&imp_uid={}", "x".repeat(33)), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(complete(query.clone()).await.status, status, "{query}");
    }
    let long = complete(format!("merchant_uid={name}&imp_uid=imp_1&x={}", "x".repeat(10_000))).await;
    assert!(long.status.is_client_error());

    let subscription = world.subscription(victim).await;
    assert_eq!((subscription.status, subscription.payment_method), (Status::Pending, None));
    assert_eq!(world.outcomes(victim).await, [""; 0]);
}

#[tokio::test]
async fn bad_input_names_its_field_and_changes_nothing() {
    let world = World::new().await;
    let plan = json!({ "name": "플랜", "amount": 1_000, "interval": monthly() });
    for (field, value) in [
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("amount", json!(9.5)),
        ("amount", json!("9900")),
        ("name", json!("가".repeat(41))),
        ("name", json!("")),
        ("currency", json!("USD")),
        ("tax_free", json!(1_001)),
        ("interval", json!({ "unit": "month", "count": 0 })),
        ("trial_days", json!(100_000)),
        ("colour", json!("red")),
    ] {
        let mut bad = plan.clone();
        bad[field] = value;
        let answer = world.buyer.put_plan("bad", &bad).await.unwrap();
        assert!(answer.status().is_client_error(), "{bad}");
        let problem = read(answer).await;
        assert!(problem.to_string().contains(field), "{problem} names {field}");
    }
    let session = json!({ "plan": "coffee", "customer_id": "c" });
    for (field, value) in [
        ("plan", json!("none")),
        ("customer_id", json!("")),
        ("customer_id", Value::Null),
        ("success_url", json!("http://shop.example/")),
        ("cancel_url", json!("javascript:alert(1)")),
        ("buyer", json!({ "name": "가".repeat(17) })),
        ("customer_uid", json!("x".repeat(81))),
    ] {
        let mut bad = session.clone();
        bad[field] = value;
        let answer = world.buyer.send(Method::POST, "/v1/checkout-sessions", &bad, None).await.unwrap();
        assert!(answer.status().is_client_error(), "{bad}");
        let problem = read(answer).await;
        assert!(problem.to_string().contains(field), "{problem} names {field}");
    }
    assert_eq!(world.stack.billing.store.plans().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_gets_the_first_answer() {
    let world = World::new().await;
    let request = json!({ "plan": "coffee", "customer_id": "c" });
    let open = |request: Value| {
        let buyer = world.buyer.clone();
        async move { read(buyer.send(Method::POST, "/v1/checkout-sessions", &request, Some("key-1")).await.unwrap()).await }
    };
    let (one, other) = tokio::join!(open(request.clone()), open(request.clone()));
    assert_eq!(one["id"], other["id"], "{one} {other}");
    assert_eq!(open(request).await, one);
    let reused = open(json!({ "plan": "coffee", "customer_id": "other" })).await;
    assert_eq!(reused["status"], 409, "{reused}");

    let plan = json!({ "name": "플랜", "amount": 1_000, "interval": monthly() });
    let put = |key: Option<&'static str>| {
        let (buyer, plan) = (world.buyer.clone(), plan.clone());
        async move { read(buyer.send(Method::PUT, "/v1/plans/new", &plan, key).await.unwrap()).await["version"].clone() }
    };
    assert_eq!(put(Some("key-2")).await, 1);
    assert_eq!(put(Some("key-2")).await, 1);
    assert_eq!(put(None).await, 2, "without a key each put is a new version");
}

#[tokio::test]
async fn old_subscriptions_keep_their_plans_version() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.put_plan("coffee", json!({ "name": "매달 커피", "amount": 12_900, "interval": monthly() })).await;
    let newer = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!(world.ledger(id).await.standing(), Won::new(19_800));
    assert_eq!(world.ledger(newer).await.standing(), Won::new(25_800));
}
