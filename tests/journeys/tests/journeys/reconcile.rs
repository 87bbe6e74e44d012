//! I'mport's books against ours, by the day: what nobody told us of is found and put right; what can't be is told once.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use journeys::{World, monthly, no_money, seoul};
use maedal::billing::{Reconciled, Span};
use maedal::clock::Clock;
use maedal::events::Kind;
use maedal::iamport::Again;
use maedal::ids::Ids;
use maedal::store::{Entry, Run, Settled, Sweep};
use maedal::subscription::charge::Payment;
use maedal::subscription::settle::Proof;
use maedal::subscription::{FindingKind, MerchantUid, Status, SubscriptionId, Won};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::buyer::Button;
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

const BUDGET: Duration = Duration::from_secs(60);

/// All of the last days, up to now.
async fn reconciled(world: &World, days: i64) -> Reconciled {
    let to = world.stack.clock.now();
    let from = to.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap();
    Box::pin(world.stack.billing.reconcile(Span { from, to }, BUDGET)).await.unwrap()
}

fn no_webhooks(world: &World) {
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
}

/// A payment that I'mport makes with the billing key of `id`, behind our back.
async fn again(world: &World, id: SubscriptionId, name: MerchantUid, won: u64) -> String {
    let customer_uid = id.into();
    let again = Again {
        customer_uid: &customer_uid,
        merchant_uid: name,
        amount: Won::new(won),
        name: "coffee",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
    let iamport = world.stack.iamport();
    iamport.books().payments_of(&name.to_string()).next_back().unwrap().imp_uid.clone()
}

/// A call at I'mport by the merchant's other systems.
fn call(world: &World, now: Timestamp, path: &str, token: &str, body: &Value) -> Value {
    let request = Request::post(path).header("authorization", token).header("content-type", "application/json");
    let request = request.body(Bytes::from(body.to_string())).unwrap();
    let answer = world.stack.iamport().handle(&request, now).answer().unwrap();
    serde_json::from_slice::<Value>(answer.body()).unwrap()["response"].clone()
}

fn token(world: &World, now: Timestamp) -> String {
    let keys = json!({ "imp_key": "simulated_key", "imp_secret": "simulated_secret" });
    call(world, now, "/users/getToken", "", &keys)["access_token"].as_str().unwrap().to_owned()
}

/// They charge a billing key.
fn order(world: &World, now: Timestamp, token: &str, customer_uid: &str, merchant_uid: &str) {
    let order = json!({ "customer_uid": customer_uid, "merchant_uid": merchant_uid, "amount": 9_900, "name": "x" });
    assert_eq!(call(world, now, "/subscribe/payments/again", token, &order)["status"], "paid");
}

/// A payment of the second period that only the ledger has.
pub(crate) async fn paid_only_here(world: &World, id: SubscriptionId, imp_uid: &str, paid_at: Timestamp) {
    let billing = &world.stack.billing;
    let mut subscription = world.subscription(id).await;
    subscription.in_flight = subscription.next_charge(paid_at, &billing.policy);
    let payment = Payment { imp_uid: imp_uid.parse().unwrap(), paid_at: Some(paid_at), receipt_url: None };
    let charge = subscription.settle(Proof::Paid(payment), paid_at, &billing.policy).unwrap();
    let settled = billing.store.settle(&mut subscription, &[Entry::New(charge)], paid_at, &billing.policy).await;
    assert_eq!(settled.unwrap(), Settled::Written);
}

async fn differences(world: &World) -> Vec<FindingKind> {
    let told = world.stack.events().await.into_iter().filter(|event| event.kind == Kind::BooksDiffer);
    told.map(|event| event.finding.unwrap().kind).collect()
}

#[tokio::test]
async fn a_cancellation_in_the_console_that_no_webhook_told_is_found_the_next_day() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    world.after(SignedDuration::from_hours(5)).await;
    let imp_uid = world.ledger(id).await.charges[0].payment().unwrap().imp_uid.to_string();
    let now = world.stack.clock.now();
    world.stack.iamport().cancel_in_console(&imp_uid, Some(3_000), now).unwrap();
    world.live_until(seoul("2026-11-23T23:50")).await;
    assert_eq!(world.ledger(id).await.standing(), Won::new(9_900), "nobody knows");
    world.live_until(seoul("2026-11-24T01:30")).await;
    assert_eq!(world.ledger(id).await.standing(), Won::new(6_900));
    world.reconciled(&[id]).await;
    assert_eq!(reconciled(&world, 10).await.settled, 0, "there is nothing left to do");
}

#[tokio::test]
async fn a_decline_that_is_paid_days_after_the_end_goes_back() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    // All retries are declined; the last one is paid after all, when nobody looks any more.
    let (last, end) = (seoul("2026-12-30T00:00"), seoul("2027-01-02T00:00"));
    let late = Fault::LatePaid(SignedDuration::from_hours(10 * 24));
    world.fault(Rule::always(late).on(Call::Again).between(last, end));
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2027-01-08T12:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
    world.live_until(seoul("2027-01-12T12:00")).await;
    let ledger = world.ledger(id).await;
    let paid: Vec<_> = ledger.charges.iter().filter(|charge| charge.payment().is_some()).collect();
    assert_eq!(paid.len(), 2, "{ledger:?}");
    assert!(paid[1].duplicate && paid[1].standing() == Won::ZERO, "{ledger:?}");
    world.reconciled(&[id]).await;
}

