//! What there is before the killing begins: a table in which many subscriptions will be due, their billing keys at I'mport, and
//! how I'mport behaves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use jiff::{SignedDuration, Timestamp};
use maedal::aws::Aws as Sdk;
use maedal::ids::Ids;
use maedal::store::table;
use maedal::subscription::{ChargeWindow, Policy, SubscriptionId};
use sandbox::buyer::{Buyer, read};
use sandbox::crowd::Model;
use sandbox::stack::{TABLE, stop_stream};
use sandbox::{Options, Stack};
use serde_json::{Value, json};
use simulator::{Call, Config, Fault, Rule, Simulator};
use tokio::net::TcpListener;

use crate::Failure;
use crate::aws::Aws;

/// At any hour: a run may begin at night.
const CHARGE_WINDOW: [&str; 2] = ["00:00", "23:59:59.999"];
/// What is charged, in won.
pub(crate) const PRICE: u64 = 9_900;
/// A part of it that the merchant gives back, in won.
pub(crate) const REFUND: u64 = 1_000;
/// The part of a run in which steps become due; the rest is for those that were killed in between.
const DUE_WITHIN: f64 = 0.75;
/// How long I'mport may take for a charge: as long as keeps the workers busy for most of each minute.
const SLOW: std::ops::RangeInclusive<u64> = 1_000..=6_000;
/// Charges that are under way at once, where all workers have a full batch.
const ABREAST: u64 = 100;
/// How much of a minute the workers are to be busy, in milliseconds.
const BUSY_OF_A_MINUTE: u64 = 45_000;

/// The part of the webhooks that never come.
const WEBHOOKS_LOST: f64 = 0.5;

/// What becomes of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Charged once.
    Charged,
    /// I'mport declines.
    Declined,
    /// Charged, and the merchant gives [`REFUND`] back.
    Refunded,
    /// The merchant ends it at some time: charged before, or never.
    Canceled,
}

impl Fate {
    fn of(nth: usize) -> Self {
        match nth % 100 {
            1 => Self::Declined,
            2 => Self::Refunded,
            3 => Self::Canceled,
            _ => Self::Charged,
        }
    }
}

/// Who is charged.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) subscribers: Vec<(SubscriptionId, Fate)>,
    /// The period that is due.
    pub(crate) period: u32,
    /// What I'mport takes for a charge.
    slow: SignedDuration,
}

/// What the merchant has set.
pub(crate) fn policy() -> Result<Policy, Failure> {
    let [open, close] = CHARGE_WINDOW;
    let charge_window = ChargeWindow::new(open.parse()?, close.parse()?).ok_or("no window")?;
    Ok(Policy { charge_window, ..Policy::default() })
}

/// I'mport before anything was asked of it, as its process is set up in the beginning.
pub(crate) fn simulator(webhook_url: String) -> Simulator {
    Simulator::new(Config { webhook_url: Some(webhook_url), webhook_resends: true, ..Config::default() })
}

