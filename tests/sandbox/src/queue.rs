//! The sandbox's queue: FIFO by group, deduplicated for five minutes, with visibility and a dead-letter list, as SQS FIFO.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use maedal::clock::Clock;
use maedal::queue::{Message, Queue, QueueError};

/// How long SQS drops repeats of a deduplication id.
const DEDUPLICATION: SignedDuration = SignedDuration::from_mins(5);
/// How long a message that failed stays out of sight.
const VISIBILITY: SignedDuration = SignedDuration::from_mins(2);
/// After so many receipts a message goes to the dead letters.
const MOST_RECEIPTS: u32 = 5;

/// A message that was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The queue's name for it.
    pub id: String,
    /// Its group.
    pub group: String,
    /// What it says.
    pub body: String,
    /// How often it was handed out, this time included.
    pub receipts: u32,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    group: String,
    body: String,
    visible_at: Timestamp,
    receipts: u32,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    in_flight: BTreeSet<String>,
    sent: BTreeMap<String, Timestamp>,
    dead: Vec<Received>,
    made: u64,
}

/// The queue.
#[derive(Debug)]
pub struct LocalQueue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl LocalQueue {
    /// An empty queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `most` messages in order: of a group only what has nothing of it before, in flight or out of sight.
    pub fn receive(&self, most: usize) -> Vec<Received> {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut blocked = state.in_flight.clone();
        let mut batch = Vec::new();
        for message in &mut state.waiting {
            if batch.len() == most {
                break;
            }
            if blocked.insert(message.group.clone()) && message.visible_at <= now {
                message.receipts += 1;
                batch.push(Received {
                    id: message.id.clone(),
                    group: message.group.clone(),
                    body: message.body.clone(),
                    receipts: message.receipts,
                });
            }
        }
        state.in_flight.extend(batch.iter().map(|message| message.group.clone()));
        batch
    }

    /// What became of a batch: what failed comes again, the rest is gone.
    pub fn settle(&self, batch: &[Received], failed: &BTreeSet<String>) {
        let again_at = self.clock.now().saturating_add(VISIBILITY).unwrap_or(Timestamp::MAX);
        let mut state = self.lock();
        for message in batch {
            state.in_flight.remove(&message.group);
            let Some(place) = state.waiting.iter().position(|waiting| waiting.id == message.id) else { continue };
            if failed.contains(&message.id) && state.waiting[place].receipts < MOST_RECEIPTS {
                state.waiting[place].visible_at = again_at;
            } else if state.waiting.remove(place).is_some() && failed.contains(&message.id) {
                state.dead.push(message.clone());
            }
        }
    }

    /// Puts a message in as if it had been sent, whatever was sent before: a duplicate.
    pub fn duplicate(&self, message: &Received) {
        self.push(&mut self.lock(), message.group.clone(), message.body.clone());
    }

    /// How many wait, in sight or not.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next message comes into sight.
    pub fn next_visible(&self) -> Option<Timestamp> {
        self.lock().waiting.iter().map(|message| message.visible_at).min()
    }

    /// What never worked.
    pub fn dead_letters(&self) -> Vec<Received> {
        self.lock().dead.clone()
    }

    fn push(&self, state: &mut State, group: String, body: String) {
        state.made += 1;
        let id = format!("message-{}", state.made);
        state.waiting.push_back(Waiting { id, group, body, visible_at: self.clock.now(), receipts: 0 });
    }
}

impl Queue for LocalQueue {
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut state = self.lock();
            state.sent.retain(|_, at| now.duration_since(*at) < DEDUPLICATION);
            for message in batch {
                let body = serde_json::to_string(message).map_err(|e| QueueError(e.to_string()))?;
                // A repeat doesn't begin the five minutes anew.
                if let Entry::Vacant(first) = state.sent.entry(message.deduplication_id()) {
                    first.insert(now);
                    self.push(&mut state, message.group(), body);
                }
            }
            Ok(Vec::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use maedal::clock::TestClock;
    use maedal::queue::Hint;

    use super::*;

    fn hint(imp_uid: &str, merchant_uid: &str) -> Message {
        Message::Hint(Hint { imp_uid: imp_uid.into(), merchant_uid: merchant_uid.into(), mark: String::new() })
    }

    #[tokio::test]
    async fn a_group_has_one_message_in_flight_and_a_repeat_is_dropped() {
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        let queue = LocalQueue::new(clock.clone());
        queue.send(&[hint("a", "1"), hint("a", "1"), hint("a", "2"), hint("b", "1")]).await.unwrap();
        assert_eq!(queue.len(), 3);

        let batch = queue.receive(10);
        assert_eq!(batch.len(), 2, "the first of each group");
        assert!(queue.receive(10).is_empty());
        queue.settle(&batch, &BTreeSet::new());
        assert_eq!(queue.receive(10).len(), 1);

        clock.advance(std::time::Duration::from_secs(200));
        queue.send(&[hint("b", "1")]).await.unwrap();
        assert_eq!(queue.len(), 1);
        clock.advance(std::time::Duration::from_secs(101));
        queue.send(&[hint("b", "1")]).await.unwrap();
        assert_eq!(queue.len(), 2, "five minutes after the first a repeat is a new message");
    }

    #[tokio::test]
    async fn what_never_works_ends_in_the_dead_letters() {
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        let queue = LocalQueue::new(clock.clone());
        queue.send(&[hint("a", "1")]).await.unwrap();
        for _ in 0..MOST_RECEIPTS {
            let batch = queue.receive(10);
            assert_eq!(batch.len(), 1);
            queue.settle(&batch, &batch.iter().map(|message| message.id.clone()).collect());
            assert!(queue.receive(10).is_empty(), "out of sight");
            clock.advance(std::time::Duration::from_secs(121));
        }
        assert!(queue.is_empty());
        assert_eq!(queue.dead_letters().len(), 1);
    }
}
