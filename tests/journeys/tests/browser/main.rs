//! What a buyer does, in a real browser: headless Chromium, driven over WebDriver. One file per journey.
//!
//! `chromium` and `chromedriver` are looked for on `PATH`; `CHROMIUM` and `CHROMEDRIVER` name others. Without them each
//! test says that it is skipped, and passes; with `MAEDAL_BROWSER=required` it fails. So it is with `MAEDAL_AXE`, which names
//! axe-core's `axe.min.js`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accessible;
mod browser;
mod console;
mod decline;
mod hostile;
mod language;
mod my;
mod phone;
mod pictures;
mod result;
mod subscribe;
mod weight;
mod window;
