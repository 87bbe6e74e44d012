//! `webhook`: I'mport says that something happened. V1 webhooks are unsigned, come once, twice or never: a hint.
//!
//! The order of work keeps a flood cheap: shape, then our own key (one read), and only then I'mport is asked. What can't
//! be followed now goes to the queue, so that the answer is still 200; where even that fails it is 500, and I'mport
//! sends again where the merchant asked it to.

mod body;
mod recent;

use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::{Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use maedal::billing::{Billing, Heard};
use maedal::queue::{Message, Queue};
use tracing::{error, warn};

pub use body::{Notice, ShapeError};
pub use recent::Recent;

/// Longer than any webhook of I'mport's.
pub const LONGEST_BODY: usize = 16 * 1024;
/// I'mport waits 30 seconds; whoever can't be asked in this time is asked later.
const PATIENCE: Duration = Duration::from_secs(6);
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// Where a hint waits that can't be followed now.
    pub queue: Arc<dyn Queue>,
    /// What was followed a moment ago.
    pub recent: Recent,
}

/// Handles a webhook. Every outcome is an answer, within ten seconds.
pub async fn handle(app: &App, request: Request) -> Response<Body> {
    if !request.raw_http_path().ends_with("/webhooks/iamport") {
        return answer(StatusCode::NOT_FOUND, "no such page");
    }
    if request.method() != Method::POST {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, "POST only");
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        return response;
    }
    let body = request.body().as_ref();
    if body.len() > LONGEST_BODY {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "longer than 16 kB");
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let notice = match Notice::read(content_type, body) {
        Ok(notice) => notice,
        Err(problem) => return answer(StatusCode::BAD_REQUEST, problem.0),
    };
    let now = app.billing.clock.now();
    if app.recent.has(&notice, now) {
        return answer(StatusCode::OK, "heard");
    }
    match tokio::time::timeout(PATIENCE, app.billing.hear(&notice.hint(now))).await {
        Ok(Ok(Heard::NotOurs)) => answer(StatusCode::OK, "not ours"),
        Ok(Ok(heard)) => {
            let heard_all = heard != Heard::Undecided;
            if let Heard::Due(due) = heard {
                // Where the queue doesn't take it, the step is in the index all the same.
                let _ = tokio::time::timeout(QUEUE_PATIENCE, app.queue.send(&[Message::Step(due)])).await;
            }
            // What I'mport hasn't decided yet may be news at the next repeat, unless that is what it says.
            if heard_all || notice.status.as_deref() == Some("ready") {
                app.recent.add(&notice, now);
            }
            answer(StatusCode::OK, "heard")
        }
        Ok(Err(failure)) => keep(app, &notice, &failure.to_string()).await,
        Err(_) => keep(app, &notice, "no answer in time").await,
    }
}

async fn keep(app: &App, notice: &Notice, reason: &str) -> Response<Body> {
    warn!(reason, outcome = "queued", "a webhook can't be followed now");
    match tokio::time::timeout(QUEUE_PATIENCE, app.queue.send(&[Message::Hint(notice.hint(app.billing.clock.now()))]))
        .await
    {
        Ok(Ok(failed)) if failed.is_empty() => answer(StatusCode::OK, "kept for later"),
        Ok(Ok(_) | Err(_)) | Err(_) => {
            error!(outcome = "refused", "a webhook could be neither followed nor kept");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "try again")
        }
    }
}

/// A reason for people, and nothing that would help a forger.
fn answer(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{{\"result\":\"{reason}\"}}")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
