//! The merchant's backend: calls of the API, by what it wants.

use http::Method;
use maedal::subscription::SubscriptionId;
use reqwest::Response;
use sandbox::buyer::read;
use serde_json::{Value, json};

use crate::{World, contract};

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The document.
    pub body: Value,
}

impl Answer {
    /// The reason of a refusal.
    pub fn reason(&self) -> Option<&str> {
        self.body["reason"].as_str()
    }

    /// `200`, or `409 past_due`.
    pub fn word(&self) -> String {
        self.reason().map_or(self.status.to_string(), |reason| format!("{} {reason}", self.status))
    }
}

#[allow(clippy::missing_panics_doc, clippy::expect_used)]
impl World {
    /// One call of the merchant's API. Its answer has to be as the API's document says.
    pub async fn call(&self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Answer {
        let response: Response = self.buyer.send(method.clone(), path, body, key).await.expect("an answer");
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = read(response).await;
        assert_eq!(contract::problem(method.as_str(), path, status, &kind, &body), None);
        Answer { status, body }
    }

    /// A command of a subscription's.
    pub async fn command(&self, id: SubscriptionId, command: &str, body: Value) -> Answer {
        self.call(Method::POST, &format!("/v1/subscriptions/{id}/{command}"), &body, None).await
    }

    /// As [`World::command`]; it has to work.
    pub async fn commanded(&self, id: SubscriptionId, command: &str, body: Value) -> Value {
        let answer = self.command(id, command, body).await;
        assert!((200..300).contains(&answer.status), "{command}: {answer:?}");
        answer.body
    }

    /// `DELETE` of the billing key.
    pub async fn delete_key(&self, id: SubscriptionId) -> Answer {
        self.call(Method::DELETE, &format!("/v1/subscriptions/{id}/billing-key"), &json!({}), None).await
    }

    /// What a GET says.
    pub async fn read(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null, None).await
    }
}
