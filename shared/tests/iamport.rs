//! The client's calls against an I'mport of a script: what is asked, how often, and what is made of each answer.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use maedal::clock::{Clock, SystemClock, TestClock};
use maedal::iamport::{
    Again, Answer, CallError, Credentials, Iamport, LISTED, Listed, PaymentStatus, Sending, Transport,
};
use maedal::subscription::{CustomerUid, MerchantUid, SubscriptionId, Won};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::constant(1_796_000_400, 0);

/// Gives one answer after the other, and keeps what it was asked. Each token has the number of its call.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<(u16, Value)>>,
    asked: Mutex<Vec<(String, String, String)>>,
    tokens: Mutex<u32>,
    life: i64,
}

impl Transport for Scripted {
    fn send(&self, request: http::Request<Bytes>, _timeout: Duration) -> Sending<'_> {
        let (status, body) = if request.uri().path() == "/users/getToken" {
            let mut tokens = self.tokens.lock().unwrap();
            *tokens += 1;
            let token = json!({ "access_token": format!("token-{tokens}"), "now": 100, "expired_at": 100 + self.life });
            (200, json!({ "code": 0, "message": null, "response": token }))
        } else {
            let token = request.headers()[http::header::AUTHORIZATION].to_str().unwrap().to_owned();
            let body = String::from_utf8(request.body().to_vec()).unwrap();
            let path = request.uri().path_and_query().unwrap().to_string();
            self.asked.lock().unwrap().push((token, path, body));
            self.answers.lock().unwrap().pop_front().unwrap()
        };
        let mut response = http::Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Box::pin(async move { Ok(response) })
    }
}

struct Client {
    iamport: Iamport,
    script: Arc<Scripted>,
    clock: Arc<TestClock>,
}

fn client(answers: impl IntoIterator<Item = (u16, Value)>) -> Client {
    let script =
        Arc::new(Scripted { answers: Mutex::new(answers.into_iter().collect()), life: 1_800, ..Scripted::default() });
    let clock = Arc::new(TestClock::at(NOW));
    let credentials = Credentials { key: "key".to_owned(), secret: "a secret".to_owned() };
    Client { iamport: Iamport::new("https://iamport/", credentials, script.clone(), clock.clone()), script, clock }
}

impl Client {
    fn asked(&self) -> Vec<(String, String, String)> {
        self.script.asked.lock().unwrap().clone()
    }

    fn tokens(&self) -> u32 {
        *self.script.tokens.lock().unwrap()
    }
}

fn done(response: &Value) -> (u16, Value) {
    (200, json!({ "code": 0, "message": null, "response": response }))
}

fn refused(status: u16) -> (u16, Value) {
    (status, json!({ "code": -1, "message": "no", "response": null }))
}

fn payment(nth: usize) -> Value {
    json!({ "imp_uid": format!("imp_{nth}"), "amount": 9_900, "status": "ready" })
}

fn page(total: &Value, count: usize) -> (u16, Value) {
    done(&json!({ "total": total, "list": (0..count).map(payment).collect::<Vec<_>>() }))
}

fn id() -> SubscriptionId {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_the_call_made_again() {
    let uid = "imp_1".parse().unwrap();
    let replaced = client([refused(401), done(&payment(1))]);
    assert!(replaced.iamport.payment(&uid).await.unwrap().is_some());
    let tokens: Vec<_> = replaced.asked().into_iter().map(|(token, ..)| token).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);

    let unknown = client([refused(401), refused(401)]);
    let error = unknown.iamport.payment(&uid).await.unwrap_err();
    assert!(error == CallError::Unauthorized && error.surely_unsent(), "{error}");
    assert_eq!((unknown.asked().len(), unknown.tokens()), (2, 2));
}

#[tokio::test]
async fn a_token_is_used_until_a_call_could_outlive_it() {
    let client = client((0..4).map(|_| done(&payment(1))));
    for (after, tokens) in [(0, 1), (1_709, 1), (1, 2), (1, 2)] {
        client.clock.advance(Duration::from_secs(after));
        client.iamport.payment(&"imp_1".parse().unwrap()).await.unwrap();
        assert_eq!(client.tokens(), tokens, "after {after} s more");
    }
}

