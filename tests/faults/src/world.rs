//! The world of one history: its time, I'mport, the table, the queue, what strikes, and what was seen of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dynoxide::Database;
use jiff::{SignedDuration, Timestamp};
use maedal::subscription::SubscriptionId;
use simulator::{Rule, Simulator};
use tokio::sync::Notify;

use crate::actor::Actor;
use crate::dice::Dice;
use crate::fault::{Fault, Kind};
use crate::log::{Did, Log};
use crate::people::Life;
use crate::queue::Messages;
use crate::rules::{Facts, Rules};
use crate::script::{Place, Script, Strikes};
use crate::table::{Answer, Copy, carry_out};
use crate::time::Time;

/// The world of one history.
pub struct World {
    /// Its time.
    pub time: Time,
    /// Its dice.
    pub dice: Dice,
    /// Something happened that somebody may wait for.
    pub changed: Notify,
    script: Script,
    telling: bool,
    lagging: bool,
    keeps_keys: bool,
    rough: AtomicBool,
    faults_stopped: AtomicBool,
    on_the_way: AtomicUsize,
    database: Database,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({:?})", self.time)
    }
}

/// Of a thousand workers that stood still so many find their connections dead.
const STALE: u64 = 400;

/// Where a call was lost on a dead connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It didn't arrive.
    There,
    /// It arrived, and the answer didn't.
    Back,
}

/// Who opens the shop before the history begins. Nothing befalls it.
pub const SETUP: &str = "the shop";

/// What changes.
#[derive(Debug)]
pub struct Inner {
    /// I'mport.
    pub iamport: Simulator,
    /// Our table, as written.
    pub copy: Copy,
    /// What must hold.
    pub rules: Rules,
    /// What struck.
    pub struck: Strikes,
    /// Which calls could have been struck.
    pub places: Vec<(Place, Kind)>,
    /// What happened, in words; empty where nobody is told.
    pub trace: Vec<(Timestamp, String)>,
    /// What happened, as a number.
    pub footprint: Dice,
    messages: Messages,
    down_until: Option<Timestamp>,
    misconfigured_until: Option<Timestamp>,
    /// Whose next charge doesn't arrive, and somebody takes its name; for the subscription's own `customer_uid` or not.
    pub trap: Option<(SubscriptionId, bool)>,
    /// What people did.
    pub log: Log,
    backup: Option<Backup>,
    latest: Latest,
    /// When I'mport was asked for a charge first, by merchant_uid.
    asked_at: BTreeMap<String, Timestamp>,
}

impl World {
    /// A world that begins now.
    pub fn new(
        time: Time,
        dice: Dice,
        script: Script,
        telling: bool,
        life: &Life,
        database: Database,
        iamport: Simulator,
    ) -> Arc<Self> {
        Arc::new(Self {
            time,
            dice,
            changed: Notify::new(),
            script,
            telling,
            lagging: life.lagging,
            keeps_keys: life.gateway.keeps_keys,
            rough: AtomicBool::new(life.rough),
            faults_stopped: AtomicBool::new(false),
            on_the_way: AtomicUsize::new(0),
            database,
            inner: Mutex::new(Inner {
                iamport,
                copy: Copy::default(),
                rules: Rules::of(life),
                struck: Strikes::new(),
                places: Vec::new(),
                trace: Vec::new(),
                footprint: dice,
                messages: Messages::default(),
                down_until: None,
                misconfigured_until: None,
                trap: None,
                log: Log::default(),
                backup: None,
                latest: Latest::default(),
                asked_at: BTreeMap::new(),
            }),
        })
    }

    /// What changes. Not to be held across an await.
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue.
    pub fn with_messages<T>(&self, work: impl FnOnce(&mut Messages) -> T) -> T {
        work(&mut self.inner().messages)
    }

