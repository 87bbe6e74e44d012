//! The result page: what became of a session.

use http::{Response, StatusCode};
use maud::{Markup, html};

use super::layout::Content;
use super::words::Text;
use super::{Pages, with_session_id};
use crate::billing::CheckoutState;
use crate::subscription::{Status, Subscription};

impl Pages<'_> {
    /// It is being confirmed: nobody knows yet, and nobody pays twice.
    pub fn confirming(&self) -> Response<String> {
        self.wait(StatusCode::OK, self.language.words().confirming)
    }

    /// The table or I'mport can't be asked. Nothing is lost.
    pub fn unavailable(&self) -> Response<String> {
        self.wait(StatusCode::SERVICE_UNAVAILABLE, self.language.words().unavailable)
    }

    fn wait(&self, status: StatusCode, text: Text) -> Response<String> {
        let main = html! { h1 { (text.heading) } p role="status" { (text.meaning) } };
        self.show(Content { status, title: text.heading, waits: true, path: None, main, scripts: None })
    }

    pub(super) fn result(&self, session: &Subscription, state: CheckoutState) -> Response<String> {
        let words = self.language.words();
        let (status, text) = match state {
            CheckoutState::Subscribed | CheckoutState::Paused if session.is_replaced() => {
                (StatusCode::OK, words.replaced)
            }
            CheckoutState::Subscribed if session.status == Status::Trialing => (StatusCode::OK, words.trialing),
            CheckoutState::Subscribed => (StatusCode::OK, words.active),
            CheckoutState::PastDue => (StatusCode::OK, words.past_due),
            CheckoutState::Paused => (StatusCode::OK, words.paused),
            CheckoutState::Ended => (StatusCode::OK, words.ended),
            CheckoutState::Review => (StatusCode::OK, words.review),
            CheckoutState::Open | CheckoutState::Replacing | CheckoutState::Confirming => {
                (StatusCode::OK, words.confirming)
            }
            CheckoutState::Over => (StatusCode::GONE, words.over),
        };
        let details = (state == CheckoutState::Subscribed).then(|| self.details(session));
        let back = session.checkout.as_ref().and_then(|checkout| {
            let done = checkout.success_url.as_deref().filter(|_| state == CheckoutState::Subscribed);
            with_session_id(done.or(checkout.cancel_url.as_deref())?, session.id)
        });
        let (back, there) = match (&self.home, back) {
            (Some(home), _) => (Some(home.clone()), words.back_home),
            (None, back) => (back, words.back_to_shop),
        };
        let main = html! {
            h1.done[details.is_some()] { (text.heading) }
            p role="status" { (text.meaning) }
            @if let Some(details) = details { (details) }
            @if let Some(back) = back { a.back href=(back) { (there) } }
        };
        let path = Some(self.session_path(session.id));
        self.show(Content { status, title: text.heading, waits: false, path, main, scripts: None })
    }

    /// What was paid, and when the next charge is.
    fn details(&self, session: &Subscription) -> Markup {
        let (words, language) = (self.language.words(), self.language);
        let terms = &session.plan.terms;
        let next = session.start_of(session.period).map(|next| language.date(next));
        html! {
            dl {
                div { dt { (words.plan) } dd { (terms.name) } }
                @if session.paid_through > 0 { div { dt { (words.paid) } dd { strong { (terms.amount) } } } }
                @if let Some(next) = next {
                    div {
                        @if session.cancel_at_period_end { dt { (words.ends) } dd { (next) } }
                        @else { dt { (words.next_charge) } dd { (next) " · " (terms.amount) } }
                    }
                }
            }
        }
    }
}
