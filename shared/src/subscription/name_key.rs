//! Why nobody can guess the name of the next charge.
//!
//! Whoever knows the merchant's code, which each checkout page shows, can open a payment window under any name. So a name says
//! what it is for in plain words and ends in five characters that only this stack can work out: a keyed hash of these words,
//! with a random key of the subscription's own that never leaves the table. A window's name is shown to the browser; no other
//! name follows from it.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::id::{MerchantUid, Tag};

/// The random key of a subscription's names: 128 bits, in the table as 26 characters of Crockford's base 32.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NameKey(Ulid);

impl NameKey {
    /// From 128 random bits.
    pub const fn new(bits: u128) -> Self {
        Self(Ulid(bits))
    }

    /// The name of the same purpose that can't be guessed.
    pub(super) fn tagged(self, name: MerchantUid) -> MerchantUid {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0.0.to_be_bytes());
        let plain = MerchantUid { tag: None, ..name };
        let hash = hmac::sign(&key, plain.to_string().as_bytes());
        let bits = hash.as_ref().iter().take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        MerchantUid { tag: Some(Tag::new(bits)), ..plain }
    }
}

/// A secret: nothing of it is for a log.
impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::SubscriptionId;

    #[test]
    fn a_name_follows_from_its_key_and_its_purpose_and_no_other_name_from_it() {
        let id: SubscriptionId = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
        let key = NameKey::new(7);
        let charge = |period, attempt| MerchantUid::charge(id, period, attempt);
        let plain = [charge(1, 1), charge(1, 2), charge(2, 1), MerchantUid::window(id, 1), MerchantUid::window(id, 2)];
        let tags: std::collections::HashSet<_> =
            [key, NameKey::new(8)].iter().flat_map(|key| plain.map(|name| key.tagged(name).tag)).collect();
        assert_eq!(tags.len(), 10);
        assert_eq!(key.tagged(key.tagged(charge(1, 1))), key.tagged(charge(1, 1)));
        // Known forever: names are looked up months after they were made.
        assert_eq!(key.tagged(charge(1, 1)).to_string(), "01KB3Q0QZ8W3V5T7Y9A1C3E5G7C00001001ZNV5E");
    }

    #[test]
    fn a_key_says_nothing_of_itself() {
        assert_eq!(format!("{:?}", NameKey::new(7)), "NameKey");
        let text = serde_json::to_string(&NameKey::new(u128::MAX)).unwrap();
        assert_eq!(serde_json::from_str::<NameKey>(&text).unwrap(), NameKey::new(u128::MAX));
    }
}
