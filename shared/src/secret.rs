//! I'mport's credentials in AWS Secrets Manager, as JSON: `{"imp_key": "…", "imp_secret": "…"}`.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use serde::Deserialize;

use crate::iamport::{Credentials, Opening, Vault, VaultError};

/// A secret, by its ARN.
#[derive(Debug, Clone)]
pub struct Secret {
    client: aws_sdk_secretsmanager::Client,
    arn: String,
}

#[derive(Deserialize)]
struct Content {
    imp_key: String,
    imp_secret: String,
}

impl Secret {
    /// The secret `arn`.
    pub fn new(client: aws_sdk_secretsmanager::Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }
}

impl Vault for Secret {
    fn open(&self) -> Opening<'_> {
        Box::pin(async move {
            let read = self.client.get_secret_value().secret_id(&self.arn).send().await;
            let value =
                read.map_err(|e| VaultError(e.code().unwrap_or("Secrets Manager gave no answer").to_owned()))?;
            parse(value.secret_string().unwrap_or_default())
        })
    }
}

/// The error tells nothing of the text.
fn parse(text: &str) -> Result<Credentials, VaultError> {
    match serde_json::from_str(text) {
        Ok(Content { imp_key, imp_secret }) if !imp_key.is_empty() && !imp_secret.is_empty() => {
            Ok(Credentials { key: imp_key, secret: imp_secret })
        }
        Ok(_) | Err(_) => {
            Err(VaultError(r#"the secret must be JSON with two texts, {"imp_key": "…", "imp_secret": "…"}"#.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_two_texts_and_an_error_tells_none_of_it() {
        let read = parse(r#"{"imp_key": "key", "imp_secret": "secret", "note": "ours"}"#).unwrap();
        assert_eq!(read, Credentials { key: "key".into(), secret: "secret".into() });
        for bad in ["", "hunter2", r#"{"imp_key": "hunter2"}"#, r#"{"imp_key": "hunter2", "imp_secret": ""}"#] {
            assert!(!parse(bad).unwrap_err().to_string().contains("hunter2"), "{bad}");
        }
    }
}
