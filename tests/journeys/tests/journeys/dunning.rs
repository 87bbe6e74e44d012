//! What follows a declined renewal.

use std::sync::Arc;

use jiff::SignedDuration;
use journeys::fate::{Blow, Fate};
use journeys::{World, no_money, seoul};
use maedal::subscription::{AfterDunning, EndReason, Status};
use sandbox::Options;
use sandbox::buyer::Button;
use serde_json::json;
use simulator::{Call, Fault, Rule};

#[tokio::test]
async fn a_soft_decline_is_retried_on_days_1_3_5_and_7_and_then_canceled() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    for (moment, attempts) in [
        ("2026-12-23T10:02", 2),
        ("2026-12-24T09:59", 2),
        ("2026-12-24T10:04", 3),
        ("2026-12-26T10:04", 4),
        ("2026-12-28T10:04", 5),
        ("2026-12-30T10:04", 6),
    ] {
        world.live_until(seoul(moment)).await;
        assert_eq!(world.outcomes(id).await.len(), attempts, "{moment}");
        assert_eq!(world.subscription(id).await.status, Status::PastDue);
    }
    world.live_until(seoul("2026-12-31T12:00")).await;
    let subscription = world.subscription(id).await;
    assert_eq!(subscription.status, Status::Canceled);
    assert_eq!(subscription.ended.map(|ended| ended.reason), Some(EndReason::Unpaid));
    world.live_until(seoul("2027-03-01T12:00")).await;
    assert_eq!(world.outcomes(id).await.len(), 6);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_renewal_that_is_paid_late_keeps_its_anchor() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again).times(2));
    world.live_until(seoul("2026-12-26T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "declined", "paid"]);
    let subscription = world.subscription(id).await;
    assert_eq!(subscription.status, Status::Active);
    assert_eq!(subscription.listed_at, Some(seoul("2027-01-23T10:00")));
    assert_eq!(subscription.dunning, None);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn what_is_left_unpaid_stays_past_due_and_is_charged_no_more() {
    let mut options = Options::default();
    options.policy.dunning.then = AfterDunning::LeaveUnpaid;
    let world = World::with(options).await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2027-03-01T12:00")).await;
    assert_eq!(world.outcomes(id).await.len(), 6);
    assert_eq!(world.subscription(id).await.status, Status::PastDue);
}

#[tokio::test]
async fn a_deleted_billing_key_is_not_retried() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let key = id.into();
    world.stack.billing.iamport.delete_billing_key(&key, "in the console").await.unwrap();
    world.live_until(seoul("2026-12-30T12:00")).await;
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.can_be_charged()), (Status::PastDue, false));
    assert_eq!(world.outcomes(id).await, ["paid", "declined"], "no retry can help");
    world.live_until(seoul("2027-01-01T12:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
    world.reconciled(&[id]).await;
}

/// `code` other than 0 may mean that the name is paid already: only the look-up says.
#[tokio::test]
async fn a_refusal_of_a_paid_name_is_a_payment() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    // The first send has its effect behind our back, long after the look-up: the second is refused as paid.
    world.fault(Rule::once(Call::Again, Fault::CutThenEffect(jiff::SignedDuration::from_mins(55))));
    world.live_until(seoul("2026-12-23T10:58")).await;
    world.live_until(seoul("2026-12-23T13:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.payments(), 2);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_plan_may_have_its_own_dunning() {
    let world = World::new().await;
    let plan = serde_json::json!({
        "name": "엄격", "amount": 5_000, "interval": journeys::monthly(),
        "dunning": { "retry_days": [2], "then": "cancel" },
    });
    world.put_plan("strict", plan).await;
    let id = world.subscribed("strict").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-27T12:00")).await;
    assert_eq!(world.outcomes(id).await.len(), 3);
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
}

/// A window that was declined leaves the subscription as it was.
#[tokio::test]
async fn a_canceled_subscription_is_not_woken_by_its_old_window() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    world.buyer.come_back(&back).await.unwrap();
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2027-01-02T12:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
    let charges = world.outcomes(id).await.len();
    world.buyer.come_back(&back).await.unwrap();
    world.live_until(seoul("2027-02-02T12:00")).await;
    assert_eq!(world.outcomes(id).await.len(), charges);
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
}

/// The buyer brings a new key while an attempt with the old one is in doubt.
#[tokio::test]
async fn a_decline_of_the_old_key_does_not_break_the_new_one() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.live_until(seoul("2026-12-23T09:55")).await;
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    let refusal = Fault::Refuse { code: 1, message: "유효기간이 지난 카드입니다.".to_owned() };
    world.fault(Rule::once(Call::Again, refusal));
    world.live_until(seoul("2026-12-23T10:02")).await;
    assert!(world.subscription(id).await.doubt.is_some());
    let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
    world.buyer.come_back(&back).await.unwrap();
    assert_eq!(world.subscription(id).await.payment_method.unwrap().window, 2, "the new key is recorded");
    world.live_until(seoul("2027-01-05T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.outcomes(id).await.last().copied()), (Status::Active, Some("paid")), "{s:?}");
    world.reconciled(&[id]).await;
}

/// And nobody told: it would end unlooked at.
#[tokio::test]
async fn a_key_that_came_in_the_last_minutes_of_dunning_counts() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-31T09:40")).await;
    let end = world.subscription(id).await.listed_at.unwrap();
    world.live_until(end.saturating_sub(SignedDuration::from_mins(4)).unwrap()).await;
    world.no_faults();
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.live_until(seoul("2027-01-05T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.outcomes(id).await.last().copied()), (Status::Active, Some("paid")), "{s:?}");
    world.reconciled(&[id]).await;
}

/// The look for the window has been when the buyer approves, and nobody tells us.
#[tokio::test]
async fn a_buyer_who_takes_long_in_the_window_is_not_given_up() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-31T09:40")).await;
    let end = world.subscription(id).await.listed_at.unwrap();
    world.live_until(end.saturating_sub(SignedDuration::from_mins(4)).unwrap()).await;
    world.no_faults();
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.live_until(end.saturating_add(SignedDuration::from_mins(40)).unwrap()).await;
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.live_until(seoul("2027-01-05T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.outcomes(id).await.last().copied()), (Status::Active, Some("paid")), "{s:?}");
}

/// Left unpaid, nothing is due any more; the books' comparison hears of the key.
#[tokio::test]
async fn a_key_that_came_unheard_after_all_retries_is_tried_within_a_day() {
    let mut options = Options::default();
    options.policy.dunning.then = AfterDunning::LeaveUnpaid;
    let world = World::with(options).await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2027-01-04T12:00")).await;
    world.no_faults();
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.commanded(id, "payment-method-session", json!({})).await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.live_until(seoul("2027-01-04T12:15")).await;
    world.buyer.press(&window, Button::Approve).await.unwrap();
    world.live_until(seoul("2027-01-06T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.outcomes(id).await.last().copied()), (Status::Active, Some("paid")), "{s:?}");
    world.reconciled(&[id]).await;
}

/// Left unpaid, the index lists nothing. The worker that records the new key dies before that write, or right after it.
#[tokio::test]
async fn a_new_key_is_charged_though_the_worker_died_as_it_was_recorded() {
    for (blow, window) in [(Blow::DieBefore, 1), (Blow::DieAfter, 2)] {
        let mut options = Options::default();
        options.policy.dunning.then = AfterDunning::LeaveUnpaid;
        let world = World::with(options).await;
        let id = world.subscribed("coffee").await;
        world.fault(Rule::always(no_money()).on(Call::Again));
        world.live_until(seoul("2027-01-04T12:00")).await;
        world.no_faults();
        world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
        world.commanded(id, "payment-method-session", json!({})).await;
        let open = world.buyer.open_window(id).await.unwrap();
        // The buyer takes a quarter of an hour: the look for the window has been.
        world.live_until(seoul("2027-01-04T12:15")).await;
        assert_eq!(world.subscription(id).await.listed_at, None);
        let back = world.buyer.press(&open, Button::Approve).await.unwrap().unwrap();
        let imp_uid = back.split("imp_uid=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        let fate = Arc::new(Fate::default());
        let worker = world.worker(&fate);
        let name = world.window_name(id, 2).await;
        // The name, a token, the payment, the subscription as it is; and then the key.
        fate.strike(5, blow);
        assert!(fate.live(worker.confirm(name, &imp_uid)).await.is_none());
        let s = world.subscription(id).await;
        assert_eq!((s.payment_method.unwrap().window, s.listed_at.is_some()), (window, window == 2));
        world.live_until(seoul("2027-02-10T12:00")).await;
        let s = world.subscription(id).await;
        assert_eq!(s.status, Status::Active, "listed {:?}, {:?}", s.listed_at, world.outcomes(id).await);
        world.reconciled(&[id]).await;
    }
}

/// For two hours the channel is misconfigured, which I'mport says in the words of a missing key.
#[tokio::test]
async fn a_channel_that_is_misconfigured_for_two_hours_cancels_nobody() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let refusal = Fault::Refuse { code: 1, message: "등록되지 않은 사용자입니다".to_owned() };
    let rule = Rule::always(refusal).on(Call::Again);
    world.fault(rule.between(seoul("2026-12-23T09:00"), seoul("2026-12-23T11:00")));
    world.live_until(seoul("2027-01-05T12:00")).await;
    assert!(world.stack.iamport().books().key(&id.to_string()).is_some(), "the key was there all the time");
    let s = world.subscription(id).await;
    assert_eq!((s.status, world.outcomes(id).await.last().copied()), (Status::Active, Some("paid")), "{s:?}");
    world.reconciled(&[id]).await;
}
