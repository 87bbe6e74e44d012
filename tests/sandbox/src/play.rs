//! A life on the test clock: buyers come, subscribe and are charged for months, while I'mport, the queue and the network
//! misbehave. At the end both books are compared.

use std::time::Duration;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use maedal::clock::Clock;
use maedal::store::StoreError;
use maedal::subscription::period::{SEOUL, in_seoul};
use maedal::subscription::{Status, SubscriptionId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use simulator::{Call, Fault, Nonsense, Rule};

use crate::books::{Account, Report, accounts, compare};
use crate::buyer::{Button, Buyer};
use crate::ink::Ink;
use crate::stack::{Options, Stack, StartError};

/// What kind of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// How long, in months.
    pub months: u32,
    /// How many buyers open a session.
    pub subscribers: u32,
    /// The same seed is the same life.
    pub seed: u64,
    /// Whether things go wrong.
    pub faults: bool,
}

/// A life that could not be lived.
#[derive(Debug)]
pub enum PlayError {
    /// The stack did not start.
    Start(StartError),
    /// The table failed, which it has no reason to here.
    Store(StoreError),
    /// The database could not be looked into.
    Database(dynoxide::DynoxideError),
    /// A server did not answer.
    Http(reqwest::Error),
}

impl std::fmt::Display for PlayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(e) => e.fmt(f),
            Self::Store(e) => e.fmt(f),
            Self::Database(e) => write!(f, "the sandbox's database could not be read: {e}"),
            Self::Http(e) => write!(f, "a server of the sandbox did not answer: {e}"),
        }
    }
}

impl std::error::Error for PlayError {}

impl From<StartError> for PlayError {
    fn from(e: StartError) -> Self {
        Self::Start(e)
    }
}

impl From<StoreError> for PlayError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<dynoxide::DynoxideError> for PlayError {
    fn from(e: dynoxide::DynoxideError) -> Self {
        Self::Database(e)
    }
}

impl From<reqwest::Error> for PlayError {
    fn from(e: reqwest::Error) -> Self {
        Self::Http(e)
    }
}

/// How long after the last month things may take to come to rest: a doubt is given up after seven days.
const REST: SignedDuration = SignedDuration::from_hours(9 * 24);

/// Lives `life`. `progress` is told how far it is, from 0 to 1.
pub async fn play(life: Life, progress: impl Fn(f64)) -> Result<(Report, Vec<Account>), PlayError> {
    // A Monday morning in Seoul.
    let start = date(2026, 11, 23).at(10, 0, 0, 0).to_zoned(SEOUL).map_or(Timestamp::UNIX_EPOCH, |z| z.timestamp());
    let options = Options { now: start, seed: Some(life.seed), ..Options::default() };
    let stack = Stack::start(options, |_| axum::Router::new()).await?;
    stack.stop_stream()?;
    let mut town = Town::new(&stack, life)?;
    town.open_shop().await?;
    if life.faults {
        town.let_things_go_wrong();
    }

    let end = in_seoul(start).saturating_add(i64::from(life.months).months()).timestamp();
    let mut arrivals = town.arrivals(start, end);
    loop {
        let mut next = stack.next_happening()?.unwrap_or(end).min(end);
        if let Some(arrival) = arrivals.last() {
            next = next.min(*arrival);
        }
        town.pass_time_until(next);
        let now = stack.clock.now();
        while arrivals.pop_if(|arrival| *arrival <= now).is_some() {
            town.somebody_comes().await?;
        }
        town.minute().await?;
        let whole = end.duration_since(start).as_secs_f64();
        progress((now.duration_since(start).as_secs_f64() / whole).min(1.0));
        if now >= end {
            break;
        }
    }

    stack.iamport().faults().clear();
    let last = end.saturating_add(REST).unwrap_or(Timestamp::MAX);
    let mut restless = town.sessions.clone();
    while !town.is_at_rest(&mut restless).await? {
        let next = stack.next_happening()?.unwrap_or(last);
        if next >= last {
            break;
        }
        town.pass_time_until(next);
        town.minute().await?;
    }
    let accounts = accounts(&stack, &town.sessions).await?;
    let report = compare(&stack.billing.policy, &stack.iamport(), &accounts, stack.clock.now());
    Ok((report, accounts))
}

