//! `dispatch`: an EventBridge schedule says that a minute has passed; what is due goes on the queue.
//!
//! It needs the table's index and the queue, and has no secret of I'mport's.

use std::sync::Arc;
use std::time::Duration;

use maedal::billing::{Dispatched, dispatch};
use maedal::clock::Clock;
use maedal::queue::Queue;
use maedal::store::{Store, StoreError};
use serde_json::Value;

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The table.
    pub store: Store,
    /// Where steps go.
    pub queue: Arc<dyn Queue>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// How long it may take; what is left waits for the next tick.
    pub budget: Duration,
}

/// Handles a tick. The event's content doesn't matter: a rule's (`detail-type`, `resources`) and a scheduler's (whatever
/// its input says) ask for the same.
///
/// # Errors
/// Where nothing could be read: Lambda counts it, and the next tick begins anew.
pub async fn handle(app: &App, _tick: Value) -> Result<Dispatched, StoreError> {
    dispatch(&app.store, app.queue.as_ref(), app.clock.as_ref(), app.budget).await
}
