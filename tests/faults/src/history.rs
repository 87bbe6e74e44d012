//! One history: a seed, virtual time, one thread. The functions' handlers and the use cases run as they are deployed, over the
//! real clients; below those, calls go to I'mport's simulator and to DynamoDB's emulator in the process.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use bytes::Bytes;
use dynoxide::Database;
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use maedal::aws::Aws;
use maedal::billing::{
    Billing, CheckoutRequest, CommandError, CommandRequest, Importing, LostCommand, Opened, Pace, PlanRequest,
    RefundError, RefundRequest, RepairRequest, Schedules, Session, Span,
};
use maedal::iamport::{Credentials, Iamport};
use maedal::ids::Ids;
use maedal::import::{Format, ImportId};
use maedal::queue::{BATCH, Message};
use maedal::site::{Channel, Site};
use maedal::store::{Charging, Store};
use maedal::subscription::period::in_seoul;
use maedal::subscription::{
    Buyer, Command, Interval, MerchantUid, Policy, RefundPart, RepairAction, SubscriptionId, Unit, When, Won,
};
use serde_json::{Value, json};
use simulator::{Config, Simulator, Webhook};
use tokio::task::JoinSet;

use crate::actor::Actor;
use crate::dice::Dice;
use crate::fault::{Kind, MOST_OFF};
use crate::log::Did;
use crate::people::{Ask, Deed, Gateway, Life, Taken, Way};
use crate::queue::{Received, ToQueue};
use crate::rules::{Facts, Rule, Violation};
use crate::script::{Place, Script, Strikes};
use crate::table::Account;
use crate::time::Time;
use crate::world::{SETUP, ToIamport, ToTable, World};

/// The table's name.
pub(crate) const TABLE: &str = "maedal";
/// The table, without its stream and the two indexes that no use case here reads: each write costs time. The index of days is for
/// lives in which the books are compared.
const TABLE_AS_JSON: &str = r#"{
    "TableName": "maedal", "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        { "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "sk", "AttributeType": "S" },
        { "AttributeName": "due_shard", "AttributeType": "N" }, { "AttributeName": "due_at", "AttributeType": "N" },
        { "AttributeName": "paid_day", "AttributeType": "S" }, { "AttributeName": "paid_at", "AttributeType": "N" }
    ],
    "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
    "GlobalSecondaryIndexes": [{
        "IndexName": "due", "Projection": { "ProjectionType": "KEYS_ONLY" },
        "KeySchema": [{ "AttributeName": "due_shard", "KeyType": "HASH" }, { "AttributeName": "due_at", "KeyType": "RANGE" }]
    }, {
        "IndexName": "by_day",
        "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["imp_uid", "amount", "refunded"] },
        "KeySchema": [{ "AttributeName": "paid_day", "KeyType": "HASH" }, { "AttributeName": "paid_at", "KeyType": "RANGE" }]
    }]
}"#;
/// Workers of `charge` that run side by side, each with a clock of its own.
const WORKERS: u64 = 3;
/// Of a thousand ticks so many run `dispatch` as it is, over all shards; the others, for the sake of time, read only those that
/// hold anything.
const WHOLE_TICKS: u64 = 10;
/// Of a thousand other ticks so many read the table at all.
const READ_TICKS: u64 = 250;
/// Of a thousand nights so many compare books that don't differ.
const COMPARED_ANYWAY: u64 = 40;
/// How long after the faults have stopped everything must be quiet: longer than the looks at an attempt in doubt go on.
const REST: SignedDuration = SignedDuration::from_hours(24 * 12);
/// A history that takes more steps than this goes in circles.
const MOST_STEPS: u32 = 20_000;
/// How long a stack stands still before its table is restored: whatever was under way has come to its end.
const SHUT_DOWN: SignedDuration = SignedDuration::from_hours(1);
/// A row that isn't taken in by then won't be.
const MOST_IMPORT_TURNS: u32 = 200;
/// The merchant's code, which every browser knows.
pub(crate) const USER_CODE: &str = "imp00000000";
/// So many days are compared once all is quiet.
const LAST_DAYS: usize = 3;
/// When histories begin: 10 in the morning in Korea.
pub(crate) const EPOCH: Timestamp = Timestamp::constant(1_795_395_600, 0);

/// A history to run.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What the dice are thrown from.
    pub seed: u64,
    /// What people do.
    pub life: Life,
    /// What strikes.
    pub script: Script,
}

impl Plot {
    /// The plot of `seed`.
    pub fn thrown(seed: u64) -> Self {
        let life = Life::thrown(Dice::new(seed));
        let script = Script::Dice { per_mille: life.per_mille, slow: life.gateway.slow };
        Self { seed, life, script }
    }

    /// One buyer and two periods, with these faults and no other trouble: what is searched through exhaustively.
    pub fn plain(strikes: Strikes) -> Self {
        let life = Life {
            interval: Interval { unit: Unit::Day, count: 1 },
            trial_days: 0,
            policy: Policy::default(),
            ends_after: SignedDuration::from_hours(26),
            per_mille: 0,
            rough: false,
            operated: false,
            gateway: Gateway::default(),
            lagging: false,
            deeds: vec![(0, SignedDuration::from_secs(60), Deed::Subscribe { who: 0, way: Way::Back })],
        };
        Self { seed: 1, life, script: Script::Given(strikes) }
    }
}

impl Plot {
    /// One buyer, and nothing goes wrong but what strikes.
    fn is_undisturbed(&self) -> bool {
        let does = |what: fn(&Deed) -> bool| self.life.deeds.iter().filter(|(_, _, deed)| what(deed)).count();
        let plain = |deed: &Deed| matches!(deed, Deed::Subscribe { .. } | Deed::TryAgain { .. });
        !self.life.rough
            && self.life.deeds.iter().all(|(_, _, deed)| plain(deed))
            && does(|deed| matches!(deed, Deed::Subscribe { .. })) == 1
    }
}

/// What came of a history.
#[derive(Debug)]
pub struct Outcome {
    /// What was broken.
    pub violations: Vec<Violation>,
    /// What struck.
    pub struck: Strikes,
    /// Every call that could have been struck.
    pub places: Vec<(Place, Kind)>,
    /// What happened, in words, where the stage tells.
    pub trace: Vec<(Timestamp, String)>,
    /// What happened, as a number: the same for the same history.
    pub footprint: u64,
    /// Both books at the end, in words.
    pub books: Vec<String>,
}

/// Runs histories one after the other, on one thread.
pub struct Stage {
    client: Client,
    telling: bool,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage")
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self { client: Aws::local("http://dynamodb").dynamodb_over(ToTable::shared()), telling: false }
    }
}

impl Stage {
    /// A stage whose histories are told in words, which takes a part of the time.
    pub fn telling() -> Self {
        Self { telling: true, ..Self::default() }
    }

