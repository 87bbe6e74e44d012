//! The identifiers. Each is a type of its own, so that one can't stand where another belongs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A subscription's id, and its checkout session's: a ULID, 26 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(Ulid);

/// How many shards the `due` index spreads over.
pub const DUE_SHARDS: u8 = 16;

impl SubscriptionId {
    /// Wraps a fresh ULID.
    pub const fn new(ulid: Ulid) -> Self {
        Self(ulid)
    }

    /// As 16 bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.0.to_be_bytes()
    }

    /// From 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid(u128::from_be_bytes(bytes)))
    }

    /// The shard of the `due` index that this subscription's steps wait in: its last, random, character.
    #[allow(clippy::cast_possible_truncation)]
    pub const fn due_shard(self) -> u8 {
        (self.0.0 as u8) % DUE_SHARDS
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Strict: 26 characters in the alphabet and case that `Display` writes, so that one id has one spelling.
impl FromStr for SubscriptionId {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        match Ulid::from_string(s) {
            Ok(ulid) if ulid.to_string() == s => Ok(Self(ulid)),
            Ok(_) | Err(_) => Err(InvalidId("a subscription id is a ULID: 26 capital letters and digits")),
        }
    }
}

/// A text that isn't the identifier it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub(crate) &'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $most:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(s: String) -> Result<Self, InvalidId> {
                let length = s.chars().count();
                if length == 0 || length > $most || s.chars().any(char::is_control) {
                    return Err(InvalidId($rule));
                }
                Ok(Self(s))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Self::try_from(s.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// What I'mport keeps a billing key under: 1 to 80 characters (PortOne V1 OpenAPI).
    CustomerUid, 80, "a customer_uid has 1 to 80 characters and no control characters"
);
text_id!(
    /// The merchant's own name for a buyer: 1 to 80 characters. Ours only to index by.
    CustomerId, 80, "a customer_id has 1 to 80 characters and no control characters"
);
text_id!(
    /// I'mport's name for one payment: 1 to 32 characters (PortOne V1 OpenAPI).
    ImpUid, 32, "an imp_uid has 1 to 32 characters and no control characters"
);
text_id!(
    /// A plan's id, chosen by the merchant: 1 to 40 characters.
    PlanId, 40, "a plan id has 1 to 40 characters and no control characters"
);

impl From<SubscriptionId> for CustomerUid {
    /// The default `customer_uid` of a subscription is its id.
    fn from(id: SubscriptionId) -> Self {
        Self(id.to_string())
    }
}

/// Our name for one payment, or for one opening of the payment window. From it alone the subscription is found.
///
/// `{subscription id}C{period, 5 digits}{attempt, 3 digits}` for a charge, `{subscription id}K{number, 5 digits}` for
/// an opening of the window (K as in key), and behind either the five characters of its [`Tag`]. Letters and digits only,
/// since some payment gateways refuse anything else, and at most 40 characters (PortOne V1 OpenAPI).
///
/// A name that reads as one of ours needn't be: [`Subscription::is_its_name`](super::Subscription::is_its_name) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MerchantUid {
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// What it is for.
    pub purpose: Purpose,
    /// What nobody can guess of it; none in the names of subscriptions from before there were tags.
    pub tag: Option<Tag>,
}

/// The unguessable end of a name: 25 bits of a keyed hash, as five characters of Crockford's base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; 5]);

/// Crockford's base 32: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Tag {
    /// Of the upper 25 bits.
    pub(super) fn new(bits: u32) -> Self {
        Self([27, 22, 17, 12, 7].map(|shift| ALPHABET[(bits >> shift & 31) as usize]))
    }

    /// `None` where it isn't five characters of the alphabet, in the one spelling that is written.
    fn read(text: &str) -> Option<Self> {
        let characters: [u8; 5] = text.as_bytes().try_into().ok()?;
        characters.iter().all(|c| ALPHABET.contains(c)).then_some(Self(characters))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|c| write!(f, "{}", char::from(*c)))
    }
}

/// What a `merchant_uid` was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// An attempt to charge a period, both counted from 1.
    Charge {
        /// The period that is paid for.
        period: u32,
        /// Which attempt at it.
        attempt: u32,
    },
    /// An opening of the payment window, counted from 1.
    Window {
        /// Which opening.
        number: u32,
    },
}

/// The greatest period that a `merchant_uid` can name: 273 years of daily charges.
pub const LAST_PERIOD: u32 = 99_999;
/// The greatest attempt at one period that a `merchant_uid` can name.
pub const LAST_ATTEMPT: u32 = 999;