    /// Whether the queue, webhooks and ticks misbehave.
    pub fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Relaxed)
    }

    /// From here on nothing goes wrong any more, and what an alarm has told of is looked after.
    pub fn calm_down(&self) {
        self.faults_stopped.store(true, Ordering::Relaxed);
        self.rough.store(false, Ordering::Relaxed);
        {
            let mut inner = self.inner();
            (inner.down_until, inner.misconfigured_until) = (None, None);
        }
        let now = self.time.now();
        self.with_messages(|messages| messages.redrive(now));
        self.say(|| "from here on nothing goes wrong any more".to_owned());
    }

    /// I'mport can't be reached for `span`.
    pub fn take_iamport_down(&self, span: SignedDuration) {
        if self.faults_stopped.load(Ordering::Relaxed) {
            return;
        }
        self.inner().down_until = self.time.now().checked_add(span).ok();
        self.say(|| format!("I'mport can't be reached for {} minutes", span.as_mins()));
    }

    /// For `span`, I'mport refuses each charge in the words of a missing key.
    pub fn misconfigure(&self, span: SignedDuration) {
        if self.faults_stopped.load(Ordering::Relaxed) {
            return;
        }
        self.inner().misconfigured_until = self.time.now().checked_add(span).ok();
        self.say(|| format!("the channel is misconfigured for {} minutes", span.as_mins()));
    }

    /// Writes down what somebody did about `id`.
    pub fn note(&self, id: SubscriptionId, did: Did) {
        let now = self.time.now();
        self.inner().log.note(id, now, did);
    }

    /// `me` stands still for `seconds`; at times its connections are gone afterwards.
    async fn freeze(&self, me: &Actor, place: &Place, seconds: u32) {
        if self.is_rough() && self.dice.happens(&format!("stale {} {}", place.actor, place.call), STALE) {
            me.lose_connections();
        }
        me.freeze(std::time::Duration::from_secs(seconds.into())).await;
    }

    /// Whether `me` finds out with this call that its connections have died while it stood still: then the call is lost, on the
    /// way there or on the way back.
    fn loses(&self, me: &Actor, place: &Place) -> Option<Lost> {
        if !me.finds_connection_lost() {
            return None;
        }
        self.say(|| format!("{}: the connection died meanwhile", me.name));
        match self.dice.happens(&format!("stale way {} {}", place.actor, place.call), 300) {
            true => Some(Lost::Back),
            false => Some(Lost::There),
        }
    }

    /// Adds a line to the history, where it is told.
    pub fn say(&self, line: impl FnOnce() -> String) {
        if self.telling {
            let line = line();
            self.inner().trace.push((self.time.now(), line));
        }
    }

    /// Leaves a trace of what `who` has met.
    fn tread(&self, who: &Place, met: u16) {
        let now = self.time.now().as_millisecond();
        let mut inner = self.inner();
        inner.footprint =
            Dice::new(inner.footprint.roll(&who.actor) ^ now.unsigned_abs() ^ u64::from(met).rotate_left(48));
    }

    /// Requests that were cut off from their senders and arrive later.
    pub fn on_the_way(&self) -> usize {
        self.on_the_way.load(Ordering::Relaxed)
    }

    /// What befalls the next call of `me`.
    fn strike(&self, me: &Actor, kind: Kind) -> (Place, Option<Fault>) {
        let place = me.next_place();
        if self.faults_stopped.load(Ordering::Relaxed) || me.name == SETUP {
            return (place, None);
        }
        let fault = self.script.strike(self.dice, &place, kind);
        let mut inner = self.inner();
        inner.places.push((place.clone(), kind));
        if let Some(fault) = fault {
            me.strike();
            inner.struck.insert(place.clone(), fault);
        }
        (place, fault)
    }

    /// How long a call takes one way: so that workers meet in every order.
    async fn travel(&self, place: &Place, way: &str) {
        let ms = self.dice.below(&format!("{way} {} {}", place.actor, place.call), 40) + 1;
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    }

    /// Carries out a request at the table, and reads along.
    pub fn at_table(&self, operation: &str, body: &str) -> Answer {
        let latest = match self.lagging && operation == "TransactWriteItems" {
            true => Some(Latest::before(&self.database, body, self.time.now())),
            false => None,
        };
        let torn = operation == "TransactWriteItems" && self.inner().backup.as_ref().is_some_and(|backup| backup.tears);
        let before = if torn { Some(backup::items(&self.database)) } else { None };
        let mut answer = carry_out(&self.database, operation, body);
        if let Some(before) = before.filter(|_| answer.status == 200) {
            self.tear(before, body);
        }
        if self.lagging && self.is_rough() && operation == "Query" && answer.status == 200 {
            let now = self.time.now();
            self.inner().latest.lag(self.dice, body, &mut answer, now);
        }
        if let Some(latest) = latest.filter(|_| answer.status == 200) {
            self.inner().latest = latest;
        }
        if answer.status == 200 && !matches!(operation, "GetItem" | "BatchGetItem" | "Query") {
            let now = self.time.now();
            let mut inner = self.inner();
            let Inner { copy, rules, iamport, trace, log, .. } = &mut *inner;
            let before = rules.before(copy);
            let written = copy.follow(operation, body, &answer.body);
            rules.switched(copy.charging_is_off, now);
            let facts = Facts { iamport, log, now };
            rules.after_write(&before, copy, &written, facts, self.telling.then_some(trace));
        }
        answer
    }

    /// Lets I'mport answer a request, with this fault of its own. `None`: the connection was cut.
    pub fn at_iamport(
        &self,
        request: &http::Request<Bytes>,
        fault: Option<simulator::Fault>,
    ) -> Option<http::Response<Bytes>> {
        let now = self.time.now();
        let mut inner = self.inner();
        inner.iamport.faults().clear();
        if let Some(fault) = fault {
            inner.iamport.faults().add(Rule::always(fault));
        }
        let reply = inner.iamport.handle(request, now);
        inner.iamport.faults().clear();
        drop(inner);
        self.changed.notify_one();
        reply.answer()
    }

    /// Whether each charge is refused in the words of a missing key.
    fn is_misconfigured(&self) -> bool {
        let now = self.time.now();
        self.inner().misconfigured_until.is_some_and(|until| now < until)
    }

    /// Whether I'mport can't be reached.
    fn is_down(&self) -> bool {
        let now = self.time.now();
        self.inner().down_until.is_some_and(|until| now < until)
    }
}

/// A request that arrives without its sender.
pub(crate) fn later(world: &Arc<World>, seconds: u32, work: impl FnOnce(&World) + Send + 'static) {
    world.on_the_way.fetch_add(1, Ordering::Relaxed);
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(seconds.into())).await;
        work(&world);
        world.on_the_way.fetch_sub(1, Ordering::Relaxed);
        world.changed.notify_one();
    });
}

mod backup;
mod iamport;
mod lag;
mod table;

use backup::Backup;
pub use iamport::ToIamport;
use lag::Latest;
pub use table::ToTable;
