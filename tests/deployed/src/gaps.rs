//! What MiniStack lacks, and what is done about it. Each is a difference from a deployment to AWS; there is no other.
//!
//! - The routes of an `AWS::Serverless::HttpApi` are an OpenAPI body, which it ignores: they are made here, from the same
//!   template, each with its authorizer.
//! - AWS authorises `SendMessageBatch` as `sqs:SendMessage`. It knows an action of that name, which is granted here to the
//!   roles that may send, on the same queue.
//! - `Condition`s on `dynamodb:LeadingKeys` hold for everything; TTL and alarms do nothing.
//! - It speaks HTTP, where the bucket's policy lets nobody in without TLS: that policy is taken away here.
//! - AWS refuses a new stack whose table's name is taken. It doesn't, so that this is not tried here.
//! - Lambda's own machinery (polling a queue or a stream, logs, traces) needs no permission.

use http::Method;
use serde_json::json;
use template::Template;

use crate::aws::Aws;
use crate::stack::Names;
use crate::{Error, Result};

/// Makes the API's routes.
pub async fn make_routes(aws: &Aws, template: &Template, names: &Names) -> Result<()> {
    let api = names.physical("Api")?;
    for (_, id) in template.functions() {
        let Some(events) = template.properties(id)["Events"].as_object() else { continue };
        let routes: Vec<_> = events.values().filter(|event| event["Type"] == "HttpApi").collect();
        if routes.is_empty() {
            continue;
        }
        let integration = json!({
            "integrationType": "AWS_PROXY",
            "integrationUri": names.function(aws, id).await?.arn,
            "payloadFormatVersion": "2.0",
        });
        let made = aws.rest("apigateway", Method::POST, &format!("/v2/apis/{api}/integrations"), &integration).await?;
        let integration = made["integrationId"].as_str().ok_or("an integration without an id")?;
        for route in routes {
            let properties = &route["Properties"];
            let text = |name: &str| properties[name].as_str().ok_or(Error::from(format!("a route without {name}")));
            let route = json!({
                "routeKey": format!("{} {}", text("Method")?, text("Path")?),
                "target": format!("integrations/{integration}"),
                "authorizationType": properties["Auth"]["Authorizer"].as_str().unwrap_or("NONE"),
            });
            aws.rest("apigateway", Method::POST, &format!("/v2/apis/{api}/routes"), &route).await?;
        }
    }
    Ok(())
}

/// Lets those who may send a message send several.
pub async fn grant_batches(aws: &Aws, template: &Template, names: &Names) -> Result<()> {
    for (_, id) in template.functions() {
        for permission in template.permissions(id) {
            if permission.action != "sqs:SendMessage" {
                continue;
            }
            let Some(queue) = permission.resource.strip_suffix(".Arn") else { continue };
            let arn = names.queue_arn(aws, queue).await?;
            names.allow(aws, id, &format!("stand-in-{queue}"), "sqs:SendMessageBatch", &arn).await?;
        }
    }
    Ok(())
}

/// Lets those who may read the bucket do so without TLS.
pub async fn open_bucket(aws: &Aws, names: &Names) -> Result<()> {
    let policy = format!("/{}?policy", names.physical("ImportBucket")?);
    aws.rest("s3", Method::DELETE, &policy, &serde_json::Value::Null).await.map(drop)
}