/// The buyer has approved in a second window, too, and neither redirect nor webhook has told us. I'mport has charged that key ever
/// since: it is none that came after the decline.
async fn second_window(world: &World) -> SubscriptionId {
    let id = world.session("coffee").await;
    let first = world.buyer.open_window(id).await.unwrap();
    let second = world.buyer.open_window(id).await.unwrap();
    let back = world.buyer.press(&first, Button::Approve).await.unwrap().unwrap();
    no_webhooks(world);
    world.buyer.press(&second, Button::Approve).await.unwrap();
    world.buyer.come_back(&back).await.unwrap();
    assert_eq!(world.outcomes(id).await, ["paid"]);
    id
}

#[tokio::test]
async fn a_billing_key_that_nobody_told_us_of_is_taken_where_it_is_of_use() {
    let world = World::new().await;
    let (id, ended) = (second_window(&world).await, second_window(&world).await);
    world.commanded(ended, "cancel", json!({ "when": "now" })).await;
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(reconciled(&world, 1).await.settled, 1, "the other's is of no use");
    assert_eq!(world.subscription(id).await.payment_method.unwrap().window, 2);
    assert_eq!(world.subscription(ended).await.payment_method.unwrap().window, 1);
    assert_eq!(reconciled(&world, 1).await.settled, 0);
}

#[tokio::test]
async fn a_billing_key_from_before_the_decline_is_not_tried_as_if_it_were_new() {
    let world = World::new().await;
    let id = second_window(&world).await;
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-23T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    assert_eq!(reconciled(&world, 60).await.settled, 0);
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"], "nothing is due before the first retry");
    assert_eq!(world.subscription(id).await.payment_method.unwrap().window, 1);
}

#[tokio::test]
async fn a_billing_key_from_before_its_deletion_stays_deleted() {
    let world = World::new().await;
    let id = second_window(&world).await;
    world.delete_key(id).await;
    world.after(SignedDuration::from_mins(20)).await;
    assert!(world.subscription(id).await.payment_method.unwrap().deleted);
    assert_eq!(reconciled(&world, 60).await.settled, 0);
    assert!(world.subscription(id).await.payment_method.unwrap().deleted);
}

#[tokio::test]
async fn a_payment_by_the_billing_key_that_nobody_here_asked_for_pays_for_its_period() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    world.live_until(seoul("2026-12-01T12:00")).await;
    again(&world, id, world.charge_name(id, 2, 1).await, 9_900).await;
    world.after(SignedDuration::from_hours(1)).await;
    let found = reconciled(&world, 30).await;
    assert_eq!((found.settled, found.found), (1, 0));
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!((world.subscription(id).await.paid_through, world.subscription(id).await.review), (2, None));
    world.live_until(seoul("2026-12-24T12:00")).await;
    assert_eq!(world.payments(), 2, "it isn't charged a second time");
}

#[tokio::test]
async fn a_payment_that_only_the_ledger_has_waits_for_a_person_and_is_told_once() {
    let world = World::new().await;
    let (id, other) = (world.subscribed("coffee").await, world.subscribed("coffee").await);
    world.live_until(seoul("2026-12-22T12:00")).await;
    paid_only_here(&world, id, "imp_999999999999", seoul("2026-12-22T11:00")).await;
    let first = reconciled(&world, 3).await;
    assert_eq!((first.found, first.settled, first.implausible), (1, 0, 0));
    assert_eq!(world.subscription(id).await.status, Status::NeedsReview);
    let finding = &world.stack.billing.store.findings(id).await.unwrap()[0];
    assert_eq!((finding.kind, finding.there), (FindingKind::UnknownThere, None));
    assert_eq!(finding.here.unwrap().amount, Won::new(9_900));
    for _ in 0..2 {
        assert_eq!(reconciled(&world, 3).await.found, 0);
    }
    assert_eq!(differences(&world).await, [FindingKind::UnknownThere]);
    assert_eq!(world.subscription(other).await.status, Status::Active);
}

#[tokio::test]
async fn where_most_of_the_ledger_is_missing_there_nobody_is_handed_to_a_person() {
    let world = World::new().await;
    world.live_until(seoul("2026-12-22T12:00")).await;
    let mut all = Vec::new();
    for nth in 0..4 {
        let id = world.subscribed("coffee").await;
        paid_only_here(&world, id, &format!("imp_99999999999{nth}"), seoul("2026-12-22T11:00")).await;
        all.push(id);
    }
    let run = reconciled(&world, 1).await;
    assert_eq!((run.implausible, run.found), (4, 0));
    for id in all {
        assert_eq!(world.subscription(id).await.status, Status::Active);
    }
}

