//! What the template must say, so that the deployed stack is the tested one.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::KeySchemaElement;
use maedal::aws::Aws;
use maedal::config::variables::{self, Place, Readers};
use maedal::metrics::Metric;
use maedal::store::table;
use sandbox::gateway::ROUTES;
use serde_json::Value;
use template::{Template, workspace};

/// A `*` that can't be narrower, and why.
const STARS: [(&str, &str, &str); 4] = [
    ("xray:PutTraceSegments", "*", "X-Ray has no resources"),
    ("xray:PutTelemetryRecords", "*", "X-Ray has no resources"),
    ("dynamodb:ListStreams", "${Table.Arn}/stream/*", "it lists all streams of a table"),
    ("s3:GetObject", "${ImportBucket.Arn}/*", "files have any name"),
];

/// The functions that speak to I'mport.
const WITH_SECRET: [&str; 5] = ["charge", "complete", "import", "reconcile", "webhook"];
/// Those of them that carry out the steps of a subscription.
const WITH_STEPS: [&str; 4] = ["charge", "complete", "reconcile", "webhook"];
/// Those who sign the links to the buyer's own page, and open them.
const WITH_LINKS: [&str; 2] = ["checkout", "manage"];

#[tokio::test]
async fn the_table_is_the_one_that_the_store_makes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Aws::local(format!("http://{}", listener.local_addr().unwrap())).dynamodb();
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    table::create(&client, "maedal").await.unwrap();
    let made = client.describe_table().table_name("maedal").send().await.unwrap().table.unwrap();

    let template = Template::read();
    let deployed = template.properties("Table");
    let keys = |schema: &[KeySchemaElement]| -> Vec<(String, String)> {
        schema.iter().map(|key| (key.attribute_name.clone(), key.key_type.as_str().to_owned())).collect()
    };
    let keys_of = |schema: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let schema = schema.as_array().unwrap();
        schema.iter().map(|key| (text(&key["AttributeName"]), text(&key["KeyType"]))).collect()
    };

    assert_eq!(keys_of(&deployed["KeySchema"]), keys(made.key_schema()));
    let attributes: BTreeSet<(String, String)> = made
        .attribute_definitions()
        .iter()
        .map(|a| (a.attribute_name.clone(), a.attribute_type.as_str().to_owned()))
        .collect();
    let deployed_attributes: BTreeSet<(String, String)> = deployed["AttributeDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["AttributeName"].as_str().unwrap().to_owned(), a["AttributeType"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(deployed_attributes, attributes);

    type Index = (Vec<(String, String)>, String);
    let indexes: BTreeMap<String, Index> = made
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let projection = index.projection().unwrap();
            let held = projection.non_key_attributes().join(" ");
            let projection = format!("{} {held}", projection.projection_type().unwrap().as_str());
            (index.index_name().unwrap().to_owned(), (keys(index.key_schema()), projection))
        })
        .collect();
    let deployed_indexes: BTreeMap<String, Index> = deployed["GlobalSecondaryIndexes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|index| {
            let projection = &index["Projection"];
            let held: Vec<_> =
                projection["NonKeyAttributes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let projection = format!("{} {}", projection["ProjectionType"].as_str().unwrap(), held.join(" "));
            (index["IndexName"].as_str().unwrap().to_owned(), (keys_of(&index["KeySchema"]), projection))
        })
        .collect();
    assert_eq!(deployed_indexes, indexes);

    let view = made.stream_specification().unwrap().stream_view_type().unwrap().as_str();
    assert_eq!(deployed["StreamSpecification"]["StreamViewType"], view);
    assert_eq!(deployed["BillingMode"], "PAY_PER_REQUEST");
}

#[test]
fn the_table_survives_whatever_happens_to_the_stack() {
    let template = Template::read();
    assert_eq!(template.at("/Resources/Table/DeletionPolicy"), "Retain");
    assert_eq!(template.at("/Resources/Table/UpdateReplacePolicy"), "Retain");
    let table = template.properties("Table");
    // A named table is never replaced by an empty one behind our back.
    assert_eq!(table["TableName"]["Ref"], "AWS::StackName");
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
    // The name that the store gives an answer to an Idempotency-Key.
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], "ttl");
}

/// A name that is taken stops a deployment. Of what outlives the stack, only the table may do so, and must.
#[test]
fn nothing_that_outlives_the_stack_stands_in_the_way_of_the_next() {
    let template = Template::read();
    let resources = template.at("/Resources").as_object().unwrap();
    let named: Vec<&String> = resources
        .iter()
        .filter(|(_, resource)| resource["DeletionPolicy"] == "Retain")
        .filter(|(_, resource)| {
            resource["Properties"].as_object().unwrap().keys().any(|property| property.ends_with("Name"))
        })
        .map(|(id, _)| id)
        .collect();
    assert_eq!(named, ["Table"]);
}

