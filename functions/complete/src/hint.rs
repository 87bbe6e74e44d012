//! The query that the payment window adds to `m_redirect_url`. Everything in it may be forged.

use maedal::pages::Problem;
use maedal::subscription::{ImpUid, MerchantUid, Purpose};

/// I'mport's own queries stay far below this.
const LONGEST_QUERY: usize = 4 * 1024;
/// As much of a gateway's words as a buyer reads.
const LONGEST_MESSAGE: usize = 200;

/// What the query hints at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The opening of the window.
    pub window: MerchantUid,
    /// The payment; none where the window failed before it opened.
    pub imp_uid: Option<ImpUid>,
    /// Why it failed, in the gateway's words.
    pub error_msg: Option<String>,
    /// Whether it claims that the window failed.
    pub says_failed: bool,
}

impl Hint {
    /// Reads the raw query, strictly: of a parameter that is there twice, nobody knows which one is meant.
    pub fn read(query: &str) -> Result<Self, Problem> {
        if query.len() > LONGEST_QUERY {
            return Err(Problem::TooLong);
        }
        let values = |name: &'static str| {
            form_urlencoded::parse(query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value)
        };
        let one = |name| {
            let mut values = values(name);
            match (values.next(), values.next()) {
                (value, None) => Ok(value.filter(|value| !value.is_empty() && value != "null")),
                (_, Some(_)) => Err(Problem::Repeated(name)),
            }
        };
        let merchant_uid = one("merchant_uid")?.ok_or(Problem::Missing("merchant_uid"))?;
        let imp_uid = one("imp_uid")?.map(|imp_uid| imp_uid.parse().map_err(|_| Problem::Unreadable("imp_uid")));
        let window: MerchantUid = merchant_uid.parse().map_err(|_| Problem::UnknownSession)?;
        if !matches!(window.purpose, Purpose::Window { .. }) {
            return Err(Problem::UnknownSession);
        }
        let error_msg = values("error_msg").find(|message| !message.trim().is_empty());
        let denied = |name| values(name).any(|value| value == "false");
        Ok(Self {
            window,
            imp_uid: imp_uid.transpose()?,
            says_failed: error_msg.is_some() || denied("imp_success") || denied("success"),
            error_msg: error_msg.map(|message| message.chars().take(LONGEST_MESSAGE).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: &str = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7K000017G3ZX";

    fn read(query: &str) -> Result<Hint, Problem> {
        Hint::read(&query.replace("WINDOW", WINDOW))
    }

    #[test]
    fn names_the_window_and_the_payment() {
        let hint = read("utm_source=mobile&imp_uid=imp_448280090638&merchant_uid=WINDOW&imp_success=true").unwrap();
        assert_eq!(hint.window.to_string(), WINDOW);
        assert_eq!(hint.imp_uid.unwrap().as_str(), "imp_448280090638");
        assert!(!hint.says_failed);
    }

    #[test]
    fn a_window_that_never_opened_has_no_payment() {
        for query in ["merchant_uid=WINDOW", "merchant_uid=WINDOW&imp_uid=", "imp_uid=null&merchant_uid=WINDOW"] {
            assert_eq!(read(query).unwrap().imp_uid, None, "{query}");
        }
    }

    #[test]
    fn a_message_is_cut_by_characters() {
        let hint = read(&format!("merchant_uid=WINDOW&error_msg={}", "%EA%B0%80".repeat(300))).unwrap();
        assert_eq!(hint.error_msg.unwrap(), "가".repeat(200));
        assert!(hint.says_failed);
    }

    #[test]
    fn says_what_is_wrong_with_a_query() {
        assert_eq!(read(""), Err(Problem::Missing("merchant_uid")));
        assert_eq!(read("merchant_uid="), Err(Problem::Missing("merchant_uid")));
        assert_eq!(read("merchant_uid=WINDOW&merchant_uid=WINDOW"), Err(Problem::Repeated("merchant_uid")));
        assert_eq!(read("merchant_uid=WINDOW&imp_uid=a&imp_uid=a"), Err(Problem::Repeated("imp_uid")));
        assert_eq!(
            read(&format!("merchant_uid=WINDOW&imp_uid={}", "a".repeat(33))),
            Err(Problem::Unreadable("imp_uid"))
        );
        assert_eq!(read("merchant_uid=order_1"), Err(Problem::UnknownSession));
        for name in ["C00001001", "C000010017G3ZX", "K000017G3Z", "K000017G3ZXX"] {
            let query = format!("merchant_uid=01KB3Q0QZ8W3V5T7Y9A1C3E5G7{name}");
            assert_eq!(read(&query), Err(Problem::UnknownSession), "{name}");
        }
        assert_eq!(read(&format!("merchant_uid=WINDOW&error_msg={}", "x".repeat(10_240))), Err(Problem::TooLong));
    }
}
