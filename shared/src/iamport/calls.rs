//! The calls that Maedal makes, one method each. Paths, fields and limits: PortOne V1 OpenAPI.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Iamport;
use super::answer::{Answer, CallError, read};
use super::payment::IamportPayment;
use crate::metrics::{self, Metric};
use crate::subscription::{CustomerUid, ImpUid, MerchantUid, Won};

/// I'mport documents no timeout; gateways answer within seconds, and a worker has other work.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(30);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);
/// A long list takes longer.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// A page of a list by status. I'mport would give 1,000, of more than a kilobyte each.
pub const LISTED: usize = 500;
/// A page of `findAll`. One name has one payment, rarely a few.
const PAGE: usize = 100;
const MOST_PAGES: usize = 10;
/// What I'mport says of a `customer_uid` that no billing key is kept under.
const NO_KEY: &str = "등록된 정보를 찾을 수 없습니다";

/// `POST /subscribe/payments/again`: charge a billing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Again<'a> {
    /// The billing key.
    pub customer_uid: &'a CustomerUid,
    /// Our name for the attempt; the only guard against doing it twice.
    pub merchant_uid: MerchantUid,
    /// How much, in won.
    pub amount: Won,
    /// What the buyer reads, 1 to 40 characters.
    pub name: &'a str,
    /// The part without VAT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_free: Option<Won>,
}

/// `POST /payments/cancel`: give back all or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cancel<'a> {
    /// The payment.
    pub imp_uid: &'a ImpUid,
    /// How much, in won.
    pub amount: Won,
    /// What of it stands now. Another balance and I'mport refuses: so a repeat does nothing.
    pub checksum: Won,
    /// Why.
    pub reason: &'a str,
}

/// A status that payments are listed by. Each is found by the time when it came into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Paid, and nothing of it went back.
    Paid,
    /// All or a part of it went back.
    Cancelled,
}

/// A page of a list of payments.
#[derive(Debug, Clone)]
pub struct PaymentPage {
    /// How many there are on all pages.
    pub total: usize,
    /// Those of this page.
    pub payments: Vec<IamportPayment>,
}

/// `GET /subscribe/customers/{customer_uid}`: a billing key, as far as I'mport shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingKey {
    /// What it is kept under.
    pub customer_uid: String,
    /// The gateway.
    #[serde(default)]
    pub pg_provider: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: Value,
    list: Vec<IamportPayment>,
}

impl Iamport {
    /// Opens the connection, and has a token ready.
    pub async fn warm_up(&self) -> Result<(), CallError> {
        self.token().await.map(drop)
    }

    /// Charges a billing key. Not idempotent: whoever calls it has stored its intent before.
    ///
    /// It is handed to the network no later than `send_by`: the clock is looked at last, behind the token, and before each
    /// try. From there it is on its way or given up within `CHARGE_TIMEOUT`, a connection that has to be made included.
    pub async fn again(&self, again: &Again<'_>, send_by: Timestamp) -> Result<Answer<IamportPayment>, CallError> {
        if again.name.chars().count() > 40 {
            return Err(CallError::TooLong { field: "name", most: 40 });
        }
        self.post("/subscribe/payments/again", again, send_by).await
    }

    /// A payment by I'mport's name; `None` where it has none, or not yet.
    pub async fn payment(&self, imp_uid: &ImpUid) -> Result<Option<IamportPayment>, CallError> {
        // Without the parameter, payments of a test channel are not found (since 2026-01-26).
        let path = format!("/payments/{}?include_sandbox=true", encode(imp_uid.as_str()));
        found(self.get(&path).await?)
    }

