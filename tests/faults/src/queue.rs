//! An unkind SQS FIFO: what is sent may come twice, late or out of order, and what a worker took and didn't finish comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use maedal::queue::{Message, Queue, QueueError};

use crate::actor::Actor;
use crate::world::World;

/// How long a message that was received stays out of sight (`template.yaml`: 720 s).
const VISIBILITY: SignedDuration = SignedDuration::from_secs(720);
/// How long SQS drops repeats of a deduplication id.
const DEDUPLICATION: SignedDuration = SignedDuration::from_mins(5);
/// After so many receipts a message goes to the dead letters (`template.yaml`).
const MOST_RECEIPTS: u32 = 20;

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The queue's name for it.
    pub id: u64,
    /// Its group.
    pub group: String,
    /// What it says.
    pub body: String,
    /// How often it was handed out, this time included.
    pub receipts: u32,
}

#[derive(Debug)]
struct Waiting {
    received: Received,
    visible_at: Timestamp,
}

/// What waits.
#[derive(Debug, Default)]
pub struct Messages {
    waiting: BTreeMap<u64, Waiting>,
    sent: BTreeMap<String, Timestamp>,
    made: u64,
    dead: Vec<Received>,
}

impl Messages {
    fn push(&mut self, group: String, body: String, visible_at: Timestamp) {
        self.made += 1;
        let received = Received { id: self.made, group, body, receipts: 0 };
        self.waiting.insert(self.made, Waiting { received, visible_at });
    }

    /// Takes up to `most` messages that are in sight, one of each group unless `careless`.
    pub fn receive(&mut self, most: usize, careless: bool, now: Timestamp) -> Vec<Received> {
        let mut blocked = BTreeSet::new();
        let mut batch = Vec::new();
        let mut dead = Vec::new();
        for (id, message) in &mut self.waiting {
            if batch.len() == most {
                break;
            }
            let first = blocked.insert(message.received.group.clone());
            if message.visible_at > now || !(first || careless) {
                continue;
            }
            message.received.receipts += 1;
            if message.received.receipts > MOST_RECEIPTS {
                dead.push(*id);
                continue;
            }
            message.visible_at = now.saturating_add(VISIBILITY).unwrap_or(Timestamp::MAX);
            batch.push(message.received.clone());
        }
        for id in dead {
            self.dead.extend(self.waiting.remove(&id).map(|waiting| waiting.received));
        }
        batch
    }

    /// Somebody heeds the alarm, and has the hints among the dead letters tried again. Steps are of no weight: they are in the
    /// index still.
    pub fn redrive(&mut self, now: Timestamp) {
        for letter in std::mem::take(&mut self.dead) {
            if let Ok(Message::Hint(_)) = serde_json::from_str(&letter.body) {
                self.push(letter.group, letter.body, now);
            }
        }
    }

    /// What became of a batch: what failed comes again, the rest is gone.
    pub fn settle(&mut self, batch: &[Received], failed: &[String]) {
        for message in batch.iter().filter(|message| !failed.contains(&message.id.to_string())) {
            self.waiting.remove(&message.id);
        }
    }

    /// When the next message can be received: of each group, the first that waits.
    pub fn next_visible(&self) -> Option<Timestamp> {
        let mut seen = BTreeSet::new();
        let firsts = self.waiting.values().filter(|waiting| seen.insert(&waiting.received.group));
        firsts.map(|waiting| waiting.visible_at).min()
    }

    /// Whether nothing waits, dead letters left aside.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// The queue as a worker has it.
#[derive(Debug)]
pub struct ToQueue(pub Arc<World>);

impl Queue for ToQueue {
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        Box::pin(async move {
            let world = &self.0;
            let Some(me) = Actor::me() else { return Err(QueueError("nobody sends".to_owned())) };
            let place = me.next_place();
            let about = format!("queue {} {}", place.actor, place.call);
            let rough = world.is_rough();
            let fate = if rough { world.dice.below(&about, 1000) } else { 1000 };
            if fate < 20 {
                world.say(|| format!("{} can't reach the queue", me.name));
                return Err(QueueError("no connection".to_owned()));
            }
            let now = world.time.now();
            world.with_messages(|messages| {
                messages.sent.retain(|_, at| now.duration_since(*at) < DEDUPLICATION);
                for (nth, message) in batch.iter().enumerate() {
                    let Ok(body) = serde_json::to_string(message) else { continue };
                    let first = !messages.sent.contains_key(&message.deduplication_id());
                    if !first {
                        continue;
                    }
                    messages.sent.insert(message.deduplication_id(), now);
                    let about = format!("{about} {nth}");
                    let (copies, delay) = match rough {
                        false => (1, 0),
                        true => (
                            1 + u64::from(world.dice.happens(&format!("{about} copies"), 60)),
                            match world.dice.below(&format!("{about} delay"), 100) {
                                0..90 => 0,
                                90..97 => 40,
                                97..99 => 420,
                                _ => 7_200,
                            },
                        ),
                    };
                    for copy in 0..copies {
                        let delay = SignedDuration::from_secs(delay + if copy > 0 { 2 } else { 0 });
                        let at = now.saturating_add(delay).unwrap_or(now);
                        messages.push(message.group(), body.clone(), at);
                    }
                }
            });
            world.changed.notify_one();
            match fate {
                // It was taken, and the sender doesn't hear.
                20..40 => Err(QueueError("no answer".to_owned())),
                _ => Ok(Vec::new()),
            }
        })
    }
}
