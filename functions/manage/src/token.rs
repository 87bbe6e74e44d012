//! Who may call: a caller whose signature API Gateway has checked (IAM); and, where the merchant has a bearer token for a
//! shop outside AWS, one who sends it.

use std::fmt;

use lambda_http::http::header;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use maedal::rotating::{Rotating, SecretError, Texts};
use ring::hmac;

/// The token that callers outside AWS send. It is compared in constant time, whatever the lengths. After a rotation the
/// new one works at once, and the old one for five minutes at most.
pub struct ApiToken(Rotating);

impl ApiToken {
    /// The token is this secret's present text.
    pub const fn new(secret: Rotating) -> Self {
        Self(secret)
    }

    /// Whether the request comes with a checked signature, or with exactly this token.
    pub(crate) async fn admits(&self, request: &Request) -> Result<bool, SecretError> {
        if signer(request).is_some() {
            return Ok(true);
        }
        let Some(sent) = bearer(request) else { return Ok(false) };
        Ok(is(&*self.0.texts().await?, sent) || is(&*self.0.newest().await?, sent))
    }
}

/// Who asks, for the record: the signer's ARN, or that it came with the token.
pub(crate) fn caller(request: &Request) -> String {
    match signer(request) {
        Some(arn) => arn.to_owned(),
        None if bearer(request).is_some() => "the API token".to_owned(),
        None => "unsigned".to_owned(),
    }
}

/// API Gateway says who has signed the request, and nobody else writes there.
fn signer(request: &Request) -> Option<&str> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.authorizer.as_ref()?.iam.as_ref()?.user_arn.as_deref(),
        Some(_) | None => None,
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let mut sent = request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(sent), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = sent.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Tags are compared, not texts: so no length and no first difference shows in the time that it takes.
fn is(texts: &Texts, sent: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"maedal API token");
    hmac::verify(&key, sent.as_bytes(), hmac::sign(&key, texts.current.as_bytes()).as_ref()).is_ok()
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}
