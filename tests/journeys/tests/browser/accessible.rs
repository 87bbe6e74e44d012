//! axe-core finds nothing serious on any page, in either language, light and dark.

use crate::browser::Browser;

async fn every_page(language: &str) {
    let Some(browser) = Browser::that_accepts(language).await else { return };
    browser.go("/").await;
    browser.is_accessible().await;
    browser.go("/shop").await;
    browser.is_accessible().await;
    let id = browser.choose_coffee().await;
    browser.is_accessible().await;
    browser.agree().await;
    browser.click("#decline").await;
    browser.see("#notice:not(:empty)").await;
    browser.is_accessible().await;
    browser.agree().await;
    browser.is_accessible().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.is_accessible().await;
    browser.click("a.back").await;
    browser.see("#state").await;
    browser.is_accessible().await;
    browser.click("#my").await;
    browser.see("#payments li").await;
    browser.is_accessible().await;
    browser.click("#payment-method").await;
    browser.see("#subscribe").await;
    browser.is_accessible().await;
    browser.go(&format!("/?subscription={id}")).await;
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true").await;
    browser.is_accessible().await;
    browser.go(&format!("{}/", browser.world.stack.iamport_url)).await;
    browser.is_accessible().await;
    browser.go("/checkout/nobody").await;
    browser.is_accessible().await;
    browser.forgive("404").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_korean() {
    every_page("ko-KR").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_english() {
    every_page("en-US").await;
}
