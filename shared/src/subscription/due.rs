//! A step that is due.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::SubscriptionId;

/// A step that is due: what the queue carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Whose.
    pub subscription: SubscriptionId,
    /// The charge with a refund under way, by its sort key; none where the subscription itself is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// Since when. The claim's condition compares it: a step that was done is due no more at that time.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub due_at: Timestamp,
}

impl Due {
    /// The name of the step: the same for every copy of this message, another for the next step.
    pub fn step_id(&self) -> String {
        let charge = self.charge.as_deref().map(|sk| sk.replace('#', "-")).unwrap_or_default();
        format!("{}{charge}-{}", self.subscription, self.due_at.as_millisecond())
    }

    /// Whether money goes back by it. Else it may charge.
    pub fn is_refund(&self) -> bool {
        self.charge.is_some()
    }
}
