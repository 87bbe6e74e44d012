//! A buyer subscribes: shop, checkout, payment window, result, ledger.

use maedal::subscription::Won;

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_subscribes_and_sees_the_first_charge() {
    let Some(browser) = Browser::open().await else { return };
    let id = browser.choose_coffee().await;
    assert_eq!(browser.read("h1").await, "매달 커피");
    assert_eq!(browser.read(".price").await, "9,900원 · 매월");

    browser.agree().await;
    browser.click("#approve").await;
    assert_eq!(browser.read("h1.done").await, "구독이 시작되었습니다");
    assert!(browser.text().await.contains("9,900원"));

    browser.click("a.back").await;
    assert_eq!(browser.read("#state").await, "active");
    assert_eq!(browser.read("#subscription").await, id.to_string());
    assert_eq!(browser.read("#standing").await, "9,900원");
    let row = browser.read("#charges tbody tr:only-child").await;
    assert!(row.starts_with("1 1 9,900원 paid imp_"), "{row}");

    let report = browser.world.reconciled(&[id]).await;
    assert_eq!((report.ledger_won, report.iamport_won), (Won::new(9_900), Won::new(9_900)));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_no_window_opens() {
    let Some(browser) = Browser::open().await else { return };
    browser.choose_coffee().await;
    let here = browser.address().await;
    browser.click("#subscribe button").await;
    assert_eq!(browser.run("return document.querySelector('[name=consent]').validity.valueMissing").await, true);
    assert_eq!(browser.address().await, here);
    assert_eq!(browser.world.stack.iamport().books().payments().len(), 0);
    browser.close().await;
}
