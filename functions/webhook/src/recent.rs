//! What this instance has followed a moment ago, so that a repeat asks nobody. Forgetting it only costs a look-up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use maedal::digest::digest;

use crate::body::Notice;

/// How long a repeat is known for.
const MOMENT: SignedDuration = SignedDuration::from_secs(30);
/// How many are remembered; a flood beyond it is looked up.
const MOST: usize = 1_000;

/// The memory of one instance: digests, since a notice may be long.
#[derive(Debug, Default)]
pub struct Recent(Mutex<BTreeMap<String, Timestamp>>);

impl Recent {
    /// Whether the same notice was followed within the last moment.
    pub fn has(&self, notice: &Notice, now: Timestamp) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&key(notice)).is_some_and(|at| now.duration_since(*at) < MOMENT)
    }

    /// Remembers a notice that was followed. Cancellations without an id are not: two of one payment look the same.
    pub fn add(&self, notice: &Notice, now: Timestamp) {
        if notice.status.as_deref() == Some("cancelled") && notice.cancellation_id.is_none() {
            return;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, at| now.duration_since(*at) < MOMENT);
        }
        if seen.len() < MOST {
            seen.insert(key(notice), now);
        }
    }
}

fn key(notice: &Notice) -> String {
    digest(&format!("{notice:?}"))
}
