//! What a finding of a reconciliation means.

use jiff::Timestamp;
use serde::Serialize;

use super::subscription::SubscriptionFacts;
use super::{DomainEvent, Kind};
use crate::subscription::{Finding, FindingKind, ImpUid, MerchantUid, Side};

/// What an event tells of a finding: both sides, each left out where it has nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingFacts {
    /// What differs.
    pub kind: FindingKind,
    /// Our name for the payment.
    pub merchant_uid: MerchantUid,
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
    DomainEvent {
        id: format!("{}-{}-differs", finding.merchant_uid, finding.imp_uid),
        kind: Kind::BooksDiffer,
        version: 0,
        occurred_at: written_at,
        subscription: SubscriptionFacts::named(finding.subscription),
        charge: None,
        refund: None,
        finding: Some(FindingFacts {
            kind: finding.kind,
            merchant_uid: finding.merchant_uid,
            imp_uid: finding.imp_uid.clone(),
            detail: finding.detail.clone(),
            here: finding.here,
            there: finding.there,
        }),
    }
}
