//! The page at `/`: the newest payments and webhooks, the faults, and how to use the simulator. I'mport has no such
//! page.

use bytes::Bytes;
use http::{Response, StatusCode};
use maud::{DOCTYPE, PreEscaped, html};

use crate::{simulator::Simulator, window::html_response};

/// So many of the newest payments and webhooks are shown.
const SHOWN: usize = 50;

/// `/`: what this is, how to use it, and what has happened.
pub(crate) fn page(simulator: &mut Simulator) -> Response<Bytes> {
    let config = simulator.config().clone();
    let totals = simulator.books().totals();
    let faults = serde_json::to_string_pretty(simulator.faults().rules()).unwrap_or_default();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                title { "I'mport simulator" }
                style { (PreEscaped(include_str!("console.css"))) }
            }
            body {
                h1 { "I'mport V1, simulated" }
                p { "No money moves here. Point a client's base URL at this address; load the SDK from "
                    code { "/v1/iamport.js" } "." }
                dl {
                    dt { "imp_key" } dd { code { (config.imp_key) } }
                    dt { "imp_secret" } dd { code { (config.imp_secret) } }
                    dt { "user code" } dd { code { (config.user_code) } }
                    dt { "webhooks to" } dd { (config.webhook_url.as_deref().unwrap_or("nowhere (--webhook-url)")) }
                }
                h2 { "Books" }
                p { "Paid " (totals.paid) " won, cancelled " (totals.cancelled) ", net " (totals.net) ". "
                    a href="/_simulator/books" { "All as JSON" } "." }
                table tabindex="0" {
                    tr { th { "imp_uid" } th { "merchant_uid" } th { "customer_uid" } th { "use" } th { "won" }
                         th { "back" } th { "status" } th { "reason" } th { "started" } }
                    @for payment in simulator.books().payments().iter().rev().take(SHOWN) {
                        tr {
                            td { (payment.imp_uid) } td { (payment.order.merchant_uid) }
                            td { (payment.order.customer_uid) } td { (format!("{:?}", payment.usage)) }
                            td { (payment.order.amount) } td { (payment.cancel_amount()) }
                            td { (payment.status.as_str()) }
                            td { (payment.fail_reason.as_deref().unwrap_or_default()) }
                            td { (payment.started_at) }
                        }
                    }
                }
                h2 { "Webhooks" }
                table tabindex="0" {
                    tr { th { "id" } th { "url" } th { "body" } th { "answers" } }
                    @for webhook in simulator.webhooks().iter().rev().take(SHOWN) {
                        tr {
                            td { (webhook.id) } td { (webhook.url) } td { (webhook.body) }
                            td { @if webhook.lost { "lost" } @else { (format!("{:?}", webhook.answers)) } }
                        }
                    }
                }
                h2 { "Faults" }
                pre tabindex="0" { (faults) }
                p { "Add one, or a list:" }
                pre tabindex="0" { (r#"curl -d '{"call":"again","times":1,"fault":"cut_after_effect"}' /_simulator/faults
curl -d '{"call":"again","merchant_uid":"01J","fault":{"decline":{"message":"잔액이 부족합니다."}}}' /_simulator/faults
curl -d '{"call":"lookup","chance":0.2,"fault":{"slow":"40s"}}' /_simulator/faults
curl -X DELETE /_simulator/faults"#) }
            }
        }
    };
    html_response(StatusCode::OK, &page)
}
