//! `GET /v1/subscriptions`: by customer or by state, page by page, the newest first.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use maedal::store::{ListBy, MOST_LISTED};
use maedal::subscription::{Status, SubscriptionId};
use serde::Serialize;

use super::problem::Problem;
use super::{App, answer, input, subscription};

/// Subscriptions on a page, where the caller doesn't say.
const USUAL: u8 = 20;

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
    let limit = match limit {
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=MOST_LISTED).contains(limit))
            .ok_or_else(|| Problem::malformed("limit", "a number from 1 to 100"))?,
        None => USUAL,
    };
    let after = cursor.map(|cursor| {
        cursor.parse::<SubscriptionId>().map_err(|_| Problem::malformed("cursor", "next_cursor, as a page had it"))
    });
    let page = app.billing.store.list(&by, after.transpose()?, limit).await?;
    let now = app.billing.clock.now();
    let subscriptions =
        page.subscriptions.iter().map(|s| subscription::View::of(s, now, &app.billing.policy)).collect();
    Ok(answer(StatusCode::OK, &Page { subscriptions, next_cursor: page.next.map(|id| id.to_string()) }))
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