struct Town<'a> {
    stack: &'a Stack,
    life: Life,
    buyer: Buyer,
    dice: StdRng,
    sessions: Vec<SubscriptionId>,
}

impl<'a> Town<'a> {
    fn new(stack: &'a Stack, life: Life) -> Result<Self, PlayError> {
        Ok(Self {
            stack,
            life,
            buyer: Buyer::of(stack)?,
            dice: StdRng::seed_from_u64(life.seed ^ 0x6d61_6564_616c),
            sessions: Vec::new(),
        })
    }

    async fn open_shop(&self) -> Result<(), PlayError> {
        let monthly = json!({ "name": "매달 커피", "amount": 9_900, "interval": { "unit": "month", "count": 1 } });
        let weekly = json!({ "name": "매주 꽃", "amount": 15_000, "tax_free": 15_000, "interval": { "unit": "week", "count": 1 } });
        let trial = json!({ "name": "두 주 무료 신문", "amount": 4_900, "interval": { "unit": "month", "count": 1 }, "trial_days": 14 });
        for (id, plan) in [("coffee", monthly), ("flowers", weekly), ("paper", trial)] {
            self.buyer.put_plan(id, &plan).await?;
        }
        Ok(())
    }

    fn let_things_go_wrong(&self) {
        let mut iamport = self.stack.iamport();
        let soft = Fault::Decline { message: "잔액이 부족합니다.".into() };
        let minutes = SignedDuration::from_mins;
        iamport
            .faults()
            .add(Rule::always(soft).on(Call::Again).chance(0.06))
            .add(Rule::always(Fault::CutAfterEffect).on(Call::Again).chance(0.03))
            .add(Rule::always(Fault::CutBeforeEffect).on(Call::Again).chance(0.02))
            .add(Rule::always(Fault::ErrorAfterEffect(500)).on(Call::Again).chance(0.02))
            .add(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Again).chance(0.01))
            .add(Rule::always(Fault::Nonsense(Nonsense::Truncated)).on(Call::Again).chance(0.01))
            .add(Rule::always(Fault::CutThenEffect(minutes(3))).on(Call::Again).chance(0.01))
            .add(Rule::always(Fault::LatePaid(minutes(20))).on(Call::Again).chance(0.02))
            .add(Rule::always(Fault::ExpiredToken).chance(0.01))
            .add(Rule::always(Fault::CutBeforeEffect).on(Call::Token).chance(0.02))
            .add(Rule::always(Fault::LookupMiss(minutes(2))).on(Call::Lookup).chance(0.05))
            .add(Rule::always(Fault::ErrorBeforeEffect(502)).on(Call::Lookup).chance(0.03))
            .add(Rule::always(Fault::CutAfterEffect).on(Call::Cancel).chance(0.2))
            .add(Rule::always(Fault::WebhookLost).on(Call::Webhook).chance(0.2))
            .add(Rule::always(Fault::WebhookTwice).on(Call::Webhook).chance(0.1))
            .add(Rule::always(Fault::WebhookLate(minutes(90))).on(Call::Webhook).chance(0.1));
    }

    /// When buyers come: over the first month, latest first.
    fn arrivals(&mut self, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let month = in_seoul(start).saturating_add(1.month()).timestamp().min(end);
        let span = month.duration_since(start).as_secs().max(1);
        let mut arrivals: Vec<Timestamp> = (0..self.life.subscribers)
            .map(|_| start.saturating_add(SignedDuration::from_secs(self.dice.random_range(0..span))).unwrap_or(start))
            .collect();
        arrivals.sort_by(|a, b| b.cmp(a));
        arrivals
    }

    /// The clock never goes back, and the schedule ticks by the minute.
    fn pass_time_until(&self, next: Timestamp) {
        let now = self.stack.clock.now();
        match next > now {
            true => self.stack.clock.set(next),
            false => self.stack.clock.advance(Duration::from_secs(60)),
        }
    }

    async fn somebody_comes(&mut self) -> Result<(), PlayError> {
        let plan = ["coffee", "coffee", "flowers", "paper"][self.dice.random_range(0..4)];
        let customer = format!("customer-{}", self.sessions.len());
        let Some(session) = self.buyer.open_session(plan, &customer).await? else { return Ok(()) };
        self.sessions.push(session);
        let odd = if self.life.faults { self.dice.random_range(0..100) } else { 100 };
        // Some look and leave.
        if odd < 4 {
            return Ok(());
        }
        let mut window = self.buyer.open_window(session).await?;
        // Some give up in the window, some are refused there and try again.
        if odd < 8 {
            self.buyer.press(&window, Button::Close).await?;
            return Ok(());
        }
        if odd < 16 {
            if let Some(back) = self.buyer.press(&window, Button::Decline).await? {
                self.buyer.come_back(&back).await?;
            }
            window = self.buyer.open_window(session).await?;
        }
        let Some(back) = self.buyer.press(&window, Button::Approve).await? else { return Ok(()) };
        match odd {
            // The browser dies on the way back.
            16..24 => (),
            // The webhook comes first.
            24..34 => {
                self.stack.deliver_webhooks().await;
                while !self.stack.charge_batch().await.is_empty() {}
                self.buyer.come_back(&back).await?;
            }
            // The buyer reloads, in two tabs at once.
            34..44 => {
                let (first, second) = tokio::join!(self.buyer.come_back(&back), self.buyer.come_back(&back));
                first?;
                second?;
                self.buyer.come_back(&back).await?;
            }
            _ => {
                self.buyer.come_back(&back).await?;
            }
        }
        Ok(())
    }

    /// What a minute brings: webhooks, a tick, sometimes two at once, and the queue with a duplicate now and then.
    async fn minute(&mut self) -> Result<(), PlayError> {
        if self.life.faults && self.dice.random_ratio(1, 200) && !self.sessions.is_empty() {
            let unlucky = self.sessions[self.dice.random_range(0..self.sessions.len())];
            self.stack.iamport().end_key_at_gateway(&unlucky.to_string());
        }
        self.stack.deliver_webhooks().await;
        match self.life.faults && self.dice.random_ratio(1, 10) {
            true => {
                let (first, second) = tokio::join!(self.stack.tick(), self.stack.tick());
                first?;
                second?;
            }
            false => {
                self.stack.tick().await?;
            }
        }
        loop {
            let batch = self.stack.charge_batch().await;
            if batch.is_empty() {
                return Ok(());
            }
            if self.life.faults && self.dice.random_ratio(1, 10) {
                self.stack.queue.duplicate(&batch[0]);
            }
        }
    }

    /// Whether all is settled; `restless` loses those that are. Nothing goes wrong any more, so what is settled stays so.
    async fn is_at_rest(&self, restless: &mut Vec<SubscriptionId>) -> Result<bool, PlayError> {
        let now = self.stack.clock.now();
        *restless = accounts(self.stack, restless)
            .await?
            .into_iter()
            .filter(|Account { subscription, ledger }| {
                let in_doubt = subscription.in_flight.is_some() && subscription.review.is_none();
                in_doubt || ledger.charges.iter().any(|charge| charge.refund.is_some())
            })
            .map(|account| account.subscription.id)
            .collect();
        let quiet = self.stack.queue.is_empty() && self.stack.iamport().next_happening().is_none_or(|next| next > now);
        Ok(quiet && restless.is_empty())
    }
}