/// Of a few, or of less than a tenth, a person can look at each.
#[tokio::test]
async fn what_little_of_the_ledger_is_missing_there_is_told_one_by_one() {
    for (missing, others) in [(3, 0), (4, 32)] {
        let world = World::new().await;
        world.live_until(seoul("2026-12-22T12:00")).await;
        for _ in 0..others {
            world.subscribed("coffee").await;
        }
        for nth in 0..missing {
            let id = world.subscribed("coffee").await;
            paid_only_here(&world, id, &format!("imp_99999999999{nth}"), seoul("2026-12-22T11:00")).await;
        }
        world.after(SignedDuration::from_hours(1)).await;
        let run = reconciled(&world, 1).await;
        assert_eq!((run.here, run.implausible, run.found), (others + 2 * missing, 0, missing));
    }
}

#[tokio::test]
async fn a_payment_of_another_amount_is_not_taken_for_what_was_meant() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    world.live_until(seoul("2026-12-01T12:00")).await;
    again(&world, id, world.charge_name(id, 2, 1).await, 100).await;
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(reconciled(&world, 1).await.found, 1);
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.paid_through), (Status::NeedsReview, 1));
    let finding = &world.stack.billing.store.findings(id).await.unwrap()[0];
    assert_eq!((finding.kind, finding.there.unwrap().amount), (FindingKind::Differs, Won::new(100)));
    assert_eq!(reconciled(&world, 1).await.found, 0);
    assert_eq!(differences(&world).await, [FindingKind::Differs]);
}

/// Whoever knows the merchant's code can open a window under any name, for any `customer_uid`. It buys no period, and doesn't
/// stop the charges. Nor does what the merchant takes from another subscription's billing key.
#[tokio::test]
async fn what_was_not_paid_by_its_own_billing_key_buys_nothing() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    let session = world.session("coffee").await;
    for (period, customer_uid) in [(7, session), (8, id)] {
        let mut window = world.buyer.open_window(session).await.unwrap();
        window["request"]["merchant_uid"] = json!(world.charge_name(id, period, 1).await.to_string());
        window["request"]["customer_uid"] = json!(customer_uid.to_string());
        world.buyer.press(&window, Button::Approve).await.unwrap();
    }
    let other = world.subscribed("coffee").await;
    again(&world, other, world.charge_name(id, 9, 1).await, 9_900).await;
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(reconciled(&world, 1).await.found, 3);
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 1));
    assert_eq!(differences(&world).await, [FindingKind::UnknownCharge; 3]);
}

/// I'mport's own schedule, left over from the old place, charges the same key for the same month: who notices?
#[tokio::test]
async fn a_left_over_schedule_of_the_same_key_is_noticed() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let now = world.stack.clock.now();
    let token = token(&world, now);
    let at = seoul("2026-12-23T10:00").as_second();
    let order = json!({ "merchant_uid": "old-shop-2026-12", "schedule_at": at, "amount": 9_900, "name": "매달 커피" });
    let scheduled = json!({ "customer_uid": id.to_string(), "schedules": [order] });
    assert_eq!(
        call(&world, now, "/subscribe/payments/schedule", &token, &scheduled)[0]["schedule_status"],
        "scheduled"
    );
    world.live_until(seoul("2026-12-27T12:00")).await;
    let december =
        world.stack.iamport().books().payments().iter().filter(|p| p.was_charged() && p.balance() > 0).count();
    assert_eq!(december, 3, "one in November, two in December");
    let kinds: Vec<_> = world.stack.events().await.into_iter().map(|event| event.kind.word()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "books.differ").count(), 1, "told once: {kinds:?}");
    let finding = world.stack.billing.store.findings(id).await.unwrap().remove(0);
    assert_eq!((finding.kind, finding.merchant_uid.ours()), (FindingKind::ForeignCharge, None));
    assert_eq!(finding.merchant_uid.to_string(), "old-shop-2026-12");
    assert_eq!(finding.there.unwrap().amount, Won::new(9_900));
    assert_eq!(world.subscription(id).await.status, Status::Active, "what is owed here is charged");
}

/// Another system of the merchant's charges buyers, too: of those that subscribe here it is told, unless all went back, or it was
/// before they came.
#[tokio::test]
async fn what_others_charge_to_a_key_of_ours_is_told_and_the_rest_is_read_over() {
    let world = World::new().await;
    let before = world.stack.clock.now();
    for uid in ["member-1", "member-2"] {
        world.stack.iamport().seed_key(uid, before);
        order(&world, before, &token(&world, before), uid, &format!("{uid}-before"));
    }
    world.after(SignedDuration::from_hours(1)).await;
    let rows = json!({ "rows": [{ "customer_uid": "member-1", "plan": "coffee", "next_charge": "2026-12-23" }] });
    assert_eq!(world.call(http::Method::POST, "/v1/imports", &rows, None).await.status, 202);
    world.after(SignedDuration::from_mins(1)).await;
    let now = world.stack.clock.now();
    for (uid, name) in [("member-1", "extra"), ("member-1", "extra-given-back"), ("member-2", "theirs")] {
        order(&world, now, &token(&world, now), uid, name);
    }
    {
        let mut iamport = world.stack.iamport();
        let imp_uid = iamport.books().payments_of("extra-given-back").next().unwrap().imp_uid.clone();
        iamport.cancel_in_console(&imp_uid, None, now).unwrap();
    }
    world.after(SignedDuration::from_hours(1)).await;
    let run = reconciled(&world, 1).await;
    assert_eq!((run.found, run.there, run.here), (1, 0, 0));
    assert_eq!(reconciled(&world, 1).await.found, 0);
    assert_eq!(differences(&world).await, [FindingKind::ForeignCharge]);
}

