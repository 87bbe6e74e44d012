//! An item's image in the stream, read as what its key says that it is.

use serde_dynamo::{AttributeValue, Item, from_attribute_value, from_item};

use crate::key::{CHARGE, FINDING, SUB};
use crate::subscription::{Charge, Finding, Intent, Subscription};

/// What an image shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Image {
    /// A subscription.
    Subscription {
        /// As it was written.
        subscription: Box<Subscription>,
        /// The charge that is planned next, where one is.
        next_charge: Option<Intent>,
    },
    /// A charge.
    Charge(Box<Charge>),
    /// What reconciling found.
    Finding(Box<Finding>),
    /// Anything else: a plan, a buyer, what belongs to another time.
    Other,
}

/// A subscription or a charge whose image doesn't read as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read the image of {key}: {reason}. Events of it are held back until a version that can is deployed")]
pub struct Unreadable {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl Image {
    /// Reads `item`.
    pub fn read(item: Item) -> Result<Self, Unreadable> {
        let text = |name: &str| match item.inner().get(name) {
            Some(AttributeValue::S(text)) => text.clone(),
            Some(_) | None => String::new(),
        };
        let (pk, sk) = (text("pk"), text("sk"));
        let unreadable = |e: serde_dynamo::Error| Unreadable { key: format!("{pk} {sk}"), reason: e.to_string() };
        if !pk.starts_with("SUB#") {
            return Ok(Self::Other);
        }
        if sk == SUB {
            let next_charge = item.inner().get("next_charge").cloned();
            let next_charge = next_charge.map(from_attribute_value).transpose().map_err(unreadable)?;
            let subscription = Box::new(from_item(item).map_err(unreadable)?);
            return Ok(Self::Subscription { subscription, next_charge });
        }
        if sk.starts_with(FINDING) {
            return Ok(Self::Finding(Box::new(from_item(item).map_err(unreadable)?)));
        }
        match sk.starts_with(CHARGE) {
            true => Ok(Self::Charge(Box::new(from_item(item).map_err(unreadable)?))),
            false => Ok(Self::Other),
        }
    }
}
