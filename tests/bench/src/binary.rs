//! The release binaries as Lambda runs them: how soon they are ready, what they weigh, what an event costs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use maedal::clock::Clock;
use maedal::queue::Message;
use maedal::subscription::Due;
use sandbox::buyer::Buyer;
use sandbox::crowd::copies;
use sandbox::lambda::Instance;
use sandbox::{Options, Stack};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::Failure;
use crate::figure::{Budget, Figure, Kind};

/// All of them.
pub(crate) const FUNCTIONS: [&str; 9] =
    ["checkout", "complete", "webhook", "dispatch", "charge", "manage", "notify", "reconcile", "import"];
/// How often a start is measured; the median is told.
const STARTS: usize = 11;
/// Events after which the memory is looked at again.
const EVENTS: usize = 1_000;
/// Warm events whose instructions are counted: the difference between two runs, divided.
const COUNTED: [usize; 2] = [20, 60];

const MEGABYTE: f64 = 1_048_576.0;

/// The most that a warm event may take: thousands of instructions, and allocations. On the way of a renewal, so that a
/// regression is seen on any machine; none for the others.
fn budgets(function: &str) -> [Option<f64>; 2] {
    match function {
        "charge" => [Some(1_900.0), Some(1_600.0)],
        _ => [None, None],
    }
}

/// Measures the binaries in `folder`; instructions where `valgrind` is to be used.
pub(crate) async fn measure(folder: &Path, only: Option<&str>, valgrind: bool) -> Result<Vec<Figure>, Failure> {
    let backend = Backend::start().await?;
    let mut figures = Vec::new();
    for function in FUNCTIONS.into_iter().filter(|function| only.is_none_or(|only| only == *function)) {
        let binary = folder.join(function);
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            let mut instance = start(Command::new(&binary), &backend).await?;
            starts.push(instance.ready().await?.as_secs_f64() * 1_000.0);
        }
        starts.sort_by(f64::total_cmp);
        let mut instance = start(Command::new(&binary), &backend).await?;
        instance.ready().await?;
        let at_rest = instance.resident()? / MEGABYTE;
        let opened = backend.opened();
        let mut events = backend.events(function)?;
        let first = instance.handle(&events.next()).await?.as_secs_f64() * 1_000.0;
        let opened = backend.opened() - opened;
        let second = instance.handle(&events.next()).await?.as_secs_f64() * 1_000.0;
        for _ in 2..EVENTS {
            instance.handle(&events.next()).await?;
        }
        if function == "charge" {
            backend.has_charged(EVENTS)?;
        }
        let after = instance.resident()? / MEGABYTE;
        drop(instance);

        let machine = |name: &str, value: f64, unit, most: f64| {
            Figure::judged(format!("{function}: {name}"), value, unit, Budget::AtMost(most), Kind::Machine)
        };
        figures.push(machine("ready for its first event", starts[STARTS / 2], "ms", 15.0));
        figures.push(machine("memory at rest", at_rest, "MB", 20.0));
        figures.push(Figure::told(format!("{function}: memory after {EVENTS} events"), after, "MB", Kind::Machine));
        figures.push(Figure::judged(
            format!("{function}: zipped"),
            zipped(&binary)? / MEGABYTE,
            "MB",
            Budget::AtMost(6.0),
            Kind::Ratio,
        ));
        figures.push(Figure::told(
            format!("{function}: connections opened by the first event"),
            opened as f64,
            "connections",
            Kind::Count,
        ));
        figures.push(Figure::told(
            format!("{function}: first event over second"),
            first / second,
            "times",
            Kind::Ratio,
        ));
        if valgrind {
            for (counter, most) in [&INSTRUCTIONS, &ALLOCATIONS].into_iter().zip(budgets(function)) {
                let each = a_warm_event(&binary, &backend, function, counter).await? / counter.unit.1;
                let (name, unit) = (format!("{function}: {} of a warm event", counter.name), counter.unit.0);
                figures.push(match most {
                    Some(most) => Figure::judged(name, each.round(), unit, Budget::AtMost(most), Kind::Count),
                    None => Figure::told(name, each.round(), unit, Kind::Count),
                });
            }
        }
    }
    Ok(figures)
}

