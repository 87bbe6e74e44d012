use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Config, Simulator, Webhook};

/// A merchant with a simulator of its own, and a clock that only moves when told to.
pub(crate) struct Merchant {
    pub(crate) simulator: Simulator,
    pub(crate) now: Timestamp,
    pub(crate) token: Option<String>,
}

/// What came back. `body` is null where it is no JSON.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
    pub(crate) delay: Duration,
}

pub(crate) const WEBHOOK_URL: &str = "http://127.0.0.1:1/webhooks/iamport";

impl Merchant {
    /// With a token and the billing key `buyer`.
    pub(crate) fn new() -> Self {
        Self::with(Config { webhook_url: Some(WEBHOOK_URL.into()), ..Config::default() })
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = "2026-01-15T10:00:00+09:00".parse().unwrap();
        let mut merchant = Self { simulator: Simulator::new(config), now, token: None };
        merchant.simulator.seed_key("buyer", now);
        merchant.fetch_token();
        merchant
    }

    pub(crate) fn fetch_token(&mut self) -> Value {
        let credentials = json!({"imp_key": "simulated_key", "imp_secret": "simulated_secret"});
        let token = self.post("/users/getToken", credentials).body["response"].clone();
        self.token = token["access_token"].as_str().map(str::to_owned);
        token
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// `None`: the connection was cut.
    pub(crate) fn try_call(&mut self, method: Method, path: &str, kind: &str, body: String) -> Option<Answer> {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        if let Some(token) = &self.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.parse().unwrap());
        }
        let reply = self.simulator.handle(&request, self.now);
        let delay = reply.delay;
        let response = reply.answer()?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        Some(Answer {
            status: response.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
            location: response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned()),
            delay,
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.try_call(Method::GET, path, "application/json", String::new()).unwrap()
    }

    pub(crate) fn delete(&mut self, path: &str) -> Answer {
        self.try_call(Method::DELETE, path, "application/json", String::new()).unwrap()
    }

    /// Null is an empty body.
    pub(crate) fn post(&mut self, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_call(Method::POST, path, "application/json", body).unwrap()
    }

    pub(crate) fn post_form(&mut self, path: &str, form: &str) -> Answer {
        self.try_call(Method::POST, path, "application/x-www-form-urlencoded", form.into()).unwrap()
    }

    /// Charges `buyer`; `None` if the connection was cut.
    pub(crate) fn try_again(&mut self, merchant_uid: &str, amount: u64) -> Option<Answer> {
        let body = json!({"customer_uid": "buyer", "merchant_uid": merchant_uid, "amount": amount, "name": "월 구독"});
        self.try_call(Method::POST, "/subscribe/payments/again", "application/json", body.to_string())
    }

    pub(crate) fn again(&mut self, merchant_uid: &str, amount: u64) -> Answer {
        self.try_again(merchant_uid, amount).unwrap()
    }

    /// What the SDK sends for a billing key of `customer_uid`.
    pub(crate) fn window_params(merchant_uid: &str, customer_uid: &str) -> Value {
        json!({
            "user_code": "imp00000000",
            "pg": "chai",
            "pay_method": "trans",
            "merchant_uid": merchant_uid,
            "customer_uid": customer_uid,
            "name": "월 구독",
            "amount": 9900,
            "m_redirect_url": "https://shop.example/complete?plan=basic&lang=ko",
        })
    }

    /// Opens a window and presses a button; the redirect's URL.
    pub(crate) fn press(&mut self, params: Value, button: &str) -> String {
        let opened = self.post("/chai/window", params).body;
        let id = opened["window_id"].as_str().unwrap();
        self.post(&format!("/chai/window/{id}/{button}"), Value::Null).location.unwrap()
    }

    pub(crate) fn webhooks_due(&mut self) -> Vec<Webhook> {
        self.simulator.take_due_webhooks(self.now)
    }

    /// The statuses of all payments of an order, oldest first.
    pub(crate) fn statuses(&self, merchant_uid: &str) -> Vec<&'static str> {
        self.simulator.books().payments_of(merchant_uid).map(|payment| payment.status.as_str()).collect()
    }
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        self.status == 200 && self.body["code"] == 0
    }

    /// HTTP 200, but refused: the code.
    pub(crate) fn refusal(&self) -> (i64, &str) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.body["response"], Value::Null);
        (self.body["code"].as_i64().unwrap(), self.body["message"].as_str().unwrap())
    }

    /// An error status, with code -1: the status and the message.
    pub(crate) fn failure(&self) -> (u16, &str) {
        assert_eq!(self.body["code"], -1, "{self:?}");
        assert_eq!(self.body["response"], Value::Null);
        (self.status, self.body["message"].as_str().unwrap())
    }

    pub(crate) fn response(&self) -> &Value {
        assert!(self.is_ok(), "{self:?}");
        &self.body["response"]
    }
}
