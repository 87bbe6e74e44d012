//! Who is killed, and when: at random moments, whoever is at work then.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::function::{Function, Place};
use crate::server::Server;

/// How likely one is killed where it is at work, beside the others. `dispatch` works for seconds of a minute.
fn weight(function: &str) -> u32 {
    match function {
        "dispatch" => 20,
        _ => 3,
    }
}

/// As above, for DynamoDB and for I'mport, which are always at work.
const SERVER: u32 = 2;

/// Kills.
#[derive(Debug)]
pub(crate) struct Killer {
    dice: StdRng,
    /// Twice the usual time between two kills, in milliseconds.
    longest_pause: u64,
    functions: Vec<Arc<Function>>,
    servers: [Arc<Server>; 2],
}

enum Victim<'a> {
    Place(&'a Place),
    Server(&'a Server),
}

impl Killer {
    pub(crate) fn new(seed: u64, a_minute: u32, functions: &[Arc<Function>], servers: [&Arc<Server>; 2]) -> Self {
        Self {
            dice: StdRng::seed_from_u64(seed),
            longest_pause: 120_000 / u64::from(a_minute.max(1)),
            functions: functions.to_vec(),
            servers: servers.map(Arc::clone),
        }
    }

    /// Kills one after the other, for ever.
    pub(crate) async fn kill(mut self) {
        loop {
            let pause = self.dice.random_range(0..=self.longest_pause);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let places = self.functions.iter().flat_map(|function| {
                let at_work = function.places.iter().filter(|place| place.is_at_work());
                at_work.map(|place| (weight(function.name), Victim::Place(place)))
            });
            let servers = self.servers.iter().filter(|server| server.is_up());
            let all: Vec<_> = places.chain(servers.map(|server| (SERVER, Victim::Server(server)))).collect();
            let sum: u32 = all.iter().map(|(weight, _)| weight).sum();
            if sum == 0 {
                continue;
            }
            let mut drawn = self.dice.random_range(0..sum);
            for (weight, victim) in all {
                match (drawn.checked_sub(weight), victim) {
                    (Some(left), Victim::Place(_) | Victim::Server(_)) => drawn = left,
                    (None, Victim::Place(place)) => {
                        place.kill();
                        break;
                    }
                    (None, Victim::Server(server)) => {
                        server.kill();
                        break;
                    }
                }
            }
        }
    }
}
