//! The README's shop in one file, run as it stands there.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use journeys::World;
use reqwest::{Client, redirect::Policy};
use serde_json::json;

const README: &str = include_str!("../../../../README.md");

/// The shop's process; it ends with the test.
struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_in_the_readme_sells_a_subscription() {
    let source = README.split("```python\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    let world = World::new().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shop = Command::new("python3")
        .args(["-c", source])
        .env("MAEDAL", &world.stack.url)
        .env("PORT", port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(shop) = shop else {
        let _ = writeln!(std::io::stderr(), "skipped: python3 is not on PATH");
        return;
    };
    let _shop = Shop(shop);
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let mut front = http.get(at("/")).send().await;
    for _ in 0..200 {
        if front.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        front = http.get(at("/")).send().await;
    }
    assert!(front.unwrap().text().await.unwrap().contains("Subscribe"));

    let led = http.post(at("/subscribe")).body("").send().await.unwrap();
    let checkout = led.headers()["location"].to_str().unwrap().to_owned();
    let id = checkout.strip_prefix(&format!("{}/checkout/", world.stack.url)).unwrap().parse().unwrap();
    let landing = world.buyer.subscribe(id).await.unwrap();
    let back = landing.location.unwrap_or_else(|| panic!("{}", landing.page));
    assert_eq!(back, at(&format!("/done?session_id={id}")));
    assert!(http.get(&back).send().await.unwrap().text().await.unwrap().contains("active"));
    let led = http.post(at(&format!("/my/{id}"))).body("").send().await.unwrap();
    assert!(led.headers()["location"].to_str().unwrap().starts_with(&format!("{}/my/", world.stack.url)));

    for event in world.stack.events().await {
        let event = json!({ "detail-type": event.kind.word(), "detail": event });
        assert!(http.post(at("/events")).body(event.to_string()).send().await.unwrap().status().is_success());
    }
    assert_eq!(http.get(at("/")).send().await.unwrap().text().await.unwrap(), "member");
}
