//! What may befall one network call, and within which bounds.
//!
//! The bounds are the model's assumptions, and the protocol's constants are made for them: no clock is wrong by more than
//! [`MOST_OFF`], no worker is held up in the middle of its work for longer than [`LONGEST_FREEZE`], and I'mport shows what it was
//! sent within [`LONGEST_BLIND`]. Ten minutes of settle delay lie beyond all of them together. In the lives of a slow gateway the
//! last one doesn't hold: it takes hours at times. What then goes wrong is healed by comparing the books, within a day.

use jiff::SignedDuration;
use simulator::Nonsense;

/// A worker's clock is at most so wrong, one way or the other.
pub const MOST_OFF: SignedDuration = SignedDuration::from_mins(2);
/// A worker is held up for so long at most: past the lease.
pub const LONGEST_FREEZE: SignedDuration = SignedDuration::from_secs(310);
/// I'mport doesn't show a payment, or hasn't made it yet, for so long at most after it was asked for it.
pub const LONGEST_BLIND: SignedDuration = SignedDuration::from_secs(300);

/// What befalls one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The worker dies, and the call was not made.
    DieBefore,
    /// The call had its effect, and the worker dies before it hears.
    DieAfter,
    /// The connection is cut, and nothing happened.
    CutBefore,
    /// It happened, and the answer is lost.
    CutAfter,
    /// The connection could not be made.
    NotSent,
    /// The client gives up, and so many seconds later it happens after all.
    Late(u32),
    /// The request arrives two times. The second answer is heard.
    Twice,
    /// The worker stands still for so many seconds, then goes on as if nothing had been.
    FreezeBefore(u32),
    /// It happened; then the worker stands still for so many seconds.
    FreezeAfter(u32),
    /// It happened, and the answer comes so many seconds later.
    Slow(u32),
    /// This HTTP status, and nothing happened.
    ErrorBefore(u16),
    /// It happened, and the answer is this HTTP status.
    ErrorAfter(u16),
    /// It happened, and the answer can't be read.
    Garbled(Garble),
    /// DynamoDB is asked too much. Nothing happened.
    Throttle,
    /// A transaction meets another one. Nothing happened.
    Conflict,
    /// The gateway declines, for want of money.
    Decline,
    /// The gateway declines, since the billing key is gone.
    DeclineHard,
    /// `code` -1, and nothing happened.
    Refuse,
    /// The charge fails, and so many seconds later the very same payment is paid.
    LatePaid(u32),
    /// A look-up doesn't find what is younger than so many seconds.
    Blind(u32),
    /// The token is refused, though it is good.
    ExpiredToken,
    /// The gateway takes 100 won more than it was asked for.
    WrongAmount,
}

/// How an answer can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Garble {
    /// A page of HTML.
    Html,
    /// The first half.
    Half,
    /// Nothing.
    Empty,
}

impl From<Garble> for Nonsense {
    fn from(garble: Garble) -> Self {
        match garble {
            Garble::Html => Self::Html,
            Garble::Half => Self::Truncated,
            Garble::Empty => Self::Empty,
        }
    }
}

/// What a call is, as far as faults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A read of the table.
    Read,
    /// A write of one item.
    Write,
    /// A transaction.
    Transaction,
    /// `getToken`
    Token,
    /// `again`
    Again,
    /// A look-up of payments, or of a billing key.
    Lookup,
    /// `cancel`
    Cancel,
    /// The deletion of a billing key.
    DeleteKey,
}

const FREEZE_SECONDS: u32 = 310;
const BLIND_SECONDS: u32 = 300;

