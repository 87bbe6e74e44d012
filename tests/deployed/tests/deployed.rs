//! One deployment, and a life on it. Each step says when it began.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use deployed::stack::Stack;
use deployed::{Result, permissions, tools};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_stack_charges_renews_gives_back_and_tells() -> Result<()> {
    if let Some(why) = tools::missing() {
        let _ = writeln!(std::io::stderr(), "skipped: {why}");
        return Ok(());
    }
    let begun = Instant::now();
    let step = |what: &str| {
        let _ = writeln!(std::io::stderr(), "{:4} s  {what}", begun.elapsed().as_secs());
    };

    step("sam build, sam deploy");
    let mut stack = Stack::deploy(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("deployed")).await?;
    step("the API is signed");
    only_the_merchant_may_call_the_api(&stack).await?;
    step("subscribing");
    let id = subscribing(&stack).await?;
    step("a renewal, by the schedule");
    a_renewal_by_the_schedule(&stack, &id).await?;
    step("a decline, and dunning");
    a_decline_and_dunning(&stack, &id).await?;
    step("a refund");
    a_refund(&stack, &id).await?;
    step("the buyer's own page, and lists");
    the_buyers_own_page(&stack, &id).await?;
    the_merchants_lists(&stack, &id).await?;
    step("webhooks");
    a_cancellation_in_the_console(&stack, &id).await?;
    a_buyer_who_never_comes_back(&stack).await?;
    step("what no webhook told, reconciled");
    what_no_webhook_told_is_found(&stack, &id).await?;
    step("a first charge that is declined, and paid after all");
    a_first_charge_that_is_paid_after_all(&stack).await?;
    step("a session that nobody finishes");
    a_session_that_expires(&stack).await?;
    step("an import, of rows and of a file");
    an_import(&stack).await?;
    step("every sample event");
    every_sample_event_is_answered(&stack).await?;
    step("permissions");
    nobody_may_do_more_than_is_done(&stack).await?;
    without_a_permission_a_function_fails(&stack).await?;
    step("sam delete, and a new stack with the old table");
    the_table_outlives_the_stack(&mut stack, &id).await?;
    step("an upgrade, from the template before its last change");
    an_upgrade_keeps_the_table(&stack, &id).await?;
    step("done");
    Ok(())
}

async fn only_the_merchant_may_call_the_api(stack: &Stack) -> Result<()> {
    let url = format!("{}/v1/plans", stack.shop.api);
    let unsigned = stack.aws.unsigned(Method::GET, &url, String::new()).await?;
    assert_eq!(unsigned.status(), StatusCode::FORBIDDEN);
    let (status, _) = stack.shop.call(Method::GET, "/v1/plans", &Value::Null).await?;
    assert_eq!(status, StatusCode::OK);
    Ok(())
}

/// Session, page, window, `m_redirect_url`, first charge, webhooks, events.
async fn subscribing(stack: &Stack) -> Result<String> {
    let plan = json!({ "name": "매일 커피", "amount": 3_300, "interval": { "unit": "day", "count": 1 } });
    stack.shop.ask(Method::PUT, "/v1/plans/daily", &plan).await?;
    let id = stack.shop.session("daily", "customer-1").await?;
    let page = stack.shop.page(&id).await?;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.page.contains("매일 커피"), "{}", page.page);
    let landing = stack.shop.subscribe(&id).await?;
    assert_eq!(landing.status, StatusCode::SEE_OTHER, "{}", landing.page);
    assert_eq!(landing.location.as_deref(), Some(format!("https://shop.example/done?session_id={id}").as_str()));
    assert_eq!(stack.shop.subscription(&id).await?["status"], "active");
    assert_eq!(stack.shop.charges(&id).await?, ["paid"]);
    heard(stack, &id, &["subscription.created", "subscription.activated", "charge.paid"]).await?;
    Ok(id)
}

/// The real schedule, the real queue.
async fn a_renewal_by_the_schedule(stack: &Stack, id: &str) -> Result<()> {
    stack.pass(id, 1).await?;
    charged(stack, id, &["paid", "paid"]).await?;
    heard(stack, id, &["subscription.renewed", "charge.paid"]).await
}

