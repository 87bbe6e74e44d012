//! The merchant reads: lists, charges; and the API's document, kept true.

use std::collections::BTreeSet;

use http::Method;
use jiff::SignedDuration;
use journeys::{World, contract, monthly, no_money, seoul};
use maedal::subscription::SubscriptionId;
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

/// Both ways: all that is served is in the document, and all of the document is served.
#[test]
fn the_document_has_exactly_what_is_served() {
    let documented: BTreeSet<String> = contract::document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        })
        .map(|(path, method, operation)| {
            format!("{} {path} {}", method.to_uppercase(), operation["operationId"].as_str().unwrap())
        })
        .collect();
    let served: BTreeSet<String> =
        manage::ROUTES.iter().map(|route| format!("{} {} {:?}", route.method, route.path, route.operation)).collect();
    assert_eq!(documented, served);
}

/// Each operation with good and bad requests; [`World::call`] checks each answer against the document.
#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let nobody = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7";
    let rows = json!({ "rows": [{ "customer_uid": "from-elsewhere", "plan": "coffee", "next_charge": "2026-12-01" }] });
    let import = world.call(Method::POST, "/v1/imports", &rows, None).await.body["id"].as_str().unwrap().to_owned();
    let mut seen = BTreeSet::new();
    for route in manage::ROUTES {
        let method: Method = route.method.parse().unwrap();
        for (subscription, charge, plan) in [
            (id.to_string(), "1-1", "coffee"),
            (nobody.to_owned(), "1-1", "none"),
            ("x".to_owned(), "9-9", "a.b"),
            (id.to_string(), "9-9", "tea"),
        ] {
            let query = if route.operation == manage::Operation::ListSubscriptions { "?state=active" } else { "" };
            let path = route.path.to_owned() + query;
            let path = path.replace("{id}", &subscription).replace("{charge}", charge).replace("{plan}", plan);
            let path = path.replace("{customer_id}", if plan == "coffee" { "customer-1" } else { "nobody" });
            let path = path.replace("{import}", if plan == "coffee" { &import } else { nobody });
            for body in [
                json!({}),
                json!({ "colour": "red" }),
                json!([7]),
                json!({ "when": "period_end", "refund": "all" }),
                json!({ "when": "soon", "plan": "none", "reason": "x".repeat(201) }),
                json!({ "plan": "none", "when": "now", "customer_id": "" }),
                json!({ "version": 1 }),
                json!({ "amount": 9_901, "reason": "" }),
                json!({ "name": "차", "amount": 1_000, "interval": monthly() }),
                json!({ "plan": "coffee", "customer_id": "c" }),
                json!({ "when": "period_end" }),
                json!({ "reason": "" }),
                json!({ "on": true, "reason": "a test" }),
                json!({ "action": "accept", "reason": "a test" }),
                json!({ "file": "rows.csv" }),
            ] {
                let answer = world.call(method.clone(), &path, &body, None).await;
                seen.insert((route.path, route.method, answer.status));
            }
            let answer = world.call(method.clone(), &path, &Value::String("x".repeat(17_000)), None).await;
            seen.insert((route.path, route.method, answer.status));
        }
        let wrong = world.call(Method::PATCH, &route.path.replace("{id}", nobody), &json!({}), None).await;
        assert_eq!(wrong.status, 405);
        world.stack.turn().await.unwrap();
    }
    for route in manage::ROUTES {
        let worked =
            seen.iter().any(|(path, method, status)| (*path, *method) == (route.path, route.method) && *status < 300);
        // What is left are commands that this history has no use for; the other journeys have.
        let elsewhere = matches!(
            route.operation,
            manage::Operation::ChangePlan
                | manage::Operation::Retry
                | manage::Operation::Pause
                | manage::Operation::Repair
        );
        assert!(worked || elsewhere, "{} {}", route.method, route.path);
    }
    assert_eq!(world.call(Method::GET, "/v1/nothing", &Value::Null, None).await.status, 404);
}

