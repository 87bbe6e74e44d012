//! After the result.

use crate::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn reloading_and_going_back_charges_nothing() {
    let Some(browser) = Browser::open().await else { return };
    let id = browser.choose_coffee().await;
    let checkout = browser.address().await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;

    browser.reload().await;
    browser.see("h1.done").await;
    // Into the window that was left, as the browser has kept it, and through it again.
    browser.go_back().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.go(&checkout).await;
    browser.see("h1.done").await;
    // The address that the window had sent the browser to.
    let (imp_uid, merchant_uid) = {
        let iamport = browser.world.stack.iamport();
        let issued = &iamport.books().payments()[0];
        (issued.imp_uid.clone(), issued.order.merchant_uid.clone())
    };
    browser.go(&format!("/payments/complete?imp_uid={imp_uid}&merchant_uid={merchant_uid}&imp_success=true")).await;
    browser.see("h1.done").await;

    assert_eq!(browser.world.payments(), 1);
    assert_eq!(browser.world.outcomes(id).await, ["paid"]);
    browser.world.reconciled(&[id]).await;
    browser.close().await;
}
