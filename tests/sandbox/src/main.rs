//! `cargo sandbox`: the stack to look at. `cargo sandbox play`: a life on the test clock, and what it came to.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sandbox::ink::Ink;
use sandbox::play::{Life, play, table};
use sandbox::{Options, Report, Stack, console};
use serde_json::json;

#[derive(Parser)]
#[command(
    bin_name = "cargo sandbox",
    about = "Maedal on one machine: the functions, I'mport simulated, DynamoDB embedded"
)]
struct Arguments {
    /// The first of three ports: the functions and the shop, I'mport, DynamoDB.
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
    /// Keep the table in this file; else in memory. (What I'mport has is never kept: billing keys end with the sandbox.)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The import bucket: a folder that is there. Without it, rows can come with the request only.
    #[arg(long, value_name = "FOLDER")]
    imports: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lives some months on the test clock and compares the two books.
    Play {
        /// How many months.
        #[arg(long, default_value_t = 3)]
        months: u32,
        /// How many buyers come.
        #[arg(long, default_value_t = 12)]
        subscribers: u32,
        /// The same seed is the same life.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Nothing goes wrong.
        #[arg(long)]
        calm: bool,
        /// One last line of JSON instead of the table.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None => serve(arguments.port, arguments.data, arguments.imports).await,
        Some(Command::Play { months, subscribers, seed, calm, json }) => {
            live(Life { months, subscribers, seed, faults: !calm }, json).await
        }
    };
    done.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        ExitCode::FAILURE
    })
}

type Problem = Box<dyn std::error::Error>;

async fn serve(port: u16, data: Option<PathBuf>, imports: Option<PathBuf>) -> Result<ExitCode, Problem> {
    let options = Options {
        port: Some(port),
        data,
        imports,
        seed: None,
        show_events: true,
        keep_journal: true,
        ..Options::default()
    };
    let stack = Stack::start(options, console::router).await?;
    stock_the_shop(&stack).await?;
    println!("Open {}/ : the console. Subscribe in its shop, then let the clock leap.", stack.url);
    println!("  I'mport, simulated   {}/", stack.iamport_url);
    println!("  DynamoDB, embedded   {}  (table {})", stack.dynamodb_url, sandbox::stack::TABLE);
    println!("Events are shown as they leave. Ctrl-C ends it.");
    tokio::select! {
        () = stack.keep_time() => (),
        _ = tokio::signal::ctrl_c() => (),
    }
    Ok(ExitCode::SUCCESS)
}

/// Two plans to begin with, unless the table has some.
async fn stock_the_shop(stack: &Stack) -> Result<(), Problem> {
    if !stack.billing.store.plans().await?.is_empty() {
        return Ok(());
    }
    let buyer = sandbox::buyer::Buyer::of(stack)?;
    let monthly = json!({ "name": "매달 커피", "amount": 9_900, "interval": { "unit": "month", "count": 1 } });
    let trial = json!({ "name": "두 주 무료 신문", "amount": 4_900, "interval": { "unit": "month", "count": 1 }, "trial_days": 14 });
    buyer.put_plan("coffee", &monthly).await?;
    buyer.put_plan("paper", &trial).await?;
    Ok(())
}

async fn live(life: Life, json: bool) -> Result<ExitCode, Problem> {
    let on_terminal = std::io::stderr().is_terminal();
    let progress = |part: f64| {
        if on_terminal {
            eprint!("\r{:3.0} %", part * 100.0);
            let _ = std::io::stderr().flush();
        }
    };
    let (report, accounts) = play(life, progress).await?;
    if on_terminal {
        eprint!("\r     \r");
    }
    let ink = Ink::on(&std::io::stdout());
    let said = match json {
        true => format!("{}\n", serde_json::to_string(&report)?),
        false => format!("{}\n{}", table(&accounts, ink), summary(&report, ink)),
    };
    // Whoever listens may have heard enough, as `head` does.
    let _ = std::io::stdout().write_all(said.as_bytes());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(report: &Report, ink: Ink) -> String {
    let verdict = if report.is_clean() { ink.good("the two books agree") } else { ink.bad("THE BOOKS DISAGREE") };
    format!(
        "{} sessions, {} subscriptions: {} charges paid, {} declined, {} were in doubt and are resolved, {} are still.\n\
         {} charged twice, {} forgotten, {} paid twice and given back, {} need a person.\n\
         Ledger {}, I'mport {}: {verdict}.\n",
        report.sessions,
        report.subscriptions,
        report.paid,
        report.declined,
        report.in_doubt_resolved,
        report.in_doubt,
        report.double_charges,
        report.forgotten,
        report.duplicates_refunded,
        report.needs_review,
        report.ledger_won,
        report.iamport_won,
    )
}