/// The ledger as a table for people.
pub fn table(accounts: &[Account], ink: Ink) -> String {
    use std::fmt::Write;
    let head = "subscription                plan              state         paid  declined   in ledger";
    let mut text = format!("{}\n", ink.soft(head));
    for Account { subscription, ledger } in accounts {
        let paid = ledger.charges.iter().filter(|charge| charge.payment().is_some()).count();
        let _ = writeln!(
            text,
            "{}  {}  {} {:>5} {:>9}  {:>10}",
            subscription.id,
            padded(&subscription.plan.terms.name, 16),
            state(subscription.status, ink),
            paid,
            ledger.charges.len() - paid,
            ledger.standing().to_string().trim_end_matches('원'),
        );
    }
    text
}

fn state(status: Status, ink: Ink) -> String {
    let word = format!("{:<12}", status.word());
    match status {
        Status::Trialing | Status::Active => ink.good(word),
        Status::PastDue | Status::NeedsReview => ink.bad(word),
        Status::Pending | Status::Paused | Status::Canceled | Status::Expired => ink.soft(word),
    }
}

/// Korean letters take two columns of a terminal.
fn padded(text: &str, columns: usize) -> String {
    let width: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    format!("{text}{}", " ".repeat(columns.saturating_sub(width)))
}
