//! A charge as the merchant sees it.

use jiff::Timestamp;
use maedal::subscription::{Charge, ChargeStatus, Won};
use serde::Serialize;

/// One of `GET /v1/subscriptions/{id}/charges`.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    merchant_uid: String,
    period: u32,
    attempt: u32,
    amount: Won,
    refunded: Won,
    settled_at: Timestamp,
    /// The period was paid before: this payment goes back.
    duplicate: bool,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Outcome<'a> {
    Paid { imp_uid: &'a str, paid_at: Option<Timestamp>, receipt_url: Option<&'a str> },
    Declined { imp_uid: Option<&'a str>, reason: &'a str },
}

impl<'a> View<'a> {
    pub(crate) fn of(charge: &'a Charge) -> Self {
        Self {
            merchant_uid: charge.merchant_uid.to_string(),
            period: charge.period,
            attempt: charge.attempt,
            amount: charge.amount,
            refunded: charge.refunded,
            settled_at: charge.settled_at,
            duplicate: charge.duplicate,
            outcome: match &charge.status {
                ChargeStatus::Paid(payment) => Outcome::Paid {
                    imp_uid: payment.imp_uid.as_str(),
                    paid_at: payment.paid_at,
                    receipt_url: payment.receipt_url.as_deref(),
                },
                ChargeStatus::Declined { reason, imp_uid } => {
                    Outcome::Declined { imp_uid: imp_uid.as_ref().map(|uid| uid.as_str()), reason }
                }
            },
        }
    }
}
