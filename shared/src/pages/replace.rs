//! The page for a new payment method: what it will be charged, when, and the button that opens the window.

use http::{Response, StatusCode};
use maud::{PreEscaped, html};

use super::layout::{Content, SCRIPT};
use super::{Pages, with_session_id};
use crate::subscription::{Status, Subscription};

impl Pages<'_> {
    /// The page of a session that replaces a payment method.
    pub(super) fn replace(&self, session: &Subscription, notice: Option<&str>) -> Response<String> {
        let (words, language) = (self.language.words(), self.language);
        let path = self.session_path(session.id);
        let next = session.next_charge(self.now(), &self.billing.policy).map(|intent| intent.amount);
        let amount = next.unwrap_or(session.plan.terms.amount).to_string();
        let when = match session.status {
            Status::PastDue => words.today.to_owned(),
            Status::Pending
            | Status::Expired
            | Status::Trialing
            | Status::Active
            | Status::Paused
            | Status::Canceled
            | Status::NeedsReview => session.start_of(session.period).map(|at| language.date(at)).unwrap_or_default(),
        };
        let back = session.checkout.as_ref().and_then(|checkout| checkout.cancel_url.as_deref());
        let back = back.and_then(|address| with_session_id(address, session.id)).or_else(|| self.home.clone());
        let main = html! {
            h1 { (words.replace.heading) }
            p { (words.replace.meaning) }
            dl {
                div { dt { (words.plan) } dd { (session.plan.terms.name) } }
                div { dt { (words.next_charge) } dd.amount { (when) " · " (amount) } }
            }
            form id="subscribe" method="post" action=(self.localized(&format!("{path}/window"))) data-session=(self.localized(&path))
                data-no-connection=(words.no_connection) data-no-sdk=(words.no_sdk) data-failed=(words.window_failed) {
                p.notice id="notice" role="alert" { (notice.unwrap_or_default()) }
                button type="submit" disabled { (words.replace_button) }
                noscript { p.notice { (words.no_script) } }
            }
            @if let Some(back) = back { a href=(back) { (words.replace_back) } }
        };
        let scripts = html! {
            script src=(self.site.sdk_url) {}
            script { (PreEscaped(SCRIPT)) }
        };
        self.show(Content {
            status: StatusCode::OK,
            title: words.replace.heading,
            waits: false,
            path: Some(path),
            main,
            scripts: Some(scripts),
        })
    }
}
