//! What waits for a person, and each way out of it: decided with who and why, carried out, and not found again.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use journeys::{Answer, World, seoul};
use maedal::billing::Span;
use maedal::clock::Clock;
use maedal::events::{DomainEvent, Kind};
use maedal::iamport::Again;
use maedal::store::Entry;
use maedal::subscription::{Charge, Status, SubscriptionId, Won};
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

use crate::reconcile::paid_only_here;
use crate::webhook::{told, webhook};

async fn decide(world: &World, id: SubscriptionId, action: &str) -> Answer {
    let answer = world.command(id, "repair", json!({ "action": action, "reason": "checked in the console" })).await;
    // The decision, and the refund that may follow from it.
    for _ in 0..2 {
        Box::pin(world.after(SignedDuration::from_mins(2))).await;
    }
    answer
}

async fn reviews(world: &World) -> Vec<Value> {
    world.read("/v1/reviews").await.body["reviews"].as_array().unwrap().clone()
}

async fn found(world: &World) -> usize {
    let to = world.stack.clock.now();
    let from = to.saturating_sub(SignedDuration::from_hours(24 * 60)).unwrap();
    Box::pin(world.stack.billing.reconcile(Span { from, to }, Duration::from_secs(60))).await.unwrap().found
}

/// The second period was charged behind our back, with 100 won, and reconciling has found it.
async fn wrong_amount(world: &World) -> SubscriptionId {
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.live_until(seoul("2026-12-01T12:00")).await;
    let (customer_uid, name) = (id.into(), world.charge_name(id, 2, 1).await);
    let again = Again {
        customer_uid: &customer_uid,
        merchant_uid: name,
        amount: Won::new(100),
        name: "coffee",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(found(world).await, 1);
    id
}

/// The second period's attempt has no outcome for more than seven days.
async fn unresolved(world: &World, fault: Fault) -> SubscriptionId {
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::once(Call::Again, fault));
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    world.live_until(seoul("2027-01-02T12:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
    world.no_faults();
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    id
}

#[tokio::test]
async fn a_review_shows_both_sides_and_a_decision_who_and_why() {
    let world = World::new().await;
    let id = wrong_amount(&world).await;
    let shown = reviews(&world).await;
    assert_eq!((shown.len(), &shown[0]["id"], &shown[0]["was"]), (1, &json!(id.to_string()), &json!("active")));
    let finding = &shown[0]["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["there"], &finding["here"]),
        (&json!("differs"), &json!({ "amount": 100, "refunded": 0 }), &Value::Null)
    );
    let before = world.subscription(id).await.version;
    let old = json!({ "action": "accept", "reason": "x", "version": before - 1 });
    assert_eq!(world.command(id, "repair", old).await.word(), "409 version");
    assert_eq!(world.command(id, "repair", json!({ "action": "accept", "reason": "" })).await.status, 422);

    let decided = world.command(id, "repair", json!({ "action": "refund", "reason": "our mistake" })).await;
    assert_eq!((decided.status, &decided.body["under_way"]), (202, &json!("refund")));
    let again = world.command(id, "repair", json!({ "action": "accept", "reason": "x" })).await;
    assert_eq!(again.word(), "409 repair_under_way");
    world.after(SignedDuration::from_mins(2)).await;
    assert!(reviews(&world).await.is_empty());
    let audits = world.stack.billing.store.audits(id).await.unwrap();
    assert_eq!(audits.len(), 1);
    assert_eq!((audits[0].by.as_str(), audits[0].reason.as_str()), ("unsigned", "our mistake"));
    assert!(audits[0].review.contains("100"), "{audits:?}");
    assert_eq!(decide(&world, id, "accept").await.word(), "409 nothing_to_repair");
}

#[tokio::test]
async fn a_wrong_amount_is_accepted_or_goes_back_or_is_written_off_and_never_found_again() {
    for (action, paid_through, standing, payments) in
        [("accept", 2, 9_900 + 100, 2), ("refund", 1, 9_900, 2), ("write_off", 1, 9_900, 2)]
    {
        let world = World::new().await;
        let id = wrong_amount(&world).await;
        assert_eq!(decide(&world, id, action).await.status, 202, "{action}");
        let subscription = world.subscription(id).await;
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, paid_through), "{action}");
        assert_eq!(world.ledger(id).await.standing(), Won::new(standing), "{action}");
        assert_eq!(world.payments(), payments, "{action}");
        assert_eq!(found(&world).await, 0, "{action}");
        // Life goes on: the period is charged as planned, unless it was accepted as paid.
        world.live_until(seoul("2027-01-10T12:00")).await;
        let subscription = world.subscription(id).await;
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2), "{action}");
        assert_eq!(found(&world).await, 0, "{action}");
        if action != "write_off" {
            world.reconciled(&[id]).await;
        }
    }
}

