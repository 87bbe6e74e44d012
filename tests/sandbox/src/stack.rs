//! The whole stack on one machine: the functions' real handlers, I'mport simulated, DynamoDB embedded, each behind a
//! socket of its own on 127.0.0.1.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use dynoxide::actions::create_table::StreamSpecification;
use dynoxide::actions::update_table::UpdateTableRequest;
use jiff::Timestamp;
use maedal::aws::Aws;
use maedal::billing::{Billing, Dispatched, Pace, Schedules};
use maedal::clock::{Clock, TestClock};
use maedal::events::DomainEvent;
use maedal::iamport::{Credentials, Https, Iamport};
use maedal::ids::Ids;
use maedal::link::Links;
use maedal::rotating::Rotating;
use maedal::site::{Channel, Site};
use maedal::store::{Store, StoreError, table};
use maedal::subscription::Policy;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use simulator::{Config, Simulator, WebhookFormat};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::due::DueIndex;
use crate::gateway::Functions;
use crate::outbox::{Outbox, TableClock};
use crate::queue::{LocalQueue, Received};
use crate::time::Time;

/// The table's name in the sandbox.
pub const TABLE: &str = "maedal";
/// How often `reconcile` is called.
const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// A batch that SQS hands to `charge`.
const BATCH: usize = 10;
/// What Lambda gives a batch: the timeout of `charge` in template.yaml.
pub const CHARGE_TIME: Duration = Duration::from_secs(120);

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first of three ports: functions, I'mport, DynamoDB. `None`: any that are free.
    pub port: Option<u16>,
    /// Where the table is kept; in memory without it.
    pub data: Option<PathBuf>,
    /// What the clock shows first.
    pub now: Timestamp,
    /// Ids and the simulator's dice follow from it; `None`: from the operating system's randomness.
    pub seed: Option<u64>,
    /// What the merchant has set.
    pub policy: Policy,
    /// How webhooks are written.
    pub webhook_format: WebhookFormat,
    /// Whether I'mport's webhooks leave by themselves; else [`Parts::deliver_webhooks`] sends them.
    pub webhooks_by_themselves: bool,
    /// The import bucket: a folder; in memory without it.
    pub imports: Option<PathBuf>,
    /// Whether each event is printed as it leaves.
    pub show_events: bool,
    /// Whether what is asked of I'mport is kept, for the console.
    pub keep_journal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: None,
            data: None,
            now: Timestamp::now(),
            seed: Some(1),
            policy: Policy::default(),
            webhook_format: WebhookFormat::Json,
            webhooks_by_themselves: false,
            imports: None,
            show_events: false,
            keep_journal: false,
        }
    }
}

