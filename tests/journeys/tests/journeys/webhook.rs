//! I'mport says that something happened: what is done, what is answered, what it costs, and what a forger gets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use jiff::SignedDuration;
use journeys::fate::{Blow, Fate};
use journeys::{World, monthly, no_money, seoul};
use lambda_http::{Body, RequestExt};
use maedal::clock::Clock;
use maedal::queue::{Message, Queue, QueueError};
use maedal::subscription::{MerchantUid, Status, SubscriptionId, Won};
use sandbox::buyer::{Button, read};
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

/// Posts a webhook through API Gateway's event. Returns the status and the body.
pub(crate) async fn post(world: &World, content_type: &str, body: &[u8]) -> (u16, String) {
    let request = Request::post("/webhooks/iamport").header("content-type", content_type);
    let answer = world.stack.functions.route(request.body(Bytes::copy_from_slice(body)).unwrap()).await.unwrap();
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
}

/// Posts a webhook as JSON.
pub(crate) async fn webhook(world: &World, body: &str) -> (u16, String) {
    post(world, "application/json", body.as_bytes()).await
}

/// The bodies of all webhooks that I'mport has made, delivered or not, about names that contain `name`.
pub(crate) fn told(world: &World, name: &str) -> Vec<String> {
    let iamport = world.stack.iamport();
    iamport.webhooks().iter().filter(|told| told.body.contains(name)).map(|told| told.body.clone()).collect()
}

fn notice(imp_uid: &str, merchant_uid: impl ToString, status: &str) -> String {
    json!({ "imp_uid": imp_uid, "merchant_uid": merchant_uid.to_string(), "status": status }).to_string()
}

/// Webhooks are only made, not sent: a test sends them by hand.
fn by_hand(world: &World) {
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
}

fn result(answer: &(u16, String)) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.1).unwrap();
    (answer.0, body["result"].as_str().unwrap().to_owned())
}

/// What the table was written, read, and I'mport asked, while `work` was done.
async fn cost<T>(world: &World, work: impl Future<Output = T>) -> (T, Cost) {
    let billing = &world.stack.billing;
    let (table, iamport) = (billing.store.meter().usage(), billing.iamport.calls());
    let done = work.await;
    let used = billing.store.meter().usage() - table;
    (done, Cost { table: used.calls, written: used.write_units, iamport: billing.iamport.calls() - iamport })
}

#[derive(Debug, PartialEq)]
struct Cost {
    table: u64,
    written: f64,
    iamport: u64,
}

/// A subscription of 10,000 won that has been paid once, and I'mport's name for the payment.
async fn ten_thousand(world: &World) -> (SubscriptionId, String) {
    world.put_plan("ten", json!({ "name": "만원", "amount": 10_000, "interval": monthly() })).await;
    let id = world.subscribed("ten").await;
    let imp_uid = world.ledger(id).await.charges[0].payment().unwrap().imp_uid.to_string();
    (id, imp_uid)
}

/// An operator of the merchant cancels in I'mport's console. Returns the webhook's body.
fn cancel(world: &World, imp_uid: &str, won: u64) -> String {
    let now = world.stack.clock.now();
    world.stack.iamport().cancel_in_console(imp_uid, Some(won), now).unwrap();
    told(world, imp_uid).pop().unwrap()
}

fn without_id(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    assert!(body.as_object_mut().unwrap().remove("cancellation_id").is_some());
    body.to_string()
}

/// What went back of the first charge, refund by refund in ascending order; the sum must be what the charge says.
async fn refunds(world: &World, id: SubscriptionId) -> Vec<u64> {
    let ledger = world.ledger(id).await;
    let mut refunds: Vec<u64> = ledger.refunds.iter().map(|refund| refund.amount.get()).collect();
    let charged: u64 = ledger.charges.iter().map(|charge| charge.refunded.get()).sum();
    assert_eq!(refunds.iter().sum::<u64>(), charged, "{ledger:?}");
    refunds.sort_unstable();
    refunds
}

async fn drain(world: &World) {
    while !world.stack.charge_batch().await.is_empty() {}
}

