//! Every call of the merchant's API as a command line, filled in for the subscription at hand.

use manage::{Operation, ROUTES, Route};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::view::View;
use crate::books::Account;
use crate::stack::Parts;

pub(super) fn section(parts: &Parts, view: &View, account: &Account) -> Markup {
    let words = view.words();
    html! {
        details id="curl" {
            summary { (words.api) }
            ul.curl {
                @for (nth, route) in ROUTES.iter().filter(|route| !route.path.contains("{import}")).enumerate() {
                    li {
                        pre id={ "curl-" (nth) } tabindex="0" { (curl(&parts.url, route, account)) }
                        // Shown by the script, which alone can copy.
                        button.quiet id={ "copy-" (nth) } type="button" hidden data-copy={ "curl-" (nth) } data-copied=(words.copied)
                            aria-describedby={ "curl-" (nth) } { (words.copy) }
                    }
                }
            }
        }
    }
}

/// The command line of one call.
pub(super) fn curl(url: &str, route: &Route, account: &Account) -> String {
    let path = route
        .path
        .replace("{id}", &account.subscription.id.to_string())
        .replace("{plan}", &escaped(account.subscription.plan.id.as_str()))
        .replace("{customer_id}", &escaped(account.subscription.customer_id.as_str()))
        .replace("{charge}", &charge(account));
    let query = match route.operation {
        Operation::ListSubscriptions => format!("?customer_id={}", escaped(account.subscription.customer_id.as_str())),
        Operation::ListCharges | Operation::ListEvents => "?limit=10".to_owned(),
        Operation::ListPlans
        | Operation::GetPlan
        | Operation::PutPlan
        | Operation::OpenCheckout
        | Operation::GetSubscription
        | Operation::Cancel
        | Operation::Pause
        | Operation::Resume
        | Operation::ChangePlan
        | Operation::ReplacePaymentMethod
        | Operation::OpenMyPage
        | Operation::Retry
        | Operation::DeleteKey
        | Operation::GetCharge
        | Operation::Refund
        | Operation::GetCharging
        | Operation::SwitchCharging
        | Operation::EraseCustomer
        | Operation::ListReviews
        | Operation::Repair
        | Operation::BeginImport
        | Operation::GetImport
        | Operation::ListRefusedRows => String::new(),
    };
    let method = if route.method == "GET" { String::new() } else { format!(" -X {}", route.method) };
    let body = body(route.operation, account)
        .map(|body| format!(" -H 'content-type: application/json' -d '{}'", body.to_string().replace('\'', r"'\''")))
        .unwrap_or_default();
    format!("curl{method} '{url}{path}{query}'{body}")
}

/// The latest charge that was paid, or the first to come.
fn charge(account: &Account) -> String {
    let paid = account.ledger.charges.iter().rev().find(|charge| charge.payment().is_some());
    paid.map_or("1-1".to_owned(), |charge| format!("{}-{}", charge.period, charge.attempt))
}

fn body(operation: Operation, account: &Account) -> Option<Value> {
    let plan = &account.subscription.plan;
    match operation {
        Operation::PutPlan => {
            Some(json!({ "name": plan.terms.name, "amount": plan.terms.amount, "interval": plan.terms.interval }))
        }
        Operation::OpenCheckout => Some(json!({
            "plan": plan.id,
            "customer_id": account.subscription.customer_id,
            "success_url": "https://shop.example/done",
            "cancel_url": "https://shop.example/cart",
        })),
        Operation::Cancel => Some(json!({ "when": "period_end" })),
        Operation::ChangePlan => Some(json!({ "plan": plan.id, "when": "period_end" })),
        Operation::OpenMyPage => Some(json!({ "minutes": 30 })),
        Operation::Refund => Some(json!({ "reason": "requested by the buyer" })),
        Operation::SwitchCharging => Some(json!({ "on": false, "reason": "to look into something" })),
        Operation::Repair => Some(json!({ "action": "accept", "reason": "checked with the gateway" })),
        Operation::BeginImport => {
            let row = json!({ "customer_uid": "member-1001", "plan": plan.id, "next_charge": "2027-12-23" });
            Some(json!({ "rows": [row] }))
        }
        Operation::ListPlans
        | Operation::GetPlan
        | Operation::ListSubscriptions
        | Operation::GetSubscription
        | Operation::Pause
        | Operation::Resume
        | Operation::ReplacePaymentMethod
        | Operation::Retry
        | Operation::DeleteKey
        | Operation::ListCharges
        | Operation::ListEvents
        | Operation::GetCharge
        | Operation::GetCharging
        | Operation::EraseCustomer
        | Operation::ListReviews
        | Operation::GetImport
        | Operation::ListRefusedRows => None,
    }
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
