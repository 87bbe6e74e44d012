//! The billing key is there, and the first charge is declined.

use journeys::no_money;
use simulator::{Call, Rule};

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_first_charge_is_explained_and_can_be_tried_again() {
    let Some(browser) = Browser::open().await else { return };
    browser.world.fault(Rule::once(Call::Again, no_money()));
    let id = browser.choose_coffee().await;
    browser.agree().await;
    browser.click("#approve").await;
    let notice = browser.read("#notice:not(:empty)").await;
    assert!(notice.contains("잔액이 부족합니다"), "{notice}");
    assert_eq!(browser.world.outcomes(id).await, ["declined"]);

    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.click("a.back").await;
    let rows = browser.read("#charges tbody").await;
    let outcomes: Vec<_> = rows.lines().filter_map(|row| row.split(' ').nth(3)).collect();
    assert_eq!(outcomes, ["declined", "paid"], "{rows}");
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}
