//! What all pages have in common: the frame, and the headers that guard it.
//!
//! Style and script stand in the page and are let in by their hash. Two functions serve these pages: an asset route would
//! belong to one of them only, and cost a second request before the first paint.

use std::sync::LazyLock;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Pages;

const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("checkout.js");

/// Where I'mport's SDK frames its windows and calls home.
const IAMPORT_HOSTS: &str = "https://*.iamport.kr https://*.iamport.co https://*.portone.io";

/// How often a page that waits asks again, in seconds.
const REFRESH: u8 = 5;

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash(STYLE));
static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| hash(SCRIPT));

fn hash(source: &str) -> String {
    use aws_smithy_types::base64::encode;
    format!("'sha256-{}'", encode(ring::digest::digest(&ring::digest::SHA256, source.as_bytes())))
}

/// One page's own part.
pub(super) struct Content<'t> {
    pub(super) status: StatusCode,
    pub(super) title: &'t str,
    /// Whether it reloads by itself.
    pub(super) waits: bool,
    /// The way to this page in the other language, where it has an address of its own.
    pub(super) path: Option<String>,
    pub(super) main: Markup,
    /// I'mport's SDK and ours.
    pub(super) scripts: Option<Markup>,
}

impl Pages<'_> {
    pub(super) fn show(&self, content: Content<'_>) -> Response<String> {
        let Content { status, title, waits, path, main, scripts } = content;
        let (other, with_sdk) = (self.language.other(), scripts.is_some());
        let page = html! {
            (DOCTYPE)
            html lang=(self.language.code()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    @if waits { meta http-equiv="refresh" content=(REFRESH); }
                    // Without one, browsers ask for /favicon.ico.
                    link rel="icon" href="data:,";
                    title { (title) @if !self.site.merchant_name.is_empty() { " · " (self.site.merchant_name) } }
                    // The only unescaped texts are our own files: style here, script on the checkout page.
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { (self.site.merchant_name) }
                    main { (main) }
                    @if let Some(path) = path {
                        footer {
                            a href={ (path) "?lang=" (other.code()) } lang=(other.code()) hreflang=(other.code()) {
                                (self.language.words().other_language)
                            }
                        }
                    }
                    @if let Some(scripts) = scripts { (scripts) }
                }
            }
        };
        let mut response = self.answer(status, "text/html; charset=utf-8", page.into_string());
        let policy = if with_sdk { self.policy_with_sdk() } else { policy() };
        response.headers_mut().insert(http::header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    /// An answer for a page's script.
    pub fn json(&self, status: StatusCode, body: &impl serde::Serialize) -> Response<String> {
        self.answer(status, "application/json", serde_json::to_string(body).unwrap_or_default())
    }

    /// An answer that nobody keeps, whose address nobody learns: the address is the key to the session.
    fn answer(&self, status: StatusCode, kind: &'static str, body: String) -> Response<String> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers: [(HeaderName, &'static str); 4] = [
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Sends the browser to `to`, by GET.
    pub fn redirect(&self, to: &str) -> Response<String> {
        match HeaderValue::from_str(to) {
            Ok(to) => {
                let mut response = self.answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
                response.headers_mut().insert(LOCATION, to);
                response
            }
            Err(_) => self.problem(&super::Problem::NotFound),
        }
    }

    /// Lets the SDK in.
    fn policy_with_sdk(&self) -> HeaderValue {
        let sdk = url::Url::parse(&self.site.sdk_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let (style, script) = (STYLE_HASH.as_str(), SCRIPT_HASH.as_str());
        // The SDK lays its frame over the page with style attributes, and posts forms to its own hosts.
        let policy = format!(
            "default-src 'none'; script-src {script} {sdk}; style-src-elem {style}; style-src-attr 'unsafe-inline'; \
             img-src data: {IAMPORT_HOSTS}; connect-src 'self' {sdk} {IAMPORT_HOSTS}; \
             frame-src {sdk} {IAMPORT_HOSTS}; form-action 'self' {sdk} {IAMPORT_HOSTS}; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
}

/// A page without a script: nothing is loaded, and its forms go nowhere else.
fn policy() -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src-elem {}; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        STYLE_HASH.as_str()
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
