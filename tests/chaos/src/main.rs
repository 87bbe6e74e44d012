//! `cargo chaos`: the functions' own binaries, the table and I'mport as processes that are killed at random under load, in real
//! time. In the end the two books must be equal, and everybody charged once.
//!
//! What stands in for the rest of AWS (queue, event source, schedule, API Gateway, Lambda itself) is this process, which is never
//! killed: there, AWS keeps its word.

mod aws;
mod dynamodb;
mod function;
mod killer;
mod people;
mod prepare;
mod server;
mod tally;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use aws::Aws;
use clap::{Parser, Subcommand};
use dynoxide::Database;
use function::Function;
use jiff::Timestamp;
use killer::Killer;
use people::People;
use sandbox::books::{Account, all_accounts};
use sandbox::queue::LocalQueue;
use server::Server;
use tally::Tally;
use tokio::task::JoinSet;
use tokio::time::Instant;
use verdict::Verdict;

/// Any failure: the run ends with it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The functions that run, and how many instances of each; of `charge` as many as batches are handed out at once.
const FUNCTIONS: [(&str, usize); 6] =
    [("charge", 10), ("dispatch", 1), ("webhook", 4), ("complete", 3), ("checkout", 2), ("manage", 2)];
/// The longest that all may take to come to rest: a lease, a settle delay, and what was in line behind them.
const REST: Duration = Duration::from_secs(25 * 60);
/// How often it is looked whether all is at rest.
const LOOK: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(bin_name = "cargo chaos", about = "Kills what runs, at random and under load, and compares the two books")]
struct Arguments {
    /// Subscriptions that fall due while things are killed.
    #[arg(long, default_value_t = 10_000)]
    subscribers: usize,
    /// How many processes are killed a minute, by and large.
    #[arg(long, default_value_t = 60)]
    kills_per_minute: u32,
    /// For how many minutes.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Who is killed when follows from it, as far as real time lets it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One last line of JSON.
    #[arg(long)]
    json: bool,
    /// Keep what the functions log in this folder, a file for each function.
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// DynamoDB, on a file: a process of its own.
    #[command(hide = true)]
    Dynamodb {
        #[arg(long)]
        file: PathBuf,
        #[arg(long)]
        port: u16,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Part::Dynamodb { file, port }) = &arguments.part {
        return told(dynamodb::serve(file, *port).await.map(|()| true));
    }
    // Whatever was started ends with what is dropped here.
    tokio::select! {
        done = live(&arguments) => told(done),
        () = interrupted() => ExitCode::FAILURE,
    }
}

