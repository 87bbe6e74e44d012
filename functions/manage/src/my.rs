//! `POST /v1/subscriptions/{id}/my-session`: a link to the buyer's own page, for the buyer who is logged in at the shop.

use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::subscription::Status;
use serde::Deserialize;

use super::commands::Session;
use super::problem::Problem;
use super::{App, answer, find, input};

/// How long a link opens the page, where the caller doesn't say.
const USUAL_MINUTES: u16 = 60;
/// A week.
const MOST_MINUTES: u16 = 10_080;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    minutes: Option<u16>,
}

/// Nothing is stored: each call makes another link.
pub(crate) async fn open(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let Asked { minutes } = input::json_or_nothing(request)?;
    let minutes = minutes.unwrap_or(USUAL_MINUTES);
    if !(1..=MOST_MINUTES).contains(&minutes) {
        return Err(Problem::invalid("minutes", format!("a whole number from 1 to {MOST_MINUTES}")));
    }
    let found = find(app, id).await?;
    match found.status {
        Status::Pending => {
            return Err(Problem::refused("not_started", "the checkout session is open: there is no page yet"));
        }
        Status::Expired => {
            return Err(Problem::refused("ended", "the checkout session ended without a subscription"));
        }
        Status::Trialing
        | Status::Active
        | Status::PastDue
        | Status::Paused
        | Status::Canceled
        | Status::NeedsReview => (),
    }
    let life = SignedDuration::from_mins(i64::from(minutes));
    let expires_at = app.billing.clock.now().saturating_add(life).unwrap_or(Timestamp::MAX);
    // To the second, as the link has it.
    let expires_at = Timestamp::from_second(expires_at.as_second()).unwrap_or(expires_at);
    let token = app.links.sign(found.id, expires_at).await?;
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let url = format!("{}/my/{token}", app.site.base_url(host));
    Ok(answer(StatusCode::CREATED, &Session { url, expires_at }))
}
