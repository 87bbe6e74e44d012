//! Commands: read, change, write, in one transaction with the answer that repeats get.
//!
//! *Crash before the write*: nothing happened. *Crash after*: it is done, and a repeat under the same `Idempotency-Key`
//! gets the same answer. What follows from it (a charge, a refund, a deletion at I'mport) is a step that is due.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::open_checkout::{answer, digest_of};
use super::{Billing, RefundRequest, TRIES};
use crate::store::{Commanded, Entry, Idempotency, StoreError};
use crate::subscription::{Charge, Command, Facts, Refused, Subscription, SubscriptionId};

/// A command, and what it may find.
#[derive(Debug, Clone, Copy)]
pub struct CommandRequest<'a> {
    /// Whose.
    pub subscription: SubscriptionId,
    /// The caller's `Idempotency-Key`.
    pub key: Option<&'a str>,
    /// A digest-worthy copy of the request's body: a key must not come back with another one.
    pub body: &'a serde_json::Value,
    /// The version that the caller has seen.
    pub version: Option<u64>,
}

/// A command that was carried out: by this request, or by an earlier copy of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The subscription, right after.
    pub subscription: Subscription,
    /// The charge that changed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
}

/// A command that changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such subscription.
    #[error("there is no such subscription")]
    Unknown,
    /// Its state and the command don't go together.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It isn't at the version that the caller has seen.
    #[error("the subscription is at version {is}, not {seen}: it has changed. Read it again and decide anew")]
    Version {
        /// The caller's.
        seen: u64,
        /// The table's.
        is: u64,
    },
    /// The `Idempotency-Key` came with another request before.
    #[error("this Idempotency-Key was used for another request. Use a new key for a new request")]
    KeyReused,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A command of the subscription's, or a refund of one of its charges.
pub(super) enum Change<'a> {
    Command(&'a Command),
    Refund(&'a RefundRequest),
}

impl Billing {
    /// Carries out `command`.
    pub async fn command(&self, command: &Command, request: CommandRequest<'_>) -> Result<Done, CommandError> {
        self.change(&Change::Command(command), request).await
    }

    /// What a change makes of a subscription that was just read, and of a charge of its (as it was, as it is).
    async fn decide(
        &self,
        change: &Change<'_>,
        seen: &mut Subscription,
        now: Timestamp,
    ) -> Result<Option<(Charge, Charge)>, CommandError> {
        match change {
            Change::Command(command) => {
                let paid = match command.needs_charge() && seen.paid_through > 0 {
                    true => self.settled_charge(seen).await?,
                    false => None,
                };
                let facts = Facts { now, policy: &self.policy, paid: paid.as_ref() };
                let is = seen.command(command, &facts)?;
                Ok(paid.zip(is))
            }
            Change::Refund(refund) => self.decide_refund(refund, seen, now).await.map(Some),
        }
    }

    /// The charge that settled the latest paid period.
    async fn settled_charge(&self, seen: &Subscription) -> Result<Option<Charge>, StoreError> {
        let charges = self.store.charges_of(seen.id, seen.paid_through).await?;
        Ok(charges.into_iter().find(Charge::is_settled))
    }

    /// Reads, changes and writes a subscription, and with it at most one charge (as it was, as it is).
    pub(super) async fn change(&self, change: &Change<'_>, request: CommandRequest<'_>) -> Result<Done, CommandError> {
        let operation = match change {
            Change::Command(command) => command.word(),
            Change::Refund(_) => "refund",
        };
        let digest = digest_of(&(request.subscription.to_string(), request.body));
        for _ in 0..TRIES {
            let now = self.now();
            if let Some(done) = self.repeated(operation, request.key, &digest, now).await? {
                return Ok(done);
            }
            let Some(mut seen) = self.store.subscription(request.subscription).await? else {
                return Err(CommandError::Unknown);
            };
            let version = seen.version;
            let changed = match request.version {
                Some(seen) if seen != version => Err(CommandError::Version { seen, is: version }),
                Some(_) | None => self.decide(change, &mut seen, now).await,
            };
            let changed = match changed {
                Ok(changed) => changed,
                Err(error) => {
                    // A copy of this request may have been faster, between our two reads.
                    return self.repeated(operation, request.key, &digest, now).await?.ok_or(error);
                }
            };
            seen.version = version + 1;
            let (entries, charge) = match changed {
                Some((was, is)) => (vec![Entry::Changed { was, is: is.clone() }], Some(is)),
                None => (Vec::new(), None),
            };
            let done = Done { subscription: seen, charge, at: now };
            let record = request.key.map(|key| answer(operation, key, &digest, &done, now));
            let written = self.store.command(&done.subscription, version, &entries, record.as_ref(), now, &self.policy);
            match written.await {
                Ok(Commanded::Done) => {
                    let version = done.subscription.version;
                    info!(subscription = %request.subscription, version, command = operation, status = done.subscription.status.word(), outcome = "done", "command");
                    return Ok(done);
                }
                Ok(Commanded::Repeat(first)) => return first_answer(&first, &digest),
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "carry out a command" }.into())
    }

    /// What an earlier copy of the request was answered.
    async fn repeated(
        &self,
        operation: &'static str,
        key: Option<&str>,
        digest: &str,
        now: Timestamp,
    ) -> Result<Option<Done>, CommandError> {
        let Some(key) = key else { return Ok(None) };
        match self.store.idempotency(operation, key, now).await? {
            Some(first) => first_answer(&first, digest).map(Some),
            None => Ok(None),
        }
    }
}

fn first_answer(first: &Idempotency, digest: &str) -> Result<Done, CommandError> {
    if first.digest != digest {
        return Err(CommandError::KeyReused);
    }
    serde_json::from_str(&first.answer).map_err(|e| {
        CommandError::Store(StoreError::Defect { task: "read the answer to a repeat", reason: e.to_string() })
    })
}
