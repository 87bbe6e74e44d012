//! The buyer's own page, through the handler as Lambda runs it: who gets in, and what a button does.

use checkout::{App, handle};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{Method, Request, StatusCode, header};
use lambda_http::{Body, Response};
use maedal::link::Links;
use maedal::rotating::Rotating;
use maedal::store::{Entry, Settled};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::Proof;
use maedal::subscription::{Dunning, EndReason, Intent, Status, Subscription, Won};
use stack::{Error, get, text};

/// A stack with one subscription, and the token to its page.
async fn page() -> Result<(App, Subscription, String), Error> {
    let app = App { billing: stack::billing().await?, site: stack::site(), links: stack::links() };
    let subscription = stack::subscribed(&app.billing).await?;
    let token = app.links.sign(subscription.id, in_an_hour(&app)).await?;
    Ok((app, subscription, token))
}

fn in_an_hour(app: &App) -> Timestamp {
    app.billing.clock.now() + SignedDuration::from_hours(1)
}

/// A press of a button, with what the browser says of itself.
async fn press(app: &App, path: &str, body: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, Error> {
    let mut request = Request::post(path)
        .header(header::HOST, "pay.example")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(handle(app, request.body(Body::from(body))?).await)
}

async fn now(app: &App, subscription: &Subscription) -> Result<Subscription, Error> {
    Ok(app.billing.store.subscription(subscription.id).await?.ok_or("the subscription")?)
}

const OURS: &[(&str, &str)] = &[("sec-fetch-site", "same-origin"), ("origin", "null")];

#[tokio::test]
async fn the_page_says_what_is_subscribed_what_comes_next_and_what_was_paid() -> Result<(), Error> {
    let (app, _, token) = page().await?;
    let response = handle(&app, get(&format!("/my/{token}"))?).await;
    assert_eq!(response.status(), StatusCode::OK);
    let shown = text(&response);
    for said in [
        "<html lang=\"ko\">",
        "월간 구독 · 9,900원 · 매월",
        "2026년 12월 23일 · 9,900원",
        "2026년 11월 23일",
        "href=\"https://receipt.example/1\"",
        "chai",
        "결제수단 변경하기",
        "구독 해지하기",
    ] {
        assert!(shown.contains(said), "{said}\n{shown}");
    }
    assert!(!shown.contains("<script") && !shown.contains("해지 취소"));
    let english = text(&handle(&app, get(&format!("/my/{token}?lang=en"))?).await);
    for said in ["<html lang=\"en\">", "23 December 2026 · 9,900원", "Cancel the subscription", "/cancel?lang=en"] {
        assert!(english.contains(said), "{said}\n{english}");
    }
    Ok(())
}

/// What opens no page gets one answer, whatever is behind it.
#[tokio::test]
async fn a_forged_an_expired_and_a_foreign_token_open_nothing() -> Result<(), Error> {
    let (app, subscription, token) = page().await?;
    let open = stack::open_session(&app.billing).await?.id;
    let sign = async |links: &Links, id, at| links.sign(id, at).await;
    let other = Links::new(Rotating::fixed("a key that nobody here has").ok_or("long enough")?);
    let hour = in_an_hour(&app);
    let cases = [
        ("nothing at all", "x".to_owned()),
        ("the session's id", subscription.id.to_string()),
        ("another key", sign(&other, subscription.id, hour).await?),
        ("expired", sign(&app.links, subscription.id, app.billing.clock.now()).await?),
        ("long expired", sign(&app.links, subscription.id, Timestamp::UNIX_EPOCH).await?),
        ("of nobody", sign(&app.links, "01KB3Q0QZ8W3V5T7Y9A1C3E5G8".parse()?, hour).await?),
        ("of a session that is open", sign(&app.links, open, hour).await?),
        ("cut", token[..74].to_owned()),
        ("longer", format!("{token}A")),
        ("padded", format!("{token}=")),
        ("in lower case", token.to_lowercase()),
    ];
    let unknown = text(&handle(&app, get("/my/nobody")?).await);
    for (case, token) in cases {
        let seen = handle(&app, get(&format!("/my/{token}"))?).await;
        assert_eq!((seen.status(), text(&seen)), (StatusCode::NOT_FOUND, unknown.clone()), "{case}");
        for button in ["cancel", "resume", "payment-method"] {
            let pressed = press(&app, &format!("/my/{token}/{button}"), "version=2", OURS).await?;
            assert_eq!((pressed.status(), text(&pressed)), (StatusCode::NOT_FOUND, unknown.clone()), "{case} {button}");
        }
    }
    assert_eq!(now(&app, &subscription).await?, subscription);
    Ok(())
}

#[tokio::test]
async fn only_our_own_page_presses_a_button() -> Result<(), Error> {
    let (app, subscription, token) = page().await?;
    let path = format!("/my/{token}/cancel");
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://pay.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://pay.example.evil.example")],
    ] {
        assert_eq!(press(&app, &path, "version=2", foreign).await?.status(), StatusCode::FORBIDDEN, "{foreign:?}");
    }
    for body in ["", "version=", "version=two", "version=-1", &format!("version=2&pad={}", "x".repeat(1024))] {
        assert_eq!(press(&app, &path, body, OURS).await?.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(handle(&app, get(&path)?).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(now(&app, &subscription).await?, subscription);
    for ours in [OURS, &[("origin", "https://pay.example")], &[("origin", "null")], &[]] {
        let before = now(&app, &subscription).await?;
        let button = if before.cancel_at_period_end { "resume" } else { "cancel" };
        let pressed =
            press(&app, &format!("/my/{token}/{button}"), &format!("version={}", before.version), ours).await?;
        assert_eq!(pressed.status(), StatusCode::SEE_OTHER, "{ours:?}");
        assert_ne!(now(&app, &subscription).await?.cancel_at_period_end, before.cancel_at_period_end);
    }
    Ok(())
}

#[tokio::test]
async fn a_button_of_a_page_that_is_out_of_date_does_nothing() -> Result<(), Error> {
    let (app, mut subscription, token) = page().await?;
    let path = format!("/my/{token}");
    let (clock, policy) = (&app.billing.clock, &app.billing.policy);
    // The merchant pauses it meanwhile.
    subscription.status = Status::Paused;
    app.billing.store.put(&mut subscription, clock.now(), policy).await?;
    let pressed = press(&app, &format!("{path}/cancel"), "version=2", OURS).await?;
    assert_eq!(pressed.status(), StatusCode::CONFLICT);
    assert!(text(&pressed).contains("그 사이에 구독이 변경되어"));
    assert_eq!(now(&app, &subscription).await?.version, 3);

    // Pressed twice: the second finds it done.
    for _ in 0..2 {
        let pressed = press(&app, &format!("{path}/cancel"), "version=3", OURS).await?;
        assert_eq!((pressed.status(), &pressed.headers()[header::LOCATION]), (StatusCode::SEE_OTHER, &path.parse()?));
    }
    let ending = now(&app, &subscription).await?;
    assert!(ending.cancel_at_period_end && ending.version == 4);
    // The pause is the merchant's.
    let pressed = press(&app, &format!("{path}/resume"), "version=4", OURS).await?;
    assert_eq!((pressed.status(), now(&app, &subscription).await?), (StatusCode::CONFLICT, ending));
    Ok(())
}

#[tokio::test]
async fn what_is_over_shows_its_payments_and_has_no_buttons() -> Result<(), Error> {
    let (app, mut subscription, token) = page().await?;
    subscription.end(EndReason::Requested, app.billing.clock.now());
    app.billing.store.put(&mut subscription, app.billing.clock.now(), &app.billing.policy).await?;
    let shown = text(&handle(&app, get(&format!("/my/{token}"))?).await);
    assert!(shown.contains("구독이 종료되었습니다") && shown.contains("receipt.example") && !shown.contains("<form"));
    Ok(())
}

/// One sentence at a time, and only what the buyer can do about it.
#[tokio::test]
async fn the_page_says_where_the_subscription_stands() -> Result<(), Error> {
    type Change<'a> = &'a dyn Fn(&mut Subscription);
    let (app, subscription, token) = page().await?;
    let (now, policy) = (app.billing.clock.now(), &app.billing.policy);
    let past_due = |s: &mut Subscription| {
        s.status = Status::PastDue;
        s.dunning = Some(Dunning::begin(1, now));
    };
    let no_key = |s: &mut Subscription| {
        if let Some(method) = &mut s.payment_method {
            method.broken = true;
        }
    };
    let other_plan = |s: &mut Subscription| s.next_plan = Some(s.plan.clone());
    let cases: [(Change<'_>, &[&str], &[&str]); 9] = [
        (&|_| (), &["이용 중입니다", "id=\"next\"", "그 전에 해지를 취소"], &["id=\"ends\"", "다음 상품"]),
        (&other_plan, &["다음 상품"], &[]),
        (&|s| s.status = Status::Trialing, &["무료 체험 중입니다"], &["이용 중"]),
        (
            &past_due,
            &["이번 결제가 이루어지지 않았습니다", "바로 종료되며"],
            &["그 전에 해지를 취소", "사용할 수 없음"],
        ),
        (
            &|s| {
                past_due(s);
                no_key(s);
            },
            &["새 결제수단을 등록해 주세요", "사용할 수 없음", "결제수단 변경하기"],
            &["이번 결제가 이루어지지 않았습니다", "id=\"next\""],
        ),
        (
            &|s| {
                other_plan(s);
                s.cancel_at_period_end = true;
            },
            &["해지를 신청하셨습니다. 2026년 12월 23일까지", "id=\"ends\"", "해지 취소"],
            &["다음 상품", "구독 해지하기", "id=\"next\""],
        ),
        (&|s| s.in_flight = s.next_charge(now, policy), &["결제를 확인하고 있습니다"], &["<form", "이용 중"]),
        (&|s| s.needs_review("amount 1".to_owned(), now), &["판매자가 연락드릴 때까지"], &["amount 1", "<form"]),
        (
            &|s| {
                other_plan(s);
                s.credit = Won::new(100);
                s.status = Status::Canceled;
            },
            &["구독이 종료되었습니다"],
            &["다음 상품", "남은 적립액", "id=\"next\"", "<form"],
        ),
    ];
    let mut version = subscription.version;
    for (number, (change, said, unsaid)) in cases.into_iter().enumerate() {
        let mut changed = Subscription { version, ..subscription.clone() };
        change(&mut changed);
        app.billing.store.put(&mut changed, now, policy).await?;
        version = changed.version;
        let shown = text(&handle(&app, get(&format!("/my/{token}"))?).await);
        for words in said {
            assert!(shown.contains(words), "{number}: {words}\n{shown}");
        }
        for words in unsaid {
            assert!(!shown.contains(words), "{number}: {words}\n{shown}");
        }
    }
    Ok(())
}

/// What the credit balance paid is said with its amount; and what I'mport calls a receipt is a link where it is an address.
#[tokio::test]
async fn a_payment_by_credit_has_an_amount_and_a_receipt_an_address() -> Result<(), Error> {
    let (app, mut subscription, token) = page().await?;
    let (now, policy) = (app.billing.clock.now(), &app.billing.policy);
    let mut entries = Vec::new();
    for (place, receipt) in ["javascript:alert(1)", "http://receipt.example/2"].into_iter().enumerate() {
        subscription.in_flight = subscription.next_charge(now, policy);
        let payment = Payment {
            imp_uid: format!("imp_{place}").parse()?,
            paid_at: Some(now),
            receipt_url: Some(receipt.to_owned()),
        };
        entries.push(Entry::New(subscription.settle(Proof::Paid(payment), now, policy).ok_or("an attempt")?));
    }
    let intent = subscription.next_charge(now, policy).ok_or("a charge to come")?;
    let intent = Intent { amount: Won::ZERO, credit: Won::new(5_500), ..intent };
    subscription.credit = intent.credit;
    entries.push(Entry::New(subscription.settle_by_credit(&intent, now)));
    assert_eq!(app.billing.store.settle(&mut subscription, &entries, now, policy).await?, Settled::Written);
    let shown = text(&handle(&app, get(&format!("/my/{token}"))?).await);
    assert!(shown.contains("<strong>5,500원</strong> 적립액으로 결제"), "{shown}");
    assert_eq!(shown.matches("결제 완료").count(), 3);
    assert!(shown.contains("https://receipt.example/1") && !shown.contains("alert(1)") && !shown.contains("http://"));
    Ok(())
}

#[tokio::test]
async fn the_way_back_from_the_window_is_for_the_buyer_alone() -> Result<(), Error> {
    let (app, subscription, token) = page().await?;
    let pressed = press(&app, &format!("/my/{token}/payment-method?lang=en"), "version=2", OURS).await?;
    let session = format!("/checkout/{}", subscription.id);
    assert_eq!(pressed.headers()[header::LOCATION], format!("{session}?lang=en"));
    let cookie = pressed.headers()[header::SET_COOKIE].to_str()?.to_owned();
    for rule in ["HttpOnly", "SameSite=Lax", "Secure", &format!("Path={session};")] {
        assert!(cookie.contains(rule), "{cookie}");
    }
    let seen = async |cookie: &str| -> Result<String, Error> {
        let request = Request::get(&session).header(header::HOST, "pay.example").header(header::COOKIE, cookie);
        Ok(text(&handle(&app, request.body(Body::Empty)?).await))
    };
    let pair = cookie.split(';').next().unwrap_or_default();
    assert!(seen(&format!("other=1; {pair}")).await?.contains(&format!("/my/{token}")));
    let others = app.links.sign("01KB3Q0QZ8W3V5T7Y9A1C3E5G8".parse()?, in_an_hour(&app)).await?;
    for none in ["", "maedal_my=", "maedal_my=x", &format!("maedal_my={others}")] {
        let page = seen(none).await?;
        // The session's address alone opens no more than before.
        assert!(page.contains("결제수단 변경") && !page.contains("/my/"), "{none}");
    }
    // The window's way back keeps the language that was asked for.
    let window = Request::builder().method(Method::POST).uri(format!("{session}/window?lang=en"));
    let window = handle(&app, window.header(header::HOST, "pay.example").body(Body::Empty)?).await;
    assert!(text(&window).contains("https://pay.example/payments/complete?lang=en"));
    Ok(())
}