#[test]
fn every_function_is_deployed() {
    let template = Template::read();
    let folders: BTreeSet<String> = std::fs::read_dir(workspace().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let deployed: BTreeSet<String> = template.functions().keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(deployed, folders);

    let mut roles = BTreeSet::new();
    for (name, id) in template.functions() {
        let properties = template.properties(id);
        assert!(roles.insert(properties["Role"].to_string()), "{name} has a role of its own");
        let logs = properties["LoggingConfig"]["LogGroup"]["Ref"].as_str().unwrap();
        assert!(!template.properties(logs)["RetentionInDays"].is_null(), "{name}'s logs are not kept for ever");
    }
}

#[test]
fn every_function_has_the_variables_that_it_reads_and_no_other() {
    let template = Template::read();
    for (function, id) in template.functions() {
        let set: BTreeSet<String> = template.environment(id).into_iter().map(|(variable, _)| variable).collect();
        let read = variables::ALL.iter().filter(|variable| variable.is_read_by(function));
        let deployed = read.filter(|variable| variable.place == Place::Template);
        let deployed: BTreeSet<String> = deployed.map(|variable| variable.name.to_owned()).collect();
        assert_eq!(set, deployed, "{function}");
    }
}

#[test]
fn every_variable_is_in_the_readmes_table() {
    let rows = variables::ALL.iter().map(|variable| {
        let readers = match variable.readers {
            Readers::All => "",
            Readers::Only(functions) => &functions.join(", "),
        };
        let cells = [&format!("`{}`", variable.name), variable.meaning, readers, variable.default];
        cells
            .iter()
            .fold("|".to_owned(), |row, cell| if cell.is_empty() { row + " |" } else { row + " " + cell + " |" })
    });
    let head = ["| variable | is | read only by | default |", "|---|---|---|---|"].map(str::to_owned);
    let table = head.into_iter().chain(rows).collect::<Vec<_>>().join("\n");
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    assert!(readme.contains(&format!("\n\n{table}\n\n")), "README.md, \"Configuration\", should have:\n{table}");
}

#[test]
fn only_those_who_speak_to_imports_api_can_read_its_secret() {
    let template = Template::read();
    let who = |may: &dyn Fn(&str) -> bool| -> Vec<&str> {
        template.functions().into_iter().filter(|(_, id)| may(id)).map(|(name, _)| name).collect()
    };
    for (secret, variable, expected) in
        [("Secret", "IMP_SECRET_ARN", WITH_SECRET.as_slice()), ("LinkSecret", "LINK_SECRET_ARN", &WITH_LINKS)]
    {
        let resource = format!("{secret}.");
        let permitted = who(&|id| template.permissions(id).iter().any(|p| p.resource.starts_with(&resource)));
        assert_eq!(permitted, expected, "{secret}");
        assert_eq!(who(&|id| template.environment(id).contains_key(variable)), expected, "{variable}");
    }
    for value in template.functions().values().flat_map(|id| template.environment(id)) {
        let text = value.1.to_string();
        assert!(!text.contains("ImpKey") && !text.contains("ImpSecret"), "{}: not in the environment", value.0);
    }
}

#[test]
fn no_permission_is_wider_than_it_can_be() {
    let template = Template::read();
    let mut found = BTreeSet::new();
    for id in template.ids("AWS::IAM::Role").into_iter().chain(template.ids("AWS::IAM::ManagedPolicy")) {
        for permission in template.permissions_of(id) {
            if permission.action.contains('*') || permission.resource.contains('*') {
                found.insert((permission.action, permission.resource));
            }
        }
        let foreign = template.properties(id)["ManagedPolicyArns"].to_string();
        assert!(!foreign.contains("arn:"), "{id}: AWS's own policies are wide");
    }
    let listed: BTreeSet<_> = STARS.iter().map(|(action, on, _)| ((*action).to_owned(), (*on).to_owned())).collect();
    assert_eq!(found, listed);
}

/// The whole of it, so that no permission comes or goes unseen.
#[test]
fn each_function_may_do_this_and_nothing_else() {
    let template = Template::read();
    let steps = ["GetItem Table", "PutItem Table", "Query Table", "UpdateItem Table"];
    let expected: [(&str, &[&str]); 9] = [
        (
            "charge",
            &[
                "ChangeMessageVisibility Queue",
                "DeleteItem Table",
                "DeleteMessage Queue",
                "GetQueueAttributes Queue",
                "GetSecretValue Secret.Id",
                "ReceiveMessage Queue",
            ],
        ),
        (
            "checkout",
            &["GetItem Table", "GetSecretValue LinkSecret.Id", "PutItem Table", "Query Table", "UpdateItem Table"],
        ),
        ("complete", &["BatchGetItem Table", "GetSecretValue Secret.Id"]),
        ("dispatch", &["GetItem Table", "Query ${Table}/index/due", "SendMessage Queue"]),
        (
            "import",
            &[
                "BatchGetItem Table",
                "ChangeMessageVisibility ImportQueue",
                "DeleteMessage ImportQueue",
                "GetItem Table",
                "GetObject ${ImportBucket}/*",
                "GetQueueAttributes ImportQueue",
                "GetSecretValue Secret.Id",
                "PutItem Table",
                "ReceiveMessage ImportQueue",
                "SendMessage ImportQueue",
            ],
        ),
        (
            "manage",
            &[
                "BatchGetItem Table",
                "GetItem Table",
                "GetSecretValue ApiToken.Id",
                "GetSecretValue LinkSecret.Id",
                "PutItem Table",
                "Query Table",
                "Query ${Table}/index/by_customer",
                "Query ${Table}/index/by_state",
                "SendMessage ImportQueue",
                "UpdateItem Table",
            ],
        ),
        (
            "notify",
            &[
                "BatchWriteItem Table",
                "DescribeStream Table.StreamArn",
                "GetRecords Table.StreamArn",
                "GetShardIterator Table.StreamArn",
                "ListStreams ${Table}/stream/*",
                "PutEvents EventBus",
                "SendMessage UntoldEvents",
            ],
        ),
        (
            "reconcile",
            &[
                "BatchGetItem Table",
                "GetSecretValue Secret.Id",
                "Query ${Table}/index/by_day",
                "Query ${Table}/index/by_state",
            ],
        ),
        ("webhook", &["GetSecretValue Secret.Id", "SendMessage Queue"]),
    ];
    for (name, own) in expected {
        let id = template.functions()[name];
        let may: BTreeSet<String> = template
            .permissions(id)
            .iter()
            .filter(|permission| !permission.action.starts_with("logs:") && !permission.action.starts_with("xray:"))
            .map(|permission| {
                let action = permission.action.split(':').next_back().unwrap();
                format!("{action} {}", permission.resource.replace(".Arn", ""))
            })
            .collect();
        let common = if WITH_STEPS.contains(&name) { steps.as_slice() } else { &[] };
        let expected: BTreeSet<String> = own.iter().chain(common).map(|may| (*may).to_owned()).collect();
        assert_eq!(may, expected, "{name}");
    }
}

#[test]
fn the_queue_waits_for_charge_and_outlives_an_outage_of_hours() {
    let template = Template::read();
    let (queue, charge) = (template.properties("Queue"), template.properties("Charge"));
    let (visibility, timeout) = (queue["VisibilityTimeout"].as_i64().unwrap(), charge["Timeout"].as_i64().unwrap());
    assert!(visibility >= 6 * timeout, "{visibility} is less than six times {timeout}");
    assert_eq!(queue["DeduplicationScope"], "messageGroup");
    assert_eq!(queue["FifoThroughputLimit"], "perMessageGroupId");
    // A webhook that couldn't be followed comes again at the visibility timeout: for hours, before it is a dead letter.
    let receipts = queue["RedrivePolicy"]["maxReceiveCount"].as_i64().unwrap();
    assert!(receipts * visibility >= 3 * 3_600, "{receipts} receipts, {visibility} s apart");
    let dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0].as_str().unwrap();
    assert_eq!(template.properties(dead_letters)["FifoQueue"], true);
    let source = &charge["Events"]["Steps"]["Properties"];
    assert_eq!(source["FunctionResponseTypes"][0], "ReportBatchItemFailures");
}

