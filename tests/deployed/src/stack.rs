//! A deployed stack, with I'mport and a listener on its bus.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::{Config, Simulator};
use template::Template;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::aws::Aws;
use crate::ministack::Ministack;
use crate::sam::Sam;
use crate::shop::Shop;
use crate::{REGION, Result, STACK, gaps};

/// Steps happen within the minute's tick and a few polls.
const PATIENCE: Duration = Duration::from_secs(90);
const LISTENER: &str = "listener";

/// The names that CloudFormation gave.
#[derive(Debug, Clone)]
pub struct Names(BTreeMap<String, String>);

/// A deployed function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its ARN.
    pub arn: String,
    /// The ARN of its role.
    pub role: String,
}

impl Names {
    /// The physical id of a resource.
    pub fn physical(&self, id: &str) -> Result<&str> {
        self.0.get(id).map(String::as_str).ok_or_else(|| format!("the stack has no {id}").into())
    }

    /// A function, by its logical id.
    pub async fn function(&self, aws: &Aws, id: &str) -> Result<Function> {
        let path = format!("/2015-03-31/functions/{}/configuration", self.physical(id)?);
        let read = aws.rest("lambda", Method::GET, &path, &Value::Null).await?;
        let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
        Ok(Function { arn: text("FunctionArn"), role: text("Role") })
    }

    /// A queue's ARN.
    pub async fn queue_arn(&self, aws: &Aws, id: &str) -> Result<String> {
        queue_arn(aws, self.physical(id)?).await
    }

    /// Allows a function an action on a resource, apart from the template.
    pub async fn allow(&self, aws: &Aws, function: &str, name: &str, action: &str, on: &str) -> Result<()> {
        self.put_policy(aws, function, name, ("Allow", action, on)).await
    }

    /// Withholds an action from a function, as if its role didn't have it.
    pub async fn withhold(&self, aws: &Aws, function: &str, action: &str) -> Result<()> {
        self.put_policy(aws, function, "withheld", ("Deny", action, "*")).await
    }

    /// Gives back what was withheld.
    pub async fn give_back(&self, aws: &Aws, function: &str) -> Result<()> {
        let role = self.role(function)?;
        aws.query("iam", &[("Action", "DeleteRolePolicy"), ("RoleName", role), ("PolicyName", "withheld")]).await
    }

    /// The role of a function has its name, with `Role` behind it.
    pub fn role(&self, function: &str) -> Result<&str> {
        self.physical(&format!("{function}Role"))
    }

    async fn put_policy(
        &self,
        aws: &Aws,
        function: &str,
        name: &str,
        (effect, action, on): (&str, &str, &str),
    ) -> Result<()> {
        let role = self.role(function)?;
        let statement = json!({ "Effect": effect, "Action": action, "Resource": on });
        let document = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        let parameters =
            [("Action", "PutRolePolicy"), ("RoleName", role), ("PolicyName", name), ("PolicyDocument", &document)];
        aws.query("iam", &parameters).await
    }
}

/// The whole of it. Everything ends with this value.
#[derive(Debug)]
pub struct Stack {
    /// The template.
    pub template: Template,
    /// What CloudFormation made.
    pub names: Names,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The account's root.
    pub aws: Aws,
    /// The merchant and its buyers.
    pub shop: Shop,
    /// SAM, for what comes after the first deployment.
    pub sam: Sam,
    /// What the stack was deployed with.
    pub parameters: Vec<(&'static str, String)>,
    simulator: Arc<Mutex<Simulator>>,
    iamport: JoinHandle<()>,
    listener: String,
    _ministack: Ministack,
}

impl Stack {
    /// Builds into `folder`, deploys, and starts I'mport.
    pub async fn deploy(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let ministack = Ministack::start(folder)?;
        let (address, template) = (ministack.address, Template::read());
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let iamport = format!("http://{}", socket.local_addr()?);
        let config = Config::default();
        let parameters = vec![
            ("ImpUserCode", config.user_code.clone()),
            ("ImpKey", config.imp_key.clone()),
            ("ImpSecret", config.imp_secret.clone()),
            ("IamportUrl", iamport.clone()),
            ("IamportSdkUrl", format!("{iamport}/v1/iamport.js")),
            // So that it doesn't matter when this runs.
            ("ChargeWindow", "00:00-23:59".to_owned()),
        ];

        let sam = Sam::new(address, template::workspace().join("template.yaml"), folder);
        sam.build(&template.functions().keys().copied().collect::<Vec<_>>())?;
        sam.deploy(&parameters.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())?;
        let (outputs, names) = (sam.outputs()?, Names(sam.resources()?));
        let api = names.physical("Api")?.to_owned();
        let host = format!("{api}.execute-api.localhost");
        let aws = Aws::at(address, &[&host])?;
        gaps::make_routes(&aws, &template, &names).await?;
        gaps::grant_batches(&aws, &template, &names).await?;
        gaps::open_bucket(&aws, &names).await?;
        let listener = listen(&aws, names.physical("EventBus")?).await?;

        // By the path that needs no name: I'mport doesn't know the stand-in's.
        let webhooks = format!("http://{address}/_aws/execute-api/{api}/$default/webhooks/iamport");
        let simulator = Arc::new(Mutex::new(Simulator::new(Config { webhook_url: Some(webhooks), ..config })));
        let served = simulator.clone();
        let serving = tokio::spawn(async move {
            let _ = simulator::serve(socket, served, Arc::new(Timestamp::now), std::future::pending()).await;
        });
        let shop = Shop { aws: aws.clone(), api: format!("http://{host}:{}", address.port()), iamport };
        Ok(Self {
            template,
            names,
            outputs,
            aws,
            shop,
            sam,
            parameters,
            simulator,
            iamport: serving,
            listener,
            _ministack: ministack,
        })
    }