impl MerchantUid {
    /// The name of an attempt to charge a period, without a tag: see
    /// [`Subscription::charge_name`](super::Subscription::charge_name).
    pub const fn charge(subscription: SubscriptionId, period: u32, attempt: u32) -> Self {
        Self { subscription, purpose: Purpose::Charge { period, attempt }, tag: None }
    }

    /// The period that it charges, where it is a charge's.
    pub const fn period(self) -> Option<u32> {
        match self.purpose {
            Purpose::Charge { period, .. } => Some(period),
            Purpose::Window { .. } => None,
        }
    }

    /// The name of an opening of the payment window, without a tag: see
    /// [`Subscription::window_name`](super::Subscription::window_name).
    pub const fn window(subscription: SubscriptionId, number: u32) -> Self {
        Self { subscription, purpose: Purpose::Window { number }, tag: None }
    }
}

impl fmt::Display for MerchantUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.purpose {
            Purpose::Charge { period, attempt } => write!(f, "{}C{period:05}{attempt:03}", self.subscription)?,
            Purpose::Window { number } => write!(f, "{}K{number:05}", self.subscription)?,
        }
        self.tag.map_or(Ok(()), |tag| tag.fmt(f))
    }
}

impl FromStr for MerchantUid {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        const NOT_OURS: InvalidId = InvalidId("this merchant_uid was not made here");
        if !s.is_ascii() || s.len() < 27 {
            return Err(NOT_OURS);
        }
        let subscription = s[..26].parse().map_err(|_| NOT_OURS)?;
        let (kind, rest) = s[26..].split_at(1);
        let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse::<u32>().ok().filter(|n| *n > 0).ok_or(NOT_OURS),
            false => Err(NOT_OURS),
        };
        let digits = match kind {
            "C" => 8,
            "K" => 5,
            _ => return Err(NOT_OURS),
        };
        let (digits, tag) = rest.split_at_checked(digits).ok_or(NOT_OURS)?;
        let purpose = match kind {
            "C" => Purpose::Charge { period: number(&digits[..5])?, attempt: number(&digits[5..])? },
            _ => Purpose::Window { number: number(digits)? },
        };
        let tag = match tag {
            "" => None,
            tag => Some(Tag::read(tag).ok_or(NOT_OURS)?),
        };
        Ok(Self { subscription, purpose, tag })
    }
}

impl TryFrom<String> for MerchantUid {
    type Error = InvalidId;
    fn try_from(s: String) -> Result<Self, InvalidId> {
        s.parse()
    }
}

impl From<MerchantUid> for String {
    fn from(uid: MerchantUid) -> String {
        uid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SubscriptionId {
        SubscriptionId::new(Ulid::from_parts(1_700_000_000_000, 42))
    }

    #[test]
    fn a_merchant_uid_reads_back_as_what_it_was_made_from() {
        for uid in
            [MerchantUid::charge(id(), 1, 1), MerchantUid::charge(id(), 99_999, 999), MerchantUid::window(id(), 7)]
        {
            for tag in [None, Some(Tag::new(0)), Some(Tag::new(u32::MAX)), Some(Tag::new(0x1234_5678))] {
                let uid = MerchantUid { tag, ..uid };
                let text = uid.to_string();
                assert!(text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
                assert_eq!(text.parse(), Ok(uid));
            }
        }
        assert_eq!((Tag::new(u32::MAX).to_string(), Tag::new(1 << 7).to_string()), ("ZZZZZ".into(), "00001".into()));
    }

    #[test]
    fn a_merchant_uid_of_someone_else_is_refused() {
        let ours = MerchantUid::charge(id(), 1, 1).to_string();
        for theirs in [
            "",
            "merchant_1234567890",
            &ours.to_lowercase(),
            &ours[..34],
            &format!("{ours}0"),
            &format!("{ours}0123"),
            &format!("{ours}012345"),
            // Not in the alphabet, or not as it is written.
            &format!("{ours}0123I"),
            &format!("{ours}0123a"),
            &format!("{ours}012가"),
            &ours.replace('C', "X"),
            &ours.replace("C00001", "C00000"),
            &ours.replace("C00001", "C+0001"),
            "가가가가가가가가가가가가",
        ] {
            assert!(theirs.parse::<MerchantUid>().is_err(), "{theirs}");
        }
    }

    #[test]
    fn text_ids_keep_to_their_length() {
        assert!("".parse::<CustomerUid>().is_err());
        assert!("가".repeat(80).parse::<CustomerUid>().is_ok());
        assert!("가".repeat(81).parse::<CustomerUid>().is_err());
        assert!("a\nb".parse::<CustomerUid>().is_err());
    }
}