#[test]
fn an_import_has_its_time_and_nobody_reads_its_files_from_outside() {
    let template = Template::read();
    let (queue, import) = (template.properties("ImportQueue"), template.properties("Import"));
    let (visibility, timeout) = (queue["VisibilityTimeout"].as_i64().unwrap(), import["Timeout"].as_i64().unwrap());
    assert!(visibility >= 6 * timeout, "{visibility} is less than six times {timeout}");
    assert_eq!(import["Events"]["Turns"]["Properties"]["FunctionResponseTypes"][0], "ReportBatchItemFailures");
    let bucket = template.properties("ImportBucket");
    let closed = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert_eq!((closed.len(), closed.values().all(|blocked| *blocked == true)), (4, true));
    assert!(bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"].is_i64());
}

#[test]
fn the_routes_are_the_sandboxs_and_only_the_merchants_api_is_signed() {
    let template = Template::read();
    let served: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(place, function)| ((*place).to_owned(), function.name().to_owned())).collect();
    let mut deployed = BTreeSet::new();
    for (name, id) in template.functions() {
        let Some(events) = template.properties(id)["Events"].as_object() else { continue };
        for event in events.values().filter(|event| event["Type"] == "HttpApi") {
            let route = &event["Properties"];
            let place = route["Path"].as_str().unwrap().split('/').nth(1).unwrap().to_owned();
            let signed = route["Auth"]["Authorizer"] == "AWS_IAM";
            assert_eq!(signed, place == "v1", "{route}");
            deployed.insert((place, name.to_owned()));
        }
    }
    assert_eq!(deployed, served);
}

