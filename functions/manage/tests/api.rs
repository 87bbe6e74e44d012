//! What the merchant's backend can do, through the handler as Lambda runs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use lambda_http::http::{Method, Request, StatusCode, header};
use lambda_http::{Body, Response};
use maedal::rotating::Rotating;
use manage::{App, handle};
use serde_json::{Value, json};
use stack::{Error, text};

async fn app() -> Result<App, Error> {
    let imports = Arc::new(stack::Sent::default());
    Ok(App { billing: stack::billing().await?, site: stack::site(), links: stack::links(), imports, token: None })
}

async fn send(app: &App, method: Method, path: &str, key: Option<&str>, body: &str) -> Result<Response<Body>, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "api.example")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    Ok(handle(app, request.body(Body::from(body))?).await)
}

async fn call(app: &App, method: Method, path: &str, body: Value) -> Result<(u16, Value), Error> {
    let response = send(app, method, path, None, &body.to_string()).await?;
    Ok((response.status().as_u16(), serde_json::from_str(&text(&response))?))
}

fn plan() -> Value {
    json!({ "name": "월간 구독", "amount": 9900, "interval": { "unit": "month", "count": 1 } })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// The samples, one after the other, are the life of one subscription; every operation has one.
#[tokio::test]
async fn every_sample_event_gets_its_answer() -> Result<(), Error> {
    let app = app().await?;
    stack::subscribed(&app.billing).await?;
    let expected = [
        ("put-plan", 200),
        ("put-plan-in-dollars", 422),
        ("list-plans", 200),
        ("get-plan", 200),
        ("open-session", 201),
        ("get-subscription", 200),
        ("list-subscriptions-of-a-customer", 200),
        ("list-subscriptions-in-a-state", 200),
        ("list-subscriptions-of-nobody", 400),
        ("list-charges", 200),
        ("get-charge", 200),
        ("list-events", 200),
        ("my-session", 201),
        ("payment-method-session", 201),
        ("pause", 200),
        ("resume", 200),
        ("change-plan", 200),
        ("refund-too-much", 422),
        ("refund", 202),
        ("cancel-an-older-version", 412),
        ("cancel", 200),
        ("cancel-again", 409),
        ("retry", 409),
        ("delete-billing-key", 200),
        ("switch-charging", 200),
        ("get-charging", 200),
        ("erase-customer", 200),
        ("list-reviews", 200),
        ("repair-what-is-whole", 409),
        ("begin-import", 202),
        ("begin-import-again", 202),
        ("get-import", 404),
        ("list-refused-rows", 404),
    ];
    let mut events = stack::events("manage")?;
    events.sort_by_key(|(name, _)| expected.iter().position(|(known, _)| *name == format!("{known}.json")));
    let (mut answers, mut asked) = (Vec::new(), BTreeSet::new());
    for (name, event) in events {
        let (method, path) = (event.method().to_string(), event.uri().path().to_owned());
        asked.extend(
            manage::ROUTES
                .iter()
                .filter(|route| route.method == method && fits(route.path, &path))
                .map(|route| format!("{:?}", route.operation)),
        );
        let answer = handle(&app, event).await;
        answers.push((name.trim_end_matches(".json").to_owned(), answer.status().as_u16()));
    }
    assert_eq!(answers, expected.map(|(name, status)| (name.to_owned(), status)));
    let all: BTreeSet<String> = manage::ROUTES.iter().map(|route| format!("{:?}", route.operation)).collect();
    assert_eq!(asked, all);
    Ok(())
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
}

#[tokio::test]
async fn every_put_of_a_plan_makes_a_version() -> Result<(), Error> {
    let app = app().await?;
    for version in 1..=2 {
        let (status, put) = call(&app, Method::PUT, "/v1/plans/monthly", plan()).await?;
        assert_eq!((status, &put["id"], &put["version"]), (200, &json!("monthly"), &json!(version)));
        assert_eq!(call(&app, Method::GET, "/v1/plans/monthly", Value::Null).await?, (200, put.clone()));
        assert_eq!(call(&app, Method::GET, "/v1/plans", Value::Null).await?, (200, json!({ "plans": [put] })));
    }
    assert_eq!(call(&app, Method::GET, "/v1/plans/yearly", Value::Null).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_field_that_cannot_be_is_named() -> Result<(), Error> {
    let app = app().await?;
    call(&app, Method::PUT, "/v1/plans/monthly", plan()).await?;
    let session = json!({ "plan": "monthly", "customer_id": "customer-1" });
    for (path, body, field) in [
        ("/v1/plans/a", with(plan(), "amount", json!(0)), "amount"),
        ("/v1/plans/a", with(plan(), "amount", json!(-1)), "amount"),
        ("/v1/plans/a", with(plan(), "amount", json!(9900.5)), "amount"),
        ("/v1/plans/a", with(plan(), "name", json!("가".repeat(41))), "name"),
        ("/v1/plans/a", with(plan(), "currency", json!("USD")), "currency"),
        ("/v1/plans/a", with(plan(), "colour", json!("red")), "colour"),
        ("/v1/plans/a", with(plan(), "interval", json!({ "unit": "moon", "count": 1 })), "interval.unit"),
        ("/v1/plans/a", with(plan(), "interval", json!({ "unit": "month" })), "interval.count"),
        ("/v1/plans/a", json!({ "name": "x", "interval": { "unit": "month", "count": 1 } }), "amount"),
        ("/v1/plans/a", json!(7), "body"),
        ("/v1/plans/a.b", plan(), "id"),
        ("/v1/checkout-sessions", with(session.clone(), "success_url", json!("http://shop.example/")), "success_url"),
        ("/v1/checkout-sessions", with(session.clone(), "cancel_url", json!("javascript:alert(1)")), "cancel_url"),
        ("/v1/checkout-sessions", with(session.clone(), "plan", json!("yearly")), "plan"),
        ("/v1/checkout-sessions", with(session.clone(), "customer_id", json!("")), "customer_id"),
        ("/v1/checkout-sessions", with(session.clone(), "buyer", json!({ "name": "가".repeat(17) })), "buyer.name"),
        ("/v1/checkout-sessions", with(session, "buyer", json!({ "age": 7 })), "buyer.age"),
    ] {
        let method = if path.contains("plans") { Method::PUT } else { Method::POST };
        let (status, problem) = call(&app, method, path, body.clone()).await?;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{body} {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with(field)), "{problem}");
    }
    Ok(())
}

#[tokio::test]
async fn a_repeat_under_the_same_key_gets_the_first_answer() -> Result<(), Error> {
    let app = app().await?;
    call(&app, Method::PUT, "/v1/plans/monthly", plan()).await?;
    let body = json!({ "plan": "monthly", "customer_id": "customer-1" });
    let open = |key, body: Value| {
        let app = &app;
        async move { send(app, Method::POST, "/v1/checkout-sessions", Some(key), &body.to_string()).await }
    };
    let first = open("key-1", body.clone()).await?;
    assert_eq!(first.status(), StatusCode::CREATED);
    let session: Value = serde_json::from_str(&text(&first))?;
    let id = session["id"].as_str().unwrap_or_default();
    assert_eq!(session["url"], format!("https://api.example/checkout/{id}"));
    assert_eq!(session["expires_at"], "2026-11-23T04:00:00Z");
    let repeat = open("key-1", body.clone()).await?;
    assert_eq!((repeat.status(), text(&repeat)), (first.status(), text(&first)));
    assert_eq!(repeat.headers()[header::LOCATION], format!("/v1/subscriptions/{id}"));

    let other = with(body.clone(), "customer_id", json!("customer-2"));
    assert_eq!(open("key-1", other).await?.status(), StatusCode::CONFLICT);
    let taken = with(body.clone(), "customer_uid", json!(id));
    assert_eq!(open("key-2", taken).await?.status(), StatusCode::CONFLICT);
    for key in ["", "a key", &"k".repeat(256)] {
        assert_eq!(open(key, body.clone()).await?.status(), StatusCode::BAD_REQUEST, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn a_subscription_shows_what_the_merchant_needs() -> Result<(), Error> {
    let app = app().await?;
    stack::monthly_plan(&app.billing, "월간 구독", 14).await?;
    let id = stack::open_session(&app.billing).await?.id;
    let path = format!("/v1/subscriptions/{id}");
    let (status, open) = call(&app, Method::GET, &path, Value::Null).await?;
    assert_eq!((status, &open["status"], &open["customer_id"]), (200, &json!("pending"), &json!("customer-1")));
    assert!(open.get("claims").is_none() && open.get("sends").is_none());

    let mut session = app.billing.store.subscription(id).await?.ok_or("the session that was opened")?;
    session.start_trial(app.billing.clock.now());
    app.billing.store.put(&mut session, app.billing.clock.now(), &app.billing.policy).await?;
    let (_, trialing) = call(&app, Method::GET, &path, Value::Null).await?;
    assert_eq!(trialing["next_charge_at"], "2026-12-07T03:00:00Z");
    assert_eq!(trialing["current_period_start"], Value::Null);
    let charges = call(&app, Method::GET, &format!("{path}/charges"), Value::Null).await?;
    assert_eq!(charges, (200, json!({ "charges": [], "next_cursor": null })));
    Ok(())
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_by_its_status() -> Result<(), Error> {
    let app = app().await?;
    let put = async |body: &str| send(&app, Method::PUT, "/v1/plans/monthly", None, body).await;
    assert_eq!(put("{").await?.status(), StatusCode::BAD_REQUEST);
    assert_eq!(put(&format!("{} x", plan())).await?.status(), StatusCode::BAD_REQUEST);
    assert_eq!(put(&" ".repeat(16 * 1024 + 1)).await?.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let form = Request::put("/v1/plans/monthly").header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(handle(&app, form.body(Body::Empty)?).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let deleted = send(&app, Method::DELETE, "/v1/plans/monthly", None, "").await?;
    assert_eq!(
        (deleted.status(), &deleted.headers()[header::ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, PUT".parse()?)
    );
    assert_eq!(deleted.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(call(&app, Method::GET, "/v2", Value::Null).await?.0, 404);
    Ok(())
}

/// Without a token, API Gateway has checked the caller's signature. With one, nothing goes without it.
#[tokio::test]
async fn a_stack_with_a_token_lets_nobody_in_without_it() -> Result<(), Error> {
    let token = "0123456789abcdefghij";
    assert!(Rotating::fixed("too-short").is_none());
    let secret = Rotating::fixed(token).ok_or("long enough")?;
    let app = App { token: Some(Arc::new(manage::ApiToken::new(secret))), ..app().await? };
    for (sent, status) in [
        (vec![], 401),
        (vec![""], 401),
        (vec!["Bearer"], 401),
        (vec!["Bearer "], 401),
        (vec!["Bearer 0123456789abcdefghi"], 401),
        (vec!["Bearer 0123456789abcdefghijk"], 401),
        (vec!["Basic 0123456789abcdefghij"], 401),
        (vec!["Bearer 0123456789abcdefghij", "Bearer 0123456789abcdefghij"], 401),
        (vec!["Bearer 0123456789abcdefghij"], 200),
        (vec!["bearer 0123456789abcdefghij"], 200),
    ] {
        let mut request = Request::get("/v1/plans");
        for value in &sent {
            request = request.header(header::AUTHORIZATION, *value);
        }
        let response = handle(&app, request.body(Body::Empty)?).await;
        assert_eq!(response.status().as_u16(), status, "{sent:?}");
        assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), status == 401);
    }
    // Who isn't let in learns nothing: not even which paths there are.
    assert_eq!(call(&app, Method::GET, "/v2", Value::Null).await?.0, 401);
    assert!(!format!("{app:?}").contains(token));
    // Whose signature API Gateway has checked needs none.
    let signed = stack::events("manage")?.into_iter().find(|(name, _)| name == "list-plans.json").ok_or("a sample")?.1;
    assert_eq!(handle(&app, signed).await.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_version_that_has_gone_by_fails_the_condition() -> Result<(), Error> {
    let app = app().await?;
    stack::monthly_plan(&app.billing, "월간 구독", 0).await?;
    let session = stack::open_session(&app.billing).await?;
    let path = format!("/v1/subscriptions/{}", session.id);
    let shown = send(&app, Method::GET, &path, None, "").await?;
    assert_eq!(shown.headers()[header::ETAG], "\"1\"");
    for (tag, status) in [("\"2\"", 412), ("\"1\"", 409), ("*", 409), ("1", 400), ("W/\"1\"", 400)] {
        let request = Request::post(format!("{path}/pause")).header(header::IF_MATCH, tag).body(Body::Empty)?;
        assert_eq!(handle(&app, request).await.status().as_u16(), status, "{tag}");
    }
    Ok(())
}
