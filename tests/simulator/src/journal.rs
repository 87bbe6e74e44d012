//! What was asked of I'mport and what it answered, for people to read. Off unless somebody wants it: a proof asks for millions.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    fault::{Call, Fault},
    incoming::Incoming,
    reply::Outcome,
    rule::About,
};

/// So many of the latest are kept.
const KEPT: usize = 20_000;
/// What opens I'mport's doors is not shown.
const SECRETS: [&str; 3] = ["imp_key", "imp_secret", "access_token"];
const MASK: &str = "••••••";
/// So much is shown of an answer that isn't JSON.
const SHOWN: usize = 500;

/// One call and its answer. Secrets are masked; the `authorization` header isn't kept at all.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// When it came in.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// What kind of call it is.
    pub call: Call,
    /// The order that it is about.
    pub merchant_uid: Option<String>,
    /// The billing key that it is about.
    pub customer_uid: Option<String>,
    /// Query and body.
    pub request: Value,
    /// The HTTP status of the answer; none where the connection was cut.
    pub status: Option<u16>,
    /// The answer, as far as it can be read.
    pub answer: Value,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
}

/// The latest calls.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    kept: VecDeque<Exchange>,
    /// How many there were in all.
    pub(crate) count: usize,
}

impl Journal {
    pub(crate) fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.kept.iter()
    }

    pub(crate) fn keep(&mut self, exchange: Exchange) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(exchange);
        self.count += 1;
    }
}

impl Exchange {
    pub(crate) fn new(
        request: &Request<Bytes>,
        incoming: &Incoming,
        call: Call,
        about: &About,
        fault: Option<Fault>,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Self {
        let (status, answer) = match outcome {
            Outcome::Answer(response) => (Some(response.status().as_u16()), readable(response.body())),
            Outcome::Cut => (None, Value::Null),
        };
        Self {
            at,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            call,
            merchant_uid: about.merchant_uid.clone(),
            customer_uid: about.customer_uid.clone(),
            request: masked(incoming.params.to_json()),
            status,
            answer: masked(answer),
            fault,
        }
    }
}

fn readable(body: &Bytes) -> Value {
    let text = || String::from_utf8_lossy(body).chars().take(SHOWN).collect::<String>().into();
    serde_json::from_slice(body).unwrap_or_else(|_| text())
}

fn masked(mut value: Value) -> Value {
    mask(&mut value);
    value
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match SECRETS.contains(&name.as_str()) {
                    true => *field = MASK.into(),
                    false => mask(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
