//! What of the console is looked at: it stands in the address, so that a page can be reloaded, linked and gone back to.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use jiff::Timestamp;
use maedal::pages::Language;
use maedal::subscription::period::in_seoul;
use maedal::subscription::{Status, SubscriptionId};

use super::words::{ENGLISH, KOREAN, Words};

/// All states, in the order of a life.
pub(super) const STATES: [Status; 8] = [
    Status::Pending,
    Status::Trialing,
    Status::Active,
    Status::PastDue,
    Status::Paused,
    Status::NeedsReview,
    Status::Canceled,
    Status::Expired,
];

/// A view of the console.
#[derive(Debug, Clone)]
pub(super) struct View {
    language: Language,
    /// The language was asked for by name.
    asked: bool,
    /// Only subscriptions in this state.
    pub(super) state: Option<Status>,
    /// Only subscriptions that contain this.
    pub(super) search: String,
    /// The page of the list, from 0.
    pub(super) page: usize,
    /// The one that is looked at closely.
    pub(super) subscription: Option<SubscriptionId>,
    /// The whole timeline, not only its latest part.
    pub(super) whole: bool,
}

impl View {
    pub(super) fn read(query: &str, headers: &HeaderMap) -> Self {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut view = Self {
            language: Language::choose(query, accepted),
            asked: false,
            state: None,
            search: String::new(),
            page: 0,
            subscription: None,
            whole: false,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "lang" => view.asked = true,
                "state" => view.state = STATES.into_iter().find(|state| state.word() == value),
                "search" => view.search = value.trim().to_owned(),
                "page" => view.page = value.parse().unwrap_or_default(),
                "subscription" => view.subscription = value.parse().ok(),
                "whole" => view.whole = true,
                _ => (),
            }
        }
        view
    }

    /// The address of this view.
    pub(super) fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.asked {
            query.append_pair("lang", self.language.code());
        }
        if let Some(state) = self.state {
            query.append_pair("state", state.word());
        }
        if !self.search.is_empty() {
            query.append_pair("search", &self.search);
        }
        if self.page > 0 {
            query.append_pair("page", &self.page.to_string());
        }
        if let Some(id) = self.subscription {
            query.append_pair("subscription", &id.to_string());
        }
        if self.whole {
            query.append_pair("whole", "1");
        }
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    pub(super) fn in_state(&self, state: Option<Status>) -> Self {
        Self { state, page: 0, ..self.clone() }
    }

    pub(super) fn at_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    pub(super) fn of(&self, id: SubscriptionId) -> Self {
        Self { subscription: Some(id), whole: false, ..self.clone() }
    }

    pub(super) fn all_of_it(&self) -> Self {
        Self { whole: true, ..self.clone() }
    }

    pub(super) fn in_the_other_language(&self) -> Self {
        Self { language: self.language.other(), asked: true, ..self.clone() }
    }

    /// The language that was asked for by name.
    pub(super) fn asked_language(&self) -> Option<&'static str> {
        self.asked.then(|| self.language.code())
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    pub(super) fn words(&self) -> &'static Words {
        match self.language {
            Language::Korean => &KOREAN,
            Language::English => &ENGLISH,
        }
    }
}

/// A moment as the console writes it: Korean time, to the minute.
pub(super) fn minute(at: Timestamp) -> String {
    in_seoul(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The same, to the second.
pub(super) fn second(at: Timestamp) -> String {
    in_seoul(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_reads_back_from_its_address() {
        for path in [
            "/",
            "/?lang=en&state=past_due&search=%EC%BB%A4%ED%94%BC+%26&page=2&subscription=01KB3Q0QZ8W3V5T7Y9A1C3E5G7&whole=1",
        ] {
            let query = path.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(View::read(query, &HeaderMap::new()).path(), path);
        }
        assert_eq!(View::read("state=rich&page=x&subscription=me", &HeaderMap::new()).path(), "/");
    }
}
