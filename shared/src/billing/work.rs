//! One step of one subscription: what a queue message asks for, and what a confirmed billing key leads to.

use jiff::Timestamp;
use tracing::info;

use super::charge::{Charged, Earlier};
use super::confirm::Confirmation;
use super::delete_key::Deleted;
use super::refund::Refunded;
use super::repair::Repaired;
use super::{Billing, TRIES};
use crate::iamport::CallError;
use crate::key::Key;
use crate::store::{Entry, Guard, Settled, StoreError};
use crate::subscription::{Charge, Due, EndReason, Step, Subscription};

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    /// An attempt was made or settled.
    Charged(Charged),
    /// A refund was carried on.
    Refunded(Refunded),
    /// The subscription moved on without money.
    Moved(Box<Subscription>),
    /// Nothing was due: done before, or not yet.
    NotDue(Box<Subscription>),
    /// There is no such subscription, or no such charge.
    Unknown,
    /// I'mport can't be asked now; it is asked again later.
    Waiting(Box<Subscription>),
}

impl Worked {
    /// The subscription as it is now.
    pub fn into_subscription(self) -> Option<Subscription> {
        match self {
            Self::Charged(charged) => charged.subscription().cloned(),
            Self::Moved(s) | Self::NotDue(s) | Self::Waiting(s) => Some(*s),
            Self::Refunded(_) | Self::Unknown => None,
        }
    }

    /// One word, for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Charged(Charged::Paid(_)) => "paid",
            Self::Charged(Charged::Declined(_)) => "declined",
            Self::Charged(Charged::InDoubt(_)) => "in_doubt",
            Self::Charged(Charged::NeedsReview(_)) => "needs_review",
            Self::Charged(Charged::NotClaimed(_)) => "not_claimed",
            Self::Refunded(_) => "refund",
            Self::Moved(_) => "moved",
            Self::NotDue(_) => "not_due",
            Self::Unknown => "unknown",
            Self::Waiting(_) => "waiting",
        }
    }
}

impl Billing {
    /// Does the step that `due` names, if it is still due. A renewal is three calls: claim, `again`, settle.
    pub async fn work(&self, due: &Due) -> Result<Worked, StoreError> {
        let now = self.now();
        if due.charge.is_some() {
            return self.refund(due.subscription, &Key::due(due)).await.map(Worked::Refunded);
        }
        // Most of what is due is a renewal inside the charge window: claim it without reading it first.
        let seen = if due.due_at <= now && self.policy.charge_window.is_open(now) {
            match Box::pin(self.charge(due.subscription, &Guard::Due(due.due_at))).await? {
                Charged::NotClaimed(found) => found.map(|found| *found),
                charged @ (Charged::Paid(_) | Charged::Declined(_) | Charged::InDoubt(_) | Charged::NeedsReview(_)) => {
                    return Ok(Worked::Charged(charged));
                }
            }
        } else {
            self.store.subscription(due.subscription).await?
        };
        match seen {
            // Boxed: a renewal, which is claimed without a read, need not carry the size of all other steps.
            Some(seen) => Box::pin(self.advance(seen)).await,
            None => {
                info!(subscription = %due.subscription, outcome = "unknown", "a step of a subscription that isn't there");
                Ok(Worked::Unknown)
            }
        }
    }