/// `name` is being charged for the second time; its answer and its webhook get lost.
async fn renewal_in_doubt(world: &World, id: SubscriptionId) -> (MerchantUid, String) {
    by_hand(world);
    world.fault(Rule::once(Call::Again, Fault::CutAfterEffect));
    world.at(world.due(id).await.due_at).await;
    let subscription = world.subscription(id).await;
    assert!(subscription.doubt.is_some());
    let name = subscription.in_flight.unwrap().merchant_uid;
    let imp_uid = world.stack.iamport().books().payments_of(&name.to_string()).next().unwrap().imp_uid.clone();
    (name, imp_uid)
}

#[tokio::test]
async fn two_cancellations_in_the_console_are_two_refunds_in_every_order() {
    let orders: [[usize; 4]; 6] = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];
    for gap in [0, 31] {
        for order in orders {
            let world = World::new().await;
            by_hand(&world);
            let (id, imp_uid) = ten_thousand(&world).await;
            let told = [cancel(&world, &imp_uid, 3_000), cancel(&world, &imp_uid, 7_000)];
            for nth in order {
                assert_eq!(webhook(&world, &told[nth]).await.0, 200);
                world.stack.clock.advance(Duration::from_secs(gap));
            }
            assert_eq!(refunds(&world, id).await, [3_000, 7_000], "{order:?}");
            assert_eq!(world.ledger(id).await.standing(), Won::ZERO);
            world.reconciled(&[id]).await;
        }
    }
}

/// Before 2024-02 a cancellation had no id: two of one payment look the same, at the same moment even.
#[tokio::test]
async fn two_cancellations_without_an_id_are_two_refunds() {
    let world = World::new().await;
    by_hand(&world);
    let (id, imp_uid) = ten_thousand(&world).await;
    for won in [3_000, 3_000, 4_000] {
        let told = without_id(&cancel(&world, &imp_uid, won));
        assert_eq!(webhook(&world, &told).await.0, 200);
        assert_eq!(webhook(&world, &told).await.0, 200);
    }
    assert_eq!(refunds(&world, id).await, [3_000, 3_000, 4_000]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_cancellation_that_is_told_before_the_payment_was_recorded_settles_both() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let (name, imp_uid) = renewal_in_doubt(&world, id).await;
    let told = cancel(&world, &imp_uid, 3_000);
    assert_eq!(webhook(&world, &told).await.0, 200);
    assert_eq!(world.outcomes(id).await, ["paid", "paid"], "{name}");
    assert_eq!(refunds(&world, id).await, [3_000]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.after(SignedDuration::from_mins(20)).await;
    assert_eq!(refunds(&world, id).await, [3_000]);
    world.reconciled(&[id]).await;
}

/// Nobody told us: the look-up that settles the attempt sees what went back.
#[tokio::test]
async fn a_cancellation_in_doubt_that_is_never_told_is_found_by_the_look() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let (_, imp_uid) = renewal_in_doubt(&world, id).await;
    cancel(&world, &imp_uid, 3_000);
    world.after(SignedDuration::from_mins(6)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(refunds(&world, id).await, [3_000]);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_payment_that_comes_late_ends_the_dunning() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(2))));
    world.at(world.due(id).await.due_at).await;
    assert_eq!(world.subscription(id).await.status, Status::PastDue);
    world.after(SignedDuration::from_hours(2)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.paid_through), (Status::Active, 2));
    // The retry of the next day isn't made any more.
    world.after(SignedDuration::from_hours(48)).await;
    assert_eq!(world.payments(), 2);
    world.reconciled(&[id]).await;
}

/// Rule 5: the later payment of a period goes back at once, with its balance as the checksum.
#[tokio::test]
async fn a_payment_that_comes_after_its_retry_was_paid_goes_back() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(40))));
    world.live_until(seoul("2026-12-24T12:00")).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined", "paid"]);
    by_hand(&world);
    world.live_until(seoul("2026-12-25T12:00")).await;
    let late = told(&world, &world.charge_name(id, 2, 1).await.to_string()).pop().unwrap();
    for _ in 0..2 {
        assert_eq!(webhook(&world, &late).await.0, 200);
        world.stack.clock.advance(Duration::from_secs(31));
    }
    let ledger = world.ledger(id).await;
    assert!(ledger.charges[1].duplicate && ledger.charges[1].refund.is_some());
    world.after(SignedDuration::from_mins(1)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid", "paid"]);
    assert_eq!(refunds(&world, id).await, [9_900]);
    let report = world.reconciled(&[id]).await;
    assert_eq!((report.duplicates_refunded, report.ledger_won), (1, Won::new(19_800)));
    assert_eq!(world.subscription(id).await.paid_through, 2);
}

