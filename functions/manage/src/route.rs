//! Which request is which operation. The one list of all that is served; `openapi.json` describes the same.

use lambda_http::http::Method;

use super::problem::Problem;

/// What the API can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// All plans that are sold.
    ListPlans,
    /// One plan.
    GetPlan,
    /// A new version of a plan.
    PutPlan,
    /// A new checkout session.
    OpenCheckout,
    /// Subscriptions of a customer or in a state.
    ListSubscriptions,
    /// One subscription.
    GetSubscription,
    /// End it, now or with the paid period.
    Cancel,
    /// Charge nothing until it is resumed.
    Pause,
    /// Undo a pause or a planned cancellation.
    Resume,
    /// Another plan.
    ChangePlan,
    /// A checkout session for a new payment method.
    ReplacePaymentMethod,
    /// A link to the buyer's own page.
    OpenMyPage,
    /// Charge what is past due.
    Retry,
    /// Delete the billing key at I'mport.
    DeleteKey,
    /// The charges of a subscription, with their refunds.
    ListCharges,
    /// What has happened to a subscription.
    ListEvents,
    /// One charge.
    GetCharge,
    /// Give back a charge, or a part of it.
    Refund,
    /// Whether charges are made.
    GetCharging,
    /// The kill switch.
    SwitchCharging,
    /// Erase a customer's data.
    EraseCustomer,
    /// What waits for a person.
    ListReviews,
    /// Decide what becomes of it.
    Repair,
    /// Bring subscriptions from elsewhere.
    BeginImport,
    /// How far an import has come.
    GetImport,
    /// The rows that it did not take, and why.
    ListRefusedRows,
}

/// A method and a path template: an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// `{name}` stands for any one segment.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
}

const fn route(method: &'static str, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation }
}

/// All that is served.
pub const ROUTES: &[Route] = &[
    route("GET", "/v1/plans", Operation::ListPlans),
    route("GET", "/v1/plans/{plan}", Operation::GetPlan),
    route("PUT", "/v1/plans/{plan}", Operation::PutPlan),
    route("POST", "/v1/checkout-sessions", Operation::OpenCheckout),
    route("GET", "/v1/subscriptions", Operation::ListSubscriptions),
    route("GET", "/v1/subscriptions/{id}", Operation::GetSubscription),
    route("POST", "/v1/subscriptions/{id}/cancel", Operation::Cancel),
    route("POST", "/v1/subscriptions/{id}/pause", Operation::Pause),
    route("POST", "/v1/subscriptions/{id}/resume", Operation::Resume),
    route("POST", "/v1/subscriptions/{id}/change-plan", Operation::ChangePlan),
    route("POST", "/v1/subscriptions/{id}/payment-method-session", Operation::ReplacePaymentMethod),
    route("POST", "/v1/subscriptions/{id}/my-session", Operation::OpenMyPage),
    route("POST", "/v1/subscriptions/{id}/retry", Operation::Retry),
    route("DELETE", "/v1/subscriptions/{id}/billing-key", Operation::DeleteKey),
    route("GET", "/v1/subscriptions/{id}/charges", Operation::ListCharges),
    route("GET", "/v1/subscriptions/{id}/events", Operation::ListEvents),
    route("GET", "/v1/subscriptions/{id}/charges/{charge}", Operation::GetCharge),
    route("POST", "/v1/subscriptions/{id}/charges/{charge}/refund", Operation::Refund),
    route("GET", "/v1/charging", Operation::GetCharging),
    route("PUT", "/v1/charging", Operation::SwitchCharging),
    route("DELETE", "/v1/customers/{customer_id}/data", Operation::EraseCustomer),
    route("GET", "/v1/reviews", Operation::ListReviews),
    route("POST", "/v1/subscriptions/{id}/repair", Operation::Repair),
    route("POST", "/v1/imports", Operation::BeginImport),
    route("GET", "/v1/imports/{import}", Operation::GetImport),
    route("GET", "/v1/imports/{import}/refused", Operation::ListRefusedRows),
];

/// The operation that a request asks for, and its path's parameters in order. A stage or a mapped base path may stand in
/// front of `/v1`.
pub(crate) fn find<'p>(method: &Method, path: &'p str) -> Result<(Operation, Vec<&'p str>), Problem> {
    let segments: Vec<&str> = path.split('/').collect();
    let mut allow = Vec::new();
    for route in ROUTES {
        let Some(parameters) = parameters(route.path, &segments) else { continue };
        if method == route.method {
            return Ok((route.operation, parameters));
        }
        allow.push(route.method);
    }
    match allow.is_empty() {
        true => Err(Problem::not_found(
            "nothing is at this path. The API is under /v1: plans, checkout-sessions, subscriptions, charging, imports",
        )),
        false => Err(Problem::wrong_method(allow.join(", "))),
    }
}

fn parameters<'p>(template: &str, segments: &[&'p str]) -> Option<Vec<&'p str>> {
    let template: Vec<&str> = template.split('/').skip(1).collect();
    let tail = &segments[segments.len().checked_sub(template.len())?..];
    let mut parameters = Vec::new();
    for (expected, segment) in template.into_iter().zip(tail) {
        match expected.starts_with('{') {
            true if !segment.is_empty() => parameters.push(*segment),
            false if expected == *segment => (),
            true | false => return None,
        }
    }
    Some(parameters)
}
