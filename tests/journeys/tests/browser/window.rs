//! The payment window does not end well at first.

use crate::browser::Browser;

async fn fails_then_succeeds(button: &str, reason: &str) {
    let Some(browser) = Browser::open().await else { return };
    let id = browser.choose_coffee().await;
    browser.agree().await;
    browser.click(button).await;
    let notice = browser.read("#notice:not(:empty)").await;
    assert!(notice.contains(reason), "{notice}");
    assert_eq!(browser.world.payments(), 0);

    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    assert_eq!(browser.world.outcomes(id).await, ["paid"]);
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_window_is_explained_and_can_be_tried_again() {
    fails_then_succeeds("#decline", "결제가 거절되었습니다").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_can_be_opened_again() {
    fails_then_succeeds("#close", "사용자가 결제를 취소").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_back_button_leaves_the_window_and_the_checkout_works_on() {
    let Some(browser) = Browser::open().await else { return };
    let id = browser.choose_coffee().await;
    browser.agree().await;
    browser.go_back().await;
    browser.see("#subscribe button:enabled").await;
    // Chromium keeps the box checked.
    browser.run("document.querySelector('[name=consent]').checked = false").await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    assert_eq!(browser.world.outcomes(id).await, ["paid"]);
    browser.close().await;
}
