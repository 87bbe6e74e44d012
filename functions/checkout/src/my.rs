//! The buyer's own page: `GET /my/{token}`, and a POST to it for each button.
//!
//! The token is the key: without it nothing can be asked for, so no other site can press a button. That the browser says
//! where a POST comes from is looked at all the same. Whatever opens no page gets one answer, so that nobody learns
//! whether there is such a subscription.

use lambda_http::Request;
use lambda_http::http::{HeaderValue, Response, header};
use maedal::billing::Pressed;
use maedal::pages::{My, Notice, Pages, Problem};
use maedal::rotating::SecretError;
use maedal::store::{ChargeCursor, StoreError};
use maedal::subscription::{BuyerAction, Subscription, SubscriptionId};
use tracing::error;

use super::App;

/// The cookie that leads back from the window: it is sent to the one session's page only.
const COOKIE: &str = "maedal_my";
/// No form of ours is longer.
const LONGEST_FORM: usize = 1024;

/// What kept a page from being shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// `GET /my/{token}`.
pub(crate) async fn page(app: &App, pages: &Pages<'_>, token: &str, request: &Request) -> Response<String> {
    show(app, pages, token, request).await.unwrap_or_else(|failure| unavailable(pages, &failure))
}

/// `POST /my/{token}/{button}`.
pub(crate) async fn press(
    app: &App,
    pages: &Pages<'_>,
    token: &str,
    action: BuyerAction,
    request: &Request,
) -> Response<String> {
    if !is_ours(request, &pages.base_url) {
        return pages.problem(&Problem::Foreign);
    }
    let Some(version) = version(request) else { return pages.problem(&Problem::Unreadable("version")) };
    carry_out(app, pages, token, action, version).await.unwrap_or_else(|failure| {
        error!(%failure, "could not carry out what a buyer asks for");
        // The page itself says how things stand, as soon as it can.
        pages.redirect(&pages.localized(&pages.my_path(token)))
    })
}

/// The way back to the buyer's own page, for the page of session `id` that was opened from there.
pub(crate) async fn home(app: &App, pages: &Pages<'_>, id: SubscriptionId, request: &Request) -> Option<String> {
    let token = cookie(request)?;
    match app.links.open(token, app.billing.clock.now()).await {
        Ok(Some(opened)) if opened == id => Some(pages.localized(&pages.my_path(token))),
        Ok(Some(_) | None) => None,
        Err(failure) => {
            error!(subscription = %id, %failure, "could not lead back to a buyer's page");
            None
        }
    }
}

/// The buttons, by the end of their path.
pub(crate) fn button(name: &str) -> Option<BuyerAction> {
    match name {
        "payment-method" => Some(BuyerAction::ChangePaymentMethod),
        "cancel" => Some(BuyerAction::Cancel),
        "resume" => Some(BuyerAction::Resume),
        _ => None,
    }
}

async fn show(app: &App, pages: &Pages<'_>, token: &str, request: &Request) -> Result<Response<String>, Failure> {
    let Some(id) = app.links.open(token, app.billing.clock.now()).await? else {
        return Ok(pages.problem(&Problem::UnknownLink));
    };
    let Some(subscription) = app.billing.my_subscription(id).await? else {
        return Ok(pages.problem(&Problem::UnknownLink));
    };
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let after = query.into_iter().find(|(name, _)| name == "after").map(|(_, after)| after.parse::<ChargeCursor>());
    match after.transpose() {
        Ok(after) => Ok(shown(app, pages, token, &subscription, after.as_ref(), None).await?),
        Err(_) => Ok(pages.problem(&Problem::Unreadable("after"))),
    }
}

async fn carry_out(
    app: &App,
    pages: &Pages<'_>,
    token: &str,
    action: BuyerAction,
    version: u64,
) -> Result<Response<String>, Failure> {
    let unknown = || pages.problem(&Problem::UnknownLink);
    let Some(id) = app.links.open(token, app.billing.clock.now()).await? else { return Ok(unknown()) };
    let done = match app.billing.press(id, action, version, app.site.session).await? {
        None => return Ok(unknown()),
        Some(Pressed::Done(done)) => done,
        Some(Pressed::Stale(found)) => {
            return Ok(shown(app, pages, token, &found, None, Some(Notice::Stale)).await?);
        }
    };
    Ok(match action {
        BuyerAction::ChangePaymentMethod => {
            let path = pages.session_path(done.id);
            let mut response = pages.redirect(&pages.localized(&path));
            let secure = if pages.base_url.starts_with("https:") { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={token}; Path={path}; Max-Age=86400; HttpOnly; SameSite=Lax{secure}");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        BuyerAction::Cancel | BuyerAction::Resume => pages.redirect(&pages.localized(&pages.my_path(token))),
    })
}

async fn shown(
    app: &App,
    pages: &Pages<'_>,
    token: &str,
    subscription: &Subscription,
    after: Option<&ChargeCursor>,
    notice: Option<Notice>,
) -> Result<Response<String>, StoreError> {
    let payments = app.billing.my_payments(subscription.id, after).await?;
    Ok(pages.my(&My { token, subscription, payments: &payments, notice }))
}

fn unavailable(pages: &Pages<'_>, failure: &Failure) -> Response<String> {
    error!(%failure, "could not show a buyer's page");
    pages.unavailable()
}

/// Whether a page of ours sent the form, as far as the browser says. Browsers of today say it by `Sec-Fetch-Site`. By
/// `Origin` those before them do, or hide it (`null`), since our pages tell nobody where one came from.
fn is_ours(request: &Request, base_url: &str) -> bool {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some("null") | None) => true,
        (None, Some(origin)) => {
            let host =
                |url: &str| url.split("://").nth(1).map(|rest| rest.split('/').next().unwrap_or(rest).to_owned());
            let own = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
            host(origin).is_some_and(|from| host(base_url).as_ref() == Some(&from) || own == Some(from.as_str()))
        }
    }
}

/// The version that the page had shown.
fn version(request: &Request) -> Option<u64> {
    let form: &[u8] = request.body();
    if form.len() > LONGEST_FORM {
        return None;
    }
    form_urlencoded::parse(form).find(|(name, _)| name == "version").and_then(|(_, version)| version.parse().ok())
}

fn cookie(request: &Request) -> Option<&str> {
    let all = request.headers().get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    all.flat_map(|cookies| cookies.split(';')).find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
