//! Lists, page by page: `GET /v1/subscriptions` by customer or by state, and the charges and the events of one.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use maedal::store::{ChargeCursor, EventCursor, ListBy};
use maedal::subscription::{Status, SubscriptionId, Won};
use serde::Serialize;

use super::problem::Problem;
use super::{App, answer, charges, find, input, subscription};

#[derive(Debug, Serialize)]
struct Page<'a> {
    subscriptions: Vec<subscription::View<'a>>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

pub(crate) async fn subscriptions(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let [customer_id, state, limit, cursor] = input::query(request, ["customer_id", "state", "limit", "cursor"])?;
    let by = match (customer_id, state) {
        (Some(customer_id), None) => {
            ListBy::Customer(customer_id.parse().map_err(|_| Problem::malformed("customer_id", "1 to 80 characters"))?)
        }
        (None, Some(state)) => ListBy::State(status(&state)?),
        (Some(_), Some(_)) | (None, None) => return Err(Problem::malformed("customer_id", "either it or state")),
    };
    let (limit, after) = (input::limit(limit)?, input::cursor::<SubscriptionId>(cursor)?);
    let page = app.billing.store.list(&by, after, limit).await?;
    let now = app.billing.clock.now();
    let subscriptions =
        page.subscriptions.iter().map(|s| subscription::View::of(s, now, &app.billing.policy)).collect();
    Ok(answer(StatusCode::OK, &Page { subscriptions, next_cursor: page.next.map(|id| id.to_string()) }))
}

/// `GET /v1/subscriptions/{id}/charges`: by period and attempt.
pub(crate) async fn charges(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let [limit, cursor] = input::query(request, ["limit", "cursor"])?;
    let (limit, after) = (input::limit(limit)?, input::cursor::<ChargeCursor>(cursor)?);
    let found = find(app, id).await?;
    let page = app.billing.store.charges(found.id, after.as_ref(), limit, false).await?;
    let refunds = match page.charges.iter().any(|charge| charge.refunded > Won::ZERO) {
        true => app.billing.store.refunds(found.id).await?,
        false => Vec::new(),
    };
    let charges: Vec<_> = page.charges.iter().map(|charge| charges::View::of(charge, &refunds)).collect();
    let next_cursor = page.next.map(|next| next.to_string());
    Ok(answer(StatusCode::OK, &serde_json::json!({ "charges": charges, "next_cursor": next_cursor })))
}

/// `GET /v1/subscriptions/{id}/events`: the newest first.
pub(crate) async fn events(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let [limit, cursor] = input::query(request, ["limit", "cursor"])?;
    let (limit, after) = (input::limit(limit)?, input::cursor::<EventCursor>(cursor)?);
    let found = find(app, id).await?;
    let page = app.billing.store.events(found.id, after.as_ref(), limit).await?;
    let next_cursor = page.next.map(|next| next.to_string());
    Ok(answer(StatusCode::OK, &serde_json::json!({ "events": page.events, "next_cursor": next_cursor })))
}

fn status(word: &str) -> Result<Status, Problem> {
    const ALL: [Status; 8] = [
        Status::Pending,
        Status::Expired,
        Status::Trialing,
        Status::Active,
        Status::PastDue,
        Status::Paused,
        Status::Canceled,
        Status::NeedsReview,
    ];
    let words = ALL.map(Status::word).join(", ");
    ALL.into_iter()
        .find(|status| status.word() == word)
        .ok_or_else(|| Problem::malformed("state", &format!("one of {words}")))
}
