//! The kill switch: charging, on or off, for the whole stack. It is on where nobody has ever switched.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::fmt::serde::timestamp::millisecond;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::key::SUB;
use super::subscriptions::from_item;
use super::{Item, Key, Store, StoreError};
use crate::subscription::{Subscription, SubscriptionId};

/// How long a worker takes its word for it, so that a renewal stays three calls: the switch is sure to work after so long.
pub const SWITCH_KEPT: SignedDuration = SignedDuration::from_secs(5);

/// Whether charges are made, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charging {
    /// Whether they are made.
    pub on: bool,
    /// Since when.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who has switched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Default for Charging {
    fn default() -> Self {
        Self { on: true, since: None, by: None, reason: None }
    }
}

impl Store {
    /// Where the switch stands.
    pub async fn charging(&self) -> Result<Charging, StoreError> {
        const TASK: &str = "read whether charging is on";
        read(self.get(&Key::switch(), TASK).await?, TASK)
    }

    /// A session, and in the same call where the switch stands, for whoever is about to charge it.
    pub async fn session(&self, id: SubscriptionId, now: Timestamp) -> Result<Option<Subscription>, StoreError> {
        const TASK: &str = "read a session and whether charging is on";
        let (mut session, mut switch) = (None, None);
        for item in self.items(vec![Key::subscription(id).item(), Key::switch().item()], TASK).await? {
            match item.get("sk").and_then(|sk| sk.as_s().ok()).map(String::as_str) {
                Some(SUB) => session = Some(from_item(item, TASK)?),
                Some(_) | None => switch = Some(item),
            }
        }
        self.keep_switch(now, read(switch, TASK)?.on);
        Ok(session)
    }

    /// As [`Store::charging`], by a word that is [`SWITCH_KEPT`] old at most.
    pub async fn charging_is_on(&self, now: Timestamp) -> Result<bool, StoreError> {
        let kept = *self.switch.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((read_at, on)) = kept
            && (SignedDuration::ZERO..SWITCH_KEPT).contains(&now.duration_since(read_at))
        {
            return Ok(on);
        }
        let on = self.charging().await?.on;
        self.keep_switch(now, on);
        Ok(on)
    }

    /// Switches.
    pub async fn put_charging(&self, charging: &Charging, now: Timestamp) -> Result<(), StoreError> {
        const TASK: &str = "switch charging";
        let mut item: Item = serde_dynamo::to_item(charging).map_err(|e| StoreError::corrupt(TASK, &e))?;
        item.extend(Key::switch().item());
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                self.keep_switch(now, charging.on);
                Ok(())
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(TASK, &e))
            }
        }
    }

    fn keep_switch(&self, now: Timestamp, on: bool) {
        *self.switch.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((now, on));
    }
}

fn read(item: Option<Item>, task: &'static str) -> Result<Charging, StoreError> {
    let read = |item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(task, &e));
    Ok(item.map(read).transpose()?.unwrap_or_default())
}