    /// Does what is due for `seen`, which has just been read, until nothing is.
    pub(super) async fn advance(&self, mut seen: Subscription) -> Result<Worked, StoreError> {
        let mut moved = false;
        for _ in 0..TRIES {
            let now = self.now();
            let written = match seen.next_step(now, &self.policy) {
                Step::Nothing { .. } if moved => return Ok(Worked::Moved(Box::new(seen))),
                Step::Nothing { until } => {
                    self.list_anew(&mut seen, until, now).await?;
                    return Ok(Worked::NotDue(Box::new(seen)));
                }
                Step::Charge(intent) => {
                    let guard = Guard::Seen(seen.version, Box::new(intent));
                    match Box::pin(self.charge(seen.id, &guard)).await? {
                        Charged::NotClaimed(None) => return Ok(Worked::Unknown),
                        Charged::NotClaimed(Some(current)) if current.version != seen.version => {
                            seen = *current;
                            continue;
                        }
                        charged @ (Charged::Paid(_)
                        | Charged::Declined(_)
                        | Charged::InDoubt(_)
                        | Charged::NeedsReview(_)
                        | Charged::NotClaimed(Some(_))) => return Ok(Worked::Charged(charged)),
                    }
                }
                Step::Resolve => return Box::pin(self.resolve(seen)).await.map(Worked::Charged),
                Step::UseCredit(intent) => {
                    let charge = seen.settle_by_credit(&intent, now);
                    info!(merchant_uid = %intent.merchant_uid, credit = intent.credit.get(), outcome = "credited", "charge settled by credit");
                    self.settle_alone(&mut seen, charge, now).await
                }
                Step::GoUnpaid(intent) => {
                    let charge = seen.settle_without_key(&intent, now, &self.policy);
                    info!(merchant_uid = %intent.merchant_uid, outcome = "declined", "no billing key to charge");
                    self.settle_alone(&mut seen, charge, now).await
                }
                Step::SwitchPlan => {
                    seen.switch_plan();
                    self.store.put(&mut seen, now, &self.policy).await
                }
                Step::DeleteKey => match self.delete_key(&mut seen).await? {
                    Deleted::Gone => self.store.put(&mut seen, now, &self.policy).await,
                    Deleted::Later => {
                        self.store.put(&mut seen, now, &self.policy).await?;
                        return Ok(Worked::Waiting(Box::new(seen)));
                    }
                },
                Step::CheckWindows => match self.look_for_billing_key(&mut seen).await? {
                    Look::Found => Ok(()),
                    Look::Nothing => {
                        seen.window_opened_at = None;
                        self.store.put(&mut seen, now, &self.policy).await
                    }
                    Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                },
                // What ends or is left behind is looked at once more: by its windows, and by its attempts.
                Step::ExpireCheckout => match self.look_for_billing_key(&mut seen).await? {
                    Look::Found => Ok(()),
                    Look::Nothing => match self.look_for_late_payment(&mut seen).await? {
                        Look::Found => Ok(()),
                        Look::Nothing => {
                            seen.end(EndReason::CheckoutExpired, now);
                            self.store.put_expired(&mut seen, now, &self.policy).await
                        }
                        Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                    },
                    Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                },
                Step::SkipTo { period } => match self.look_for_late_payment(&mut seen).await? {
                    Look::Found => Ok(()),
                    Look::Nothing => {
                        info!(subscription = %seen.id, from = seen.period, to = period, outcome = "skipped", "periods went by uncharged");
                        seen.skip_to(period);
                        self.store.put(&mut seen, now, &self.policy).await
                    }
                    Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                },
                Step::GiveUp => match self.look_for_billing_key(&mut seen).await? {
                    Look::Found => Ok(()),
                    // Nobody is given up for what was no buyer's fault.
                    Look::Nothing if self.is_explained(&mut seen, now).await? => {
                        if seen.dunning.as_ref().is_none_or(|dunning| dunning.retry_at.is_none()) {
                            return Ok(Worked::Waiting(Box::new(seen)));
                        }
                        self.store.put(&mut seen, now, &self.policy).await
                    }
                    Look::Nothing => match self.look_for_late_payment(&mut seen).await? {
                        Look::Found => Ok(()),
                        Look::Nothing => {
                            seen.end(EndReason::Unpaid, now);
                            self.store.put(&mut seen, now, &self.policy).await
                        }
                        Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                    },
                    Look::Unanswered => return Ok(Worked::Waiting(Box::new(seen))),
                },
                Step::Repair(action) => match Box::pin(self.repair(seen.clone(), action)).await {
                    Ok(Repaired::Done(repaired)) => {
                        seen = *repaired;
                        Ok(())
                    }
                    Ok(Repaired::Waiting(waiting)) => return Ok(Worked::Waiting(waiting)),
                    Err(error) => Err(error),
                },
                Step::StartTrial => {
                    seen.start_trial(now);
                    self.store.put(&mut seen, now, &self.policy).await
                }
                Step::CancelAtPeriodEnd => {
                    seen.end(EndReason::Requested, now);
                    self.store.put(&mut seen, now, &self.policy).await
                }
            };
            match written {
                Ok(()) => {
                    moved = true;
                    info!(subscription = %seen.id, status = seen.status.word(), outcome = "moved", "step done");
                }
                Err(StoreError::Conflict { .. }) => match self.store.subscription(seen.id).await? {
                    Some(current) => seen = current,
                    None => return Ok(Worked::Unknown),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "do a step" })
    }

    /// Writes what needs no proof of I'mport's. Where the ledger has another charge in its place, the subscription catches up with
    /// that, and decides anew.
    async fn settle_alone(&self, seen: &mut Subscription, charge: Charge, now: Timestamp) -> Result<(), StoreError> {
        let id = seen.id;
        match self.store.settle(seen, &[Entry::New(charge.clone())], now, &self.policy).await? {
            Settled::Written => Ok(()),
            Settled::InTheWay(stands) => {
                let Some(current) = self.store.subscription(id).await? else {
                    return Err(StoreError::Conflict { task: "settle a charge" });
                };
                match stands.merchant_uid == charge.merchant_uid && stands.status.word() == charge.status.word() {
                    // Half of this very transaction, in a restored table: the other half follows.
                    true => self.store.put(seen, now, &self.policy).await,
                    false => {
                        if let Some(current) = self.catch_up(current, &stands, None).await? {
                            *seen = current;
                        }
                        Ok(())
                    }
                }
            }
        }
    }

    /// Whether an incident stands in the way of giving it up: one that goes on, or one that explains its latest decline. That is
    /// tried once more then, which `seen` says, and isn't written yet.
    async fn is_explained(&self, seen: &mut Subscription, now: Timestamp) -> Result<bool, StoreError> {
        match self.explained(seen, now).await? {
            None => Ok(true),
            Some(true) => {
                seen.try_once_more(now);
                Ok(true)
            }
            Some(false) => Ok(false),
        }
    }

    /// Was a billing key issued of which nobody told us? A key that is found is recorded in `seen`.
    async fn look_for_billing_key(&self, seen: &mut Subscription) -> Result<Look, StoreError> {
        match self.find_billing_key(seen).await {
            Ok(None) => Ok(Look::Nothing),
            Ok(Some((name, payment))) => match self.record_billing_key(name, &payment).await? {
                Confirmation::Confirmed(confirmed) => {
                    *seen = *confirmed;
                    Ok(Look::Found)
                }
                // It was issued, but not as it should have been, or too late: as good as none.
                Confirmation::NotYet | Confirmation::Refused(_) => Ok(Look::Nothing),
            },
            Err(error) => Ok(unanswered(seen, &error)),
        }
    }

    /// Was a declined attempt at the current period paid after all? One that was enters the ledger.
    async fn look_for_late_payment(&self, seen: &mut Subscription) -> Result<Look, StoreError> {
        match self.late_payment(seen, seen.period, seen.attempts).await {
            Ok(Earlier::Unpaid | Earlier::GoesBack) => Ok(Look::Nothing),
            Ok(Earlier::Paid(name, paid)) => {
                Box::pin(self.record_seen(seen.clone(), name, &paid)).await?;
                match self.store.subscription(seen.id).await? {
                    Some(current) => {
                        *seen = current;
                        Ok(Look::Found)
                    }
                    None => Err(StoreError::Conflict { task: "record a late payment" }),
                }
            }
            Err(error) => Ok(unanswered(seen, &error)),
        }
    }

    /// Where the index still lists a step at a time at which nothing is due, it is told the right time. An attempt in
    /// flight is left alone: its worker is about to write.
    async fn list_anew(
        &self,
        seen: &mut Subscription,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let at_work = seen.in_flight.is_some() && seen.doubt.is_none();
        if at_work || seen.listed_at == until {
            return Ok(());
        }
        match self.store.put(seen, now, &self.policy).await {
            // Whoever was faster has listed it anew.
            Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => Err(error),
        }
    }
}

/// What a last look at I'mport came to.
enum Look {
    /// Something that changes what is next, and it is recorded.
    Found,
    /// Nothing that we don't know.
    Nothing,
    /// I'mport can't be asked. The step stays due, and comes again.
    Unanswered,
}

fn unanswered(seen: &Subscription, error: &CallError) -> Look {
    info!(subscription = %seen.id, %error, outcome = "waiting", "I'mport can't be asked before a step");
    Look::Unanswered
}