#[tokio::test]
async fn a_payment_that_comes_after_the_end_goes_back() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(5))));
    world.buyer.subscribe(id).await.unwrap();
    world.live_until(seoul("2026-11-23T14:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Expired);
    world.live_until(seoul("2026-11-23T15:05")).await;
    assert_eq!(world.subscription(id).await.status, Status::Expired);
    assert_eq!((world.outcomes(id).await, refunds(&world, id).await), (vec!["paid"], vec![9_900]));
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn an_attempt_in_doubt_is_settled_by_its_webhook() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let (name, _) = renewal_in_doubt(&world, id).await;
    let told = told(&world, &name.to_string()).pop().unwrap();
    assert_eq!(webhook(&world, &told).await.0, 200);
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.subscription(id).await.in_flight, None);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn a_failure_settles_an_attempt_in_doubt_and_nothing_else() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let due = world.due(id).await;
    world.stack.clock.set(due.due_at);
    // The gateway declines, and the answer is lost on its way.
    world.fault(Rule::once(Call::Again, no_money()));
    let fate = Arc::new(Fate::default());
    fate.strike(3, Blow::LoseAnswer);
    world.worker(&fate).work(&due).await.unwrap();
    let name = world.subscription(id).await.in_flight.unwrap().merchant_uid;
    let imp_uid = world.stack.iamport().books().payments_of(&name.to_string()).next().unwrap().imp_uid.clone();
    let told = notice(&imp_uid, name, "failed");
    assert_eq!(webhook(&world, &told).await.0, 200);
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);
    assert_eq!(world.subscription(id).await.status, Status::PastDue);

    let before = world.subscription(id).await;
    world.stack.clock.advance(Duration::from_secs(31));
    let (_, cost) = cost(&world, webhook(&world, &told)).await;
    assert_eq!((world.subscription(id).await, cost.written), (before, 0.0));
}

#[tokio::test]
async fn a_window_that_is_still_open_changes_nothing() {
    let world = World::new().await;
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.buyer.press(&window, Button::Close).await.unwrap();
    let name = world.window_name(id, 1).await;
    let imp_uid = world.stack.iamport().books().payments_of(&name.to_string()).next().unwrap().imp_uid.clone();
    let before = world.subscription(id).await;
    for status in ["ready", "failed", "paid", "cancelled", "something new"] {
        let (answer, cost) = cost(&world, webhook(&world, &notice(&imp_uid, name, status))).await;
        assert_eq!((answer.0, cost.written), (200, 0.0), "{status}");
    }
    assert_eq!(world.subscription(id).await, before);
}

#[tokio::test]
async fn a_billing_key_that_comes_after_the_session_is_not_taken() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.session("coffee").await;
    let window = world.buyer.open_window(id).await.unwrap();
    world.live_until(seoul("2026-11-23T14:00")).await;
    assert_eq!(world.subscription(id).await.status, Status::Expired);
    world.buyer.press(&window, Button::Approve).await.unwrap();
    let told = told(&world, &id.to_string()).pop().unwrap();
    let (answer, cost) = cost(&world, webhook(&world, &told)).await;
    assert_eq!((answer.0, cost.written, cost.iamport), (200, 0.0, 0));
    world.live_until(seoul("2026-11-25T14:00")).await;
    let subscription = world.subscription(id).await;
    assert_eq!((subscription.status, subscription.payment_method), (Status::Expired, None));
    assert_eq!(world.payments(), 0);
}

