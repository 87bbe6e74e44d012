//! What the functions may do, against what they did: MiniStack records each call with the access key it was signed with.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use template::Permission;

use crate::Result;
use crate::aws::Aws;
use crate::stack::{Function, Stack};

/// Permissions that Lambda itself uses, with the function's role. The stand-in does without, and no call of the function
/// shows them.
pub const BY_LAMBDA: [(&str, &str); 14] = [
    ("logs:CreateLogStream", "logs"),
    ("logs:PutLogEvents", "logs"),
    ("xray:PutTraceSegments", "traces"),
    ("xray:PutTelemetryRecords", "traces"),
    ("sqs:ReceiveMessage", "the poller of the queue"),
    ("sqs:DeleteMessage", "the poller of the queue"),
    ("sqs:ChangeMessageVisibility", "the poller of the queue, for what failed"),
    ("sqs:GetQueueAttributes", "the poller of the queue"),
    ("dynamodb:DescribeStream", "the reader of the stream"),
    ("dynamodb:GetRecords", "the reader of the stream"),
    ("dynamodb:GetShardIterator", "the reader of the stream"),
    ("dynamodb:ListStreams", "the reader of the stream"),
    ("sqs:SendMessage UntoldEvents.Arn", "the failure destination of the stream"),
    ("sqs:SendMessage ImportQueue.Arn", "not Lambda's: the next turn of an import that takes longer than one"),
];

const LOOK_UP: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

/// The permissions that nobody has used so far, function by function.
pub async fn unused(stack: &Stack) -> Result<BTreeSet<String>> {
    let mut unused = BTreeSet::new();
    for (name, id) in stack.template.functions() {
        let key = access_key(&stack.names.function(&stack.aws, id).await?);
        for permission in stack.template.permissions(id) {
            if !by_lambda(&permission) && !used(&stack.aws, &key, &permission).await? {
                unused.insert(format!("{name}: {} {}", permission.action, permission.resource));
            }
        }
    }
    Ok(unused)
}

/// Whether Lambda itself uses it.
pub fn by_lambda(permission: &Permission) -> bool {
    let on = format!("{} {}", permission.action, permission.resource);
    BY_LAMBDA.iter().any(|(action, _)| *action == permission.action || *action == on)
}

/// The key that MiniStack gives a function. (Where this is another, everything is unused, and the test says so.)
fn access_key(function: &Function) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{}:{}", function.arn, function.role).as_bytes());
    let hex: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02X}")).collect();
    format!("ASIA{hex}")
}

async fn used(aws: &Aws, key: &str, permission: &Permission) -> Result<bool> {
    let action = permission.action.split(':').next_back().unwrap_or_default();
    // An item in a transaction and a message in a batch are authorised each as what they are alone.
    let calls: &[&str] = match action {
        "PutItem" | "UpdateItem" | "DeleteItem" => &[action, "TransactWriteItems"],
        "SendMessage" => &[action, "SendMessageBatch"],
        // A look at a file is authorised as reading it.
        "GetObject" => &[action, "HeadObject"],
        _ => &[action],
    };
    for call in calls {
        for request in requests(aws, key, call).await? {
            let fits = match (*call, action) {
                ("TransactWriteItems", _) => in_transaction(&request, action.trim_end_matches("Item")),
                (_, "Query") => {
                    let index = request["IndexName"].as_str();
                    let granted = permission.resource.split_once("/index/").map(|(_, index)| index);
                    index == granted
                }
                _ => true,
            };
            if fits {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn in_transaction(request: &Value, kind: &str) -> bool {
    request["TransactItems"].as_array().into_iter().flatten().any(|item| !item[kind].is_null())
}

/// The latest calls of this name that were signed with `key`, and allowed: what they asked for.
async fn requests(aws: &Aws, key: &str, call: &str) -> Result<Vec<Value>> {
    let by = |name: &str, value: &str| json!({ "AttributeKey": name, "AttributeValue": value });
    let ask = json!({ "LookupAttributes": [by("AccessKeyId", key), by("EventName", call)] });
    let found = aws.json("cloudtrail", LOOK_UP, &ask).await?;
    let mut requests = Vec::new();
    for event in found["Events"].as_array().into_iter().flatten() {
        let record: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap_or_default())?;
        requests.push(record["requestParameters"].clone());
    }
    Ok(requests)
}