/// Between two attempts at a period its price has changed: the first is paid after all, as it was asked for.
#[tokio::test]
async fn a_payment_that_comes_late_is_held_to_what_its_own_attempt_asked_for() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(26))));
    world.fault(Rule::always(no_money()).on(Call::Again));
    world.live_until(seoul("2026-12-23T12:00")).await;
    let mut subscription = world.subscription(id).await;
    subscription.plan.terms.amount = Won::new(5_000);
    let billing = &world.stack.billing;
    billing.store.put(&mut subscription, world.stack.clock.now(), &billing.policy).await.unwrap();
    world.live_until(seoul("2026-12-24T10:30")).await;
    let asked =
        |ledger: maedal::store::Ledger| ledger.charges.iter().map(|charge| charge.amount.get()).collect::<Vec<_>>();
    assert_eq!(asked(world.ledger(id).await), [9_900, 9_900, 5_000]);
    world.live_until(seoul("2026-12-24T14:00")).await;
    assert_eq!(reconciled(&world, 3).await.settled, 1);
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "declined"]);
    assert_eq!(asked(world.ledger(id).await), [9_900, 9_900, 5_000]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
}

#[tokio::test]
async fn the_merchants_other_orders_are_read_over_page_by_page() {
    let world = World::new().await;
    world.subscribed("coffee").await;
    no_webhooks(&world);
    let now = world.stack.clock.now();
    let token = token(&world, now);
    world.stack.iamport().seed_key("anybody", now);
    for nth in 0..1_100 {
        order(&world, now, &token, "anybody", &format!("order-{nth}"));
    }
    // Behind all of them, on the last page.
    let orphan = SubscriptionId::new(Ids::seeded(9).next(now));
    world.stack.iamport().seed_key(&orphan.to_string(), now);
    world.stack.clock.advance(Duration::from_secs(1));
    again(&world, orphan, MerchantUid::charge(orphan, 1, 1), 9_900).await;
    world.after(SignedDuration::from_hours(1)).await;
    let run = reconciled(&world, 1).await;
    // The window, the first charge, and the one whose subscription isn't there.
    assert_eq!((run.there, run.here, run.found, run.settled), (3, 1, 1, 0));
    assert_eq!(differences(&world).await, [FindingKind::UnknownSubscription]);
    assert_eq!(reconciled(&world, 1).await.found, 0);
}

/// The merchant's other orders of that day: `many` at a time.
fn busy_day(world: &World, times: &[(&str, usize)]) {
    world.stack.iamport().seed_key("anybody", world.stack.clock.now());
    for (at, many) in times {
        let at = seoul(at);
        let token = token(world, at);
        for nth in 0..*many {
            order(world, at, &token, "anybody", &format!("order-{at}-{nth}"));
        }
    }
}

/// Somebody's payment that isn't here.
fn orphaned(world: &World, at: Timestamp, nth: u64) {
    let orphan = SubscriptionId::new(Ids::seeded(nth).next(at));
    world.stack.iamport().seed_key(&orphan.to_string(), at);
    order(world, at, &token(world, at), &orphan.to_string(), &MerchantUid::charge(orphan, 1, 1).to_string());
}

/// More than it lists of one span: the day is cut in two until each part fits, and nothing at the cut is lost or counted twice. As
/// many as a part may have fit into the first half, and one more is in the second; of one second there may be any number.
#[tokio::test]
async fn a_day_with_more_payments_than_are_listed_at_once_is_cut() {
    let world = World::new().await;
    no_webhooks(&world);
    let times = [("2026-11-23T10:00:00", 2_500), ("2026-11-23T11:59:59", 2_499), ("2026-11-23T17:00:00", 5_001)];
    busy_day(&world, &times);
    // The last second of the first half, and the first of the second.
    orphaned(&world, seoul("2026-11-23T11:59:59"), 8);
    orphaned(&world, seoul("2026-11-23T12:00:00"), 9);
    world.stack.clock.set(seoul("2026-11-24T01:00"));
    let day = Span { from: seoul("2026-11-23T00:00"), to: seoul("2026-11-24T00:00") };
    let before = world.stack.billing.iamport.calls();
    let run = Box::pin(world.stack.billing.reconcile(day, BUDGET)).await.unwrap();
    assert_eq!((run.there, run.here, run.found, run.settled, run.next), (2, 0, 2, 0, None));
    // 22 pages of what was paid at least, and what it costs to come down to that one second and up again.
    let calls = world.stack.billing.iamport.calls() - before;
    assert!((22..=100).contains(&calls), "{calls}");
}