/// A stack that could not be started.
#[derive(Debug)]
pub enum StartError {
    /// A port is taken.
    Port(u16, std::io::Error),
    /// The file, or the folder, can't be used.
    Data(PathBuf, String),
    /// The table could not be made.
    Table(StoreError),
    /// The key that links are signed with can be guessed.
    LinkKey,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(port, e) => write!(
                f,
                "port {port} on 127.0.0.1 can't be used ({e}). Choose others with --port, for example --port 9100"
            ),
            Self::Data(path, e) => {
                write!(f, "{} can't be used ({e}). Choose another", path.display())
            }
            Self::Table(e) => e.fmt(f),
            Self::LinkKey => f.write_str("the key that links are signed with is too short"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running stack: its [`Parts`], and servers that end with it.
#[derive(Debug)]
pub struct Stack {
    parts: Arc<Parts>,
    servers: JoinSet<()>,
}

impl Deref for Stack {
    type Target = Arc<Parts>;
    fn deref(&self) -> &Arc<Parts> {
        &self.parts
    }
}

/// What a stack is made of, for whatever looks into it while it runs.
#[derive(Debug)]
pub struct Parts {
    /// The one clock of all parts.
    pub clock: Arc<TestClock>,
    /// The use cases that all functions share.
    pub billing: Arc<Billing>,
    /// The functions behind the HTTP API.
    pub functions: Functions,
    /// `dispatch`.
    pub dispatch: dispatch::App,
    /// `charge`.
    pub charge: charge::App,
    /// `reconcile`, with clients of its own: what they cost is not the others'.
    pub reconcile: reconcile::App,
    /// What is between them.
    pub queue: Arc<LocalQueue>,
    /// `import`.
    pub import: import::App,
    /// Its turns.
    pub imports: Arc<LocalQueue>,
    /// The table's stream, `notify` and the bus.
    pub outbox: Outbox,
    /// Where the HTTP API is.
    pub url: String,
    /// Where I'mport is.
    pub iamport_url: String,
    /// Where DynamoDB is.
    pub dynamodb_url: String,
    /// How time goes by.
    pub time: Time,
    /// What the clock showed first.
    pub began_at: Timestamp,
    due: DueIndex,
    reconciled_at: Mutex<Timestamp>,
    webhooks: simulator::WebhookClient,
    simulator: Arc<Mutex<Simulator>>,
}

impl Stack {
    /// Starts all servers; the HTTP API serves `extra` too, for what isn't a function.
    pub async fn start(options: Options, extra: fn(Arc<Parts>) -> axum::Router) -> Result<Self, StartError> {
        let [api, iamport, dynamodb] = [0, 1, 2].map(|nth| options.port.map_or(0, |port| port.saturating_add(nth)));
        let (api, iamport, dynamodb) = (listen(api).await?, listen(iamport).await?, listen(dynamodb).await?);
        let [url, iamport_url, dynamodb_url] = [&api, &iamport, &dynamodb].map(|l| format!("http://{}", address(l)));
        let mut servers = JoinSet::new();
        let clock = Arc::new(TestClock::at(options.now));

        let database = match &options.data {
            None => dynoxide::Database::memory_with_clock(Arc::new(TableClock(clock.clone()))),
            Some(path) => dynoxide::Database::new(path.to_string_lossy().as_ref()),
        };
        let database =
            database.map_err(|e| StartError::Data(options.data.clone().unwrap_or_default(), e.to_string()))?;
        let streamed = database.clone();
        let due = DueIndex(database.clone());
        servers.spawn(async move {
            let _ = dynoxide::server::serve_with_shutdown(dynamodb, database, std::future::pending()).await;
        });
        let client = Aws::local(&dynamodb_url).dynamodb();
        table::create(&client, TABLE).await.map_err(StartError::Table)?;
        let outbox = Outbox::new(streamed, Store::new(client.clone(), TABLE), TABLE, options.show_events);

        let config = Config {
            webhook_url: Some(format!("{url}/webhooks/iamport")),
            webhook_format: options.webhook_format,
            webhook_resends: true,
            // Not the same ids again where the table remembers those of an earlier life.
            seed: options.seed.unwrap_or(options.now.as_microsecond().unsigned_abs()),
            ..Config::default()
        };
        let credentials = Credentials { key: config.imp_key.clone(), secret: config.imp_secret.clone() };
        let (user_code, merchant_name) = (config.user_code.clone(), config.merchant_name.clone());
        let mut simulator = Simulator::new(config);
        if options.keep_journal {
            simulator.keep_journal();
        }
        let simulator = Arc::new(Mutex::new(simulator));
        let (books, shown, by_themselves) = (simulator.clone(), clock.clone(), options.webhooks_by_themselves);
        servers.spawn(async move {
            let now: simulator::Clock = Arc::new(move || shown.now());
            let _ = match by_themselves {
                true => simulator::serve(iamport, books, now, std::future::pending()).await,
                false => simulator::serve_without_webhooks(iamport, books, now, std::future::pending()).await,
            };
        });

        let use_cases = |ids: Ids| Billing {
            store: Store::new(client.clone(), TABLE),
            iamport: Iamport::new(&iamport_url, credentials.clone(), Arc::new(Https::new()), clock.clone()),
            clock: clock.clone(),
            policy: options.policy.clone(),
            ids,
        };
        let billing = Arc::new(use_cases(options.seed.map_or_else(Ids::random, Ids::seeded)));
        let reconcile =
            reconcile::App { billing: Arc::new(use_cases(Ids::random())), budget: Duration::from_secs(8 * 60) };
        let site = Site {
            public_url: url.clone(),
            sdk_url: format!("{iamport_url}/v1/iamport.js"),
            user_code,
            channel: Channel::default(),
            session: jiff::SignedDuration::from_mins(60),
            merchant_name,
        };
        // A key of this life's own.
        let key = Ids::random();
        let key = format!("{}{}", key.next(clock.now()), key.next(clock.now()));
        let key = Rotating::fixed(&key).ok_or(StartError::LinkKey)?;
        let links = Arc::new(Links::new(key));
        let queue = Arc::new(LocalQueue::new(clock.clone()));
        let imports = Arc::new(LocalQueue::new(clock.clone()));
        let bucket = bucket(options.imports)?;
        let functions = Functions {
            checkout: Arc::new(checkout::App { billing: billing.clone(), site: site.clone(), links: links.clone() }),
            complete: Arc::new(complete::App { billing: billing.clone(), site: site.clone() }),
            manage: Arc::new(manage::App {
                billing: billing.clone(),
                site,
                links,
                imports: imports.clone(),
                token: None,
            }),
            webhook: Arc::new(webhook::App {
                billing: billing.clone(),
                queue: queue.clone(),
                recent: webhook::Recent::default(),
            }),
            clock: clock.clone(),
        };
        let parts = Arc::new(Parts {
            dispatch: dispatch::App {
                store: billing.store.clone(),
                queue: queue.clone(),
                clock: clock.clone(),
                budget: Duration::from_secs(45),
            },
            charge: charge::App { billing: billing.clone() },
            reconcile,
            reconciled_at: Mutex::new(clock.now()),
            import: import::App {
                billing: billing.clone(),
                bucket,
                queue: imports.clone(),
                // The simulator takes any number of calls.
                pace: Pace::a_second(0),
                schedules: Schedules::default(),
                budget: Duration::from_secs(90),
            },
            imports,
            clock,
            billing,
            functions,
            queue,
            outbox,
            url,
            iamport_url,
            dynamodb_url,
            time: Time::default(),
            began_at: options.now,
            due,
            webhooks: simulator::WebhookClient::new(),
            simulator,
        });
        let functions = axum::Extension(parts.functions.clone());
        let router = extra(parts.clone()).fallback(through_the_gateway).layer(functions);
        servers.spawn(async move {
            let _ = axum::serve(api, router).await;
        });
        Ok(Self { parts, servers })
    }

    /// Waits until a server ends, which none does by itself.
    pub async fn run(&mut self) {
        self.servers.join_next().await;
    }
}

impl Parts {
    /// I'mport's inside: its books and its faults. Not to be held across an await.
    pub fn iamport(&self) -> MutexGuard<'_, Simulator> {
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table's database, for what is done past the stack.
    pub fn database(&self) -> &dynoxide::Database {
        &self.due.0
    }

    /// Ends the table's stream, and with it the events: for a long life that nobody listens to. Each write to the embedded
    /// database looks through all records of its stream.
    ///
    /// # Errors
    /// Where the database refuses.
    pub fn stop_stream(&self) -> Result<(), dynoxide::DynoxideError> {
        stop_stream(self.database())
    }

    /// The minute's tick, as EventBridge sends it.
    pub async fn tick(&self) -> Result<Dispatched, StoreError> {
        let event = serde_json::json!({
            "version": "0",
            "id": "00000000-0000-0000-0000-000000000000",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": "ap-northeast-2",
            "resources": ["arn:aws:events:ap-northeast-2:000000000000:rule/maedal-dispatch"],
            "detail": {},
        });
        self.reconcile_by_the_hour().await;
        dispatch::handle(&self.dispatch, event).await
    }

    /// The hour's tick, as EventBridge sends it. What fails is tried the next hour.
    async fn reconcile_by_the_hour(&self) {
        let now = self.clock.now();
        let due = {
            let mut last = self.reconciled_at.lock().unwrap_or_else(PoisonError::into_inner);
            let due = now.duration_since(*last) >= HOUR;
            if due {
                *last = now;
            }
            due
        };
        if due {
            // Its own log says what failed.
            let _ = Box::pin(reconcile::handle(&self.reconcile, reconcile::Asked::default())).await;
        }
    }

    /// Hands one batch of the queue to `charge`. Returns what was received; none where nothing is in sight.
    pub async fn charge_batch(&self) -> Vec<Received> {
        let batch = self.queue.receive(BATCH);
        if batch.is_empty() {
            return batch;
        }
        let response = charge::handle(&self.charge, sqs_event(&batch), CHARGE_TIME).await;
        self.queue.settle(&batch, &failed(response));
        batch
    }

    /// Hands one turn of an import to `import`. Returns whether there was one in sight.
    pub async fn import_turn(&self) -> bool {
        let batch = self.imports.receive(1);
        let response = import::handle(&self.import, sqs_event(&batch)).await;
        self.imports.settle(&batch, &failed(response));
        !batch.is_empty()
    }

    /// The domain events that have left so far, in order.
    pub async fn events(&self) -> Vec<DomainEvent> {
        self.outbox.drain().await
    }

    /// Sends the webhooks that are due, in order. Returns how many.
    pub async fn deliver_webhooks(&self) -> usize {
        let clock = self.clock.clone();
        let now: simulator::Clock = Arc::new(move || clock.now());
        simulator::deliver_due(&self.webhooks, &self.simulator, &now).await
    }

    /// All that is to be done at this moment: webhooks, a tick, and the queue until nothing of it is in sight.
    pub async fn turn(&self) -> Result<(), StoreError> {
        self.deliver_webhooks().await;
        self.tick().await?;
        while !self.charge_batch().await.is_empty() {}
        self.deliver_webhooks().await;
        while !self.charge_batch().await.is_empty() {}
        while self.import_turn().await {}
        Ok(())
    }

    /// When something happens next after now: a step is due, a message comes into sight, I'mport has something to do.
    ///
    /// # Errors
    /// Where the table can't be read.
    pub fn next_happening(&self) -> Result<Option<Timestamp>, dynoxide::DynoxideError> {
        let mut next: Vec<Timestamp> = self.queue.next_visible().into_iter().collect();
        next.extend(self.iamport().next_happening());
        next.extend(self.due.first(TABLE)?);
        Ok(next.into_iter().min())
    }
}

/// As [`Parts::stop_stream`], of a database without a stack.
///
/// # Errors
/// Where the database refuses.
pub fn stop_stream(database: &dynoxide::Database) -> Result<(), dynoxide::DynoxideError> {
    let request = UpdateTableRequest {
        table_name: TABLE.to_owned(),
        stream_specification: Some(StreamSpecification { stream_enabled: false, stream_view_type: None }),
        ..UpdateTableRequest::default()
    };
    database.update_table(request).map(drop)
}

/// Which messages of a batch must come again.
pub fn failed(response: SqsBatchResponse) -> BTreeSet<String> {
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

/// The import bucket.
fn bucket(folder: Option<PathBuf>) -> Result<Arc<dyn ObjectStore>, StartError> {
    let Some(folder) = folder else { return Ok(Arc::new(InMemory::new())) };
    match LocalFileSystem::new_with_prefix(&folder) {
        Ok(files) => Ok(Arc::new(files)),
        Err(problem) => Err(StartError::Data(folder, problem.to_string())),
    }
}

async fn listen(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(|e| StartError::Port(port, e))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

/// The longest body that API Gateway takes.
const LONGEST_BODY: usize = 10 * 1024 * 1024;

async fn through_the_gateway(
    axum::Extension(functions): axum::Extension<Functions>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let answer = match axum::body::to_bytes(body, LONGEST_BODY).await {
        Ok(body) => functions.route(http::Request::from_parts(head, body)).await,
        Err(_) => Some(crate::gateway::plain(http::StatusCode::PAYLOAD_TOO_LARGE, "longer than API Gateway takes")),
    };
    let not_found = || crate::gateway::plain(http::StatusCode::NOT_FOUND, "no function has this path");
    answer.unwrap_or_else(not_found).map(axum::body::Body::from)
}

/// The event that SQS FIFO sends.
pub fn sqs_event(batch: &[Received]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = batch
        .iter()
        .map(|received| {
            let mut message = SqsMessage::default();
            message.message_id = Some(received.id.clone());
            message.body = Some(received.body.clone());
            message.attributes = [
                ("MessageGroupId".to_owned(), received.group.clone()),
                ("ApproximateReceiveCount".to_owned(), received.receipts.to_string()),
            ]
            .into();
            message
        })
        .collect();
    event
}
