//! The way to DynamoDB: below the AWS SDK, whose own code signs, retries and times out.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use tokio::time::sleep;

use super::{World, later};
use crate::actor::Actor;
use crate::fault::{Fault, Kind};
use crate::script::Place;
use crate::table::Answer;

/// The AWS SDK's HTTP client in a world: whoever calls is known by the task that it runs in.
#[derive(Debug, Clone, Copy)]
pub struct ToTable;

impl ToTable {
    /// As the SDK takes it.
    pub fn shared() -> SharedHttpClient {
        SharedHttpClient::new(Self)
    }
}

impl HttpClient for ToTable {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

impl HttpConnector for ToTable {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body =
                request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
            match Actor::me() {
                Some(me) => ask(&me, operation, body).await,
                None => Err(cut()),
            }
        })
    }
}

fn cut() -> ConnectorError {
    ConnectorError::io("the connection was cut".into())
}

fn kind_of(operation: &str) -> Kind {
    match operation {
        "PutItem" | "UpdateItem" => Kind::Write,
        "TransactWriteItems" => Kind::Transaction,
        _ => Kind::Read,
    }
}

fn words(operation: &str, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let expression = body["UpdateExpression"].as_str().unwrap_or_default();
    let is = |part: &str| expression.contains(part);
    match operation {
        "GetItem" => format!("reads {}", key(&body["Key"])),
        "Query" => "reads a list".to_owned(),
        "PutItem" => format!("writes {}", key(&body["Item"])),
        "UpdateItem" if is("in_flight =") => "claims the charge".to_owned(),
        "UpdateItem" if is("claimed_at") => "claims the charge once more".to_owned(),
        "UpdateItem" if is("payment_method") => "records the billing key".to_owned(),
        "UpdateItem" if is("window_opened_at") => "counts an opening of the window".to_owned(),
        "TransactWriteItems" => {
            let items = body["TransactItems"].as_array().cloned().unwrap_or_default();
            let keys: Vec<_> = items.iter().map(|item| key(&item["Put"]["Item"])).collect();
            format!("writes together {}", keys.join(", "))
        }
        other => other.to_owned(),
    }
}

fn key(item: &Value) -> String {
    let [pk, sk] = ["pk", "sk"].map(|name| item[name]["S"].as_str().unwrap_or_default());
    match pk.split_once('#') {
        Some(("SUB", _)) => sk.to_owned(),
        Some((kind, _)) => kind.to_owned(),
        None => pk.to_owned(),
    }
}

async fn ask(me: &Actor, operation: String, body: String) -> Result<HttpResponse, ConnectorError> {
    let world = me.world.clone();
    let kind = kind_of(&operation);
    let (place, strike) = world.strike(me, kind);
    world.travel(&place, "there").await;
    let lost = if strike.is_none() { world.loses(me, &place) } else { None };
    let answer = match strike {
        None if lost == Some(super::Lost::There) => Err(cut()),
        None => Ok(world.at_table(&operation, &body)),
        Some(fault) => {
            world.say(|| format!("{} {}: {}", me.name, words(&operation, &body), fault.words()));
            struck(me, &world, &place, fault, &operation, &body).await
        }
    };
    let answer = if lost.is_some() { Err(cut()) } else { answer };
    if !matches!(strike, Some(Fault::FreezeBefore(_) | Fault::FreezeAfter(_))) {
        world.travel(&place, "back").await;
    }
    let status = answer.as_ref().map_or(0, |answer| answer.status);
    world.tread(&place, status);
    if strike.is_none() && kind != Kind::Read {
        let said = if status == 200 { "done" } else { "its condition doesn't hold" };
        world.say(|| format!("{} {}: {said}", me.name, words(&operation, &body)));
    }
    answer.map(respond)
}

async fn struck(
    me: &Actor,
    world: &Arc<World>,
    place: &Place,
    fault: Fault,
    operation: &str,
    body: &str,
) -> Result<Answer, ConnectorError> {
    let carry_out = || world.at_table(operation, body);
    match fault {
        Fault::DieBefore => me.die().await,
        Fault::DieAfter => {
            let _ = carry_out();
            me.die().await
        }
        Fault::CutBefore | Fault::NotSent => Err(cut()),
        Fault::CutAfter => {
            let _ = carry_out();
            Err(cut())
        }
        Fault::Late(s) => {
            let (operation, body) = (operation.to_owned(), body.to_owned());
            later(world, s, move |world| {
                let status = world.at_table(&operation, &body).status;
                let words = || words(&operation, &body);
                world.say(|| format!("what was sent {s} s ago ({}) arrives at the table: {status}", words()));
            });
            Err(cut())
        }
        Fault::Twice => {
            let _ = carry_out();
            Ok(carry_out())
        }
        Fault::FreezeBefore(s) => {
            world.freeze(me, place, s).await;
            match world.loses(me, place) {
                Some(super::Lost::There) => Err(cut()),
                Some(super::Lost::Back) => {
                    let _ = carry_out();
                    Err(cut())
                }
                None => Ok(carry_out()),
            }
        }
        Fault::FreezeAfter(s) => {
            let answer = carry_out();
            world.freeze(me, place, s).await;
            Ok(answer)
        }
        Fault::Slow(s) => {
            let answer = carry_out();
            sleep(Duration::from_secs(s.into())).await;
            Ok(answer)
        }
        Fault::ErrorBefore(status) => Ok(error(status, "InternalServerError")),
        Fault::ErrorAfter(status) => {
            let _ = carry_out();
            Ok(error(status, "InternalServerError"))
        }
        Fault::Garbled(_) => {
            let mut answer = carry_out();
            let half = (0..=answer.body.len() / 2).rev().find(|at| answer.body.is_char_boundary(*at));
            answer.body.truncate(half.unwrap_or_default());
            Ok(answer)
        }
        Fault::Throttle => Ok(error(400, "ProvisionedThroughputExceededException")),
        Fault::Conflict => {
            let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"conflict","CancellationReasons":[{"Code":"TransactionConflict","Message":"conflict"},{"Code":"None"}]}"#;
            Ok(Answer { status: 400, body: body.to_owned() })
        }
        // I'mport's.
        Fault::Decline
        | Fault::DeclineHard
        | Fault::Refuse
        | Fault::LatePaid(_)
        | Fault::Blind(_)
        | Fault::ExpiredToken
        | Fault::WrongAmount => Ok(carry_out()),
    }
}

fn error(status: u16, kind: &str) -> Answer {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"not now"}}"#);
    Answer { status, body }
}

fn respond(answer: Answer) -> HttpResponse {
    let status = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status.into(), SdkBody::from(answer.body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

impl World {
    /// What the table holds under `operation`, past all faults: for the last look.
    pub fn look(&self, operation: &str, body: &str) -> Answer {
        crate::table::carry_out(&self.database, operation, body)
    }
}
