//! `DELETE /v1/customers/{customer_id}/data`: a buyer's data goes, the ledger stays.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use maedal::subscription::CustomerId;

use super::problem::Problem;
use super::{App, answer};

pub(crate) async fn erase(app: &App, customer_id: &str) -> Result<Response<Body>, Problem> {
    let unknown = || Problem::not_found("the customer has no subscription");
    let customer_id: CustomerId = decoded(customer_id).parse().map_err(|_| unknown())?;
    let done = app.billing.erase(&customer_id).await?;
    if done.subscriptions == 0 {
        return Err(unknown());
    }
    let body = serde_json::json!({
        "customer_id": customer_id, "subscriptions": done.subscriptions, "erased": done.erased,
    });
    Ok(answer(StatusCode::OK, &body))
}

/// A segment of a path, without its percent signs. A plus is one there.
fn decoded(segment: &str) -> String {
    let segment = segment.replace('+', "%2B");
    form_urlencoded::parse(segment.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