fn told(done: Result<bool, Failure>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = tokio::signal::ctrl_c() => (),
            _ = terminated.recv() => (),
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// The whole run. Returns whether all that must hold does.
async fn live(arguments: &Arguments) -> Result<bool, Failure> {
    let binaries = build()?;
    let scratch = Scratch::new()?;
    let (table, log) = (scratch.0.join("table.db"), scratch.0.join("iamport.log"));
    let chaos = Duration::from_secs(60 * u64::from(arguments.minutes));
    say(None, &format!("{} subscriptions that will be due", arguments.subscribers));
    let crowd = prepare::table(&table, arguments.subscribers, chaos).await?;

    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    let [dynamodb_at, iamport_at] = [server::free_port()?, server::free_port()?];
    let aws = Aws::open().await?;
    let (url, queue) = (aws.url.clone(), aws.queue.clone());
    let dynamodb = {
        let mut arguments = vec!["dynamodb".to_owned(), "--port".to_owned(), dynamodb_at.to_string()];
        arguments.extend(["--file".to_owned(), table.display().to_string()]);
        Server::start("dynamodb", std::env::current_exe()?, arguments, dynamodb_at)
    };
    let iamport = {
        let mut arguments = vec!["--port".to_owned(), iamport_at.to_string(), "--webhook-resends".to_owned()];
        arguments.extend(["--webhook-url".to_owned(), format!("{}/webhooks/iamport", aws.url)]);
        arguments.extend(["--data".to_owned(), log.display().to_string()]);
        Server::start("iamport", binaries.join("simulator"), arguments, iamport_at)
    };
    for server in [&dynamodb, &iamport] {
        tasks.spawn(server.clone().keep(arguments.seed, tally.clone()));
        server.ready().await?;
    }
    prepare::iamport(&iamport.url, &crowd).await?;

    if let Some(logs) = &arguments.logs {
        std::fs::create_dir_all(logs)?;
    }
    let environment = prepare::environment(&aws, &dynamodb.url, &iamport.url);
    let functions: Vec<Arc<Function>> = FUNCTIONS
        .into_iter()
        .map(|(name, places)| {
            let log = arguments.logs.as_ref().map(|logs| logs.join(format!("{name}.log")));
            let setup = function::Setup { binary: binaries.join(name), environment: environment.clone(), log };
            Function::start(name, places, Arc::new(setup), &tally, &mut tasks)
        })
        .collect();
    aws.serve(&functions, FUNCTIONS[0].1, &mut tasks)?;

    let began = Instant::now();
    let people = People::new(url.clone(), iamport.url.clone(), began + chaos + REST)?;
    people.open_shop().await?;
    say(Some(began), "the first are due, and the killing begins");
    let killer = Killer::new(arguments.seed, arguments.kills_per_minute, &functions, [&dynamodb, &iamport]);
    tasks.spawn(tell(began, queue.clone(), tally.clone()));
    // The killer dies first. Whoever is still busy then, in peace, goes on.
    let killing = async {
        let _ = tokio::time::timeout(chaos, killer.kill()).await;
        say(Some(began), "nobody is killed any more");
    };
    let ((), ()) = tokio::join!(people.live(&crowd, chaos, arguments.seed), killing);

    let (accounts, quiet) = rest(began + chaos + REST, began, &table, &queue, &people).await?;
    let mut books = prepare::simulator(format!("{url}/webhooks/iamport"));
    simulator::Log::replay(&log, &mut books)?;
    let mut wrong = verdict::wrong(&accounts, &books, &crowd, &people);
    if prepare::net(&iamport.url).await? != books.books().totals().net {
        wrong.push("I'mport's log isn't what its process has done".to_owned());
    }
    let counts = tally.counts();
    let verdict = Verdict {
        books: sandbox::books::compare(&prepare::policy()?, &books, &accounts, Timestamp::now()),
        wrong,
        bought: people.bought().len(),
        kills: counts.kills(),
        kills_at_work: counts.cut(),
        counts,
        least_kills_at_work: u64::from(arguments.kills_per_minute) * u64::from(arguments.minutes) / 4,
        quiet,
        seconds: began.elapsed().as_secs(),
        subscribers: crowd.subscribers.len(),
    };
    print!("{}", verdict.words());
    if arguments.json {
        println!("{}", verdict.to_json());
    }
    Ok(verdict.holds())
}

/// Waits until nothing is left to be done, or `until`. Returns what is in the table then, and whether all is at rest.
async fn rest(
    until: Instant,
    began: Instant,
    table: &Path,
    queue: &LocalQueue,
    people: &People,
) -> Result<(Vec<Account>, bool), Failure> {
    let database = Database::new(&table.to_string_lossy())?;
    loop {
        // First the queue: what is on it may change the table, and not the other way round.
        let queued = queue.len();
        let accounts = all_accounts(&database)?;
        let restless = accounts.iter().filter(|account| !people.is_at_rest(account)).count();
        let quiet = queued == 0 && restless == 0;
        if quiet || Instant::now() >= until {
            return Ok((accounts, quiet));
        }
        say(Some(began), &format!("{restless} subscriptions aren't settled yet, {queued} messages wait"));
        tokio::time::sleep(LOOK).await;
    }
}

/// Says every half minute how it goes.
async fn tell(began: Instant, queue: Arc<LocalQueue>, tally: Arc<Tally>) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let counts = tally.counts();
        let (kills, cut) = (counts.kills(), counts.cut());
        say(Some(began), &format!("{kills} killed, {cut} of them at work; {} messages wait", queue.len()));
    }
}

/// A line about how it goes, for whoever watches.
fn say(began: Option<Instant>, text: &str) {
    match began.map(|began| began.elapsed().as_secs()) {
        Some(seconds) => eprintln!("{:3}:{:02}  {text}", seconds / 60, seconds % 60),
        None => eprintln!("        {text}"),
    }
}

/// Builds the functions and I'mport with the cargo that runs this, beside this. Returns where they are.
fn build() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("no target directory")?;
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--locked", "--profile", "quick", "--bins", "--target-dir"])
        .arg(target)
        .args(FUNCTIONS.iter().flat_map(|(package, _)| ["--package", package]))
        .args(["--package", "simulator"])
        .status()?;
    if !built.success() {
        return Err("the functions could not be built".into());
    }
    Ok(target.join("quick"))
}

/// A folder of this run's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("maedal-chaos-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
