//! Deleting a billing key at I'mport. Deleting twice is as good as once, so an outcome in doubt is looked up and, where the
//! key is there still, asked for again. "Deleted" is only what the key's own look-up shows.
//!
//! *Crash before the call*: it is due. *Crash after*: it is due, too; the second time I'mport knows no key, and that is
//! written. Until it is, nothing is charged with the key.

use jiff::SignedDuration;
use tracing::{info, warn};

use super::Billing;
use crate::iamport::CallError;
use crate::store::StoreError;
use crate::subscription::{KeyDeletion, Purpose, ReviewCause, Subscription};

/// A key that is there still is asked for again after so long, then daily.
const SOON: SignedDuration = SignedDuration::from_mins(5);
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// After so many tries a person must look.
const MOST_TRIES: u32 = 8;

/// What a deletion came to. The subscription says so, and isn't written yet.
pub(super) enum Deleted {
    /// I'mport has no such key.
    Gone,
    /// Nobody knows, or it is there still.
    Later,
}

impl Billing {
    pub(super) async fn delete_key(&self, seen: &mut Subscription) -> Result<Deleted, StoreError> {
        // I'mport has one key under a customer_uid, the latest: what another window issued, and nobody told, goes with it.
        let latest = match self.find_billing_key(seen).await {
            Ok(latest) => latest.map(|(name, _)| name.purpose),
            Err(error) => return Ok(self.delete_later(seen, Some(&error))),
        };
        let asked = self.iamport.delete_billing_key(&seen.customer_uid, "not wanted any more").await;
        // Whatever the answer was: what the key's own look-up shows is so.
        let shown = self.iamport.billing_key(&seen.customer_uid).await;
        if matches!(shown, Ok(None)) {
            info!(subscription = %seen.id, outcome = "deleted", "billing key deleted");
            seen.key_deleted();
            seen.end_review_of(ReviewCause::KeyDeletion);
            if let (Some(method), Some(Purpose::Window { number })) = (&mut seen.payment_method, latest) {
                method.window = number;
            }
            return Ok(Deleted::Gone);
        }
        Ok(self.delete_later(seen, asked.err().or(shown.err()).as_ref()))
    }

    fn delete_later(&self, seen: &mut Subscription, error: Option<&CallError>) -> Deleted {
        let now = self.now();
        let tries = seen.key_deletion.as_ref().map_or(0, |deletion| deletion.tries) + 1;
        let error = error.map(ToString::to_string);
        warn!(subscription = %seen.id, tries, error, outcome = "billing key open", "billing key not deleted");
        if tries >= MOST_TRIES {
            let reason = "the billing key could not be deleted at I'mport".to_owned();
            seen.needs_review_for(ReviewCause::KeyDeletion, reason, now);
        }
        let wait = if tries == 1 { SOON } else { DAILY };
        seen.key_deletion = Some(KeyDeletion { due_at: now.saturating_add(wait).unwrap_or(now), tries });
        Deleted::Later
    }
}
