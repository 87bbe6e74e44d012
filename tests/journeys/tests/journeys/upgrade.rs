//! Two versions of the code on one table: what an earlier one wrote is read, charged and settled as it was meant, and what a
//! later one wrote is neither lost nor harmed.

use journeys::{World, seoul};
use maedal::clock::Clock;
use maedal::subscription::{Status, SubscriptionId};
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

const ID: &str = "01M82YNFM031GV1X6H4Q60TTAA";
/// As the version of November 2026 wrote them: a subscriber with the first charge, the same with the second one in flight, and
/// past due after the third was declined.
const ACTIVE: &str = include_str!("../../golden/2026-11/active.json");
const IN_FLIGHT: &str = include_str!("../../golden/2026-11/in-flight.json");
const PAST_DUE: &str = include_str!("../../golden/2026-11/past-due.json");

fn id() -> SubscriptionId {
    ID.parse().unwrap()
}

/// DynamoDB's own JSON, past all of our code.
fn put(world: &World, item: &Value) {
    let request = json!({ "TableName": sandbox::stack::TABLE, "Item": item });
    world.stack.database().put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn item(world: &World, sk: &str) -> Value {
    let key = json!({ "pk": { "S": format!("SUB#{ID}") }, "sk": { "S": sk } });
    let request = json!({ "TableName": sandbox::stack::TABLE, "Key": key });
    let answer = world.stack.database().get_item(serde_json::from_value(request).unwrap()).unwrap();
    serde_json::to_value(answer).unwrap()["Item"].clone()
}

/// A world with the items of an earlier version, changed by `change`, whose buyer's key I'mport has.
async fn upgraded(items: &str, change: impl Fn(&mut Value)) -> World {
    let world = World::new().await;
    let now = world.stack.clock.now();
    world.stack.iamport().seed_key(ID, now);
    let items: Vec<Value> = serde_json::from_str(items).unwrap();
    for mut item in items {
        change(&mut item);
        put(&world, &item);
    }
    world
}

fn as_it_was(_: &mut Value) {}

#[tokio::test]
async fn a_subscription_of_an_earlier_version_renews_as_it_was_meant() {
    let world = upgraded(ACTIVE, as_it_was).await;
    assert_eq!(world.subscription(id()).await.status, Status::Active);
    world.live_until(seoul("2027-01-24T12:00")).await;
    let s = world.subscription(id()).await;
    assert_eq!((s.status, s.paid_through, world.payments()), (Status::Active, 3, 2));
    assert_eq!(world.outcomes(id()).await, ["paid", "paid", "paid"]);
    let answer = world.commanded(id(), "cancel", json!({ "when": "now", "refund": "unused" })).await;
    assert_eq!(answer["status"], "canceled");
    world.live_until(seoul("2027-01-25T12:00")).await;
    let refunded: Vec<bool> = world.ledger(id()).await.charges.iter().map(|c| c.refunded.get() > 0).collect();
    assert_eq!(refunded, [false, false, true]);
}

#[tokio::test]
async fn an_attempt_that_an_earlier_version_left_in_flight_is_settled_under_its_name() {
    let world = upgraded(IN_FLIGHT, as_it_was).await;
    world.live_until(seoul("2026-12-23T12:00")).await;
    let s = world.subscription(id()).await;
    assert_eq!((s.status, s.paid_through, s.in_flight), (Status::Active, 2, None));
    let names: Vec<String> =
        world.stack.iamport().books().payments().iter().map(|p| p.order.merchant_uid.clone()).collect();
    assert_eq!(names, [format!("{ID}C00002001")]);
}

#[tokio::test]
async fn a_subscription_that_was_past_due_in_an_earlier_version_is_dunned_on() {
    let world = upgraded(PAST_DUE, as_it_was).await;
    world.fault(Rule::once(Call::Again, Fault::Decline { message: "잔액이 부족합니다.".to_owned() }));
    world.live_until(seoul("2027-01-29T12:00")).await;
    let s = world.subscription(id()).await;
    assert_eq!((s.status, s.paid_through), (Status::Active, 3));
    assert_eq!(world.outcomes(id()).await, ["paid", "paid", "declined", "declined", "paid"]);
}

/// What a newer version might add to an item of its kind, at the top and inside.
fn with_news(item: &mut Value) {
    item["from_the_future"] = json!({ "M": { "coupon": { "S": "half" }, "left": { "N": "2" } } });
    for nested in ["plan", "payment_method"] {
        if item[nested].is_object() {
            item[nested]["M"]["from_the_future"] = json!({ "S": nested });
        }
    }
}

#[tokio::test]
async fn what_a_newer_version_has_written_outlives_the_writes_of_this_one() {
    let world = upgraded(ACTIVE, with_news).await;
    world.live_until(seoul("2026-12-24T12:00")).await;
    world.commanded(id(), "pause", json!({})).await;
    world.commanded(id(), "resume", json!({})).await;
    world.live_until(seoul("2027-01-23T12:00")).await;
    assert_eq!(world.subscription(id()).await.paid_through, 3);
    let is = item(&world, "SUB");
    assert_eq!(is["from_the_future"], json!({ "M": { "coupon": { "S": "half" }, "left": { "N": "2" } } }));
    for nested in ["plan", "payment_method"] {
        assert_eq!(is[nested]["M"]["from_the_future"], json!({ "S": nested }));
    }
}

#[tokio::test]
async fn what_a_newer_version_knows_of_a_charge_outlives_its_refund() {
    let world = upgraded(ACTIVE, with_news).await;
    let path = format!("/v1/subscriptions/{ID}/charges/1-1/refund");
    let books = json!({ "amount": 1_000, "reason": "asked" });
    assert_eq!(world.call(http::Method::POST, &path, &books, None).await.status, 202);
    let is = item(&world, "CHARGE#00001#001");
    assert_eq!(
        (&is["refund"]["M"]["amount"]["N"], &is["from_the_future"]["M"]["left"]),
        (&json!("1000"), &json!({ "N": "2" }))
    );
}

#[tokio::test]
async fn what_only_a_newer_version_understands_is_left_to_it_and_charged_by_it_alone() {
    let newer = |item: &mut Value| item["schema"] = json!({ "N": "99" });
    let world = upgraded(ACTIVE, newer).await;
    let before = item(&world, "SUB");
    for _ in 0..4 {
        world.at(seoul("2026-12-23T10:05")).await;
    }
    assert_eq!((item(&world, "SUB"), world.payments()), (before.clone(), 0), "no harm is done");
    let path = format!("/v1/subscriptions/{ID}/cancel");
    let answer = world.call(http::Method::POST, &path, &json!({ "when": "now" }), None).await;
    assert_eq!((answer.status, item(&world, "SUB")), (503, before.clone()));
    // The next try is the newer version's; here, this one understands it again.
    let mut understood = before;
    understood["schema"] = json!({ "N": "1" });
    put(&world, &understood);
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!((world.subscription(id()).await.paid_through, world.payments()), (2, 1));
}
