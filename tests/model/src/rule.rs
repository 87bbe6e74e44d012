//! What must hold.

use crate::state::{Booked, Made, Name, State, attempt, period};

/// A rule of the proof, as far as the model can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// At rest, at most one payment of a period stands.
    PaidTwice,
    /// Nothing is sent while the period may still be paid by what was sent before: under this name or another.
    SentWhilePayable,
    /// A new name only after proof of the last one, and nothing in flight is forgotten.
    NewNameWithoutProof,
    /// A name isn't asked for again after proof.
    AskedAgain,
    /// What is sent is what the table has in flight.
    SentWithoutIntent,
    /// What was ever sent is in flight or in the ledger.
    Unknown,
    /// Nothing is claimed after an accepted cancel or pause: nothing is sent that wasn't claimed before.
    ClaimedAfterStop,
    /// One charge at most pays for a period, at any time.
    SettledTwice,
    /// The subscription and the ledger agree, at any time.
    BooksDisagree,
    /// A payment in the ledger stays there, and pays for what it paid for.
    PaymentLost,
    /// An attempt isn't sent while I'mport shows that an earlier one of the period was paid, since before its claim.
    SentThoughPaid,
    /// From here, all can still come to rest: nothing open, every payment in the ledger.
    NeverQuiet,
}

impl Rule {
    /// In words: what happened.
    pub fn words(self) -> &'static str {
        match self {
            Self::PaidTwice => "at rest, a period is paid twice",
            Self::SentWhilePayable => "an attempt is sent while the period may still be paid by another send",
            Self::NewNameWithoutProof => "a new name is claimed without proof of the last one",
            Self::AskedAgain => "a name is asked for again after proof",
            Self::SentWithoutIntent => "what is sent isn't what is in flight",
            Self::Unknown => "what was sent is neither in flight nor in the ledger",
            Self::ClaimedAfterStop => "an attempt is claimed after an accepted cancel or pause",
            Self::SettledTwice => "two charges pay for one period",
            Self::BooksDisagree => "the subscription and the ledger disagree",
            Self::PaymentLost => "a payment leaves the ledger",
            Self::SentThoughPaid => "an attempt is sent though I'mport shows that the period is paid",
            Self::NeverQuiet => "from here, nothing can bring all to rest",
        }
    }
}

/// Whether something that was sent under `name` may still be paid, or is: as far as it was not given back. A decline that
/// turns into a payment is no breach of the protocol, since nobody can know; it goes back as a duplicate.
pub(crate) fn is_payable(s: &State, name: Name) -> bool {
    let named = &s.names[usize::from(name)];
    named.on_its_way > 0 || named.payments.iter().any(|p| p.made == Made::Paid && !p.back)
}

/// The rule that a claim of `name` breaks.
pub(crate) fn of_claim(before: &State, name: Name) -> Option<Rule> {
    let stopped = !matches!(before.status, crate::state::Status::Active | crate::state::Status::PastDue);
    let again = before.in_flight == Some(name);
    let others = (0..before.names.len() as u8).filter(|other| *other != name && period(*other) == period(name));
    // What an operator gives back is proven, and looked at once more before the send.
    let open = |other: &Name| {
        let named = &before.names[usize::from(*other)];
        named.on_its_way > 0 || named.payments.iter().any(|p| p.made == Made::Paid && p.booked == Booked::No)
    };
    let mut unproven = others.filter(open);
    match () {
        () if stopped => Some(Rule::ClaimedAfterStop),
        () if unproven.next().is_some() || (before.in_flight.is_some() && !again) => Some(Rule::NewNameWithoutProof),
        () => None,
    }
}

/// The rule that sending `name` breaks.
///
/// `paid_since`: as it was claimed, an earlier attempt was shown as paid.
pub(crate) fn of_send(before: &State, name: Name, paid_since: bool) -> Option<Rule> {
    let mut of_period = (0..before.names.len() as u8).filter(|other| period(*other) == period(name));
    match () {
        () if before.names[usize::from(name)].in_ledger() => Some(Rule::AskedAgain),
        () if before.in_flight != Some(name) => Some(Rule::SentWithoutIntent),
        () if of_period.any(|other| is_payable(before, other)) => Some(Rule::SentWhilePayable),
        () if paid_since && is_shown_paid_earlier(before, name) => Some(Rule::SentThoughPaid),
        () => None,
    }
}

/// Whether I'mport shows that an earlier attempt than `name` was paid, and has not given it back.
pub(crate) fn is_shown_paid_earlier(s: &State, name: Name) -> bool {
    earlier(name).any(|n| s.names[usize::from(n)].payments.iter().any(|p| p.stands() && p.shown))
}

/// The rule that `s` breaks.
pub(crate) fn of_state(s: &State) -> Option<Rule> {
    let periods = [1, 2];
    let unknown = |n: Name| {
        let named = &s.names[usize::from(n)];
        let sent = named.on_its_way > 0 || named.payments.iter().any(|p| p.made != Made::Nothing);
        sent && s.in_flight != Some(n) && !named.in_ledger()
    };
    let disagree = |p: u8| match s.is_settled(p) {
        true => p > s.paid_through,
        false => p == s.paid_through,
    };
    let standing = |p: u8| s.payments_of(p).filter(|payment| payment.stands()).count();
    match () {
        () if periods.iter().any(|p| s.settled(*p) > 1) => Some(Rule::SettledTwice),
        () if periods.iter().any(|p| disagree(*p)) => Some(Rule::BooksDisagree),
        () if (0..s.names.len() as u8).any(unknown) => Some(Rule::Unknown),
        () if s.is_quiet() && periods.iter().any(|p| standing(*p) > 1) => Some(Rule::PaidTwice),
        () => None,
    }
}

/// The rule that the way from `before` to `after` breaks.
pub(crate) fn of_way(before: &State, after: &State) -> Option<Rule> {
    let pairs = before.names.iter().zip(&after.names).flat_map(|(a, b)| a.payments.iter().zip(&b.payments));
    let mut lost = pairs.filter(|(a, b)| a.booked != Booked::No && a.booked != b.booked);
    lost.next().map(|_| Rule::PaymentLost)
}

/// Of `name`, the earlier names of its period.
pub(crate) fn earlier(name: Name) -> impl Iterator<Item = Name> {
    (name + 1 - attempt(name)..name).rev()
}