/// Called again and again with no more time than one part of the day takes, it comes to the day's end, and does nothing twice.
#[tokio::test]
async fn a_run_whose_time_ends_within_a_day_goes_on_there() {
    let world = World::new().await;
    no_webhooks(&world);
    let id = world.subscribed("coffee").await;
    let times: Vec<(String, usize)> = (12..17).map(|hour| (format!("2026-11-23T{hour}:00:00"), 2_600)).collect();
    busy_day(&world, &times.iter().map(|(at, many)| (at.as_str(), *many)).collect::<Vec<_>>());
    for (nth, hour) in (12..17).enumerate() {
        orphaned(&world, seoul(&format!("2026-11-23T{hour}:30:00")), nth as u64);
    }
    world.stack.clock.set(seoul("2026-11-24T00:30"));
    let billing = &world.stack.billing;
    // Today's item, as it was written before there were parts.
    billing.store.put_run(&Run { next: seoul("2026-11-23T00:00"), to: seoul("2026-11-24T00:00") }).await.unwrap();
    let before = billing.iamport.calls();
    let (mut total, mut stops) = (Reconciled::default(), Vec::new());
    loop {
        let run = Box::pin(billing.reconcile_daily(Duration::from_millis(1))).await.unwrap();
        total.there += run.there;
        total.here += run.here;
        total.found += run.found;
        let Some(next) = run.next else { break };
        assert_eq!(billing.store.run().await.unwrap().unwrap().next, next);
        stops.push(next);
    }
    // The buyer's window and first charge, and the five.
    assert_eq!((total.there, total.here, total.found), (7, 1, 5));
    let within = |stop: &Timestamp| *stop > seoul("2026-11-23T00:00") && *stop < seoul("2026-11-24T00:00");
    assert!(stops.len() >= 3 && stops.iter().all(within) && stops.is_sorted(), "{stops:?}");
    // 13,000 orders are 26 pages; each call begins with the rest of the day, and halves it.
    let calls = billing.iamport.calls() - before;
    assert!(calls <= 26 + 12 * (stops.len() as u64 + 1), "{calls} calls, {} stops", stops.len());
    assert_eq!(billing.reconcile_daily(BUDGET).await.unwrap(), Reconciled::default(), "the day is done");
    assert_eq!(world.subscription(id).await.status, Status::Active);
}

/// Its item has lost its place in the index of what is due.
fn unlist(world: &World, id: SubscriptionId) {
    let key = json!({ "pk": { "S": format!("SUB#{id}") }, "sk": { "S": "SUB" } });
    let change =
        json!({ "TableName": sandbox::stack::TABLE, "Key": key, "UpdateExpression": "REMOVE due_at, due_shard" });
    world.stack.database().update_item(serde_json::from_value(change).unwrap()).unwrap();
}

#[tokio::test]
async fn a_living_subscription_that_is_listed_nowhere_is_listed_again_within_a_day() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.subscribed("coffee").await);
    }
    world.commanded(ids[1], "pause", json!({})).await;
    world.live_until(seoul("2026-12-20T12:00")).await;
    unlist(&world, ids[0]);
    // (A pause waits for nothing, so it is listed nowhere.)
    assert_eq!(world.subscription(ids[0]).await.listed_at, None);
    let before = world.subscription(ids[2]).await;
    world.live_until(seoul("2026-12-21T03:00")).await;
    let listed = |s: &maedal::subscription::Subscription| s.listed_at;
    assert_eq!(listed(&world.subscription(ids[0]).await), Some(seoul("2026-12-23T10:00")));
    assert_eq!(listed(&world.subscription(ids[1]).await), None);
    assert_eq!(world.subscription(ids[2]).await, before, "who is listed is left alone");
    let sweep = world.stack.billing.store.sweep().await.unwrap().unwrap();
    assert_eq!((sweep.day, sweep.status, sweep.unlisted), (seoul("2026-12-21T00:00"), None, 1));
    world.live_until(seoul("2026-12-24T12:00")).await;
    assert_eq!(world.outcomes(ids[0]).await, ["paid", "paid"]);
    assert_eq!(world.stack.billing.store.sweep().await.unwrap().unwrap().unlisted, 0);
}