    /// A new stack takes over the table that the deleted one has left, and is deployed around it.
    pub async fn take_over(&mut self) -> Result<()> {
        self.sam.import_table(&self.aws, &self.template.only("Table"), STACK).await?;
        self.deploy_by(&self.sam)?;
        (self.outputs, self.names) = (self.sam.outputs()?, Names(self.sam.resources()?));
        Ok(())
    }

    /// Deploys over what is there.
    pub fn deploy_by(&self, sam: &Sam) -> Result<()> {
        let parameters: Vec<_> = self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sam.deploy(&parameters)
    }

    /// I'mport's inside. Not to be held across an await.
    pub fn iamport(&self) -> MutexGuard<'_, Simulator> {
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick of the schedule, now.
    pub async fn tick(&self) -> Result<()> {
        let event = std::fs::read_to_string(template::workspace().join("events/dispatch/scheduler.json"))?;
        self.invoke("Dispatch", &serde_json::from_str(&event)?).await.map(drop)
    }

    /// Invokes a function and waits. Its error is one.
    pub async fn invoke(&self, id: &str, event: &Value) -> Result<Value> {
        let path = format!("/2015-03-31/functions/{}/invocations", self.names.physical(id)?);
        let answer = self.aws.rest("lambda", Method::POST, &path, event).await?;
        match answer["errorMessage"].as_str() {
            None => Ok(answer),
            Some(error) => Err(format!("{id}: {error}").into()),
        }
    }

    /// All that the table has of a subscription.
    pub async fn items(&self, subscription: &str) -> Result<Vec<Value>> {
        crate::past::items(&self.aws, STACK, subscription).await
    }

    /// Days go by for a subscription.
    pub async fn pass(&self, subscription: &str, days: i64) -> Result<()> {
        crate::past::pass(&self.aws, STACK, subscription, days).await
    }

    /// The kinds of the events that a subscription has had on the bus, and were not asked for before.
    pub async fn heard(&self, subscription: &str) -> Result<Vec<String>> {
        let mut kinds = Vec::new();
        loop {
            let ask = json!({ "QueueUrl": self.listener, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3_600 });
            let received = self.aws.json("sqs", "AmazonSQS.ReceiveMessage", &ask).await?;
            let Some(messages) = received["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
                return Ok(kinds);
            };
            for message in messages {
                let event: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default())?;
                if event["detail"]["subscription"]["id"] == subscription {
                    kinds.push(event["detail-type"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
    }

    /// Waits until `done` says so. What it said last is in the error.
    pub async fn until<T>(
        &self,
        what: &str,
        mut done: impl AsyncFnMut() -> Result<std::result::Result<T, String>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            match done().await? {
                Ok(value) => return Ok(value),
                Err(so_far) if begun.elapsed() > PATIENCE => {
                    return Err(format!("{what} doesn't happen; it is {so_far}").into());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
            }
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.iamport.abort();
    }
}

/// A queue that hears all that the stack says.
async fn listen(aws: &Aws, bus: &str) -> Result<String> {
    let made = aws.json("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": LISTENER })).await?;
    let queue = made["QueueUrl"].as_str().ok_or("a queue without an address")?.to_owned();
    let arn = queue_arn(aws, &queue).await?;
    let statement = json!({
        "Effect": "Allow",
        "Principal": { "Service": "events.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": arn,
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let attributes = json!({ "QueueUrl": queue, "Attributes": { "Policy": policy } });
    aws.json("sqs", "AmazonSQS.SetQueueAttributes", &attributes).await?;
    let rule =
        json!({ "Name": LISTENER, "EventBusName": bus, "EventPattern": json!({ "source": ["maedal"] }).to_string() });
    aws.json("events", "AWSEvents.PutRule", &rule).await?;
    let targets = json!({ "Rule": LISTENER, "EventBusName": bus, "Targets": [{ "Id": LISTENER, "Arn": arn }] });
    aws.json("events", "AWSEvents.PutTargets", &targets).await?;
    Ok(queue)
}

async fn queue_arn(aws: &Aws, url: &str) -> Result<String> {
    let ask = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
    let read = aws.json("sqs", "AmazonSQS.GetQueueAttributes", &ask).await?;
    let arn = read["Attributes"]["QueueArn"].as_str();
    arn.map(str::to_owned).ok_or_else(|| format!("no queue of {STACK} in {REGION} at {url}").into())
}