    /// Runs `plot`.
    ///
    /// # Panics
    /// Where the machine has no memory for an empty database.
    pub fn run(&self, plot: &Plot) -> Outcome {
        // The SDK's retries roll dice of their own, and pay from a bucket of their own. Nobody here reads a signature, which takes
        // a part of the time.
        fastrand::seed(plot.seed);
        let bucket = RetryPartition::custom("history").token_bucket(TokenBucket::new(500)).build();
        let config = self.client.config().to_builder().retry_partition(bucket).allow_no_auth();
        let client = Client::from_conf(config.auth_scheme_preference([AuthSchemeId::new("noAuth")]).build());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        #[allow(clippy::expect_used)]
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime without I/O");
        runtime.block_on(async {
            let time = Time::from(EPOCH);
            #[allow(clippy::expect_used)]
            let database = Database::memory().expect("an empty database");
            let config = Config {
                seed: plot.seed,
                webhook_url: Some("http://webhook".to_owned()),
                pays_again: plot.life.gateway.pays_again,
                least_amount: plot.life.gateway.least_amount,
                ..Config::default()
            };
            let credentials = Credentials { key: config.imp_key.clone(), secret: config.imp_secret.clone() };
            let dice = Dice::new(plot.seed);
            let simulator = Simulator::new(config);
            let world = World::new(time, dice, plot.script.clone(), self.telling, &plot.life, database, simulator);
            let mut show = Show::new(&world, plot, &client, &credentials);
            let ended = AssertUnwindSafe(show.play()).catch_unwind().await;
            if let Err(panic) = ended {
                let what = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                world.inner().rules.broken(Rule::Panic, what.unwrap_or("a panic"));
            }
            let mut inner = world.inner();
            if plot.is_undisturbed() && inner.struck.is_empty() {
                let over = over_budget(&inner.places);
                over.into_iter().for_each(|what| inner.rules.broken(Rule::Budget, what));
            }
            let books = crate::words::books(&inner.copy, &inner.iamport);
            Outcome {
                violations: std::mem::take(&mut inner.rules.violations),
                struck: std::mem::take(&mut inner.struck),
                places: std::mem::take(&mut inner.places),
                trace: std::mem::take(&mut inner.trace),
                footprint: inner.footprint.roll(""),
                books,
            }
        })
    }
}

/// The renewals of a history in which nothing struck that don't begin with three calls: the claim, the charge, the settlement. A worker's
/// token is for many of them. The first charge, which a webhook may ask for, reads what it knows nothing of before.
fn over_budget(places: &[(Place, Kind)]) -> Vec<String> {
    let mut workers: Vec<(&str, Vec<Kind>)> = Vec::new();
    for (place, kind) in places.iter().filter(|(place, _)| place.actor.starts_with("charge ")) {
        match workers.last_mut() {
            Some((actor, kinds)) if *actor == place.actor => kinds.push(*kind),
            _ => workers.push((&place.actor, vec![*kind])),
        }
    }
    workers.iter_mut().for_each(|(_, kinds)| kinds.retain(|kind| *kind != Kind::Token));
    let charges = workers.into_iter().filter(|(_, kinds)| kinds.contains(&Kind::Again)).skip(1);
    // Where a webhook is faster, the worker reads what it has settled.
    let over = charges.filter(|(_, kinds)| !kinds.starts_with(&[Kind::Write, Kind::Again, Kind::Transaction]));
    over.map(|(actor, kinds)| format!("{actor} renews with {kinds:?}")).collect()
}

/// When the books are compared next: at three in the night, in Korea.
fn night_after(t: Timestamp) -> Timestamp {
    use jiff::ToSpan;
    let night = |day: jiff::Zoned| day.start_of_day().and_then(|day| day.checked_add(3.hours()));
    let today = night(in_seoul(t)).map_or(t, |night| night.timestamp());
    let tomorrow =
        || in_seoul(t).checked_add(1.day()).and_then(night).map_or(Timestamp::MAX, |night| night.timestamp());
    if today > t { today } else { tomorrow() }
}

impl Comparison {
    /// The days before `to` are compared.
    fn is_done(&self, to: Timestamp) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }

    /// Before which the days are compared.
    fn done(&self) -> Option<Timestamp> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscriptions of which this holds.
fn those(world: &World, holds: fn(&Account) -> bool) -> Vec<SubscriptionId> {
    world.inner().copy.accounts.iter().filter(|(_, account)| holds(account)).map(|(id, _)| *id).collect()
}

/// An operator decides of `id`. Why it can't be, where it can't.
async fn repair(actor: &Arc<Actor>, billing: &Billing, id: SubscriptionId) -> Option<String> {
    let world = &actor.world;
    let actions = [RepairAction::Accept, RepairAction::Refund, RepairAction::WriteOff];
    let action = world.dice.one_of(&format!("repair {id}"), &actions);
    world.say(|| format!("an operator decides of {id}: {}", action.word()));
    world.inner().rules.repaired(id, action);
    world.note(id, Did::Repaired);
    let request = RepairRequest { action, by: "an operator".to_owned(), reason: "as asked".to_owned() };
    let deciding = async { billing.decide_repair(id, &request, None).await.map(drop) };
    match actor.live(deciding).await {
        Some(Ok(())) => None,
        other => Some(format!("{other:?}")),
    }
}

/// Refunds that were made are known from I'mport.
fn is_refund(ask: Ask) -> bool {
    matches!(ask, Ask::RefundPart | Ask::RefundAll)
}

/// An operator takes it as it is, after a restore.
async fn accept(world: &World, billing: &Billing, id: SubscriptionId) {
    world.inner().rules.repaired(id, RepairAction::Accept);
    world.note(id, Did::Repaired);
    let (by, reason) = ("an operator".to_owned(), "after the restore".to_owned());
    let decided = billing.decide_repair(id, &RepairRequest { action: RepairAction::Accept, by, reason }, None).await;
    world.say(|| format!("the operator decides of {id}: {}", decided.is_ok()));
}

/// One worker's wiring.
#[derive(Debug, Clone)]
struct Wiring {
    billing: Arc<Billing>,
}

/// The functions, as they were deployed last.
struct Crew {
    charge: Vec<Wiring>,
    webhook: Vec<Arc<webhook::App>>,
    complete: Arc<complete::App>,
    manage: Wiring,
    dispatch: Arc<dispatch::App>,
    reconcile: Arc<reconcile::App>,
}

