use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use simulator::{
    Call, Clock, Config, Fault, Rule, Simulator, WebhookClient, deliver_due, serve, serve_without_webhooks,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const TOKEN: &str = "imp_key=simulated_key&imp_secret=simulated_secret";

pub(crate) fn clock() -> Clock {
    Arc::new(Timestamp::now)
}

pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A simulator that sends its webhooks to `url`, with the key `buyer`.
fn shared(url: &str) -> Arc<Mutex<Simulator>> {
    let config = Config { webhook_url: Some(format!("http://{url}/hook")), ..Config::default() };
    let mut simulator = Simulator::new(config);
    simulator.seed_key("buyer", Timestamp::now());
    Arc::new(Mutex::new(simulator))
}

/// All that the server sends on a connection of its own.
pub(crate) async fn call(address: &str, path: &str, token: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = form.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: {token}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) async fn token(address: &str) -> String {
    let answer = call(address, "/users/getToken", "", TOKEN).await;
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    body["response"]["access_token"].as_str().unwrap().to_owned()
}

/// Takes one webhook and says 200.
pub(crate) async fn receive(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains('}') {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the webhook ends early");
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn a_cut_closes_the_connection_without_a_byte() {
    let (listener, address) = listener().await;
    let simulator = shared("127.0.0.1:1");
    simulator.lock().unwrap().faults().add(Rule::once(Call::Token, Fault::CutAfterEffect));
    tokio::spawn(serve(listener, simulator, clock(), pending()));
    assert_eq!(call(&address, "/users/getToken", "", TOKEN).await, "");
    assert!(call(&address, "/users/getToken", "", TOKEN).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_slow_answer_does_not_hold_up_the_others() {
    let (listener, address) = listener().await;
    let simulator = shared("127.0.0.1:1");
    simulator.lock().unwrap().faults().add(Rule::once(Call::Token, Fault::Slow(SignedDuration::from_millis(300))));
    tokio::spawn(serve(listener, simulator, clock(), pending()));
    let begun = Instant::now();
    let slow = async {
        call(&address, "/users/getToken", "", TOKEN).await;
        begun.elapsed()
    };
    let quick = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        call(&address, "/users/getToken", "", TOKEN).await;
        begun.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(slow >= Duration::from_millis(300) && quick < Duration::from_millis(300), "{slow:?} {quick:?}");
}

#[tokio::test]
async fn webhooks_go_out_in_the_background() {
    let (listener_, address) = listener().await;
    let (merchant, url) = listener().await;
    let simulator = shared(&url);
    tokio::spawn(serve(listener_, simulator.clone(), clock(), pending()));
    let form = "customer_uid=buyer&merchant_uid=order&amount=1000&name=n";
    call(&address, "/subscribe/payments/again", &token(&address).await, form).await;
    let webhook = receive(&merchant).await;
    assert!(webhook.starts_with("POST /hook HTTP/1.1") && webhook.contains(r#""merchant_uid":"order""#), "{webhook}");
}

#[tokio::test]
async fn webhooks_go_out_by_hand_and_in_order() {
    let (listener_, address) = listener().await;
    let (merchant, url) = listener().await;
    let simulator = shared(&url);
    tokio::spawn(serve_without_webhooks(listener_, simulator.clone(), clock(), pending()));
    let token = token(&address).await;
    for order in ["first", "second"] {
        let form = format!("customer_uid=buyer&merchant_uid={order}&amount=1000&name=n");
        call(&address, "/subscribe/payments/again", &token, &form).await;
    }
    let received = tokio::spawn(async move { [receive(&merchant).await, receive(&merchant).await] });
    assert_eq!(deliver_due(&WebhookClient::new(), &simulator, &clock()).await, 2);
    let [first, second] = received.await.unwrap();
    assert!(first.contains("first") && second.contains("second"));
    assert_eq!(simulator.lock().unwrap().webhooks()[1].answers, [Some(200)]);
}

#[tokio::test]
async fn the_server_ends_when_told_to() {
    let (listener, _) = listener().await;
    serve(listener, shared("127.0.0.1:1"), clock(), async {}).await.unwrap();
}
