//! The merchant's API, under `/v1`. API Gateway has checked the caller's signature (IAM) before a request comes here, or a
//! bearer token is checked here. `openapi.json` describes all of it, and a test keeps the two alike.
//!
//! Every error is a problem document (RFC 9457) that names the field and the way out.

mod charges;
mod charging;
mod commands;
mod customers;
mod imports;
mod input;
mod list;
mod my;
mod problem;
mod reviews;
mod route;
mod subscription;
mod token;

use std::sync::Arc;

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::billing::{Billing, Opened};
use maedal::link::Links;
use maedal::queue::Queue;
use maedal::site::Site;
use maedal::subscription::{Command, PlanId, Subscription, SubscriptionId};
use serde::Serialize;

use problem::Problem;
pub use route::{Operation, ROUTES, Route};
pub use token::ApiToken;

/// What the handler works with.
#[derive(Debug, Clone)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// The merchant's site.
    pub site: Site,
    /// Links to the buyer's own page.
    pub links: Arc<Links>,
    /// Where imports are worked on.
    pub imports: Arc<dyn Queue>,
    /// The token of callers whose signature API Gateway hasn't checked; none where it checks everybody's.
    pub token: Option<Arc<ApiToken>>,
}

/// Answers one request. Every error is an answer.
pub async fn handle(app: &App, request: Request) -> Response<Body> {
    route(app, &request).await.unwrap_or_else(Problem::into_response)
}

async fn route(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    if let Some(token) = &app.token
        && !token.admits(request).await?
    {
        return Err(Problem::unauthorized());
    }
    let (operation, parameters) = route::find(request.method(), request.uri().path())?;
    let parameter = |nth: usize| parameters.get(nth).copied().unwrap_or_default();
    let id = parameter(0);
    match operation {
        Operation::ListPlans => plans(app).await,
        Operation::GetPlan => plan(app, id).await,
        Operation::PutPlan => put_plan(app, id, request).await,
        Operation::OpenCheckout => open_checkout(app, request).await,
        Operation::ListSubscriptions => list::subscriptions(app, request).await,
        Operation::GetSubscription => subscription(app, id).await,
        Operation::Cancel => commands::cancel(app, id, request).await,
        Operation::Pause => commands::simple(app, id, request, Command::Pause).await,
        Operation::Resume => commands::simple(app, id, request, Command::Resume).await,
        Operation::ChangePlan => commands::change_plan(app, id, request).await,
        Operation::ReplacePaymentMethod => commands::replace_payment_method(app, id, request).await,
        Operation::OpenMyPage => my::open(app, id, request).await,
        Operation::Retry => commands::simple(app, id, request, Command::Retry).await,
        Operation::DeleteKey => commands::simple(app, id, request, Command::DeleteKey).await,
        Operation::ListCharges => list::charges(app, id, request).await,
        Operation::ListEvents => list::events(app, id, request).await,
        Operation::GetCharge => charge(app, id, parameter(1)).await,
        Operation::Refund => commands::refund(app, id, parameter(1), request).await,
        Operation::GetCharging => charging::get(app).await,
        Operation::SwitchCharging => charging::switch(app, request).await,
        Operation::EraseCustomer => customers::erase(app, id).await,
        Operation::ListReviews => reviews::list(app, request).await,
        Operation::Repair => reviews::repair(app, id, request).await,
        Operation::BeginImport => imports::begin(app, request).await,
        Operation::GetImport => imports::show(app, id).await,
        Operation::ListRefusedRows => imports::refused(app, id, request).await,
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
    let view = subscription::View::of(&found, app.billing.clock.now(), &app.billing.policy);
    Ok(commands::with_etag(answer(StatusCode::OK, &view), found.version))
}

async fn charge(app: &App, id: &str, place: &str) -> Result<Response<Body>, Problem> {
    let (period, attempt) = charges::place(place)?;
    let found = find(app, id).await?;
    let unknown = || Problem::not_found("the subscription has no such charge. GET its charges lists them");
    let charge = app.billing.store.charge_of(found.id, period, attempt).await?.ok_or_else(unknown)?;
    let refunds = match charge.payment() {
        Some(payment) => app.billing.store.refunds_of(found.id, &payment.imp_uid).await?,
        None => Vec::new(),
    };
    Ok(answer(StatusCode::OK, &charges::View::of(&charge, &refunds)))
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
