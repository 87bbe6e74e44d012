//! Who does something while things are killed: buyers who subscribe, some of whom never come back from the payment window, and a
//! merchant who refunds and cancels. Each tries again until it has its answer, as people and backends do.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use maedal::subscription::{Status, SubscriptionId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::books::Account;
use sandbox::buyer::{Button, Buyer, read};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Failure;
use crate::prepare::{Crowd, Fate, REFUND, plan};

/// One buyer for so many subscribers.
const SUBSCRIBERS_A_BUYER: usize = 50;
/// So many of ten come back from the payment window.
const COME_BACK: u32 = 7;
/// How long somebody waits before another try.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the merchant looks whether a charge was made.
const LOOK: Duration = Duration::from_secs(20);
/// The part of the time in which they begin.
const WITHIN: f64 = 0.8;

/// All of them.
#[derive(Debug)]
pub(crate) struct People {
    buyer: Buyer,
    until: Instant,
    bought: Mutex<BTreeSet<SubscriptionId>>,
    unserved: Mutex<Vec<String>>,
}

impl People {
    /// People who give up at `until`.
    pub(crate) fn new(api: String, iamport: String, until: Instant) -> Result<Self, Failure> {
        Ok(Self { buyer: Buyer::at(api, iamport)?, until, bought: Mutex::default(), unserved: Mutex::default() })
    }

    /// The plan that is sold.
    pub(crate) async fn open_shop(&self) -> Result<(), Failure> {
        self.buyer.put_plan("coffee", &plan()).await?.error_for_status()?;
        Ok(())
    }

    /// Those who approved in the payment window.
    pub(crate) fn bought(&self) -> BTreeSet<SubscriptionId> {
        self.bought.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What somebody asked for and never got.
    pub(crate) fn unserved(&self) -> Vec<String> {
        self.unserved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everybody's doings, begun within `chaos`; ends with the last.
    pub(crate) async fn live(&self, crowd: &Crowd, chaos: Duration, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed ^ 0x70656f706c65);
        let within = u64::try_from(chaos.mul_f64(WITHIN).as_millis()).unwrap_or(u64::MAX);
        let mut moment = || Duration::from_millis(dice.random_range(0..within));
        let buyers = (crowd.subscribers.len() / SUBSCRIBERS_A_BUYER).max(10);
        let mut buyers: Vec<(usize, Duration)> = (0..buyers).map(|nth| (nth, moment())).collect();
        buyers.sort_by_key(|(_, begins)| *begins);
        let commands: Vec<_> = crowd.subscribers.iter().map(|(id, fate)| (*id, *fate, moment())).collect();
        let comes_back: Vec<bool> = buyers.iter().map(|_| dice.random_ratio(COME_BACK, 10)).collect();

        let buyers = buyers.into_iter().zip(comes_back).map(|((nth, begins), comes_back)| async move {
            tokio::time::sleep(begins).await;
            self.buy(nth, comes_back).await;
        });
        let commands = commands.into_iter().filter_map(|(id, fate, begins)| match fate {
            Fate::Charged | Fate::Declined => None,
            Fate::Refunded | Fate::Canceled => Some(async move {
                tokio::time::sleep(begins).await;
                match fate {
                    Fate::Refunded => self.refund(id, crowd.period).await,
                    Fate::Canceled => self.cancel(id).await,
                    Fate::Charged | Fate::Declined => (),
                }
            }),
        });
        futures::future::join(futures::future::join_all(buyers), futures::future::join_all(commands)).await;
    }

    /// Session, window, button, and most often back.
    async fn buy(&self, nth: usize, comes_back: bool) {
        let request = json!({ "plan": "coffee", "customer_id": format!("buyer-{nth}") });
        let session = loop {
            let session = self.post("/v1/checkout-sessions", &request, &format!("open-{nth}")).await;
            if let Some(id) = session.as_ref().and_then(|(_, session)| session["id"].as_str()?.parse().ok()) {
                break id;
            }
            if self.gives_up(&format!("buyer {nth} got no session: {session:?}")) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        };
        let back = loop {
            let window = self.buyer.open_window(session).await;
            let pressed = match &window {
                Ok(window) => self.buyer.press(window, Button::Approve).await,
                Err(_) => Ok(None),
            };
            if let Ok(Some(back)) = pressed {
                break back;
            }
            if self.gives_up(&format!("the buyer of {session} saw no window")) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        };
        self.bought.lock().unwrap_or_else(PoisonError::into_inner).insert(session);
        if !comes_back {
            return;
        }
        loop {
            match self.buyer.come_back(&back).await {
                Ok(landing) if !landing.status.is_server_error() => return,
                Ok(_) | Err(_) if self.gives_up(&format!("the buyer of {session} saw no result")) => return,
                Ok(_) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Gives a part of a charge back, once it is made.
    async fn refund(&self, id: SubscriptionId, period: u32) {
        let charge = loop {
            let charges: Value = match self.buyer.get(&format!("/v1/subscriptions/{id}/charges")).await {
                Ok(answer) => read(answer).await,
                Err(_) => Value::Null,
            };
            let charges = charges["charges"].as_array().cloned().unwrap_or_default();
            let paid = charges.into_iter().find(|charge| charge["status"] == "paid" && charge["period"] == period);
            if let Some(charge) = paid.as_ref().and_then(|charge| charge["id"].as_str()) {
                break charge.to_owned();
            }
            if self.gives_up(&format!("{id} has no charge to refund")) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        };
        let request = json!({ "amount": REFUND, "reason": "a broken cup" });
        self.command(&format!("/v1/subscriptions/{id}/charges/{charge}/refund"), &request, &format!("refund-{id}"))
            .await;
    }

    async fn cancel(&self, id: SubscriptionId) {
        let request = json!({ "when": "now" });
        self.command(&format!("/v1/subscriptions/{id}/cancel"), &request, &format!("cancel-{id}")).await;
    }

    /// Asks under one idempotency key until it is done.
    async fn command(&self, path: &str, request: &Value, key: &str) {
        loop {
            let answer = self.post(path, request, key).await;
            if answer.as_ref().is_some_and(|(done, _)| *done) {
                return;
            }
            if self.gives_up(&format!("{path}: {answer:?}")) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether it was done, and the answer.
    async fn post(&self, path: &str, request: &Value, key: &str) -> Option<(bool, Value)> {
        let answer = self.buyer.send(Method::POST, path, request, Some(key)).await.ok()?;
        let done = answer.status().is_success();
        Some((done, read(answer).await))
    }

    /// Whether it is too late for another try; then `what` was never served.
    fn gives_up(&self, what: &str) -> bool {
        let over = Instant::now() >= self.until;
        if over {
            self.unserved.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
        }
        over
    }

    /// Whether nothing is left to be done for an account.
    pub(crate) fn is_at_rest(&self, Account { subscription, ledger }: &Account) -> bool {
        let due = subscription.listed_at.is_some_and(|at| at <= jiff::Timestamp::now());
        let refunds = ledger.charges.iter().any(|charge| charge.refund.is_some());
        let waits = subscription.status == Status::Pending && self.bought().contains(&subscription.id);
        subscription.in_flight.is_none() && !due && !refunds && !waits
    }
}
