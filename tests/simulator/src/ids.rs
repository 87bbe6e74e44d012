//! `imp_uid`s, tokens and window ids, drawn from the seed.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Ids that follow from the seed.
#[derive(Debug)]
pub(crate) struct Ids(StdRng);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// `imp_` and 12 digits.
    pub(crate) fn imp_uid(&mut self) -> String {
        format!("imp_{:012}", self.0.random_range(0..1_000_000_000_000_u64))
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[self.0.random_range(0..16)])).collect()
    }
}
