//! What the merchant's systems hear.

use std::collections::BTreeSet;

use journeys::{World, no_money, seoul};
use maedal::clock::Clock;
use maedal::events::{DomainEvent, Kind};
use maedal::subscription::Won;
use simulator::{Call, Rule};

fn words(events: &[DomainEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.word()).collect()
}

#[tokio::test]
async fn a_subscription_is_told_from_its_session_to_its_refund() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let subscribed = world.stack.events().await;
    assert_eq!(
        words(&subscribed),
        ["subscription.created", "subscription.payment_method_changed", "subscription.activated", "charge.paid"]
    );

    world.live_until(seoul("2026-12-23T12:00")).await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.live_until(seoul("2027-01-23T12:00")).await;
    world.live_until(seoul("2027-01-24T12:00")).await;
    let renewed = &world.stack.events().await[subscribed.len()..];
    assert_eq!(
        words(renewed),
        [
            "subscription.renewed",
            "charge.paid",
            "subscription.past_due",
            "charge.declined",
            "subscription.renewed",
            "charge.paid",
        ]
    );
    assert_eq!(renewed[3].charge.as_ref().unwrap().decline_reason.as_deref(), Some("잔액이 부족합니다."));
    assert_eq!(renewed[2].subscription.next_charge.as_ref().unwrap().at, seoul("2027-01-24T10:00"));
    assert_eq!(renewed[2].occurred_at, seoul("2027-01-23T10:00"));

    // Somebody gives the first payment back in I'mport's console, and a webhook says so.
    let paid = world.ledger(id).await.charges[0].payment().unwrap().imp_uid.to_string();
    let now = world.stack.clock.now();
    world.stack.iamport().cancel_in_console(&paid, None, now).unwrap();
    world.stack.turn().await.unwrap();
    let all = world.stack.events().await;
    let refund = all.last().unwrap();
    assert_eq!((refund.kind, refund.refund), (Kind::ChargeRefunded, Some(Won::new(9_900))));

    let versions: Vec<u64> = all.iter().filter(|event| event.refund.is_none()).map(|event| event.version).collect();
    assert!(versions.is_sorted(), "{versions:?}");
    let ids: BTreeSet<&str> = all.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each event has an id of its own");
    for event in &all {
        assert_eq!(event.subscription.id, id);
        let told = serde_json::to_string(event).unwrap();
        for private in ["김매달", "buyer@shop.example", "010-1234-5678"] {
            assert!(!told.contains(private), "{told}");
        }
    }
}
