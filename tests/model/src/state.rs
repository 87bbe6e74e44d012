//! A state of the model: the table, I'mport and the workers, in 128 bits.
//!
//! States are stored whole, not as fingerprints: that two of them are the same is never a guess.

use crate::protocol::Size;

/// The names that one period may have.
pub const ATTEMPTS: u8 = 2;
/// The payments that one name may have at I'mport.
pub const PAYMENTS: usize = 2;
/// All names: of period 1, then of period 2.
pub const NAMES: usize = 2 * ATTEMPTS as usize;

/// A name (`merchant_uid`): period and attempt.
pub type Name = u8;

/// The name of the attempt `attempt` at `period`, both from 1.
pub fn name(period: u8, attempt: u8) -> Name {
    (period - 1) * ATTEMPTS + attempt - 1
}

/// The period that `name` is for.
pub fn period(name: Name) -> u8 {
    name / ATTEMPTS + 1
}

/// Which attempt it is.
pub fn attempt(name: Name) -> u8 {
    name % ATTEMPTS + 1
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Status {
    Active,
    PastDue,
    Paused,
    Canceled,
}

/// How long ago the latest claim of the attempt in flight was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub enum Age {
    /// Its lease runs.
    Leased,
    /// The lease is over (5 minutes): others may ask what became of it.
    LeaseOver,
    /// The settle delay is over (10 minutes): what I'mport doesn't show, it never made.
    Settled,
}

/// What became of a request at I'mport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Made {
    /// Nothing is made.
    Nothing,
    /// It failed.
    Failed,
    /// The money moved.
    Paid,
    /// It failed, and was paid later.
    Turned,
}

/// Whether the ledger has a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Booked {
    /// It hasn't.
    No,
    /// It pays for its period.
    Settled,
    /// It buys nothing, and goes back.
    Duplicate,
}

/// A payment at I'mport, and in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What became of it.
    pub made: Made,
    /// Whether I'mport shows it.
    pub shown: bool,
    /// Whether the ledger has it.
    pub booked: Booked,
    /// Whether the money went back.
    pub back: bool,
}

impl Payment {
    pub(crate) const NONE: Self = Self { made: Made::Nothing, shown: false, booked: Booked::No, back: false };

    /// Whether money moved.
    pub fn paid(self) -> bool {
        match self.made {
            Made::Paid | Made::Turned => true,
            Made::Nothing | Made::Failed => false,
        }
    }

    /// Whether the merchant has the money.
    pub fn stands(self) -> bool {
        self.paid() && !self.back
    }
}

/// A name, here and there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Requests for it that haven't arrived.
    pub on_its_way: u8,
    /// Somebody else has paid under it: not with our key.
    pub foreign: bool,
    /// Its payments.
    pub payments: [Payment; PAYMENTS],
    /// The ledger has it as declined.
    pub declined: bool,
}

impl Named {
    const NONE: Self = Self { on_its_way: 0, foreign: false, payments: [Payment::NONE; PAYMENTS], declined: false };

    /// What I'mport shows as paid, given back or not; as bits.
    pub fn shown_paid(&self) -> u8 {
        (0..PAYMENTS).filter(|k| self.payments[*k].paid() && self.payments[*k].shown).fold(0, |bits, k| bits | 1 << k)
    }

    /// How many I'mport shows as failed.
    pub fn shown_failed(&self) -> u8 {
        self.payments.iter().map(|p| u8::from(p.made == Made::Failed && p.shown)).sum()
    }

    /// Whether the ledger has an entry for it.
    pub fn in_ledger(&self) -> bool {
        self.declined || self.payments.iter().any(|p| p.booked != Booked::No)
    }
}

/// What is known of an attempt of which nobody knows what became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// It surely was not sent.
    pub unsent: bool,
    /// I'mport has refused it.
    pub refusal: bool,
}

/// What a worker is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum At {
    /// Nothing: it may take any step that is due.
    Idle,
    /// Has claimed; the earlier attempts are to be looked up.
    Claimed,
    /// The send deadline is to be compared, and `again` sent.
    Ready,
    /// Wrong protocols only: the deadline was compared, something else comes before the send.
    Checked,
    /// Waits for the answer.
    Awaiting,
    /// Was refused; the name is to be looked up.
    Refused,
    /// Has read an attempt in flight; the name is to be looked up.
    Looking,
    /// Is to settle the attempt as paid by payment `k`, and then to record the name's others.
    SettlePaid,
    /// Is to settle the attempt as declined.
    SettleDeclined,
    /// Is to write that nobody knows.
    Doubting,
    /// Is to claim the attempt again.
    SendAgain,
    /// Is to let go of the attempt, and then to record the earlier one's payment `k`.
    EarlierPaid,
    /// Is to read the subscription and the period's charges, for payment `k`.
    Record,
    /// Is to write payment `k` as the period's (or as a duplicate, `flag`).
    Write,
    /// Is to look whether an attempt of the period was paid after all, before the end (`flag`) or a skip.
    LookingLate,
    /// Is to end, or to skip.
    Ending,
    /// Is to look up the attempt that an operator has decided about; the decision is `k`.
    Repairing,
    /// Is to write what was decided; the payments found are the bits of `sends`.
    Repair,
}