/// Nothing leads to the merchant's API without IAM, unless the merchant asks for it; and then the token is there, too.
#[test]
fn the_way_in_without_iam_comes_with_its_token_or_not_at_all() {
    let template = Template::read();
    for id in
        ["ApiToken", "ReadApiToken", "TokenApi", "TokenIntegration", "TokenRoute", "TokenStage", "TokenPermission"]
    {
        assert_eq!(template.at(&format!("/Resources/{id}/Condition")), "WithToken", "{id}");
    }
    assert_eq!(template.ids("AWS::ApiGatewayV2::Route"), ["TokenRoute"]);
    assert_eq!(template.properties("TokenRoute")["RouteKey"], "ANY /v1/{proxy+}");
    assert_eq!(template.properties("TokenIntegration")["IntegrationUri"]["Fn::GetAtt"][0], "Manage");
    let told = &template.environment("Manage")["API_TOKEN_ARN"];
    assert_eq!(*told, serde_json::json!({ "Fn::If": ["WithToken", { "Fn::GetAtt": ["ApiToken", "Id"] }, ""] }));
    assert_eq!(template.at("/Parameters/ApiAccess/Default"), "iam");
}

/// An alarm on a name that nobody writes would never go off. (That each is written is seen in the journeys.)
#[test]
fn every_alarm_on_a_metric_of_ours_watches_one_that_is_written() {
    let template = Template::read();
    let written: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let namespace = template.at("/Globals/Function/Environment/Variables/METRICS_NAMESPACE");
    let mut ours = 0;
    for id in template.ids("AWS::CloudWatch::Alarm") {
        let alarm = template.properties(id);
        assert!(!alarm["AlarmActions"][0].is_null() && alarm["AlarmDescription"].is_string(), "{id} tells somebody");
        if alarm["Namespace"] != *namespace {
            // AWS's own, of a thing of this stack; throttles are the account's.
            assert!(alarm["Namespace"].as_str().is_some_and(|name| name.starts_with("AWS/")), "{id}");
            assert!(!alarm["Dimensions"].is_null() || id == "ThrottlesAlarm", "{id}");
            continue;
        }
        ours += 1;
        assert!(alarm["Dimensions"].is_null(), "{id}: metrics are of the whole stack");
        assert!(written.contains(alarm["MetricName"].as_str().unwrap()), "{id}");
    }
    assert!(ours >= 5, "{ours}");
    assert!(template.ids("AWS::Logs::MetricFilter").is_empty());
}

#[test]
fn every_parameter_is_described_and_shown_in_a_group() {
    let template = Template::read();
    let groups = template.at("/Metadata/AWS::CloudFormation::Interface/ParameterGroups").as_array().unwrap();
    let shown: BTreeSet<&str> =
        groups.iter().flat_map(|group| group["Parameters"].as_array().unwrap()).filter_map(Value::as_str).collect();
    let parameters = template.at("/Parameters").as_object().unwrap();
    assert_eq!(parameters.keys().map(String::as_str).collect::<BTreeSet<_>>(), shown);
    for (name, parameter) in parameters {
        assert!(parameter["Description"].is_string(), "{name}");
        let secret = name == "ImpKey" || name == "ImpSecret";
        assert_eq!(parameter["NoEcho"] == true, secret, "{name}");
        let bounded = ["AllowedPattern", "AllowedValues", "MaxLength", "MaxValue"];
        assert!(bounded.iter().any(|bound| !parameter[*bound].is_null()), "{name} takes anything");
    }
}
