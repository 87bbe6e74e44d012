//! Putting a plan: a new version each time. Subscriptions keep the version that they were opened with.

use serde::{Deserialize, Serialize};

use super::{Billing, TRIES};
use crate::store::{Idempotency, PlanPut, StoreError};
use crate::subscription::{DunningPolicy, Interval, InvalidField, Plan, PlanId, Terms, Won};

/// `PUT /v1/plans/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// What the buyer reads: 1 to 40 characters.
    pub name: String,
    /// Won, tax included.
    pub amount: Won,
    /// `KRW`, which is also what it is without this field.
    #[serde(default)]
    pub currency: Option<String>,
    /// The part of the amount without VAT.
    #[serde(default)]
    pub tax_free: Won,
    /// How long a period is.
    pub interval: Interval,
    /// Days before the first charge.
    #[serde(default)]
    pub trial_days: u16,
    /// Its own dunning.
    #[serde(default)]
    pub dunning: Option<DunningPolicy>,
}

/// A plan that wasn't put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutPlanError {
    /// A field can't be as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The `Idempotency-Key` came with another request before.
    #[error("this Idempotency-Key was used for another request. Use a new key for a new request")]
    KeyReused,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlanRequest {
    fn terms(self) -> Result<Terms, InvalidField> {
        if let Some(currency) = self.currency.filter(|currency| currency != "KRW") {
            let shown: String = currency.chars().take(8).collect();
            return Err(InvalidField::new("currency", format!("KRW is the only currency; it is {shown:?}")));
        }
        let terms = Terms {
            name: self.name,
            amount: self.amount,
            tax_free: self.tax_free,
            interval: self.interval,
            trial_days: self.trial_days,
            dunning: self.dunning,
        };
        terms.check().map(|()| terms)
    }
}

/// The operation that its `Idempotency-Key`s belong to.
const OPERATION: &str = "put-plan";

impl Billing {
    /// Puts the next version of plan `id`. The answer to a repeat under the same key is the first answer.
    pub async fn put_plan(&self, id: PlanId, request: PlanRequest, key: Option<&str>) -> Result<Plan, PutPlanError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !id.as_str().chars().all(plain) {
            return Err(InvalidField::new("id", "letters, digits, - and _ only: it is part of an address").into());
        }
        let digest = super::open_checkout::digest_of(&(&id, &request));
        let terms = request.terms()?;
        let now = self.now();
        if let Some(key) = key
            && let Some(first) = self.store.idempotency(OPERATION, key, now).await?
        {
            return repeated(first, &digest);
        }
        for _ in 0..TRIES {
            let version = self.store.plan(&id).await?.map_or(1, |current| current.version + 1);
            let plan = Plan { id: id.clone(), version, terms: terms.clone() };
            let record = key.map(|key| super::open_checkout::answer(OPERATION, key, &digest, &plan, now));
            match self.store.put_plan(&plan, record.as_ref(), now).await {
                Ok(PlanPut::New) => return Ok(plan),
                Ok(PlanPut::Repeat(first)) => return repeated(first, &digest),
                Ok(PlanPut::Lost) | Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "put a plan" }.into())
    }
}

fn repeated(first: Idempotency, digest: &str) -> Result<Plan, PutPlanError> {
    if first.digest != digest {
        return Err(PutPlanError::KeyReused);
    }
    serde_json::from_str(&first.answer)
        .map_err(|e| StoreError::Defect { task: "read the answer to a repeat", reason: e.to_string() }.into())
}
