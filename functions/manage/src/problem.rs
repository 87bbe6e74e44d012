//! What is wrong with a request, as a problem document (RFC 9457).

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use maedal::billing::{BeginError, CommandError, OpenError, PutPlanError, RefundError};
use maedal::rotating::SecretError;
use maedal::store::StoreError;
use maedal::subscription::{InvalidField, Refused};
use serde::Serialize;
use tracing::error;

/// How long a caller waits before it asks a table again that could not answer, in seconds.
const RETRY_AFTER: &str = "2";

/// An error as an answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<String>,
    reason: Option<&'static str>,
    header: Option<Box<(HeaderName, String)>>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Problem {
    /// `detail` names what is wrong and the way out.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None, reason: None, header: None }
    }

    /// A field that can't be as it is.
    pub(crate) fn invalid(field: impl Into<String>, rule: impl AsRef<str>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "").of(field, rule.as_ref())
    }

    /// A header or a field that can't be read.
    pub(crate) fn malformed(field: impl Into<String>, rule: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "").of(field, rule)
    }

    /// A state that doesn't allow it.
    pub(crate) fn refused(reason: &'static str, detail: &str) -> Self {
        Self { reason: Some(reason), ..Self::new(StatusCode::CONFLICT, detail) }
    }

    pub(crate) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn wrong_method(allow: String) -> Self {
        let detail = format!("this path takes {allow} only");
        Self { header: Some(Box::new((header::ALLOW, allow))), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// The caller isn't who it has to be. Says nothing of why.
    pub(crate) fn unauthorized() -> Self {
        Self {
            header: Some(Box::new((header::WWW_AUTHENTICATE, "Bearer".to_owned()))),
            ..Self::new(StatusCode::UNAUTHORIZED, "send the API token: Authorization: Bearer {token}")
        }
    }

    /// Not now. `detail` says what to do.
    pub(crate) fn unavailable(detail: &str) -> Self {
        Self {
            header: Some(Box::new((header::RETRY_AFTER, RETRY_AFTER.to_owned()))),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    fn of(mut self, field: impl Into<String>, rule: &str) -> Self {
        let field = field.into();
        self.detail = format!("{field}: {rule}");
        self.field = Some(field);
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            reason: self.reason,
        };
        let mut response = super::answer(self.status, &document);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.map(|header| *header)
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<InvalidField> for Problem {
    fn from(invalid: InvalidField) -> Self {
        Self::invalid(invalid.field, invalid.rule)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        error!(%error, "the table could not do what the merchant asked for");
        match error {
            StoreError::Conflict { .. } | StoreError::Unavailable { .. } => {
                Self::unavailable("the table can't do this now. Send the same request again, with its Idempotency-Key")
            }
            StoreError::Defect { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "this is a defect of ours; the log says more")
            }
        }
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        error!(%error, "a secret could not be read");
        Self::unavailable("a secret of ours can't be read now. Send the same request again")
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unknown => Self::not_found("there is no such subscription"),
            CommandError::Refused(Refused { reason, detail }) => {
                Self { reason: Some(reason.word()), ..Self::new(StatusCode::CONFLICT, detail) }
            }
            CommandError::Version { .. } => {
                Self { reason: Some("version"), ..Self::new(StatusCode::CONFLICT, error.to_string()) }
            }
            CommandError::KeyReused => {
                let problem = Self::new(StatusCode::CONFLICT, "").of("Idempotency-Key", &error.to_string());
                Self { reason: Some("idempotency_key"), ..problem }
            }
            CommandError::Store(error) => error.into(),
        }
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::Command(error) => error.into(),
            RefundError::Invalid(invalid) => invalid.into(),
            RefundError::UnknownCharge => {
                Self::not_found("the subscription has no such charge. GET its charges lists them")
            }
        }
    }
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Invalid(invalid) => invalid.into(),
            BeginError::KeyReused => Self::new(StatusCode::CONFLICT, "").of("Idempotency-Key", &error.to_string()),
            BeginError::Store(error) => error.into(),
        }
    }
}

impl From<PutPlanError> for Problem {
    fn from(error: PutPlanError) -> Self {
        match error {
            PutPlanError::Invalid(invalid) => invalid.into(),
            PutPlanError::KeyReused => Self::new(StatusCode::CONFLICT, "").of("Idempotency-Key", &error.to_string()),
            PutPlanError::Store(error) => error.into(),
        }
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Invalid(invalid) => invalid.into(),
            OpenError::UnknownPlan(_) => Self::invalid("plan", error.to_string()),
            OpenError::CustomerUidTaken => Self::new(StatusCode::CONFLICT, "").of("customer_uid", &error.to_string()),
            OpenError::KeyReused => Self::new(StatusCode::CONFLICT, "").of("Idempotency-Key", &error.to_string()),
            OpenError::Store(error) => error.into(),
        }
    }
}
