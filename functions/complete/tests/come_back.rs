//! What a buyer sees who comes back from the payment window while I'mport can't be asked.

use std::sync::Arc;

use complete::{App, handle};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use maedal::aws::Aws;
use maedal::store::Store;
use maedal::subscription::{MerchantUid, Subscription};
use stack::{Error, get, text};

/// A session with one window open, and the name of that opening.
async fn opened() -> Result<(App, Subscription, MerchantUid), Error> {
    let app = App { billing: stack::billing().await?, site: stack::site() };
    stack::monthly_plan(&app.billing, "월간 구독", 0).await?;
    let id = stack::open_session(&app.billing).await?.id;
    let window = app.billing.open_window(id, &app.site, "https://pay.example").await?.request.merchant_uid;
    Ok((app.clone(), find(&app, window).await?, window))
}

async fn find(app: &App, window: MerchantUid) -> Result<Subscription, Error> {
    Ok(app.billing.store.subscription(window.subscription).await?.ok_or("the session that was opened")?)
}

async fn come_back(app: &App, query: &str) -> Result<Response<Body>, Error> {
    Ok(handle(app, get(&format!("/payments/complete?{query}"))?).await)
}

#[tokio::test]
async fn every_sample_event_gets_its_answer() -> Result<(), Error> {
    let (app, _, _) = opened().await?;
    let mut answers = Vec::new();
    for (name, event) in stack::events("complete")? {
        answers.push((name, handle(&app, event).await.status().as_u16()));
    }
    let expected = [
        // A session that isn't there: I'mport is not asked.
        ("approved.json", 404),
        ("declined.json", 404),
        ("foreign-merchant-uid.json", 404),
        ("missing-merchant-uid.json", 400),
        ("never-opened.json", 404),
        ("repeated-imp-uid.json", 400),
    ];
    assert_eq!(answers, expected.map(|(name, status)| (name.to_owned(), status)));
    Ok(())
}

#[tokio::test]
async fn a_forged_success_changes_nothing() -> Result<(), Error> {
    let (app, before, window) = opened().await?;
    let response =
        come_back(&app, &format!("imp_uid=imp_1&merchant_uid={window}&imp_success=true&success=true")).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let page = text(&response);
    assert!(page.contains("결제를 확인하고 있습니다") && page.contains("http-equiv=\"refresh\" content=\"5\""));
    assert_eq!(find(&app, window).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_window_that_failed_can_be_tried_again() -> Result<(), Error> {
    let (app, _, window) = opened().await?;
    for query in [
        format!("merchant_uid={window}&error_msg=No+%3Cb%3Emoney%3C/b%3E"),
        format!("imp_uid=null&merchant_uid={window}&error_msg=No+%3Cb%3Emoney%3C/b%3E"),
        format!("imp_uid=imp_1&merchant_uid={window}&success=false&error_msg=No+%3Cb%3Emoney%3C/b%3E"),
    ] {
        let response = come_back(&app, &query).await?;
        assert_eq!(response.status(), StatusCode::OK);
        let page = text(&response);
        assert!(page.contains("No &lt;b&gt;money&lt;/b&gt;") && page.contains("id=\"subscribe\""), "{query}");
    }
    let silent = text(&come_back(&app, &format!("merchant_uid={window}&imp_success=false")).await?);
    // The script has the same words ready for a window that fails on the page.
    assert!(silent.contains("role=\"alert\">결제수단이 등록되지 않았습니다"));
    Ok(())
}

#[tokio::test]
async fn whoever_comes_back_while_the_table_is_out_of_reach_waits() -> Result<(), Error> {
    let (mut app, _, window) = opened().await?;
    let billing = Arc::get_mut(&mut app.billing).ok_or("nobody else has it")?;
    // Nobody listens there.
    billing.store = Store::new(Aws::local("http://127.0.0.1:9").dynamodb(), "maedal");
    let response = come_back(&app, &format!("imp_uid=imp_1&merchant_uid={window}&imp_success=false")).await?;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = text(&response);
    assert!(page.contains("지금은 확인할 수 없습니다") && page.contains("http-equiv=\"refresh\" content=\"5\""));
    Ok(())
}

#[tokio::test]
async fn a_bad_query_is_answered_by_name_and_escaped() -> Result<(), Error> {
    let (app, _, window) = opened().await?;
    let long = "x".repeat(10_240);
    for (query, status, says) in [
        (format!("merchant_uid={window}&error_msg={long}"), StatusCode::URI_TOO_LONG, "너무 깁니다"),
        (format!("merchant_uid={window}&merchant_uid={window}"), StatusCode::BAD_REQUEST, "merchant_uid 값이 두 번"),
        (format!("merchant_uid={window}&imp_uid=a&imp_uid=b"), StatusCode::BAD_REQUEST, "imp_uid 값이 두 번"),
        ("imp_uid=imp_1".to_owned(), StatusCode::BAD_REQUEST, "merchant_uid 값이 없습니다"),
        ("merchant_uid=%3Cscript%3E".to_owned(), StatusCode::NOT_FOUND, "신청을 찾을 수 없습니다"),
    ] {
        let response = come_back(&app, &query).await?;
        assert_eq!(response.status(), status, "{says}");
        let page = text(&response);
        assert!(page.contains(says) && !page.contains("<script>"), "{says}");
    }
    Ok(())
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() -> Result<(), Error> {
    let (app, _, _) = opened().await?;
    assert_eq!(handle(&app, get("/payments")?).await.status(), StatusCode::NOT_FOUND);
    let mut post = get("/payments/complete")?;
    *post.method_mut() = lambda_http::http::Method::POST;
    assert_eq!(handle(&app, post).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}