/// A merchant's old schedule, or I'mport's own recovery of a failed one.
#[tokio::test]
async fn what_import_charges_on_its_own_schedule_is_recorded() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.at(world.due(id).await.due_at).await;
    assert_eq!(world.outcomes(id).await, ["paid", "declined"]);

    let name = world.charge_name(id, 2, 1).await.to_string();
    let iamport = |path: &str| format!("{}{path}", world.stack.iamport_url);
    let http = reqwest::Client::new();
    let (key, secret) = {
        let iamport = world.stack.iamport();
        (iamport.config().imp_key.clone(), iamport.config().imp_secret.clone())
    };
    let send = |path: &str, token: &str, body: Value| {
        let request = http.post(iamport(path)).header("content-type", "application/json");
        request.header("authorization", token.to_owned()).body(body.to_string()).send()
    };
    let token = read(send("/users/getToken", "", json!({ "imp_key": key, "imp_secret": secret })).await.unwrap()).await;
    let token = token["response"]["access_token"].as_str().unwrap();
    let at = world.stack.clock.now().as_second() + 3_600;
    let schedule = json!({ "customer_uid": id.to_string(), "schedules": [
        { "merchant_uid": name, "schedule_at": at, "amount": 9_900, "name": "매달 커피" }
    ] });
    assert_eq!(read(send("/subscribe/payments/schedule", token, schedule).await.unwrap()).await["code"], 0);
    world.after(SignedDuration::from_hours(1)).await;
    assert_eq!(world.outcomes(id).await, ["paid", "paid"]);
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn while_import_is_down_a_webhook_is_kept_and_followed_later() {
    let world = World::new().await;
    by_hand(&world);
    let (id, imp_uid) = ten_thousand(&world).await;
    let told = cancel(&world, &imp_uid, 3_000);
    let now = world.stack.clock.now();
    let for_minutes = |minutes| now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    world.fault(Rule::always(Fault::CutBeforeEffect).on(Call::Lookup).between(now, for_minutes(3)));
    assert_eq!(result(&webhook(&world, &told).await), (200, "kept for later".to_owned()));
    drain(&world).await;
    assert_eq!((refunds(&world, id).await, world.stack.queue.len()), (vec![], 1));
    world.live_until(for_minutes(5)).await;
    assert_eq!((refunds(&world, id).await, world.stack.queue.len()), (vec![3_000], 0));
    world.reconciled(&[id]).await;
}

/// I'mport's look-up runs behind its webhooks: what it doesn't show of a name that we know is looked for again.
#[tokio::test]
async fn what_import_does_not_show_yet_is_followed_later() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_hours(2))));
    world.at(world.due(id).await.due_at).await;
    assert_eq!(world.subscription(id).await.status, Status::PastDue);
    by_hand(&world);
    world.after(SignedDuration::from_hours(2)).await;
    let late = told(&world, &world.charge_name(id, 2, 1).await.to_string()).pop().unwrap();
    let now = world.stack.clock.now();
    let for_minutes = |minutes| now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    let blind = Fault::LookupMiss(SignedDuration::from_hours(24));
    world.fault(Rule::always(blind).on(Call::Lookup).between(now, for_minutes(3)));
    assert_eq!(result(&webhook(&world, &late).await), (200, "kept for later".to_owned()));
    drain(&world).await;
    assert_eq!((world.outcomes(id).await, world.stack.queue.len()), (vec!["paid", "declined"], 1));
    world.live_until(for_minutes(5)).await;
    assert_eq!((world.outcomes(id).await, world.stack.queue.len()), (vec!["paid", "paid"], 0));
    assert_eq!(world.subscription(id).await.status, Status::Active);
    world.reconciled(&[id]).await;
}

/// Whoever knows a name of ours can send it with any payment: one look-up, three from the queue, and no dead letter.
#[tokio::test]
async fn what_import_never_shows_is_let_go_of() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    let before = (world.subscription(id).await, world.ledger(id).await);
    for name in [world.charge_name(id, 1, 1).await, world.window_name(id, 1).await] {
        world.stack.iamport().keep_journal();
        webhook(&world, &notice("imp_404", name, "paid")).await;
        world.live_until(world.stack.clock.now().checked_add(SignedDuration::from_hours(1)).unwrap()).await;
        let looks = world.stack.iamport().exchanges().filter(|call| call.path.contains("imp_404")).count();
        assert_eq!(looks, 4, "{name}");
        assert!(world.stack.queue.is_empty() && world.stack.queue.dead_letters().is_empty(), "{name}");
    }
    assert_eq!((world.subscription(id).await, world.ledger(id).await), before);
}

