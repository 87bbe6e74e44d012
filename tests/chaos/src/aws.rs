//! The rest of AWS, as far as the functions see it: the queue behind its wire protocol, the event source that hands batches to
//! `charge`, the schedule that calls `dispatch`, and the HTTP API in front of the others. Never killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use jiff::Timestamp;
use maedal::clock::SystemClock;
use maedal::queue::{Message, Queue};
use sandbox::queue::{LocalQueue, Received};
use sandbox::stack::{failed, sqs_event};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Failure;
use crate::function::Function;

/// What SQS hands to `charge` at once.
const BATCH: usize = 10;
/// How often the queue is looked at where it was empty.
const POLL: Duration = Duration::from_millis(100);
/// The schedule of `dispatch`.
const MINUTE: Duration = Duration::from_secs(60);
/// The most that API Gateway waits for a function.
const GATEWAY: Duration = Duration::from_secs(30);
/// The longest body that it takes.
const LONGEST_BODY: usize = 10 * 1024 * 1024;

/// What listens, before there are functions to call.
#[derive(Debug)]
pub(crate) struct Aws {
    /// The HTTP API's address.
    pub(crate) url: String,
    /// The address of SQS.
    pub(crate) sqs_url: String,
    /// The queue of steps.
    pub(crate) queue: Arc<LocalQueue>,
    api: TcpListener,
    sqs: TcpListener,
}

impl Aws {
    /// Takes its ports.
    pub(crate) async fn open() -> Result<Self, Failure> {
        let (api, sqs) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let url = |listener: &TcpListener| Ok::<_, Failure>(format!("http://{}", listener.local_addr()?));
        let queue = Arc::new(LocalQueue::new(Arc::new(SystemClock)));
        Ok(Self { url: url(&api)?, sqs_url: url(&sqs)?, queue, api, sqs })
    }

    /// Answers and calls, as long as `tasks` live. `pollers` batches are handed out at once.
    pub(crate) fn serve(
        self,
        functions: &[Arc<Function>],
        pollers: usize,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Failure> {
        let named: BTreeMap<&'static str, Arc<Function>> =
            functions.iter().map(|function| (function.name, function.clone())).collect();
        let function = |name| named.get(name).cloned().ok_or_else(|| Failure::from(format!("no {name}")));
        for _ in 0..pollers {
            tasks.spawn(poll(self.queue.clone(), function("charge")?));
        }
        tasks.spawn(tick(function("dispatch")?));
        let sqs = Router::new().route("/", post(send)).with_state(self.queue);
        tasks.spawn(async move { drop(axum::serve(self.sqs, sqs).await) });
        let api = Router::new().fallback(gateway).with_state(Arc::new(named));
        tasks.spawn(async move { drop(axum::serve(self.api, api).await) });
        Ok(())
    }
}

/// The event source: hands out one batch after the other. What failed, or was cut, comes again.
async fn poll(queue: Arc<LocalQueue>, charge: Arc<Function>) {
    loop {
        let batch = queue.receive(BATCH);
        if batch.is_empty() {
            tokio::time::sleep(POLL).await;
            continue;
        }
        queue.settle(&batch, &what_failed(&charge, &batch).await);
    }
}

async fn what_failed(charge: &Function, batch: &[Received]) -> BTreeSet<String> {
    let all = || batch.iter().map(|message| message.id.clone()).collect();
    let Ok(event) = serde_json::to_string(&sqs_event(batch)) else { return all() };
    match charge.invoke(event).await.map(|answer| serde_json::from_str::<SqsBatchResponse>(&answer)) {
        Ok(Ok(response)) => failed(response),
        Ok(Err(_)) | Err(_) => all(),
    }
}

/// The schedule. A tick that fails is over (template.yaml retries none); the next one finds what it left.
async fn tick(dispatch: Arc<Function>) {
    let mut minutes = tokio::time::interval(MINUTE);
    loop {
        minutes.tick().await;
        let _ = dispatch.invoke(json!({ "source": "aws.scheduler" }).to_string()).await;
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    message_group_id: String,
    message_deduplication_id: String,
}

/// `SendMessageBatch`, as the SDK writes it (AWS JSON 1.0).
async fn send(State(queue): State<Arc<LocalQueue>>, headers: HeaderMap, body: Bytes) -> Response {
    let action = headers.get("x-amz-target").and_then(|action| action.to_str().ok());
    let batch = serde_json::from_slice::<SendMessageBatch>(&body);
    let (Some("AmazonSQS.SendMessageBatch"), Ok(batch)) = (action, batch) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "__type": "com.amazonaws.sqs#UnsupportedOperation" })))
            .into_response();
    };
    let (mut taken, mut refused, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for entry in batch.entries {
        match serde_json::from_str::<Message>(&entry.message_body) {
            Ok(message)
                if message.group() == entry.message_group_id
                    && message.deduplication_id() == entry.message_deduplication_id =>
            {
                taken.push(json!({ "Id": entry.id, "MessageId": entry.message_deduplication_id }));
                messages.push(message);
            }
            Ok(_) | Err(_) => {
                refused.push(json!({ "Id": entry.id, "SenderFault": true, "Code": "InvalidParameterValue" }));
            }
        }
    }
    match queue.send(&messages).await {
        Ok(_) => Json(json!({ "Successful": taken, "Failed": refused })).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The HTTP API. A function that fails is a 502.
async fn gateway(State(functions): State<Arc<BTreeMap<&'static str, Arc<Function>>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = http::Request::from_parts(head, body);
    let name = match request.uri().path().split('/').nth(1).unwrap_or_default() {
        "checkout" | "my" => "checkout",
        "payments" => "complete",
        "webhooks" => "webhook",
        "v1" => "manage",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let Some(function) = functions.get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let event = sandbox::gateway::event(&request, Timestamp::now()).to_string();
    match tokio::time::timeout(GATEWAY, function.invoke(event)).await {
        Ok(Ok(answer)) => response(&answer).unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response()),
        Ok(Err(_)) => StatusCode::BAD_GATEWAY.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What a function answered (payload version 2.0), for the caller. Texts alone: no function here answers with other bytes.
fn response(answer: &str) -> Option<Response> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let status = StatusCode::from_u16(u16::try_from(answer["statusCode"].as_u64()?).ok()?).ok()?;
    let mut response = (status, answer["body"].as_str().unwrap_or_default().to_owned()).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        response.headers_mut().insert(name, HeaderValue::try_from(value.as_str()?).ok()?);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, HeaderValue::try_from(cookie.as_str()?).ok()?);
    }
    Some(response)
}
