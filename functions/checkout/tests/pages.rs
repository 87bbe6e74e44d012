//! What a buyer sees and can do, through the handler as Lambda runs it.

use checkout::{App, handle};
use lambda_http::http::{Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::billing::CheckoutState;
use maedal::store::MOST_WINDOWS;
use maedal::subscription::{EndReason, PaymentMethod, Status, Subscription};
use serde_json::{Value, json};
use stack::{Error, get, text};

async fn app() -> Result<App, Error> {
    Ok(App { billing: stack::billing().await?, site: stack::site(), links: stack::links() })
}

/// A session of the plan `monthly`, and the path of its page.
async fn session(app: &App, plan: &str, trial_days: u16) -> Result<(Subscription, String), Error> {
    stack::monthly_plan(&app.billing, plan, trial_days).await?;
    let id = stack::open_session(&app.billing).await?.id;
    let session = app.billing.store.subscription(id).await?.ok_or("the session that was opened")?;
    Ok((session, format!("/checkout/{id}")))
}

async fn put(app: &App, session: &mut Subscription) -> Result<(), Error> {
    Ok(app.billing.store.put(session, app.billing.clock.now(), &app.billing.policy).await?)
}

async fn open_window(app: &App, path: &str) -> Result<Response<Body>, Error> {
    let mut request = get(&format!("{path}/window"))?;
    *request.method_mut() = Method::POST;
    Ok(handle(app, request).await)
}

/// The samples are about one session: as it is opened, and as it has long been paid.
#[tokio::test]
async fn every_sample_event_gets_its_answer() -> Result<(), Error> {
    let expected = [
        ("open", [404, 200]),
        ("open-in-english", [404, 200]),
        // It has subscribed, and needs no window.
        ("open-window", [404, 409]),
        ("my", [404, 200]),
        ("my-in-english", [404, 200]),
        ("my-expired", [404, 404]),
        ("my-forged", [404, 404]),
        ("my-cancel-from-another-site", [403, 403]),
        ("my-cancel", [404, 303]),
        ("my-cancel-again", [404, 303]),
        ("my-resume", [404, 303]),
        ("my-payment-method", [404, 303]),
    ];
    let (nothing, app) = (app().await?, app().await?);
    stack::subscribed(&app.billing).await?;
    let mut events: Vec<_> = stack::events("checkout")?;
    events.sort_by_key(|(name, _)| expected.iter().position(|(known, _)| *name == format!("{known}.json")));
    assert_eq!(events.len(), expected.len());
    for ((name, event), (_, [without, with])) in events.into_iter().zip(expected) {
        let clone = stack::events("checkout")?.into_iter().find(|(other, _)| *other == name).ok_or("a sample")?.1;
        assert_eq!(handle(&nothing, clone).await.status().as_u16(), without, "{name}");
        assert_eq!(handle(&app, event).await.status().as_u16(), with, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn the_page_says_what_is_charged_when_and_how_often() -> Result<(), Error> {
    let app = app().await?;
    let (_, path) = session(&app, "월간 구독", 0).await?;
    let response = handle(&app, get(&path)?).await;
    assert_eq!(response.status(), StatusCode::OK);
    let page = text(&response);
    for said in [
        "<html lang=\"ko\">",
        "월간 구독",
        "<strong>9,900원</strong> · 매월",
        "오늘, 결제수단을 등록하는 즉시",
        "2026년 12월 23일, 이후 매월",
        "required",
        "https://shop.example/cart?session_id=",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(page.len() < 30_000, "{} bytes", page.len());

    let english = text(&handle(&app, get(&format!("{path}?lang=en"))?).await);
    for said in ["<html lang=\"en\">", "<strong>9,900원</strong> · every month", "23 December 2026, then every month"]
    {
        assert!(english.contains(said), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_trial_says_when_the_first_charge_is() -> Result<(), Error> {
    let app = app().await?;
    let (_, path) = session(&app, "월간 구독", 14).await?;
    let page = text(&handle(&app, get(&path)?).await);
    assert!(page.contains("2026년 12월 7일 (14일 무료 체험 후)") && page.contains("2027년 1월 7일, 이후 매월"));
    Ok(())
}

#[tokio::test]
async fn every_page_guards_itself() -> Result<(), Error> {
    let app = app().await?;
    let (_, path) = session(&app, "월간 구독", 0).await?;
    for address in [path.as_str(), "/checkout/nobody", "/elsewhere", "/my/nobody"] {
        let response = handle(&app, get(address)?).await;
        let headers = response.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str()?;
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(rule), "{address}: {policy}");
        }
        // I'mport's SDK has no business anywhere else.
        assert_eq!(policy.contains("https://cdn.iamport.kr"), address == path);
        assert_eq!(policy.contains("script-src"), address == path);
        assert!(!policy.contains("script-src 'unsafe-inline'"));
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    Ok(())
}

#[tokio::test]
async fn html_from_outside_is_shown_as_text() -> Result<(), Error> {
    const HTML: &str = "\"><script>alert(1)</script>";
    let mut app = app().await?;
    app.site.merchant_name = HTML.to_owned();
    let (mut session, path) = session(&app, HTML, 0).await?;
    let checkout = session.checkout.as_mut().ok_or("an open session")?;
    checkout.decline = Some(HTML.to_owned());
    checkout.cancel_url = Some(format!("https://shop.example/{HTML}?{HTML}"));
    put(&app, &mut session).await?;
    let page = text(&handle(&app, get(&format!("{path}?lang={HTML}").replace(['<', '>', '"'], "%3C"))?).await);
    assert!(page.contains("결제되지 않았습니다: &quot;&gt;&lt;script&gt;"));
    assert!(!page.contains("<script>alert"));

    session.start_trial(app.billing.clock.now());
    put(&app, &mut session).await?;
    assert!(!text(&handle(&app, get(&path)?).await).contains("<script>alert"));
    Ok(())
}

#[tokio::test]
async fn the_window_opens_with_the_servers_own_parameters() -> Result<(), Error> {
    let app = app().await?;
    let (session, path) = session(&app, "월간 구독", 0).await?;
    for number in 1..=2 {
        let response = open_window(&app, &path).await?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            serde_json::from_str::<Value>(&text(&response))?,
            json!({ "user_code": "imp37739582", "request": {
                "pg": "chai",
                "pay_method": "trans",
                "merchant_uid": session.window_name(number),
                "name": "월간 구독",
                "amount": 0,
                "customer_uid": session.id,
                "buyer_name": "홍길동",
                "m_redirect_url": "https://pay.example/payments/complete",
            }})
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_over_opens_no_window() -> Result<(), Error> {
    let app = app().await?;
    let (mut session, path) = session(&app, "월간 구독", 0).await?;
    session.end(EndReason::CheckoutExpired, app.billing.clock.now());
    put(&app, &mut session).await?;
    assert_eq!(open_window(&app, &path).await?.status(), StatusCode::GONE);
    let page = handle(&app, get(&path)?).await;
    assert_eq!(page.status(), StatusCode::GONE);
    assert!(text(&page).contains("결제된 것은 없습니다"));
    Ok(())
}

#[tokio::test]
async fn who_has_subscribed_sees_the_next_charge() -> Result<(), Error> {
    let app = app().await?;
    let (mut session, path) = session(&app, "월간 구독", 14).await?;
    session.start_trial(app.billing.clock.now());
    // Long after the first renewal.
    session.checkout = None;
    put(&app, &mut session).await?;
    let page = text(&handle(&app, get(&path)?).await);
    assert!(page.contains("무료 체험이 시작되었습니다") && page.contains("2026년 12월 7일 · 9,900원"));
    assert_eq!(open_window(&app, &path).await?.status(), StatusCode::CONFLICT);
    Ok(())
}

/// Each has its own words; what was paid and what comes next only where it was, and comes.
#[tokio::test]
async fn a_session_says_what_became_of_it() -> Result<(), Error> {
    type Change<'a> = &'a dyn Fn(&mut Subscription);
    const PAID: &str = "결제한 금액";
    let app = app().await?;
    stack::monthly_plan(&app.billing, "월간 구독", 0).await?;
    let subscribed = stack::subscribed(&app.billing).await?;
    let replaced = |s: &mut Subscription| {
        if let Some(checkout) = &mut s.checkout {
            checkout.replaces = Some(0);
        }
    };
    let cases: [(Change<'_>, &str, bool, &str); 7] = [
        (&|_| (), "구독이 시작되었습니다", true, "다음 결제"),
        (&|s| s.cancel_at_period_end = true, "구독이 시작되었습니다", true, "이용 종료"),
        (&replaced, "결제수단이 변경되었습니다", true, "다음 결제"),
        (
            &|s| {
                replaced(s);
                s.status = Status::Paused;
            },
            "결제수단이 변경되었습니다",
            false,
            "",
        ),
        (&|s| s.status = Status::Paused, "구독이 일시 중지되었습니다", false, ""),
        (&|s| s.status = Status::PastDue, "이번 결제가 이루어지지 않았습니다", false, ""),
        (&|s| s.end(EndReason::Requested, app.billing.clock.now()), "구독이 종료되었습니다", false, ""),
    ];
    let mut version = subscribed.version;
    for (number, (change, heading, paid, next)) in cases.into_iter().enumerate() {
        let mut changed = Subscription { version, ..subscribed.clone() };
        if let Some(checkout) = &mut changed.checkout {
            checkout.success_url = Some("https://shop.example/done".to_owned());
            checkout.cancel_url = Some("https://shop.example/cart".to_owned());
        }
        change(&mut changed);
        put(&app, &mut changed).await?;
        version = changed.version;
        let page = text(&handle(&app, get(&format!("/checkout/{}", changed.id))?).await);
        assert!(page.contains(&format!(">{heading}</h1>")), "{number}: {page}");
        assert_eq!(page.contains(PAID), paid, "{number}: {page}");
        assert!(!paid || page.contains(&format!("<dt>{next}</dt><dd>2026년 12월 23일")), "{number}: {page}");
        // Back to where the shop waits for who has paid, and to its cart else.
        assert_eq!(page.contains("https://shop.example/done?session_id="), paid, "{number}: {page}");
        assert_eq!(page.contains("https://shop.example/cart?session_id="), !paid, "{number}: {page}");
    }
    Ok(())
}

/// Under a stage or a mapped base path, its own links keep it.
#[tokio::test]
async fn links_lead_to_where_the_functions_are_known() -> Result<(), Error> {
    let mut app = app().await?;
    let (session, path) = session(&app, "월간 구독", 0).await?;
    for (public_url, below) in [("https://pay.example", ""), ("https://pay.example/billing/v1/", "/billing/v1")] {
        app.site.public_url = public_url.to_owned();
        let page = text(&handle(&app, get(&path)?).await);
        let ours = format!("{below}/checkout/{}", session.id);
        for link in [format!("action=\"{ours}/window\""), format!("href=\"{ours}?lang=en\"")] {
            assert!(page.contains(&link), "{link}\n{page}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_review_is_not_explained_to_the_buyer() -> Result<(), Error> {
    let app = app().await?;
    let (mut session, path) = session(&app, "월간 구독", 0).await?;
    session.needs_review("amount 1 at I'mport".to_owned(), app.billing.clock.now());
    put(&app, &mut session).await?;
    let page = text(&handle(&app, get(&path)?).await);
    assert!(page.contains("판매자가 연락드릴 때까지") && !page.contains("amount 1"));
    Ok(())
}

#[tokio::test]
async fn only_the_right_method_gets_in() -> Result<(), Error> {
    let app = app().await?;
    for (method, path, allow) in
        [(Method::DELETE, "/checkout/x", "GET"), (Method::GET, "/dev/checkout/x/window", "POST")]
    {
        let mut request: Request = get(path)?;
        *request.method_mut() = method;
        let response = handle(&app, request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], allow);
    }
    assert_eq!(handle(&app, get("/checkout")?).await.status(), StatusCode::NOT_FOUND);
    Ok(())
}

/// No page offers a window that would not open.
#[tokio::test]
async fn a_window_is_offered_until_its_time_its_number_or_its_need_is_over() -> Result<(), Error> {
    let app = app().await?;
    let now = app.billing.clock.now();
    let (fresh, _) = session(&app, "월간 구독", 0).await?;
    let state = |change: &dyn Fn(&mut Subscription)| {
        let mut session = fresh.clone();
        change(&mut session);
        app.billing.checkout_state(&session)
    };
    let expires = |session: &mut Subscription, at| {
        if let Some(checkout) = &mut session.checkout {
            checkout.expires_at = at;
        }
    };
    let key =
        || PaymentMethod { window: 1, imp_uid: None, provider: None, confirmed_at: now, broken: false, deleted: false };
    assert_eq!(state(&|_| ()), CheckoutState::Open);
    assert_eq!(state(&|session| session.windows = MOST_WINDOWS - 1), CheckoutState::Open);
    assert_eq!(state(&|session| session.windows = MOST_WINDOWS), CheckoutState::Over);
    assert_eq!(state(&|session| expires(session, now)), CheckoutState::Over);
    assert_eq!(state(&|session| session.payment_method = Some(key())), CheckoutState::Confirming);
    let declined = |session: &mut Subscription| session.payment_method = Some(PaymentMethod { broken: true, ..key() });
    assert_eq!(state(&declined), CheckoutState::Open);

    let replacing = |session: &mut Subscription| {
        session.status = Status::Active;
        session.payment_method = Some(key());
        session.windows = MOST_WINDOWS;
        if let Some(checkout) = &mut session.checkout {
            checkout.replaces = Some(1);
        }
    };
    assert_eq!(state(&replacing), CheckoutState::Replacing);
    let used_up = |session: &mut Subscription| {
        replacing(session);
        session.windows = MOST_WINDOWS + 1;
    };
    assert_eq!(state(&used_up), CheckoutState::Subscribed);
    Ok(())
}