/// What a tool of valgrind counts.
struct Counter {
    name: &'static str,
    /// In which unit it is told, and how many make one.
    unit: (&'static str, f64),
    arguments: &'static [&'static str],
    /// What stands before the number in its report.
    before: &'static str,
}

const INSTRUCTIONS: Counter = Counter {
    name: "instructions",
    unit: ("thousand", 1_000.0),
    arguments: &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
    before: "Collected : ",
};

const ALLOCATIONS: Counter = Counter {
    name: "allocations",
    unit: ("", 1.0),
    arguments: &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"],
    before: "total heap usage: ",
};

/// What one warm event takes: the difference between few and more, without all that is before them.
async fn a_warm_event(binary: &Path, backend: &Backend, function: &str, counter: &Counter) -> Result<f64, Failure> {
    let [few, many] = COUNTED;
    let less = count(binary, backend, function, few, counter).await?;
    let more = count(binary, backend, function, many, counter).await?;
    Ok((more - less) / (many - few) as f64)
}

/// Starts a function, with what it writes to standard error for whoever ends it.
async fn start(mut command: Command, backend: &Backend) -> Result<Instance, Failure> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(Instance::start(command, "measured", &backend.environment).await?)
}

/// What `events` events take and all that is before them.
async fn count(
    binary: &Path,
    backend: &Backend,
    function: &str,
    events: usize,
    counter: &Counter,
) -> Result<f64, Failure> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(counter.arguments).arg(binary);
    let mut instance = start(valgrind, backend).await?;
    instance.ready().await?;
    let mut source = backend.events(function)?;
    for _ in 0..events {
        instance.handle(&source.next()).await?;
    }
    let report = instance.end().await?;
    let counted = report.lines().find_map(|line| line.split_once(counter.before)).ok_or("valgrind counted nothing")?;
    let digits: String =
        counted.1.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    Ok(digits.parse()?)
}

/// The binary as the one file of a zip, in bytes.
fn zipped(binary: &Path) -> Result<f64, Failure> {
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflated.write_all(&std::fs::read(binary)?)?;
    Ok(deflated.finish()?.len() as f64)
}

/// What the functions talk to: the sandbox's stack, with due subscriptions without end.
struct Backend {
    environment: Vec<(String, String)>,
    steps: Vec<Due>,
    next_step: AtomicU64,
    opened: Arc<AtomicU64>,
    folder: PathBuf,
    stack: Stack,
}

