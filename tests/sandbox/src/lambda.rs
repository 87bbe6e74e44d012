//! Lambda on this machine: a function's own binary as a process, and the Runtime API that hands it one event after the other,
//! takes its answers, and knows when it was ready.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::stack::CHARGE_TIME;

/// What any function is given for an event: the longest timeout of template.yaml that charges.
const TIMEOUT: Duration = CHARGE_TIME;

/// An event without an answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The process can't be started, or talked to.
    Io(io::Error),
    /// It has ended.
    Ended(ExitStatus),
    /// The function says that it failed.
    Failed(String),
    /// Nothing came in time.
    Late,
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the function's process: {error}"),
            Self::Ended(status) => write!(f, "the function's process ended: {status}"),
            Self::Failed(problem) => write!(f, "the function failed: {problem}"),
            Self::Late => write!(f, "the function took longer than {} s", TIMEOUT.as_secs()),
        }
    }
}

impl std::error::Error for Unanswered {}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Debug)]
struct Shared {
    function: String,
    asked: mpsc::UnboundedSender<Instant>,
    events: Mutex<mpsc::UnboundedReceiver<String>>,
    answers: mpsc::UnboundedSender<Result<String, String>>,
}

/// A function's process and the API that it talks to. Both end with it.
#[derive(Debug)]
pub struct Instance {
    child: Child,
    started: Instant,
    asked: mpsc::UnboundedReceiver<Instant>,
    events: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<Result<String, String>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Instance {
    /// Starts `command`, which is the function's binary or something around it, with nothing but `environment`.
    ///
    /// # Errors
    /// Where it can't be started.
    pub async fn start(
        mut command: Command,
        function: &str,
        environment: &[(String, String)],
    ) -> Result<Self, Unanswered> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (asked, was_asked) = mpsc::unbounded_channel();
        let (events, next_events) = mpsc::unbounded_channel();
        let (answers, next_answers) = mpsc::unbounded_channel();
        let shared = Shared { function: function.to_owned(), asked, events: Mutex::new(next_events), answers };
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(Arc::new(shared));
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", function)
            .env("AWS_LAMBDA_LOG_STREAM_NAME", function)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, api).await;
        });
        Ok(Self { child, started, asked: was_asked, events, answers: next_answers, server })
    }

    /// Waits until the function asks for an event. Returns how long that took since it was started.
    ///
    /// # Errors
    /// Where it ends before, or doesn't ask in time.
    pub async fn ready(&mut self) -> Result<Duration, Unanswered> {
        tokio::select! {
            asked = tokio::time::timeout(TIMEOUT, self.asked.recv()) => match asked {
                Ok(Some(asked)) => Ok(asked.duration_since(self.started)),
                Ok(None) | Err(_) => Err(Unanswered::Late),
            },
            ended = self.child.wait() => Err(Unanswered::Ended(ended?)),
        }
    }

    /// Hands it one event and waits for the answer.
    ///
    /// # Errors
    /// Where none comes.
    pub async fn invoke(&mut self, event: String) -> Result<String, Unanswered> {
        let _ = self.events.send(event);
        tokio::select! {
            biased;
            answer = tokio::time::timeout(TIMEOUT, self.answers.recv()) => match answer {
                Ok(Some(answer)) => answer.map_err(Unanswered::Failed),
                Ok(None) | Err(_) => Err(Unanswered::Late),
            },
            ended = self.child.wait() => Err(Unanswered::Ended(ended?)),
        }
    }

    /// Hands it one event and waits until it asks for the next. Returns how long the answer took.
    ///
    /// # Errors
    /// Where none comes.
    pub async fn handle(&mut self, event: &str) -> Result<Duration, Unanswered> {
        let handed = Instant::now();
        self.invoke(event.to_owned()).await?;
        let took = handed.elapsed();
        self.ready().await?;
        Ok(took)
    }

    /// Its memory now, in bytes (`VmRSS`).
    ///
    /// # Errors
    /// Where it has ended, or the system doesn't tell.
    pub fn resident(&self) -> Result<f64, Unanswered> {
        let no = |what: &str| io::Error::other(what.to_owned());
        let id = self.child.id().ok_or_else(|| no("it has ended"))?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or_else(|| no("no VmRSS"))?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>().map_err(io::Error::other)? * 1_024.0)
    }

    /// Ends it as Lambda does, and returns what it (or what is around it) wrote to standard error, where that was piped.
    ///
    /// # Errors
    /// Where it doesn't end in time.
    pub async fn end(mut self) -> Result<String, Unanswered> {
        let id = self.child.id().ok_or_else(|| io::Error::other("it has ended"))?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let read = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut text);
            tokio::time::timeout(TIMEOUT, read).await.map_err(|_| Unanswered::Late)??;
        }
        self.child.wait().await?;
        Ok(text)
    }

    /// Kills it (SIGKILL), whatever it does, and waits until it is gone.
    ///
    /// # Errors
    /// Where the system refuses.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> axum::response::Response {
    let _ = shared.asked.send(Instant::now());
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = Timestamp::now().as_millisecond() + i64::try_from(TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:ap-northeast-2:000000000000:function:{}", shared.function),
        ),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn answered(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    let _ = shared.answers.send(Ok(body));
    StatusCode::ACCEPTED
}

async fn failed(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    let _ = shared.answers.send(Err(body));
    StatusCode::ACCEPTED
}
