//! The bearer token, for shops outside AWS. Without one, API Gateway has checked the caller's signature (IAM).

use std::fmt;

use lambda_http::Request;
use lambda_http::http::header;
use ring::hmac;

/// Below this a token can be guessed.
const SHORTEST: usize = 20;

/// The token that callers must send. Only its tag is kept, and compared in constant time, whatever the lengths.
#[derive(Clone)]
pub struct ApiToken {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl ApiToken {
    /// `None` where it is too short to be a secret: 20 characters at least.
    pub fn new(token: &str) -> Option<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"maedal API token");
        let tag = hmac::sign(&key, token.as_bytes());
        (token.len() >= SHORTEST).then_some(Self { key, tag })
    }

    /// Whether the request has exactly this token.
    pub(crate) fn admits(&self, request: &Request) -> bool {
        let mut sent = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(sent), None) = (sent.next(), sent.next()) else { return false };
        let Some((scheme, token)) = sent.to_str().ok().and_then(|sent| sent.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && hmac::verify(&self.key, token.as_bytes(), self.tag.as_ref()).is_ok()
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}
