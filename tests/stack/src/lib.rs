//! A stack for one test of a handler: an embedded DynamoDB, a clock that stands still, and I'mport out of reach.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{Response, header};
use lambda_http::{Body, Request};
use maedal::aws::Aws;
use maedal::billing::{Billing, CheckoutRequest, Opened, PlanRequest, Session};
use maedal::clock::TestClock;
use maedal::iamport::{Credentials, Https, Iamport};
use maedal::ids::Ids;
use maedal::link::Links;
use maedal::queue::{Message, Queue, QueueError};
use maedal::rotating::Rotating;
use maedal::site::{Channel, SDK_URL, Site};
use maedal::store::{Entry, Settled, Store, table};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::Proof;
use maedal::subscription::{Buyer, Checkout, Interval, PaymentMethod, Policy, Subscription, SubscriptionId, Won};

/// Any failure: a test ends with it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The subscription that the sample events are about.
pub const SAMPLE: &str = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7";

/// When it is.
pub const NOW: &str = "2026-11-23T03:00:00Z";

/// The use cases. Ids come from a seed: the first session of every stack has the same one.
pub async fn billing() -> Result<Arc<Billing>, Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let client = Aws::local(format!("http://{}", listener.local_addr()?)).dynamodb();
    let database = dynoxide::Database::memory()?;
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    table::create(&client, "maedal").await?;
    let clock = Arc::new(TestClock::at(NOW.parse::<Timestamp>()?));
    let credentials = Credentials { key: "key".to_owned(), secret: "secret".to_owned() };
    // Port 9 discards; nobody listens there.
    let iamport = Iamport::new("http://127.0.0.1:9", credentials, Arc::new(Https::new()), clock.clone());
    let store = Store::new(client, "maedal");
    Ok(Arc::new(Billing { store, iamport, clock, policy: Policy::default(), ids: Ids::seeded(1) }))
}

/// The merchant's site, known by the name that requests come to.
pub fn site() -> Site {
    Site {
        public_url: String::new(),
        sdk_url: SDK_URL.to_owned(),
        user_code: "imp37739582".to_owned(),
        channel: Channel::default(),
        session: SignedDuration::from_hours(1),
        merchant_name: "매달 상점".to_owned(),
    }
}

/// Links, signed with a key that everybody knows.
pub fn links() -> Arc<Links> {
    Arc::new(Links::new(Rotating::fixed("a key that everybody knows").unwrap_or_else(|| unreachable!())))
}

/// Puts the plan `monthly`, 9,900 won.
pub async fn monthly_plan(billing: &Billing, name: &str, trial_days: u16) -> Result<(), Error> {
    let request = PlanRequest {
        name: name.to_owned(),
        amount: Won::new(9_900),
        currency: None,
        tax_free: Won::ZERO,
        interval: Interval::MONTHLY,
        trial_days,
        dunning: None,
    };
    billing.put_plan("monthly".parse()?, request, None).await?;
    Ok(())
}

/// Opens a checkout session for the plan `monthly`.
pub async fn open_session(billing: &Billing) -> Result<Session, Error> {
    let request = CheckoutRequest {
        plan: "monthly".parse()?,
        customer_id: "customer-1".parse()?,
        buyer: Buyer { name: Some("홍길동".to_owned()), ..Buyer::default() },
        success_url: Some("https://shop.example/done?utm=1".to_owned()),
        cancel_url: Some("https://shop.example/cart".to_owned()),
        customer_uid: None,
    };
    let (Opened::New(session) | Opened::Repeat(session)) =
        billing.open_checkout(request, None, "https://pay.example", SignedDuration::from_hours(1)).await?;
    Ok(session)
}

/// The subscription of the sample events: monthly, and its first period was paid just now. It is at version 2.
pub async fn subscribed(billing: &Billing) -> Result<Subscription, Error> {
    monthly_plan(billing, "월간 구독", 0).await?;
    let (now, policy) = (billing.clock.now(), &billing.policy);
    let plan = billing.store.plan(&"monthly".parse()?).await?.ok_or("the plan that was put")?;
    let id: SubscriptionId = SAMPLE.parse()?;
    let checkout = Checkout {
        expires_at: now.checked_add(SignedDuration::from_hours(1))?,
        success_url: None,
        cancel_url: None,
        decline: None,
        replaces: None,
    };
    let mut subscription = Subscription::open(id, "customer-1".parse()?, id.into(), plan, checkout, now);
    billing.store.create(&subscription, &Buyer::default(), None, policy).await?;
    subscription.windows = 1;
    subscription.payment_method = Some(PaymentMethod {
        window: 1,
        imp_uid: Some("imp_448280090637".parse()?),
        provider: Some("chai".to_owned()),
        confirmed_at: now,
        broken: false,
        deleted: false,
    });
    subscription.in_flight = subscription.next_charge(now, policy);
    subscription.claimed_at = Some(now);
    let payment = Payment {
        imp_uid: "imp_448280090638".parse()?,
        paid_at: Some(now),
        receipt_url: Some("https://receipt.example/1".to_owned()),
    };
    let charge = subscription.settle(Proof::Paid(payment), now, policy).ok_or("an attempt in flight")?;
    if billing.store.settle(&mut subscription, &[Entry::New(charge)], now, policy).await? != Settled::Written {
        return Err("the ledger has this charge already".into());
    }
    billing.store.subscription(id).await?.ok_or("the subscription that was written".into())
}

/// The buyer's first window has issued a billing key, and nothing has followed yet.
pub async fn confirm(billing: &Billing, id: SubscriptionId) -> Result<Subscription, Error> {
    let now = billing.clock.now();
    let method = PaymentMethod {
        window: 1,
        imp_uid: Some("imp_1".parse()?),
        provider: None,
        confirmed_at: now,
        broken: false,
        deleted: false,
    };
    Ok(billing.store.confirm(id, &id.into(), &method, now).await.map_err(|e| format!("{e:?}"))?)
}

/// The sample events of a function, by file name, read as Lambda would.
pub fn events(function: &str) -> Result<Vec<(String, Request)>, Error> {
    texts(function)?.into_iter().map(|(name, text)| Ok((name, lambda_http::request::from_str(&text)?))).collect()
}

/// The sample events of a function, by file name, as they are.
pub fn texts(function: &str) -> Result<Vec<(String, String)>, Error> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events").join(function);
    let mut events = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        events.push((name, std::fs::read_to_string(path)?));
    }
    events.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(events)
}

/// A GET as a browser sends it.
pub fn get(address: &str) -> Result<Request, Error> {
    Ok(lambda_http::http::Request::get(address).header(header::HOST, "pay.example").body(Body::Empty)?)
}

/// An answer's body as text.
pub fn text(response: &Response<Body>) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}

/// A queue that only keeps what it was sent.
#[derive(Debug, Default)]
pub struct Sent(Mutex<Vec<Message>>);

impl Sent {
    /// What was sent since it was last asked.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queue for Sent {
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
        Box::pin(async { Ok(Vec::new()) })
    }
}
