//! A merchant's backend and a buyer's browser, without a browser: the same requests in the same order, over HTTP.

use http::StatusCode;
use maedal::subscription::SubscriptionId;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::stack::Stack;

/// The buttons of the payment window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The buyer agrees: a billing key is issued.
    Approve,
    /// The gateway refuses.
    Decline,
    /// The buyer leaves.
    Close,
}

/// Sends requests as a shop and its buyers do. Redirects are answers, not followed.
#[derive(Debug, Clone)]
pub struct Buyer {
    http: Client,
    api: String,
    iamport: String,
}

/// A request that got no answer.
pub type Unanswered = reqwest::Error;

impl Buyer {
    /// One who uses `stack`.
    pub fn of(stack: &Stack) -> Result<Self, Unanswered> {
        Self::at(stack.url.clone(), stack.iamport_url.clone())
    }

    /// One who knows where the functions and I'mport are.
    pub fn at(api: String, iamport: String) -> Result<Self, Unanswered> {
        maedal::aws::install_crypto();
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, api, iamport })
    }

    /// A GET of a path of the functions, or of a whole address.
    pub async fn get(&self, address: &str) -> Result<Response, Unanswered> {
        self.http.get(self.absolute(address)).send().await
    }

    /// A request with a JSON body.
    pub async fn send(
        &self,
        method: http::Method,
        address: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Response, Unanswered> {
        let mut request = self.http.request(method, self.absolute(address));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        request.header("content-type", "application/json").body(body.to_string()).send().await
    }

    /// A form that a page of ours sends, as a browser does.
    pub async fn submit(&self, address: &str, form: &str) -> Result<Response, Unanswered> {
        let request = self.http.post(self.absolute(address)).header("sec-fetch-site", "same-origin");
        request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await
    }

    /// `PUT /v1/plans/{id}`.
    pub async fn put_plan(&self, id: &str, plan: &Value) -> Result<Response, Unanswered> {
        self.send(http::Method::PUT, &format!("/v1/plans/{id}"), plan, None).await
    }

    /// `POST /v1/checkout-sessions`, as a shop does for one of its customers.
    pub async fn open_session(&self, plan: &str, customer_id: &str) -> Result<Option<SubscriptionId>, Unanswered> {
        let request = json!({
            "plan": plan,
            "customer_id": customer_id,
            "buyer": { "name": "김매달", "email": "buyer@shop.example", "tel": "010-1234-5678" },
        });
        let answer = self.send(http::Method::POST, "/v1/checkout-sessions", &request, None).await?;
        let session: Value = read(answer).await;
        Ok(session["id"].as_str().and_then(|id| id.parse().ok()))
    }

    /// The button on the checkout page: counts an opening and returns what the page gives to the SDK.
    pub async fn open_window(&self, session: SubscriptionId) -> Result<Value, Unanswered> {
        Ok(read(self.send(http::Method::POST, &format!("/checkout/{session}/window"), &Value::Null, None).await?).await)
    }

    /// What the SDK does with it, and the buyer in the window. Returns the address that the browser is sent back to; none
    /// where the window did not open.
    pub async fn press(&self, window: &Value, button: Button) -> Result<Option<String>, Unanswered> {
        let mut params = window["request"].clone();
        params["user_code"] = window["user_code"].clone();
        let opened: Value =
            read(self.send(http::Method::POST, &format!("{}/chai/window", self.iamport), &params, None).await?).await;
        let Some(id) = opened["window_id"].as_str() else { return Ok(None) };
        let action = match button {
            Button::Approve => "approve",
            Button::Decline => "decline",
            Button::Close => "close",
        };
        let answer = self.http.post(format!("{}/chai/window/{id}/{action}", self.iamport)).send().await?;
        Ok(answer.headers().get("location").and_then(|location| location.to_str().ok()).map(str::to_owned))
    }

    /// The whole way: session, window, button, and back to `m_redirect_url`. Returns where the answer leads, or its page.
    pub async fn subscribe(&self, session: SubscriptionId) -> Result<Landing, Unanswered> {
        let window = self.open_window(session).await?;
        match self.press(&window, Button::Approve).await? {
            Some(back) => self.come_back(&back).await,
            None => Ok(Landing { status: StatusCode::BAD_GATEWAY, location: None, page: String::new() }),
        }
    }

    /// The browser comes back to `m_redirect_url`.
    pub async fn come_back(&self, address: &str) -> Result<Landing, Unanswered> {
        let answer = self.get(address).await?;
        let location = answer.headers().get("location").and_then(|l| l.to_str().ok()).map(str::to_owned);
        Ok(Landing { status: answer.status(), location, page: answer.text().await? })
    }

    fn absolute(&self, address: &str) -> String {
        if address.starts_with('/') { format!("{}{address}", self.api) } else { address.to_owned() }
    }
}

/// What the browser shows after the window.
#[derive(Debug, Clone)]
pub struct Landing {
    /// 200 with a page, 303 with an address, or an error.
    pub status: StatusCode,
    /// Where it leads.
    pub location: Option<String>,
    /// What it says.
    pub page: String,
}

/// The answer as JSON; null where it isn't.
pub async fn read(answer: Response) -> Value {
    let bytes = answer.bytes().await.unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
