//! The access token: one for all calls, good for half an hour.
//!
//! I'mport hands out the same token until it ends, and its clock needn't be ours: the life left is
//! `expired_at - now`, both from its answer.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::answer::{Answer, CallError, read};
use super::{Credentials, Iamport};

/// A token with less life than this isn't used any more: a call must not outlive it.
const MARGIN: SignedDuration = SignedDuration::from_secs(90);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct TokenCache {
    credentials: Credentials,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: String,
    good_until: Timestamp,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(until {})", self.good_until)
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    now: i64,
    expired_at: i64,
}

impl TokenCache {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, current: Mutex::new(None) }
    }
}

impl Iamport {
    /// The current token. Those who need a new one at the same time wait for the same call.
    pub(super) async fn token(&self) -> Result<Token, CallError> {
        let mut current = self.token.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.good_until > self.clock.now()) {
            return Ok(token.clone());
        }
        let token = self.fetch_token().await?;
        *current = Some(token.clone());
        Ok(token)
    }

    /// Forgets `refused`, unless somebody has replaced it already.
    pub(super) async fn forget_token(&self, refused: &Token) {
        let mut current = self.token.current.lock().await;
        if current.as_ref().is_some_and(|token| token.value == refused.value) {
            *current = None;
        }
    }

    async fn fetch_token(&self) -> Result<Token, CallError> {
        let asked_at = self.clock.now();
        let credentials = &self.token.credentials;
        let body = serde_json::json!({ "imp_key": credentials.key, "imp_secret": credentials.secret });
        let request = http::Request::post(format!("{}/users/getToken", self.base_url))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|_| CallError::NoToken("the base URL is not a URL".to_owned()))?;
        let no_token = |e: &dyn std::fmt::Display| CallError::NoToken(e.to_string());
        let response = self.transport.send(request, TIMEOUT).await.map_err(|e| no_token(&e))?;
        match read::<TokenResponse>(&response).map_err(|e| no_token(&e))? {
            Answer::Done(token) => {
                let life = SignedDuration::from_secs((token.expired_at - token.now).clamp(0, 86_400));
                // Life within the margin is used at once and not again.
                let good_until = asked_at.saturating_add(life - MARGIN).unwrap_or(asked_at);
                Ok(Token { value: token.access_token, good_until })
            }
            Answer::Refused { message, .. } | Answer::NotFound { message } => Err(no_token(&message)),
        }
    }
}
