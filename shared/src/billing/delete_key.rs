//! Deleting a billing key at I'mport. Deleting twice is as good as once, so an outcome in doubt is looked up and, where the
//! key is there still, asked for again.
//!
//! *Crash before the call*: it is due. *Crash after*: it is due, too; the second time I'mport knows no key, and that is
//! written. Until it is, nothing is charged with the key.

use jiff::SignedDuration;
use tracing::{info, warn};

use super::Billing;
use crate::store::StoreError;
use crate::subscription::{KeyDeletion, Subscription};

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
        let now = self.now();
        let asked = self.iamport.delete_billing_key(&seen.customer_uid, "not wanted any more").await;
        let gone = match &asked {
            Ok(Some(_)) => true,
            // Refused: because there is none, or for another reason. Asking for the key itself tells.
            Ok(None) | Err(_) => matches!(self.iamport.billing_key(&seen.customer_uid).await, Ok(None)),
        };
        if gone {
            info!(subscription = %seen.id, outcome = "deleted", "billing key deleted");
            seen.key_deleted();
            return Ok(Deleted::Gone);
        }
        let tries = seen.key_deletion.as_ref().map_or(0, |deletion| deletion.tries) + 1;
        let error = asked.err().map(|error| error.to_string());
        warn!(subscription = %seen.id, tries, error, outcome = "billing key open", "billing key not deleted");
        if tries >= MOST_TRIES {
            seen.needs_review("the billing key could not be deleted at I'mport".to_owned(), now);
        }
        let wait = if tries == 1 { SOON } else { DAILY };
        seen.key_deletion = Some(KeyDeletion { due_at: now.saturating_add(wait).unwrap_or(now), tries });
        Ok(Deleted::Later)
    }
}
