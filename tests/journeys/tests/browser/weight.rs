//! What a buyer's page weighs, and whom it talks to.

use journeys::monthly;
use serde_json::json;

use crate::browser::Browser;

/// A page without I'mport's SDK, as it comes, uncompressed.
const MOST_BYTES: usize = 30_000;
/// What Chromium calls a layout that stands still is below 0.1; ours moves not at all.
const STILL: f64 = 0.001;

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_light_stand_still_and_talk_to_nobody_but_iamport() {
    let Some(browser) = Browser::open().await else { return };
    browser.world.put_plan("coffee", json!({ "name": "매달 커피", "amount": 9_900, "interval": monthly() })).await;
    browser.choose_coffee().await;
    light(&browser).await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    light(&browser).await;
    browser.click("a.back").await;
    browser.click("#my").await;
    browser.see("#payments li").await;
    light(&browser).await;
    browser.click("#payment-method").await;
    browser.see("#subscribe").await;
    light(&browser).await;
    browser.close().await;
}

async fn light(browser: &Browser) {
    let address = browser.address().await;
    let (iamport, ours) = (&browser.world.stack.iamport_url, &browser.world.stack.url);
    let names = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)").await;
    let mut names = names.as_array().unwrap().iter().filter_map(|name| name.as_str());
    let sdk = format!("{iamport}/v1/iamport.js");
    assert!(names.all(|name| name == sdk || name.starts_with(&format!("{ours}/"))), "{address}: {names:?}");

    let answer = browser.world.buyer.get(&address).await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let bytes = answer.bytes().await.unwrap().len();
    assert!(bytes < MOST_BYTES, "{address}: {bytes} bytes");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for directive in policy.split("; ") {
        let (name, sources) = directive.split_once(' ').unwrap_or((directive, ""));
        assert!(!sources.contains("unsafe-eval") && !sources.split(' ').any(|source| source == "*"), "{directive}");
        // I'mport's SDK lays its frame over the page with style attributes.
        assert!(name == "style-src-attr" || !sources.contains("unsafe-inline"), "{directive}");
    }

    let moved = "window.moved = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) moved += entry.value;
    }).observe({ type: 'layout-shift', buffered: true })";
    browser.run(moved).await;
    let moved = browser.run("return new Promise((later) => requestAnimationFrame(() => later(moved)))").await;
    assert!(moved.as_f64().unwrap() < STILL, "{address} moves by {moved}");
}
