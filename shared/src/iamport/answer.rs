//! Reading an answer: the envelope, and every way in which there isn't one.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::transport::TransportError;

/// An answer that I'mport documents, or that its clients have seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// `code` 0: it was done. What the response says is another matter.
    Done(T),
    /// `code` other than 0: not done, in I'mport's or the gateway's words.
    Refused {
        /// I'mport's code; -1 and 1 are used alike.
        code: i64,
        /// For people, in Korean.
        message: String,
    },
    /// HTTP 404 with an envelope: I'mport has no such thing, or not yet.
    NotFound {
        /// For people, in Korean.
        message: String,
    },
}

/// A call without a documented answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No token could be had, so the call was not made.
    #[error("I'mport gave no token: {0}. Check imp_key and imp_secret, and that I'mport can be reached")]
    NoToken(String),
    /// The token was refused twice; the call was not carried out.
    #[error("I'mport refused a fresh token (HTTP 401). Check imp_key, imp_secret and the IP allow-list in its console")]
    Unauthorized,
    /// A field is longer than I'mport takes; the call was not made.
    #[error("{field} is longer than the {most} characters that I'mport takes")]
    TooLong {
        /// I'mport's name of the field.
        field: &'static str,
        /// Its limit, in characters.
        most: usize,
    },
    /// It was ready to go only after the time until which it may be sent; the call was not made.
    #[error("held up for too long to be sent still")]
    TooLate,
    /// The network.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An HTTP status that isn't documented for any call.
    #[error("I'mport answered HTTP {0}")]
    Status(u16),
    /// An answer that doesn't read as one.
    #[error("I'mport's answer could not be read: {0}")]
    Nonsense(String),
}

impl CallError {
    /// Whether the call surely had no effect: it never left, or was turned away at the door.
    pub fn surely_unsent(&self) -> bool {
        match self {
            Self::NoToken(_) | Self::Unauthorized | Self::TooLong { .. } | Self::TooLate => true,
            Self::Transport(TransportError::NotSent(_)) => true,
            Self::Transport(TransportError::Lost(_)) | Self::Status(_) | Self::Nonsense(_) => false,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    code: i64,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    response: Value,
}

/// Reads `response` as an answer about a `T`.
pub(super) fn read<T: DeserializeOwned>(response: &http::Response<Bytes>) -> Result<Answer<T>, CallError> {
    let status = response.status();
    let envelope = serde_json::from_slice::<Envelope>(response.body());
    match status {
        StatusCode::UNAUTHORIZED => Err(CallError::Unauthorized),
        // 207: some of several things were found.
        StatusCode::OK | StatusCode::MULTI_STATUS => {
            // The message says where the text stops making sense, never what it was: it may hold a buyer's data.
            let envelope = envelope.map_err(|e| CallError::Nonsense(place(&e)))?;
            match envelope.code {
                0 => T::deserialize(envelope.response)
                    .map(Answer::Done)
                    .map_err(|_| CallError::Nonsense("code 0 with a response of another shape".to_owned())),
                code => Ok(Answer::Refused { code, message: envelope.message.unwrap_or_default() }),
            }
        }
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => match envelope {
            Ok(Envelope { code: 0, .. }) | Err(_) => Err(CallError::Status(status.as_u16())),
            Ok(Envelope { code, message, .. }) => {
                let message = message.unwrap_or_default();
                Ok(if status == StatusCode::NOT_FOUND {
                    Answer::NotFound { message }
                } else {
                    Answer::Refused { code, message }
                })
            }
        },
        _ => Err(CallError::Status(status.as_u16())),
    }
}

fn place(e: &serde_json::Error) -> String {
    format!("not JSON as documented, at line {} column {}", e.line(), e.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer<i64>, CallError> {
        let mut response = http::Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        read(&response)
    }

    #[test]
    fn only_code_0_with_a_readable_response_is_done() {
        assert_eq!(answer(200, r#"{"code":0,"message":null,"response":7,"new":1}"#), Ok(Answer::Done(7)));
        assert!(matches!(answer(200, r#"{"code":0,"message":null,"response":null}"#), Err(CallError::Nonsense(_))));
        assert!(matches!(answer(200, ""), Err(CallError::Nonsense(_))));
        assert!(matches!(answer(200, "<html>"), Err(CallError::Nonsense(_))));
        assert!(matches!(answer(200, r#"{"code":0,"#), Err(CallError::Nonsense(_))));
    }

    #[test]
    fn a_refusal_and_a_miss_need_an_envelope() {
        let refused = Answer::Refused { code: 1, message: "등록되지 않은 구매자입니다.".into() };
        assert_eq!(answer(200, r#"{"code":1,"message":"등록되지 않은 구매자입니다.","response":null}"#), Ok(refused));
        let missing = r#"{"code":-1,"message":"존재하지 않는 결제정보입니다.","response":null}"#;
        assert!(matches!(answer(404, missing), Ok(Answer::NotFound { .. })));
        assert_eq!(answer(404, "<html>no such page</html>"), Err(CallError::Status(404)));
    }

    #[test]
    fn no_other_status_proves_anything() {
        for status in [201, 302, 403, 429, 500, 502, 503, 504] {
            assert_eq!(answer(status, r#"{"code":1,"message":"no","response":null}"#), Err(CallError::Status(status)));
        }
        assert!(!CallError::Status(500).surely_unsent());
        assert_eq!(answer(401, "not an envelope"), Err(CallError::Unauthorized));
        assert!(CallError::Unauthorized.surely_unsent());
    }
}
