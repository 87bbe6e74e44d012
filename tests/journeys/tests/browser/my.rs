//! The buyer's own page.

use jiff::SignedDuration;
use maedal::subscription::{Status, SubscriptionId};

use crate::browser::Browser;

/// A buyer who has subscribed, on their own page.
async fn at_home(browser: &Browser) -> SubscriptionId {
    let id = browser.choose_coffee().await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.click("a.back").await;
    browser.click("#my").await;
    browser.see("#payments li").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_changes_the_payment_method_after_a_hard_decline_and_is_charged() {
    let Some(browser) = Browser::open().await else { return };
    let id = at_home(&browser).await;
    let home = browser.address().await;
    browser.world.stack.iamport().end_key_at_gateway(&id.to_string());
    browser.world.live_until(journeys::seoul("2026-12-23T10:05")).await;
    assert_eq!(browser.world.subscription(id).await.status, Status::PastDue);
    // The link has expired long ago.
    browser.go(&home).await;
    assert_eq!(browser.read("h1").await, "링크를 열 수 없습니다");
    browser.forgive("404").await;

    browser.go(&format!("/shop/ledger/{id}")).await;
    browser.click("#my").await;
    assert!(browser.read("#status").await.contains("새 결제수단을 등록해 주세요"));
    browser.fits().await;
    browser.click("#payment-method").await;
    browser.click("#subscribe button").await;
    browser.click("#approve").await;
    assert_eq!(browser.read("h1.done").await, "결제수단이 변경되었습니다");
    assert_eq!(browser.world.outcomes(id).await, ["paid", "declined", "paid"]);
    browser.click("a.back").await;
    assert_eq!(browser.read("#status").await, "이용 중입니다.");
    assert_eq!(browser.read("#next").await, "2027년 1월 23일 · 9,900원");
    let payments = browser.read("#payments").await;
    let words: Vec<_> = payments.lines().filter(|line| line.starts_with("9,900원")).collect();
    assert_eq!(words, ["9,900원 결제 완료", "9,900원 결제되지 않음", "9,900원 결제 완료"], "{payments}");
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_cancels_at_the_period_end_and_resumes() {
    let Some(browser) = Browser::open().await else { return };
    let id = at_home(&browser).await;
    browser.fits().await;
    browser.click("#cancel").await;
    assert_eq!(browser.read("#ends").await, "2026년 12월 23일");
    assert!(browser.world.subscription(id).await.cancel_at_period_end);
    browser.fits().await;
    browser.click("#resume").await;
    browser.see("#cancel").await;
    assert_eq!(browser.read("#next").await, "2026년 12월 23일 · 9,900원");
    assert!(!browser.world.subscription(id).await.cancel_at_period_end);
    browser.world.live_until(journeys::seoul("2026-12-23T10:05")).await;
    assert_eq!(browser.world.outcomes(id).await, ["paid", "paid"]);

    browser.go(&format!("/shop/ledger/{id}")).await;
    browser.click("#my").await;
    browser.click("#cancel").await;
    browser.see("#resume").await;
    browser.world.live_until(journeys::seoul("2027-01-23T10:05")).await;
    assert_eq!(browser.world.subscription(id).await.status, Status::Canceled);
    assert_eq!(browser.world.outcomes(id).await, ["paid", "paid"]);
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}

/// Two tabs: what one has done, the other finds done, or looks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_out_of_date_does_nothing() {
    let Some(browser) = Browser::open().await else { return };
    let id = at_home(&browser).await;
    let tea = serde_json::json!({ "name": "차", "amount": 5_000, "interval": journeys::monthly() });
    browser.world.put_plan("tea", tea).await;
    browser.world.commanded(id, "change-plan", serde_json::json!({ "plan": "tea", "when": "period_end" })).await;
    browser.click("#cancel").await;
    assert!(browser.read(".notice:not(:empty)").await.contains("그 사이에 구독이 변경되어"));
    assert!(!browser.world.subscription(id).await.cancel_at_period_end);
    browser.forgive("409").await;
    browser.click("#cancel").await;
    browser.see("#resume").await;
    browser.world.after(SignedDuration::from_mins(1)).await;
    assert!(browser.world.subscription(id).await.cancel_at_period_end);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_that_was_chosen_survives_the_window() {
    let Some(browser) = Browser::open().await else { return };
    let id = browser.choose_coffee().await;
    browser.click("footer a[hreflang=en]").await;
    browser.see("html[lang=en]").await;
    browser.agree().await;
    browser.click("#decline").await;
    browser.see("html[lang=en] #notice:not(:empty)").await;
    browser.agree().await;
    browser.click("#approve").await;
    assert_eq!(browser.read("h1.done").await, "You are subscribed");
    assert_eq!(browser.world.outcomes(id).await, ["paid"]);
    browser.close().await;
}