/// A look that is stopped goes on where it was, a look through a day that is over, too.
#[tokio::test]
async fn a_look_through_the_living_goes_on_where_it_ended() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.subscribed("coffee").await);
    }
    ids.sort();
    let day = seoul("2026-11-23T00:00");
    let billing = &world.stack.billing;
    for id in &ids {
        unlist(&world, *id);
    }
    // The newest first: the two newest were looked at, by yesterday's.
    let sweep = Sweep { day, status: Some(Status::Active), after: Some(ids[3]), unlisted: 0 };
    billing.store.put_sweep(&sweep).await.unwrap();
    world.stack.clock.set(seoul("2026-11-24T00:30"));
    let swept = billing.sweep_daily(BUDGET).await.unwrap();
    assert_eq!((swept.looked_at, swept.unlisted), (3, 3));
    let swept = billing.sweep_daily(BUDGET).await.unwrap();
    assert_eq!((swept.looked_at, swept.unlisted), (5, 2), "and then that of today");
    assert_eq!(billing.sweep_daily(BUDGET).await.unwrap().looked_at, 0);
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_with_the_day_that_it_stopped_at() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    let imp_uid = world.ledger(id).await.charges[0].payment().unwrap().imp_uid.to_string();
    world.stack.iamport().cancel_in_console(&imp_uid, Some(900), seoul("2026-11-23T12:00")).unwrap();
    world.stack.clock.set(seoul("2026-11-26T00:30"));
    let billing = &world.stack.billing;
    let run = |next| Run { next: seoul(next), to: seoul("2026-11-26T00:00") };
    billing.store.put_run(&run("2026-11-24T00:00")).await.unwrap();
    assert_eq!(billing.reconcile_daily(BUDGET).await.unwrap(), Reconciled::default(), "that day lies behind it");
    billing.store.put_run(&run("2026-11-23T00:00")).await.unwrap();
    assert_eq!(billing.reconcile_daily(BUDGET).await.unwrap().settled, 1);
    assert_eq!(billing.store.run().await.unwrap(), Some(run("2026-11-26T00:00")));
}

#[tokio::test]
async fn the_daily_run_goes_on_where_it_ended_and_catches_up_with_days_that_were_missed() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    no_webhooks(&world);
    let billing = &world.stack.billing;
    // I'mport is down for days; somebody cancels in its console on the first.
    world.stack.clock.set(seoul("2026-11-24T00:30"));
    let imp_uid = world.ledger(id).await.charges[0].payment().unwrap().imp_uid.to_string();
    world.stack.iamport().cancel_in_console(&imp_uid, Some(900), seoul("2026-11-24T00:20")).unwrap();
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    world.stack.clock.set(seoul("2026-12-02T00:30"));
    assert!(billing.reconcile_daily(BUDGET).await.is_err());
    assert_eq!(billing.store.run().await.unwrap(), None);
    world.no_faults();
    no_webhooks(&world);
    // Without time it says where to go on.
    assert_eq!(billing.reconcile_daily(Duration::ZERO).await.unwrap().next, Some(seoul("2026-11-29T00:00")));
    billing.reconcile_daily(BUDGET).await.unwrap();
    let done = billing.store.run().await.unwrap().unwrap();
    assert_eq!((done.next, done.to), (seoul("2026-12-02T00:00"), seoul("2026-12-02T00:00")));
    let calls = billing.iamport.calls();
    assert_eq!(billing.reconcile_daily(BUDGET).await.unwrap(), Reconciled::default());
    assert_eq!(billing.iamport.calls(), calls, "until tomorrow nobody asks");
    // The days of the outage lay before the first run; an operator has them compared.
    assert_eq!(reconciled(&world, 10).await.settled, 1);
    // From here on no day is left out, however long nobody runs it.
    world.stack.iamport().cancel_in_console(&imp_uid, Some(100), seoul("2026-12-04T12:00")).unwrap();
    world.stack.clock.set(seoul("2026-12-20T00:30"));
    assert_eq!(billing.reconcile_daily(BUDGET).await.unwrap().settled, 1);
    assert_eq!(world.ledger(id).await.standing(), Won::new(8_900));
}

/// Commands as the log has them: whose, the version by it, the word.
fn lost(commands: &[(SubscriptionId, Option<&Value>, &str)]) -> reconcile::Asked {
    let command = |(id, version, what): &(SubscriptionId, Option<&Value>, &str)| json!({ "subscription": id, "version": version, "what": what, "at": "2026-12-21 01:00:00.000" });
    serde_json::from_value(json!({ "lost": commands.iter().map(command).collect::<Vec<_>>() })).unwrap()
}

async fn fed(world: &World, asked: reconcile::Asked) -> maedal::billing::Lost {
    Box::pin(reconcile::handle(&world.stack.reconcile, asked)).await.unwrap().lost.unwrap()
}

async fn switch(world: &World, on: bool) {
    let body = json!({ "on": on, "reason": "a restore" });
    assert_eq!(world.call(http::Method::PUT, "/v1/charging", &body, None).await.status, 200);
}

/// A cancellation, a pause and the deletion of a key are lost with a restore. The table is as it was before them, and the log says
/// what they were: nobody of those is charged, until a person has looked.
#[tokio::test]
async fn nobody_is_charged_against_a_word_that_a_restore_has_lost() {
    Box::pin(lost_words()).await;
}

