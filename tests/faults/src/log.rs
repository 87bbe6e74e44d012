//! What people did, as they know it: a record beside the table, which no code of ours reads. The rules about what may be charged,
//! and the price oracle, go by it alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maedal::subscription::SubscriptionId;

use crate::people::Ask;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// The buyer has approved a window: I'mport has a billing key of it.
    Approved,
    /// The merchant has asked, and doesn't know yet what comes of it.
    Asked(Ask),
    /// It was told that it is done.
    Accepted(Ask),
    /// It was told why it isn't.
    Refused(Ask),
    /// Nobody told it anything that it can rely on.
    Unanswered(Ask),
    /// An operator has decided.
    Repaired,
    /// It was brought from the old place, with its next period's beginning.
    Imported(Timestamp),
    /// The buyer has ended the agreement at the gateway.
    EndedKey,
    /// A payment was canceled in I'mport's console.
    CanceledByHand,
}

/// What people did, by subscription, in order.
#[derive(Debug, Default)]
pub struct Log {
    done: BTreeMap<SubscriptionId, Vec<(Timestamp, Did)>>,
}

impl Log {
    /// Writes down what was done.
    pub fn note(&mut self, id: SubscriptionId, at: Timestamp, did: Did) {
        self.done.entry(id).or_default().push((at, did));
    }

    /// All that was done about one subscription.
    pub fn of(&self, id: SubscriptionId) -> &[(Timestamp, Did)] {
        self.done.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Why it must not be charged, where what was accepted says so.
    ///
    /// What a merchant has asked for and not been told may have been done, too: it counts where it allows something.
    pub fn forbids(&self, id: SubscriptionId) -> Option<&'static str> {
        let (mut canceled, mut paused, mut ends, mut deleted) = (false, false, false, false);
        for (_, did) in self.of(id) {
            match did {
                Did::Accepted(Ask::CancelNow | Ask::CancelNowUnused | Ask::CancelNowAll) => canceled = true,
                Did::Accepted(Ask::CancelAtPeriodEnd) => ends = true,
                Did::Accepted(Ask::Pause) => paused = true,
                Did::Accepted(Ask::DeleteKey) => deleted = true,
                Did::Asked(Ask::Resume) => (paused, ends) = (false, false),
                Did::Approved => deleted = false,
                Did::Asked(_)
                | Did::Accepted(_)
                | Did::Refused(_)
                | Did::Unanswered(_)
                | Did::Repaired
                | Did::Imported(_)
                | Did::CanceledByHand
                | Did::EndedKey => (),
            }
        }
        let because = [
            (canceled, "its cancellation was accepted"),
            (paused, "its pause was accepted"),
            (ends, "its end with the paid period was accepted"),
            (deleted, "the deletion of its billing key was accepted"),
        ];
        because.into_iter().find(|(holds, _)| *holds).map(|(_, words)| words)
    }

    /// The commands that were accepted since `from`, in order.
    pub fn accepted_since(&self, from: Timestamp) -> Vec<(SubscriptionId, Timestamp, Ask)> {
        let of = |(id, done): (&SubscriptionId, &Vec<(Timestamp, Did)>)| {
            let id = *id;
            let accepted = done.iter().filter_map(move |(at, did)| match did {
                Did::Accepted(ask) if *at >= from => Some((id, *at, *ask)),
                _ => None,
            });
            accepted.collect::<Vec<_>>()
        };
        self.done.iter().flat_map(of).collect()
    }

    /// Whether somebody has asked for its cancellation.
    pub fn is_canceled(&self, id: SubscriptionId) -> bool {
        let cancels = |ask: &Ask| matches!(ask, Ask::CancelNow | Ask::CancelNowUnused | Ask::CancelNowAll);
        self.of(id).iter().any(|(_, did)| matches!(did, Did::Asked(ask) if cancels(ask)))
    }

    /// Whether the deletion of its billing key was accepted, and no key was brought since.
    pub fn is_key_deleted(&self, id: SubscriptionId) -> bool {
        let last = self.of(id).iter().rev().find_map(|(_, did)| match did {
            Did::Accepted(Ask::DeleteKey) => Some(true),
            Did::Approved | Did::Imported(_) => Some(false),
            _ => None,
        });
        last == Some(true)
    }

    /// When the buyer approved a window last.
    pub fn approved_at(&self, id: SubscriptionId) -> Option<Timestamp> {
        self.of(id).iter().rev().find(|(_, did)| *did == Did::Approved).map(|(at, _)| *at)
    }

    /// Whether the deletion of the billing key may have been carried out.
    pub fn may_be_deleted(&self, id: SubscriptionId) -> bool {
        self.of(id).iter().any(|(_, did)| *did == Did::Asked(Ask::DeleteKey))
    }
}