impl Crew {
    /// The deployment number `nth`, with `policy`.
    fn deployed(world: &Arc<World>, nth: usize, policy: &Policy, client: &Client, credentials: &Credentials) -> Self {
        let most = u64::try_from(MOST_OFF.as_secs()).unwrap_or(0);
        let off = |name: &str| {
            let seconds = match world.is_rough() {
                true => world.dice.below(&format!("clock {name}"), 2 * most + 1),
                false => most,
            };
            SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0)) - MOST_OFF
        };
        let wire = |name: &str| {
            let clock = Arc::new(world.time.clock(off(name)));
            let iamport = Iamport::new("http://iamport", credentials.clone(), Arc::new(ToIamport), clock.clone());
            let ids = if nth == 0 { format!("ids {name}") } else { format!("ids {name} {nth}") };
            Wiring {
                billing: Arc::new(Billing {
                    store: Store::new(client.clone(), TABLE),
                    iamport,
                    clock,
                    policy: policy.clone(),
                    ids: Ids::seeded(world.dice.roll(&ids)),
                }),
            }
        };
        let queue = Arc::new(ToQueue(world.clone()));
        let hearer = |name: &str| {
            let billing = wire(name).billing;
            Arc::new(webhook::App { billing, queue: queue.clone(), recent: webhook::Recent::default() })
        };
        let ticker = wire("dispatch").billing;
        let dispatch = dispatch::App {
            store: ticker.store.clone(),
            queue: queue.clone(),
            clock: ticker.clock.clone(),
            budget: Duration::from_secs(45),
        };
        let site = Site {
            public_url: "https://pay.example".to_owned(),
            sdk_url: "https://cdn.example/v1/iamport.js".to_owned(),
            user_code: USER_CODE.to_owned(),
            channel: Channel::default(),
            session: SignedDuration::from_mins(60),
            merchant_name: String::new(),
        };
        Self {
            charge: (0..WORKERS).map(|nth| wire(&format!("charge {nth}"))).collect(),
            webhook: vec![hearer("webhook 0"), hearer("webhook 1")],
            complete: Arc::new(complete::App { billing: wire("pages").billing, site }),
            manage: wire("manage"),
            dispatch: Arc::new(dispatch),
            reconcile: Arc::new(reconcile::App {
                billing: wire("reconcile").billing,
                budget: Duration::from_secs(480),
            }),
        }
    }
}

/// A history on the stage.
struct Show<'a> {
    world: Arc<World>,
    plot: &'a Plot,
    client: &'a Client,
    credentials: &'a Credentials,
    crew: Crew,
    policy: Policy,
    deployments: usize,
    sessions: Arc<std::sync::Mutex<BTreeMap<usize, SubscriptionId>>>,
    made: BTreeMap<&'static str, u32>,
    crowd: JoinSet<()>,
    busy: Arc<AtomicU64>,
    next_tick: Option<Timestamp>,
    last_tick: Option<Tick>,
    comparison: Comparison,
    /// The table is lost, and is restored then; until then nothing runs.
    restored_at: Option<Timestamp>,
}

/// When the books are compared next, and until when they have been, to the end.
#[derive(Debug, Clone)]
struct Comparison {
    next: Timestamp,
    done: Arc<std::sync::Mutex<Option<Timestamp>>>,
}

/// A tick that was.
#[derive(Debug)]
struct Tick {
    at: Timestamp,
    /// What was due first.
    due: Timestamp,
    /// How many ticks before it have found the same.
    idle: usize,
}

impl<'a> Show<'a> {
    fn new(world: &Arc<World>, plot: &'a Plot, client: &'a Client, credentials: &'a Credentials) -> Self {
        Self {
            world: world.clone(),
            plot,
            client,
            credentials,
            crew: Crew::deployed(world, 0, &plot.life.policy, client, credentials),
            policy: plot.life.policy.clone(),
            deployments: 0,
            sessions: Arc::default(),
            made: BTreeMap::new(),
            crowd: JoinSet::new(),
            busy: Arc::default(),
            next_tick: None,
            last_tick: None,
            comparison: Comparison { next: night_after(EPOCH), done: Arc::default() },
            restored_at: None,
        }
    }

    fn actor(&mut self, what: &'static str) -> Arc<Actor> {
        let made = self.made.entry(what).or_default();
        *made += 1;
        Actor::new(&self.world, format!("{what} {made}"))
    }

    async fn open_shop(&self) {
        let billing = self.crew.manage.billing.clone();
        let life = &self.plot.life;
        let (interval, trial_days) = (life.interval, life.trial_days);
        let made = self.world.look("CreateTable", TABLE_AS_JSON).status == 200;
        let setup = Actor::new(&self.world, SETUP.to_owned());
        let opened = setup.live(async move {
            let plan = |name: &str, amount: u64, interval, trial_days| PlanRequest {
                name: name.to_owned(),
                amount: Won::new(amount),
                currency: None,
                tax_free: Won::ZERO,
                interval,
                trial_days,
                dunning: None,
            };
            let longer = Interval { unit: if interval.unit == Unit::Day { Unit::Week } else { Unit::Month }, count: 1 };
            let plans =
                [("basic", plan("기본", 9_900, interval, trial_days)), ("plus", plan("더 큰 것", 14_900, longer, 0))];
            for (id, plan) in plans {
                if let Ok(id) = id.parse() {
                    let _ = billing.put_plan(id, plan, None).await;
                }
            }
        });
        if !made || opened.await.is_none() {
            self.world.inner().rules.broken(Rule::Panic, "the table can't be made");
        }
    }

    /// The whole history.
    async fn play(&mut self) {
        self.open_shop().await;
        let deeds = self.plot.life.deeds.clone();
        let mut deeds = deeds.into_iter().peekable();
        let ends_at = EPOCH.saturating_add(self.plot.life.ends_after).unwrap_or(Timestamp::MAX);
        let mut rest_at = ends_at.saturating_add(REST).unwrap_or(Timestamp::MAX);
        let (mut calm, mut repaired) = (false, false);
        for _ in 0..MOST_STEPS {
            let now = self.world.time.now();
            if self.restored_at.is_some_and(|at| at <= now) {
                self.restored_at = None;
                self.restore().await;
            }
            if !calm && now >= ends_at && deeds.peek().is_none() && self.restored_at.is_none() {
                calm = true;
                self.world.calm_down();
                self.comparison.next = self.comparison.next.min(night_after(now));
            }
            while deeds.peek().is_some_and(|(_, at, _)| EPOCH.saturating_add(*at).is_ok_and(|at| at <= now)) {
                if let Some((nth, _, deed)) = deeds.next() {
                    self.begin(nth, deed);
                }
            }
            if self.restored_at.is_none() {
                self.deliver_webhooks(now);
                self.compare(now);
                self.tick(now);
                self.hand_out(now);
            }
            if calm && self.is_quiet(now) {
                self.at_rest().await;
                if repaired || !self.repair_all().await {
                    return;
                }
                repaired = true;
                rest_at = now.saturating_add(REST).unwrap_or(Timestamp::MAX);
                continue;
            }
            if now > rest_at {
                let why = self.unquiet(now);
                self.world.inner().rules.broken(
                    Rule::Stuck,
                    format!("not quiet {} days after the last fault: {why}", REST.as_hours() / 24),
                );
                self.at_rest().await;
                return;
            }
            let mut next = self.next_happening(now);
            if let Some((_, at, _)) = deeds.peek() {
                next = next.min(EPOCH.saturating_add(*at).unwrap_or(next));
            } else if !calm && self.restored_at.is_none() {
                next = next.min(ends_at.max(now));
            }
            let world = self.world.clone();
            tokio::select! {
                biased;
                Some(ended) = self.crowd.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
                () = world.changed.notified() => (),
                () = world.time.until(next) => (),
            }
        }
        self.world.inner().rules.broken(Rule::Stuck, format!("{MOST_STEPS} steps, and no rest"));
    }