#[tokio::test]
async fn a_charge_is_asked_for_with_what_is_meant_and_a_name_that_is_too_long_not_at_all() {
    let customer_uid: CustomerUid = id().into();
    let again = |name| Again {
        customer_uid: &customer_uid,
        merchant_uid: MerchantUid::charge(id(), 2, 1),
        amount: Won::new(9_900),
        name,
        tax_free: None,
    };
    let (forty, more) = ("가".repeat(40), "가".repeat(41));
    let client = client([done(&payment(1)), refused(200)]);
    assert!(matches!(client.iamport.again(&again(&forty), NOW).await, Ok(Answer::Done(_))));
    let too_long = client.iamport.again(&again(&more), NOW).await.unwrap_err();
    assert_eq!(too_long, CallError::TooLong { field: "name", most: 40 });
    let with = Again { tax_free: Some(Won::new(900)), ..again("커피") };
    assert!(matches!(client.iamport.again(&with, NOW).await, Ok(Answer::Refused { code: -1, .. })));
    let asked: Vec<Value> = client.asked().iter().map(|(.., body)| serde_json::from_str(body).unwrap()).collect();
    let meant = |name: &str| json!({ "customer_uid": id(), "merchant_uid": format!("{}C00002001", id()), "amount": 9_900, "name": name });
    let mut taxed = meant("커피");
    taxed["tax_free"] = json!(900);
    assert_eq!(asked, [meant(&forty), taxed]);
}

/// Each call takes as long as it is told to.
#[derive(Debug)]
struct Slow {
    inner: Arc<Scripted>,
    clock: Arc<TestClock>,
    token: u64,
    charge: u64,
}

impl Transport for Slow {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        let token = request.uri().path() == "/users/getToken";
        self.clock.advance(Duration::from_secs(if token { self.token } else { self.charge }));
        self.inner.send(request, timeout)
    }
}

/// The send deadline: what has come before is no excuse, neither the token nor a first try.
#[tokio::test]
async fn a_charge_that_is_late_is_not_sent_whatever_has_held_it_up() {
    let customer_uid: CustomerUid = id().into();
    let merchant_uid = MerchantUid::charge(id(), 2, 1);
    let again =
        Again { customer_uid: &customer_uid, merchant_uid, amount: Won::new(9_900), name: "커피", tax_free: None };
    let send_by = NOW.saturating_add(SignedDuration::from_secs(30)).unwrap();
    for (token, charge, answers, sent) in [
        (30, 0, vec![done(&payment(1))], 1),
        (31, 0, vec![], 0),
        (10, 10, vec![refused(401), done(&payment(1))], 2),
        // The second token comes too late.
        (11, 10, vec![refused(401)], 1),
    ] {
        let script = Arc::new(Scripted { answers: Mutex::new(answers.into()), life: 1_800, ..Scripted::default() });
        let clock = Arc::new(TestClock::at(NOW));
        let slow = Slow { inner: script.clone(), clock: clock.clone(), token, charge };
        let credentials = Credentials { key: "key".to_owned(), secret: "a secret".to_owned() };
        let iamport = Iamport::new("https://iamport/", credentials, Arc::new(slow), clock);
        let answer = iamport.again(&again, send_by).await;
        assert_eq!((script.asked.lock().unwrap().len(), iamport.calls()), (sent, sent as u64), "{token} s, {charge} s");
        match answer {
            Ok(Answer::Done(_)) => assert!(token + charge <= 30),
            other => {
                assert_eq!(other.as_ref().err(), Some(&CallError::TooLate), "{token} s, {charge} s: {other:?}");
                assert!(CallError::TooLate.surely_unsent());
            }
        }
    }
}

/// Which pages are asked for, and how many payments there are, where `pages` are what I'mport has of a name.
async fn of_a_name(pages: Vec<(u16, Value)>) -> (usize, usize) {
    let client = client(pages);
    let payments = client.iamport.payments_of(MerchantUid::charge(id(), 2, 1)).await.unwrap();
    for (nth, (_, path, _)) in client.asked().iter().enumerate() {
        let of_name = format!("/payments/findAll/{}C00002001?page={}&limit=100&sorting=started", id(), nth + 1);
        assert_eq!(*path, of_name);
    }
    (client.asked().len(), payments.len())
}