/// The queue drops repeats for five minutes. A second cancellation isn't one, even where it looks the same.
#[tokio::test]
async fn a_second_cancellation_is_kept_though_the_first_was_a_moment_ago() {
    for with_id in [true, false] {
        let world = World::new().await;
        by_hand(&world);
        let (id, imp_uid) = ten_thousand(&world).await;
        for won in [3_000, 7_000] {
            let told = cancel(&world, &imp_uid, won);
            let told = if with_id { told } else { without_id(&told) };
            world.fault(Rule::once(Call::Lookup, Fault::CutBeforeEffect));
            assert_eq!(result(&webhook(&world, &told).await), (200, "kept for later".to_owned()));
            drain(&world).await;
            world.stack.clock.advance(Duration::from_secs(40));
        }
        assert_eq!(refunds(&world, id).await, [3_000, 7_000], "with an id: {with_id}");
        world.reconciled(&[id]).await;
    }
}

/// As `webhook`'s app, with another table client and another queue.
fn app(world: &World, fate: &Arc<Fate>, queue: Arc<dyn Queue>) -> webhook::App {
    webhook::App { billing: Arc::new(world.worker(fate)), queue, recent: webhook::Recent::default() }
}

fn request(body: &str) -> lambda_http::Request {
    let request = Request::post("/webhooks/iamport").header("content-type", "application/json");
    request.body(Body::Text(body.to_owned())).unwrap().with_raw_http_path("/webhooks/iamport")
}

#[derive(Debug)]
struct BrokenQueue;

impl Queue for BrokenQueue {
    fn send<'a>(
        &'a self,
        _: &'a [Message],
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        Box::pin(async { Err(QueueError("no answer".to_owned())) })
    }
}

/// The table is out of reach for more calls than its client makes.
fn table_down() -> Arc<Fate> {
    let fate = Arc::new(Fate::default());
    for nth in 1..=10 {
        fate.strike(nth, Blow::Throttle);
    }
    fate
}

