//! What a finding of a reconciliation means.

use jiff::Timestamp;
use serde::Serialize;

use super::subscription::SubscriptionFacts;
use super::{DomainEvent, Kind};
use crate::subscription::{Finding, FindingKind, ImpUid, PaymentName, Side};

/// What an event tells of a finding: both sides, each left out where it has nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingFacts {
    /// What differs.
    pub kind: FindingKind,
    /// What the payment is called.
    pub merchant_uid: PaymentName,
    /// I'mport's name for it.
    pub imp_uid: ImpUid,
    /// In words for the operator.
    pub detail: String,
    /// The ledger's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<Side>,
    /// I'mport's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub there: Option<Side>,
}

/// A finding is made once, so it has no version.
pub(super) fn event(finding: &Finding, written_at: Timestamp) -> DomainEvent {
    let named = match &finding.merchant_uid {
        PaymentName::Ours(name) => name.to_string(),
        // What others write into a name is no part of an id.
        PaymentName::Foreign(_) => finding.subscription.to_string(),
    };
    DomainEvent {
        id: format!("{named}-{}-differs", finding.imp_uid),
        kind: Kind::BooksDiffer,
        version: 0,
        occurred_at: written_at,
        subscription: SubscriptionFacts::named(finding.subscription),
        charge: None,
        refund: None,
        finding: Some(FindingFacts {
            kind: finding.kind,
            merchant_uid: finding.merchant_uid.clone(),
            imp_uid: finding.imp_uid.clone(),
            detail: finding.detail.clone(),
            here: finding.here,
            there: finding.there,
        }),
    }
}
