//! The access token: one for all calls, good for half an hour.
//!
//! I'mport hands out the same token until it ends, and its clock needn't be ours: the life left is
//! `expired_at - now`, both from its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::answer::{Answer, CallError, read};
use super::{Credentials, Iamport, Vault};

/// A token with less life than this isn't used any more: a call must not outlive it.
const MARGIN: SignedDuration = SignedDuration::from_secs(90);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct TokenCache {
    vault: Arc<dyn Vault>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    credentials: Option<Credentials>,
    token: Option<Token>,
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
    pub(super) fn new(vault: impl Vault) -> Self {
        Self { vault: Arc::new(vault), current: Mutex::default() }
    }

    async fn open_vault(&self) -> Result<Credentials, CallError> {
        self.vault.open().await.map_err(|e| CallError::NoToken(e.to_string()))
    }
}

/// I'mport doesn't know the credentials.
struct Unknown(CallError);

impl Iamport {
    /// The current token. Those who need a new one at the same time wait for the same call.
    pub(super) async fn token(&self) -> Result<Token, CallError> {
        let mut current = self.token.current.lock().await;
        if let Some(token) = current.token.as_ref().filter(|token| token.good_until > self.clock.now()) {
            return Ok(token.clone());
        }
        let credentials = match &current.credentials {
            Some(credentials) => credentials.clone(),
            None => current.credentials.insert(self.token.open_vault().await?).clone(),
        };
        let token = match self.fetch_token(&credentials).await? {
            Ok(token) => token,
            Err(Unknown(error)) => {
                // They may have been rotated since they were read.
                let renewed = self.token.open_vault().await?;
                if renewed == credentials {
                    return Err(error);
                }
                let renewed = current.credentials.insert(renewed).clone();
                self.fetch_token(&renewed).await?.map_err(|Unknown(error)| error)?
            }
        };
        Ok(current.token.insert(token).clone())
    }

    /// Forgets `refused`, unless somebody has replaced it already.
    pub(super) async fn forget_token(&self, refused: &Token) {
        let mut current = self.token.current.lock().await;
        if current.token.as_ref().is_some_and(|token| token.value == refused.value) {
            current.token = None;
        }
    }

    async fn fetch_token(&self, credentials: &Credentials) -> Result<Result<Token, Unknown>, CallError> {
        let asked_at = self.clock.now();
        let body = serde_json::json!({ "imp_key": credentials.key, "imp_secret": credentials.secret });
        let request = http::Request::post(format!("{}/users/getToken", self.base_url))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|_| CallError::NoToken("the base URL is not a URL".to_owned()))?;
        let no_token = |e: &dyn std::fmt::Display| CallError::NoToken(e.to_string());
        let response = self.transport.send(request, TIMEOUT).await.map_err(|e| no_token(&e))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Ok(Err(Unknown(no_token(&"imp_key and imp_secret are unknown to I'mport"))));
        }
        match read::<TokenResponse>(&response).map_err(|e| no_token(&e))? {
            Answer::Done(token) => {
                let life = SignedDuration::from_secs((token.expired_at - token.now).clamp(0, 86_400));
                // Life within the margin is used at once and not again.
                let good_until = asked_at.saturating_add(life - MARGIN).unwrap_or(asked_at);
                Ok(Ok(Token { value: token.access_token, good_until }))
            }
            Answer::Refused { message, .. } | Answer::NotFound { message } => Err(no_token(&message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::SystemClock;
    use crate::iamport::{Opening, Sending, Transport};

    /// Another secret each time it is opened.
    #[derive(Debug, Clone, Default)]
    struct Rotating(Arc<AtomicUsize>);

    impl Vault for Rotating {
        fn open(&self) -> Opening<'_> {
            let nth = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Box::pin(async move { Ok(Credentials { key: "key".into(), secret: format!("secret-{nth}") }) })
        }
    }

    /// An I'mport that knows one secret.
    #[derive(Debug)]
    struct Knows(&'static str);

    impl Transport for Knows {
        fn send(&self, request: http::Request<Bytes>, _timeout: Duration) -> Sending<'_> {
            let known = String::from_utf8_lossy(request.body()).contains(self.0);
            let (status, body) = match known {
                true => (200, r#"{"code":0,"message":null,"response":{"access_token":"t","now":0,"expired_at":1800}}"#),
                false => (401, r#"{"code":-1,"message":"Unauthorized","response":null}"#),
            };
            let mut response = http::Response::new(Bytes::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Box::pin(async move { Ok(response) })
        }
    }

    async fn token_for(known: &'static str, vault: impl Vault) -> Result<String, CallError> {
        let iamport = Iamport::new("https://iamport", vault, Arc::new(Knows(known)), Arc::new(SystemClock));
        iamport.token().await.map(|token| token.value)
    }

    #[tokio::test]
    async fn a_secret_that_was_rotated_is_read_again_once() {
        let vault = Rotating::default();
        assert_eq!(token_for("secret-2", vault.clone()).await.unwrap(), "t");
        assert_eq!(vault.0.load(Ordering::SeqCst), 2);

        let vault = Rotating::default();
        assert!(matches!(token_for("another", vault.clone()).await, Err(CallError::NoToken(_))));
        assert_eq!(vault.0.load(Ordering::SeqCst), 2, "and not a third time");
    }

    #[tokio::test]
    async fn a_secret_that_works_is_read_once() {
        let vault = Rotating::default();
        let iamport =
            Iamport::new("https://iamport", vault.clone(), Arc::new(Knows("secret-1")), Arc::new(SystemClock));
        for _ in 0..3 {
            let token = iamport.token().await.unwrap();
            iamport.forget_token(&token).await;
        }
        assert_eq!(vault.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_function_without_a_secret_has_no_token() {
        assert!(matches!(token_for("secret", super::super::NoVault).await, Err(CallError::NoToken(_))));
    }
}
