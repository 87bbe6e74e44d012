//! Commands: a small body, a subscription as the answer.

use jiff::Timestamp;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::billing::{CommandError, CommandRequest, Done, PaymentMethodRequest, RefundRequest};
use maedal::subscription::{Command, PlanId, RefundPart, SubscriptionId, When, Won};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{App, answer, charges, input, subscription};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    when: When,
    #[serde(default)]
    refund: Option<RefundPart>,
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ChangePlan {
    plan: PlanId,
    when: When,
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ReplacePaymentMethod {
    #[serde(default)]
    success_url: Option<String>,
    #[serde(default)]
    cancel_url: Option<String>,
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    #[serde(default)]
    amount: Option<Won>,
    reason: String,
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Nothing {
    #[serde(default)]
    version: Option<u64>,
}

/// A subscription as a command left it, and the charge that changed with it.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    subscription: subscription::View<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<charges::View<'a>>,
}

/// An address for the buyer.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    pub(crate) url: String,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn cancel(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let body: Cancel = input::json(request)?;
    let refund = match (body.when, body.refund) {
        (When::Now, refund) => refund.unwrap_or(RefundPart::None),
        (When::PeriodEnd, None | Some(RefundPart::None)) => RefundPart::None,
        (When::PeriodEnd, Some(RefundPart::Unused | RefundPart::All)) => {
            return Err(Problem::invalid("refund", "none, where the paid period is used to its end"));
        }
    };
    let command = Command::Cancel { when: body.when, refund };
    carry_out(app, id, request, &command, &body, body.version).await
}

pub(crate) async fn simple(
    app: &App,
    id: &str,
    request: &Request,
    command: Command,
) -> Result<Response<Body>, Problem> {
    let body: Nothing = input::json_or_nothing(request)?;
    carry_out(app, id, request, &command, &body, body.version).await
}

pub(crate) async fn change_plan(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let body: ChangePlan = input::json(request)?;
    let Some(plan) = app.billing.store.plan(&body.plan).await? else {
        return Err(Problem::invalid("plan", "a plan that is sold. GET /v1/plans lists them all"));
    };
    let command = Command::ChangePlan { plan: Box::new(plan), when: body.when };
    carry_out(app, id, request, &command, &body, body.version).await
}

pub(crate) async fn replace_payment_method(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let body: ReplacePaymentMethod = input::json_or_nothing(request)?;
    let asked = PaymentMethodRequest { success_url: body.success_url.clone(), cancel_url: body.cancel_url.clone() };
    let command = app.billing.replace_payment_method(asked, app.site.session)?;
    let done = command_done(app, id, request, &command, &body, body.version).await?;
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let url = format!("{}/checkout/{}", app.site.base_url(host), done.subscription.id);
    let expires_at = done.subscription.checkout.as_ref().map_or(done.at, |checkout| checkout.expires_at);
    Ok(answer(StatusCode::CREATED, &Session { url, expires_at }))
}

/// A refund is decided now, and given back by the step that is due with it: 202.
pub(crate) async fn refund(app: &App, id: &str, charge: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let (period, attempt) = charges::place(charge)?;
    let body: Refund = input::json(request)?;
    let asked = RefundRequest { period, attempt, amount: body.amount, reason: body.reason.clone() };
    let (key, by_header) = (input::idempotency_key(request)?, input::if_match(request)?);
    let digest = serde_json::json!([charge, body]);
    let request = CommandRequest { subscription: find(id)?, key, body: &digest, version: by_header.or(body.version) };
    let done = app.billing.refund_charge(&asked, request).await.map_err(|error| match error {
        maedal::billing::RefundError::Command(error) => problem(error, by_header),
        other @ (maedal::billing::RefundError::Invalid(_) | maedal::billing::RefundError::UnknownCharge) => {
            other.into()
        }
    })?;
    let shown = done.charge.as_ref().map(|charge| charges::View::of(charge, &[]));
    Ok(answer(StatusCode::ACCEPTED, &shown))
}

async fn carry_out(
    app: &App,
    id: &str,
    request: &Request,
    command: &Command,
    body: &impl Serialize,
    version: Option<u64>,
) -> Result<Response<Body>, Problem> {
    let done = command_done(app, id, request, command, body, version).await?;
    let view = subscription::View::of(&done.subscription, done.at, &app.billing.policy);
    let charge = done.charge.as_ref().map(|charge| charges::View::of(charge, &[]));
    let response = answer(StatusCode::OK, &Answer { subscription: view, charge });
    Ok(with_etag(response, done.subscription.version))
}

async fn command_done(
    app: &App,
    id: &str,
    request: &Request,
    command: &Command,
    body: &impl Serialize,
    version: Option<u64>,
) -> Result<Done, Problem> {
    let (key, by_header) = (input::idempotency_key(request)?, input::if_match(request)?);
    let digest = serde_json::to_value(body).unwrap_or_default();
    let request = CommandRequest { subscription: find(id)?, key, body: &digest, version: by_header.or(version) };
    app.billing.command(command, request).await.map_err(|error| problem(error, by_header))
}

/// A version that came as a condition of the request fails as one.
pub(crate) fn problem(error: CommandError, by_header: Option<u64>) -> Problem {
    match (&error, by_header) {
        (CommandError::Version { .. }, Some(_)) => Problem::new(StatusCode::PRECONDITION_FAILED, error.to_string()),
        _ => error.into(),
    }
}

pub(crate) fn find(id: &str) -> Result<SubscriptionId, Problem> {
    id.parse().map_err(|_| CommandError::Unknown.into())
}

pub(crate) fn with_etag(mut response: Response<Body>, version: u64) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
