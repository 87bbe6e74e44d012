//! Incidents: where many are refused alike, it is ours or the gateway's, and no buyer's. While one goes on, dunning stands still,
//! nobody is given up, and one charge at a time tries whether it is over; a charge that is paid ends it.
//!
//! *Crash anywhere*: the record of it is a word for the others, and none of the ledger's. Where it isn't written, the next worker
//! that sees the same writes it.

use jiff::Timestamp;
use tracing::{error, warn};

use super::Billing;
use crate::metrics::{self, Metric};
use crate::store::{Incident, StoreError};
use crate::subscription::settle::Proof;
use crate::subscription::{ChargeStatus, DeclineRules, Intent, Status, Subscription};

impl Billing {
    /// Takes note of what a charge came to: paid, or refused or declined in `words`.
    pub(super) async fn note_outcome(&self, charged: &Subscription, intent: &Intent, words: Option<&str>) {
        let now = self.now();
        let open = self.store.incident();
        let noted = match (words, open) {
            (None, Some(incident)) => {
                warn!(words = incident.words, since = %incident.since, outcome = "incident over", "charges are paid again");
                metrics::put(&[(Metric::Incident, 0.0)]);
                self.store.put_incident(&Incident { until: Some(now), ..incident }, now).await
            }
            (Some(_), Some(_)) => {
                metrics::put(&[(Metric::Incident, 1.0)]);
                Ok(())
            }
            // A retry is declined for want of money more often than not: only first attempts tell.
            (_, None) if intent.attempt == 1 && charged.dunning.is_none() && charged.status != Status::Pending => {
                match self.iamport.brake().hear(charged.id, words, now) {
                    Some((words, since)) => {
                        error!(words, %since, outcome = "incident", "many are refused alike: that is no buyer's fault");
                        metrics::put(&[(Metric::Incident, 1.0)]);
                        self.store.put_incident(&Incident { words, since, until: None }, now).await
                    }
                    None => Ok(()),
                }
            }
            (_, None) => Ok(()),
        };
        if let Err(error) = noted {
            warn!(%error, outcome = "not noted", "an incident could not be noted");
        }
    }

    /// Whether a decline is the buyer's. What says that the key is missing counts only where the key's own look-up shows none.
    pub(super) async fn judge(&self, seen: &Subscription, proof: Proof) -> Proof {
        let Proof::Declined { reason, imp_uid } = proof else { return proof };
        let made_at = seen.claimed_at.unwrap_or_else(|| self.now());
        let explained = self.store.latest_incident().is_some_and(|incident| incident.explains(&reason, made_at));
        let theirs = !explained
            && (!DeclineRules::says_missing(&reason)
                || matches!(self.iamport.billing_key(&seen.customer_uid).await, Ok(None)));
        match theirs {
            true => Proof::Declined { reason, imp_uid },
            false => Proof::Refused { reason, imp_uid },
        }
    }

    /// Whether nobody may be given up now, or this one not yet: the latest decline is explained by an incident. `None`: an incident
    /// goes on.
    pub(super) async fn explained(&self, seen: &Subscription, now: Timestamp) -> Result<Option<bool>, StoreError> {
        let Some(incident) = self.store.charging().await?.incident else { return Ok(Some(false)) };
        if incident.until.is_none() && incident.since <= now {
            return Ok(None);
        }
        let charges = self.store.charges_of(seen.id, seen.period).await?;
        Ok(Some(charges.iter().max_by_key(|charge| charge.attempt).is_some_and(|charge| match &charge.status {
            ChargeStatus::Declined { reason, .. } => incident.explains_settled(reason, charge.settled_at),
            ChargeStatus::Paid(_) | ChargeStatus::Credited | ChargeStatus::Imported => false,
        })))
    }
}