#[tokio::test]
async fn all_payments_of_a_name_are_read_however_many_pages_they_fill() {
    assert_eq!(of_a_name(vec![refused(404)]).await, (1, 0));
    assert_eq!(of_a_name(vec![page(&json!(1), 1)]).await, (1, 1));
    assert_eq!(of_a_name(vec![page(&json!(101), 100), page(&json!(101), 1)]).await, (2, 101));
    assert_eq!(of_a_name(vec![page(&json!(100), 100)]).await, (1, 100));
    // I'mport doesn't say how many.
    assert_eq!(of_a_name(vec![page(&Value::Null, 99)]).await, (1, 99));
    assert_eq!(of_a_name(vec![page(&Value::Null, 100), page(&Value::Null, 0)]).await, (2, 100));
    // It says more than it has.
    assert_eq!(of_a_name(vec![page(&json!(7), 1), page(&json!(7), 0)]).await, (2, 1));
}

#[tokio::test]
async fn a_page_of_a_day_says_how_many_there_are_at_least() {
    let (from, to) = (NOW, NOW + jiff::SignedDuration::from_hours(24));
    let listed = async |page: usize, answer: (u16, Value)| {
        let client = client([answer]);
        let listed = client.iamport.payments_by_status(Listed::Paid, (from, to), page).await;
        let (first, last) = (from.as_second(), to.as_second() - 1);
        let path = format!("/payments/status/paid?from={first}&to={last}&page={page}&limit={LISTED}&sorting=started");
        assert_eq!(client.asked()[0].1, path);
        listed.map(|listed| listed.map(|listed| listed.total))
    };
    assert_eq!(listed(1, page(&json!(3), 3)).await, Ok(Some(3)));
    assert_eq!(listed(1, page(&Value::Null, 3)).await, Ok(Some(3)));
    assert_eq!(listed(1, page(&Value::Null, LISTED)).await, Ok(Some(LISTED + 1)));
    assert_eq!(listed(3, page(&Value::Null, 7)).await, Ok(Some(2 * LISTED + 7)));
    assert_eq!(listed(1, refused(404)).await, Ok(None));
    assert_eq!(listed(2, refused(404)).await, Ok(None));
    // The list became shorter meanwhile; but a first page that is refused says nothing of the day.
    assert_eq!(listed(2, refused(200)).await, Ok(None));
    assert!(matches!(listed(1, refused(200)).await, Err(CallError::Nonsense(_))));
}

#[tokio::test]
async fn billing_keys_are_those_that_can_be_read() {
    let keys =
        json!([{ "customer_uid": "one", "pg_provider": "chai" }, { "of": "another kind" }, { "customer_uid": "two" }]);
    let asked: [CustomerUid; 2] = ["one".parse().unwrap(), "two&x".parse().unwrap()];
    let client = client([(207, done(&keys).1), refused(404)]);
    let asked: Vec<&CustomerUid> = asked.iter().collect();
    let found = client.iamport.billing_keys(&asked).await.unwrap();
    assert_eq!(found.iter().map(|key| key.customer_uid.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(found[0].pg_provider.as_deref(), Some("chai"));
    let path = "/subscribe/customers?customer_uid%5B%5D=one&customer_uid%5B%5D=two%26x";
    assert_eq!(client.asked()[0].1, path);
    assert_eq!(client.iamport.billing_keys(&asked).await, Ok(vec![]));
}

#[test]
fn a_status_is_what_it_says_and_a_new_one_is_neither() {
    let status = |word: &str| {
        let payment = json!({ "imp_uid": "imp_1", "amount": 1, "status": word });
        serde_json::from_value::<maedal::iamport::IamportPayment>(payment).unwrap().status
    };
    assert_eq!(status("ready"), PaymentStatus::Ready);
    assert_eq!(status("paid"), PaymentStatus::Paid);
    assert_eq!(status("cancelled"), PaymentStatus::Cancelled);
    assert_eq!(status("failed"), PaymentStatus::Failed);
    assert_eq!(status("in_review"), PaymentStatus::Other("in_review".to_owned()));
}

#[test]
fn the_systems_clock_shows_the_present_in_whole_milliseconds() {
    let before = Timestamp::now();
    let now = SystemClock.now();
    assert!(now.duration_since(before).as_secs().abs() < 60);
    assert_eq!(now.subsec_nanosecond() % 1_000_000, 0);
}
