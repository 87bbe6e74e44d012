//! The envelope `{code, message, response}` of every REST answer. PortOne documents that HTTP 200 with a `code` other
//! than 0 is a failure.

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// What every REST answer of I'mport is wrapped in: `{code, message, response}`.
///
/// A refusal is one too, so that a call can end early with `?`.
#[derive(Debug)]
pub(crate) struct Envelope {
    status: StatusCode,
    code: i64,
    message: Option<String>,
    response: Value,
}

impl Envelope {
    /// What went wrong, empty if nothing did.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// 200 and `code` 0.
    pub(crate) fn ok(response: Value) -> Self {
        Self { status: StatusCode::OK, code: 0, message: None, response }
    }

    /// 207: some of what was asked for does not exist.
    pub(crate) fn partial(response: Value) -> Self {
        Self { status: StatusCode::MULTI_STATUS, ..Self::ok(response) }
    }

    /// HTTP 200, but nothing was done: `code` says so and `response` is null.
    pub(crate) fn refused(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, code, message: Some(message.into()), response: Value::Null }
    }

    /// The same with a status of its own, and `code` -1.
    pub(crate) fn failed(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::refused(-1, message) }
    }

    /// 401, as clients have seen it.
    pub(crate) fn unauthorized() -> Self {
        Self::failed(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// 404 of a payment lookup, as clients have seen it.
    pub(crate) fn no_payment() -> Self {
        Self::failed(StatusCode::NOT_FOUND, "존재하지 않는 결제정보입니다.")
    }

    /// 400 with our own words: I'mport's are known for a few parameters only.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::failed(StatusCode::BAD_REQUEST, message)
    }
}

impl From<Envelope> for Response<Bytes> {
    fn from(envelope: Envelope) -> Self {
        let body = json!({
            "code": envelope.code,
            "message": envelope.message,
            "response": envelope.response,
        });
        json_response(envelope.status, &body)
    }
}

/// A JSON answer with the content type that I'mport sends.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    text_response(status, "application/json; charset=UTF-8", body.to_string())
}

/// A whole answer: status, content type, body.
pub(crate) fn text_response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
