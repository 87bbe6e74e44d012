//! What a buyer does, in a real browser: headless Chromium, driven over WebDriver. One file per journey.
//!
//! `chromium` and `chromedriver` are looked for on `PATH`; `CHROMIUM` and `CHROMEDRIVER` name others. Without them each
//! test says that it is skipped, and passes; with `MAEDAL_BROWSER=required` it fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod decline;
mod hostile;
mod language;
mod my;
mod phone;
mod result;
mod subscribe;
mod window;
