//! The buyer's pages: checkout, result, and what went wrong. Made for a phone, without a framework or a third party but
//! I'mport's SDK. Everything that comes from outside is escaped.

mod checkout;
mod language;
mod layout;
mod my;
mod problem;
mod replace;
mod result;
mod words;

use http::header::{ACCEPT_LANGUAGE, HOST};
use http::{Request, Response};
use jiff::Timestamp;

pub use language::Language;
pub use my::{My, Notice};
pub use problem::Problem;

use crate::billing::{Billing, CheckoutState};
use crate::site::Site;
use crate::subscription::{Subscription, SubscriptionId};

/// The pages for one request.
#[derive(Debug)]
pub struct Pages<'a> {
    billing: &'a Billing,
    site: &'a Site,
    language: Language,
    /// The language was asked for by name, and stays with the buyer from page to page.
    asked: bool,
    /// The way to the buyer's own page, where they came from there.
    pub home: Option<String>,
    /// Where the functions are reached from outside.
    pub base_url: String,
}

impl<'a> Pages<'a> {
    /// In the language of `request`, with links to where it came to.
    pub fn of<B>(billing: &'a Billing, site: &'a Site, request: &Request<B>) -> Self {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = request.uri().query().unwrap_or_default();
        Self {
            billing,
            site,
            language: Language::choose(query, header(ACCEPT_LANGUAGE)),
            asked: Language::asked(query).is_some(),
            home: None,
            base_url: site.base_url(header(HOST)),
        }
    }

    /// The page of a session, wherever it stands. `notice` is for a buyer who can try again: why it did not work.
    pub fn session(&self, session: &Subscription, notice: Option<&str>) -> Response<String> {
        match self.billing.checkout_state(session) {
            CheckoutState::Open => self.checkout(session, notice),
            CheckoutState::Replacing => self.replace(session, notice),
            CheckoutState::Confirming => self.confirming(),
            state @ (CheckoutState::Subscribed
            | CheckoutState::PastDue
            | CheckoutState::Paused
            | CheckoutState::Ended
            | CheckoutState::Over
            | CheckoutState::Review) => self.result(session, state),
        }
    }

    /// The way to a session's page. Without a host, so that a page works under every name that it is reached by.
    pub fn session_path(&self, id: SubscriptionId) -> String {
        format!("{}/checkout/{id}", self.below())
    }

    /// The way to the buyer's own page.
    pub fn my_path(&self, token: &str) -> String {
        format!("{}/my/{token}", self.below())
    }

    /// What stands in front of our paths under the public name.
    fn below(&self) -> String {
        let below = url::Url::parse(&self.base_url).map(|url| url.path().to_owned()).unwrap_or_default();
        below.trim_end_matches('/').to_owned()
    }

    /// `address`, without a query yet, in the language that was asked for by name, if one was.
    pub fn localized(&self, address: &str) -> String {
        match self.asked {
            true => format!("{address}?lang={}", self.language.code()),
            false => address.to_owned(),
        }
    }

    fn now(&self) -> Timestamp {
        self.billing.clock.now()
    }
}

/// `address` with `session_id` behind its own query, so that the shop knows who comes back.
pub fn with_session_id(address: &str, id: SubscriptionId) -> Option<String> {
    let mut url = url::Url::parse(address).ok()?;
    url.query_pairs_mut().append_pair("session_id", &id.to_string());
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_keeps_its_own_query() {
        let id: SubscriptionId = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
        let back = |address| with_session_id(address, id).unwrap();
        assert_eq!(
            back("https://shop.example/done?a=1&b=%20#top"),
            format!("https://shop.example/done?a=1&b=%20&session_id={id}#top")
        );
        assert_eq!(back("http://localhost:3000"), format!("http://localhost:3000/?session_id={id}"));
    }
}