#[tokio::test]
async fn while_the_table_is_down_a_webhook_is_kept_and_followed_later() {
    let world = World::new().await;
    by_hand(&world);
    let (id, imp_uid) = ten_thousand(&world).await;
    let told = cancel(&world, &imp_uid, 10_000);
    let app = app(&world, &table_down(), world.stack.queue.clone());
    let answer = webhook::handle(&app, request(&told)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!((refunds(&world, id).await, world.stack.queue.len()), (vec![], 1));
    drain(&world).await;
    assert_eq!((refunds(&world, id).await, world.stack.queue.len()), (vec![10_000], 0));
    world.reconciled(&[id]).await;
}

#[tokio::test]
async fn where_nothing_can_be_kept_import_is_asked_to_send_again() {
    let world = World::new().await;
    by_hand(&world);
    let (id, imp_uid) = ten_thousand(&world).await;
    world.no_faults();
    let told = cancel(&world, &imp_uid, 10_000);
    let now = world.stack.clock.now();
    let sent = world.stack.iamport().take_due_webhooks(now).pop().unwrap();
    let app = app(&world, &table_down(), Arc::new(BrokenQueue));
    let answer = webhook::handle(&app, request(&told)).await;
    assert_eq!(answer.status(), 500);
    world.stack.iamport().webhook_answered(sent.id, Some(500), now);
    // It comes again after a minute.
    world.after(SignedDuration::from_mins(1)).await;
    assert_eq!(refunds(&world, id).await, [10_000]);
    world.reconciled(&[id]).await;
}

/// I'mport takes longer than a webhook may: the work is dropped wherever it stands, and done anew from the queue.
#[tokio::test]
async fn a_webhook_that_takes_too_long_is_kept() {
    let world = World::new().await;
    by_hand(&world);
    let (id, imp_uid) = ten_thousand(&world).await;
    let told = cancel(&world, &imp_uid, 3_000);
    world.fault(Rule::once(Call::Lookup, Fault::Slow(SignedDuration::from_secs(7))));
    let began = std::time::Instant::now();
    assert_eq!(result(&webhook(&world, &told).await), (200, "kept for later".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drain(&world).await;
    assert_eq!(refunds(&world, id).await, [3_000]);
}

#[tokio::test]
async fn every_webhook_gets_its_answer() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    let told = told(&world, &world.charge_name(id, 1, 1).await.to_string()).pop().unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let form = |told: &Value| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in told.as_object().unwrap() {
            form.append_pair(name, value.as_str().unwrap());
        }
        form.finish()
    };
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    let test_call = json!({ "imp_uid": "imp_1234567890", "merchant_uid": "merchant_1234567890", "status": "ready" });
    let foreign = json!({ "imp_uid": "imp_1", "merchant_uid": MerchantUid::charge("01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap(), 1, 1).to_string(), "status": "paid" });
    let long = format!("{{\"imp_uid\":\"imp_1\",\"merchant_uid\":\"{}\"}}", "x".repeat(16 * 1024));
    for (content_type, body, expected) in [
        (JSON, told.to_string(), (200, "heard")),
        ("application/json;charset=UTF-8", told.to_string(), (200, "heard")),
        (FORM, form(&told), (200, "heard")),
        ("", told.to_string(), (200, "heard")),
        ("text/plain", form(&told), (200, "heard")),
        (JSON, test_call.to_string(), (200, "not ours")),
        (FORM, form(&test_call), (200, "not ours")),
        (JSON, foreign.to_string(), (200, "not ours")),
        (JSON, "{}".to_owned(), (400, "not a webhook: imp_uid and merchant_uid are needed")),
        (JSON, "[1,2".to_owned(), (400, "not a webhook: imp_uid and merchant_uid are needed")),
        (FORM, "imp_uid=imp_1".to_owned(), (400, "not a webhook: imp_uid and merchant_uid are needed")),
        (JSON, String::new(), (400, "not a webhook: imp_uid and merchant_uid are needed")),
        (JSON, long.clone(), (413, "longer than 16 kB")),
        (FORM, long, (413, "longer than 16 kB")),
    ] {
        let answer = result(&post(&world, content_type, body.as_bytes()).await);
        assert_eq!(answer, (expected.0, expected.1.to_owned()), "{content_type} {}", &body[..body.len().min(200)]);
    }
    for method in [http::Method::GET, http::Method::PUT, http::Method::DELETE] {
        let request = Request::builder().method(method).uri("/webhooks/iamport").body(Bytes::new()).unwrap();
        let answer = world.stack.functions.route(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "POST"));
    }
    assert_eq!(world.outcomes(id).await, ["paid"]);
}

/// The budget: one read, one query, one look-up.
#[tokio::test]
async fn a_webhook_that_the_books_have_already_is_three_network_calls() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    world.at(world.due(id).await.due_at).await;
    let told = told(&world, &world.charge_name(id, 2, 1).await.to_string()).pop().unwrap();
    let (answer, first) = cost(&world, webhook(&world, &told)).await;
    assert_eq!((answer.0, first), (200, Cost { table: 2, written: 0.0, iamport: 1 }));
    let (answer, repeat) = cost(&world, webhook(&world, &told)).await;
    assert_eq!((answer.0, repeat), (200, Cost { table: 0, written: 0.0, iamport: 0 }));
    world.stack.clock.advance(Duration::from_secs(31));
    let (_, later) = cost(&world, webhook(&world, &told)).await;
    assert_eq!(later, Cost { table: 2, written: 0.0, iamport: 1 });
}

#[tokio::test]
async fn a_billing_key_that_is_known_is_one_read() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    let told = told(&world, &world.window_name(id, 1).await.to_string()).pop().unwrap();
    let (answer, cost) = cost(&world, webhook(&world, &told)).await;
    assert_eq!((answer.0, cost), (200, Cost { table: 1, written: 0.0, iamport: 0 }));
}

#[tokio::test]
async fn what_is_not_ours_never_reaches_import_and_writes_nothing() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let nobody: SubscriptionId = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
    for (name, reads) in [
        ("merchant_1234567890".to_owned(), 0),
        ("ORDER-20261123-1".to_owned(), 0),
        (MerchantUid::charge(nobody, 1, 1).to_string(), 1),
        (MerchantUid::window(nobody, 1).to_string(), 1),
        // Names that we haven't made yet, or never will.
        (world.charge_name(id, 2, 1).await.to_string(), 1),
        (world.charge_name(id, 900, 1).await.to_string(), 1),
        (world.window_name(id, 2).await.to_string(), 1),
        (world.charge_name(id, 1, 7).await.to_string(), 2),
    ] {
        let (answer, cost) = cost(&world, webhook(&world, &notice("imp_1", &name, "paid"))).await;
        assert_eq!(result(&answer), (200, "not ours".to_owned()), "{name}");
        assert_eq!(cost, Cost { table: reads, written: 0.0, iamport: 0 }, "{name}");
    }
}

