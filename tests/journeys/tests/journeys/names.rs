//! Whoever knows the merchant's code can open a payment window under any name. Names can't be guessed; and where somebody knows
//! one all the same, it stops nothing, calls nobody, and is told once.

use jiff::SignedDuration;
use journeys::{World, no_money, seoul};
use maedal::clock::Clock;
use maedal::events::Kind;
use maedal::subscription::{FindingKind, MerchantUid, Status, SubscriptionId};
use sandbox::buyer::Button;
use serde_json::json;
use simulator::{Call, Fault, Rule};

use crate::webhook::{told, webhook};

fn no_webhooks(world: &World) {
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
}

/// Takes a name: a window of 0 won, by the public code, under that name, for any `customer_uid`.
pub(crate) async fn squat(world: &World, name: MerchantUid, customer_uid: &str) {
    let session = world.session("coffee").await;
    let mut window = world.buyer.open_window(session).await.unwrap();
    window["request"]["merchant_uid"] = json!(name.to_string());
    window["request"]["customer_uid"] = json!(customer_uid);
    world.buyer.press(&window, Button::Approve).await.unwrap();
    assert!(world.stack.iamport().books().payments_of(&name.to_string()).any(|payment| payment.was_paid()));
}

/// Nobody was called, and the differences that were told, in order.
async fn found(world: &World, id: SubscriptionId) -> Vec<FindingKind> {
    let events = world.stack.events().await;
    assert!(!events.iter().any(|event| event.kind == Kind::NeedsReview), "{:?}", world.subscription(id).await.review);
    let told = events.into_iter().filter(|event| event.kind == Kind::BooksDiffer);
    told.map(|event| event.finding.unwrap().kind).collect()
}

#[tokio::test]
async fn whoever_takes_the_next_name_does_not_stop_the_charges() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    let session = world.session("coffee").await;
    let mut window = world.buyer.open_window(session).await.unwrap();
    window["request"]["merchant_uid"] = json!(MerchantUid::charge(id, 2, 1).to_string());
    window["request"]["customer_uid"] = json!("somebody-else");
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.live_until(seoul("2026-12-24T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.paid_through), (Status::Active, 2), "{:?}", s.review);
    assert_eq!(found(&world, id).await, [], "it is none of ours");
}

#[tokio::test]
async fn whoever_takes_the_name_of_a_declined_attempt_does_not_stop_the_charges() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    world.fault(Rule::once(Call::Again, no_money()));
    world.live_until(seoul("2026-12-23T12:00")).await;
    let session = world.session("coffee").await;
    let name = MerchantUid::charge(id, 2, 1).to_string();
    let mut window = world.buyer.open_window(session).await.unwrap();
    window["request"]["merchant_uid"] = json!(name);
    window["request"]["customer_uid"] = json!("somebody-else");
    world.buyer.press(&window, Button::Approve).await.unwrap();
    let body = told(&world, &name).pop().unwrap();
    assert_eq!(webhook(&world, &body).await.0, 200);
    let s = world.subscription(id).await;
    assert_eq!(s.status, Status::PastDue, "{:?}", s.review);
}

/// As if somebody had guessed it, for a key of their own or in the subscription's own name.
#[tokio::test]
async fn the_real_name_of_the_next_charge_is_only_used_up() {
    for own in [false, true] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        no_webhooks(&world);
        let customer_uid = if own { id.to_string() } else { "somebody-else".to_owned() };
        world.live_until(seoul("2026-12-23T09:50")).await;
        squat(&world, world.charge_name(id, 2, 1).await, &customer_uid).await;
        world.live_until(seoul("2026-12-26T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.dunning), (Status::Active, 2, None), "{own}");
        let charges = world.ledger(id).await.charges;
        let attempts: Vec<_> = charges.iter().map(|charge| (charge.attempt, charge.is_settled())).collect();
        assert_eq!(attempts, [(1, true), (1, false), (2, true)], "{own}");
        assert!(charges[2].settled_at < seoul("2026-12-23T11:00"), "the next name is tried at once");
        assert_eq!(found(&world, id).await, [FindingKind::UnknownCharge], "{own}");
    }
}

/// The attempt has left no trace, and the name is taken before it can be sent again.
#[tokio::test]
async fn the_real_name_of_the_attempt_in_flight_is_only_used_up() {
    for (webhooks, fault) in
        [(true, Fault::CutBeforeEffect), (false, Fault::CutBeforeEffect), (false, Fault::ErrorBeforeEffect(503))]
    {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        if !webhooks {
            no_webhooks(&world);
        }
        world.fault(Rule::once(Call::Again, fault));
        world.live_until(seoul("2026-12-23T10:02")).await;
        let name = world.subscription(id).await.in_flight.unwrap().merchant_uid;
        assert_eq!(name, world.charge_name(id, 2, 1).await);
        squat(&world, name, "somebody-else").await;
        world.live_until(seoul("2026-12-26T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through, s.dunning), (Status::Active, 2, None), "{webhooks}");
        assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"], "{webhooks}");
        assert_eq!(found(&world, id).await, [FindingKind::UnknownCharge], "{webhooks}");
    }
}

#[tokio::test]
async fn the_real_name_of_a_declined_attempt_is_no_late_payment() {
    for webhooks in [true, false] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        no_webhooks(&world);
        world.fault(Rule::once(Call::Again, no_money()));
        world.live_until(seoul("2026-12-23T12:00")).await;
        let name = world.charge_name(id, 2, 1).await;
        squat(&world, name, "somebody-else").await;
        if webhooks {
            for _ in 0..2 {
                let body = told(&world, &name.to_string()).pop().unwrap();
                assert_eq!(webhook(&world, &body).await.0, 200);
                world.after(SignedDuration::from_mins(1)).await;
            }
        }
        assert_eq!(world.subscription(id).await.status, Status::PastDue, "{webhooks}");
        world.live_until(seoul("2026-12-26T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.paid_through), (Status::Active, 2), "{webhooks}");
        assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"], "{webhooks}");
        assert_eq!(found(&world, id).await, [FindingKind::UnknownCharge], "{webhooks}");
    }
}

/// The browser sees a window's name, a receipt the name of a charge that was made. The table has the key, and nobody else.
#[tokio::test]
async fn what_anybody_is_shown_says_nothing_of_the_next_name() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T12:00")).await;
    let s = world.subscription(id).await;
    let key = serde_json::to_value(s.name_key.unwrap()).unwrap().as_str().unwrap().to_owned();
    let next = s.charge_name(3, 1).to_string();
    assert_eq!(
        s.next_charge(world.stack.clock.now(), &world.stack.billing.policy).unwrap().merchant_uid.to_string(),
        next
    );
    let mut shown = vec![format!("{s:?}")];
    shown.extend([
        world.read(&format!("/v1/subscriptions/{id}")).await.body.to_string(),
        world.read(&format!("/v1/subscriptions/{id}/charges")).await.body.to_string(),
    ]);
    shown.extend(world.stack.events().await.iter().map(|event| serde_json::to_string(event).unwrap()));
    for text in shown {
        assert!(!text.contains(&key) && !text.contains("name_key: Some(NameKey("), "{text}");
        assert!(!text.contains(&next), "{text}");
    }
}
