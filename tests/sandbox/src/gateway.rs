//! The API Gateway of the sandbox: an HTTP request becomes the event that AWS would send, and goes through the functions'
//! real handlers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use lambda_http::Body;
use maedal::clock::Clock;
use serde_json::{Map, Value, json};

/// A function that the HTTP API reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Function {
    Checkout,
    Complete,
    Manage,
    Webhook,
}

impl Function {
    /// Its folder in `functions`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Complete => "complete",
            Self::Manage => "manage",
            Self::Webhook => "webhook",
        }
    }
}

/// Where a path leads, by its first part.
pub const ROUTES: [(&str, Function); 5] = [
    ("checkout", Function::Checkout),
    ("my", Function::Checkout),
    ("payments", Function::Complete),
    ("webhooks", Function::Webhook),
    ("v1", Function::Manage),
];

/// The functions that the HTTP API reaches.
#[derive(Debug, Clone)]
pub struct Functions {
    /// Buyer pages.
    pub checkout: Arc<checkout::App>,
    /// The `m_redirect_url`.
    pub complete: Arc<complete::App>,
    /// The merchant's API.
    pub manage: Arc<manage::App>,
    /// I'mport's webhooks.
    pub webhook: Arc<webhook::App>,
    /// The present, for the events.
    pub clock: Arc<dyn Clock>,
}

impl Functions {
    /// Routes by [`ROUTES`], as `template.yaml` does. `None`: no function has this path.
    pub async fn route(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let place = request.uri().path().split('/').nth(1).unwrap_or_default();
        let (_, function) = ROUTES.into_iter().find(|(first, _)| *first == place)?;
        let event = event(&request, self.clock.now()).to_string();
        let request = match lambda_http::request::from_str(&event) {
            Ok(request) => request,
            Err(problem) => return Some(plain(StatusCode::BAD_REQUEST, &problem.to_string())),
        };
        let response = match function {
            Function::Checkout => checkout::handle(&self.checkout, request).await,
            Function::Complete => complete::handle(&self.complete, request).await,
            Function::Manage => manage::handle(&self.manage, request).await,
            Function::Webhook => webhook::handle(&self.webhook, request).await,
        };
        Some(response.map(bytes_of))
    }
}

/// A text as an answer.
pub fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

fn bytes_of(body: Body) -> Bytes {
    match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    }
}

/// The event of an HTTP API, payload version 2.0, as API Gateway documents it.
pub fn event(request: &Request<Bytes>, now: jiff::Timestamp) -> Value {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let mut headers = joined(request.headers());
    // Cookies have a place of their own.
    let cookies: Vec<String> = match headers.remove("cookie") {
        Some(Value::String(cookies)) => cookies.split("; ").map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    };
    let host = headers.get("host").and_then(Value::as_str).unwrap_or("127.0.0.1").to_owned();
    let mut parameters = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // Repeated parameters come joined by commas.
        let joined = match parameters.get(name.as_ref()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        parameters.insert(name.into_owned(), Value::String(joined));
    }
    let route = format!("ANY {path}");
    let text = headers
        .get("content-type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.contains("json") || kind.starts_with("text/"));
    let body = match (text, std::str::from_utf8(request.body())) {
        (true, Ok(text)) => json!(text),
        // A form comes base64-encoded.
        (true | false, _) => json!(aws_smithy_types::base64::encode(request.body())),
    };
    let is_text = text && std::str::from_utf8(request.body()).is_ok();
    json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "cookies": cookies,
        "queryStringParameters": parameters,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "sandbox",
            "domainName": host,
            "domainPrefix": "sandbox",
            "http": {
                "method": request.method().as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": "sandbox",
            "routeKey": route,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "body": if request.body().is_empty() { Value::Null } else { body },
        "isBase64Encoded": !request.body().is_empty() && !is_text,
    })
}

fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys().filter(|name| **name != header::CONTENT_LENGTH) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        all.insert(name.as_str().to_owned(), Value::String(values.join(",")));
    }
    all
}
