//! Korean first; English for those who ask for it.

use jiff::Timestamp;

use super::words::{ENGLISH, KOREAN, Words};
use crate::subscription::period::in_seoul;
use crate::subscription::{Interval, Unit};

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 한국어.
    Korean,
    /// English.
    English,
}

impl Language {
    /// As `?lang=` says, else the first of the two that `Accept-Language` names, else Korean.
    pub fn choose(query: &str, accepted: Option<&str>) -> Self {
        Self::asked(query).or_else(|| accepted?.split(',').find_map(Self::from_tag)).unwrap_or(Self::Korean)
    }

    /// The one that `?lang=` names.
    pub(super) fn asked(query: &str) -> Option<Self> {
        let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "lang");
        asked.and_then(|(_, tag)| Self::from_tag(&tag))
    }

    fn from_tag(tag: &str) -> Option<Self> {
        match tag.trim().get(..2)?.to_ascii_lowercase().as_str() {
            "ko" => Some(Self::Korean),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// For the `lang` attribute and `?lang=`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }

    /// The other of the two.
    pub const fn other(self) -> Self {
        match self {
            Self::Korean => Self::English,
            Self::English => Self::Korean,
        }
    }

    pub(super) const fn words(self) -> &'static Words {
        match self {
            Self::Korean => &KOREAN,
            Self::English => &ENGLISH,
        }
    }

    /// The day in Korea, as people write it.
    pub(super) fn date(self, t: Timestamp) -> String {
        let day = in_seoul(t).date();
        let format = match self {
            Self::Korean => "%Y년 %-m월 %-d일",
            Self::English => "%-d %B %Y",
        };
        day.strftime(format).to_string()
    }

    /// How often: `매월`, `every 3 months`.
    pub(super) fn every(self, interval: Interval) -> String {
        let (ko_one, ko_many, en) = match interval.unit {
            Unit::Day => ("매일", "일마다", "day"),
            Unit::Week => ("매주", "주마다", "week"),
            Unit::Month => ("매월", "개월마다", "month"),
            Unit::Year => ("매년", "년마다", "year"),
        };
        match (self, interval.count) {
            (Self::Korean, 1) => ko_one.to_owned(),
            (Self::Korean, count) => format!("{count}{ko_many}"),
            (Self::English, 1) => format!("every {en}"),
            (Self::English, count) => format!("every {count} {en}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_korean_unless_english_is_asked_for() {
        assert_eq!(Language::choose("", None), Language::Korean);
        assert_eq!(Language::choose("lang=en", Some("ko-KR")), Language::English);
        assert_eq!(Language::choose("lang=ko", Some("en-US")), Language::Korean);
        assert_eq!(Language::choose("lang=가", Some("en-US,en;q=0.9,ko;q=0.8")), Language::English);
        assert_eq!(Language::choose("", Some("fr-FR, fr, en;q=0.5")), Language::English);
        assert_eq!(Language::choose("", Some("ja")), Language::Korean);
    }

    #[test]
    fn writes_dates_and_intervals_as_people_do() {
        // 23:30 on the 22nd in London is the 23rd in Seoul.
        let t = "2026-11-22T23:30:00Z".parse().unwrap();
        assert_eq!(Language::Korean.date(t), "2026년 11월 23일");
        assert_eq!(Language::English.date(t), "23 November 2026");
        let quarter = Interval { unit: Unit::Month, count: 3 };
        assert_eq!(Language::Korean.every(quarter), "3개월마다");
        assert_eq!(Language::English.every(quarter), "every 3 months");
        assert_eq!(Language::Korean.every(Interval::MONTHLY), "매월");
    }
}
