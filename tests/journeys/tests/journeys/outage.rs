//! I'mport refuses for hours: workers slow down, the due list waits, and then everybody is charged once.

use jiff::SignedDuration;
use journeys::{World, seoul};
use maedal::clock::Clock;
use sandbox::crowd::copies;
use simulator::{Call, Fault, Rule};

#[tokio::test]
async fn an_outage_is_not_hammered_and_everybody_is_charged_once_after_it() {
    const SUBSCRIBERS: usize = 40;
    let world = World::new().await;
    let model = world.subscribed("coffee").await;
    copies(&world.stack, model, SUBSCRIBERS - 1).unwrap();

    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Again));
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    let before = world.stack.billing.iamport.calls();
    world.stack.clock.set(seoul("2026-12-23T10:05"));
    let first = world.stack.tick().await.unwrap();
    while !world.stack.charge_batch().await.is_empty() {}
    let asked = world.stack.billing.iamport.calls() - before;
    assert_eq!(first.sent, SUBSCRIBERS);
    assert!((5..=10).contains(&asked), "one batch at most, then the brake: {asked} calls");

    // Two hours of it: a probe now and then, and the metric of what waits grows.
    let mut last = first;
    for _ in 0..24 {
        world.stack.clock.set(world.stack.clock.now() + SignedDuration::from_mins(5));
        last = world.stack.tick().await.unwrap();
        while !world.stack.charge_batch().await.is_empty() {}
    }
    let asked = world.stack.billing.iamport.calls() - before;
    assert!(asked < 100, "{asked} calls in two hours for {SUBSCRIBERS} subscribers");
    assert!(last.oldest_ms >= SignedDuration::from_mins(110).as_millis() as i64, "{last:?}");
    assert_eq!(world.payments(), 1, "nobody was charged");

    world.no_faults();
    // What was sent into the outage is in doubt, and is looked up within a day.
    world.live_until(seoul("2026-12-24T20:00")).await;
    assert_eq!(world.payments(), 1 + SUBSCRIBERS, "everybody was, once");
    let books = world.stack.iamport();
    let paid: std::collections::BTreeSet<_> = books.books().payments().iter().map(|p| &p.order.merchant_uid).collect();
    assert_eq!(paid.len(), 2 + SUBSCRIBERS, "the billing key, the first charge, and one renewal each");
}
