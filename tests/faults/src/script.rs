//! Which faults strike: thrown by the dice, or a given list. What struck is a list again, and running it gives the same history.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::fault::{Fault, Kind};

/// A call of a history: whose, and which of its calls, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The worker.
    pub actor: String,
    /// Which of its calls.
    pub call: u32,
}

/// How long a slow gateway takes, in seconds.
const HOURS: [u32; 3] = [1_200, 5_400, 18_000];

/// What strikes where.
pub type Strikes = BTreeMap<Place, Fault>;

/// Where faults come from.
#[derive(Debug, Clone)]
pub enum Script {
    /// The dice: so many in a thousand calls.
    Dice {
        /// How many in a thousand.
        per_mille: u64,
        /// Whether delays may be hours.
        slow: bool,
    },
    /// These, and no others.
    Given(Strikes),
}

impl Script {
    /// What befalls the call at `place`.
    pub fn strike(&self, dice: Dice, place: &Place, kind: Kind) -> Option<Fault> {
        match self {
            Self::Given(strikes) => strikes.get(place).copied(),
            Self::Dice { per_mille, slow } => {
                let about = format!("fault {} {}", place.actor, place.call);
                // Where money is at stake, more often; and where it is proven, which most often follows another fault.
                let weight = match kind {
                    Kind::Again | Kind::Cancel => 3,
                    Kind::Lookup => 4,
                    Kind::Token | Kind::Read | Kind::Write | Kind::Transaction | Kind::DeleteKey => 1,
                };
                if !dice.happens(&about, per_mille * weight) {
                    return None;
                }
                // Seldom, since a person has to look at each.
                if kind == Kind::Again && dice.happens(&format!("{about} amount"), 15) {
                    return Some(Fault::WrongAmount);
                }
                let fault = dice.one_of(&format!("{about} kind"), kind.faults());
                Some(if *slow && kind != Kind::Write {
                    fault.slowed(dice.one_of(&format!("{about} hours"), &HOURS))
                } else {
                    fault
                })
            }
        }
    }
}