#[tokio::test]
async fn an_attempt_without_an_outcome_is_what_imports_side_shows_or_is_looked_up_anew() {
    for (fault, action, paid, next) in [
        (Fault::CutAfterEffect, "accept", true, None),
        (Fault::CutBeforeEffect, "accept", false, None),
        (Fault::CutAfterEffect, "retry", true, None),
        (Fault::CutAfterEffect, "refund", false, Some((2, true))),
    ] {
        let world = World::new().await;
        let id = unresolved(&world, fault.clone()).await;
        assert_eq!(reviews(&world).await[0]["attempt"]["period"], 2);
        assert_eq!(decide(&world, id, action).await.status, 202);
        let subscription = world.subscription(id).await;
        assert_eq!(subscription.review, None, "{action}");
        // The next attempt waits, unsent, until the money is back.
        let waits = subscription.doubt.is_some_and(|doubt| doubt.unsent);
        assert_eq!(subscription.in_flight.map(|intent| (intent.attempt, waits)), next, "{action}");
        let second = world.ledger(id).await.charges.into_iter().find(|charge| charge.period == 2).unwrap();
        assert_eq!(second.standing() > Won::ZERO, paid, "{fault:?} {action}");
        world.live_until(seoul("2027-01-20T12:00")).await;
        let subscription = world.subscription(id).await;
        assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2), "{fault:?} {action}");
        world.reconciled(&[id]).await;
    }
}

/// I'mport is asked, and doesn't answer: the decision waits for it.
#[tokio::test]
async fn a_decision_waits_until_imports_side_can_be_asked() {
    let world = World::new().await;
    let id = unresolved(&world, Fault::CutAfterEffect).await;
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    decide(&world, id, "accept").await;
    assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
    world.no_faults();
    world.after(SignedDuration::from_mins(10)).await;
    assert_eq!((world.subscription(id).await.status, world.payments()), (Status::Active, 2));
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_payment_that_only_the_ledger_has_is_struck_out_or_left() {
    for (action, standing) in [("accept", 9_900), ("write_off", 19_800)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.live_until(seoul("2026-12-22T12:00")).await;
        paid_only_here(&world, id, "imp_999999999999", seoul("2026-12-22T11:00")).await;
        assert_eq!(found(&world).await, 1);
        assert_eq!(decide(&world, id, action).await.status, 202);
        assert_eq!(world.ledger(id).await.standing(), Won::new(standing), "{action}");
        assert_eq!((world.subscription(id).await.status, found(&world).await), (Status::Active, 0), "{action}");
    }
}

/// What was struck out leaves the period's place in the ledger to another payment, of the same name or of the next: that is told,
/// too, and under an id of its own.
#[tokio::test]
async fn a_payment_that_takes_the_place_of_one_that_was_struck_out_is_told() {
    for attempt in [1, 2] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-22T12:00")).await;
        paid_only_here(&world, id, "imp_999999999999", seoul("2026-12-22T11:00")).await;
        assert_eq!(found(&world).await, 1);
        decide(&world, id, "accept").await;

        let (customer_uid, name) = (id.into(), world.charge_name(id, 2, attempt).await);
        let again = Again {
            customer_uid: &customer_uid,
            merchant_uid: name,
            amount: Won::new(9_900),
            name: "coffee",
            tax_free: None,
        };
        world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
        world.after(SignedDuration::from_hours(1)).await;
        assert_eq!(found(&world).await, 0);
        assert_eq!(world.outcomes(id).await.last(), Some(&"paid"), "{attempt}");
        let shown = world.stack.iamport().books().payments_of(&name.to_string()).next().unwrap().imp_uid.clone();
        let events = world.stack.events().await;
        let paid = |event: &&DomainEvent| event.kind == Kind::ChargePaid;
        let told: Vec<_> = events.iter().filter(paid).map(|event| event.charge.clone().unwrap().imp_uid).collect();
        assert_eq!(told.len(), 3, "{attempt}: {told:?}");
        assert_eq!(told[2].as_ref().map(ToString::to_string), Some(shown), "{attempt}");
        let ids: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), events.len(), "{attempt}");
    }
}

