//! The checkout page: what will be charged, when, how often and until when; the consent; the button.

use http::{Response, StatusCode};
use maud::{PreEscaped, html};

use super::layout::{Content, SCRIPT};
use super::{Pages, with_session_id};
use crate::subscription::Subscription;
use crate::subscription::period::days_after;

impl Pages<'_> {
    /// The page of a session whose window can be opened.
    pub(super) fn checkout(&self, session: &Subscription, notice: Option<&str>) -> Response<String> {
        let (words, language) = (self.language.words(), self.language);
        let terms = &session.plan.terms;
        let (amount, every) = (terms.amount.to_string(), language.every(terms.interval));
        let starts = days_after(self.now(), terms.trial_days);
        let second = language.date(terms.interval.start_of(2, starts));
        let path = self.session_path(session.id);
        let checkout = session.checkout.as_ref();
        let declined = checkout.and_then(|checkout| checkout.decline.as_deref()).map(words.declined);
        let back = checkout
            .and_then(|checkout| checkout.cancel_url.as_deref())
            .and_then(|address| with_session_id(address, session.id));
        let main = html! {
            h1 { (terms.name) }
            p.price { strong { (amount) } " · " (every) }
            dl {
                div {
                    dt { (words.first_charge) }
                    dd {
                        @if terms.trial_days == 0 { (words.today) }
                        @else { ((words.after_trial)(&language.date(starts), terms.trial_days)) }
                    }
                }
                div { dt { (words.next_charge) } dd { ((words.then)(&second, &every)) } }
                div { dt { (words.cancelling) } dd { (words.how_to_cancel) } }
            }
            form id="subscribe" method="post" action=(self.localized(&format!("{path}/window"))) data-session=(self.localized(&path))
                data-no-connection=(words.no_connection) data-no-sdk=(words.no_sdk) data-failed=(words.window_failed) {
                label { input type="checkbox" name="consent" required; span { ((words.consent)(&amount, &every)) } }
                // Always there: what appears with its words is not always read out.
                p.notice id="notice" role="alert" { (notice.or(declined.as_deref()).unwrap_or_default()) }
                // Waits for the script, which alone can open the window.
                button type="submit" disabled { (words.subscribe) }
                noscript { p.notice { (words.no_script) } }
            }
            @if let Some(back) = back { a.back href=(back) { (words.give_up) } }
        };
        let scripts = html! {
            script src=(self.site.sdk_url) {}
            script { (PreEscaped(SCRIPT)) }
        };
        self.show(Content {
            status: StatusCode::OK,
            title: words.checkout,
            waits: false,
            path: Some(path),
            main,
            scripts: Some(scripts),
        })
    }

    /// What a buyer reads whose window failed without a word of why.
    pub fn window_failed(&self) -> &'static str {
        self.language.words().window_failed
    }
}
