//! The body of a webhook: JSON or form-urlencoded, as the merchant has set it in I'mport's console.

use jiff::Timestamp;
use maedal::digest::digest;
use maedal::queue::Hint;
use serde::Deserialize;

/// What I'mport sends (PortOne V1, webhook guide). All of it can be forged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Notice {
    /// I'mport's name for the payment.
    pub imp_uid: String,
    /// Our name for it.
    pub merchant_uid: String,
    /// `paid`, `ready`, `failed` or `cancelled`.
    #[serde(default)]
    pub status: Option<String>,
    /// On a cancellation, since 2024-02.
    #[serde(default)]
    pub cancellation_id: Option<String>,
}

/// A body that can't be I'mport's, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeError(pub &'static str);

impl Notice {
    /// Reads a body. The content type says which of the two it should be. One that lies is read all the same: nothing in it
    /// is believed, and to refuse it would lose it.
    pub fn read(content_type: &str, body: &[u8]) -> Result<Self, ShapeError> {
        let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let notice = match kind.as_str() {
            "application/x-www-form-urlencoded" => Self::from_form(body).or_else(|| Self::from_json(body)),
            _ => Self::from_json(body).or_else(|| Self::from_form(body)),
        };
        let notice = notice.ok_or(ShapeError("not a webhook: imp_uid and merchant_uid are needed"))?;
        let name = |text: &str, most: usize| {
            !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
        };
        match name(&notice.imp_uid, 32) && name(&notice.merchant_uid, 40) {
            true => Ok(notice),
            false => Err(ShapeError("not a webhook: imp_uid or merchant_uid is not one of I'mport's")),
        }
    }

    fn from_json(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    fn from_form(body: &[u8]) -> Option<Self> {
        let mut notice =
            Self { imp_uid: String::new(), merchant_uid: String::new(), status: None, cancellation_id: None };
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "imp_uid" => notice.imp_uid = value.into_owned(),
                "merchant_uid" => notice.merchant_uid = value.into_owned(),
                "status" => notice.status = Some(value.into_owned()),
                "cancellation_id" => notice.cancellation_id = Some(value.into_owned()),
                _ => (),
            }
        }
        (!notice.imp_uid.is_empty() && !notice.merchant_uid.is_empty()).then_some(notice)
    }

    /// The part that is followed: which payment to ask I'mport about. A cancellation is told from others by its id, or by
    /// the time at which we heard of it.
    pub fn hint(&self, now: Timestamp) -> Hint {
        let mark = match (self.status.as_deref(), &self.cancellation_id) {
            (Some("cancelled"), Some(id)) => digest(id),
            (Some("cancelled"), None) => now.as_millisecond().to_string(),
            (Some(word @ ("paid" | "failed" | "ready")), _) => word.to_owned(),
            (Some(_) | None, _) => String::new(),
        };
        Hint { imp_uid: self.imp_uid.clone(), merchant_uid: self.merchant_uid.clone(), mark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_form_read_alike() {
        let json = br#"{"imp_uid":"imp_1","merchant_uid":"m_1","status":"paid","new_field":{}}"#;
        let form = b"imp_uid=imp_1&merchant_uid=m_1&status=paid";
        let expected = Ok(Notice {
            imp_uid: "imp_1".into(),
            merchant_uid: "m_1".into(),
            status: Some("paid".into()),
            cancellation_id: None,
        });
        assert_eq!(Notice::read("application/json; charset=utf-8", json), expected);
        assert_eq!(Notice::read("application/x-www-form-urlencoded", form), expected);
        assert_eq!(Notice::read("", json), expected);
        assert_eq!(Notice::read("text/plain", form), expected);
    }

    #[test]
    fn what_cannot_be_a_webhook_is_refused() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"imp_uid":1,"merchant_uid":"m"}"#,
            r#"{"imp_uid":"","merchant_uid":"m"}"#,
            "imp_uid=a",
            "\u{0}",
        ] {
            assert!(Notice::read("application/json", body.as_bytes()).is_err(), "{body}");
        }
        let long = format!("imp_uid={}&merchant_uid=m", "x".repeat(33));
        assert!(Notice::read("application/x-www-form-urlencoded", long.as_bytes()).is_err());
    }
}