#[tokio::test]
async fn subscriptions_are_listed_by_customer_and_by_state_page_by_page() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for customer in ["a", "b", "a", "a", "b"] {
        let id = world.buyer.open_session("coffee", customer).await.unwrap().unwrap();
        ids.push(id);
        world.after(SignedDuration::from_mins(1)).await;
    }
    for id in &ids[..4] {
        world.buyer.subscribe(*id).await.unwrap();
    }
    world.commanded(ids[1], "pause", json!({})).await;
    let list = |query: &'static str| {
        let world = &world;
        async move {
            let (mut all, mut cursor, mut pages) = (Vec::<SubscriptionId>::new(), String::new(), 0);
            loop {
                let page = world.read(&format!("/v1/subscriptions?{query}&limit=2{cursor}")).await;
                assert_eq!(page.status, 200, "{page:?}");
                let listed = page.body["subscriptions"].as_array().unwrap();
                assert!(listed.len() <= 2);
                all.extend(listed.iter().map(|s| s["id"].as_str().unwrap().parse::<SubscriptionId>().unwrap()));
                pages += 1;
                match page.body["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return (all, pages),
                }
            }
        }
    };
    assert_eq!(list("customer_id=a").await, (vec![ids[3], ids[2], ids[0]], 2));
    assert_eq!(list("customer_id=nobody").await, (vec![], 1));
    assert_eq!(list("state=active").await, (vec![ids[3], ids[2], ids[0]], 2));
    assert_eq!(list("state=paused").await.0, [ids[1]]);
    assert_eq!(list("state=pending").await.0, [ids[4]]);
    assert_eq!(list("state=past_due").await.0, []);
    for bad in [
        "",
        "?state=asleep",
        "?state=active&customer_id=a",
        "?state=active&limit=0",
        "?state=active&cursor=x",
        "?colour=red",
        "?state=active&state=paused",
    ] {
        assert_eq!(world.read(&format!("/v1/subscriptions{bad}")).await.status, 400, "{bad}");
    }
}

/// What a list has, page by page, and how many pages.
async fn pages(world: &World, path: &str, name: &str, limit: u8) -> (Vec<Value>, usize) {
    let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = world.read(&format!("{path}?limit={limit}{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let listed = page.body[name].as_array().unwrap();
        assert!(listed.len() <= usize::from(limit));
        all.extend(listed.iter().cloned());
        pages += 1;
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (all, pages),
        }
    }
}

#[tokio::test]
async fn charges_and_events_are_listed_page_by_page() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let other = world.subscribed("coffee").await;
    world.live_until(journeys::seoul("2027-03-23T10:05")).await;
    world.commanded(id, "charges/2-1/refund", json!({ "amount": 900, "reason": "" })).await;
    world.after(SignedDuration::from_mins(1)).await;
    let left = world.stack.events().await;

    let charges = format!("/v1/subscriptions/{id}/charges");
    let (paged, count) = pages(&world, &charges, "charges", 2).await;
    let whole = world.read(&charges).await.body;
    assert_eq!((&paged, count >= 3), (whole["charges"].as_array().unwrap(), true));
    let ids: Vec<&str> = paged.iter().map(|charge| charge["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1-1", "2-1", "3-1", "4-1", "5-1"]);
    assert_eq!(paged[1]["refunds"][0]["amount"], 900);

    let events = format!("/v1/subscriptions/{id}/events");
    let (mut paged, _) = pages(&world, &events, "events", 3).await;
    paged.reverse();
    let mut told: Vec<Value> = left
        .iter()
        .filter(|event| event.subscription.id == id)
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    assert_eq!(paged.last().unwrap()["type"], "charge.refunded");
    // Of one write, the order by id.
    let place = |event: &Value| event["id"].as_str().unwrap().to_owned();
    paged.sort_by_key(place);
    told.sort_by_key(place);
    assert_eq!(paged, told, "what has left, and nothing of {other}");
    for bad in ["?limit=0", "?limit=101", "?cursor=", "?cursor=%23", "?colour=red", "?limit=1&limit=2"] {
        for list in [&charges, &events] {
            assert_eq!(world.read(&format!("{list}{bad}")).await.status, 400, "{list}{bad}");
        }
    }
}

#[tokio::test]
async fn charges_are_listed_with_what_became_of_them() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.buyer.subscribe(id).await.unwrap();
    world.buyer.subscribe(id).await.unwrap();
    let charges = world.read(&format!("/v1/subscriptions/{id}/charges")).await.body;
    let shown: Vec<_> = charges["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["id"].as_str().unwrap(), c["status"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, [("1-1", "declined"), ("1-2", "paid")]);
    assert_eq!(world.read(&format!("/v1/subscriptions/{id}/charges/1-2")).await.body, charges["charges"][1]);
    for unknown in ["1-3", "0-0", "1", "x-1", "1-1-1", "+1-1"] {
        assert_eq!(world.read(&format!("/v1/subscriptions/{id}/charges/{unknown}")).await.status, 404, "{unknown}");
    }
}

/// A decline that was paid after all stands in another place of the table: pages are as long as was asked for, but for the last.
#[tokio::test]
async fn a_page_of_charges_is_full_or_the_last_where_some_have_moved() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(3))));
    world.live_until(seoul("2027-01-24T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"]);
    for limit in 1..=4 {
        let (mut periods, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.read(&format!("/v1/subscriptions/{id}/charges?limit={limit}{cursor}")).await.body;
            let charges = page["charges"].as_array().unwrap();
            periods.extend(charges.iter().map(|charge| charge["period"].as_u64().unwrap()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            assert_eq!(charges.len(), limit, "{page}");
            cursor = format!("&cursor={next}");
        }
        assert_eq!(periods, [1, 2, 3], "{limit}");
    }
}
