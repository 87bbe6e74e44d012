//! The sandbox's console.

use jiff::SignedDuration;
use journeys::monthly;
use maedal::clock::Clock;
use maedal::subscription::{Status, SubscriptionId};
use reqwest::redirect::Policy;
use sandbox::buyer::Buyer;
use sandbox::{Options, Stack, console};
use serde_json::json;

use crate::browser::Browser;

/// Somebody has subscribed, and the console shows it.
async fn watched(browser: &Browser) -> SubscriptionId {
    let id = browser.choose_coffee().await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.go(&format!("/?subscription={id}")).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_on_the_clock_with_a_decline_and_a_recovery() {
    let Some(browser) = Browser::open().await else { return };
    let id = watched(&browser).await;
    assert_eq!(browser.read("#state").await, "이용 중");
    assert_eq!(browser.read("#verdict.good").await, "두 장부가 일치합니다");
    assert_eq!(browser.read("#next").await, "2026-12-23 10:00 · 9,900원");

    // The first choice: declined, for want of money.
    browser.click("#add-fault").await;
    browser.see("#rules li").await;
    browser.leap("charge").await;
    assert_eq!(browser.read("#state").await, "연체");
    let timeline = browser.read("#timeline").await;
    for entry in ["2회차 1번째 시도 9,900원", "결제 요청 9,900원 → 거절됨: 잔액이 부족합니다.", "subscription.past_due"]
    {
        assert!(timeline.contains(entry), "no {entry} in {timeline}");
    }

    browser.leap("year").await;
    assert_eq!(browser.read("#state").await, "이용 중");
    assert!(browser.read("#now").await.starts_with("2027-12-23 10:00"));
    let outcomes = browser.world.outcomes(id).await;
    assert_eq!(outcomes[..3], ["paid", "declined", "paid"]);
    assert_eq!((outcomes.len(), outcomes.iter().filter(|outcome| **outcome == "paid").count()), (15, 14));
    assert_eq!(browser.read("#verdict.good").await, "두 장부가 일치합니다");
    assert_eq!(browser.read("#ours").await, "138,600원");
    assert_eq!(browser.read("#theirs").await, "138,600원");
    assert_eq!(browser.run("return document.querySelectorAll('#charges tbody tr').length").await, 15);
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_shown_without_loading_the_page_again() {
    let Some(browser) = Browser::open().await else { return };
    let id = watched(&browser).await;
    browser.run("window.untouched = true").await;
    browser.world.live_until(journeys::seoul("2026-12-23T10:05")).await;
    browser.see("#charges tbody tr:nth-child(2)").await;
    assert_eq!(browser.run("return window.untouched").await, true);

    browser.click("#end-key").await;
    browser.see("#key-ended").await;
    browser.leap("charge").await;
    assert_eq!(browser.world.subscription(id).await.status, Status::PastDue);
    assert!(browser.read("#timeline").await.contains("해지된 정기결제입니다."));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_in_iamports_console_and_its_webhook() {
    let Some(browser) = Browser::that_accepts("en").await else { return };
    let id = watched(&browser).await;
    let imp_uid = browser.world.ledger(id).await.charges[0].payment().map(|payment| payment.imp_uid.to_string());
    let imp_uid = imp_uid.unwrap_or_default();
    // The webhook is lost: nobody tells us.
    browser.run("document.querySelector('#fault').value = 'webhook_lost'").await;
    browser.click("#add-fault").await;
    browser.see("#rules li").await;
    browser.click(&format!("#cancel-{imp_uid}")).await;
    assert_eq!(browser.read("#verdict.bad").await, "THE BOOKS DIFFER");
    assert!(browser.read("#webhooks li:first-child").await.contains("cancelled → never sent"));

    // The newest webhook is sent after all.
    browser.click("#webhooks li:first-child button[value=now]").await;
    assert_eq!(browser.read("#verdict.good").await, "The two books agree");
    assert!(browser.read("#timeline").await.contains("charge.refunded: given back · 9,900원"));
    assert_eq!(browser.read("#ours").await, "0원");

    browser.click("#iamport-down").await;
    browser.click("#iamport-up").await;
    browser.see("#iamport-down").await;
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}

/// What can be copied works as it stands.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_api_can_be_copied_and_sent() {
    let Some(browser) = Browser::open().await else { return };
    watched(&browser).await;
    browser.click("#curl summary").await;
    let lines = browser.run("return [...document.querySelectorAll('#curl pre')].map((line) => line.textContent)").await;
    let lines: Vec<&str> = lines.as_array().unwrap().iter().filter_map(|line| line.as_str()).collect();
    // There is no import to look at.
    let routes = manage::ROUTES.iter().filter(|route| !route.path.contains("{import}"));
    assert_eq!(lines.len(), routes.count());
    for line in lines {
        let quoted: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
        let method = line.split_once("-X ").map_or("GET", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), quoted[0]);
        if let [_, header, body] = quoted[..] {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value).body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        // A command may not go with the state that the one before has left.
        let status = answer.status().as_u16();
        assert!((200..300).contains(&status) || status == 409, "{line}: {status}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_does_nothing_and_none_leads_away() {
    let stack = Stack::start(Options::default(), console::router).await.unwrap();
    let began = stack.clock.now();
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 303)] {
        let form = http.post(format!("{}/console/clock", stack.url)).header("sec-fetch-site", site);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.body("span=hour&back=//elsewhere.example/").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{site}");
        assert!(answer.headers().get("location").is_none_or(|to| to == "/"), "{:?}", answer.headers());
    }
    assert_eq!(stack.clock.now().duration_since(began), SignedDuration::from_hours(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_found_by_state_and_text_and_come_page_by_page() {
    let stack = Stack::start(Options::default(), console::router).await.unwrap();
    let buyer = Buyer::of(&stack).unwrap();
    let plan = json!({ "name": "매달 커피", "amount": 9_900, "interval": monthly() });
    buyer.put_plan("coffee", &plan).await.unwrap();
    for nth in 0..25 {
        buyer.open_session("coffee", &format!("customer-{nth:02}")).await.unwrap().unwrap();
    }
    for (query, found) in [
        ("", 20),
        ("page=1", 5),
        // Beyond the last page is the last page.
        ("page=9", 5),
        ("state=pending&page=1", 5),
        ("state=active", 0),
        ("search=CUSTOMER-07", 1),
        ("search=%EC%BB%A4%ED%94%BC&state=pending", 20),
        ("search=nobody", 0),
    ] {
        let page = buyer.get(&format!("/?{query}")).await.unwrap().text().await.unwrap();
        assert_eq!(page.matches("id=\"open-").count(), found, "{query}");
    }
}
