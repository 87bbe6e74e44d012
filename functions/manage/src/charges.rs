//! A charge as the merchant sees it, with its refunds.

use jiff::Timestamp;
use maedal::subscription::{Charge, ChargeStatus, Refund, RefundIntent, Won};
use serde::Serialize;

use super::problem::Problem;

/// One of `GET /v1/subscriptions/{id}/charges`.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    /// `{period}-{attempt}`: its name in this API.
    id: String,
    merchant_uid: String,
    period: u32,
    attempt: u32,
    /// The money that was asked for.
    amount: Won,
    /// The credit that it used.
    credit: Won,
    /// How much of the amount was for what was too little to be charged before.
    carried: Won,
    /// What was too little to be charged: the next charge is more by it.
    left: Won,
    /// How much of it became credit again.
    credited: Won,
    refunded: Won,
    /// How much money can go back.
    refundable: Won,
    settled_at: Timestamp,
    /// The period was paid before: this payment goes back.
    duplicate: bool,
    /// The refund under way.
    refund: Option<RefundView<'a>>,
    /// The refunds that I'mport has made.
    refunds: Vec<SettledRefund<'a>>,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Outcome<'a> {
    Paid { imp_uid: &'a str, paid_at: Option<Timestamp>, receipt_url: Option<&'a str> },
    Declined { imp_uid: Option<&'a str>, reason: &'a str },
    Credited,
    Imported,
}

#[derive(Debug, Serialize)]
struct RefundView<'a> {
    amount: Won,
    reason: &'a str,
    requested_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct SettledRefund<'a> {
    cancellation_id: &'a str,
    amount: Won,
    refunded_at: Option<Timestamp>,
    reason: &'a str,
}

impl<'a> View<'a> {
    /// `refunds` may be those of the whole subscription.
    pub(crate) fn of(charge: &'a Charge, refunds: &'a [Refund]) -> Self {
        let imp_uid = charge.payment().map(|payment| &payment.imp_uid);
        Self {
            id: format!("{}-{}", charge.period, charge.attempt),
            merchant_uid: charge.merchant_uid.to_string(),
            period: charge.period,
            attempt: charge.attempt,
            amount: charge.amount,
            credit: charge.credit,
            carried: charge.carried,
            left: charge.left,
            credited: charge.credited,
            refunded: charge.refunded,
            refundable: charge.refundable(),
            settled_at: charge.settled_at,
            duplicate: charge.duplicate,
            refund: charge.refund.as_ref().map(|RefundIntent { amount, reason, requested_at, .. }| RefundView {
                amount: *amount,
                reason,
                requested_at: *requested_at,
            }),
            refunds: refunds
                .iter()
                .filter(|refund| Some(&refund.imp_uid) == imp_uid)
                .map(|refund| SettledRefund {
                    cancellation_id: &refund.cancellation_id,
                    amount: refund.amount,
                    refunded_at: refund.refunded_at,
                    reason: &refund.reason,
                })
                .collect(),
            outcome: match &charge.status {
                ChargeStatus::Paid(payment) => Outcome::Paid {
                    imp_uid: payment.imp_uid.as_str(),
                    paid_at: payment.paid_at,
                    receipt_url: payment.receipt_url.as_deref(),
                },
                ChargeStatus::Declined { reason, imp_uid } => {
                    Outcome::Declined { imp_uid: imp_uid.as_ref().map(|uid| uid.as_str()), reason }
                }
                ChargeStatus::Credited => Outcome::Credited,
                ChargeStatus::Imported => Outcome::Imported,
            },
        }
    }
}

/// `{period}-{attempt}`.
pub(crate) fn place(id: &str) -> Result<(u32, u32), Problem> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    id.split_once('-')
        .and_then(|(period, attempt)| Some((number(period)?, number(attempt)?)))
        .ok_or_else(|| Problem::not_found("a charge's id is {period}-{attempt}, such as 1-1"))
}
