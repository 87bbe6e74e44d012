//! `/_simulator/..`: tests set faults, read the books and press what a person would press. I'mport has no such
//! endpoint.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{envelope::json_response, incoming::Incoming, rule::Rule, simulator::Simulator};

impl Simulator {
    /// `/_simulator/..`: what a test or a person does around I'mport, over HTTP. No token, no faults.
    pub(crate) fn control(&mut self, path: &[&str], call: &Incoming, now: Timestamp) -> Response<Bytes> {
        let done = |done: bool| {
            if done { Ok(Value::Null) } else { Err("there is no such thing".to_owned()) }
        };
        let answer = match (call.method.as_str(), path) {
            ("GET", ["books"]) => Ok(self.books().to_json()),
            ("GET", ["webhooks"]) => Ok(json!(self.webhooks())),
            ("POST", ["webhooks", id, "resend"]) => done(id.parse().is_ok_and(|id| self.resend_webhook(id, now))),
            ("GET", ["faults"]) => Ok(json!(self.faults().rules())),
            ("POST", ["faults"]) => read_rules(&call.body).map(|rules| {
                for rule in rules {
                    self.faults().add(rule);
                }
                json!(self.faults().rules())
            }),
            ("DELETE", ["faults"]) => {
                self.faults().clear();
                Ok(Value::Null)
            }
            ("POST", ["cancel"]) => {
                let imp_uid = call.params.text("imp_uid").unwrap_or_default();
                let amount = call.params.whole("amount").map_err(|refusal| refusal.message().to_owned());
                amount.and_then(|amount| self.cancel_in_console(&imp_uid, amount, now)).map(|()| Value::Null)
            }
            ("POST", ["keys"]) => read_names(&call.body).map(|names| {
                for customer_uid in names {
                    self.seed_key(&customer_uid, now);
                }
                Value::Null
            }),
            ("DELETE", ["keys", customer_uid]) => done(self.end_key_at_gateway(customer_uid)),
            _ => Err("there is no such control".into()),
        };
        match answer {
            Ok(value) => json_response(StatusCode::OK, &value),
            Err(error) => json_response(StatusCode::BAD_REQUEST, &json!({"error": error})),
        }
    }
}

/// A list of `customer_uid`s.
fn read_names(body: &[u8]) -> Result<Vec<String>, String> {
    serde_json::from_slice(body).map_err(|error| format!("not a list of names: {error}"))
}

/// One rule or a list of them.
fn read_rules(body: &[u8]) -> Result<Vec<Rule>, String> {
    fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
        serde_json::from_slice(body).map_err(|error| format!("the rule can't be read: {error}"))
    }
    if body.starts_with(b"[") { read(body) } else { read(body).map(|rule| vec![rule]) }
}