    fn next_happening(&self, now: Timestamp) -> Timestamp {
        if let Some(at) = self.restored_at {
            return at;
        }
        let mut next: Vec<Timestamp> = self.world.inner().iamport.next_happening().into_iter().collect();
        if self.busy_workers() < WORKERS {
            next.extend(self.world.with_messages(|messages| messages.next_visible()));
        }
        next.extend(self.next_tick);
        next.push(self.comparison.next);
        let soon = now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(now);
        next.into_iter()
            .min()
            .unwrap_or_else(|| now.saturating_add(SignedDuration::from_hours(6)).unwrap_or(now))
            .max(soon)
    }

    fn busy_workers(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        self.unquiet(now).is_empty()
    }

    /// What isn't at rest.
    fn unquiet(&self, now: Timestamp) -> String {
        let mut why = Vec::new();
        if !self.crowd.is_empty() {
            why.push("somebody works".to_owned());
        }
        if self.world.on_the_way() > 0 {
            why.push("a request is on its way".to_owned());
        }
        if !self.world.with_messages(|messages| messages.is_empty()) {
            why.push("the queue isn't empty".to_owned());
        }
        let compared = self.comparison.done();
        let inner = self.world.inner();
        let differences = inner.rules.differences(&inner.copy, &inner.iamport);
        for (name, since) in differences.into_iter().filter(|(_, since)| compared.is_none_or(|to| *since >= to)) {
            why.push(format!("{name} of {since} isn't compared yet"));
        }
        if inner.iamport.next_happening().is_some() {
            why.push("I'mport has something to do".to_owned());
        }
        for (id, account) in &inner.copy.accounts {
            let Some(subscription) = &account.subscription else { continue };
            if account.waits_for_a_person() {
                continue;
            }
            if let Some(intent) = &subscription.in_flight {
                why.push(format!("{} is in flight", intent.merchant_uid));
            }
            if subscription.listed_at.is_some_and(|at| at <= now) {
                why.push(format!(
                    "{id} ({}) is due since {}",
                    subscription.status.word(),
                    subscription.listed_at.unwrap_or_default()
                ));
            }
            if subscription.window_opened_at.is_some() {
                why.push(format!("a window of {id} wasn't looked at"));
            }
            if account.charges.values().any(|charge| charge.refund.is_some()) {
                why.push(format!("a refund of {id} is under way"));
            }
            if subscription.key_deletion.is_some() {
                why.push(format!("the billing key of {id} is to be deleted"));
            }
        }
        why.join(", ")
    }

    async fn at_rest(&mut self) {
        let now = self.world.time.now();
        {
            let mut inner = self.world.inner();
            let crate::world::Inner { copy, rules, iamport, log, .. } = &mut *inner;
            rules.at_rest(copy, Facts { iamport, log, now }, &self.policy);
            rules.priced(copy, &self.plot.life, Facts { iamport, log, now });
            if !self.plot.life.operated || copy.waits_for_a_person() {
                return;
            }
        }
        // Once more, by our own means: the days on which I'mport was paid last.
        let (days, ids) = {
            let inner = self.world.inner();
            let paid = inner.iamport.books().payments().iter().filter_map(|payment| payment.paid_at);
            let days = paid.filter_map(|at| in_seoul(at).start_of_day().ok()).map(|day| day.timestamp());
            (days.collect::<BTreeSet<_>>(), inner.copy.accounts.keys().copied().collect::<Vec<_>>())
        };
        let app = self.crew.reconcile.clone();
        let before = self.world.inner().copy.entered();
        let compare = async move {
            for day in days.into_iter().rev().take(LAST_DAYS) {
                let span = Span { from: day, to: day.saturating_add(SignedDuration::from_hours(24)).unwrap_or(day) };
                let _ = app.billing.reconcile(span, app.budget).await;
            }
            let mut open = Vec::new();
            for id in ids {
                let findings = app.billing.store.findings(id).await.unwrap_or_default();
                open.extend(findings.into_iter().filter(|finding| finding.closed.is_none()));
            }
            open
        };
        let Some(open) = self.actor("reconcile").live(compare).await else { return };
        let mut inner = self.world.inner();
        let after = inner.copy.entered();
        inner.rules.compared(&before, &after, &open);
    }

    /// The stack is shut down and the copy of the table is restored; then an operator does what the runbook says.
    async fn restore(&mut self) {
        let world = self.world.clone();
        let Some(from) = world.restore() else { return };
        let lost_from = from;
        self.deployments += 1;
        self.crew = Crew::deployed(&world, self.deployments, &self.policy, self.client, self.credentials);
        let (billing, manage) = (self.crew.reconcile.billing.clone(), self.crew.manage.billing.clone());
        let lost = world.inner().log.accepted_since(from);
        let life = self.crew.complete.site.session;
        let operator = Actor::new(&world, SETUP.to_owned());
        let recovered = operator.at_leisure(async {
            let now = billing.clock.now();
            billing.store.put_charging(&Charging { on: false, since: Some(now), ..Charging::default() }, now).await?;
            let command = |(id, at, ask): &(SubscriptionId, Timestamp, Ask)| LostCommand {
                subscription: *id,
                version: None,
                what: format!("{ask:?}"),
                at: at.to_string(),
            };
            let commands = lost.iter().filter(|(_, _, ask)| !is_refund(*ask)).map(command).collect();
            let held = billing.lose(commands, Duration::from_secs(600)).await?;
            world.say(|| format!("the operator feeds what was lost: {held:?}"));
            world.are_held(lost.iter().filter(|(_, _, ask)| !is_refund(*ask)).map(|(id, _, _)| *id));
            let day = SignedDuration::from_hours(24);
            let mut from = in_seoul(from).start_of_day().map_or(from, |day| day.timestamp());
            while from < now {
                let span = Span { from, to: from.saturating_add(day).unwrap_or(now) };
                // What can't be done now is done in the night.
                let compared = billing.reconcile(span, Duration::from_secs(600)).await;
                world.say(|| format!("the operator has the books compared: {compared:?}"));
                from = span.to;
            }
            for (id, _, command) in lost {
                if !is_refund(command) {
                    let command = match command {
                        // It was given back already, and is not a second time.
                        Ask::CancelNowUnused | Ask::CancelNowAll if world.went_back_since(id, lost_from) => {
                            Ask::CancelNow
                        }
                        command => command,
                    };
                    let said = ask(&manage, id, command, life).await;
                    world.say(|| format!("the operator asks for {command:?} of {id} once more: {said:?}"));
                }
            }
            for id in those(&world, Account::is_in_review) {
                accept(&world, &manage, id).await;
            }
            let now = billing.clock.now();
            billing.store.put_charging(&Charging { on: true, since: Some(now), ..Charging::default() }, now).await
        });
        let recovered = recovered.await;
        self.give_again(from);
        let mut inner = world.inner();
        if !matches!(recovered, Some(Ok(()))) {
            inner.rules.broken(Rule::Stuck, format!("the table can't be recovered: {recovered:?}"));
        }
    }

