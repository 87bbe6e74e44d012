use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Call, Config, Fault, Log, Rule, Simulator, serve_logged};
use tokio::task::JoinHandle;

use crate::server::{call, clock, listener, receive, token};

/// A file of this test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("simulator-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn config(hooks: &str) -> Config {
    Config { webhook_url: Some(format!("http://{hooks}/hook")), webhook_resends: true, ..Config::default() }
}

/// A start from what the file says.
fn opened(path: &Path, hooks: &str) -> (Simulator, Log) {
    let mut simulator = Simulator::new(config(hooks));
    let log = Log::open(path, &mut simulator).unwrap();
    (simulator, log)
}

/// A server that goes on from what the file says, and dies where its task is aborted.
async fn started(path: &Path, hooks: &str) -> (Arc<Mutex<Simulator>>, String, JoinHandle<()>) {
    let (simulator, log) = opened(path, hooks);
    let simulator = Arc::new(Mutex::new(simulator));
    let (listener, address) = listener().await;
    let served = simulator.clone();
    let server = tokio::spawn(async move {
        let _ = serve_logged(listener, served, log, clock(), std::future::pending()).await;
    });
    (simulator, address, server)
}

async fn again(address: &str, token: &str, merchant_uid: &str) -> String {
    let form = format!("customer_uid=buyer&merchant_uid={merchant_uid}&amount=1000&name=%EB%A7%A4%EB%8B%AC");
    call(address, "/subscribe/payments/again", token, &form).await
}

fn books(simulator: &Mutex<Simulator>) -> Value {
    simulator.lock().unwrap().books().to_json()
}

#[tokio::test]
async fn a_simulator_that_was_killed_goes_on_where_it_was_even_after_a_torn_line() {
    let scratch = Scratch::new("killed");
    let (hooks, hook_url) = listener().await;
    let (simulator, address, server) = started(&scratch.0, &hook_url).await;
    call(&address, "/_simulator/keys", "", &json!(["buyer"]).to_string()).await;
    let fault = Fault::Decline { message: "잔액이 부족합니다. 100%".into() };
    let rules = json!([Rule::once(Call::Again, fault), Rule::once(Call::Again, Fault::CutAfterEffect)]);
    call(&address, "/_simulator/faults", "", &rules.to_string()).await;
    let token = token(&address).await;
    for order in ["declined", "cut", "paid"] {
        again(&address, &token, order).await;
    }
    let webhooks = simulator.lock().unwrap().webhooks().len();
    for _ in 0..webhooks {
        receive(&hooks).await;
    }
    while simulator.lock().unwrap().webhooks().iter().any(|webhook| webhook.answers.is_empty()) {
        tokio::task::yield_now().await;
    }
    server.abort();
    let before = books(&simulator);
    assert_eq!(before["totals"]["paid"], 2_000, "one was declined, one paid though nobody heard of it");

    let mut file = OpenOptions::new().append(true).open(&scratch.0).unwrap();
    file.write_all(br#"{"request":{"at":"2026-11-24T"#).unwrap();
    let (simulator, address, server) = started(&scratch.0, &hook_url).await;
    assert_eq!(books(&simulator), before);
    let webhooks_due = simulator.lock().unwrap().take_due_webhooks(Timestamp::now() + SignedDuration::from_hours(1));
    assert!(webhooks_due.is_empty(), "all were answered");

    let answer = again(&address, &token, "later").await;
    assert!(answer.contains("\"status\":\"paid\""), "the token of before the kill is good: {answer}");
    server.abort();
    let (last, _) = opened(&scratch.0, &hook_url);
    assert_eq!(last.books().to_json(), books(&simulator), "what came after the torn line is there, too");
    assert_eq!(last.books().totals().paid, 3_000);
}

#[tokio::test]
async fn a_webhook_that_nobody_answered_is_sent_again_after_a_kill() {
    let scratch = Scratch::new("webhook");
    let (hooks, hook_url) = listener().await;
    let (_, address, server) = started(&scratch.0, &hook_url).await;
    call(&address, "/_simulator/keys", "", &json!(["buyer"]).to_string()).await;
    let token = token(&address).await;
    again(&address, &token, "paid").await;
    let (unanswered, _) = hooks.accept().await.unwrap();
    server.abort();
    drop(unanswered);

    let (_simulator, _, server) = started(&scratch.0, &hook_url).await;
    assert!(receive(&hooks).await.contains("\"merchant_uid\":\"paid\""));
    server.abort();
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let scratch = Scratch::new("none");
    fs::write(&scratch.0, "imp_uid,amount\n").unwrap();
    assert!(Log::open(&scratch.0, &mut Simulator::new(Config::default())).is_err());
    assert_eq!(fs::read_to_string(&scratch.0).unwrap(), "imp_uid,amount\n", "and left as it is");
}
