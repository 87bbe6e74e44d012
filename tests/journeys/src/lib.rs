//! What the journeys share: a stack, a shop's backend and a buyer, and the few steps that every journey begins with.

pub mod contract;
pub mod fate;
mod merchant;
pub mod watched;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use maedal::aws::{Aws, http_client};
use maedal::billing::Billing;
use maedal::clock::Clock;
use maedal::iamport::{Credentials, Https, Iamport, Transport};
use maedal::ids::Ids;
use maedal::store::{Ledger, Store};
use maedal::subscription::period::SEOUL;
use maedal::subscription::{ChargeStatus, Due, MerchantUid, Status, Subscription, SubscriptionId};
use sandbox::books::{Account, accounts, compare};
use sandbox::buyer::Buyer;
use sandbox::{Options, Report, Stack};
use serde_json::{Value, json};
use simulator::{Fault, Rule};

pub use merchant::Answer;

use fate::{Fate, FatedHttp, FatedTransport};

/// A moment in Korea, as `2026-11-23T10:00`.
///
/// # Panics
/// Where it isn't one.
pub fn seoul(civil: &str) -> Timestamp {
    let civil: DateTime = civil.parse().expect("a date and time");
    civil.to_zoned(SEOUL).expect("a time in Seoul").timestamp()
}

/// A stack at 10 in the morning of 23 November 2026, with one plan, `coffee`: 9,900 won a month.
#[derive(Debug)]
pub struct World {
    /// The stack.
    pub stack: Stack,
    /// The shop's backend and its buyers.
    pub buyer: Buyer,
}

#[allow(clippy::missing_panics_doc, clippy::expect_used)]
impl World {
    /// A world with the default policy.
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// A world as `options` say, whose clock shows 10 in the morning.
    pub async fn with(options: Options) -> Self {
        watched::begin();
        let options = Options { now: seoul("2026-11-23T10:00"), ..options };
        let stack = Stack::start(options, |_| axum::Router::new()).await.expect("the stack starts");
        let buyer = Buyer::of(&stack).expect("a client");
        let world = Self { stack, buyer };
        world.put_plan("coffee", json!({ "name": "매달 커피", "amount": 9_900, "interval": monthly() })).await;
        world
    }

    /// Puts a plan that has to be good.
    pub async fn put_plan(&self, id: &str, plan: Value) {
        let answer = self.buyer.put_plan(id, &plan).await.expect("an answer");
        assert!(answer.status().is_success(), "PUT plan: {}", answer.status());
    }

    /// Opens a session for `plan`.
    pub async fn session(&self, plan: &str) -> SubscriptionId {
        self.buyer.open_session(plan, "customer-1").await.expect("an answer").expect("a session")
    }

    /// A buyer who has just subscribed to `plan`.
    pub async fn subscribed(&self, plan: &str) -> SubscriptionId {
        let id = self.session(plan).await;
        self.buyer.subscribe(id).await.expect("an answer");
        let status = self.subscription(id).await.status;
        assert!(matches!(status, Status::Active | Status::Trialing), "{status:?}");
        id
    }

    /// The subscription as it is.
    pub async fn subscription(&self, id: SubscriptionId) -> Subscription {
        self.stack.billing.store.subscription(id).await.expect("the table answers").expect("the subscription is there")
    }

    /// What a subscription calls an attempt, as nobody outside can know.
    pub async fn charge_name(&self, id: SubscriptionId, period: u32, attempt: u32) -> MerchantUid {
        self.subscription(id).await.charge_name(period, attempt)
    }

    /// What it calls an opening of the payment window.
    pub async fn window_name(&self, id: SubscriptionId, number: u32) -> MerchantUid {
        self.subscription(id).await.window_name(number)
    }

    /// Its ledger.
    pub async fn ledger(&self, id: SubscriptionId) -> Ledger {
        self.stack.billing.store.ledger(id).await.expect("the table answers")
    }

    /// `paid` and `declined`, charge by charge of those that were made here.
    pub async fn outcomes(&self, id: SubscriptionId) -> Vec<&'static str> {
        let word = |paid: bool| if paid { "paid" } else { "declined" };
        let ledger = self.ledger(id).await;
        let here = ledger.charges.iter().filter(|charge| charge.status != ChargeStatus::Imported);
        here.map(|charge| word(charge.payment().is_some())).collect()
    }

    /// Something goes wrong at I'mport.
    pub fn fault(&self, rule: Rule) {
        self.stack.iamport().faults().add(rule);
    }

    /// All is well again at I'mport.
    pub fn no_faults(&self) {
        self.stack.iamport().faults().clear();
    }

    /// How many payments I'mport has for our charges, failed ones included.
    pub fn payments(&self) -> usize {
        self.stack
            .iamport()
            .books()
            .payments()
            .iter()
            .filter(|payment| payment.usage != simulator::Usage::Issue)
            .count()
    }

    /// The clock shows `now`, and what is due is done.
    pub async fn at(&self, now: Timestamp) {
        self.stack.clock.set(now);
        self.stack.turn().await.expect("the table answers");
    }

    /// Time passes, and what is due at its end is done.
    pub async fn after(&self, span: SignedDuration) {
        self.at(self.stack.clock.now().checked_add(span).expect("a time")).await;
    }

    /// Time passes as it does: everything that happens until `end`, in order.
    pub async fn live_until(&self, end: Timestamp) {
        self.stack.live_until(end).await.expect("the table answers");
    }

    /// Another worker on the same table and the same I'mport, which things befall.
    pub fn worker(&self, fate: &Arc<Fate>) -> Billing {
        let transport = FatedTransport { inner: Https::new(), fate: fate.clone() };
        self.worker_over(FatedHttp::over(http_client(), fate.clone()), transport)
    }

    /// Another worker on the same table, reached by `http_client`, and the same I'mport, reached by `transport`.
    pub fn worker_over(&self, http_client: SharedHttpClient, transport: impl Transport) -> Billing {
        let client = Aws::local(&self.stack.dynamodb_url).dynamodb_over(http_client);
        let (key, secret) = {
            let iamport = self.stack.iamport();
            (iamport.config().imp_key.clone(), iamport.config().imp_secret.clone())
        };
        let clock = self.stack.clock.clone();
        Billing {
            store: Store::new(client, sandbox::stack::TABLE),
            iamport: Iamport::new(
                &self.stack.iamport_url,
                Credentials { key, secret },
                Arc::new(transport),
                clock.clone(),
            ),
            clock,
            policy: self.stack.billing.policy.clone(),
            ids: Ids::random(),
        }
    }

    /// The message that dispatch would send for a subscription now.
    pub async fn due(&self, id: SubscriptionId) -> Due {
        let due_at = self.subscription(id).await.listed_at.expect("something is listed");
        Due { subscription: id, charge: None, due_at }
    }

    /// Both books, compared; they must agree. And nothing that was logged so far, by whatever journey, may say who the
    /// buyers are.
    pub async fn reconciled(&self, ids: &[SubscriptionId]) -> Report {
        let accounts: Vec<Account> = accounts(&self.stack, ids).await.expect("the table answers");
        let report = compare(&self.stack.billing.policy, &self.stack.iamport(), &accounts, self.stack.clock.now());
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(watched::leaked(), [""; 0]);
        report
    }
}

/// Every month.
pub fn monthly() -> Value {
    json!({ "unit": "month", "count": 1 })
}

/// A soft decline.
pub fn no_money() -> Fault {
    Fault::Decline { message: "잔액이 부족합니다.".to_owned() }
}
