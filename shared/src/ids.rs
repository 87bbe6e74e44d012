//! New identifiers: ULIDs, from the operating system's randomness or from a seed.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use ulid::Ulid;

use crate::subscription::NameKey;

/// Makes ULIDs. A ULID is also the capability to open a checkout session, so the 80 random bits come from a
/// cryptographic generator; a seeded one makes a test's history repeatable.
pub struct Ids(Mutex<StdRng>);

impl Ids {
    /// From the operating system's randomness.
    ///
    /// # Panics
    /// Where the operating system has none to give: nothing safe can be made then.
    pub fn random() -> Self {
        let mut seed = [0; 32];
        #[allow(clippy::expect_used)]
        SysRng.try_fill_bytes(&mut seed).expect("the operating system gives randomness");
        Self(Mutex::new(StdRng::from_seed(seed)))
    }

    /// The same ids in the same order for the same seed. For tests and the sandbox only.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A new id, made at `now`.
    pub fn next(&self, now: Timestamp) -> Ulid {
        Ulid::from_parts(u64::try_from(now.as_millisecond()).unwrap_or(0), self.bits())
    }

    /// A key for the names of a new subscription.
    pub fn name_key(&self) -> NameKey {
        NameKey::new(self.bits())
    }

    fn bits(&self) -> u128 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}
