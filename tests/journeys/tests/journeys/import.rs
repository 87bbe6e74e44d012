//! Subscriptions that a merchant brings from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::SignedDuration;
use journeys::fate::{Blow, Fate};
use journeys::{World, monthly, no_money, seoul};
use maedal::billing::{Billing, Pace, Schedules};
use maedal::clock::Clock;
use maedal::store::ListBy;
use maedal::subscription::{Status, Subscription};
use object_store::{ObjectStoreExt, path::Path};
use sandbox::stack::sqs_event;
use serde_json::{Value, json};
use simulator::{Call, Fault, Rule};

const BLOWS: [Blow; 5] = [Blow::DieBefore, Blow::DieAfter, Blow::LoseAnswer, Blow::Throttle, Blow::Conflict];

/// I'mport holds a billing key for each.
fn keys(world: &World, uids: impl IntoIterator<Item = impl AsRef<str>>) {
    let now = world.stack.clock.now();
    for uid in uids {
        world.stack.iamport().seed_key(uid.as_ref(), now);
    }
}

/// Asks for an import, and returns its id.
async fn begin(world: &World, body: &Value) -> String {
    let answer = world.call(Method::POST, "/v1/imports", body, None).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn put_file(world: &World, key: &str, text: impl Into<String>) {
    world.stack.import.bucket.put(&Path::from(key), text.into().into()).await.unwrap();
}

/// How it stands, and `line code` of each row that it refused.
async fn shown(world: &World, import: &str) -> (Value, Vec<String>) {
    let shown = world.read(&format!("/v1/imports/{import}")).await.body;
    let (mut refused, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.read(&format!("/v1/imports/{import}/refused?limit=100{cursor}")).await.body;
        refused.extend(
            page["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| format!("{} {}", row["line"], row["code"].as_str().unwrap())),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (shown, refused),
        }
    }
}

fn counts(import: &Value) -> [u64; 4] {
    ["accepted", "known", "skipped", "refused"].map(|name| import["rows"][name].as_u64().unwrap())
}

/// All subscriptions in a state.
async fn all(world: &World, status: Status) -> Vec<Subscription> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = world.stack.billing.store.list(&ListBy::State(status), after, 100).await.unwrap();
        all.extend(page.subscriptions);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn find(world: &World, customer_id: &str) -> Vec<Subscription> {
    let by = ListBy::Customer(customer_id.parse().unwrap());
    world.stack.billing.store.list(&by, None, 100).await.unwrap().subscriptions
}

/// `import` on the stack's table, bucket and queue.
fn app(world: &World, billing: Arc<Billing>, budget: Duration) -> import::App {
    let (bucket, queue) = (world.stack.import.bucket.clone(), world.stack.imports.clone());
    import::App { billing, bucket, queue, pace: Pace::a_second(0), schedules: Schedules::default(), budget }
}

/// One turn by `app`, which may die in it; then its message comes into sight again. Whether there was one.
async fn turn(world: &World, app: &import::App, fate: &Fate) -> bool {
    let batch = world.stack.imports.receive(1);
    let failed = match fate.live(import::handle(app, sqs_event(&batch))).await {
        Some(response) => response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect(),
        None => batch.iter().map(|message| message.id.clone()).collect::<BTreeSet<_>>(),
    };
    world.stack.imports.settle(&batch, &failed);
    if !failed.is_empty() {
        world.stack.clock.advance(Duration::from_secs(121));
    }
    !batch.is_empty()
}

#[tokio::test]
async fn rows_become_subscriptions_that_are_charged_when_they_say() {
    let world = World::new().await;
    keys(&world, ["a", "b", "c", "한글 & 키", "e"]);
    let rows = json!([
        { "customer_uid": "a", "customer_id": "1", "plan": "coffee", "next_charge": "2026-12-01", "buyer": { "name": "홍길동" } },
        { "customer_uid": "b", "customer_id": "2", "plan": "coffee", "next_charge": "2027-02-28", "anchor_day": 31, "period": 7 },
        { "customer_uid": "c", "customer_id": "3", "plan": "coffee", "next_charge": "2026-12-07", "period": 1 },
        { "customer_uid": "한글 & 키", "plan": "coffee", "next_charge": "2026-12-01T22:00:00+09:00", "pg": "chai" },
        { "customer_uid": "e", "plan": "coffee", "next_charge": "2026-12-02", "credit": 900, "cancel_at_period_end": true },
    ]);
    let import = begin(&world, &json!({ "rows": rows })).await;
    world.stack.turn().await.unwrap();
    let (done, refused) = shown(&world, &import).await;
    assert_eq!((&done["status"], counts(&done), refused), (&json!("done"), [5, 0, 0, 0], vec![]));

    let one = find(&world, "1").await.remove(0);
    assert_eq!(world.stack.billing.store.buyer(one.id).await.unwrap().name.as_deref(), Some("홍길동"));
    let shown = world.read(&format!("/v1/subscriptions/{}", one.id)).await.body;
    assert_eq!((&shown["status"], &shown["period"], &shown["paid_through"]), (&json!("active"), &json!(2), &json!(1)));
    assert_eq!(shown["current_period_start"], "2026-10-31T15:00:00Z");
    assert_eq!(shown["next_charge_at"], "2026-12-01T00:00:00Z", "the charge window's opening");
    assert_eq!(shown["payment_provider"], "chai");
    let kinds: Vec<_> =
        world.stack.events().await.into_iter().filter(|e| e.subscription.id == one.id).map(|e| e.kind.word()).collect();
    assert_eq!(kinds, ["subscription.created", "subscription.payment_method_changed", "subscription.activated"]);

    world.live_until(seoul("2027-04-30T20:00")).await;
    let starts = |s: &Subscription, n: u32| s.start_of(n).unwrap();
    assert_eq!(world.outcomes(one.id).await, vec!["paid"; 5], "December to April");
    let [two] = &find(&world, "2").await[..] else { panic!("one subscription") };
    assert_eq!(world.ledger(two.id).await.charges.iter().map(|c| c.period).collect::<Vec<_>>(), [6, 7, 8, 9]);
    assert_eq!([8, 9].map(|n| starts(two, n)), ["2027-03-31T00:00", "2027-04-30T00:00"].map(seoul));
    let [three] = &find(&world, "3").await[..] else { panic!("one subscription") };
    assert_eq!((three.status, three.paid_through), (Status::Active, 5));
    let [five] = &find(&world, "e").await[..] else { panic!("one subscription") };
    assert_eq!((five.status, world.ledger(five.id).await.charges.len()), (Status::Canceled, 1));
    let [four] = &find(&world, "한글 & 키").await[..] else { panic!("one subscription") };
    world.reconciled(&[one.id, two.id, three.id, four.id, five.id]).await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_by_line_and_reason_and_the_rest_is_taken() {
    let world = World::new().await;
    let session = world.subscribed("coffee").await.to_string();
    keys(&world, ["a", "b", "c", "d", "e"]);
    let csv = format!(
        "\u{feff}customer_uid,plan,next_charge,pg,buyer_name\r\n\
         a,coffee,2026-12-01,,\"홍, 길동\"\r\n\
         missing,coffee,2026-12-01,,\r\n\
         \r\n\
         b,tea,2026-12-01,,\r\n\
         b,coffee,2026-11-22,,\r\n\
         c,coffee,2026-12-01,kakaopay,\r\n\
         c,coffee,2026-12-01,\r\n\
         {session},coffee,2026-12-01,,\r\n\
         d,coffee,tomorrow,,secret\r\n\
         a,coffee,2026-12-01,,\r\n\
         a,coffee,2026-12-02,,\r\n\
         e,coffee,2026-12-01,,\"unclosed\r\n\
         d,coffee,2026-12-01,,"
    );
    put_file(&world, "2026/rows.csv", csv).await;
    let import = begin(&world, &json!({ "file": "2026/rows.csv" })).await;
    world.stack.turn().await.unwrap();
    let (done, refused) = shown(&world, &import).await;
    let expected = [
        "3 no_billing_key",
        "5 unknown_plan",
        "6 past",
        "7 other_gateway",
        "8 malformed",
        "9 customer_uid_taken",
        "10 invalid_field",
        "12 customer_uid_taken",
        "13 malformed",
    ];
    assert_eq!((&done["status"], counts(&done)), (&json!("done"), [2, 1, 0, 9]), "{done}");
    assert_eq!(refused, expected);
    assert_eq!((&done["lines_done"], &done["bytes_done"]), (&json!(14), &done["bytes"]));
    let page = world.read(&format!("/v1/imports/{import}/refused?limit=3")).await.body;
    assert_eq!((page["rows"].as_array().unwrap().len(), &page["next_cursor"]), (3, &json!("6")));
    assert_eq!(page["rows"][0]["customer_uid"], "missing");
    assert!(!world.read(&format!("/v1/imports/{import}/refused")).await.body.to_string().contains("secret"));
    let uids: BTreeSet<String> =
        all(&world, Status::Active).await.into_iter().map(|s| s.customer_uid.to_string()).collect();
    assert_eq!(uids, [session, "a".to_owned(), "d".to_owned()].into());
}

#[tokio::test]
async fn the_same_rows_again_are_known_and_ask_imports_api_nothing() {
    let world = World::new().await;
    keys(&world, ["a", "b"]);
    let rows = |day: &str| {
        let rows = ["a", "b"].map(|uid| json!({ "customer_uid": uid, "plan": "coffee", "next_charge": day }));
        json!({ "rows": rows })
    };
    let first = begin(&world, &rows("2026-12-01")).await;
    world.stack.turn().await.unwrap();
    // A message that comes again finds it over.
    let key = Some("key-1");
    let again = world.call(Method::POST, "/v1/imports", &rows("2026-12-01"), key).await;
    let repeat = world.call(Method::POST, "/v1/imports", &rows("2026-12-01"), key).await;
    assert_eq!((again.status, &again.body), (202, &repeat.body));
    assert_eq!(world.call(Method::POST, "/v1/imports", &rows("2026-12-02"), key).await.status, 409);
    let before = world.stack.billing.iamport.calls();
    world.stack.turn().await.unwrap();
    assert_eq!(world.stack.billing.iamport.calls(), before);
    let second = again.body["id"].as_str().unwrap();
    assert_ne!(first, second);
    assert_eq!(counts(&shown(&world, second).await.0), [0, 2, 0, 0]);
    let other = begin(&world, &rows("2026-12-02")).await;
    world.stack.turn().await.unwrap();
    assert_eq!(shown(&world, &other).await.1, ["1 customer_uid_taken", "2 customer_uid_taken"]);
    assert_eq!(all(&world, Status::Active).await.len(), 2);
}

/// While I'mport can't be asked, no row is refused: the message comes again.
#[tokio::test]
async fn an_outage_refuses_nobody() {
    let world = World::new().await;
    keys(&world, ["a"]);
    let row = json!({ "customer_uid": "a", "plan": "coffee", "next_charge": "2026-12-01" });
    let import = begin(&world, &json!({ "rows": [row] })).await;
    world.fault(Rule::always(Fault::ErrorBeforeEffect(502)).on(Call::Customer));
    world.stack.turn().await.unwrap();
    assert_eq!(counts(&shown(&world, &import).await.0), [0; 4]);
    world.no_faults();
    world.stack.clock.advance(Duration::from_secs(121));
    world.stack.turn().await.unwrap();
    assert_eq!(counts(&shown(&world, &import).await.0), [1, 0, 0, 0]);
    // What came with the request holds buyers' data: it is gone.
    assert_eq!(world.stack.billing.store.import_rows(import.parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_with_a_reason() {
    let world = World::new().await;
    put_file(&world, "columns.csv", "customer_uid;plan;next_charge\n").await;
    put_file(&world, "endless.jsonl", "x".repeat(2 * 1024 * 1024)).await;
    put_file(&world, "empty.csv", "").await;
    for (file, status, why) in [
        ("missing.csv", "failed", "no such file"),
        ("columns.csv", "failed", "there is no column"),
        ("endless.jsonl", "failed", "line 1 is too long"),
        ("empty.csv", "done", ""),
    ] {
        let import = begin(&world, &json!({ "file": file })).await;
        world.stack.turn().await.unwrap();
        let (shown, _) = shown(&world, &import).await;
        assert_eq!(shown["status"], status, "{file}");
        assert!(shown["failure"].as_str().unwrap_or_default().contains(why), "{file}: {shown}");
    }
    for bad in [
        json!({}),
        json!({ "rows": [] }),
        json!({ "file": "../x.csv" }),
        json!({ "file": "a/../x.csv" }),
        json!({ "file": "a/./x.csv" }),
        json!({ "file": "a//x.csv" }),
        json!({ "file": "two\nlines.csv" }),
        json!({ "file": format!("{}.csv", "x".repeat(1_021)) }),
        json!({ "file": "rows" }),
        json!({ "file": "" }),
    ] {
        assert_eq!(world.call(Method::POST, "/v1/imports", &bad, None).await.status, 422, "{bad}");
    }
    assert_eq!(world.read("/v1/imports/01KB3Q0QZ8W3V5T7Y9A1C3E5G7").await.status, 404);
}

/// At every network call of an import: the same subscriptions, the same counts, each refused row once.
#[tokio::test]
async fn an_import_survives_every_blow_at_every_call() {
    let world = World::new().await;
    // Read the import, look for the file, read the owners, a token, ask for two keys, one of them again by itself, take one
    // in, write the place, write the end.
    for nth in 1..=9 {
        for blow in BLOWS {
            let what = format!("{blow:?}-{nth}");
            keys(&world, [&what]);
            let row = |uid: &str| json!({ "customer_uid": uid, "customer_id": what, "plan": "coffee", "next_charge": "2026-12-01" });
            put_file(&world, "rows.jsonl", format!("{}\n{}\n", row(&what), row("missing"))).await;
            let import = begin(&world, &json!({ "file": "rows.jsonl" })).await;
            let fate = Arc::new(Fate::default());
            let worker = app(&world, Arc::new(world.worker(&fate)), Duration::from_secs(60));
            fate.strike(nth, blow);
            let mut turns = 0;
            while turn(&world, &worker, &fate).await {
                turns += 1;
                assert!(turns < 5, "{what}");
            }
            assert!(fate.calls() >= nth, "{what} struck nothing");
            let (done, refused) = shown(&world, &import).await;
            assert_eq!((&done["status"], counts(&done)), (&json!("done"), [1, 0, 0, 1]), "{what}: {done}");
            assert_eq!(refused, ["2 no_billing_key"], "{what}");
            assert_eq!(find(&world, &what).await.len(), 1, "{what}");
        }
    }
}

/// A thousand rows of which one in a hundred is bad, in turns that are too short, by a worker that dies twice.
/// `MAEDAL_IMPORT_ROWS` says how many.
#[tokio::test]
async fn a_file_is_imported_once_by_workers_that_die() {
    let rows: usize = std::env::var("MAEDAL_IMPORT_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000);
    let world = World::new().await;
    world.stack.stop_stream().unwrap();
    let mut csv = "customer_uid,customer_id,plan,next_charge,period,buyer_name,buyer_tel\n".to_owned();
    let (mut good, mut bad) = (BTreeSet::new(), BTreeMap::new());
    for n in 1..=rows {
        let (uid, day) = (format!("member-{n}"), n % 28 + 1);
        match n % 100 {
            50 => {
                let (line, code) = match n / 100 % 4 {
                    0 => (format!("{uid},{n},coffee,2026-12-{day:02},5,홍길동"), "malformed"),
                    1 => (format!("{uid},{n},tea,2026-12-{day:02},5,홍길동,"), "unknown_plan"),
                    2 => (format!("{uid},{n},coffee,2026-11-01,5,홍길동,"), "past"),
                    _ => (format!("unknown-{n},{n},coffee,2026-12-{day:02},5,홍길동,"), "no_billing_key"),
                };
                writeln!(csv, "{line}").unwrap();
                bad.insert(n as u64 + 1, code);
            }
            _ => {
                writeln!(csv, "{uid},{n},coffee,2026-12-{day:02},5,홍길동,010-1234-5678").unwrap();
                good.insert(uid);
            }
        }
    }
    keys(&world, &good);
    put_file(&world, "all.csv", csv).await;
    let begun = std::time::Instant::now();
    let import = begin(&world, &json!({ "file": "all.csv" })).await;
    let (mut turns, mut deaths) = (0, 0);
    for blow in [Some(Blow::DieAfter), Some(Blow::DieBefore), None] {
        let fate = Arc::new(Fate::default());
        let worker = app(&world, Arc::new(world.worker(&fate)), Duration::from_millis(500));
        if let Some(blow) = blow {
            fate.strike(rows / 3, blow);
        }
        loop {
            let before = world.stack.clock.now();
            if !turn(&world, &worker, &fate).await {
                break;
            }
            turns += 1;
            if world.stack.clock.now() > before {
                deaths += 1;
                break;
            }
        }
    }
    let took = begun.elapsed();
    assert_eq!(deaths, 2);
    let (done, refused) = shown(&world, &import).await;
    assert_eq!(
        (&done["status"], counts(&done)),
        (&json!("done"), [good.len() as u64, 0, 0, bad.len() as u64]),
        "{done}"
    );
    let expected: Vec<String> = bad.iter().map(|(line, code)| format!("{line} {code}")).collect();
    assert_eq!(refused, expected);
    let mut made: Vec<String> =
        all(&world, Status::Active).await.into_iter().map(|s| s.customer_uid.to_string()).collect();
    made.sort();
    assert_eq!(made, Vec::from_iter(good), "each once");
    println!("{rows} rows, {} refused, {turns} turns, {deaths} deaths: {took:?}", refused.len());
}

/// The old place has I'mport charge a key by itself, at a time.
fn schedule(world: &World, uid: &str, name: &str, at: &str) {
    let order = json!({ "merchant_uid": name, "schedule_at": seoul(at).as_second(), "amount": 9_900, "name": "커피" });
    let answer =
        at_iamport(world, "/subscribe/payments/schedule", &json!({ "customer_uid": uid, "schedules": [order] }));
    assert_eq!(answer["code"], 0, "{answer}");
}

/// A call of the old place's.
fn at_iamport(world: &World, path: &str, body: &Value) -> Value {
    let now = world.stack.clock.now();
    let call = |path: &str, token: &str, body: &Value| {
        let request = http::Request::post(path).header("authorization", token);
        let request = request.header("content-type", "application/json").body(body.to_string().into()).unwrap();
        let answer = world.stack.iamport().handle(&request, now).answer().unwrap();
        serde_json::from_slice::<Value>(answer.body()).unwrap()
    };
    let keys = json!({ "imp_key": "simulated_key", "imp_secret": "simulated_secret" });
    let token = call("/users/getToken", "", &keys)["response"]["access_token"].as_str().unwrap().to_owned();
    call(path, &token, body)
}

fn rows_of(uids: &[&str]) -> Value {
    let row = |uid: &&str| json!({ "customer_uid": uid, "plan": "coffee", "next_charge": "2026-12-23" });
    uids.iter().map(row).collect()
}

#[tokio::test]
async fn a_key_that_imports_api_is_to_charge_by_itself_is_refused_until_that_is_withdrawn() {
    let world = World::new().await;
    keys(&world, ["a", "b", "c"]);
    schedule(&world, "a", "old-a-12", "2026-12-23T10:00");
    // Yearly: next November.
    schedule(&world, "b", "old-b-27", "2027-11-20T10:00");
    let import = begin(&world, &json!({ "rows": rows_of(&["a", "b", "c"]) })).await;
    world.stack.turn().await.unwrap();
    let (done, refused) = shown(&world, &import).await;
    assert_eq!(
        (counts(&done), &refused[..]),
        ([1, 0, 0, 2], &["1 scheduled".to_owned(), "2 scheduled".to_owned()][..])
    );
    let page = world.read(&format!("/v1/imports/{import}/refused")).await.body;
    let detail = page["rows"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("old-a-12") && detail.contains("unschedule"), "{detail}");
    // The old place withdraws it.
    let withdrawn = json!({ "customer_uid": "a", "merchant_uid": ["old-a-12"] });
    assert_eq!(at_iamport(&world, "/subscribe/payments/unschedule", &withdrawn)["code"], 0);
    let import = begin(&world, &json!({ "rows": rows_of(&["a"]) })).await;
    world.stack.turn().await.unwrap();
    assert_eq!(counts(&shown(&world, &import).await.0), [1, 0, 0, 0]);
}

#[tokio::test]
async fn what_is_scheduled_is_withdrawn_where_the_import_says_so_and_nothing_else_is() {
    let world = World::new().await;
    keys(&world, ["a", "b", "other", "x"]);
    schedule(&world, "a", "old-a-12", "2026-12-23T10:00");
    schedule(&world, "a", "old-a-01", "2027-01-23T10:00");
    schedule(&world, "other", "old-other", "2026-12-23T10:00");
    schedule(&world, "x", "old-x", "2026-12-23T10:00");
    let mut rows = rows_of(&["a", "b", "x"]);
    // A row that isn't taken changes nothing at I'mport.
    rows[2]["pg"] = json!("kakaopay");
    let import = begin(&world, &json!({ "rows": rows, "unschedule": true })).await;
    world.stack.turn().await.unwrap();
    let (done, refused) = shown(&world, &import).await;
    assert_eq!((counts(&done), refused), ([2, 0, 0, 1], vec!["3 other_gateway".to_owned()]));
    assert_eq!(done["unschedule"], true);
    world.live_until(seoul("2027-01-25T12:00")).await;
    let by_schedule: BTreeSet<String> = {
        let iamport = world.stack.iamport();
        let old = iamport.books().payments().iter().map(|payment| payment.order.merchant_uid.clone());
        old.filter(|name| name.starts_with("old-")).collect()
    };
    assert_eq!(by_schedule, ["old-other".to_owned(), "old-x".to_owned()].into());
    let [a] = &find(&world, "a").await[..] else { panic!("one subscription") };
    assert_eq!(world.outcomes(a.id).await, ["paid", "paid"], "here, once a month");
}

/// The worker dies after what was scheduled is withdrawn, before the row is taken in; the answer to the withdrawal is lost.
#[tokio::test]
async fn a_withdrawal_that_was_cut_off_is_taken_up_again() {
    for fault in [Fault::CutAfterEffect, Fault::ErrorBeforeEffect(503)] {
        let world = World::new().await;
        keys(&world, ["a"]);
        schedule(&world, "a", "old-a-12", "2026-12-23T10:00");
        let import = begin(&world, &json!({ "rows": rows_of(&["a"]), "unschedule": true })).await;
        // The lists of pending schedules come before it.
        world.fault(Rule::always(fault).on(Call::Schedule).customer_uid("a"));
        world.stack.turn().await.unwrap();
        assert_eq!(counts(&shown(&world, &import).await.0), [0, 0, 0, 0]);
        world.no_faults();
        world.after(SignedDuration::from_mins(10)).await;
        assert_eq!(counts(&shown(&world, &import).await.0), [1, 0, 0, 0]);
        world.live_until(seoul("2026-12-24T12:00")).await;
        assert_eq!(world.payments(), 1);
    }
}

/// An import of one row, and the subscription that it makes.
async fn brought(world: &World, row: Value) -> Subscription {
    let uid = row["customer_uid"].as_str().unwrap().to_owned();
    keys(world, [&uid]);
    begin(world, &json!({ "rows": [row] })).await;
    world.stack.turn().await.unwrap();
    find(world, &uid).await.remove(0)
}

#[tokio::test]
async fn an_imported_period_is_credited_when_the_plan_changes() {
    let world = World::new().await;
    world.put_plan("double", json!({ "name": "두 배", "amount": 19_800, "interval": monthly() })).await;
    let row = |uid: &str| json!({ "customer_uid": uid, "plan": "coffee", "next_charge": "2026-12-23" });
    let mut less = row("less");
    less["paid"] = json!(3_000);
    let mut free = row("free");
    free["paid"] = json!(0);
    let ids = [brought(&world, row("full")).await.id, brought(&world, less).await.id, brought(&world, free).await.id];
    let shown = world.read(&format!("/v1/subscriptions/{}/charges", ids[0])).await.body["charges"][0].clone();
    assert_eq!((&shown["status"], &shown["amount"], &shown["period"]), (&json!("imported"), &json!(9_900), &json!(1)));
    assert_eq!((&shown["refundable"], &shown["id"]), (&json!(0), &json!("1-1")));
    let refused = world.command(ids[0], "charges/1-1/refund", json!({ "reason": "a test" })).await;
    assert_eq!((refused.status, &refused.body["reason"]), (409, &json!("nothing_to_refund")));
    world.live_until(seoul("2026-12-03T10:00")).await;
    for id in ids {
        world.commanded(id, "change-plan", json!({ "plan": "double", "when": "now" })).await;
    }
    world.after(SignedDuration::from_mins(2)).await;
    // From the 3rd, 10 o'clock, to the 23rd are 470 of 720 hours.
    for (id, amount, unused) in [(ids[0], 9_900, 6_462), (ids[1], 3_000, 1_958), (ids[2], 0, 0)] {
        let ledger = world.ledger(id).await;
        let [before, now] = &ledger.charges[..] else { panic!("{ledger:?}") };
        assert_eq!((before.amount.get(), before.credited.get()), (amount, unused));
        assert_eq!((now.status.word(), now.amount.get(), now.credit.get()), ("paid", 19_800 - unused, unused));
        assert_eq!(ledger.standing(), now.amount, "what was paid elsewhere is no income here");
    }
    // A second change on the same day credits nothing of it again.
    let again = world.commanded(ids[0], "change-plan", json!({ "plan": "coffee", "when": "now" })).await;
    assert!(again["credit"].as_u64().unwrap() <= 19_800, "{again}");
    assert_eq!(world.ledger(ids[0]).await.charges[0].credited.get(), 6_462);
    world.reconciled(&ids).await;
    let told = world.stack.events().await;
    let charged = told.iter().filter(|event| event.kind.word().starts_with("charge."));
    assert!(charged.filter(|event| event.charge.as_ref().unwrap().period.number == 1).count() == 0, "told elsewhere");
}

#[tokio::test]
async fn what_was_paid_elsewhere_is_credit_when_it_is_canceled_and_never_money() {
    let world = World::new().await;
    let row = |uid: &str| json!({ "customer_uid": uid, "plan": "coffee", "next_charge": "2026-12-23", "paid": 9_000 });
    for (uid, refund, credit) in [("unused", "unused", 5_875), ("all", "all", 9_000), ("none", "none", 0)] {
        let id = brought(&world, row(uid)).await.id;
        world.at(seoul("2026-12-03T10:00")).await;
        let answer = world.commanded(id, "cancel", json!({ "when": "now", "refund": refund })).await;
        assert_eq!((&answer["status"], &answer["credit"]), (&json!("canceled"), &json!(credit)), "{refund}");
        world.after(SignedDuration::from_mins(2)).await;
        let charge = world.ledger(id).await.charges.remove(0);
        assert_eq!((charge.credited.get(), charge.refund, charge.refunded.get()), (credit, None, 0));
    }
    assert_eq!(world.payments(), 0);
}

/// An attempt that uses credit is in doubt, declined, and its period left behind; the next one uses that credit. Then the first
/// is paid after all: it has none any more, and says so.
#[tokio::test]
async fn a_late_payment_of_a_skipped_period_uses_no_credit_twice() {
    let world = World::new().await;
    world
        .put_plan("daily", json!({ "name": "매일", "amount": 9_900, "interval": { "unit": "day", "count": 1 } }))
        .await;
    let row = json!({ "customer_uid": "a", "plan": "daily", "next_charge": "2026-11-24", "credit": 5_000 });
    let id = brought(&world, row).await.id;
    let (from, to) = (seoul("2026-11-24T00:00"), seoul("2026-11-25T00:00"));
    world.fault(Rule::once(Call::Again, Fault::CutThenEffect(SignedDuration::from_hours(72))));
    world.fault(Rule::always(no_money()).on(Call::Again).between(from, to));
    world.live_until(seoul("2026-11-24T09:05")).await;
    assert!(world.subscription(id).await.doubt.is_some());
    world.live_until(seoul("2026-11-26T08:00")).await;
    let facts = |ledger: &maedal::store::Ledger| -> Vec<_> {
        ledger.charges.iter().map(|c| (c.period, c.status.word(), c.amount.get(), c.credit.get())).collect()
    };
    let ledger = world.ledger(id).await;
    let brought = (1, "imported", 9_900, 0);
    assert_eq!(facts(&ledger), [brought, (2, "declined", 4_900, 5_000), (3, "paid", 4_900, 5_000)]);
    world.live_until(seoul("2026-11-28T08:00")).await;
    let ledger = world.ledger(id).await;
    let (third, fourth, fifth) = ((3, "paid", 4_900, 5_000), (4, "paid", 9_900, 0), (5, "paid", 9_900, 0));
    assert_eq!(facts(&ledger), [brought, (2, "paid", 4_900, 0), third, fourth, fifth]);
    assert!(ledger.charges.iter().all(|charge| !charge.duplicate && charge.refund.is_none()));
    // Every won: what I'mport took stands here, and of the credit as much is used as there was.
    let at_iamport: u64 = {
        let iamport = world.stack.iamport();
        iamport.books().payments().iter().filter(|p| p.was_charged()).map(|p| p.balance()).sum()
    };
    assert_eq!(ledger.standing().get(), at_iamport);
    assert_eq!(ledger.charges.iter().map(|charge| charge.credit.get()).sum::<u64>(), 5_000);
    let s = world.subscription(id).await;
    assert_eq!((s.credit.get(), s.status), (0, Status::Active));
    world.reconciled(&[id]).await;
}