async fn lost_words() {
    let world = World::new().await;
    world.stack.stop_stream().unwrap();
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.subscribed("coffee").await);
    }
    let [canceled, ended, paused, keyless, unknown, other] = ids[..] else { panic!("six") };
    world.live_until(seoul("2026-12-20T12:00")).await;
    let before = world.commanded(other, "cancel", json!({ "when": "period_end" })).await;
    world.commanded(other, "resume", json!({})).await;
    let backup = world.stack.back_up().unwrap();
    world.live_until(seoul("2026-12-21T10:00")).await;
    let cancel = world.commanded(canceled, "cancel", json!({ "when": "period_end" })).await;
    let end = world.commanded(ended, "cancel", json!({ "when": "now" })).await;
    let pause = world.commanded(paused, "pause", json!({})).await;
    let delete = world.delete_key(keyless).await.body;
    world.commanded(unknown, "cancel", json!({ "when": "period_end" })).await;
    world.live_until(seoul("2026-12-22T12:00")).await;

    switch(&world, false).await;
    world.stack.restore(&backup).unwrap();
    switch(&world, false).await;
    assert_eq!(world.subscription(canceled).await.status, Status::Active);
    let commands = [
        (canceled, Some(&cancel["version"]), "cancel"),
        (ended, Some(&end["version"]), "cancel"),
        (paused, Some(&pause["version"]), "pause"),
        (keyless, Some(&delete["version"]), "delete-billing-key"),
        // From a log without versions.
        (unknown, None, "cancel"),
        // The table has it.
        (other, Some(&before["version"]), "cancel"),
        (SubscriptionId::new(Ids::seeded(9).next(world.stack.clock.now())), None, "cancel"),
    ];
    let first = fed(&world, lost(&commands)).await;
    assert_eq!((first.held, first.known, first.unknown, first.over, first.left), (5, 1, 1, 0, 0));
    for id in [canceled, ended, paused, keyless, unknown] {
        let s = world.subscription(id).await;
        assert_eq!((s.status, s.review.as_ref().map(|review| review.was)), (Status::NeedsReview, Some(Status::Active)));
    }
    let shown = world.read("/v1/reviews").await.body;
    let of = |id: SubscriptionId| {
        let all = shown["reviews"].as_array().unwrap();
        all.iter().find(|review| review["id"] == id.to_string()).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    let version = &cancel["version"];
    assert_eq!(of(canceled), format!("lost with a restore: cancel (2026-12-21 01:00:00.000, version {version})"));
    assert_eq!(of(unknown), "lost with a restore: cancel (2026-12-21 01:00:00.000)");
    // The same again is no news.
    assert_eq!(fed(&world, lost(&commands)).await.held, 0);

    // Charging may be switched on: nobody of those is charged.
    reconciled(&world, 3).await;
    let paid = world.payments();
    switch(&world, true).await;
    world.live_until(seoul("2026-12-26T12:00")).await;
    assert_eq!(world.outcomes(other).await, ["paid", "paid"]);
    assert_eq!(world.payments(), paid + 1, "the one who asked for nothing");

    // What was lost is given again while they wait; then the reviews end.
    switch(&world, false).await;
    assert_eq!(world.commanded(canceled, "cancel", json!({ "when": "period_end" })).await["status"], "needs_review");
    assert_eq!(world.commanded(ended, "cancel", json!({ "when": "now" })).await["status"], "canceled");
    assert_eq!(world.commanded(paused, "pause", json!({})).await["status"], "needs_review");
    assert_eq!(world.delete_key(keyless).await.status, 200);
    let refused = world.command(unknown, "retry", json!({})).await;
    assert_eq!((refused.status, &refused.body["reason"]), (409, &json!("in_doubt")));
    for id in [canceled, paused, keyless, unknown] {
        let accepted = json!({ "action": "accept", "reason": "asked the buyer" });
        assert_eq!(world.command(id, "repair", accepted).await.status, 202);
    }
    assert_eq!(fed(&world, lost(&commands)).await.held, 0, "who was looked at is left alone");
    switch(&world, true).await;
    world.live_until(seoul("2027-01-05T12:00")).await;
    let mut statuses = Vec::new();
    for id in [canceled, ended, paused, unknown, other] {
        statuses.push(world.subscription(id).await.status);
    }
    let [gone, held, lives] = [Status::Canceled, Status::Paused, Status::Active];
    assert_eq!(statuses, [gone, gone, held, lives, lives]);
    assert_eq!(world.payments(), paid + 2, "and the one whose buyer wants to go on");
}

/// Ten months; half of the webhooks and redirects get lost; then the table is that of a week ago.
#[tokio::test]
async fn after_ten_months_and_a_restore_one_run_makes_the_books_agree() {
    Box::pin(ten_months()).await;
}

