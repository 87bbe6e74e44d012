//! Lambda's Runtime API, for one function at a time: hands it events, takes its answers, and knows when it was ready.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::Failure;

/// How long a function may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
struct Shared {
    asked: mpsc::UnboundedSender<Instant>,
    events: Mutex<mpsc::UnboundedReceiver<String>>,
    answers: mpsc::UnboundedSender<Result<String, String>>,
}

/// A function's process and the API that it talks to.
#[derive(Debug)]
pub(crate) struct Instance {
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
    /// Starts `binary` with nothing but `environment`, under `wrapper` where one is given.
    pub(crate) async fn start(
        binary: &Path,
        environment: &[(String, String)],
        wrapper: Option<&[String]>,
    ) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let (asked, was_asked) = mpsc::unbounded_channel();
        let (events, next_events) = mpsc::unbounded_channel();
        let (answers, next_answers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { asked, events: Mutex::new(next_events), answers });
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(shared);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, api).await;
        });
        let mut command = match wrapper {
            None => Command::new(binary),
            Some([program, arguments @ ..]) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            Some([]) => return Err("a wrapper needs a program".into()),
        };
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "measured")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "measured")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn().map_err(|e| format!("{}: {e}", binary.display()))?;
        Ok(Self { child, started, asked: was_asked, events, answers: next_answers, server })
    }

    /// Waits until the function asks for an event. Returns how long that took since it was started.
    pub(crate) async fn ready(&mut self) -> Result<Duration, Failure> {
        tokio::select! {
            asked = tokio::time::timeout(PATIENCE, self.asked.recv()) => {
                Ok(asked?.ok_or("the API ended")?.duration_since(self.started))
            }
            ended = self.child.wait() => Err(format!("the function ended at its start: {}", ended?).into()),
        }
    }

    /// Hands it one event and waits for the answer, and until it asks for the next. Returns how long the answer took.
    pub(crate) async fn handle(&mut self, event: &str) -> Result<Duration, Failure> {
        let handed = Instant::now();
        self.events.send(event.to_owned())?;
        match tokio::time::timeout(PATIENCE, self.answers.recv()).await?.ok_or("the API ended")? {
            Ok(_) => {
                let took = handed.elapsed();
                self.ready().await?;
                Ok(took)
            }
            Err(problem) => Err(format!("the function failed: {problem}").into()),
        }
    }

    /// Its memory now, in bytes (`VmRSS`).
    pub(crate) fn resident(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().ok_or("it has ended")?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1_024.0)
    }

    /// Ends it as Lambda does, and returns what it (or its wrapper) wrote to standard error.
    pub(crate) async fn end(mut self) -> Result<String, Failure> {
        let id = self.child.id().ok_or("it has ended")?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let mut stderr = self.child.stderr.take().ok_or("no standard error")?;
        let mut text = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut text);
        tokio::time::timeout(PATIENCE, read).await??;
        self.child.wait().await?;
        Ok(text)
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> axum::response::Response {
    let _ = shared.asked.send(Instant::now());
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    // The timeout of `charge`, which begins nothing that may not be done in time.
    let deadline = jiff::Timestamp::now().as_millisecond() + 120_000;
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:ap-northeast-2:000000000000:function:measured".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn answered(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    let _ = shared.answers.send(Ok(body));
    StatusCode::ACCEPTED
}

async fn failed(State(shared): State<Arc<Shared>>, _: HeaderMap, body: String) -> StatusCode {
    let _ = shared.answers.send(Err(body));
    StatusCode::ACCEPTED
}