/// A worker: what it is at, and what it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    #[allow(missing_docs)]
    pub at: At,
    /// Whose name.
    pub name: Name,
    /// Which payment, or which decision.
    pub k: u8,
    /// The sends of the attempt, as read.
    pub sends: u8,
    /// As read.
    pub unsent: bool,
    /// As read.
    pub refusal: bool,
    /// The settle delay was over as it was read; else see [`At`].
    pub flag: bool,
    /// The subscription is still at the version that it has read.
    pub fresh: bool,
    /// Its send deadline isn't over.
    pub in_time: bool,
    /// Nobody has claimed since it has read.
    pub same_claim: bool,
}

impl Worker {
    pub(crate) const IDLE: Self = Self {
        at: At::Idle,
        name: 0,
        k: 0,
        sends: 0,
        unsent: false,
        refusal: false,
        flag: false,
        fresh: false,
        in_time: false,
        same_claim: false,
    };
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    #[allow(missing_docs)]
    pub status: Status,
    /// A person has it.
    pub review: bool,
    /// The period to be charged next.
    pub period: u8,
    /// The latest paid period.
    pub paid_through: u8,
    /// The attempts at the current period that are settled.
    pub attempts: u8,
    #[allow(missing_docs)]
    pub in_flight: Option<Name>,
    /// How often it was claimed to be sent.
    pub sends: u8,
    #[allow(missing_docs)]
    pub doubt: Option<Doubt>,
    #[allow(missing_docs)]
    pub age: Age,
    /// Period 1 is over.
    pub over: bool,
    /// All names.
    pub names: [Named; NAMES],
    /// Both workers: alike, so in no order.
    pub workers: [Worker; 2],
    /// How many declines may still turn into payments.
    pub turns: u8,
    /// How many foreign payments there may still be.
    pub foreigners: u8,
    /// How many commands may still be given.
    pub commands: u8,
    /// How many reviews of something else there may still be.
    pub findings: u8,
}

struct Bits(u128, u32);

impl Bits {
    fn put(&mut self, value: u8, bits: u32) {
        debug_assert!(u32::from(value) < 1 << bits, "{value} in {bits} bits");
        self.0 |= u128::from(value) << self.1;
        self.1 += bits;
    }

    fn take(&mut self, bits: u32) -> u8 {
        let value = (self.0 >> self.1) as u8 & ((1 << bits) - 1);
        self.1 += bits;
        value
    }

    fn bool(&mut self) -> bool {
        self.take(1) == 1
    }
}

const STATUSES: [Status; 4] = [Status::Active, Status::PastDue, Status::Paused, Status::Canceled];
const AGES: [Age; 3] = [Age::Leased, Age::LeaseOver, Age::Settled];
const MADE: [Made; 4] = [Made::Nothing, Made::Failed, Made::Paid, Made::Turned];
const BOOKED: [Booked; 3] = [Booked::No, Booked::Settled, Booked::Duplicate];
const ATS: [At; 18] = [
    At::Idle,
    At::Claimed,
    At::Ready,
    At::Checked,
    At::Awaiting,
    At::Refused,
    At::Looking,
    At::SettlePaid,
    At::SettleDeclined,
    At::Doubting,
    At::SendAgain,
    At::EarlierPaid,
    At::Record,
    At::Write,
    At::LookingLate,
    At::Ending,
    At::Repairing,
    At::Repair,
];

fn pack_worker(w: &Worker) -> u32 {
    let mut bits = Bits(0, 0);
    bits.put(w.at as u8, 5);
    bits.put(w.name, 2);
    bits.put(w.k, 2);
    bits.put(w.sends, 2);
    for flag in [w.unsent, w.refusal, w.flag, w.fresh, w.in_time, w.same_claim] {
        bits.put(flag.into(), 1);
    }
    bits.0 as u32
}

fn unpack_worker(bits: &mut Bits) -> Worker {
    Worker {
        at: ATS[usize::from(bits.take(5))],
        name: bits.take(2),
        k: bits.take(2),
        sends: bits.take(2),
        unsent: bits.bool(),
        refusal: bits.bool(),
        flag: bits.bool(),
        fresh: bits.bool(),
        in_time: bits.bool(),
        same_claim: bits.bool(),
    }
}