    /// Whoever had a charge in flight then waits once more when it is settled: the operator gives the lost commands again by and by.
    fn give_again(&mut self, from: Timestamp) {
        let (world, manage) = (self.world.clone(), self.crew.manage.billing.clone());
        let (lost, life) = (world.inner().log.accepted_since(from), self.crew.complete.site.session);
        self.crowd.spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                let operator = Actor::new(&world, SETUP.to_owned());
                let giving = async {
                    for id in those(&world, Account::is_in_review) {
                        for (_, _, command) in lost.iter().filter(|(whose, _, ask)| *whose == id && !is_refund(*ask)) {
                            let said = ask(&manage, id, *command, life).await;
                            world.say(|| format!("the operator asks for {command:?} of {id} again: {said:?}"));
                        }
                        if lost.iter().any(|(whose, _, _)| *whose == id) {
                            accept(&world, &manage, id).await;
                        }
                    }
                };
                operator.at_leisure(giving).await;
            }
        });
    }

    /// A person decides of all that waits for one. False: nothing does.
    async fn repair_all(&mut self) -> bool {
        let waiting = those(&self.world, Account::waits_for_a_person);
        for id in &waiting {
            let actor = self.actor("operator");
            if let Some(why) = repair(&actor, &self.crew.manage.billing, *id).await {
                self.world.inner().rules.broken(Rule::Stuck, format!("{id} can't be repaired: {why}"));
            }
        }
        !waiting.is_empty()
    }

    /// The comparison of the books: each night, of the days since the last one that came to its end, and two more, as the schedule
    /// does it; each hour, where it didn't come to its end. For the sake of time, only of those that differ, and now and then of any.
    fn compare(&mut self, now: Timestamp) {
        if now < self.comparison.next {
            return;
        }
        let day = SignedDuration::from_hours(24);
        let to = in_seoul(now).start_of_day().map_or(now, |day| day.timestamp());
        let done = self.comparison.done();
        self.comparison.next = night_after(now);
        let first = done.map_or(EPOCH, |done| done).saturating_sub(day * 2).unwrap_or(to);
        let mut days: Vec<Timestamp> =
            (1..=89).map_while(|n| to.checked_sub(day * n).ok().filter(|at| *at >= first)).collect();
        days.reverse();
        let any = self.world.is_rough() && self.world.dice.happens(&format!("compared {now}"), COMPARED_ANYWAY);
        if !any {
            let inner = self.world.inner();
            let differences = inner.rules.differences(&inner.copy, &inner.iamport);
            days.retain(|from| differences.iter().any(|(_, since)| *since >= *from && *since < *from + day));
        }
        if days.is_empty() {
            return self.comparison.is_done(to);
        }
        self.comparison.next =
            self.comparison.next.min(now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(now));
        let actor = self.actor("comparison");
        let (app, comparison, world) = (self.crew.reconcile.clone(), self.comparison.clone(), self.world.clone());
        self.crowd.spawn(async move {
            let work = async {
                for from in &days {
                    let span = Span { from: *from, to: *from + day };
                    app.billing.reconcile(span, app.budget).await?;
                }
                Ok::<(), maedal::billing::HearError>(())
            };
            let ended = actor.live(work).await;
            world.say(|| format!("{} of the books: {ended:?}", actor.name));
            if matches!(ended, Some(Ok(()))) {
                comparison.is_done(to);
                let mut inner = world.inner();
                let crate::world::Inner { copy, rules, iamport, .. } = &mut *inner;
                // I'mport may have shown it less than it has, or a worker may be at it.
                if !actor.was_struck() {
                    rules.healed(copy, iamport, first, to);
                }
            }
            world.changed.notify_one();
        });
    }

    /// The minute's tick, where something is due. On AWS there is one each minute; here they come less often while nothing
    /// comes of them.
    fn tick(&mut self, now: Timestamp) {
        self.next_tick = None;
        let Some(due) = self.world.inner().copy.next_due() else { return };
        let minutes = [1, 2, 5, 10, 30];
        let late = match self.world.is_rough() {
            true => self.world.dice.one_of(&format!("tick at {due}"), &[0, 0, 0, 20, 60, 60, 300]),
            false => 0,
        };
        let mut at = due.saturating_add(SignedDuration::from_secs(late)).unwrap_or(due);
        if let Some(last) = &self.last_tick {
            let idle = if last.due == due { last.idle } else { 0 };
            let wait = minutes[idle.min(minutes.len() - 1)];
            at = at.max(last.at.saturating_add(SignedDuration::from_mins(wait)).unwrap_or(at));
        }
        if at > now {
            self.next_tick = Some(at);
            return;
        }
        let copies = 1 + usize::from(self.world.is_rough() && self.world.dice.happens(&format!("two ticks {now}"), 60));
        for _ in 0..copies {
            let actor = self.actor("dispatch");
            let app = self.crew.dispatch.clone();
            let world = self.world.clone();
            let asks = self.plot.life.operated;
            let whole = world.is_rough() && world.dice.happens(&format!("whole {}", actor.name), WHOLE_TICKS);
            let read = asks || world.dice.happens(&format!("read {}", actor.name), READ_TICKS);
            self.crowd.spawn(async move {
                let shards = world.inner().copy.shards();
                let _ = match whole {
                    true => actor.live(async move { dispatch::handle(&app, Value::Null).await.is_ok() }).await,
                    false if !read => actor.live(dispatch_all(&app, &world)).await,
                    false => actor.live(dispatch_shards(&app, &shards, asks)).await,
                };
                world.changed.notify_one();
            });
        }
        let idle = self.last_tick.as_ref().filter(|last| last.due == due).map_or(0, |last| last.idle + 1);
        let wait = minutes[idle.min(minutes.len() - 1)];
        self.next_tick = now.checked_add(SignedDuration::from_mins(wait)).ok();
        self.last_tick = Some(Tick { at: now, due, idle });
    }

    /// Gives messages to workers that are free.
    fn hand_out(&mut self, now: Timestamp) {
        while self.busy_workers() < WORKERS {
            let careless = self.world.is_rough() && self.world.dice.happens(&format!("careless {now}"), 50);
            let batch = self.world.with_messages(|messages| messages.receive(BATCH, careless, now));
            if batch.is_empty() {
                return;
            }
            let actor = self.actor("charge");
            let nth = self.made["charge"];
            let place = self.world.dice.below(&format!("worker {nth}"), WORKERS);
            let wiring = self.crew.charge[usize::try_from(place).unwrap_or(0)].clone();
            self.busy.fetch_add(1, Ordering::Relaxed);
            let (busy, work) = (self.busy.clone(), work_on(actor, wiring, batch, self.plot.life.operated));
            self.crowd.spawn(async move {
                work.await;
                busy.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn deliver_webhooks(&mut self, now: Timestamp) {
        let due = self.world.inner().iamport.take_due_webhooks(now);
        for webhook in due {
            let first = webhook.answers.is_empty();
            let about = format!("webhook {} {}", webhook.id, webhook.answers.len());
            let fate = if self.world.is_rough() && first { self.world.dice.below(&about, 100) } else { 100 };
            let (copies, delay) = match fate {
                0..25 => {
                    self.world.say(|| format!("webhook {} is lost", webhook.id));
                    continue;
                }
                25..40 => (1, self.world.dice.one_of(&about, &[2, 90, 5_400, 200_000])),
                40..55 => (2, 0),
                _ => (1, 0),
            };
            for copy in 0..copies {
                let actor = self.actor("webhook");
                let nth = self.world.dice.below(&format!("{about} {copy}"), 2);
                let app = self.crew.webhook[usize::try_from(nth).unwrap_or(0)].clone();
                let (webhook, world) = (webhook.clone(), self.world.clone());
                self.crowd.spawn(async move {
                    tokio::time::sleep(Duration::from_secs(delay)).await;
                    let answer = actor.live(hear(&app, &webhook)).await;
                    let now = world.time.now();
                    world.inner().iamport.webhook_answered(webhook.id, answer, now);
                    world.changed.notify_one();
                });
            }
        }
    }

    /// Somebody does something. Nobody reaches a stack that is being restored.
    fn begin(&mut self, nth: usize, deed: Deed) {
        if self.restored_at.is_some() {
            return;
        }
        let world = self.world.clone();
        match deed {
            Deed::Backup { torn } => world.back_up(torn),
            Deed::Restore => {
                world.say(|| "the table is lost, and the stack shut down".to_owned());
                self.crowd.abort_all();
                self.busy = Arc::default();
                world.with_messages(|messages| *messages = crate::queue::Messages::default());
                self.restored_at = world.time.now().checked_add(SHUT_DOWN).ok();
            }
            Deed::Newer { who, minutes } => {
                if let Some(id) = self.session(who).filter(|id| world.inner().copy.accounts.contains_key(id)) {
                    let wrote = world.write_newer(id, (minutes > 0).then_some(2));
                    if wrote && minutes > 0 {
                        self.crowd.spawn(async move {
                            tokio::time::sleep(Duration::from_secs(60 * minutes.unsigned_abs())).await;
                            world.write_newer(id, Some(1));
                        });
                    }
                }
            }
            Deed::CancelByHand { who } => {
                if let Some(id) = self.session(who) {
                    world.cancel_by_hand(id);
                }
            }
            Deed::Squat { who, name, own } => {
                if let Some(id) = self.session(who) {
                    self.squat(id, name, own);
                }
            }
            Deed::Import { who, hours } => {
                let (billing, sessions) = (self.crew.manage.billing.clone(), self.sessions.clone());
                self.crowd.spawn(async move {
                    if let Some(id) = import(&world, &billing, nth, who, hours).await {
                        sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(who, id);
                    }
                });
            }
            Deed::Misconfigured { minutes } => world.misconfigure(SignedDuration::from_mins(minutes)),
            Deed::Elsewhere { who, scheduled } => {
                if let Some(customer_uid) = self.customer_uid(who) {
                    let (now, name) = (world.time.now(), format!("old-shop-{nth}"));
                    let hour = now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(now);
                    let iamport = &mut world.inner().iamport;
                    match scheduled {
                        true => drop(iamport.schedule_elsewhere(&customer_uid, &name, 5_000, hour)),
                        false => drop(iamport.charge_elsewhere(&customer_uid, &name, 5_000, now)),
                    }
                }
            }
            Deed::Repair => {
                for id in those(&world, Account::is_in_review) {
                    let (actor, billing) = (self.actor("operator"), self.crew.manage.billing.clone());
                    self.crowd.spawn(async move {
                        let _ = repair(&actor, &billing, id).await;
                    });
                }
            }
            Deed::Deploy(settings) => {
                self.policy = settings.of(&self.policy);
                self.deployments += 1;
                world.say(|| format!("the merchant deploys {settings:?}"));
                world.inner().rules.deployed(self.policy.clone());
                self.crew = Crew::deployed(&world, self.deployments, &self.policy, self.client, self.credentials);
            }
            Deed::IamportDown { minutes } => world.take_iamport_down(SignedDuration::from_mins(minutes)),
            Deed::SwitchOff { minutes } => {
                let billing = self.crew.manage.billing.clone();
                self.crowd.spawn(async move {
                    switch(&world, &billing, nth, false).await;
                    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
                    switch(&world, &billing, nth, true).await;
                });
            }
            Deed::Compare { days } => {
                let actor = Actor::new(&world, format!("reconcile {nth}"));
                let app = self.crew.reconcile.clone();
                self.crowd.spawn(async move {
                    let asked = reconcile::Asked { days, ..reconcile::Asked::default() };
                    let done = actor.live(reconcile::handle(&app, asked)).await;
                    actor.world.say(|| format!("{}: {done:?}", actor.name));
                });
            }
            Deed::EndKey { who } => {
                if let (Some(id), Some(customer_uid)) = (self.session(who), self.customer_uid(who)) {
                    world.inner().iamport.end_key_at_gateway(&customer_uid);
                    world.note(id, Did::EndedKey);
                    world.say(|| format!("the buyer of {id} ends the agreement at the gateway"));
                }
            }
            Deed::Subscribe { who, way } => {
                let shop = Actor::new(&world, format!("shop {nth}"));
                let trip = self.trip(nth);
                let sessions = self.sessions.clone();
                let billing = self.crew.manage.billing.clone();
                let life = self.crew.complete.site.session;
                self.crowd.spawn(async move {
                    let Ok(plan) = "basic".parse() else { return };
                    let Ok(customer_id) = format!("customer-{who}").parse() else { return };
                    let request = CheckoutRequest {
                        plan,
                        customer_id,
                        customer_uid: None,
                        buyer: Buyer::default(),
                        success_url: None,
                        cancel_url: None,
                    };
                    let opening = billing.open_checkout(request, None, "https://pay.example", life);
                    let Some(Ok(opened)) = shop.live(opening).await else { return };
                    let (Opened::New(Session { id: session, .. }) | Opened::Repeat(Session { id: session, .. })) =
                        opened;
                    sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(who, session);
                    trip.go(session, way).await;
                });
            }
            Deed::TryAgain { who } => {
                let trip = self.trip(nth);
                if let Some(session) = self.session(who) {
                    self.crowd.spawn(async move { trip.go(session, Way::Back).await });
                }
            }
            Deed::Ask { who, command } => {
                let actor = Actor::new(&world, format!("merchant {nth}"));
                let trip = self.trip(nth);
                let billing = self.crew.manage.billing.clone();
                if let Some(id) = self.session(who) {
                    let life = self.crew.complete.site.session;
                    self.crowd.spawn(async move {
                        world.note(id, Did::Asked(command));
                        let said = actor.live(ask(&billing, id, command, life)).await;
                        let did = match &said {
                            Some(Said::Done) => Did::Accepted(command),
                            // It may have met what it has done itself.
                            Some(Said::Refused(_)) if actor.was_struck() => Did::Unanswered(command),
                            Some(Said::Refused(_)) => Did::Refused(command),
                            Some(Said::Unclear(_)) | None => Did::Unanswered(command),
                        };
                        world.note(id, did);
                        world.say(|| format!("{} asks for {command:?}: {said:?}", actor.name));
                        if command == Ask::NewPaymentMethod && said == Some(Said::Done) {
                            trip.go(id, Way::Back).await;
                        }
                    });
                }
            }
        }
    }

    fn session(&self, who: usize) -> Option<SubscriptionId> {
        self.sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&who).copied()
    }

    /// What I'mport keeps the buyer's billing key under.
    fn customer_uid(&self, who: usize) -> Option<String> {
        let inner = self.world.inner();
        Some(inner.copy.accounts.get(&self.session(who)?)?.subscription.as_ref()?.customer_uid.to_string())
    }

    /// Whoever knows the merchant's code opens a window of 0 won under a name of `id`'s, and approves.
    fn squat(&self, id: SubscriptionId, taken: Taken, own: bool) {
        let (name, customer_uid) = {
            let inner = self.world.inner();
            let account = inner.copy.accounts.get(&id);
            let Some((account, s)) = account.and_then(|account| Some((account, account.subscription.as_ref()?))) else {
                return;
            };
            let next = || s.charge_name(s.paid_through + 1, if s.period > s.paid_through { s.attempts + 1 } else { 1 });
            let mut charges = account.charges.values();
            let name = match taken {
                Taken::Next => next(),
                Taken::InFlight => s.in_flight.as_ref().map_or_else(next, |intent| intent.merchant_uid),
                Taken::Declined => charges.rfind(|charge| !charge.is_settled()).map_or_else(next, |c| c.merchant_uid),
                Taken::Window => s.window_name(s.windows + 1),
                Taken::Guessed => MerchantUid::charge(id, s.paid_through.max(1), 1),
                Taken::OnTheWay => {
                    drop(inner);
                    self.world.inner().trap = Some((id, own));
                    return;
                }
            };
            (name.to_string(), if own { s.customer_uid.to_string() } else { "somebody-else".to_owned() })
        };
        if self.world.squat(&name, &customer_uid) && own {
            self.world.note(id, Did::Approved);
        }
    }

    fn trip(&self, nth: usize) -> Trip {
        Trip { world: self.world.clone(), nth, complete: self.crew.complete.clone() }
    }
}

/// What `dispatch` sends, without a read of the table.
async fn dispatch_all(app: &dispatch::App, world: &World) -> bool {
    let now = app.clock.now();
    let messages: Vec<Message> = world.inner().copy.due(now).into_iter().map(Message::Step).collect();
    for batch in messages.chunks(BATCH) {
        let _ = app.queue.send(batch).await;
    }
    true
}

/// What `dispatch` does, in the shards that hold anything. It `asks` whether charging is on where anybody switches.
async fn dispatch_shards(app: &dispatch::App, shards: &BTreeSet<u8>, asks: bool) -> bool {
    let now = app.clock.now();
    let charging = match asks {
        true => app.store.charging_is_on(now).await,
        false => Ok(true),
    };
    let Ok(charging) = charging else { return false };
    for shard in shards {
        let Ok(page) = app.store.due(*shard, now, None, 100).await else { continue };
        let wanted = page.due.into_iter().filter(|due| charging || due.is_refund());
        let messages: Vec<Message> = wanted.map(Message::Step).collect();
        for batch in messages.chunks(BATCH) {
            let _ = app.queue.send(batch).await;
        }
    }
    true
}

/// It `asks` whether charging is on where anybody switches: a read more.
async fn work_on(actor: Arc<Actor>, wiring: Wiring, batch: Vec<Received>, asks: bool) {
    let world = actor.world.clone();
    let mut event = SqsEvent::default();
    event.records = batch
        .iter()
        .map(|received| {
            let mut message = SqsMessage::default();
            message.message_id = Some(received.id.to_string());
            message.body = Some(received.body.clone());
            message.attributes = [
                ("MessageGroupId".to_owned(), received.group.clone()),
                ("ApproximateReceiveCount".to_owned(), received.receipts.to_string()),
            ]
            .into();
            message
        })
        .collect();
    let app = charge::App { billing: wiring.billing };
    let work = async {
        match asks {
            true => charge::handle(&app, event, crate::actor::LONGEST).await,
            false => charge::handle_batch(&app, event, crate::actor::LONGEST, true).await,
        }
    };
    if let Some(response) = actor.live(work).await {
        let failed: Vec<String> = response.batch_item_failures.into_iter().map(|f| f.item_identifier).collect();
        world.with_messages(|messages| messages.settle(&batch, &failed));
    }
    world.changed.notify_one();
}

async fn hear(app: &webhook::App, webhook: &Webhook) -> u16 {
    let request = lambda_http::http::Request::post("https://pay.example/webhooks/iamport")
        .header("content-type", webhook.content_type)
        .body(lambda_http::Body::from(webhook.body.clone()));
    let Ok(request) = request else { return 400 };
    use lambda_http::RequestExt;
    webhook::handle(app, request.with_raw_http_path("/webhooks/iamport")).await.status().as_u16()
}

/// A buyer's way through the window.
struct Trip {
    world: Arc<World>,
    nth: usize,
    complete: Arc<complete::App>,
}

impl Trip {
    async fn go(&self, session: SubscriptionId, way: Way) {
        if way == Way::RefusedFirst {
            self.once(session, "a", "decline", &[5]).await;
        }
        let (button, back): (_, &[u64]) = match way {
            Way::Back | Way::RefusedFirst => ("approve", &[3]),
            Way::Lost => ("approve", &[]),
            Way::TwoTabs => ("approve", &[3, 3]),
            Way::Late => ("approve", &[1_800]),
            Way::Closed => ("close", &[]),
        };
        self.once(session, "b", button, back).await;
    }

    /// Opens a window, presses `button`, and comes back so many seconds later, as often as there are seconds.
    async fn once(&self, session: SubscriptionId, tab: &str, button: &str, back: &[u64]) {
        let page = Actor::new(&self.world, format!("checkout {}{tab}", self.nth));
        let complete::App { billing, site } = &*self.complete;
        let opening = billing.open_window(session, site, &site.public_url);
        let window = match page.live(opening).await {
            Some(Ok(window)) => window,
            Some(Err(_)) | None => return,
        };
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut params = serde_json::to_value(&window.request).unwrap_or_default();
        params["user_code"] = json!(window.user_code);
        let opened = self.post("/chai/window", params.to_string());
        let opened: Value = opened.and_then(|answer| serde_json::from_slice(answer.body()).ok()).unwrap_or_default();
        let Some(id) = opened["window_id"].as_str() else { return };
        tokio::time::sleep(Duration::from_secs(15)).await;
        let left = self.post(&format!("/chai/window/{id}/{button}"), String::new());
        if button == "approve" {
            self.world.note(session, Did::Approved);
        }
        self.world.say(|| format!("the buyer of {session} presses {button}"));
        let address = left.and_then(|left| left.headers().get("location")?.to_str().ok().map(str::to_owned));
        let Some(address) = address else { return };
        let tabs = back.iter().enumerate().map(|(nth, seconds)| self.come_back(&address, tab, nth, *seconds));
        futures::future::join_all(tabs).await;
    }

    async fn come_back(&self, address: &str, tab: &str, nth: usize, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let actor = Actor::new(&self.world, format!("complete {}{tab}{nth}", self.nth));
        let Ok(request) = lambda_http::http::Request::get(address).body(lambda_http::Body::Empty) else { return };
        let answer = actor.live(complete::handle(&self.complete, request)).await;
        let said = || answer.map_or_else(|| "no answer".to_owned(), |answer| answer.status().to_string());
        self.world.say(|| format!("the buyer comes back ({}): {}", actor.name, said()));
    }

    fn post(&self, path: &str, body: String) -> Option<http::Response<Bytes>> {
        let request = http::Request::post(path).header("content-type", "application/json").body(Bytes::from(body));
        self.world.at_iamport(&request.ok()?, None)
    }
}

/// A buyer comes from the old place, by a row of an import that is tried until it is taken in.
async fn import(world: &Arc<World>, billing: &Billing, nth: usize, who: usize, hours: i64) -> Option<SubscriptionId> {
    let now = world.time.now();
    let customer_uid = format!("old-{who}");
    let next = Timestamp::from_second(now.as_second() + 3_600 * hours).ok()?;
    world.inner().iamport.seed_key(&customer_uid, now);
    let row = json!({
        "customer_uid": customer_uid, "plan": "basic", "customer_id": format!("customer-{who}"), "period": 2,
        "next_charge": next.to_string(),
    });
    let row = maedal::import::parse(row.to_string().as_bytes(), Format::Jsonl, None)?;
    let (pace, schedules) = (Pace::a_second(0), Schedules::default());
    let import = ImportId::new(billing.ids.next(now));
    for turn in 1..=MOST_IMPORT_TURNS {
        let actor = Actor::new(world, format!("import {nth} {turn}"));
        let importing = Importing { import, unschedule: false, pace: &pace, schedules: &schedules };
        let done = actor.live(billing.import_rows(importing, vec![(1, row.clone())])).await;
        world.say(|| format!("{}: {done:?}", actor.name));
        if let Some(Ok(_)) = done {
            let inner = world.inner();
            let is_it = |account: &&Account| {
                account.subscription.as_ref().is_some_and(|own| own.customer_uid.as_str() == customer_uid)
            };
            let id = inner.copy.accounts.values().find(is_it)?.subscription.as_ref()?.id;
            drop(inner);
            world.note(id, Did::Imported(next));
            return Some(id);
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    None
}

/// The merchant switches charging on or off, and doesn't rest until it is.
async fn switch(world: &Arc<World>, billing: &Billing, nth: usize, on: bool) {
    for turn in 1.. {
        let word = if on { "on" } else { "off" };
        let actor = Actor::new(world, format!("switch {nth} {word} {turn}"));
        let now = billing.clock.now();
        let charging = Charging { on, since: Some(now), ..Charging::default() };
        let done = actor.live(billing.store.put_charging(&charging, now)).await;
        if matches!(done, Some(Ok(()))) {
            return world.say(|| format!("charging is {word}"));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// What the merchant's backend is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// It is done.
    Done,
    /// It isn't, and why.
    Refused(String),
    /// Perhaps it is.
    Unclear(String),
}

impl From<CommandError> for Said {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unknown
            | CommandError::Refused(_)
            | CommandError::Version { .. }
            | CommandError::KeyReused => Self::Refused(error.to_string()),
            CommandError::Store(_) => Self::Unclear(error.to_string()),
        }
    }
}

/// Asks for a command, as the merchant's backend does.
async fn ask(billing: &Billing, id: SubscriptionId, ask: Ask, life: SignedDuration) -> Said {
    let request = CommandRequest { subscription: id, key: None, body: &Value::Null, version: None };
    let refused = |why: &str| Said::Refused(why.to_owned());
    let plan = async |id: &str| match id.parse() {
        Ok(id) => billing.store.plan(&id).await.ok().flatten(),
        Err(_) => None,
    };
    let command = match ask {
        Ask::CancelNow => Command::Cancel { when: When::Now, refund: RefundPart::None },
        Ask::CancelNowUnused => Command::Cancel { when: When::Now, refund: RefundPart::Unused },
        Ask::CancelNowAll => Command::Cancel { when: When::Now, refund: RefundPart::All },
        Ask::CancelAtPeriodEnd => Command::Cancel { when: When::PeriodEnd, refund: RefundPart::None },
        Ask::Pause => Command::Pause,
        Ask::Resume => Command::Resume,
        Ask::ChangePlanNow | Ask::ChangePlanLater => {
            let Some(plan) = plan("plus").await else { return refused("no plan") };
            let when = if ask == Ask::ChangePlanNow { When::Now } else { When::PeriodEnd };
            Command::ChangePlan { plan: Box::new(plan), when }
        }
        Ask::Retry => Command::Retry,
        Ask::DeleteKey => Command::DeleteKey,
        Ask::NewPaymentMethod => {
            match billing.replace_payment_method(maedal::billing::PaymentMethodRequest::default(), life) {
                Ok(command) => command,
                Err(error) => return Said::Refused(error.to_string()),
            }
        }
        Ask::RefundPart | Ask::RefundAll => {
            let Ok(Some(seen)) = billing.store.subscription(id).await else { return refused("not read") };
            let amount = (ask == Ask::RefundPart).then_some(Won::new(1_000));
            let refund =
                RefundRequest { period: seen.paid_through.max(1), attempt: 1, amount, reason: "asked".to_owned() };
            return match billing.refund_charge(&refund, request).await {
                Ok(_) => Said::Done,
                Err(RefundError::Command(error)) => error.into(),
                Err(error) => Said::Refused(error.to_string()),
            };
        }
    };
    billing.command(&command, request).await.map_or_else(Said::from, |_| Said::Done)
}