async fn a_decline_and_dunning(stack: &Stack, id: &str) -> Result<()> {
    stack.iamport().faults().add(declined_once());
    stack.pass(id, 1).await?;
    stack.tick().await?;
    charged(stack, id, &["paid", "paid", "declined"]).await?;
    assert_eq!(stack.shop.subscription(id).await?["status"], "past_due");
    heard(stack, id, &["subscription.past_due", "charge.declined"]).await?;
    stack.pass(id, 1).await?;
    stack.tick().await?;
    charged(stack, id, &["paid", "paid", "declined", "paid"]).await?;
    assert_eq!(stack.shop.subscription(id).await?["status"], "active");
    Ok(())
}

async fn a_refund(stack: &Stack, id: &str) -> Result<()> {
    let refund = json!({ "amount": 1_000, "reason": "a test" });
    stack.shop.ask(Method::POST, &format!("/v1/subscriptions/{id}/charges/1-1/refund"), &refund).await?;
    stack.tick().await?;
    stack
        .until("the refund", async || {
            let totals = stack.iamport().books().totals();
            Ok(if totals.cancelled == 1_000 { Ok(()) } else { Err(format!("{totals:?}")) })
        })
        .await?;
    heard(stack, id, &["charge.refunded"]).await
}

/// The signed link, and two of its buttons.
async fn the_buyers_own_page(stack: &Stack, id: &str) -> Result<()> {
    let made = stack.shop.ask(Method::POST, &format!("/v1/subscriptions/{id}/my-session"), &json!({})).await?;
    let link = made["url"].as_str().unwrap();
    let page = stack.shop.come_back(link).await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.page);
    assert!(page.page.contains("3,300"), "{}", page.page);
    for (button, canceled) in [("cancel", true), ("resume", false)] {
        let version = stack.shop.subscription(id).await?["version"].as_u64().unwrap();
        let pressed = stack.shop.press(link, button, version).await?;
        assert_eq!(pressed.status, StatusCode::SEE_OTHER, "{button}: {}", pressed.page);
        assert_eq!(stack.shop.subscription(id).await?["cancel_at_period_end"], canceled);
    }
    assert_eq!(stack.shop.come_back(&format!("{link}x")).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

async fn the_merchants_lists(stack: &Stack, id: &str) -> Result<()> {
    for list in ["customer_id=customer-1", "state=active"] {
        let listed = stack.shop.ask(Method::GET, &format!("/v1/subscriptions?{list}"), &Value::Null).await?;
        assert_eq!(listed["subscriptions"][0]["id"], id, "{list}");
    }
    let events = stack.shop.ask(Method::GET, &format!("/v1/subscriptions/{id}/events"), &Value::Null).await?;
    assert!(events.to_string().contains("subscription.renewed"), "{events}");
    Ok(())
}

/// It is known by webhook alone.
async fn a_cancellation_in_the_console(stack: &Stack, id: &str) -> Result<()> {
    let imp_uid = {
        let iamport = stack.iamport();
        let paid = iamport.books().payments().iter().filter(|payment| payment.was_charged());
        paid.map(|payment| payment.imp_uid.clone()).next_back().unwrap()
    };
    stack.iamport().cancel_in_console(&imp_uid, None, jiff::Timestamp::now())?;
    heard(stack, id, &["charge.refunded"]).await
}

/// The webhook tells of the billing key, and queues the first charge.
async fn a_buyer_who_never_comes_back(stack: &Stack) -> Result<()> {
    let id = stack.shop.session("daily", "customer-2").await?;
    let window = stack.shop.window(&id).await?;
    stack.shop.approve(&window).await?;
    charged(stack, &id, &["paid"]).await
}

/// A cancellation in the console, and a billing key whose buyer never came back.
async fn what_no_webhook_told_is_found(stack: &Stack, id: &str) -> Result<()> {
    stack.iamport().faults().add(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let session = stack.shop.session("daily", "customer-5").await?;
    let window = stack.shop.window(&session).await?;
    let mut order = window["request"].clone();
    order["user_code"] = window["user_code"].clone();
    // I'mport's clock: reconcile leaves the last minutes alone.
    let before = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(20);
    {
        let mut iamport = stack.iamport();
        let mut post = |path: &str, body: String| {
            let request = http::Request::post(path).header("content-type", "application/json");
            let request = request.body(bytes::Bytes::from(body)).unwrap();
            iamport.handle(&request, before).answer().unwrap()
        };
        let opened: Value = serde_json::from_slice(post("/chai/window", order.to_string()).body())?;
        post(&format!("/chai/window/{}/approve", opened["window_id"].as_str().unwrap()), String::new());
        let imp_uid = iamport.books().payments().iter().find(|p| p.was_charged()).map(|p| p.imp_uid.clone()).unwrap();
        iamport.cancel_in_console(&imp_uid, Some(100), before)?;
    }
    let run = stack.invoke("Reconcile", &json!({ "days": 1 })).await?;
    assert_eq!((&run["settled"], &run["found"], &run["next"]), (&json!(2), &json!(0), &Value::Null), "{run}");
    heard(stack, id, &["charge.refunded"]).await?;
    stack.iamport().faults().clear();
    assert_eq!(stack.invoke("Reconcile", &json!({ "days": 1 })).await?["settled"], 0);
    assert_eq!(stack.shop.subscription(&session).await?["billing_key"], "active");
    Ok(())
}

/// It is declined, and paid after all, and no webhook says so. The second window looks before it charges.
async fn a_first_charge_that_is_paid_after_all(stack: &Stack) -> Result<()> {
    let before = stack.iamport().books().totals().paid;
    let late = Fault::LatePaid(jiff::SignedDuration::from_millis(500));
    stack.iamport().faults().add(Rule::once(Call::Again, late));
    stack.iamport().faults().add(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    let id = stack.shop.session("daily", "customer-3").await?;
    let landing = stack.shop.subscribe(&id).await?;
    assert_eq!(landing.status, StatusCode::OK, "{landing:?}");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let landing = stack.shop.subscribe(&id).await?;
    assert_eq!(landing.status, StatusCode::SEE_OTHER, "{landing:?}");
    assert_eq!(stack.shop.subscription(&id).await?["status"], "active");
    assert_eq!(stack.iamport().books().totals().paid, before + 3_300, "paid once");
    stack.iamport().faults().clear();
    Ok(())
}

fn declined_once() -> Rule {
    Rule::once(Call::Again, Fault::Decline { message: "잔액이 부족합니다.".into() })
}

async fn a_session_that_expires(stack: &Stack) -> Result<()> {
    let id = stack.shop.session("daily", "customer-4").await?;
    stack.pass(&id, 1).await?;
    stack.tick().await?;
    stack
        .until("the session's end", async || {
            let status = stack.shop.subscription(&id).await?["status"].clone();
            Ok(if status == "expired" { Ok(()) } else { Err(status.to_string()) })
        })
        .await
}

async fn an_import(stack: &Stack) -> Result<()> {
    let row = |uid: &str| json!({ "customer_uid": uid, "plan": "daily", "next_charge": "2026-12-23", "paused": true });
    for uid in ["brought-1", "brought-2"] {
        stack.iamport().seed_key(uid, jiff::Timestamp::now());
    }
    let file = format!("/{}/rows.jsonl", stack.names.physical("ImportBucket")?);
    stack.aws.rest("s3", Method::PUT, &file, &row("brought-2")).await?;
    for (asked, expected) in [
        (json!({ "rows": [row("brought-1"), row("nobody")] }), [1, 1]),
        (json!({ "file": "rows.jsonl" }), [1, 0]),
        (json!({ "file": "missing.jsonl" }), [0, 0]),
    ] {
        let begun = stack.shop.ask(Method::POST, "/v1/imports", &asked).await?;
        let path = format!("/v1/imports/{}", begun["id"].as_str().unwrap());
        stack
            .until("the import", async || {
                let shown = stack.shop.ask(Method::GET, &path, &Value::Null).await?;
                let rows = ["accepted", "refused"].map(|name| shown["rows"][name].as_u64().unwrap_or_default());
                let over = shown["status"] == "done" || shown["status"] == "failed";
                Ok(if over && rows == expected { Ok(()) } else { Err(shown.to_string()) })
            })
            .await?;
    }
    Ok(())
}

async fn every_sample_event_is_answered(stack: &Stack) -> Result<()> {
    let events = template::workspace().join("events");
    for (name, id) in stack.template.functions() {
        for file in std::fs::read_dir(events.join(name))? {
            let path = file?.path();
            let event = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
            // What can't be read is left to the dead letters, and said to be.
            if !path.ends_with("charge/not-json.json") {
                assert!(works(stack, id, &event).await, "{}: {:?}", path.display(), stack.invoke(id, &event).await);
            }
        }
    }
    Ok(())
}

async fn nobody_may_do_more_than_is_done(stack: &Stack) -> Result<()> {
    assert_eq!(permissions::unused(stack).await?, BTreeSet::new());
    Ok(())
}

/// Each with a sample event that can't be answered without it. (Webhook isn't here: what it can't look at, it keeps on the
/// queue.)
async fn without_a_permission_a_function_fails(stack: &Stack) -> Result<()> {
    for (function, action, event) in [
        ("Checkout", "dynamodb:GetItem", "checkout/open.json"),
        ("Complete", "dynamodb:GetItem", "complete/never-opened.json"),
        ("Dispatch", "dynamodb:Query", "dispatch/scheduler.json"),
        ("Charge", "dynamodb:UpdateItem", "charge/step.json"),
        ("Manage", "dynamodb:Query", "manage/list-plans.json"),
        ("Reconcile", "dynamodb:GetItem", "reconcile/scheduler.json"),
        ("Notify", "events:PutEvents", "notify/renewal.json"),
        ("Import", "dynamodb:GetItem", "import/turn.json"),
    ] {
        let event = std::fs::read_to_string(template::workspace().join("events").join(event))?;
        let event: Value = serde_json::from_str(&event)?;
        assert!(works(stack, function, &event).await, "{function} with all its permissions");
        stack.names.withhold(&stack.aws, function, action).await?;
        assert!(!works(stack, function, &event).await, "{function} without {action}");
        stack.names.give_back(&stack.aws, function).await?;
        assert!(works(stack, function, &event).await, "{function} with {action} again");
    }
    Ok(())
}

/// An answer below 500, all of a batch, or no error.
async fn works(stack: &Stack, function: &str, event: &Value) -> bool {
    stack.invoke(function, event).await.is_ok_and(|answer| {
        answer["statusCode"].as_u64().is_none_or(|status| status < 500)
            && answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty)
    })
}

async fn the_table_outlives_the_stack(stack: &mut Stack, id: &str) -> Result<()> {
    let before = stack.items(id).await?;
    assert!(!before.is_empty());
    stack.sam.delete()?;
    assert_eq!(stack.items(id).await?, before);
    stack.take_over().await?;
    assert_eq!(stack.items(id).await?, before);
    // The new stack works on it.
    let read: Value = serde_json::from_str(&std::fs::read_to_string(
        template::workspace().join("events/manage/get-subscription.json"),
    )?)?;
    assert!(works(stack, "Manage", &read).await);
    Ok(())
}

async fn an_upgrade_keeps_the_table(stack: &Stack, id: &str) -> Result<()> {
    let Some(before) = stack.sam.before_last_change()? else {
        let _ = writeln!(std::io::stderr(), "skipped: a clone without the history of template.yaml");
        return Ok(());
    };
    let items = stack.items(id).await?;
    for sam in [&before, &stack.sam] {
        stack.deploy_by(sam)?;
        assert_eq!(stack.items(id).await?, items);
    }
    Ok(())
}

async fn charged(stack: &Stack, id: &str, expected: &[&str]) -> Result<()> {
    stack
        .until(&format!("{expected:?}"), async || {
            let charges = stack.shop.charges(id).await?;
            Ok(if charges == expected { Ok(()) } else { Err(format!("{charges:?}")) })
        })
        .await
}

async fn heard(stack: &Stack, id: &str, expected: &[&str]) -> Result<()> {
    let mut all = Vec::new();
    stack
        .until(&format!("{expected:?} on the bus"), async || {
            all.extend(stack.heard(id).await?);
            let missing = expected.iter().any(|kind| !all.iter().any(|heard| heard == kind));
            Ok(if missing { Err(format!("{all:?}")) } else { Ok(()) })
        })
        .await
}
