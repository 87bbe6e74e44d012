//! What waits for a person, and the way out: `GET /v1/reviews`, `POST /v1/subscriptions/{id}/repair`.

use jiff::Timestamp;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use maedal::billing::RepairRequest;
use maedal::store::ListBy;
use maedal::subscription::{Audit, Charge, Finding, Intent, RepairAction, Status, Subscription, SubscriptionId, Won};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{App, answer, commands, input, token};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repair {
    action: RepairAction,
    reason: String,
    #[serde(default)]
    version: Option<u64>,
}

/// A subscription that waits, with all that is known.
#[derive(Debug, Serialize)]
struct View {
    id: String,
    version: u64,
    customer_id: String,
    since: Option<Timestamp>,
    reason: String,
    /// Where it stood before.
    was: Option<Status>,
    /// The attempt that nothing is known of, or not what was meant.
    attempt: Option<Attempt>,
    /// Refunds that I'mport keeps refusing.
    refunds: Vec<OpenRefund>,
    /// What reconciling found, with both sides' facts.
    findings: Vec<FindingView>,
    /// What was decided so far, the oldest first.
    decisions: Vec<Decision>,
    /// What was decided and is to be carried out within minutes.
    under_way: Option<RepairAction>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    merchant_uid: String,
    period: u32,
    attempt: u32,
    amount: Won,
    claimed_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct OpenRefund {
    charge: String,
    imp_uid: Option<String>,
    amount: Won,
    tries: u32,
}

#[derive(Debug, Serialize)]
struct FindingView {
    kind: maedal::subscription::FindingKind,
    merchant_uid: String,
    imp_uid: String,
    detail: String,
    here: Option<maedal::subscription::Side>,
    there: Option<maedal::subscription::Side>,
    found_at: Timestamp,
    closed: Option<RepairAction>,
}

#[derive(Debug, Serialize)]
struct Decision {
    action: RepairAction,
    by: String,
    reason: String,
    about: String,
    at: Timestamp,
}

pub(crate) async fn list(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let [limit, cursor] = input::query(request, ["limit", "cursor"])?;
    let (limit, after) = (input::limit(limit)?, input::cursor::<SubscriptionId>(cursor)?);
    let page = app.billing.store.list(&ListBy::State(Status::NeedsReview), after, limit).await?;
    let mut reviews = Vec::with_capacity(page.subscriptions.len());
    for subscription in &page.subscriptions {
        reviews.push(view(app, subscription).await?);
    }
    let next_cursor = page.next.map(|id| id.to_string());
    Ok(answer(StatusCode::OK, &serde_json::json!({ "reviews": reviews, "next_cursor": next_cursor })))
}

/// A decision is written now, and carried out by the step that is due with it: 202.
pub(crate) async fn repair(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let Repair { action, reason, version } = input::json(request)?;
    let by_header = input::if_match(request)?;
    let asked = RepairRequest { action, by: token::caller(request), reason: input::reason(reason)? };
    let decided = app.billing.decide_repair(commands::find(id)?, &asked, by_header.or(version)).await;
    let decided = decided.map_err(|error| commands::problem(error, by_header))?;
    let response = answer(StatusCode::ACCEPTED, &view(app, &decided).await?);
    Ok(commands::with_etag(response, decided.version))
}

async fn view(app: &App, s: &Subscription) -> Result<View, Problem> {
    let store = &app.billing.store;
    let (findings, decisions) = (store.findings(s.id).await?, store.audits(s.id).await?);
    let charges = store.ledger(s.id).await?.charges;
    Ok(View {
        id: s.id.to_string(),
        version: s.version,
        customer_id: s.customer_id.to_string(),
        since: s.review.as_ref().map(|review| review.since),
        reason: s.review.as_ref().map(|review| review.reason.clone()).unwrap_or_default(),
        was: s.review.as_ref().map(|review| review.was),
        attempt: s.in_flight.as_ref().map(|intent| attempt(intent, s.claimed_at)),
        refunds: charges.iter().filter_map(open_refund).collect(),
        findings: findings.into_iter().map(finding).collect(),
        decisions: decisions.into_iter().map(decision).collect(),
        under_way: s.repair.as_ref().map(|repair| repair.action),
    })
}

fn attempt(intent: &Intent, claimed_at: Option<Timestamp>) -> Attempt {
    Attempt {
        merchant_uid: intent.merchant_uid.to_string(),
        period: intent.period,
        attempt: intent.attempt,
        amount: intent.amount,
        claimed_at,
    }
}

fn open_refund(charge: &Charge) -> Option<OpenRefund> {
    charge.refund.as_ref().map(|refund| OpenRefund {
        charge: format!("{}-{}", charge.period, charge.attempt),
        imp_uid: charge.payment().map(|payment| payment.imp_uid.to_string()),
        amount: refund.amount,
        tries: refund.tries,
    })
}

fn finding(finding: Finding) -> FindingView {
    FindingView {
        kind: finding.kind,
        merchant_uid: finding.merchant_uid.to_string(),
        imp_uid: finding.imp_uid.to_string(),
        detail: finding.detail,
        here: finding.here,
        there: finding.there,
        found_at: finding.found_at,
        closed: finding.closed,
    }
}

fn decision(audit: Audit) -> Decision {
    let Audit { at, action, by, reason, review, .. } = audit;
    Decision { action, by, reason, about: review, at }
}
