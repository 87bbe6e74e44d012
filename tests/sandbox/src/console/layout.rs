//! The frame of the console's page.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use maud::{DOCTYPE, Markup, html};

use super::view::View;
use crate::stack::Parts;

/// Nothing comes from elsewhere, and forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("console.css")).into_response()
}

pub(super) async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("console.js")).into_response()
}

pub(super) fn page(parts: &Parts, view: &View, main: &Markup) -> Response {
    let words = view.words();
    let other = view.language().other().code();
    let page = html! {
        (DOCTYPE)
        html lang=(view.language().code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // During a leap of the clock the page looks again by itself, where no script does it.
                @if parts.time.leap().is_some() { noscript { meta http-equiv="refresh" content="1"; } }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/console/style.css";
                title { (words.title) }
                script src="/console/script.js" defer {}
            }
            body data-mark=(super::live::mark(parts)) {
                header {
                    h1 { (words.title) }
                    nav aria-label=(words.elsewhere) {
                        a href="/shop" { (words.shop) }
                        a href=(parts.iamport_url) { (words.iamport) }
                        a lang=(other) hreflang=(other) href=(view.in_the_other_language().path()) { (words.other_language) }
                    }
                }
                main { (main) }
            }
        }
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page.into_string()).into_response()
}