async fn ten_months() {
    let world = World::new().await;
    world.stack.stop_stream().unwrap();
    let weekly = json!({ "name": "매주 꽃", "amount": 15_000, "interval": { "unit": "week", "count": 1 } });
    world.put_plan("flowers", weekly).await;
    world.put_plan("paper", json!({ "name": "신문", "amount": 4_900, "interval": monthly(), "trial_days": 14 })).await;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook).chance(0.5));
    world.fault(Rule::always(no_money()).on(Call::Again).chance(0.1));
    world.fault(Rule::always(Fault::CutAfterEffect).on(Call::Again).chance(0.1));
    world.fault(Rule::always(Fault::LatePaid(SignedDuration::from_hours(3))).on(Call::Again).chance(0.05));
    let mut dice = StdRng::seed_from_u64(10);
    let mut ids = Vec::new();
    for nth in 0..6_i64 {
        world
            .live_until(seoul("2026-11-23T10:00").saturating_add(SignedDuration::from_hours(nth * 107)).unwrap())
            .await;
        let id = world.session(["coffee", "flowers", "paper"][usize::try_from(nth % 3).unwrap()]).await;
        let window = world.buyer.open_window(id).await.unwrap();
        let back = world.buyer.press(&window, Button::Approve).await.unwrap().unwrap();
        if dice.random_ratio(1, 2) {
            world.buyer.come_back(&back).await.unwrap();
        }
        ids.push(id);
    }
    world.live_until(seoul("2027-09-16T12:00")).await;
    let backup = world.stack.back_up().unwrap();
    let charges = |world: &World| world.stack.iamport().books().payments().iter().filter(|p| p.was_charged()).count();
    let before = charges(&world);
    // A week in which somebody pays, and somebody gets money back in the console.
    let imp_uid = world.ledger(ids[0]).await.charges[0].payment().unwrap().imp_uid.to_string();
    world.live_until(seoul("2027-09-20T12:00")).await;
    let now = world.stack.clock.now();
    world.stack.iamport().cancel_in_console(&imp_uid, Some(1_000), now).unwrap();
    world.live_until(seoul("2027-09-23T12:00")).await;
    assert!(charges(&world) > before, "the lost week has payments");

    world.no_faults();
    world.stack.restore(&backup).unwrap();
    let run = reconciled(&world, 8).await;
    assert!(run.settled > 0 && run.found == 0, "{run:?}");
    let report = world.reconciled(&ids).await;
    assert_eq!((report.double_charges, report.needs_review), (0, 0), "{report:?}");
    // And life goes on.
    world.live_until(seoul("2027-10-25T12:00")).await;
    let report = world.reconciled(&ids).await;
    assert_eq!((report.double_charges, report.needs_review), (0, 0), "{report:?}");
    assert_eq!(reconciled(&world, 80).await.found, 0);
}

#[tokio::test]
async fn open_reviews_are_counted_by_the_hour_for_as_long_as_they_are_open() {
    let world = World::new().await;
    let (id, _) = (world.subscribed("coffee").await, world.subscribed("coffee").await);
    let app = reconcile::App { billing: world.stack.billing.clone(), budget: BUDGET };
    let count = async || reconcile::handle(&app, reconcile::Asked::default()).await.unwrap().open_reviews;
    assert_eq!(count().await, 0);
    let mut s = world.subscription(id).await;
    s.needs_review("somebody must look".to_owned(), world.stack.clock.now());
    world.stack.billing.store.put(&mut s, world.stack.clock.now(), &world.stack.billing.policy).await.unwrap();
    assert_eq!((count().await, count().await), (1, 1));
    let answer = world.command(id, "repair", json!({ "action": "accept", "reason": "checked" })).await;
    assert_eq!(answer.status, 202);
    world.after(SignedDuration::from_mins(2)).await;
    assert_eq!(count().await, 0);
}

/// The table is restored as it was while a charge was in doubt: its lost cancellation can be given again once that is decided, before
/// anything else is charged.
#[tokio::test]
async fn a_cancellation_that_a_restore_has_lost_waits_for_the_charge_in_doubt_and_nothing_is_charged_between() {
    let world = World::new().await;
    world.stack.stop_stream().unwrap();
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::ErrorAfterEffect(500)));
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.live_until(seoul("2026-12-23T10:03")).await;
    assert!(world.subscription(id).await.in_flight.is_some());
    let backup = world.stack.back_up().unwrap();
    world.live_until(seoul("2026-12-23T12:00")).await;
    let cancel = world.commanded(id, "cancel", json!({ "when": "now" })).await;
    let paid = world.payments();

    switch(&world, false).await;
    world.stack.restore(&backup).unwrap();
    switch(&world, false).await;
    assert_eq!(fed(&world, lost(&[(id, Some(&cancel["version"]), "cancel")])).await.held, 1);
    let path = format!("/v1/subscriptions/{id}");
    let post = async |what: &str, body: Value| {
        world.call(http::Method::POST, &format!("{path}/{what}"), &body, None).await.status
    };
    assert_eq!(post("cancel", json!({ "when": "now" })).await, 409, "the charge is in doubt");
    assert_eq!(post("repair", json!({ "action": "accept", "reason": "a restore" })).await, 202);
    switch(&world, true).await;
    world.live_until(seoul("2026-12-24T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.paid_through, s.in_flight), (Status::NeedsReview, 2, None));
    world.live_until(seoul("2027-01-26T12:00")).await;
    assert_eq!(post("cancel", json!({ "when": "now" })).await, 200);
    world.live_until(seoul("2027-01-27T12:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Canceled);
    assert_eq!(world.payments(), paid, "nobody was charged since");
}
