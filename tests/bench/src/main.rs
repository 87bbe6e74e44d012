//! `cargo measure`: what Maedal costs and how fast it is, with its budgets. Counts and ratios fail the command; times and
//! memory are of this machine.

mod binary;
mod capacity;
mod figure;
mod load;
mod tally;
mod work;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use capacity::Demand;
use clap::{Parser, Subcommand};
use figure::{Budget, Figure, Kind};

/// Any failure: the measurement ends with it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(bin_name = "cargo measure", about = "What Maedal costs and how fast it is")]
struct Arguments {
    /// One line of JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Subscriptions that are due at once.
    #[arg(long, default_value_t = 10_000)]
    due: usize,
    /// Subscribers among whom dispatch finds them.
    #[arg(long, default_value_t = 1_000_000)]
    subscribers: usize,
    /// Where the functions' release binaries are; else they are built.
    #[arg(long, value_name = "FOLDER")]
    functions: Option<PathBuf>,
    /// Only this one of them.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Count the instructions and allocations of a warm event, too, with valgrind.
    #[arg(long)]
    instructions: bool,
    /// Only these: work, load, dispatch, binaries.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// What a stack takes for so many renewals, and what gives way first: a model, nothing is run.
    Capacity {
        /// Renewals that fall due within an hour; usual ones where it isn't given.
        #[arg(long, value_name = "RENEWALS")]
        due_per_hour: Option<u32>,
        /// What I'mport takes to answer a charge, in seconds.
        #[arg(long, default_value_t = 2.0)]
        latency: f64,
        /// What I'mport or the gateway takes, in calls a second.
        #[arg(long)]
        rate_limit: Option<f64>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Action::Capacity { due_per_hour, latency, rate_limit }) = arguments.command {
        let asked = due_per_hour.map(|due| Demand { due_per_hour: due.into(), latency, rate_limit });
        print!("{}", capacity::table(asked));
        return ExitCode::SUCCESS;
    }
    match measure(&arguments).await {
        Ok(figures) => {
            match arguments.json {
                true => println!("{}", serde_json::to_string(&figures).unwrap_or_default()),
                false => print!("{}", figure::table(&figures)),
            }
            let broken = figures.iter().any(|figure| figure.kind != Kind::Machine && !figure.holds());
            if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Vec<Figure>, Failure> {
    let wanted = |part: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == part);
    let mut figures = Vec::new();
    if wanted("work") {
        figures.extend(work::measure().await?);
    }
    if wanted("load") {
        figures.extend(load::measure(arguments.due).await?);
    }
    if wanted("dispatch") {
        figures.extend(dispatch(arguments.due, arguments.subscribers).await?);
    }
    if wanted("binaries") {
        let folder = match &arguments.functions {
            Some(folder) => folder.clone(),
            None => build()?,
        };
        figures.extend(binary::measure(&folder, arguments.function.as_deref(), arguments.instructions).await?);
    }
    Ok(figures)
}

/// One tick, among as many subscribers as are due, and among very many.
async fn dispatch(due: usize, subscribers: usize) -> Result<Vec<Figure>, Failure> {
    let few = sandbox::crowd::tick_among(due, 0).await?;
    let many = sandbox::crowd::tick_among(due, subscribers.saturating_sub(due)).await?;
    if (few.sent, many.sent) != (due, due) {
        return Err(format!("dispatch sent {} and {} of {due}", few.sent, many.sent).into());
    }
    let thousands = due as f64 / 1_000.0;
    Ok(vec![
        Figure::told(
            format!("dispatch, {due} due of {due}: read per 1,000"),
            few.read_units / thousands,
            "read units",
            Kind::Count,
        ),
        Figure::told(
            format!("dispatch, {due} due of {subscribers}: read per 1,000"),
            many.read_units / thousands,
            "read units",
            Kind::Count,
        ),
        Figure::judged(
            "dispatch: reads among very many over among few",
            many.read_units / few.read_units,
            "times",
            Budget::AtMost(1.05),
            Kind::Ratio,
        ),
        Figure::told(
            format!("dispatch, {due} due of {subscribers}: messages"),
            due as f64 / many.elapsed.as_secs_f64(),
            "per second",
            Kind::Machine,
        ),
    ])
}

/// Builds the functions as they are deployed, with the cargo that runs this. Returns where they are.
fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--release", "--locked"])
        .args(binary::FUNCTIONS.iter().flat_map(|package| ["--package", package]))
        .status()?;
    if !built.success() {
        return Err("the functions could not be built".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}
