//! Korean first; English for those who ask.

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn an_english_browser_gets_english_pages() {
    let Some(browser) = Browser::that_accepts("en-GB").await else { return };
    browser.choose_coffee().await;
    assert_eq!(browser.read(".price").await, "9,900원 · every month");
    browser.agree().await;
    browser.click("#approve").await;
    assert_eq!(browser.read("h1.done").await, "You are subscribed");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_changes_the_language_and_back() {
    let Some(browser) = Browser::open().await else { return };
    browser.choose_coffee().await;
    assert_eq!(browser.read("#subscribe button").await, "동의하고 결제수단 등록하기");
    browser.click("footer a[hreflang=en]").await;
    browser.see("html[lang=en]").await;
    assert_eq!(browser.read("#subscribe button").await, "Agree and register a payment method");
    browser.click("footer a[hreflang=ko]").await;
    browser.see("html[lang=ko]").await;
    browser.close().await;
}
