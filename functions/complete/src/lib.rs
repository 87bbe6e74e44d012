//! `GET /payments/complete`: where the payment window sends the buyer back to (`m_redirect_url`).
//!
//! The query is a hint that anybody can write. It names a window and a payment; I'mport is asked what became of them.
//! `imp_success` and `success` decide nothing: at most they choose which page shows while I'mport knows nothing.

mod hint;

use std::sync::Arc;

use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};
use maedal::billing::{Billing, Confirmation, Refusal};
use maedal::pages::{Pages, Problem, with_session_id};
use maedal::site::Site;
use maedal::store::StoreError;
use maedal::subscription::{Status, Subscription, SubscriptionId};
use tracing::error;

pub use hint::Hint;

/// What the handler works with.
#[derive(Debug, Clone)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// The merchant's site.
    pub site: Site,
}

/// Answers one request. Every error is an answer.
pub async fn handle(app: &App, request: Request) -> Response<Body> {
    let pages = Pages::of(&app.billing, &app.site, &request);
    // API Gateway has routed the request; a stage or a mapped base path may stand in front.
    let response = match (request.uri().path().ends_with("/payments/complete"), request.method()) {
        (true, &Method::GET) => match Hint::read(request.uri().query().unwrap_or_default()) {
            Ok(hint) => come_back(app, &pages, &hint).await,
            Err(problem) => pages.problem(&problem),
        },
        (true, _) => pages.problem(&Problem::WrongMethod { allow: "GET" }),
        (false, _) => pages.problem(&Problem::NotFound),
    };
    response.map(Body::from)
}

async fn come_back(app: &App, pages: &Pages<'_>, hint: &Hint) -> Response<String> {
    follow(app, pages, hint).await.unwrap_or_else(|error| {
        error!(merchant_uid = %hint.window, %error, "could not confirm a billing key");
        pages.unavailable()
    })
}

async fn follow(app: &App, pages: &Pages<'_>, hint: &Hint) -> Result<Response<String>, StoreError> {
    let id = hint.window.subscription;
    let Some(imp_uid) = &hint.imp_uid else {
        // The window failed before it opened.
        return try_again(app, pages, id, hint.error_msg.as_deref()).await;
    };
    match app.billing.confirm(hint.window, imp_uid).await? {
        Confirmation::Confirmed(session) => Ok(confirmed(pages, &session)),
        Confirmation::NotYet if hint.says_failed => try_again(app, pages, id, hint.error_msg.as_deref()).await,
        Confirmation::NotYet => Ok(pages.confirming()),
        Confirmation::Refused(Refusal::WindowFailed { reason }) => {
            let reason = Some(reason.as_str()).filter(|reason| !reason.trim().is_empty());
            try_again(app, pages, id, reason.or(hint.error_msg.as_deref())).await
        }
        Confirmation::Refused(Refusal::Mismatch) => Ok(pages.problem(&Problem::Mismatch)),
        Confirmation::Refused(Refusal::UnknownSession) => Ok(pages.problem(&Problem::UnknownSession)),
        Confirmation::Refused(Refusal::SessionExpired) => Ok(pages.problem(&Problem::SessionExpired)),
        Confirmation::Refused(Refusal::DeclinedSince) => try_again(app, pages, id, None).await,
    }
}

/// Who has subscribed goes back to the shop, or to the session's own page where the shop has named none.
fn confirmed(pages: &Pages<'_>, session: &Subscription) -> Response<String> {
    let done = match session.status {
        Status::Active | Status::Trialing => true,
        // A new payment method came; it stays paused.
        Status::Paused => session.is_replaced(),
        Status::Pending | Status::Expired | Status::PastDue | Status::Canceled | Status::NeedsReview => false,
    };
    if !done {
        return pages.session(session, None);
    }
    let shop = session.checkout.as_ref().and_then(|checkout| checkout.success_url.as_deref());
    let shop = shop.and_then(|address| with_session_id(address, session.id));
    pages.redirect(&shop.unwrap_or_else(|| pages.localized(&pages.session_path(session.id))))
}

/// The session's page, with why the window failed.
async fn try_again(
    app: &App,
    pages: &Pages<'_>,
    id: SubscriptionId,
    reason: Option<&str>,
) -> Result<Response<String>, StoreError> {
    Ok(match app.billing.store.subscription(id).await? {
        Some(session) => pages.session(&session, Some(reason.unwrap_or(pages.window_failed()))),
        None => pages.problem(&Problem::UnknownSession),
    })
}