/// Both books have the payment, and differ in how much it was or in what went back: I'mport's is taken over, or all goes back.
#[tokio::test]
async fn a_payment_that_differs_becomes_what_imports_side_shows() {
    for (differs, action, standing) in [
        ("amount", "accept", 9_900 + 100),
        ("amount", "refund", 9_900),
        ("refunded", "accept", 9_900),
        ("refunded", "refund", 9_900),
    ] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.live_until(seoul("2026-12-01T12:00")).await;
        let (billing, now) = (&world.stack.billing, world.stack.clock.now());
        let expected = if differs == "amount" {
            let (customer_uid, name) = (id.into(), world.charge_name(id, 2, 1).await);
            let again = Again {
                customer_uid: &customer_uid,
                merchant_uid: name,
                amount: Won::new(100),
                name: "coffee",
                tax_free: None,
            };
            billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
            let imp_uid = world.stack.iamport().books().payments_of(&name.to_string()).next().unwrap().imp_uid.clone();
            paid_only_here(&world, id, &imp_uid, now).await;
            json!({ "kind": "differs", "here": [9_900, 0], "there": [100, 0] })
        } else {
            let was = world.ledger(id).await.charges.remove(0);
            let is = Charge { refunded: Won::new(3_000), ..was.clone() };
            billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
            json!({ "kind": "refund_differs", "here": [9_900, 3_000], "there": [9_900, 0] })
        };
        world.after(SignedDuration::from_hours(1)).await;
        assert_eq!(found(&world).await, 1, "{differs}");
        let shown = &reviews(&world).await[0]["findings"][0];
        let side = |side: &Value| json!([side["amount"], side["refunded"]]);
        let told = json!({ "kind": shown["kind"], "here": side(&shown["here"]), "there": side(&shown["there"]) });
        assert_eq!(told, expected);
        assert_eq!(decide(&world, id, action).await.status, 202);
        let subscription = world.subscription(id).await;
        assert_eq!(subscription.status, Status::Active, "{differs} {action}");
        assert_eq!(world.ledger(id).await.standing(), Won::new(standing), "{differs} {action}");
        assert_eq!(found(&world).await, 0, "{differs} {action}");
        world.reconciled(&[id]).await;
    }
}

/// Under the name of a declined attempt, with another amount, of which a part has gone back: the attempt becomes what was decided,
/// and is no news any more, however often a webhook tells of it.
#[tokio::test]
async fn a_declined_attempt_that_was_paid_otherwise_is_decided_once() {
    for (action, outcomes, standing, status) in [
        ("write_off", ["paid", "declined"], 9_900, Status::PastDue),
        ("accept", ["paid", "paid"], 9_900 + 60, Status::Active),
        ("refund", ["paid", "paid"], 9_900, Status::PastDue),
    ] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.fault(Rule::once(Call::Again, journeys::no_money()));
        world.live_until(seoul("2026-12-23T12:00")).await;
        let (customer_uid, name) = (id.into(), world.charge_name(id, 2, 1).await);
        let again = Again {
            customer_uid: &customer_uid,
            merchant_uid: name,
            amount: Won::new(100),
            name: "coffee",
            tax_free: None,
        };
        world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
        let body = told(&world, &name.to_string()).pop().unwrap();
        assert_eq!(webhook(&world, &body).await.0, 200);
        assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
        let now = world.stack.clock.now();
        {
            let mut iamport = world.stack.iamport();
            let imp_uid = iamport.books().payments_of(&name.to_string()).next_back().unwrap().imp_uid.clone();
            iamport.cancel_in_console(&imp_uid, Some(40), now).unwrap();
        }
        world.after(SignedDuration::from_mins(20)).await;
        assert_eq!(found(&world).await, 1);

        decide(&world, id, action).await;
        assert_eq!(world.subscription(id).await.status, status, "{action}");
        assert_eq!(world.outcomes(id).await, outcomes, "{action}");
        assert_eq!(world.ledger(id).await.standing(), Won::new(standing), "{action}");
        assert_eq!(webhook(&world, &body).await.0, 200);
        let subscription = world.subscription(id).await;
        assert_eq!((subscription.status, subscription.review), (status, None), "{action}");
        if action != "write_off" {
            world.reconciled(&[id]).await;
        }
    }
}

