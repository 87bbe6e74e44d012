//! The buyer's checkout pages: `GET /checkout/{session}` and `POST /checkout/{session}/window`.
//!
//! The session's id is the key to it: whoever has the address may open the window, and nothing else.

use std::sync::Arc;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use maedal::billing::{Billing, WindowError};
use maedal::config::Site;
use maedal::pages::{Pages, Problem};
use tracing::error;

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
    let path: Vec<&str> = request.uri().path().split('/').collect();
    // API Gateway has routed the request; a stage or a mapped base path may stand in front.
    let response = match (path.as_slice(), request.method()) {
        ([.., "checkout", id], &Method::GET) => page(app, &pages, id).await,
        ([.., "checkout", _], _) => pages.problem(&Problem::WrongMethod { allow: "GET" }),
        ([.., "checkout", id, "window"], &Method::POST) => window(app, &pages, id).await,
        ([.., "checkout", _, "window"], _) => pages.problem(&Problem::WrongMethod { allow: "POST" }),
        _ => pages.problem(&Problem::NotFound),
    };
    response.map(Body::from)
}

async fn page(app: &App, pages: &Pages<'_>, id: &str) -> Response<String> {
    let Ok(id) = id.parse() else { return pages.problem(&Problem::UnknownSession) };
    match app.billing.store.subscription(id).await {
        Ok(Some(session)) => pages.session(&session, None),
        Ok(None) => pages.problem(&Problem::UnknownSession),
        Err(error) => {
            error!(subscription = %id, %error, "could not show a checkout session");
            pages.unavailable()
        }
    }
}

/// For the page's script, which goes by the status: what it can't open a window for, the session's page explains.
async fn window(app: &App, pages: &Pages<'_>, id: &str) -> Response<String> {
    let refuse = |status, error: &WindowError| pages.json(status, &serde_json::json!({ "error": error.to_string() }));
    let Ok(id) = id.parse() else { return refuse(StatusCode::NOT_FOUND, &WindowError::UnknownSession) };
    match app.billing.open_window(id, &app.site, &pages.base_url).await {
        Ok(window) => pages.json(StatusCode::OK, &window),
        Err(error @ WindowError::UnknownSession) => refuse(StatusCode::NOT_FOUND, &error),
        Err(error @ WindowError::Over(_)) => refuse(StatusCode::GONE, &error),
        Err(error @ WindowError::NotNeeded(_)) => refuse(StatusCode::CONFLICT, &error),
        Err(WindowError::Store(error)) => {
            error!(subscription = %id, %error, "could not open a payment window");
            pages.json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({ "error": "not now: try again" }))
        }
    }
}
