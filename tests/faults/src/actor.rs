//! A worker: one invocation of a function, or a person at a browser. It makes network calls, and may die or stand still at each.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::script::Place;
use crate::world::World;

tokio::task_local! {
    static ME: Arc<Actor>;
}

/// One worker.
#[derive(Debug)]
pub struct Actor {
    /// Its name: what it is and which.
    pub name: String,
    /// Where it lives.
    pub world: Arc<World>,
    calls: AtomicU32,
    struck: AtomicBool,
    dead: AtomicBool,
    stale: AtomicBool,
    frozen_until: Mutex<Option<Instant>>,
}

/// Lambda ends an invocation that takes longer: the longest that the template allows.
pub const LONGEST: Duration = Duration::from_secs(120);

impl Actor {
    /// A worker named `name`.
    pub fn new(world: &Arc<World>, name: String) -> Arc<Self> {
        Arc::new(Self {
            name,
            world: world.clone(),
            calls: AtomicU32::new(0),
            struck: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            frozen_until: Mutex::default(),
        })
    }

    /// The worker whose code is running.
    pub fn me() -> Option<Arc<Self>> {
        ME.try_with(Arc::clone).ok()
    }

    /// How many calls it has made, those for a token left out.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether anything befell it.
    pub fn was_struck(&self) -> bool {
        self.struck.load(Ordering::Relaxed)
    }

    /// The place of its next call.
    pub fn next_place(&self) -> Place {
        Place { actor: self.name.clone(), call: self.calls.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Something befell it.
    pub fn strike(&self) {
        self.struck.store(true, Ordering::Relaxed);
    }

    /// Dies: nothing of it runs any more.
    pub async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::Relaxed);
        pending().await
    }

    /// Its connections have died while it stood still: the next call finds that out.
    pub fn lose_connections(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Whether this call is the one that finds it out.
    pub fn finds_connection_lost(&self) -> bool {
        self.stale.swap(false, Ordering::Relaxed)
    }

    /// Stands still for `span`: no line of its code runs, and its timers are late.
    pub async fn freeze(&self, span: Duration) {
        *self.frozen() = Some(Instant::now() + span);
        // Back to `Living`, which polls no more until then.
        tokio::task::yield_now().await;
    }

    fn frozen(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` as this worker, until it ends or the worker does. `None`: it died, or took too long.
    pub async fn live<T>(self: &Arc<Self>, work: impl Future<Output = T> + Send) -> Option<T> {
        self.live_for(LONGEST, work).await
    }

    /// As [`Actor::live`], for a person who takes the time that it needs.
    pub async fn at_leisure<T>(self: &Arc<Self>, work: impl Future<Output = T> + Send) -> Option<T> {
        self.live_for(LONGEST * 100, work).await
    }

    async fn live_for<T>(self: &Arc<Self>, longest: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
        let living = Living {
            actor: self.clone(),
            work: Box::pin(ME.scope(self.clone(), work)),
            thaw: None,
            ends: Box::pin(tokio::time::sleep(longest)),
        };
        living.await
    }
}

struct Living<'a, T> {
    actor: Arc<Actor>,
    work: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    thaw: Option<Pin<Box<Sleep>>>,
    ends: Pin<Box<Sleep>>,
}

impl<T> Future for Living<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        loop {
            if let Some(thaw) = &mut this.thaw {
                if thaw.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.thaw = None;
            }
            if let Poll::Ready(done) = this.work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            if this.actor.dead.load(Ordering::Relaxed) {
                return Poll::Ready(None);
            }
            if let Some(until) = this.actor.frozen().take() {
                // Time that it stands still is not time that it runs.
                let ends = this.ends.deadline() + until.saturating_duration_since(Instant::now());
                this.ends.as_mut().reset(ends);
                this.thaw = Some(Box::pin(tokio::time::sleep_until(until)));
                continue;
            }
            return match this.ends.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}
