//! The merchant's backend, which signs, and its buyers, who don't.

use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::Result;
use crate::aws::Aws;

/// Talks to the deployed API, and to I'mport as a browser does.
#[derive(Debug, Clone)]
pub struct Shop {
    pub(crate) aws: Aws,
    /// Where the API is.
    pub api: String,
    /// Where I'mport is.
    pub iamport: String,
}

/// What a browser is shown.
#[derive(Debug, Clone)]
pub struct Landing {
    /// 200 with a page, 303 with an address, or an error.
    pub status: StatusCode,
    /// Where it leads.
    pub location: Option<String>,
    /// What it says.
    pub page: String,
}

impl Shop {
    /// A call of the merchant's API, signed.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let url = format!("{}{path}", self.api);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let answer = self.aws.signed("execute-api", method, &url, &headers, body).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// As [`Shop::call`]; it has to work.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        match self.call(method.clone(), path, body).await? {
            (status, body) if status.is_success() => Ok(body),
            (status, body) => Err(format!("{method} {path}: {status} {body}").into()),
        }
    }

    /// A subscription, as the API shows it.
    pub async fn subscription(&self, id: &str) -> Result<Value> {
        self.ask(Method::GET, &format!("/v1/subscriptions/{id}"), &Value::Null).await
    }

    /// The statuses of a subscription's charges, in order.
    pub async fn charges(&self, id: &str) -> Result<Vec<String>> {
        let read = self.ask(Method::GET, &format!("/v1/subscriptions/{id}/charges"), &Value::Null).await?;
        let charges = read["charges"].as_array().ok_or("charges without a list")?;
        Ok(charges.iter().map(|charge| charge["status"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// A checkout session for `plan`.
    pub async fn session(&self, plan: &str, customer: &str) -> Result<String> {
        let request = json!({
            "plan": plan,
            "customer_id": customer,
            "buyer": { "name": "김매달", "email": "buyer@shop.example" },
            "success_url": "https://shop.example/done",
        });
        let session = self.ask(Method::POST, "/v1/checkout-sessions", &request).await?;
        session["id"].as_str().map(str::to_owned).ok_or_else(|| format!("a session without an id: {session}").into())
    }

    /// The checkout page.
    pub async fn page(&self, session: &str) -> Result<Landing> {
        self.browse(&format!("{}/checkout/{session}", self.api)).await
    }

    /// The button on it: what goes to `IMP.request_pay`.
    pub async fn window(&self, session: &str) -> Result<Value> {
        let url = format!("{}/checkout/{session}/window", self.api);
        let answer = self.aws.unsigned(Method::POST, &url, String::new()).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        match status.is_success() {
            true => Ok(serde_json::from_str(&text)?),
            false => Err(format!("{url}: {status} {text}").into()),
        }
    }

    /// The payment window, in which the buyer approves. Returns the `m_redirect_url` with its outcome.
    pub async fn approve(&self, window: &Value) -> Result<String> {
        let mut order = window["request"].clone();
        order["user_code"] = window["user_code"].clone();
        let opened =
            self.aws.unsigned(Method::POST, &format!("{}/chai/window", self.iamport), order.to_string()).await?;
        let opened: Value = serde_json::from_str(&opened.text().await?)?;
        let id = opened["window_id"].as_str().ok_or_else(|| format!("the window doesn't open: {opened}"))?;
        let press = format!("{}/chai/window/{id}/approve", self.iamport);
        let answer = self.aws.unsigned(Method::POST, &press, String::new()).await?;
        let back = answer.headers().get("location").ok_or("the window leads nowhere")?;
        Ok(back.to_str()?.to_owned())
    }

    /// The browser comes back to `m_redirect_url`: over HTTPS on AWS, here without TLS.
    pub async fn come_back(&self, address: &str) -> Result<Landing> {
        let address: Uri = address.parse()?;
        let path = address.path_and_query().ok_or("an address without a path")?;
        self.browse(&format!("{}{path}", self.api)).await
    }

    /// A button of the buyer's own page, at the version that the page showed.
    pub async fn press(&self, link: &str, button: &str, version: u64) -> Result<Landing> {
        let link: Uri = link.parse()?;
        let url = format!("{}{}/{button}", self.api, link.path());
        landing(self.aws.form(&url, &[("version", &version.to_string())]).await?).await
    }

    /// From the session to the shop's own page.
    pub async fn subscribe(&self, session: &str) -> Result<Landing> {
        let window = self.window(session).await?;
        let back = self.approve(&window).await?;
        self.come_back(&back).await
    }

    async fn browse(&self, url: &str) -> Result<Landing> {
        landing(self.aws.unsigned(Method::GET, url, String::new()).await?).await
    }
}

async fn landing(answer: reqwest::Response) -> Result<Landing> {
    let location = answer.headers().get("location").and_then(|location| location.to_str().ok()).map(str::to_owned);
    Ok(Landing { status: answer.status(), location, page: answer.text().await? })
}
