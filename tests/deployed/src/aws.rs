//! Calls of AWS's HTTP APIs, signed with SigV4, by the account's root.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Method;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::{REGION, Result};

/// Longer than API Gateway waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// MiniStack's root.
const KEY: &str = "test";

/// Signs and sends.
#[derive(Debug, Clone)]
pub struct Aws {
    http: Client,
    endpoint: SocketAddr,
}

impl Aws {
    /// One that reaches every name below `.localhost` at `endpoint`. Redirects are answers, not followed.
    pub fn at(endpoint: SocketAddr, names: &[&str]) -> Result<Self> {
        maedal::aws::install_crypto();
        let mut client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_WITHIN);
        for name in names {
            client = client.resolve(name, endpoint);
        }
        Ok(Self { http: client.build()?, endpoint })
    }

    /// A call in the JSON protocol: `target` is `Service_version.Action`. An error is one of the call, with AWS's words.
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        let answer = self.signed(service, Method::POST, &self.url("/"), &headers, body.to_string()).await?;
        read(target, answer).await
    }

    /// A call in the REST protocol.
    pub async fn rest(&self, service: &str, method: Method, path: &str, body: &Value) -> Result<Value> {
        let headers = [("content-type", "application/json")];
        let answer = self.signed(service, method, &self.url(path), &headers, body.to_string()).await?;
        read(path, answer).await
    }

    /// A call in the query protocol: `Action` and its parameters.
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.signed(service, Method::POST, &self.url("/"), &headers, body).await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("{parameters:?}: {}", answer.text().await?).into()),
        }
    }

    /// A signed request.
    pub async fn signed(
        &self,
        service: &str,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Response> {
        let identity = Credentials::new(KEY, KEY, None, None, "MiniStack").into();
        let settings = SigningSettings::default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let body_bytes = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method.as_str(), url, headers.iter().copied(), body_bytes)?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = self.http.request(method, url);
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        Ok(request.body(body).send().await?)
    }

    /// A request that nobody has signed.
    pub async fn unsigned(&self, method: Method, url: &str, body: String) -> Result<Response> {
        let request = self.http.request(method, url).header("content-type", "application/json");
        Ok(request.body(body).send().await?)
    }

    /// A form, as a browser posts it.
    pub async fn form(&self, url: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        Ok(request.header("sec-fetch-site", "same-origin").body(body).send().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.endpoint)
    }
}

async fn read(what: &str, answer: Response) -> Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    match status.is_success() {
        true if text.is_empty() => Ok(Value::Null),
        true => Ok(serde_json::from_str(&text)?),
        false => Err(format!("{what}: {status} {text}").into()),
    }
}
