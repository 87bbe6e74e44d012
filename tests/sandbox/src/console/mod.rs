//! The sandbox's console, at `/`: what a merchant's developer wants to see of the whole stack, live, and the hands to make
//! time pass and things go wrong. Made on the server; a script only brings what is new and copies text.

mod actions;
mod books;
mod clock;
mod curl;
mod faults;
mod layout;
mod list;
mod live;
mod queue;
mod snapshot;
mod subscription;
mod timeline;
mod view;
mod webhooks;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use maud::html;

use crate::stack::Parts;
use snapshot::Snapshot;
use view::View;

/// The console and the shop, for [`Stack::start`](crate::Stack::start).
pub fn router(parts: Arc<Parts>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/console/live", get(live::events))
        .route("/console/style.css", get(layout::style))
        .route("/console/script.js", get(layout::script))
        .route("/console/clock", post(clock::moved))
        .route("/console/faults", post(faults::add))
        .route("/console/faults/clear", post(faults::clear))
        .route("/console/iamport", post(faults::switch))
        .route("/console/keys/end", post(faults::end_key))
        .route("/console/payments/cancel", post(faults::cancel))
        .route("/console/webhooks", post(webhooks::send))
        .with_state(parts.clone())
        .merge(crate::shop::router(parts))
}

async fn page(State(parts): State<Arc<Parts>>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let view = View::read(uri.query().unwrap_or_default(), &headers);
    // What has been written so far leaves, so that the page tells of it.
    let events = parts.events().await;
    let snapshot = match Snapshot::take(&parts) {
        Ok(snapshot) => snapshot,
        Err(problem) => return (StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()).into_response(),
    };
    let chosen = view.subscription.and_then(|id| snapshot.account(id));
    let main = html! {
        (clock::section(&parts, &view, &snapshot))
        div.columns {
            div {
                (list::section(&parts, &view, &snapshot))
            }
            div {
                (books::section(&parts, &view, &snapshot))
                (queue::section(&parts, &view, &snapshot))
                (faults::section(&parts, &view))
                (webhooks::section(&parts, &view))
            }
        }
        @if let Some(account) = chosen {
            (subscription::section(&parts, &view, &snapshot, account, &events))
        }
    };
    layout::page(&parts, &view, &main)
}
