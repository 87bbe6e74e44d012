//! On the narrowest phone nothing scrolls sideways.

use serde_json::json;

use crate::browser::Browser;

async fn every_page_fits(language: &str) {
    let Some(browser) = Browser::that_accepts(language).await else { return };
    // As long as a name may be, and one word.
    let plan = json!({ "name": "w".repeat(40), "amount": 99_999_999, "interval": { "unit": "month", "count": 12 } });
    browser.world.put_plan("coffee", plan).await;
    browser.go("/shop").await;
    browser.fits().await;
    browser.choose_coffee().await;
    browser.fits().await;
    browser.agree().await;
    browser.fits().await;
    browser.click("#decline").await;
    browser.see("#notice:not(:empty)").await;
    browser.fits().await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.fits().await;
    browser.click("a.back").await;
    browser.see("#state").await;
    browser.fits().await;
    let id = browser.read("#subscription").await;
    browser.go(&format!("/?subscription={id}")).await;
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true").await;
    browser.fits().await;
    browser.go(&format!("{}/", browser.world.stack.iamport_url)).await;
    browser.fits().await;
    browser.go("/checkout/nobody").await;
    browser.fits().await;
    browser.forgive("404").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_in_korean() {
    every_page_fits("ko-KR").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_in_english() {
    every_page_fits("en-US").await;
}
