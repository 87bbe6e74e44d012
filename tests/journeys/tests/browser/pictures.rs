//! The pictures of the README: `cargo test -p journeys --test browser -- --ignored pictures`.

use std::path::Path;

use crate::browser::Browser;

/// A picture larger than this is not one for a README.
const MOST_BYTES: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it writes the pictures that the README shows"]
async fn pictures() {
    let Some(browser) = Browser::open().await else { return };
    browser.resize(390, 700).await;
    let id = browser.choose_coffee().await;
    keep(&browser, "checkout").await;
    browser.agree().await;
    browser.click("#approve").await;
    browser.see("h1.done").await;
    browser.go(&format!("/?subscription={id}&lang=en")).await;
    browser.click("#add-fault").await;
    browser.see("#rules li").await;
    browser.leap("year").await;
    browser.resize(1200, 1000).await;
    keep(&browser, "console").await;
    browser.run("document.querySelector('#subscription').scrollIntoView()").await;
    keep(&browser, "timeline").await;
    browser.resize(390, 700).await;
    browser.go(&format!("/shop/ledger/{id}")).await;
    browser.click("#my").await;
    browser.see("#payments li").await;
    keep(&browser, "my").await;
    browser.close().await;
}

async fn keep(browser: &Browser, name: &str) {
    let picture = browser.picture().await;
    assert!(picture.len() < MOST_BYTES, "{name}: {} bytes", picture.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.webp")), picture).unwrap();
}
