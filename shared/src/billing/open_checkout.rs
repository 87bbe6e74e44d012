//! Opening a checkout session: the merchant's backend asks, the buyer's browser gets the address.

use crate::subscription::period::FOREVER;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Billing, TRIES};
use crate::store::{Created, Idempotency, StoreError};
use crate::subscription::{
    Buyer, Checkout, CustomerId, CustomerUid, InvalidField, PlanId, Subscription, SubscriptionId,
};

/// `POST /v1/checkout-sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckoutRequest {
    /// The plan to subscribe to; its current version.
    pub plan: PlanId,
    /// The merchant's name for the buyer.
    pub customer_id: CustomerId,
    /// What the payment window shows and I'mport keeps.
    #[serde(default)]
    pub buyer: Buyer,
    /// Where the buyer goes once it worked; a page of ours where there is none.
    #[serde(default)]
    pub success_url: Option<String>,
    /// Where the buyer goes who gives up.
    #[serde(default)]
    pub cancel_url: Option<String>,
    /// What I'mport keeps the billing key under; the session's id where there is none.
    #[serde(default)]
    pub customer_uid: Option<CustomerUid>,
}

/// The answer: where to send the buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id, and the subscription's.
    pub id: SubscriptionId,
    /// Where the buyer subscribes.
    pub url: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A session, new or from an earlier request with the same `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was opened now.
    New(Session),
    /// It was opened by an earlier copy of the request.
    Repeat(Session),
}

/// A session that wasn't opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A field can't be as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// No such plan.
    #[error("there is no plan {0}. PUT /v1/plans/{0} makes one")]
    UnknownPlan(PlanId),
    /// The `customer_uid` is taken: it and a subscription are 1:1.
    #[error("this customer_uid belongs to another subscription. Leave it out to get one of its own")]
    CustomerUidTaken,
    /// The `Idempotency-Key` came with another request before.
    #[error("this Idempotency-Key was used for another request. Use a new key for a new request")]
    KeyReused,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long the answer to an `Idempotency-Key` is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(48);
/// Addresses longer than this would not fit a subscription's kilobyte.
const LONGEST_URL: usize = 300;
/// The operation that its `Idempotency-Key`s belong to.
const OPERATION: &str = "open-checkout";

impl CheckoutRequest {
    /// The first field that can't be as it is.
    fn check(&self) -> Result<(), InvalidField> {
        url("success_url", self.success_url.as_deref())?;
        url("cancel_url", self.cancel_url.as_deref())?;
        self.buyer.check()
    }
}

pub(super) fn url(field: &'static str, value: Option<&str>) -> Result<(), InvalidField> {
    let Some(value) = value else { return Ok(()) };
    let good = url::Url::parse(value).is_ok_and(|url| {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let plain = url.username().is_empty() && url.password().is_none();
        plain && (url.scheme() == "https" || url.scheme() == "http" && local)
    });
    match good && value.len() <= LONGEST_URL {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            format!(
                "an https address of at most {LONGEST_URL} characters, without a user name (http for localhost only)"
            ),
        )),
    }
}

impl Billing {
    /// Opens a session that lives for `life`, reached under `public_url`. The answer to a repeat under the same
    /// `Idempotency-Key` is the first answer.
    pub async fn open_checkout(
        &self,
        request: CheckoutRequest,
        key: Option<&str>,
        public_url: &str,
        life: SignedDuration,
    ) -> Result<Opened, OpenError> {
        request.check()?;
        let digest = digest_of(&request);
        if let Some(key) = key
            && let Some(first) = self.store.idempotency(OPERATION, key, self.now()).await?
        {
            return repeated(&first, &digest);
        }
        let Some(plan) = self.store.plan(&request.plan).await? else {
            return Err(OpenError::UnknownPlan(request.plan));
        };
        for _ in 0..TRIES {
            let now = self.now();
            let id = SubscriptionId::new(self.ids.next(now));
            let expires_at = now.saturating_add(life).unwrap_or(FOREVER);
            let session = Session { id, url: format!("{public_url}/checkout/{id}"), expires_at };
            let checkout = Checkout {
                expires_at,
                success_url: request.success_url.clone(),
                cancel_url: request.cancel_url.clone(),
                decline: None,
                replaces: None,
            };
            let customer_uid = request.customer_uid.clone().unwrap_or_else(|| id.into());
            let mut subscription =
                Subscription::open(id, request.customer_id.clone(), customer_uid, plan.clone(), checkout, now);
            subscription.name_key = Some(self.ids.name_key());
            let record = key.map(|key| answer(OPERATION, key, &digest, &session, now));
            match self.store.create(&subscription, &request.buyer, record.as_ref(), &self.policy).await {
                Ok(Created::New) => return Ok(Opened::New(session)),
                Ok(Created::Repeat(first)) => return repeated(&first, &digest),
                Ok(Created::CustomerUidTaken) => return Err(OpenError::CustomerUidTaken),
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "open a checkout session" }.into())
    }
}

fn repeated(first: &Idempotency, digest: &str) -> Result<Opened, OpenError> {
    if first.digest != digest {
        return Err(OpenError::KeyReused);
    }
    let session = serde_json::from_str(&first.answer).map_err(|e| {
        OpenError::Store(StoreError::Defect { task: "read the answer to a repeat", reason: e.to_string() })
    })?;
    Ok(Opened::Repeat(session))
}

/// A digest of a request: what it said is not kept.
pub(super) fn digest_of(request: &impl Serialize) -> String {
    crate::digest::digest(&serde_json::to_string(request).unwrap_or_default())
}

/// What repeats of a request get.
pub(super) fn answer(
    operation: &'static str,
    key: &str,
    digest: &str,
    answer: &impl Serialize,
    now: Timestamp,
) -> Idempotency {
    Idempotency {
        operation,
        key: key.to_owned(),
        digest: digest.to_owned(),
        answer: serde_json::to_string(answer).unwrap_or_default(),
        ttl: now.saturating_add(KEPT).unwrap_or(now).as_second(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_is_https_or_local() {
        let good = |value: &str| url("success_url", Some(value)).is_ok();
        assert!(good("https://shop.example/done?x=1"));
        assert!(good("http://localhost:3000/done"));
        assert!(good("http://127.0.0.1:9000/shop"));
        for bad in [
            "http://shop.example/",
            "http://localhost.evil.example/",
            "javascript:alert(1)",
            "//shop.example",
            "/done",
            "https://",
            "https://user:secret@shop.example/",
            "",
        ] {
            assert!(!good(bad), "{bad}");
        }
        assert!(!good(&format!("https://shop.example/{}", "x".repeat(300))));
    }
}
