//! The kill switch: charging, on or off, for the whole stack. It is on where nobody has ever switched.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use jiff::fmt::serde::timestamp::millisecond;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::subscriptions::from_item;
use super::{Store, StoreError, n};
use crate::key::SUB;
use crate::key::{Item, Key};
use crate::subscription::dunning::alike;
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
    /// The latest incident, under way or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
}

/// An attempt is looked up for so long, by and large, before it is written down as declined.
const LOOKED_UP: SignedDuration = SignedDuration::from_hours(1);

/// Many were refused alike: that is ours or the gateway's, and no buyer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The words that they were refused with.
    pub words: String,
    /// Since when: some time before it was noticed.
    #[serde(with = "millisecond::required")]
    pub since: Timestamp,
    /// When a charge was paid again; none while it goes on.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Incident {
    /// Whether an attempt that was made at `at`, and was declined in these words, is part of it.
    pub fn explains(&self, words: &str, at: Timestamp) -> bool {
        alike(&self.words) == alike(words) && at >= self.since && self.until.is_none_or(|until| at <= until)
    }

    /// As [`Incident::explains`], of a decline that was written at `at`: what was refused is looked up before it is.
    pub fn explains_settled(&self, words: &str, at: Timestamp) -> bool {
        self.explains(words, at.saturating_sub(LOOKED_UP).unwrap_or(at)) || self.explains(words, at)
    }
}

impl Default for Charging {
    fn default() -> Self {
        Self { on: true, since: None, by: None, reason: None, incident: None }
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
        self.keep_switch(now, read(switch, TASK)?);
        Ok(session)
    }

    /// As [`Store::charging`], by a word that is [`SWITCH_KEPT`] old at most.
    pub async fn charging_is_on(&self, now: Timestamp) -> Result<bool, StoreError> {
        let kept = self
            .kept_switch()
            .filter(|(read_at, _)| (SignedDuration::ZERO..SWITCH_KEPT).contains(&now.duration_since(*read_at)));
        if let Some((_, charging)) = kept {
            return Ok(charging.on);
        }
        let charging = self.charging().await?;
        let on = charging.on;
        self.keep_switch(now, charging);
        Ok(on)
    }

    /// The latest incident, under way or over, by the word that [`Store::charging_is_on`] went by last. No call is made for it.
    pub fn latest_incident(&self) -> Option<Incident> {
        self.kept_switch()?.1.incident
    }

    /// The incident under way, by the word that [`Store::charging_is_on`] went by last. No call is made for it.
    pub fn incident(&self) -> Option<Incident> {
        self.latest_incident().filter(|incident| incident.until.is_none())
    }

    /// Notes an incident, or that it is over.
    pub async fn put_incident(&self, incident: &Incident, now: Timestamp) -> Result<(), StoreError> {
        const TASK: &str = "note an incident";
        let value = serde_dynamo::to_attribute_value(incident).map_err(|e| StoreError::corrupt(TASK, &e))?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::switch().item()))
            .update_expression("SET incident = :incident, #on = if_not_exists(#on, :on)")
            .expression_attribute_names("#on", "on")
            .expression_attribute_values(":incident", value)
            .expression_attribute_values(":on", AttributeValue::Bool(true));
        self.switched(update, TASK, now).await
    }

    async fn switched(
        &self,
        update: UpdateItemFluentBuilder,
        task: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = update.return_values(ReturnValue::AllNew).return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update.send().await {
            Ok(output) => {
                self.meter.wrote(output.consumed_capacity());
                let item = output.attributes.unwrap_or_default();
                self.keep_switch(now, serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(task, &e))?);
                Ok(())
            }
            Err(e) => {
                self.meter.failed();
                Err(StoreError::from_sdk(task, &e))
            }
        }
    }

    fn kept_switch(&self) -> Option<(Timestamp, Charging)> {
        self.switch.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Switches. An incident that was noted stays so.
    pub async fn put_charging(&self, charging: &Charging, now: Timestamp) -> Result<(), StoreError> {
        const TASK: &str = "switch charging";
        let text = |text: &Option<String>| text.clone().map_or(AttributeValue::Null(true), AttributeValue::S);
        let since = charging.since.map_or(AttributeValue::Null(true), |since| n(since.as_millisecond()));
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::switch().item()))
            .update_expression("SET #on = :on, since = :since, #by = :by, reason = :reason")
            .expression_attribute_names("#on", "on")
            .expression_attribute_names("#by", "by")
            .expression_attribute_values(":on", AttributeValue::Bool(charging.on))
            .expression_attribute_values(":since", since)
            .expression_attribute_values(":by", text(&charging.by))
            .expression_attribute_values(":reason", text(&charging.reason));
        self.switched(update, TASK, now).await
    }

    fn keep_switch(&self, now: Timestamp, charging: Charging) {
        *self.switch.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((now, charging));
    }
}

fn read(item: Option<Item>, task: &'static str) -> Result<Charging, StoreError> {
    let read = |item| serde_dynamo::from_item(item).map_err(|e| StoreError::corrupt(task, &e));
    Ok(item.map(read).transpose()?.unwrap_or_default())
}