/// Paused, then a review of something else, then late truth about a period that was skipped, then the review ends.
#[tokio::test]
async fn a_pause_outlives_a_review() {
    let world = World::new().await;
    world
        .put_plan("daily", json!({ "name": "매일", "amount": 1_000, "interval": { "unit": "day", "count": 1 } }))
        .await;
    let id = world.subscribed("daily").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(4 * 24))));
    world.live_until(seoul("2026-11-25T11:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"], "the second day was skipped");
    world.commanded(id, "pause", json!({})).await;
    let was = world.ledger(id).await.charges.remove(0);
    let is = Charge { refunded: Won::new(300), ..was.clone() };
    world.stack.billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
    world.live_until(seoul("2026-11-26T03:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.review.unwrap().was), (Status::NeedsReview, Status::Paused));
    world.live_until(seoul("2026-11-28T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"], "late truth");
    decide(&world, id, "accept").await;
    world.live_until(seoul("2026-12-01T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.payments()), (Status::Paused, 3), "{:?}", world.outcomes(id).await);
}

/// A repair has used up the name of the next attempt; a change of plan keeps the period, and so goes on behind it.
#[tokio::test]
async fn no_name_is_used_twice_where_the_plan_changes_after_a_repair() {
    let world = World::new().await;
    world.put_plan("double", json!({ "name": "두 배", "amount": 19_800, "interval": journeys::monthly() })).await;
    let id = wrong_amount(&world).await;
    decide(&world, id, "refund").await;
    assert_eq!((world.subscription(id).await.period, world.subscription(id).await.attempts), (2, 1));
    world.live_until(seoul("2026-12-03T10:00")).await;
    world.commanded(id, "change-plan", json!({ "plan": "double", "when": "now" })).await;
    world.live_until(seoul("2026-12-04T10:00")).await;
    let charges = world.ledger(id).await.charges;
    let attempts: Vec<_> = charges.iter().map(|charge| (charge.period, charge.attempt, charge.duplicate)).collect();
    assert_eq!(attempts, [(1, 1, false), (2, 1, true), (2, 2, false)]);
    assert_eq!((world.subscription(id).await.status, world.subscription(id).await.paid_through), (Status::Active, 2));
    world.reconciled(&[id]).await;
}

/// I'mport doesn't let go of a billing key: asked on eight days, then a person decides.
#[tokio::test]
async fn a_billing_key_that_cannot_be_deleted_is_asked_for_daily_and_then_waits_for_a_person() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::Refuse { code: -1, message: "삭제할 수 없습니다.".into() }).on(Call::Customer));
    world.delete_key(id).await;
    world.after(SignedDuration::from_mins(1)).await;
    let begun = world.stack.clock.now();
    for (tries, due) in [(1, SignedDuration::from_mins(5)), (2, SignedDuration::from_hours(24))] {
        let deletion = world.subscription(id).await.key_deletion.unwrap();
        let wait = deletion.due_at.duration_since(world.stack.clock.now());
        assert_eq!(
            (deletion.tries, wait > due - SignedDuration::from_mins(2) && wait <= due),
            (tries, true),
            "{wait:?}"
        );
        world.live_until(deletion.due_at.saturating_add(SignedDuration::from_mins(1)).unwrap()).await;
    }
    world.live_until(begun.saturating_add(SignedDuration::from_hours(24 * 6)).unwrap()).await;
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.live_until(begun.saturating_add(SignedDuration::from_hours(24 * 7)).unwrap()).await;
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.key_deletion.unwrap().tries), (Status::NeedsReview, 8));

    world.no_faults();
    assert_eq!(decide(&world, id, "retry").await.status, 202);
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.key_deletion), (Status::Active, None));
    assert!(subscription.payment_method.unwrap().deleted);
    assert!(world.stack.iamport().books().key(&id.to_string()).is_none());
}

/// I'mport refuses a refund eight times: then a person decides.
#[tokio::test]
async fn a_refund_that_is_refused_again_and_again_is_asked_for_anew_or_given_up() {
    for (action, given_back) in [("retry", true), ("write_off", false)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::Refuse { code: 1, message: "취소할 수 없습니다.".into() }).on(Call::Cancel));
        world.commanded(id, "charges/1-1/refund", json!({ "reason": "a test" })).await;
        world.live_until(seoul("2026-12-05T12:00")).await;
        assert!(reviews(&world).await[0]["refunds"][0]["tries"].as_u64().unwrap() >= 8);
        world.no_faults();
        assert_eq!(decide(&world, id, action).await.status, 202);
        world.after(SignedDuration::from_mins(10)).await;
        let charge = world.ledger(id).await.charges[0].clone();
        assert_eq!((charge.standing() == Won::ZERO, charge.refund), (given_back, None), "{action}");
        assert_eq!(world.subscription(id).await.status, Status::Active);
        world.reconciled(&[id]).await;
    }
}

