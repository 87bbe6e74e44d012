//! The merchant's API, under `/v1`. API Gateway has checked the caller's signature (IAM) before a request comes here.
//!
//! Every error is a problem document (RFC 9457) that names the field and the way out.

mod charges;
mod input;
mod problem;
mod subscription;

use std::sync::Arc;

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::billing::{Billing, Opened};
use maedal::config::Site;
use maedal::subscription::{PlanId, Subscription, SubscriptionId};
use serde::Serialize;

use problem::Problem;

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
    route(app, &request).await.unwrap_or_else(Problem::into_response)
}

async fn route(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let path: Vec<&str> = request.uri().path().split('/').collect();
    // API Gateway has routed the request; a stage or a mapped base path may stand in front.
    match (path.as_slice(), request.method()) {
        ([.., "v1", "plans", id], &Method::PUT) => put_plan(app, id, request).await,
        ([.., "v1", "plans", id], &Method::GET) => plan(app, id).await,
        ([.., "v1", "plans", _], _) => Err(Problem::wrong_method("GET, PUT")),
        ([.., "v1", "plans"], &Method::GET) => plans(app).await,
        ([.., "v1", "plans"], _) => Err(Problem::wrong_method("GET")),
        ([.., "v1", "checkout-sessions"], &Method::POST) => open_checkout(app, request).await,
        ([.., "v1", "checkout-sessions"], _) => Err(Problem::wrong_method("POST")),
        ([.., "v1", "subscriptions", id], &Method::GET) => subscription(app, id).await,
        ([.., "v1", "subscriptions", id, "charges"], &Method::GET) => charges(app, id).await,
        ([.., "v1", "subscriptions", _] | [.., "v1", "subscriptions", _, "charges"], _) => {
            Err(Problem::wrong_method("GET"))
        }
        _ => Err(Problem::not_found(
            "nothing is at this path. The API is under /v1: plans, checkout-sessions, subscriptions",
        )),
    }
}

async fn put_plan(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let id = id.parse::<PlanId>().map_err(|error| Problem::invalid("id", error.to_string()))?;
    let key = input::idempotency_key(request)?;
    let plan = app.billing.put_plan(id, input::json(request)?, key).await?;
    Ok(answer(StatusCode::OK, &plan))
}

async fn plan(app: &App, id: &str) -> Result<Response<Body>, Problem> {
    let unknown = || Problem::not_found("there is no such plan. GET /v1/plans lists them all");
    let id = id.parse::<PlanId>().map_err(|_| unknown())?;
    Ok(answer(StatusCode::OK, &app.billing.store.plan(&id).await?.ok_or_else(unknown)?))
}

async fn plans(app: &App) -> Result<Response<Body>, Problem> {
    Ok(answer(StatusCode::OK, &serde_json::json!({ "plans": app.billing.store.plans().await? })))
}

async fn open_checkout(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let key = input::idempotency_key(request)?;
    let public_url = app.site.base_url(host);
    // A repeat gets the first answer, so that the caller need not tell them apart.
    let (Opened::New(session) | Opened::Repeat(session)) =
        app.billing.open_checkout(input::json(request)?, key, &public_url, app.site.session).await?;
    let mut response = answer(StatusCode::CREATED, &session);
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/subscriptions/{}", session.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn subscription(app: &App, id: &str) -> Result<Response<Body>, Problem> {
    let found = find(app, id).await?;
    Ok(answer(StatusCode::OK, &subscription::View::of(&found, app.billing.clock.now(), &app.billing.policy)))
}

async fn charges(app: &App, id: &str) -> Result<Response<Body>, Problem> {
    let found = find(app, id).await?;
    let ledger = app.billing.store.ledger(found.id).await?;
    let charges: Vec<_> = ledger.charges.iter().map(charges::View::of).collect();
    Ok(answer(StatusCode::OK, &serde_json::json!({ "charges": charges })))
}

async fn find(app: &App, id: &str) -> Result<Subscription, Problem> {
    let unknown = || Problem::not_found("there is no such subscription");
    let id = id.parse::<SubscriptionId>().map_err(|_| unknown())?;
    app.billing.store.subscription(id).await?.ok_or_else(unknown)
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_string(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
