//! Claims, as the table's stream tells of them: the intent of an attempt, stored before I'mport hears of it.

use jiff::Timestamp;
use maedal::events::Image;
use maedal::subscription::{Intent, Subscription, SubscriptionId};
use serde::Serialize;
use serde_json::Value;

/// An attempt that was claimed, to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub subscription: SubscriptionId,
    /// The attempt.
    pub intent: Intent,
    /// How often it was claimed to be sent by then.
    pub sends: u32,
}

impl Claim {
    /// The claim that a record of the stream tells of; none where it tells of something else.
    pub(crate) fn read(record: &Value) -> Option<Self> {
        let (old, new) = (image(record, "OldImage"), image(record, "NewImage")?);
        let (at, intent) = (new.claimed_at?, new.in_flight?);
        let known = old.is_some_and(|old| old.claimed_at == Some(at) && old.in_flight.as_ref() == Some(&intent));
        (!known).then_some(Self { at, subscription: new.id, intent, sends: new.sends })
    }
}

fn image(record: &Value, name: &str) -> Option<Subscription> {
    let item: serde_dynamo::Item = serde_json::from_value(record["dynamodb"][name].clone()).ok()?;
    match Image::read(item).ok()? {
        Image::Subscription { subscription, .. } => Some(*subscription),
        Image::Charge(_) | Image::Finding(_) | Image::Other => None,
    }
}