/// What a person was called for only because I'mport wouldn't ends by itself once I'mport does.
#[tokio::test]
async fn a_review_ends_where_what_it_waited_for_is_done() {
    let refuse = |message: &str| Fault::Refuse { code: -1, message: message.to_owned() };
    let world = World::new().await;
    let (refunded, left) = (world.subscribed("coffee").await, world.subscribed("coffee").await);
    world.fault(Rule::always(refuse("취소할 수 없습니다.")).on(Call::Cancel));
    world.fault(Rule::always(refuse("삭제할 수 없습니다.")).on(Call::Customer));
    world.commanded(refunded, "charges/1-1/refund", json!({ "reason": "a test" })).await;
    world.delete_key(left).await;
    world.live_until(seoul("2026-12-05T12:00")).await;
    for id in [refunded, left] {
        assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
    }
    world.no_faults();
    world.live_until(seoul("2026-12-07T12:00")).await;
    for id in [refunded, left] {
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.review, s.key_deletion), (Status::Active, None, None));
    }
    assert_eq!(world.ledger(refunded).await.charges[0].standing(), Won::ZERO);
    assert!(world.subscription(left).await.payment_method.unwrap().deleted);
    world.reconciled(&[refunded, left]).await;
}

/// A person is called for something else while an attempt is under way: what I'mport doesn't show yet isn't declined.
#[tokio::test]
async fn a_decision_about_an_attempt_waits_until_im_port_would_show_it() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.live_until(seoul("2026-12-23T09:59")).await;
    // The books differ in a refund, which is found while the renewal is under way: I'mport gets to it at 10:05.
    let was = world.ledger(id).await.charges.remove(0);
    let is = Charge { refunded: Won::new(3_000), ..was.clone() };
    world.stack.billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
    world.fault(Rule::once(Call::Again, Fault::CutThenEffect(SignedDuration::from_mins(5))));
    world.at(seoul("2026-12-23T10:00")).await;
    assert!(world.subscription(id).await.in_flight.is_some());
    world.stack.clock.set(seoul("2026-12-23T10:00:20"));
    assert_eq!(found(&world).await, 1);
    assert_eq!(world.subscription(id).await.status, Status::NeedsReview);

    assert_eq!(decide(&world, id, "accept").await.status, 202);
    assert_eq!(world.stack.clock.now(), seoul("2026-12-23T10:04:20"));
    assert!(world.subscription(id).await.in_flight.is_some(), "nobody knows yet");
    world.command(id, "retry", json!({})).await;
    world.live_until(seoul("2026-12-23T10:20")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!((world.payments(), world.subscription(id).await.status), (2, Status::Active));
}

/// The deletion of a billing key was accepted and is under way; an operator settles another difference meanwhile.
#[tokio::test]
async fn a_repair_of_something_else_keeps_the_deletion_of_a_key() {
    for action in ["accept", "refund", "write_off", "retry"] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        let refusal = Fault::Refuse { code: -1, message: "잠시 후 다시".into() };
        world.fault(Rule::always(refusal).on(Call::Customer));
        assert_eq!(world.delete_key(id).await.status, 200);
        world.after(SignedDuration::from_mins(1)).await;
        assert_eq!(world.subscription(id).await.key_deletion.unwrap().tries, 1);
        let was = world.ledger(id).await.charges.remove(0);
        let is = Charge { refunded: Won::new(3_000), ..was.clone() };
        world.stack.billing.store.write(&[Entry::Changed { was, is }]).await.unwrap();
        world.live_until(seoul("2026-11-24T03:00")).await;
        assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
        if action == "accept" {
            world.no_faults();
        }
        decide(&world, id, action).await;
        world.live_until(seoul("2026-11-24T12:00")).await;
        world.no_faults();
        world.live_until(seoul("2026-12-24T12:00")).await;
        let s = world.subscription(id).await;
        let method = s.payment_method.clone().unwrap();
        let charged = world.payments();
        assert!(method.deleted && charged == 1, "{action}: deleted: {}, payments: {charged}", method.deleted);
    }
}

/// In the words of a refusal that says nothing of the key.
#[tokio::test]
async fn a_refused_look_up_of_a_key_is_no_word_that_it_is_deleted() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let refusal =
        Fault::Refuse { code: 1, message: "비인증결제모듈 사용정보를 찾을 수 없습니다.".into() };
    world.fault(Rule::always(refusal).on(Call::Customer));
    assert_eq!(world.delete_key(id).await.status, 200);
    world.after(SignedDuration::from_mins(1)).await;
    assert!(!world.subscription(id).await.payment_method.unwrap().deleted);
    assert!(world.stack.iamport().books().key(&id.to_string()).is_some());
    world.no_faults();
    world.after(SignedDuration::from_mins(10)).await;
    assert!(world.subscription(id).await.payment_method.unwrap().deleted);
    assert!(world.stack.iamport().books().key(&id.to_string()).is_none());
}