impl State {
    /// Before anything has happened.
    pub fn first(size: &Size) -> Self {
        Self {
            status: Status::Active,
            review: false,
            period: 1,
            paid_through: 0,
            attempts: 0,
            in_flight: None,
            sends: 0,
            doubt: None,
            age: Age::Leased,
            over: false,
            names: [Named::NONE; NAMES],
            workers: [Worker::IDLE; 2],
            turns: size.turns,
            foreigners: size.foreigners,
            commands: size.commands,
            findings: size.findings,
        }
    }

    /// In 128 bits; the same for states that differ by the workers' order only.
    pub fn pack(&self) -> u128 {
        let mut bits = Bits(0, 0);
        let (a, b) = (pack_worker(&self.workers[0]), pack_worker(&self.workers[1]));
        for worker in [a.min(b), a.max(b)] {
            bits.0 |= u128::from(worker) << bits.1;
            bits.1 += 17;
        }
        bits.put(self.status as u8, 2);
        bits.put(self.review.into(), 1);
        bits.put(self.period - 1, 2);
        bits.put(self.paid_through, 2);
        bits.put(self.attempts, 2);
        bits.put(self.in_flight.map_or(0, |name| name + 1), 3);
        bits.put(self.sends, 2);
        let doubt = self.doubt.map_or(0, |d| 1 + 2 * u8::from(d.unsent) + 4 * u8::from(d.refusal));
        bits.put(doubt, 3);
        bits.put(self.age as u8, 2);
        bits.put(self.over.into(), 1);
        bits.put(self.turns, 1);
        bits.put(self.foreigners, 1);
        bits.put(self.commands, 2);
        bits.put(self.findings, 1);
        for named in &self.names {
            bits.put(named.on_its_way, 2);
            bits.put(named.foreign.into(), 1);
            bits.put(named.declined.into(), 1);
            for p in &named.payments {
                bits.put(p.made as u8, 2);
                bits.put(p.shown.into(), 1);
                bits.put(p.booked as u8, 2);
                bits.put(p.back.into(), 1);
            }
        }
        debug_assert!(bits.1 <= 128);
        bits.0
    }

    /// What [`State::pack`] has packed.
    pub fn unpack(packed: u128) -> Self {
        let mut bits = Bits(packed, 0);
        let workers = [unpack_worker(&mut bits), unpack_worker(&mut bits)];
        let status = STATUSES[usize::from(bits.take(2))];
        let review = bits.bool();
        let period = bits.take(2) + 1;
        let paid_through = bits.take(2);
        let attempts = bits.take(2);
        let in_flight = bits.take(3).checked_sub(1);
        let sends = bits.take(2);
        let doubt = bits.take(3);
        let doubt = (doubt & 1 == 1).then_some(Doubt { unsent: doubt & 2 != 0, refusal: doubt & 4 != 0 });
        let age = AGES[usize::from(bits.take(2))];
        let over = bits.bool();
        let (turns, foreigners, commands, findings) = (bits.take(1), bits.take(1), bits.take(2), bits.take(1));
        let names = std::array::from_fn(|_| {
            let (on_its_way, foreign, declined) = (bits.take(2), bits.bool(), bits.bool());
            let payments = std::array::from_fn(|_| Payment {
                made: MADE[usize::from(bits.take(2))],
                shown: bits.bool(),
                booked: BOOKED[usize::from(bits.take(2))],
                back: bits.bool(),
            });
            Named { on_its_way, foreign, payments, declined }
        });
        Self {
            status,
            review,
            period,
            paid_through,
            attempts,
            in_flight,
            sends,
            doubt,
            age,
            over,
            names,
            workers,
            turns,
            foreigners,
            commands,
            findings,
        }
    }

    /// Whether the ledger has a charge that pays for `period`.
    pub fn is_settled(&self, period: u8) -> bool {
        self.settled(period) > 0
    }

    /// How many charges of the ledger pay for `period`.
    pub fn settled(&self, period: u8) -> usize {
        self.payments_of(period).filter(|p| p.booked == Booked::Settled).count()
    }

    /// The payments of `period`.
    pub fn payments_of(&self, wanted: u8) -> impl Iterator<Item = &Payment> {
        let of = move |(n, _): &(usize, &Named)| period(*n as u8) == wanted;
        self.names.iter().enumerate().filter(of).flat_map(|(_, named)| &named.payments)
    }

    /// Nothing is under way, anywhere: what is here is here for good.
    pub fn is_quiet(&self) -> bool {
        let named = |n: &Named| {
            n.on_its_way == 0
                && n.payments.iter().all(|p| match p.booked {
                    Booked::No => !p.paid() && (p.made == Made::Nothing || p.shown),
                    Booked::Settled => !p.back,
                    Booked::Duplicate => p.back,
                })
        };
        self.workers.iter().all(|w| w.at == At::Idle)
            && self.in_flight.is_none()
            && !self.review
            && self.names.iter().all(named)
    }
}
