//! The access token: `POST /users/getToken`. PortOne documents that it lives for 30 minutes, that asking again gives
//! the same one, and that in its last minute it is extended by five.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{envelope::Envelope, incoming::Incoming, params::missing, simulator::Simulator};

const LIFE: SignedDuration = SignedDuration::from_mins(30);
/// A token this close to its end is extended when it is asked for again.
const LAST_MINUTE: SignedDuration = SignedDuration::from_mins(1);
const EXTENSION: SignedDuration = SignedDuration::from_mins(5);

/// The one access token of the merchant: several servers that ask get the same.
#[derive(Debug)]
pub(crate) struct Token {
    value: String,
    expired_at: Timestamp,
}

impl Simulator {
    /// `POST /users/getToken`
    pub(crate) fn give_token(&mut self, call: &Incoming, now: Timestamp) -> Result<Envelope, Envelope> {
        let (Some(key), Some(secret)) = (call.params.text("imp_key"), call.params.text("imp_secret")) else {
            return Err(missing("imp_key, imp_secret"));
        };
        if (key, secret) != (self.config.imp_key.clone(), self.config.imp_secret.clone()) {
            return Err(Envelope::unauthorized());
        }
        let mut token = match self.token.take() {
            Some(token) if now < token.expired_at => token,
            _ => Token { value: self.ids.hex(40), expired_at: now + LIFE },
        };
        if token.expired_at.duration_since(now) <= LAST_MINUTE {
            token.expired_at += EXTENSION;
        }
        let token = self.token.insert(token);
        Ok(Envelope::ok(json!({
            "access_token": token.value,
            "now": now.as_second(),
            "expired_at": token.expired_at.as_second(),
        })))
    }

    /// The header holds the raw token or `Bearer` and the token: both are in use.
    pub(crate) fn check_token(&self, call: &Incoming, now: Timestamp) -> Result<(), Envelope> {
        let sent = call.authorization.as_deref().unwrap_or_default();
        let sent = sent.strip_prefix("Bearer ").unwrap_or(sent);
        match &self.token {
            // To the second, as the client was told.
            Some(token) if token.value == sent && now.as_second() < token.expired_at.as_second() => Ok(()),
            _ => Err(Envelope::unauthorized()),
        }
    }
}
