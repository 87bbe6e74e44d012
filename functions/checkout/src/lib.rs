//! The buyer's pages: `GET /checkout/{session}` and `POST /checkout/{session}/window`; `GET /my/{token}` and its buttons.
//!
//! The session's id is the key to it: whoever has the address may open the window, and nothing else. The buyer's own page
//! asks for more: a signed link that expires.

mod my;

use std::sync::Arc;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use maedal::billing::{Billing, WindowError};
use maedal::link::Links;
use maedal::pages::{Pages, Problem};
use maedal::site::Site;
use tracing::error;

/// What the handler works with.
#[derive(Debug, Clone)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// The merchant's site.
    pub site: Site,
    /// Links to the buyer's own page.
    pub links: Arc<Links>,
}

/// Answers one request. Every error is an answer.
pub async fn handle(app: &App, request: Request) -> Response<Body> {
    let mut pages = Pages::of(&app.billing, &app.site, &request);
    let path: Vec<&str> = request.uri().path().split('/').collect();
    // API Gateway has routed the request; a stage or a mapped base path may stand in front.
    let response = match (path.as_slice(), request.method()) {
        ([.., "checkout", id], &Method::GET) => page(app, &mut pages, id, &request).await,
        ([.., "checkout", _], _) => pages.problem(&Problem::WrongMethod { allow: "GET" }),
        ([.., "checkout", id, "window"], &Method::POST) => window(app, &pages, id).await,
        ([.., "checkout", _, "window"], _) => pages.problem(&Problem::WrongMethod { allow: "POST" }),
        ([.., "my", token], &Method::GET) => my::page(app, &pages, token, &request).await,
        ([.., "my", _], _) => pages.problem(&Problem::WrongMethod { allow: "GET" }),
        ([.., "my", token, button], method) => match (my::button(button), method) {
            (Some(action), &Method::POST) => my::press(app, &pages, token, action, &request).await,
            (Some(_), _) => pages.problem(&Problem::WrongMethod { allow: "POST" }),
            (None, _) => pages.problem(&Problem::NotFound),
        },
        _ => pages.problem(&Problem::NotFound),
    };
    response.map(Body::from)
}

async fn page(app: &App, pages: &mut Pages<'_>, id: &str, request: &Request) -> Response<String> {
    let Ok(id) = id.parse() else { return pages.problem(&Problem::UnknownSession) };
    pages.home = my::home(app, pages, id, request).await;
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
        Ok(mut window) => {
            window.request.m_redirect_url = pages.localized(&window.request.m_redirect_url);
            pages.json(StatusCode::OK, &window)
        }
        Err(error @ WindowError::UnknownSession) => refuse(StatusCode::NOT_FOUND, &error),
        Err(error @ WindowError::Over(_)) => refuse(StatusCode::GONE, &error),
        Err(error @ WindowError::NotNeeded(_)) => refuse(StatusCode::CONFLICT, &error),
        Err(WindowError::Store(error)) => {
            error!(subscription = %id, %error, "could not open a payment window");
            pages.json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({ "error": "not now: try again" }))
        }
    }
}
