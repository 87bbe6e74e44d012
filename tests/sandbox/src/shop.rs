//! The shop of the sandbox: what a merchant's own site would be. It lists the plans, opens a checkout session through the
//! merchant's API, and shows the ledger.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, StatusCode};
use maedal::subscription::{Charge, Interval, Status, SubscriptionId};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stack::Parts;

/// The shop's pages.
pub fn router(shop: Arc<Parts>) -> Router {
    Router::new()
        .route("/shop", get(plans))
        .route("/shop/subscribe/{plan}", post(subscribe))
        .route("/shop/back", get(back))
        .route("/shop/ledger/{subscription}", get(ledger))
        .route("/shop/my/{subscription}", post(my))
        .with_state(shop)
}

async fn plans(State(shop): State<Arc<Parts>>) -> Response {
    let Ok(plans) = shop.billing.store.plans().await else { return unavailable() };
    page(
        "매달 상점",
        html! {
            h1 { "매달 상점" }
            p { "A shop in the sandbox. No money moves here." }
            div.plans {
                @for plan in &plans {
                    form method="post" action={ "/shop/subscribe/" (plan.id) } {
                        h2 { (plan.terms.name) }
                        p { strong { (plan.terms.amount) } " · " (every(plan.terms.interval)) }
                        p { @if plan.terms.trial_days > 0 { (plan.terms.trial_days) " days free" } @else { "Charged today" } }
                        button type="submit" id={ "subscribe-" (plan.id) } { "구독하기" }
                    }
                }
            }
        },
    )
}

fn every(interval: Interval) -> String {
    let unit = format!("{:?}", interval.unit).to_lowercase();
    if interval.count == 1 { format!("every {unit}") } else { format!("every {} {unit}s", interval.count) }
}

async fn subscribe(State(shop): State<Arc<Parts>>, Path(plan): Path<String>) -> Response {
    let body = json!({
        "plan": plan,
        "customer_id": "sandbox-customer",
        "buyer": { "name": "김매달", "email": "buyer@shop.example", "tel": "010-1234-5678" },
        // Without a success_url: the buyer sees the result page, and comes back from there.
        "cancel_url": format!("{}/shop/back", shop.url),
    });
    let request = Request::post("/v1/checkout-sessions")
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()));
    let Ok(request) = request else { return unavailable() };
    lead(&shop, request).await
}

/// The buyer, logged in at the shop, goes to their own page.
async fn my(State(shop): State<Arc<Parts>>, Path(id): Path<String>) -> Response {
    let request = Request::post(format!("/v1/subscriptions/{id}/my-session")).body(Bytes::new());
    let Ok(request) = request else { return StatusCode::NOT_FOUND.into_response() };
    lead(&shop, request).await
}

/// To the address that the merchant's API answers with.
async fn lead(shop: &Parts, request: Request<Bytes>) -> Response {
    let Some(answer) = shop.functions.route(request).await else { return unavailable() };
    let session: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match session["url"].as_str() {
        Some(url) => Redirect::to(url).into_response(),
        None => (answer.status(), String::from_utf8_lossy(answer.body()).into_owned()).into_response(),
    }
}

/// What the checkout adds to an address that leads back.
#[derive(Deserialize)]
struct Back {
    session_id: String,
}

/// Who has subscribed sees the ledger, who hasn't the plans.
async fn back(State(shop): State<Arc<Parts>>, Query(Back { session_id }): Query<Back>) -> Response {
    let Ok(id) = session_id.parse::<SubscriptionId>() else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(subscription) = shop.billing.store.subscription(id).await else { return unavailable() };
    let began = subscription.is_some_and(|s| !matches!(s.status, Status::Pending | Status::Expired));
    Redirect::to(&if began { format!("/shop/ledger/{id}") } else { "/shop".to_owned() }).into_response()
}

async fn ledger(State(shop): State<Arc<Parts>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<SubscriptionId>() else { return StatusCode::NOT_FOUND.into_response() };
    let (subscription, ledger) = match (shop.billing.store.subscription(id).await, shop.billing.store.ledger(id).await)
    {
        (Ok(Some(subscription)), Ok(ledger)) => (subscription, ledger),
        (Ok(None), Ok(_)) => return StatusCode::NOT_FOUND.into_response(),
        (Err(_), _) | (_, Err(_)) => return unavailable(),
    };
    page(
        "Ledger",
        html! {
            h1 { "Ledger" }
            p { "What the merchant has in its table, and I'mport in its books." }
            div.card {
                dl {
                    dt { "Subscription" } dd { code id="subscription" { (subscription.id) } }
                    dt { "State" } dd id="state" { (subscription.status.word()) }
                    dt { "Plan" } dd { (subscription.plan.terms.name) }
                    dt { "Paid, less refunds" } dd { strong id="standing" { (ledger.standing()) } }
                }
            }
            div.card tabindex="0" role="region" aria-label="Charges" {
                @if ledger.charges.is_empty() { "No charge yet." }
                @else {
                    table id="charges" {
                        thead { tr { th { "Period" } th { "Attempt" } th { "Amount" } th { "Outcome" } th { "imp_uid" } } }
                        tbody { @for charge in &ledger.charges { (row(charge)) } }
                    }
                }
            }
            form method="post" action={ "/shop/my/" (subscription.id) } { button type="submit" id="my" { "내 구독 관리" } }
            p { a href="/shop" { "Back to the plans" } }
        },
    )
}

fn row(charge: &Charge) -> Markup {
    html! {
        tr {
            td { (charge.period) }
            td { (charge.attempt) }
            td { (charge.amount) }
            td { (if charge.payment().is_some() { "paid" } else { "declined" }) }
            td { @if let Some(payment) = charge.payment() { (payment.imp_uid) } }
        }
    }
}

fn page(title: &str, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="ko" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                title { (title) }
                style { (maud::PreEscaped(include_str!("shop.css"))) }
            }
            body { main { (body) } }
        }
    };
    Html(page.into_string()).into_response()
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the table can't be read just now; reload in a moment").into_response()
}
