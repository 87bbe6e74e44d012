//! Who is killed, and when: at random moments, whoever is at work then.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::function::{Function, Place};
use crate::server::Server;

/// One kill of so many is of DynamoDB or of I'mport. More, and they are away for most of the time: then nobody has work to be
/// killed at.
const SERVERS: u32 = 10;
/// Where nobody is at work, it is looked again so soon.
const LOOK: Duration = Duration::from_millis(20);

/// How likely a process of a function is killed where it is at work, beside the others.
fn weight(function: &str) -> u32 {
    match function {
        "charge" | "dispatch" => 10,
        _ => 3,
    }
}

/// Kills.
#[derive(Debug)]
pub(crate) struct Killer {
    dice: StdRng,
    /// Twice the usual time between two kills, in milliseconds.
    longest_pause: u64,
    functions: Vec<Arc<Function>>,
    servers: [Arc<Server>; 2],
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
            if self.dice.random_ratio(1, SERVERS) {
                let server = &self.servers[self.dice.random_range(0..self.servers.len())];
                if server.is_up() {
                    server.kill();
                }
                continue;
            }
            let place = loop {
                match self.somebody_at_work() {
                    Some(place) => break place,
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            place.kill();
        }
    }

    fn somebody_at_work(&mut self) -> Option<Arc<Place>> {
        let places = self.functions.iter().flat_map(|f| f.places.iter().map(|place| (weight(f.name), place)));
        let at_work: Vec<(u32, &Arc<Place>)> = places.filter(|(_, place)| place.is_at_work()).collect();
        let sum: u32 = at_work.iter().map(|(weight, _)| weight).sum();
        let drawn = (sum > 0).then(|| self.dice.random_range(0..sum))?;
        let mut passed = 0;
        let hit = at_work.into_iter().find(|(weight, _)| {
            passed += weight;
            drawn < passed
        });
        hit.map(|(_, place)| place.clone())
    }
}
