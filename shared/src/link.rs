//! Signed links to a buyer's own page: who has one may see that subscription and do there what a buyer may, until it
//! expires. Nothing is stored; the signature is the proof.
//!
//! A token is the subscription's id, the expiry and an HMAC-SHA256 over both and the purpose, in base64url: 75 characters,
//! of which there is one spelling only. A key that was rotated is known until it is rotated again, so that links which
//! are out go on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;

use crate::rotating::{Rotating, SecretError};
use crate::subscription::SubscriptionId;

/// What these links are for. A signature for anything else doesn't open them.
const PURPOSE: &[u8] = b"maedal my-page 1";
/// The id and the expiry, before the signature.
const SIGNED: usize = 16 + 8;
const LENGTH: usize = SIGNED + 32;

/// Makes and opens links.
#[derive(Debug)]
pub struct Links(Rotating);

impl Links {
    /// With this key.
    pub const fn new(key: Rotating) -> Self {
        Self(key)
    }

    /// A token that opens the page of `id` until `expires_at`, to the second.
    pub async fn sign(&self, id: SubscriptionId, expires_at: Timestamp) -> Result<String, SecretError> {
        let mut token = Vec::with_capacity(LENGTH);
        token.extend(id.to_bytes());
        token.extend(expires_at.as_second().to_be_bytes());
        let tag = hmac::sign(&key(&self.0.texts().await?.current), &message(&token));
        token.extend(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whose page `token` opens at `now`; `None` where it is forged, expired or no token at all.
    pub async fn open(&self, token: &str, now: Timestamp) -> Result<Option<SubscriptionId>, SecretError> {
        let Some((signed, tag)) = parse(token) else { return Ok(None) };
        let (id, expires_at) = signed.split_at(16);
        let (Ok(id), Ok(expires_at)) = (id.try_into(), expires_at.try_into()) else { return Ok(None) };
        if now.as_second() >= i64::from_be_bytes(expires_at) {
            return Ok(None);
        }
        let known = self.0.texts().await?;
        // Signed by a key that is newer than what was read?
        let texts = if known.have_signed(&signed, &tag) { known } else { self.0.newest().await? };
        Ok(texts.have_signed(&signed, &tag).then(|| SubscriptionId::from_bytes(id)))
    }
}

impl crate::rotating::Texts {
    /// Whether one of the two has signed this.
    fn have_signed(&self, signed: &[u8], tag: &[u8]) -> bool {
        let message = message(signed);
        let by = |text: &String| hmac::verify(&key(text), &message, tag).is_ok();
        by(&self.current) || self.previous.as_ref().is_some_and(by)
    }
}

fn key(text: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
}

fn message(signed: &[u8]) -> Vec<u8> {
    [PURPOSE, signed].concat()
}

/// What is signed, and the signature.
fn parse(token: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    // Strict: bits that carry nothing must be zero, so that nobody writes a token in a second way.
    let mut signed = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == LENGTH)?;
    let tag = signed.split_off(SIGNED);
    Some((signed, tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7";

    fn links() -> Links {
        Links::new(Rotating::fixed("a key of at least twenty characters").unwrap())
    }

    fn now<T>(made: impl Future<Output = Result<T, SecretError>>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(made).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn token() -> String {
        now(links().sign(ID.parse().unwrap(), at(1_000)))
    }

    #[test]
    fn a_link_opens_its_own_page_until_it_expires() {
        let token = token();
        assert_eq!(token.len(), 75);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(now(links().open(&token, at(999))), Some(ID.parse().unwrap()));
        for late in [1_000, 1_001, i64::from(i32::MAX)] {
            assert_eq!(now(links().open(&token, at(late))), None, "{late}");
        }
    }

    #[test]
    fn another_key_and_what_is_no_token_open_nothing() {
        let others = Links::new(Rotating::fixed("another key of twenty characters").unwrap());
        assert_eq!(now(others.open(&token(), at(1))), None);
        for text in ["", "x", ID, &token()[1..], &format!("{}A", token()), &format!("{}=", token()), "가나다"] {
            assert_eq!(now(links().open(text, at(1))), None, "{text}");
        }
        assert!(Rotating::fixed("too short").is_none());
    }

    #[test]
    fn a_signature_for_another_purpose_opens_nothing() {
        let signed = &parse(&token()).unwrap().0;
        let tag = hmac::sign(&key("a key of at least twenty characters"), signed);
        let forged = URL_SAFE_NO_PAD.encode([signed, tag.as_ref()].concat());
        assert_eq!(now(links().open(&forged, at(1))), None);
    }

    #[test]
    fn a_key_that_was_rotated_once_still_opens() {
        let (signed, tag) = parse(&token()).unwrap();
        let text = |previous: &str| crate::rotating::Texts {
            current: "the key that came after it".to_owned(),
            previous: Some(previous.to_owned()),
        };
        assert!(text("a key of at least twenty characters").have_signed(&signed, &tag));
        assert!(!text("a key between the two of them").have_signed(&signed, &tag));
    }

    proptest! {
        /// Whatever one changes, another id, a later expiry, a bit of the signature: it opens nothing.
        #[test]
        fn a_tampered_link_opens_nothing(place in 0..75_usize, letter in "[A-Za-z0-9_-]") {
            let token = token();
            let mut tampered = token.clone();
            tampered.replace_range(place..=place, &letter);
            prop_assume!(tampered != token);
            prop_assert_eq!(now(links().open(&tampered, at(1))), None);
        }

        #[test]
        fn no_text_opens_anything_by_chance(text in "\\PC{0,100}") {
            prop_assert_eq!(now(links().open(&text, at(1))), None);
        }
    }
}
