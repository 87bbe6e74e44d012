//! A buyer wants to be forgotten.

use http::Method;
use journeys::{World, seoul};
use maedal::subscription::Buyer;
use serde_json::{Value, json};

#[tokio::test]
async fn a_buyers_data_is_erased_and_the_ledger_stays() {
    let world = World::new().await;
    let (id, other) =
        (world.subscribed("coffee").await, world.buyer.open_session("coffee", "고객/2").await.unwrap().unwrap());
    world.live_until(seoul("2026-12-23T12:00")).await;
    world.stack.events().await;
    assert!(world.stack.back_up().unwrap().contains("김매달"));
    let before = world.ledger(id).await;

    let erase = |path: &'static str| async { world.call(Method::DELETE, path, &Value::Null, None).await };
    assert_eq!(
        erase("/v1/customers/customer-1/data").await.body,
        json!({ "customer_id": "customer-1", "subscriptions": 1, "erased": 1 })
    );
    assert_eq!(erase("/v1/customers/customer-1/data").await.body["erased"], 0, "again is as good as once");
    assert_eq!(world.stack.billing.store.buyer(id).await.unwrap(), Buyer::default());
    assert!(world.stack.billing.store.buyer(other).await.unwrap().name.is_some(), "somebody else's");
    assert_eq!(erase("/v1/customers/%EA%B3%A0%EA%B0%9D%2F2/data").await.body["erased"], 1);
    assert_eq!(erase("/v1/customers/nobody/data").await.status, 404);

    let left = world.stack.back_up().unwrap();
    for private in ["김매달", "buyer@shop.example", "010-1234-5678"] {
        assert!(!left.contains(private), "{private} is in the table still");
    }
    assert_eq!(world.ledger(id).await, before);
    world.live_until(seoul("2027-01-23T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"]);
    world.reconciled(&[id]).await;
}
