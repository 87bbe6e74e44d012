//! Commands that a restore has lost. The table stands where it stood some days ago; what buyers and merchants asked for since,
//! I'mport doesn't know of, so no comparison brings it back. The log of those days does: whoever is named there, and stands
//! before that command, waits for a person, and nobody is charged against their word.
//!
//! *Crash anywhere*: the same commands are fed again. Each is noted with the review that it leads to, in one transaction, and
//! noted once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Billing, TRIES};
use crate::store::StoreError;
use crate::subscription::SubscriptionId;

/// Subscriptions that are looked at side by side.
const ABREAST: usize = 16;
/// As many commands of one subscription as one transaction notes; the others are left for another call.
const MOST_AT_ONCE: usize = 50;
/// What is told of a command is no longer, in characters.
const LONGEST: usize = 100;

/// A command of the lost days, as a log or an archive of events has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LostCommand {
    /// Whose.
    pub subscription: SubscriptionId,
    /// The subscription's version by it. Where it isn't known, it counts as lost.
    #[serde(default)]
    pub version: Option<u64>,
    /// What was asked for, in a word: `cancel`.
    pub what: String,
    /// When, as it is written there: for a person.
    pub at: String,
}

/// What became of the commands that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Lost {
    /// Subscriptions that wait for a person now because of them.
    pub held: usize,
    /// Commands that the table has, or of which a person was told before.
    pub known: usize,
    /// Commands of subscriptions that are over, whom nobody charges.
    pub over: usize,
    /// Commands of subscriptions that aren't there: lost as a whole.
    pub unknown: usize,
    /// Commands that there was no time for. Feed all of them again.
    pub left: usize,
}

impl LostCommand {
    fn digest(&self) -> String {
        crate::digest::digest(&serde_json::to_string(self).unwrap_or_default())
    }

    /// For a person. Nothing that was fed can break a line.
    fn words(&self) -> String {
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>();
        let version = self.version.map(|version| format!(", version {version}")).unwrap_or_default();
        format!("{} ({}{version})", plain(&self.what), plain(&self.at))
    }
}

impl Billing {
    /// Hands everybody to a person whose commands the table has lost, for as long as `budget` lasts. Safe to repeat, and to be
    /// done before anything else happens on a restored table: what has moved on since seems to have the command.
    pub async fn lose(&self, commands: Vec<LostCommand>, budget: Duration) -> Result<Lost, StoreError> {
        let mut by_subscription = BTreeMap::<SubscriptionId, Vec<LostCommand>>::new();
        for command in commands {
            by_subscription.entry(command.subscription).or_default().push(command);
        }
        let started = tokio::time::Instant::now();
        let looks = by_subscription.into_iter().map(async |(id, mut commands)| {
            commands.sort();
            commands.dedup();
            match started.elapsed() < budget {
                true => self.lose_of(id, &commands).await,
                false => Ok(Lost { left: commands.len(), ..Lost::default() }),
            }
        });
        let looks = stream::iter(looks).buffer_unordered(ABREAST);
        looks.try_fold(Lost::default(), async |sum, lost| Ok(sum.and(lost))).await
    }

    async fn lose_of(&self, id: SubscriptionId, commands: &[LostCommand]) -> Result<Lost, StoreError> {
        for _ in 0..TRIES {
            let now = self.now();
            let Some(mut subscription) = self.store.subscription(id).await? else {
                return Ok(Lost { unknown: commands.len(), ..Lost::default() });
            };
            if subscription.status.is_over() {
                return Ok(Lost { over: commands.len(), ..Lost::default() });
            }
            let (told, is) = (self.store.lost(id).await?, subscription.version);
            let is_lost = |command: &&LostCommand| {
                command.version.is_none_or(|version| version > is) && !told.contains(&command.digest())
            };
            let lost: Vec<&LostCommand> = commands.iter().filter(is_lost).collect();
            let now_told = &lost[..lost.len().min(MOST_AT_ONCE)];
            let (known, left) = (commands.len() - lost.len(), lost.len() - now_told.len());
            if now_told.is_empty() {
                return Ok(Lost { known, ..Lost::default() });
            }
            let words: Vec<String> = now_told.iter().map(|command| command.words()).collect();
            subscription.lose(&words.join(", "), now);
            let noted: Vec<(String, String)> = now_told.iter().map(|command| command.digest()).zip(words).collect();
            match self.store.put_lost(&mut subscription, &noted, now, &self.policy).await {
                Ok(()) => {
                    let commands = noted.len();
                    warn!(subscription = %id, commands, outcome = "needs_review", "a restore has lost commands");
                    return Ok(Lost { held: 1, known, left, ..Lost::default() });
                }
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "hand lost commands to a person" })
    }
}

impl Lost {
    const fn and(self, other: Self) -> Self {
        Self {
            held: self.held + other.held,
            known: self.known + other.known,
            over: self.over + other.over,
            unknown: self.unknown + other.unknown,
            left: self.left + other.left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_command_is_told_in_a_line_and_has_one_digest() {
        let read = |text: &str| serde_json::from_str::<LostCommand>(text).unwrap();
        let cancel = read(
            r#"{"subscription":"01KB3Q0QZ8W3V5T7Y9A1C3E5G7","version":7,"what":"cancel","at":"2026-12-20 01:00:00.000"}"#,
        );
        assert_eq!(cancel.words(), "cancel (2026-12-20 01:00:00.000, version 7)");
        let odd = read(r#"{"subscription":"01KB3Q0QZ8W3V5T7Y9A1C3E5G7","what":"pa\nuse","at":""}"#);
        assert_eq!(odd.words(), "pause ()");
        assert_ne!(cancel.digest(), odd.digest());
        assert_eq!(cancel.digest(), cancel.clone().digest());
    }
}
