//! Names that are HTML stay text, on every page that shows them.

use http::Method;
use journeys::monthly;
use sandbox::buyer::read;
use serde_json::json;
use simulator::{Call, Fault, Rule};

use crate::browser::Browser;

const PLAN: &str = "<img src=x onerror=hacked=1>\"'&amp;";
const CUSTOMER: &str = "'\"><iframe onload=hacked=1>${1}</pre>";
const BUYER: &str = "<u>김매달</u>";
const REASON: &str = "</p><svg onload=hacked=1>";

#[tokio::test(flavor = "multi_thread")]
async fn html_in_names_and_reasons_stays_text() {
    let Some(browser) = Browser::open().await else { return };
    browser.world.put_plan("coffee", json!({ "name": PLAN, "amount": 9_900, "interval": monthly() })).await;
    browser.world.fault(Rule::once(Call::Again, Fault::Decline { message: REASON.to_owned() }));
    let session = json!({
        "plan": "coffee",
        "customer_id": CUSTOMER,
        "buyer": { "name": BUYER, "email": "<b>@shop.example", "tel": "<i>010</i>" },
        "cancel_url": format!("{}/shop/back?next=%22%3E%3Cscript%3E", browser.world.stack.url),
    });
    let opened = browser.world.buyer.send(Method::POST, "/v1/checkout-sessions", &session, None).await.unwrap();
    let opened = read(opened).await;
    let url = opened["url"].as_str().unwrap_or_else(|| panic!("{opened}"));

    browser.go("/shop").await;
    shows(&browser, PLAN).await;
    browser.go(url).await;
    shows(&browser, PLAN).await;
    browser.agree().await;
    shows(&browser, PLAN).await;
    shows(&browser, BUYER).await;
    browser.click("#approve").await;
    browser.see("#notice:not(:empty)").await;
    shows(&browser, REASON).await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    shows(&browser, PLAN).await;
    browser.click("a.back").await;
    browser.see("#state").await;
    shows(&browser, PLAN).await;

    let id = opened["id"].as_str().unwrap_or_else(|| panic!("{opened}"));
    browser.go(&format!("/?subscription={id}&search={}", "%3Cimg+src%3Dx+onerror%3Dhacked%3D1%3E")).await;
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true").await;
    for text in [PLAN, CUSTOMER, REASON] {
        shows(&browser, text).await;
    }
    // What is put in without loading the page is as safe.
    browser.world.fault(Rule::once(Call::Again, Fault::Decline { message: REASON.to_owned() }));
    browser.see("#rules").await;
    assert_eq!(browser.run("return typeof hacked").await, "undefined");
    browser.close().await;
}

async fn shows(browser: &Browser, text: &str) {
    let page = browser.text().await;
    assert!(page.contains(text), "{page}");
    assert_eq!(browser.run("return typeof hacked").await, "undefined");
}