    /// All payments that have our name, whatever became of them; none where I'mport knows none, or not yet.
    pub async fn payments_of(&self, merchant_uid: MerchantUid) -> Result<Vec<IamportPayment>, CallError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/payments/findAll/{merchant_uid}?page={page}&limit={PAGE}&sorting=started");
            let Some(Page { total, list }) = found(self.get(&path).await?)? else { break };
            let got = list.len();
            all.extend(list);
            let more = total.as_u64().map_or(got == PAGE, |total| (all.len() as u64) < total);
            if got == 0 || !more {
                break;
            }
        }
        Ok(all)
    }

    /// The payments of the whole account that came into a status from `from` until before `to`, 90 days at most: one page,
    /// counted from 1. None where there is no such page.
    pub async fn payments_by_status(
        &self,
        status: Listed,
        (from, to): (Timestamp, Timestamp),
        page: usize,
    ) -> Result<Option<PaymentPage>, CallError> {
        let word = match status {
            Listed::Paid => "paid",
            Listed::Cancelled => "cancelled",
        };
        // Both ends are meant, in whole seconds.
        let (from, last) = (from.as_second(), to.as_second() - 1);
        let path = format!("/payments/status/{word}?from={from}&to={last}&page={page}&limit={LISTED}&sorting=started");
        match self.call::<Page>(Method::GET, &path, Bytes::new(), LIST_TIMEOUT).await? {
            Answer::Done(Page { total, list }) => {
                let total = total.as_u64().and_then(|total| usize::try_from(total).ok());
                // Where I'mport doesn't say: one more than is known, as long as pages are full.
                let least = (page - 1) * LISTED + list.len() + usize::from(list.len() == LISTED);
                Ok(Some(PaymentPage { total: total.unwrap_or(least), payments: list }))
            }
            // A page that is there no more, because the list became shorter.
            Answer::Refused { .. } | Answer::NotFound { .. } if page > 1 => Ok(None),
            Answer::NotFound { .. } => Ok(None),
            Answer::Refused { code, .. } => Err(CallError::Nonsense(format!("a list was refused with code {code}"))),
        }
    }

    /// Gives money back. Safe to repeat with the same `checksum`.
    pub async fn cancel(&self, cancel: &Cancel<'_>) -> Result<Answer<IamportPayment>, CallError> {
        self.post("/payments/cancel", cancel, Timestamp::MAX).await
    }

    /// A billing key; `None` where there is none. I'mport says so with a 404 or, as client tests have seen, in words of a refusal:
    /// `요청하신 customer_uid(xxx)로 등록된 정보를 찾을 수 없습니다.` A refusal in other words says nothing of the key.
    pub async fn billing_key(&self, customer_uid: &CustomerUid) -> Result<Option<BillingKey>, CallError> {
        let path = format!("/subscribe/customers/{}", encode(customer_uid.as_str()));
        Ok(match self.get(&path).await? {
            Answer::Done(key) => Some(key),
            Answer::NotFound { .. } => None,
            Answer::Refused { message, .. } if message.contains(NO_KEY) => None,
            Answer::Refused { code, .. } => {
                return Err(CallError::Nonsense(format!("a lookup was refused with code {code}")));
            }
        })
    }

    /// Those of several billing keys that I'mport shows. One that it doesn't show needn't be missing: ask for it alone.
    pub async fn billing_keys(&self, customer_uids: &[&CustomerUid]) -> Result<Vec<BillingKey>, CallError> {
        let asked: Vec<_> =
            customer_uids.iter().map(|uid| format!("customer_uid[]={}", encode(uid.as_str()))).collect();
        let path = format!("/subscribe/customers?{}", asked.join("&").replace("[]", "%5B%5D"));
        Ok(match self.get::<Vec<Value>>(&path).await? {
            // A key of a kind that we don't know hides no other.
            Answer::Done(keys) => keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect(),
            Answer::Refused { .. } | Answer::NotFound { .. } => Vec::new(),
        })
    }

    /// Deletes a billing key for good; `None` where I'mport did not, most often because there was none.
    pub async fn delete_billing_key(
        &self,
        customer_uid: &CustomerUid,
        reason: &str,
    ) -> Result<Option<BillingKey>, CallError> {
        let path = format!("/subscribe/customers/{}?reason={}", encode(customer_uid.as_str()), encode(reason));
        Ok(match self.call(Method::DELETE, &path, Bytes::new(), CHARGE_TIMEOUT).await? {
            Answer::Done(key) => Some(key),
            Answer::Refused { .. } | Answer::NotFound { .. } => None,
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, CallError> {
        self.call(Method::GET, path, Bytes::new(), LOOKUP_TIMEOUT).await
    }

    /// As [`Iamport::get`], of what may take longer.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, CallError> {
        self.call(Method::GET, path, Bytes::new(), LIST_TIMEOUT).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        send_by: Timestamp,
    ) -> Result<Answer<T>, CallError> {
        let body = serde_json::to_vec(body).map_err(|e| CallError::Nonsense(e.to_string()))?;
        self.call_by(send_by, Method::POST, path, body.into(), CHARGE_TIMEOUT).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer<T>, CallError> {
        self.call_by(Timestamp::MAX, method, path, body, timeout).await
    }

    /// One call, measured, of which the brake takes note.
    async fn call_by<T: DeserializeOwned>(
        &self,
        send_by: Timestamp,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer<T>, CallError> {
        let began = self.clock.now();
        let started = tokio::time::Instant::now();
        let answer = self.ask(send_by, method, path, body, timeout).await;
        let now = self.clock.now();
        // What was held up here says nothing of I'mport.
        let answered = matches!(answer, Ok(_) | Err(CallError::TooLate));
        self.brake.note(answered, now.duration_since(began), now);
        let millis = (started.elapsed().as_secs_f64() * 1_000.0).round();
        let failed = if answered { 0.0 } else { 1.0 };
        metrics::put(&[(Metric::IamportLatency, millis), (Metric::IamportErrors, failed)]);
        answer
    }

    /// A token that is refused is replaced once, and the call made again: it was not carried out.
    async fn ask<T: DeserializeOwned>(
        &self,
        send_by: Timestamp,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer<T>, CallError> {
        let mut token = self.token().await?;
        let mut replaced = false;
        loop {
            let request = http::Request::builder()
                .method(method.clone())
                .uri(format!("{}{path}", self.base_url))
                .header(http::header::AUTHORIZATION, format!("Bearer {}", token.value))
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body.clone())
                .map_err(|_| CallError::NoToken("the base URL is not a URL".to_owned()))?;
            if self.clock.now() > send_by {
                return Err(CallError::TooLate);
            }
            self.calls.fetch_add(1, Ordering::Relaxed);
            let response = self.transport.send(request, timeout).await?;
            if response.status() == StatusCode::UNAUTHORIZED && !replaced {
                replaced = true;
                self.forget_token(&token).await;
                token = self.token().await?;
                continue;
            }
            return read(&response);
        }
    }
}

/// A lookup's answer. A refusal is no answer to 'is there one', so nothing may be concluded from it.
pub(super) fn found<T>(answer: Answer<T>) -> Result<Option<T>, CallError> {
    match answer {
        Answer::Done(thing) => Ok(Some(thing)),
        Answer::NotFound { .. } => Ok(None),
        Answer::Refused { code, .. } => Err(CallError::Nonsense(format!("a lookup was refused with code {code}"))),
    }
}

/// Percent-encodes all but letters, digits and a few marks, for a path or a query.
pub(super) fn encode(s: &str) -> String {
    form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>().replace('+', "%20")
}