#[tokio::test]
async fn a_payment_of_another_subscription_changes_nothing() {
    let world = World::new().await;
    by_hand(&world);
    let victim = world.session("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.buyer.subscribe(victim).await.unwrap();
    let other = world.subscribed("coffee").await;
    let theirs = world.ledger(other).await.charges[0].payment().unwrap().imp_uid.to_string();
    let before = (world.subscription(victim).await, world.ledger(victim).await);
    for name in [world.charge_name(victim, 1, 1).await, world.window_name(victim, 1).await] {
        for status in ["paid", "cancelled"] {
            let (answer, cost) = cost(&world, webhook(&world, &notice(&theirs, name, status))).await;
            assert_eq!((answer.0, cost.written), (200, 0.0), "{name}");
        }
    }
    assert_eq!((world.subscription(victim).await, world.ledger(victim).await), before);
}

/// Whoever knows the merchant's code can pay under any name that I'mport hasn't seen paid. Only names that we have made
/// count, so that nobody else's payment puts a subscription into review.
#[tokio::test]
async fn a_payment_under_a_name_that_we_never_made_changes_nothing() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    let session = world.session("coffee").await;
    let before = world.subscription(id).await;
    for name in [world.charge_name(id, 2, 1).await, world.charge_name(id, 1, 2).await, world.window_name(id, 2).await] {
        let mut window = world.buyer.open_window(session).await.unwrap();
        window["request"]["merchant_uid"] = json!(name.to_string());
        window["request"]["amount"] = json!(100);
        world.buyer.press(&window, Button::Approve).await.unwrap();
        let told = told(&world, &name.to_string()).pop().unwrap();
        assert_eq!(result(&webhook(&world, &told).await), (200, "not ours".to_owned()), "{name}");
        assert_eq!(world.subscription(id).await, before, "{name}");
    }
}

/// The same mismatch is told again and again: one review, one write.
#[tokio::test]
async fn a_mismatch_goes_to_a_person_once() {
    let world = World::new().await;
    by_hand(&world);
    let id = world.subscribed("coffee").await;
    world.fault(Rule::once(Call::Again, no_money()));
    world.at(world.due(id).await.due_at).await;
    let name = world.charge_name(id, 2, 1).await;
    let again = maedal::iamport::Again {
        customer_uid: &id.into(),
        merchant_uid: name,
        amount: Won::new(100),
        name: "매달 커피",
        tax_free: None,
    };
    world.stack.billing.iamport.again(&again, jiff::Timestamp::MAX).await.unwrap();
    let told = told(&world, &name.to_string()).pop().unwrap();
    assert_eq!(webhook(&world, &told).await.0, 200);
    let review = world.subscription(id).await;
    assert_eq!(review.status, Status::NeedsReview);
    assert!(review.review.as_ref().unwrap().reason.contains("the amount is 100"), "{:?}", review.review);
    for _ in 0..3 {
        world.stack.clock.advance(Duration::from_secs(31));
        let (answer, cost) = cost(&world, webhook(&world, &told)).await;
        assert_eq!((answer.0, cost.written), (200, 0.0));
    }
    assert_eq!(world.subscription(id).await, review);
}
