//! The merchant commands a subscription: cancel, pause, resume, another plan, another payment method, retry, refund.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use jiff::SignedDuration;
use journeys::fate::{Blow, Fate};
use journeys::{World, monthly, no_money, seoul};
use maedal::subscription::{Status, SubscriptionId, Won};
use sandbox::Options;
use sandbox::buyer::Button;
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

/// What I'mport has charged and not given back, payment by payment.
fn balances(world: &World) -> Vec<u64> {
    world.stack.iamport().books().payments().iter().filter(|p| p.was_charged()).map(|p| p.balance()).collect()
}

/// The subscription's second period is declined.
async fn past_due(world: &World) -> SubscriptionId {
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-23T10:05")).await;
    world.no_faults();
    assert_eq!(world.subscription(id).await.status, Status::PastDue);
    id
}

#[tokio::test]
async fn canceled_at_period_end_it_runs_out_and_is_charged_no_more() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let answer = world.commanded(id, "cancel", json!({ "when": "period_end" })).await;
    assert_eq!((&answer["status"], &answer["cancel_at_period_end"]), (&json!("active"), &json!(true)));
    assert_eq!(answer["next_charge_at"], Value::Null);
    world.live_until(seoul("2026-12-23T09:55")).await;
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.live_until(seoul("2027-02-01T10:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
    assert_eq!(world.outcomes(id).await, ["paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_planned_cancellation_can_be_undone() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.commanded(id, "cancel", json!({ "when": "period_end" })).await;
    world.after(SignedDuration::from_hours(24)).await;
    world.commanded(id, "resume", json!({})).await;
    world.live_until(seoul("2026-12-23T10:05")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn canceled_now_the_unused_part_goes_back_in_whole_won() {
    for (refund, standing) in [("none", 9_900), ("unused", 3_300), ("all", 0)] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        // A third of the thirty days.
        world.live_until(seoul("2026-12-03T10:00")).await;
        let answer = world.commanded(id, "cancel", json!({ "when": "now", "refund": refund })).await;
        assert_eq!(answer["status"], "canceled");
        assert_eq!(answer["charge"]["refund"]["amount"].as_u64().unwrap_or(0), 9_900 - standing, "{refund}");
        world.after(SignedDuration::from_mins(1)).await;
        assert_eq!(balances(&world), [standing], "{refund}");
        world.live_until(seoul("2027-02-01T10:00")).await;
        assert_eq!(world.ledger(id).await.standing(), Won::new(standing));
        assert_eq!(world.outcomes(id).await, ["paid"]);
        world.reconciled(&[id]).await;
    }
}

#[tokio::test]
async fn paused_periods_are_skipped_and_the_anchor_is_kept() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.after(SignedDuration::from_hours(24)).await;
    assert_eq!(world.commanded(id, "pause", json!({})).await["next_charge_at"], Value::Null);
    world.live_until(seoul("2027-03-01T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid"]);
    assert_eq!(world.subscription(id).await.status, Status::Paused);

    world.commanded(id, "resume", json!({})).await;
    world.live_until(seoul("2027-03-01T12:05")).await;
    let periods = |ledger: maedal::store::Ledger| ledger.charges.iter().map(|c| c.period).collect::<Vec<_>>();
    assert_eq!(periods(world.ledger(id).await), [1, 4], "the period that runs is charged at once");
    world.live_until(seoul("2027-03-23T09:55")).await;
    assert_eq!(periods(world.ledger(id).await), [1, 4]);
    world.live_until(seoul("2027-03-23T10:05")).await;
    assert_eq!(periods(world.ledger(id).await), [1, 4, 5]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn resumed_within_the_paid_period_it_goes_on_as_if_never_paused() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.commanded(id, "pause", json!({})).await;
    world.live_until(seoul("2026-12-10T12:00")).await;
    let answer = world.commanded(id, "resume", json!({})).await;
    assert_eq!(answer["next_charge_at"], json!(seoul("2026-12-23T10:00").to_string()));
    world.live_until(seoul("2026-12-23T10:05")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn another_plan_begins_with_the_next_period() {
    let world = World::new().await;
    world
        .put_plan("weekly", json!({ "name": "매주", "amount": 3_000, "interval": { "unit": "week", "count": 1 } }))
        .await;
    let id = world.subscribed("coffee").await;
    let answer = world.commanded(id, "change-plan", json!({ "plan": "weekly", "when": "period_end" })).await;
    assert_eq!((&answer["plan"]["id"], &answer["next_plan"]["id"]), (&json!("coffee"), &json!("weekly")));
    assert_eq!(answer["next_charge_amount"], 3_000);
    world.live_until(seoul("2026-12-23T09:55")).await;
    assert_eq!(world.outcomes(id).await, ["paid"]);
    world.live_until(seoul("2027-01-06T10:05")).await;
    let amounts: Vec<u64> = world.ledger(id).await.charges.iter().map(|c| c.amount.get()).collect();
    assert_eq!(amounts, [9_900, 3_000, 3_000, 3_000], "on the 23rd, 30th and 6th");
    world.reconciled(&[id]).await;
}

/// Up: the credit lessens the first charge. Down: it pays for whole periods, without I'mport.
#[tokio::test]
async fn another_plan_now_credits_the_unused_part() {
    let world = World::new().await;
    world.put_plan("double", json!({ "name": "두 배", "amount": 19_800, "interval": monthly() })).await;
    world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
    let up = world.subscribed("coffee").await;
    let down = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-03T10:00")).await;
    let answer = world.commanded(up, "change-plan", json!({ "plan": "double", "when": "now" })).await;
    assert_eq!((&answer["credit"], &answer["next_charge_amount"]), (&json!(6_600), &json!(13_200)));
    assert_eq!(answer["charge"]["refundable"], 3_300);
    let answer = world.commanded(down, "change-plan", json!({ "plan": "half", "when": "now" })).await;
    assert_eq!((&answer["credit"], &answer["next_charge_amount"]), (&json!(6_600), &json!(0)));

    let calls = world.payments();
    world.live_until(seoul("2027-03-03T10:05")).await;
    let shown = |ledger: maedal::store::Ledger| -> Vec<_> {
        ledger.charges.iter().map(|c| (c.status.word(), c.amount.get(), c.credit.get())).collect()
    };
    assert_eq!(
        shown(world.ledger(up).await),
        [("paid", 9_900, 0), ("paid", 13_200, 6_600), ("paid", 19_800, 0), ("paid", 19_800, 0), ("paid", 19_800, 0)]
    );
    assert_eq!(
        shown(world.ledger(down).await),
        [("paid", 9_900, 0), ("credited", 0, 2_500), ("credited", 0, 2_500), ("paid", 900, 1_600), ("paid", 2_500, 0)]
    );
    // Four charges of one and two of the other.
    assert_eq!(world.payments() - calls, 6);
    assert_eq!(world.subscription(down).await.credit, Won::ZERO);
    world.reconciled(&[up, down]).await;
}

/// What became credit can't go back as money, too.
#[tokio::test]
async fn money_that_became_credit_is_not_refunded() {
    let world = World::new().await;
    world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-03T10:00")).await;
    world.commanded(id, "change-plan", json!({ "plan": "half", "when": "now" })).await;
    let refund = |amount: u64| world.command(id, "charges/1-1/refund", json!({ "amount": amount, "reason": "" }));
    assert_eq!(refund(3_301).await.word(), "409 nothing_to_refund");
    assert_eq!(refund(3_300).await.status, 202);
    world.after(SignedDuration::from_mins(1)).await;
    assert_eq!(balances(&world), [6_600]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_new_payment_method_pays_what_is_past_due_at_once() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.stack.iamport().end_key_at_gateway(&id.to_string());
    world.live_until(seoul("2026-12-23T10:05")).await;
    assert_eq!(world.subscription(id).await.status, Status::PastDue);
    assert_eq!(world.command(id, "retry", json!({})).await.word(), "409 no_billing_key");

    let session =
        world.commanded(id, "payment-method-session", json!({ "success_url": "https://shop.example/ok" })).await;
    let page = world.buyer.come_back(session["url"].as_str().unwrap()).await.unwrap();
    assert!(page.page.contains("결제수단 변경"), "{}", page.page);
    let window = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    let landing = world.buyer.come_back(&back).await.unwrap();
    assert!(landing.location.unwrap().starts_with("https://shop.example/ok"));
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    // The window was for once.
    assert!(world.buyer.open_window(id).await.unwrap().get("request").is_none());
    world.reconciled(&[id]).await;
}

/// The buyer never comes back, and no webhook either: the window is looked up.
#[tokio::test]
async fn a_new_payment_method_of_which_nobody_told_us_is_found() {
    let world = World::new().await;
    let id = past_due(&world).await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.after(SignedDuration::from_mins(11)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_window_for_a_new_payment_method_delays_no_renewal() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T09:58")).await;
    let before = world.read(&format!("/v1/subscriptions/{id}")).await.body;
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    let shown = world.read(&format!("/v1/subscriptions/{id}")).await.body;
    for field in ["next_charge_at", "next_charge_amount"] {
        assert!(!shown[field].is_null() && shown[field] == before[field], "{field}: {shown}");
    }
    world.live_until(seoul("2026-12-23T10:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    world.buyer.come_back(&back).await.unwrap();
    assert_eq!(world.subscription(id).await.payment_method.unwrap().window, 2);
    world.live_until(seoul("2027-01-23T10:02")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_retry_is_made_at_once_and_leaves_the_schedule_alone() {
    let world = World::new().await;
    let id = past_due(&world).await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.commanded(id, "retry", json!({})).await;
    world.after(SignedDuration::from_mins(1)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "declined"]);
    world.live_until(seoul("2026-12-24T09:59")).await;
    assert_eq!(world.outcomes(id).await.len(), 3);
    world.live_until(seoul("2026-12-24T10:05")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "declined", "paid"], "the first retry day");
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn retries_end_at_the_circuit_breaker() {
    let world = World::new().await;
    let id = past_due(&world).await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    let mut words = Vec::new();
    for _ in 0..5 {
        words.push(world.command(id, "retry", json!({})).await.word());
        world.after(SignedDuration::from_mins(1)).await;
    }
    assert_eq!(words, ["200", "200", "200", "409 too_many_attempts", "409 too_many_attempts"]);
    assert_eq!(world.outcomes(id).await.len(), 5);
}

#[tokio::test]
async fn a_billing_key_is_deleted_on_request_whatever_imports_answer() {
    for fault in [None, Some(Fault::CutBeforeEffect), Some(Fault::CutAfterEffect), Some(Fault::ErrorAfterEffect(502))] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        let faulty = fault.is_some();
        if let Some(fault) = fault {
            world.fault(Rule::once(Call::Customer, fault));
        }
        let answer = world.delete_key(id).await;
        assert_eq!((answer.status, &answer.body["billing_key"]), (200, &json!("deleting")));
        assert_eq!(world.delete_key(id).await.word(), "409 deleting_billing_key");
        world.after(SignedDuration::from_mins(1)).await;
        if faulty {
            world.after(SignedDuration::from_mins(6)).await;
        }
        assert_eq!(world.read(&format!("/v1/subscriptions/{id}")).await.body["billing_key"], "deleted");
        assert!(world.stack.iamport().books().key(&id.to_string()).is_none());
        assert_eq!(world.delete_key(id).await.word(), "409 no_billing_key");
        world.live_until(seoul("2026-12-23T10:05")).await;
        assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
        world.reconciled(&[id]).await;
    }
}

/// I'mport isn't asked to charge a key that we have deleted; a new one is charged at once.
#[tokio::test]
async fn a_renewal_without_a_billing_key_goes_unpaid_and_a_new_key_pays_it() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.delete_key(id).await;
    world.after(SignedDuration::from_mins(1)).await;
    world.stack.clock.set(seoul("2026-12-23T10:00"));
    let due = world.due(id).await;
    let worker = world.worker(&Arc::new(Fate::default()));
    worker.work(&due).await.unwrap();
    assert_eq!(worker.iamport.calls(), 0);
    let unpaid = world.subscription(id).await;
    assert_eq!((unpaid.status, unpaid.next_charge(due.due_at, &worker.policy)), (Status::PastDue, None));
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    let events: Vec<_> = world.stack.events().await.iter().map(|event| event.kind.word()).collect();
    assert_eq!(
        events[4..],
        ["subscription.payment_method_removed", "subscription.past_due", "charge.declined"],
        "{events:?}"
    );

    world.after(SignedDuration::from_mins(1)).await;
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    world.buyer.come_back(&back).await.unwrap();
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_billing_key_is_deleted_at_the_end_where_the_merchant_wants_it() {
    for wanted in [true, false] {
        let mut options = Options::default();
        options.policy.delete_keys = wanted;
        let world = World::with(options).await;
        let id = world.subscribed("coffee").await;
        world.commanded(id, "cancel", json!({ "when": "now" })).await;
        world.after(SignedDuration::from_mins(1)).await;
        assert_eq!(world.stack.iamport().books().key(&id.to_string()).is_none(), wanted);
        assert_eq!(world.stack.next_happening().unwrap(), None);
    }
}

#[tokio::test]
async fn a_refund_goes_back_once_whatever_imports_answer() {
    for fault in [None, Some(Fault::CutBeforeEffect), Some(Fault::CutAfterEffect), Some(Fault::ErrorAfterEffect(500))] {
        let world = World::new().await;
        let id = world.subscribed("coffee").await;
        if let Some(fault) = fault {
            world.fault(Rule::once(Call::Cancel, fault));
        }
        let refund = json!({ "amount": 4_000, "reason": "늦은 배송" });
        let (one, other) = tokio::join!(
            world.command(id, "charges/1-1/refund", refund.clone()),
            world.command(id, "charges/1-1/refund", refund.clone())
        );
        let words: BTreeSet<String> = [one.word(), other.word()].into();
        assert_eq!(words, ["202".to_owned(), "409 refund_under_way".to_owned()].into());
        world.after(SignedDuration::from_mins(1)).await;
        world.after(SignedDuration::from_mins(6)).await;
        assert_eq!(balances(&world), [5_900]);
        let charge = world.read(&format!("/v1/subscriptions/{id}/charges/1-1")).await.body;
        assert_eq!((&charge["refunded"], &charge["refund"]), (&json!(4_000), &Value::Null));
        assert_eq!((&charge["refunds"][0]["amount"], &charge["refundable"]), (&json!(4_000), &json!(5_900)));
        assert_eq!(
            world.command(id, "charges/1-1/refund", json!({ "amount": 5_901, "reason": "" })).await.word(),
            "409 nothing_to_refund"
        );
        assert_eq!(world.command(id, "charges/1-1/refund", json!({ "reason": "" })).await.status, 202);
        world.after(SignedDuration::from_mins(1)).await;
        assert_eq!(balances(&world), [0]);
        world.reconciled(&[id]).await;
    }
}

#[tokio::test]
async fn nothing_goes_ahead_while_a_charge_is_in_doubt() {
    let world = World::new().await;
    world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.live_until(seoul("2026-12-23T10:01")).await;
    assert!(world.subscription(id).await.in_flight.is_some());
    let before = world.subscription(id).await;
    for (command, body) in commands() {
        assert_eq!(world.ask(id, command, &body).await.word(), "409 in_doubt", "{command}");
    }
    assert_eq!(world.command(id, "charges/1-1/refund", json!({ "reason": "" })).await.word(), "409 in_doubt");
    assert_eq!(world.subscription(id).await, before);
    world.live_until(seoul("2026-12-23T10:10")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.command(id, "pause", json!({})).await.status, 200);
    world.reconciled(&[id]).await;
}

/// A repeat gets the first answer, whatever has happened since; the same key for something else is refused.
#[tokio::test]
async fn a_repeat_of_a_command_gets_the_first_answer() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let other = world.subscribed("coffee").await;
    let send = |id: SubscriptionId, body: Value| {
        let world = &world;
        async move { world.call(Method::POST, &format!("/v1/subscriptions/{id}/cancel"), &body, Some("key-1")).await }
    };
    let body = json!({ "when": "now", "refund": "all" });
    let (first, second) = tokio::join!(send(id, body.clone()), send(id, body.clone()));
    assert_eq!((first.status, &first), (200, &second));
    world.after(SignedDuration::from_mins(2)).await;
    assert_eq!(send(id, body.clone()).await, first);
    assert_eq!(send(id, json!({ "when": "now" })).await.word(), "409 idempotency_key");
    assert_eq!(send(other, body).await.word(), "409 idempotency_key");
    assert_eq!(balances(&world), [0, 9_900]);
    world.reconciled(&[id, other]).await;
}

#[tokio::test]
async fn a_command_that_saw_an_older_version_changes_nothing() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let version = world.read(&format!("/v1/subscriptions/{id}")).await.body["version"].as_u64().unwrap();
    assert_eq!(world.command(id, "pause", json!({ "version": version - 1 })).await.word(), "409 version");
    assert_eq!(world.command(id, "pause", json!({ "version": version })).await.status, 200);
    assert_eq!(world.command(id, "resume", json!({ "version": version })).await.word(), "409 version");
}

#[tokio::test]
async fn a_refund_is_of_one_won_to_all_that_was_paid_with_a_reason_that_fits() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let refund = |amount: u64, reason: String| {
        world.command(id, "charges/1-1/refund", json!({ "amount": amount, "reason": reason }))
    };
    for (amount, reason, field) in [
        (0, String::new(), "amount"),
        (9_901, String::new(), "amount"),
        (1, "가".repeat(201), "reason"),
        (1, "two\nlines".to_owned(), "reason"),
    ] {
        let answer = refund(amount, reason).await;
        assert_eq!((answer.status, &answer.body["field"]), (422, &json!(field)), "{answer:?}");
    }
    assert_eq!(refund(9_900, "가".repeat(200)).await.status, 202);
    world.after(SignedDuration::from_mins(2)).await;
    assert_eq!(balances(&world), [0]);
    world.reconciled(&[id]).await;
}

/// Every command, with a body that is good.
fn commands() -> Vec<(&'static str, Value)> {
    vec![
        ("cancel", json!({ "when": "now", "refund": "unused" })),
        ("cancel", json!({ "when": "period_end" })),
        ("pause", json!({})),
        ("resume", json!({})),
        ("change-plan", json!({ "plan": "half", "when": "now" })),
        ("change-plan", json!({ "plan": "half", "when": "period_end" })),
        ("payment-method-session", json!({})),
        ("retry", json!({})),
        ("billing-key", json!({})),
    ]
}

trait Ask {
    async fn ask(&self, id: SubscriptionId, command: &str, body: &Value) -> journeys::Answer;
}

impl Ask for World {
    async fn ask(&self, id: SubscriptionId, command: &str, body: &Value) -> journeys::Answer {
        match command {
            "billing-key" => self.delete_key(id).await,
            _ => self.command(id, command, body.clone()).await,
        }
    }
}

/// A subscription in each state.
async fn in_state(world: &World, state: &str) -> SubscriptionId {
    match state {
        "pending" => return world.session("coffee").await,
        "expired" => {
            let id = world.session("coffee").await;
            world.after(SignedDuration::from_hours(2)).await;
            return id;
        }
        "trialing" => return world.subscribed("paper").await,
        "past_due" => return past_due(world).await,
        _ => (),
    }
    let id = world.subscribed("coffee").await;
    match state {
        "active" => (),
        "ending" => drop(world.commanded(id, "cancel", json!({ "when": "period_end" })).await),
        "paused" => drop(world.commanded(id, "pause", json!({})).await),
        "canceled" => drop(world.commanded(id, "cancel", json!({ "when": "now" })).await),
        "needs_review" => {
            let mut subscription = world.subscription(id).await;
            let now = maedal::clock::Clock::now(&*world.stack.clock);
            subscription.needs_review("somebody must look".to_owned(), now);
            world.stack.billing.store.put(&mut subscription, now, &world.stack.billing.policy).await.unwrap();
        }
        other => unreachable!("{other}"),
    }
    id
}

/// Every command in every state, from two callers at once, and again: what is said, and both books after it.
#[tokio::test]
async fn every_command_in_every_state_from_two_callers_at_once_and_again() {
    // In the order of `commands`: one caller, the other, and a third after both.
    let same = |word: &'static str| [word; 3];
    let once = |then: &'static str| ["ok", then, then];
    let in_doubt = [same("in_doubt"); 9];
    let not_started = [same("not_started"); 9];
    let ended = [same("ended"); 9];
    let table = [
        ("pending", not_started),
        ("expired", ended),
        (
            "trialing",
            [
                once("ended"),
                once("cancel_planned"),
                once("paused"),
                same("nothing_to_resume"),
                once("same_plan"),
                once("same_plan"),
                same("ok"),
                same("not_past_due"),
                once("deleting_billing_key"),
            ],
        ),
        (
            "active",
            [
                once("ended"),
                once("cancel_planned"),
                once("paused"),
                same("nothing_to_resume"),
                once("same_plan"),
                once("same_plan"),
                same("ok"),
                same("not_past_due"),
                once("deleting_billing_key"),
            ],
        ),
        (
            "ending",
            [
                once("ended"),
                same("cancel_planned"),
                same("cancel_planned"),
                once("nothing_to_resume"),
                same("cancel_planned"),
                same("cancel_planned"),
                same("ok"),
                same("not_past_due"),
                once("deleting_billing_key"),
            ],
        ),
        (
            "past_due",
            [
                once("ended"),
                same("past_due"),
                same("past_due"),
                same("nothing_to_resume"),
                same("past_due"),
                same("past_due"),
                same("ok"),
                same("ok"),
                once("deleting_billing_key"),
            ],
        ),
        (
            "paused",
            [
                once("ended"),
                once("cancel_planned"),
                same("paused"),
                once("nothing_to_resume"),
                same("paused"),
                once("same_plan"),
                same("ok"),
                same("not_past_due"),
                once("deleting_billing_key"),
            ],
        ),
        (
            "canceled",
            [
                same("ended"),
                same("ended"),
                same("ended"),
                same("ended"),
                same("ended"),
                same("ended"),
                same("ended"),
                same("ended"),
                once("deleting_billing_key"),
            ],
        ),
        ("needs_review", in_doubt),
    ];
    for (state, expected) in table {
        let world = World::new().await;
        world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
        world
            .put_plan("paper", json!({ "name": "신문", "amount": 4_900, "interval": monthly(), "trial_days": 14 }))
            .await;
        let mut ids = Vec::new();
        for ((command, body), expected) in commands().into_iter().zip(expected) {
            let id = match state {
                // Each begins its life at the same time, in a world of its own.
                "past_due" => {
                    let world = World::new().await;
                    world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
                    let id = past_due(&world).await;
                    Box::pin(check(&world, state, id, command, &body, expected)).await;
                    world.reconciled(&[id]).await;
                    continue;
                }
                _ => Box::pin(in_state(&world, state)).await,
            };
            Box::pin(check(&world, state, id, command, &body, expected)).await;
            ids.push(id);
        }
        world.no_faults();
        world.live_until(seoul("2027-01-25T12:00")).await;
        world.reconciled(&ids).await;
    }
}

/// A refund and a link to the buyer's page, in every state.
#[tokio::test]
async fn refunds_and_links_in_every_state() {
    let (once, link) = (["ok", "refund_under_way", "refund_under_way"], ["ok"; 3]);
    // A refund concerns a charge: where there is none, there is nothing.
    for (state, refund, my) in [
        ("pending", ["404"; 3], ["not_started"; 3]),
        ("expired", ["404"; 3], ["ended"; 3]),
        ("trialing", ["404"; 3], link),
        ("active", once, link),
        ("ending", once, link),
        ("paused", once, link),
        ("canceled", once, link),
        ("needs_review", ["in_doubt"; 3], link),
        ("past_due", once, link),
    ] {
        let world = World::new().await;
        let paper = json!({ "name": "신문", "amount": 4_900, "interval": monthly(), "trial_days": 14 });
        world.put_plan("paper", paper).await;
        let id = Box::pin(in_state(&world, state)).await;
        let part = json!({ "amount": 900, "reason": "" });
        check(&world, state, id, "charges/1-1/refund", &part, refund).await;
        check(&world, state, id, "my-session", &json!({}), my).await;
        if state != "needs_review" {
            world.reconciled(&[id]).await;
        }
    }
}

/// In every state, at once and later: under one `Idempotency-Key` there is one answer, and one effect.
#[tokio::test]
async fn every_command_twice_under_the_same_key_has_one_answer() {
    for state in
        ["pending", "expired", "trialing", "active", "ending", "past_due", "paused", "canceled", "needs_review"]
    {
        let mut world = World::new().await;
        for (nth, (command, body)) in commands().into_iter().enumerate() {
            if state == "past_due" {
                world = World::new().await;
            }
            let paper = json!({ "name": "신문", "amount": 4_900, "interval": monthly(), "trial_days": 14 });
            world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
            world.put_plan("paper", paper).await;
            let id = Box::pin(in_state(&world, state)).await;
            let before = world.subscription(id).await.version;
            let (method, path) = match command {
                "billing-key" => (Method::DELETE, format!("/v1/subscriptions/{id}/billing-key")),
                command => (Method::POST, format!("/v1/subscriptions/{id}/{command}")),
            };
            let key = format!("{state}-{nth}");
            let ask = || world.call(method.clone(), &path, &body, Some(&key));
            let (one, other) = tokio::join!(ask(), ask());
            let after = world.subscription(id).await.version;
            let later = ask().await;
            assert!(one == other && other == later, "{state}: {command} {body}: {one:?} {other:?} {later:?}");
            assert_eq!(world.subscription(id).await.version, after, "{state}: {command} {body}");
            assert_eq!(after - before, u64::from(one.status < 300), "{state}: {command} {body}");
        }
    }
}

/// The buyer presses a button while the merchant commands: the buyer's is done of what the page showed, or not at all.
#[tokio::test]
async fn a_buyers_button_and_a_command_at_the_same_moment() {
    for (command, body) in commands() {
        let world = World::new().await;
        world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
        let id = world.subscribed("coffee").await;
        let page = world.commanded(id, "my-session", json!({})).await["url"].as_str().unwrap().to_owned();
        let form = format!("version={}", world.subscription(id).await.version);
        let cancel = format!("{page}/cancel");
        let (pressed, answer) = tokio::join!(world.buyer.submit(&cancel, &form), world.ask(id, command, &body));
        let (pressed, seen) = (pressed.unwrap().status().as_u16(), world.subscription(id).await);
        let ended = seen.cancel_at_period_end || seen.status == Status::Canceled;
        match pressed {
            303 => assert!(ended, "{command}: done"),
            409 => assert_eq!(ended, command == "cancel", "{command}: not done"),
            other => panic!("{command}: {other}"),
        }
        if pressed == 303 && command == "pause" {
            assert_eq!(answer.word(), "409 cancel_planned");
        }
        // Again, from the same page: it is so, or the buyer looks again.
        let again = world.buyer.submit(&cancel, &form).await.unwrap().status().as_u16();
        assert_eq!(again, if ended { 303 } else { 409 }, "{command}");
        world.live_until(seoul("2026-12-24T12:00")).await;
        world.reconciled(&[id]).await;
    }
}

async fn check(world: &World, state: &str, id: SubscriptionId, command: &str, body: &Value, expected: [&str; 3]) {
    let word = |answer: journeys::Answer| match answer.status {
        200..300 => "ok".to_owned(),
        404 => "404".to_owned(),
        409 => answer.reason().unwrap_or("409").to_owned(),
        other => format!("{other} {}", answer.body),
    };
    let (one, other) = tokio::join!(world.ask(id, command, body), world.ask(id, command, body));
    let (mut got, mut wanted) = ([word(one), word(other)], [expected[0], expected[1]]);
    got.sort();
    wanted.sort_unstable();
    assert_eq!(got, wanted, "{state}: {command} {body}, both at once");
    assert_eq!(word(world.ask(id, command, body).await), expected[2], "{state}: {command} {body}, again");
    world.stack.turn().await.unwrap();
}

/// The command comes where the worker is held up at `stop`. Returns what it was answered and what became of the period.
async fn meet(command: &str, body: &Value, stop: usize) -> String {
    let world = World::new().await;
    world.put_plan("half", json!({ "name": "반", "amount": 2_500, "interval": monthly() })).await;
    let id = world.subscribed("coffee").await;
    world.stack.clock.set(seoul("2026-12-23T10:00"));
    let due = world.due(id).await;
    let fate = Arc::new(Fate::default());
    let worker = world.worker(&fate);
    let answer = match stop {
        0 => {
            let (answer, worked) = tokio::join!(world.ask(id, command, body), worker.work(&due));
            worked.unwrap();
            answer
        }
        1 => {
            let answer = world.ask(id, command, body).await;
            worker.work(&due).await.unwrap();
            answer
        }
        2 => {
            worker.work(&due).await.unwrap();
            world.ask(id, command, body).await
        }
        _ => {
            let (call, blow) = [
                (1, Blow::DieAfter),
                (2, Blow::DieAfter),
                (3, Blow::DieBefore),
                (3, Blow::DieAfter),
                (4, Blow::DieBefore),
            ][stop - 3];
            fate.strike(call, blow);
            fate.live(Box::pin(worker.work(&due))).await;
            let answer = world.ask(id, command, body).await;
            assert_eq!(answer.word(), "409 in_doubt", "{command}: claimed, and not settled");
            answer
        }
    };
    // The worker's lease and the settle delay are over, and a day's look has been made.
    world.live_until(seoul("2026-12-24T12:00")).await;
    let ledger = world.ledger(id).await;
    let second: Vec<_> =
        ledger.charges.iter().filter(|c| c.period == 2).map(|c| (c.status.word(), c.amount.get())).collect();
    let report = world.reconciled(&[id]).await;
    assert_eq!(report.double_charges, 0);
    format!("{} {second:?}", answer.word())
}

/// A renewal is due, and the merchant says otherwise at the same moment: whoever writes first is right, and nobody pays
/// for what was canceled before, nor an amount that is no longer right.
#[tokio::test]
async fn a_command_and_a_renewal_at_the_same_moment() {
    let commands = [
        ("cancel", json!({ "when": "now" })),
        ("cancel", json!({ "when": "period_end" })),
        ("pause", json!({})),
        ("change-plan", json!({ "plan": "half", "when": "period_end" })),
        ("change-plan", json!({ "plan": "half", "when": "now" })),
        ("billing-key", json!({})),
    ];
    // The worker is held up before or after each of its calls (claim, token, again, settle), and the command comes then.
    for (command, body) in commands {
        let mut outcomes = BTreeSet::new();
        for stop in 0..8 {
            outcomes.insert(Box::pin(meet(command, &body, stop)).await);
        }
        let first = match command {
            "change-plan" => vec![r#"200 [("paid", 2500)]"#, r#"200 [("paid", 9900)]"#],
            "billing-key" => vec![r#"200 [("declined", 9900)]"#, r#"200 [("paid", 9900)]"#],
            _ => vec!["200 []", r#"200 [("paid", 9900)]"#],
        };
        for outcome in &outcomes {
            let known = first.contains(&outcome.as_str())
                || outcome == r#"409 in_doubt [("paid", 9900)]"#
                || outcome == r#"409 past_due [("paid", 9900)]"#;
            assert!(known, "{command}: {outcome}");
        }
    }
}

/// The budget of design.md: three calls, eight write units. What the commands added costs a renewal nothing.
#[tokio::test]
async fn a_renewal_is_three_calls_and_at_most_eight_write_units() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T10:05")).await;
    world.stack.clock.set(seoul("2027-01-23T10:00"));
    let due = world.due(id).await;
    let worker = world.worker(&Arc::new(Fate::default()));
    worker.iamport.billing_key(&id.into()).await.unwrap();
    let before = worker.iamport.calls();
    worker.work(&due).await.unwrap();
    let usage = worker.store.meter().usage();
    assert_eq!((usage.calls, worker.iamport.calls() - before), (2, 1));
    assert!(usage.write_units <= 8.0, "{usage:?}");
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"]);
}

/// What credit leaves to be charged may be less than any gateway takes: it is charged with the next charge.
#[tokio::test]
async fn no_charge_is_below_what_gateways_take_and_what_is_left_is_charged_with_the_next() {
    let world = World::new().await;
    world.put_plan("near", json!({ "name": "비슷한 것", "amount": 6_650, "interval": monthly() })).await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-03T10:00")).await;
    // As a gateway does with 50 won.
    let refuse = Fault::Refuse { code: 1, message: "결제금액은 100원 이상이어야 합니다.".to_owned() };
    world.fault(Rule::always(refuse).on(Call::Again).merchant_uid("C00002"));
    world.commanded(id, "change-plan", json!({ "plan": "near", "when": "now" })).await;
    world.live_until(seoul("2026-12-20T12:00")).await;
    let asked: Vec<u64> = world.ledger(id).await.charges.iter().map(|c| c.amount.get()).collect();
    let s = world.subscription(id).await;
    assert_eq!(s.status, Status::Active, "asked for {asked:?}, credit left {}", s.credit);
    assert_eq!(asked, [9_900, 0]);
    let left = s.carried.get();
    assert!((1..100).contains(&left), "{left} is left");
    assert_eq!(
        world.call(Method::GET, &format!("/v1/subscriptions/{id}"), &Value::Null, None).await.body["carried"],
        left
    );
    world.live_until(seoul("2027-01-03T12:00")).await;
    let s = world.subscription(id).await;
    let asked: Vec<u64> = world.ledger(id).await.charges.iter().map(|c| c.amount.get()).collect();
    assert_eq!((asked, s.carried.get(), s.credit.get()), (vec![9_900, 0, 6_650 + left], 0, 0));
}