impl Backend {
    async fn start() -> Result<Self, Failure> {
        // The functions have the real clock: so a month ago somebody subscribed.
        let month_ago = Timestamp::now().checked_sub(SignedDuration::from_hours(32 * 24))?;
        let mut options = Options { now: month_ago, ..Options::default() };
        let window = "00:00-23:59:59.999";
        options.policy.charge_window =
            maedal::subscription::ChargeWindow::new("00:00".parse()?, "23:59:59.999".parse()?).ok_or("no window")?;
        let stack = Stack::start(options, |_| Router::new()).await?;
        let buyer = Buyer::of(&stack)?;
        let plan = json!({ "name": "매달 커피", "amount": 9_900, "interval": { "unit": "month", "count": 1 } });
        buyer.put_plan("coffee", &plan).await?;
        let model = buyer.open_session("coffee", "customer-1").await?.ok_or("no session")?;
        buyer.subscribe(model).await?;
        // Events for every start, and for the runs that are counted.
        copies(&stack, model, EVENTS + STARTS + 2 * COUNTED.iter().sum::<usize>() + 10)?;
        stack.clock.set(Timestamp::now());
        let mut steps = Vec::new();
        for shard in 0..maedal::subscription::id::DUE_SHARDS {
            steps.extend(stack.billing.store.due(shard, stack.clock.now(), None, 1_000).await?.due);
        }

        let opened = Arc::new(AtomicU64::new(0));
        let dynamodb = counting_door(&stack.dynamodb_url, opened.clone()).await?;
        let iamport = counting_door(&stack.iamport_url, opened.clone()).await?;
        let bus = event_bus(opened.clone()).await?;
        let (key, secret) = {
            let iamport = stack.iamport();
            (iamport.config().imp_key.clone(), iamport.config().imp_secret.clone())
        };
        let environment = [
            ("AWS_REGION", "ap-northeast-2".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.clone()),
            ("AWS_ENDPOINT_URL", bus),
            ("IAMPORT_URL", iamport),
            ("IMP_KEY", key),
            ("IMP_SECRET", secret),
            ("IMP_USER_CODE", "imp37739582".to_owned()),
            ("TABLE_NAME", sandbox::stack::TABLE.to_owned()),
            ("QUEUE_URL", "http://127.0.0.1:9/000000000000/steps.fifo".to_owned()),
            ("EVENT_BUS_NAME", "maedal".to_owned()),
            ("IMPORT_QUEUE_URL", "http://127.0.0.1:9/000000000000/imports.fifo".to_owned()),
            ("IMPORT_BUCKET", "imports".to_owned()),
            ("LINK_SECRET", "0123456789012345678901234567890123456789".to_owned()),
            ("CHARGE_WINDOW", window.to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ];
        Ok(Self {
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            steps,
            next_step: AtomicU64::new(0),
            opened,
            folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events"),
            stack,
        })
    }

    /// Each of so many events has taken money: nothing else would be worth a figure.
    fn has_charged(&self, events: usize) -> Result<(), Failure> {
        // One is the buyer's, from before.
        let paid = self.stack.iamport().books().payments().iter().filter(|p| p.was_paid()).count();
        let least = events + 1;
        if paid < least { Err(format!("{events} events, and {paid} payments").into()) } else { Ok(()) }
    }

    fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Events without end: a renewal each for `charge`, the same sample again and again for the others.
    fn events(&self, function: &str) -> Result<Events<'_>, Failure> {
        let sample = match function {
            "charge" => return Ok(Events { backend: self, sample: None }),
            "checkout" => "checkout/open.json",
            "complete" => "complete/approved.json",
            "webhook" => "webhook/paid.json",
            "dispatch" => "dispatch/scheduler.json",
            "manage" => "manage/list-plans.json",
            "reconcile" => "reconcile/scheduler.json",
            "import" => "import/turn.json",
            _ => "notify/renewal.json",
        };
        Ok(Events { backend: self, sample: Some(std::fs::read_to_string(self.folder.join(sample))?) })
    }
}

struct Events<'a> {
    backend: &'a Backend,
    sample: Option<String>,
}

impl Events<'_> {
    fn next(&mut self) -> String {
        if let Some(sample) = &self.sample {
            return sample.clone();
        }
        let nth = self.backend.next_step.fetch_add(1, Ordering::Relaxed) as usize;
        let due = self.backend.steps[nth % self.backend.steps.len()].clone();
        let group = due.subscription.to_string();
        let body = serde_json::to_string(&Message::Step(due)).unwrap_or_default();
        json!({ "Records": [{
            "messageId": format!("message-{nth}"),
            "body": body,
            "attributes": { "MessageGroupId": group },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-2:000000000000:steps.fifo",
            "awsRegion": "ap-northeast-2",
        }] })
        .to_string()
    }
}

/// A door to `url` that counts who comes in. Returns its address.
async fn counting_door(url: &str, opened: Arc<AtomicU64>) -> Result<String, Failure> {
    let behind = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::Relaxed);
            let behind = behind.clone();
            tokio::spawn(async move {
                let _ = outside.set_nodelay(true);
                if let Ok(mut inside) = TcpStream::connect(behind).await {
                    let _ = inside.set_nodelay(true);
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    Ok(format!("http://{address}"))
}

/// EventBridge, as far as `notify` sees it: it takes everything.
async fn event_bus(opened: Arc<AtomicU64>) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let take = |body: axum::body::Bytes| async move {
        let entries =
            serde_json::from_slice::<Value>(&body).ok().and_then(|body| body["Entries"].as_array().map(Vec::len));
        let taken: Vec<Value> =
            (0..entries.unwrap_or_default()).map(|nth| json!({ "EventId": nth.to_string() })).collect();
        Json(json!({ "FailedEntryCount": 0, "Entries": taken }))
    };
    tokio::spawn(async move {
        let _ = axum::serve(listener, Router::new().fallback(take)).await;
    });
    counting_door(&format!("http://{address}"), opened).await
}
