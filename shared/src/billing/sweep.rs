//! A look through all living subscriptions, once a day: each must be listed where its next step is due, or nobody would ever
//! come back to it. Every write lists the subscription anew, so this finds nothing, unless there is a defect or a table that was
//! put together by hand.
//!
//! *Crash anywhere*: it goes on with the page that was looked at last.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tracing::{error, info};

use super::Billing;
use crate::metrics::{self, Metric};
use crate::store::{ListBy, MOST_LISTED, StoreError, Sweep};
use crate::subscription::period::in_seoul;
use crate::subscription::{Status, Subscription};

/// Pages between two places that are written.
const PAGES_A_STEP: usize = 10;
/// A policy that was changed moves what is due, by the next write of each subscription. Who is listed so much too late is
/// listed anew.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// What a part of a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// Living subscriptions that were looked at now.
    pub looked_at: u64,
    /// Those of them that were listed nowhere, and are now.
    pub unlisted: u64,
}

/// The states in which a step may be due, in the order in which they are looked through. Who ended has nothing to wait for but
/// the deletion of a key.
const fn next_of(status: Option<Status>) -> Option<Status> {
    match status {
        None => Some(Status::Active),
        Some(Status::Active) => Some(Status::PastDue),
        Some(Status::PastDue) => Some(Status::Trialing),
        Some(Status::Trialing) => Some(Status::Paused),
        Some(Status::Paused) => Some(Status::Pending),
        Some(Status::Pending) => Some(Status::NeedsReview),
        Some(Status::NeedsReview | Status::Expired | Status::Canceled) => None,
    }
}

/// How a subscription is listed.
enum Listing {
    AsItShould,
    /// Much later than its step is due.
    Late,
    /// Nowhere, though a step is to come.
    Nowhere,
}

impl Billing {
    /// The day's look, for as long as `budget` lasts; then nothing until the next day. It goes on where the call before ended.
    pub async fn sweep_daily(&self, budget: Duration) -> Result<Swept, StoreError> {
        let day = in_seoul(self.now()).start_of_day().map_or(self.now(), |day| day.timestamp());
        let anew = Sweep { day, status: next_of(None), after: None, unlisted: 0 };
        let mut sweep = match self.store.sweep().await? {
            // One that takes longer than a day is taken to its end, too.
            Some(sweep) if sweep.day >= day || sweep.status.is_some() => sweep,
            Some(_) | None => anew,
        };
        let started = tokio::time::Instant::now();
        let mut swept = Swept::default();
        while sweep.status.is_some() && started.elapsed() < budget {
            for _ in 0..PAGES_A_STEP {
                let Some(status) = sweep.status else { break };
                let page = self.store.list_as_it_was(&ListBy::State(status), sweep.after, MOST_LISTED).await?;
                for seen in &page.subscriptions {
                    swept.looked_at += 1;
                    if self.list_where_it_is_due(seen).await? {
                        swept.unlisted += 1;
                        sweep.unlisted += 1;
                    }
                }
                sweep.after = page.next;
                if page.next.is_none() {
                    sweep.status = next_of(Some(status));
                }
            }
            self.store.put_sweep(&sweep).await?;
            if sweep.status.is_none() {
                #[allow(clippy::cast_precision_loss)]
                metrics::put(&[(Metric::Unlisted, sweep.unlisted as f64)]);
                info!(day = %sweep.day, unlisted = sweep.unlisted, outcome = "swept", "all that live were looked at");
            }
        }
        Ok(swept)
    }

    /// Lists it anew where it isn't as it should be. Whether it was listed nowhere.
    async fn list_where_it_is_due(&self, seen: &Subscription) -> Result<bool, StoreError> {
        if matches!(self.listing(seen, self.now()), Listing::AsItShould) {
            return Ok(false);
        }
        // Read again: what was read may be a moment old.
        let now = self.now();
        let Some(mut is) = self.store.subscription(seen.id).await? else { return Ok(false) };
        let lost = match self.listing(&is, now) {
            Listing::AsItShould => return Ok(false),
            Listing::Late => false,
            Listing::Nowhere => {
                error!(subscription = %is.id, status = is.status.word(), outcome = "unlisted", "nobody would have come back");
                true
            }
        };
        match self.store.put(&mut is, now, &self.policy).await {
            // Whoever was faster has listed it.
            Ok(()) | Err(StoreError::Conflict { .. }) => Ok(lost),
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => Err(error),
        }
    }

    fn listing(&self, subscription: &Subscription, now: Timestamp) -> Listing {
        match (subscription.due_at(now, &self.policy), subscription.listed_at) {
            (None, _) => Listing::AsItShould,
            (Some(_), None) => Listing::Nowhere,
            (Some(due), Some(listed)) if listed.duration_since(due.max(now)) > LATE => Listing::Late,
            (Some(_), Some(_)) => Listing::AsItShould,
        }
    }
}
