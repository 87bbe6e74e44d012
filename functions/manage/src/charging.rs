//! The kill switch: `GET` and `PUT /v1/charging`. Off, nobody is charged; everything else goes on.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use maedal::store::Charging;
use serde::Deserialize;
use tracing::warn;

use super::problem::Problem;
use super::{App, answer, input, token};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
    reason: String,
}

pub(crate) async fn get(app: &App) -> Result<Response<Body>, Problem> {
    Ok(answer(StatusCode::OK, &shown(&app.billing.store.charging().await?)))
}

pub(crate) async fn switch(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let Switch { on, reason } = input::json(request)?;
    let reason = input::reason(reason)?;
    let now = app.billing.clock.now();
    let by = token::caller(request);
    warn!(on, by, reason, outcome = "switched", "the kill switch");
    let charging = Charging { on, since: Some(now), by: Some(by), reason: Some(reason), incident: None };
    app.billing.store.put_charging(&charging, now).await?;
    Ok(answer(StatusCode::OK, &shown(&charging)))
}

fn shown(charging: &Charging) -> serde_json::Value {
    let Charging { on, since, by, reason, incident: _ } = charging;
    serde_json::json!({ "on": on, "since": since, "by": by, "reason": reason })
}