/// Makes the table in `file`: copies of a subscription that was made by the functions themselves, a month ago.
pub(crate) async fn table(file: &Path, many: usize, chaos: Duration) -> Result<Crowd, Failure> {
    let now = Timestamp::now();
    let month_ago = now.checked_sub(SignedDuration::from_hours(32 * 24))?;
    let stack =
        Stack::start(Options { now: month_ago, policy: policy()?, ..Options::default() }, |_| axum::Router::new())
            .await?;
    let buyer = Buyer::of(&stack)?;
    buyer.put_plan("coffee", &plan()).await?;
    let model = buyer.open_session("coffee", "customer-1").await?.ok_or("no session")?;
    buyer.subscribe(model).await?;
    let period = stack.billing.store.subscription(model).await?.ok_or("no subscription")?.period;
    let model = Model::of(&stack, model)?;

    let database = Database::new(&file.to_string_lossy())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Sdk::local(format!("http://{}", listener.local_addr()?)).dynamodb();
    let served = database.clone();
    let server = tokio::spawn(async move { dynoxide::server::serve_on(listener, served).await });
    table::create(&client, TABLE).await?;
    server.abort();
    stop_stream(&database)?;

    let ids = Ids::random();
    let ids: Vec<SubscriptionId> = (0..many).map(|_| SubscriptionId::new(ids.next(month_ago))).collect();
    // From a minute ago on, so that the first tick finds some.
    let span = SignedDuration::try_from(chaos.mul_f64(DUE_WITHIN))? + SignedDuration::from_mins(1);
    let first = now - SignedDuration::from_mins(1);
    #[allow(clippy::cast_precision_loss)]
    model.copy_to(&database, &ids, |nth| Some(first + span.mul_f64(nth as f64 / many as f64)))?;

    let a_minute = (many as u64 * 60 / chaos.as_secs().max(1)).max(1);
    let slow = (BUSY_OF_A_MINUTE * ABREAST / a_minute).clamp(*SLOW.start(), *SLOW.end());
    let subscribers = ids.into_iter().enumerate().map(|(nth, id)| (id, Fate::of(nth))).collect();
    Ok(Crowd { subscribers, period, slow: SignedDuration::from_millis(i64::try_from(slow)?) })
}

/// The plan that everybody has.
pub(crate) fn plan() -> Value {
    json!({ "name": "매달 커피", "amount": PRICE, "interval": { "unit": "month", "count": 1 } })
}

/// Gives I'mport its billing keys, and says whom it declines.
pub(crate) async fn iamport(url: &str, crowd: &Crowd) -> Result<(), Failure> {
    let keys: Vec<String> = crowd.subscribers.iter().map(|(id, _)| id.to_string()).collect();
    let declined = crowd.subscribers.iter().filter(|(_, fate)| *fate == Fate::Declined).map(|(id, _)| {
        let no_money = Fault::Decline { message: "잔액이 부족합니다.".to_owned() };
        Rule::always(no_money).on(Call::Again).customer_uid(id.to_string())
    });
    let mut rules = vec![
        Rule::always(Fault::Slow(crowd.slow)).on(Call::Again),
        // Else webhooks, which come before a slow answer, would settle nearly all charges.
        Rule::always(Fault::WebhookLost).on(Call::Webhook).chance(WEBHOOKS_LOST),
    ];
    rules.extend(declined);
    let buyer = Buyer::at(url.to_owned(), url.to_owned())?;
    for (path, body) in [("keys", json!(keys)), ("faults", json!(rules))] {
        let path = format!("/_simulator/{path}");
        buyer.send(http::Method::POST, &path, &body, None).await?.error_for_status()?;
    }
    Ok(())
}

/// What I'mport's process itself says that it has, in won.
pub(crate) async fn net(url: &str) -> Result<u64, Failure> {
    let books = Buyer::at(url.to_owned(), url.to_owned())?.get("/_simulator/books").await?;
    Ok(read(books).await["totals"]["net"].as_u64().ok_or("I'mport doesn't tell its books")?)
}

/// What the functions read: as on a developer's machine, and where everything is.
pub(crate) fn environment(aws: &Aws, dynamodb: &str, iamport: &str) -> Arc<[(String, String)]> {
    let usual = include_str!("../../../.env.sandbox");
    let usual = usual.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let here = [
        ("AWS_ENDPOINT_URL", aws.sqs_url.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
        ("IAMPORT_URL", iamport),
        ("PUBLIC_URL", &aws.url),
        ("CHARGE_WINDOW", &CHARGE_WINDOW.join("-")),
        ("RUST_LOG", "info"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let taken = |name: &str| here.iter().any(|(taken, _)| taken == name);
    let usual = usual.filter(|(name, _)| !taken(name)).map(|(name, value)| (name.to_owned(), value.to_owned()));
    usual.collect::<Vec<_>>().into_iter().chain(here.clone()).collect()
}
