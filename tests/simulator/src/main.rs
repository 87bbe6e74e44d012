//! `cargo run -p simulator`: I'mport on this machine.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use clap::Parser;
use jiff::Timestamp;
use simulator::{Config, Log, Simulator, WebhookFormat, serve, serve_logged};
use tokio::net::TcpListener;

/// I'mport (아임포트, PortOne V1) on this machine, with its JS SDK, a CHAI window and faults. No money moves.
#[derive(Parser)]
struct Options {
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// Where webhooks go.
    #[arg(long)]
    webhook_url: Option<String>,
    /// How webhook bodies are written: json or form.
    #[arg(long, default_value = "json", value_parser = webhook_format)]
    webhook_format: WebhookFormat,
    /// Send a webhook again after a network error or a 5xx: five times, a minute apart.
    #[arg(long)]
    webhook_resends: bool,
    /// Ids and random faults follow from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Everything goes wrong at times, with this probability from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    storm: f64,
    /// Be a test channel: payments are `sandbox`, and hidden from some lookups.
    #[arg(long)]
    sandbox: bool,
    /// The merchant's code for IMP.init.
    #[arg(long, default_value_t = Config::default().user_code)]
    user_code: String,
    /// The REST API key.
    #[arg(long, default_value_t = Config::default().imp_key)]
    imp_key: String,
    /// The REST API secret.
    #[arg(long, default_value_t = Config::default().imp_secret)]
    imp_secret: String,
    /// Keep what is asked in this file, and go on from it at the next start, with the same options.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let port = options.port;
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("can't listen on 127.0.0.1:{port}: {error}; choose another port with --port");
            return ExitCode::FAILURE;
        }
    };
    let data = options.data.clone();
    let mut simulator = simulator(options);
    let log = match data.map(|path| (Log::open(&path, &mut simulator), path)) {
        None => None,
        Some((Ok(log), _)) => Some(log),
        Some((Err(error), path)) => {
            eprintln!("{} can't be used: {error}; choose another file with --data", path.display());
            return ExitCode::FAILURE;
        }
    };
    println!("I'mport is simulated at http://127.0.0.1:{port}/");
    let simulator = Arc::new(Mutex::new(simulator));
    let (clock, forever) = (Arc::new(Timestamp::now), std::future::pending());
    let served = match log {
        None => serve(listener, simulator, clock, forever).await,
        Some(log) => serve_logged(listener, simulator, log, clock, forever).await,
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server on 127.0.0.1:{port} has failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulator(options: Options) -> Simulator {
    let mut simulator = Simulator::new(Config {
        user_code: options.user_code,
        imp_key: options.imp_key,
        imp_secret: options.imp_secret,
        webhook_url: options.webhook_url,
        webhook_format: options.webhook_format,
        webhook_resends: options.webhook_resends,
        sandbox: options.sandbox,
        seed: options.seed,
        ..Config::default()
    });
    if options.storm > 0.0 {
        simulator.faults().add_storm(options.storm);
    }
    simulator
}

fn webhook_format(word: &str) -> Result<WebhookFormat, String> {
    match word {
        "json" => Ok(WebhookFormat::Json),
        "form" => Ok(WebhookFormat::Form),
        _ => Err("expected json or form".into()),
    }
}