impl Kind {
    /// All that may befall such a call, but for what changes what is charged.
    pub fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::Read => &[
                DieBefore,
                DieAfter,
                CutBefore,
                Throttle,
                ErrorBefore(500),
                FreezeBefore(FREEZE_SECONDS),
                FreezeAfter(FREEZE_SECONDS),
                FreezeAfter(40),
                Garbled(Garble::Half),
            ],
            Self::Write => &[
                DieBefore,
                DieAfter,
                CutBefore,
                CutAfter,
                Throttle,
                ErrorBefore(500),
                ErrorAfter(500),
                Late(1),
                Late(20),
                Twice,
                Slow(5),
                FreezeBefore(FREEZE_SECONDS),
                FreezeAfter(FREEZE_SECONDS),
                FreezeAfter(40),
                Garbled(Garble::Half),
            ],
            Self::Transaction => &[
                DieBefore,
                DieAfter,
                CutBefore,
                CutAfter,
                Throttle,
                Conflict,
                ErrorBefore(500),
                ErrorAfter(500),
                Late(1),
                Twice,
                Slow(5),
                FreezeBefore(FREEZE_SECONDS),
                FreezeAfter(FREEZE_SECONDS),
                Garbled(Garble::Half),
            ],
            Self::Token => &[
                DieBefore,
                CutBefore,
                NotSent,
                Slow(40),
                FreezeBefore(FREEZE_SECONDS),
                ErrorBefore(503),
                Garbled(Garble::Html),
            ],
            Self::Again => &[
                DieBefore,
                DieAfter,
                CutBefore,
                CutAfter,
                NotSent,
                Late(60),
                Late(BLIND_SECONDS),
                Twice,
                Slow(40),
                FreezeBefore(FREEZE_SECONDS),
                FreezeAfter(FREEZE_SECONDS),
                ErrorBefore(503),
                ErrorAfter(500),
                Garbled(Garble::Html),
                Garbled(Garble::Half),
                Garbled(Garble::Empty),
                Decline,
                DeclineHard,
                Refuse,
                LatePaid(30),
                LatePaid(1_200),
                LatePaid(18_000),
                ExpiredToken,
            ],
            Self::Lookup => &[
                DieBefore,
                DieAfter,
                CutBefore,
                NotSent,
                ErrorBefore(502),
                Garbled(Garble::Half),
                Blind(20),
                Blind(BLIND_SECONDS),
                FreezeAfter(FREEZE_SECONDS),
                ExpiredToken,
                Refuse,
            ],
            Self::Cancel => &[
                DieBefore,
                DieAfter,
                CutBefore,
                CutAfter,
                NotSent,
                Late(60),
                Twice,
                FreezeAfter(FREEZE_SECONDS),
                ErrorBefore(503),
                ErrorAfter(500),
                Garbled(Garble::Half),
                Refuse,
                ExpiredToken,
            ],
            Self::DeleteKey => &[DieBefore, DieAfter, CutBefore, CutAfter, Twice, ErrorAfter(500), Refuse],
        }
    }
}

impl Fault {
    /// The same, by a gateway that takes so many seconds for what takes minutes elsewhere.
    pub fn slowed(self, seconds: u32) -> Self {
        match self {
            Self::Late(s) if s >= BLIND_SECONDS => Self::Late(seconds),
            Self::Blind(s) if s >= BLIND_SECONDS => Self::Blind(seconds),
            other => other,
        }
    }

    /// What happened, in words.
    pub fn words(self) -> String {
        match self {
            Self::DieBefore => "the worker dies before it".to_owned(),
            Self::DieAfter => "it is done, and the worker dies".to_owned(),
            Self::CutBefore => "the connection is cut before it arrives".to_owned(),
            Self::CutAfter => "it is done, and the answer is lost".to_owned(),
            Self::NotSent => "no connection".to_owned(),
            Self::Late(s) => format!("the answer is lost, and it is done {s} s later"),
            Self::Twice => "it arrives two times".to_owned(),
            Self::FreezeBefore(s) => format!("the worker stands still for {s} s, then it is done"),
            Self::FreezeAfter(s) => format!("it is done, then the worker stands still for {s} s"),
            Self::Slow(s) => format!("it is done, and the answer takes {s} s"),
            Self::ErrorBefore(status) => format!("HTTP {status}, and nothing is done"),
            Self::ErrorAfter(status) => format!("it is done, and the answer is HTTP {status}"),
            Self::Garbled(_) => "it is done, and the answer can't be read".to_owned(),
            Self::Throttle => "throttled".to_owned(),
            Self::Conflict => "a transaction conflict".to_owned(),
            Self::Decline => "declined".to_owned(),
            Self::DeclineHard => "declined for good".to_owned(),
            Self::Refuse => "refused with code -1".to_owned(),
            Self::LatePaid(s) => format!("failed, and paid {s} s later"),
            Self::Blind(s) => format!("I'mport doesn't show what is younger than {s} s"),
            Self::ExpiredToken => "the token is refused".to_owned(),
            Self::WrongAmount => "100 won more are taken".to_owned(),
        }
    }
}
