//! Secrets that are rotated while functions run: what is read, how often, and what goes on where nothing can be read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use maedal::aws::Aws;
use maedal::clock::TestClock;
use maedal::rotating::{Rotating, Texts};
use serde_json::{Value, json};

const NEW: &str = "the text as it is now, and no other";
const OLD: &str = "the text as it was before it was rotated";

/// A Secrets Manager with one secret, by stage; where it has none it can't be asked at all.
#[derive(Debug, Default)]
struct Manager {
    stages: Mutex<Option<BTreeMap<&'static str, &'static str>>>,
    reads: Mutex<u32>,
}

async fn get_secret_value(State(manager): State<Arc<Manager>>, body: String) -> (StatusCode, Json<Value>) {
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    let stage = asked["VersionStage"].as_str().unwrap_or_default();
    if stage == "AWSCURRENT" {
        *manager.reads.lock().unwrap() += 1;
    }
    match manager.stages.lock().unwrap().as_ref().map(|stages| stages.get(stage)) {
        Some(Some(text)) => (StatusCode::OK, Json(json!({ "SecretString": text }))),
        Some(None) => (StatusCode::BAD_REQUEST, Json(json!({ "__type": "ResourceNotFoundException" }))),
        None => (StatusCode::BAD_REQUEST, Json(json!({ "__type": "AccessDeniedException" }))),
    }
}

struct Secret {
    manager: Arc<Manager>,
    clock: Arc<TestClock>,
    rotating: Rotating,
}

impl Secret {
    async fn new(stages: &[(&'static str, &'static str)]) -> Self {
        let manager = Arc::new(Manager::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Aws::local(format!("http://{}", listener.local_addr().unwrap())).secretsmanager();
        let router = Router::new().route("/", post(get_secret_value)).with_state(manager.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Arc::new(TestClock::at(Timestamp::UNIX_EPOCH));
        let secret = Self { manager, clock: clock.clone(), rotating: Rotating::of(client, "arn:1", clock) };
        secret.becomes(Some(stages));
        secret
    }

    fn becomes(&self, stages: Option<&[(&'static str, &'static str)]>) {
        *self.manager.stages.lock().unwrap() = stages.map(|stages| stages.iter().copied().collect());
    }

    fn reads(&self) -> u32 {
        *self.manager.reads.lock().unwrap()
    }

    async fn texts(&self) -> Texts {
        Texts::clone(&*self.rotating.texts().await.unwrap())
    }
}

fn texts(current: &str, previous: Option<&str>) -> Texts {
    Texts { current: current.to_owned(), previous: previous.map(str::to_owned) }
}

#[tokio::test]
async fn a_secret_is_kept_for_five_minutes_and_read_anew_sooner_for_a_value_that_is_not_known() {
    let secret = Secret::new(&[("AWSCURRENT", OLD)]).await;
    assert_eq!(secret.texts().await, texts(OLD, None));
    secret.becomes(Some(&[("AWSCURRENT", NEW), ("AWSPREVIOUS", OLD)]));
    secret.clock.advance(Duration::from_secs(9));
    assert_eq!(secret.rotating.newest().await.unwrap().current, OLD);
    assert_eq!(secret.reads(), 1);
    secret.clock.advance(Duration::from_secs(1));
    assert_eq!(secret.rotating.newest().await.unwrap().current, NEW);
    secret.clock.advance(Duration::from_secs(299));
    assert_eq!((secret.texts().await, secret.reads()), (texts(NEW, Some(OLD)), 2));
    secret.clock.advance(Duration::from_secs(1));
    assert_eq!((secret.texts().await, secret.reads()), (texts(NEW, Some(OLD)), 3));
}

#[tokio::test]
async fn a_text_that_can_be_guessed_is_none_whether_it_is_the_present_one_or_the_one_before() {
    // 20 characters are enough, 19 are not.
    let secret = Secret::new(&[("AWSCURRENT", "12345678901234567890"), ("AWSPREVIOUS", "1234567890123456789")]).await;
    assert_eq!(secret.texts().await, texts("12345678901234567890", None));
    let secret = Secret::new(&[("AWSCURRENT", "1234567890123456789"), ("AWSPREVIOUS", OLD)]).await;
    let error = secret.rotating.texts().await.unwrap_err().to_string();
    assert!(error.contains("20 characters") && !error.contains("123456789012"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_not_there_or_not_readable_is_an_error_until_it_was_read_once() {
    let secret = Secret::new(&[]).await;
    let error = secret.rotating.texts().await.unwrap_err().to_string();
    assert!(error.contains("no such secret"), "{error}");
    secret.becomes(None);
    let error = secret.rotating.texts().await.unwrap_err().to_string();
    assert!(error.contains("AccessDeniedException"), "{error}");

    secret.becomes(Some(&[("AWSCURRENT", NEW)]));
    assert_eq!(secret.texts().await, texts(NEW, None));
    secret.becomes(None);
    secret.clock.advance(Duration::from_secs(3_600));
    assert_eq!(secret.texts().await, texts(NEW, None), "the one that is known goes on");
}
