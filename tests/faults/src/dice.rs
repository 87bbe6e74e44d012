//! Dice that don't remember: each roll follows from the seed and from what it is about. So taking one fault out of a history
//! leaves all other rolls as they were, and a history can be shrunk.

/// The dice of one history.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

impl Dice {
    /// Dice of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number for `about`, the same each time.
    pub fn roll(self, about: &str) -> u64 {
        about.bytes().fold(mix(self.0), |state, byte| mix(state ^ u64::from(byte)))
    }

    /// A number below `end` (1 at least).
    pub fn below(self, about: &str, end: u64) -> u64 {
        self.roll(about) % end.max(1)
    }

    /// Whether something with a chance of `per_mille` in a thousand happens.
    pub fn happens(self, about: &str, per_mille: u64) -> bool {
        self.below(about, 1000) < per_mille
    }

    /// One of `all`, which isn't empty.
    pub fn one_of<T: Copy>(self, about: &str, all: &[T]) -> T {
        let place = self.below(about, all.len() as u64);
        all[usize::try_from(place).unwrap_or_default()]
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
