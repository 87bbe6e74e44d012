//! A secret text that is rotated without a deploy: the key that links are signed with, the API's bearer token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

/// What was read is used for so long; then a value that was rotated out is no longer known here.
pub const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// Who brings a value that isn't known makes us read anew, but no sooner than this: a stranger's guesses cost next to nothing.
pub const REREAD: SignedDuration = SignedDuration::from_secs(10);
/// Shorter than this, a secret can be guessed.
const SHORTEST: usize = 20;

/// The text as it is, and as it was before it was rotated.
#[derive(Clone, PartialEq, Eq)]
pub struct Texts {
    /// The present one.
    pub current: String,
    /// The one before, where there was one.
    pub previous: Option<String>,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts(..)")
    }
}

/// A secret that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read a secret: {0}")]
pub struct SecretError(pub String);

/// A secret, wherever it is kept.
pub struct Rotating(Source);

enum Source {
    Fixed(Arc<Texts>),
    Manager {
        client: aws_sdk_secretsmanager::Client,
        arn: String,
        clock: Arc<dyn Clock>,
        read: Mutex<Option<(Timestamp, Arc<Texts>)>>,
    },
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Fixed(_) => "Rotating(fixed)",
            Source::Manager { .. } => "Rotating(Secrets Manager)",
        })
    }
}

impl Rotating {
    /// A text that never changes: on a developer's machine. `None` where it could be guessed: 20 characters at least.
    pub fn fixed(text: &str) -> Option<Self> {
        let texts = Texts { current: text.to_owned(), previous: None };
        (text.len() >= SHORTEST).then(|| Self(Source::Fixed(Arc::new(texts))))
    }

    /// The secret `arn` in Secrets Manager, a plain text.
    pub fn of(client: aws_sdk_secretsmanager::Client, arn: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self(Source::Manager { client, arn: arn.into(), clock, read: Mutex::default() })
    }

    /// The text, read at most [`KEPT`] ago; older only where it can't be read.
    pub async fn texts(&self) -> Result<Arc<Texts>, SecretError> {
        self.at_most(KEPT).await
    }

    /// As [`Rotating::texts`], for who has met a value that isn't known: read at most [`REREAD`] ago.
    pub async fn newest(&self) -> Result<Arc<Texts>, SecretError> {
        self.at_most(REREAD).await
    }

    async fn at_most(&self, age: SignedDuration) -> Result<Arc<Texts>, SecretError> {
        let (client, arn, clock, read) = match &self.0 {
            Source::Fixed(texts) => return Ok(texts.clone()),
            Source::Manager { client, arn, clock, read } => (client, arn, clock, read),
        };
        let kept = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = clock.now();
        if let Some((at, texts)) = &kept
            && now.duration_since(*at) < age
        {
            return Ok(texts.clone());
        }
        match (fetch(client, arn).await, kept) {
            (Ok(texts), _) => {
                let texts = Arc::new(texts);
                *read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, texts.clone()));
                Ok(texts)
            }
            (Err(error), Some((_, texts))) => {
                tracing::warn!(%error, "a secret could not be read anew; the one that is known goes on");
                Ok(texts)
            }
            (Err(error), None) => Err(error),
        }
    }
}

async fn fetch(client: &aws_sdk_secretsmanager::Client, arn: &str) -> Result<Texts, SecretError> {
    let version = async |stage: &str| {
        let read = client.get_secret_value().secret_id(arn).version_stage(stage).send().await;
        match read {
            Ok(value) => Ok(value.secret_string().map(str::to_owned)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(SecretError(error.code().unwrap_or("Secrets Manager gave no answer").to_owned())),
        }
    };
    match version("AWSCURRENT").await? {
        Some(current) if current.len() >= SHORTEST => {
            let previous = version("AWSPREVIOUS").await?.filter(|text| text.len() >= SHORTEST);
            Ok(Texts { current, previous })
        }
        Some(_) => Err(SecretError(format!("it must have {SHORTEST} characters at least"))),
        None => Err(SecretError("there is no such secret".to_owned())),
    }
}
