//! The transitions. Each is one call to the table or to I'mport, with what the code decides before the next one.
//!
//! A version that was read is a bit: whether anybody has written since ([`Worker::fresh`]). A write under the condition
//! `#version = :seen` succeeds where it is set, and what it writes was decided of the subscription as it stands. A worker
//! whose write fails reads again (and so decides of what stands then) or gives up; either way nothing of what it had read
//! counts, except what is said here.

use crate::protocol::{Protocol, Size};
use crate::rule::{self, Rule};
use crate::state::{
    ATTEMPTS, Age, At, Booked, Doubt, Made, NAMES, Name, Named, PAYMENTS, Payment, State, Status, Worker, attempt,
    name, period,
};

/// A transition, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which worker's; none: I'mport's, time's or a person's.
    pub who: Option<u8>,
    /// Its name in the table of the crate's head.
    pub what: &'static str,
    /// What of.
    pub name: Option<Name>,
    /// What came of it, where it can end in different ways.
    pub how: &'static str,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.who {
            Some(0) => write!(f, "A {}", self.what)?,
            Some(_) => write!(f, "B {}", self.what)?,
            None => write!(f, "{}", self.what)?,
        }
        if let Some(n) = self.name {
            write!(f, " {}-{}", period(n), attempt(n))?;
        }
        match self.how {
            "" => Ok(()),
            how => write!(f, ": {how}"),
        }
    }
}

/// A transition, the rule that it breaks by itself, and the state that it leads to.
pub type Way = (Step, Option<Rule>, State);

/// All that may happen next.
pub struct Ways<'a> {
    protocol: &'a Protocol,
    size: &'a Size,
    from: State,
    out: Vec<Way>,
}

/// What I'mport answers to `again`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Refused,
    Failed,
    Paid(u8),
}

impl<'a> Ways<'a> {
    /// Of `protocol`, where so much may happen.
    pub fn new(protocol: &'a Protocol, size: &'a Size) -> Self {
        Self { protocol, size, from: State::first(size), out: Vec::new() }
    }

    /// All ways from `from`, each with the first rule that it breaks.
    pub fn from(&mut self, from: State) -> &[Way] {
        self.from = from;
        self.out.clear();
        for who in 0..2 {
            match from.workers[who].at {
                // Both are alike: where both are idle, it doesn't matter which one begins.
                At::Idle if who == 1 && from.workers[0].at == At::Idle => (),
                At::Idle => self.begin(who),
                _ => {
                    self.go_on(who);
                    let mut s = from;
                    s.workers[who] = Worker::IDLE;
                    self.push(who, "dies", None, "", None, s);
                }
            }
        }
        self.iamport();
        self.time();
        self.people();
        for (_, broken, to) in &mut self.out {
            *broken = broken.or_else(|| rule::of_way(&from, to)).or_else(|| rule::of_state(to));
        }
        &self.out
    }

    fn push(
        &mut self,
        who: usize,
        what: &'static str,
        n: Option<Name>,
        how: &'static str,
        broken: Option<Rule>,
        s: State,
    ) {
        self.out.push((Step { who: Some(who as u8), what, name: n, how }, broken, s));
    }

    fn elsewhere(&mut self, what: &'static str, n: Option<Name>, how: &'static str, s: State) {
        self.out.push((Step { who: None, what, name: n, how }, None, s));
    }

    /// What an idle worker may begin (`billing/work.rs`, `Billing::work`; `billing/hear.rs`, `Billing::hear`): a queue
    /// message or a webhook has come. What is due is said by `subscription/step.rs`, `Subscription::agenda`.
    fn begin(&mut self, who: usize) {
        let s = self.from;
        let idle_state = matches!(s.status, Status::Active | Status::PastDue) && !s.review;
        let due = match s.period {
            1 => !s.over,
            p => p <= self.size.periods && s.over,
        };
        let at_rest = s.in_flight.is_none() || !self.protocol.claim_needs_rest;
        if idle_state && due && at_rest && s.attempts < ATTEMPTS && s.paid_through < s.period {
            self.claim(who, name(s.period, s.attempts + 1));
        }
        if let Some(n) = s.in_flight
            && (s.doubt.is_some() || s.age >= Age::LeaseOver)
        {
            let mut s = s;
            s.workers[who] = Worker {
                at: At::Looking,
                name: n,
                sends: s.sends,
                unsent: s.doubt.is_some_and(|d| d.unsent),
                refusal: s.doubt.is_some_and(|d| d.refusal),
                flag: s.age == Age::Settled || !self.protocol.settle_delay,
                fresh: true,
                same_claim: true,
                ..Worker::IDLE
            };
            self.push(who, "reads an attempt in flight", Some(n), "", None, s);
        }
        if let Some(n) = s.in_flight
            && s.names[usize::from(n)].foreign
            && !self.protocol.foreign_proves_nothing
        {
            let mut s = s;
            s.workers[who] = Worker { at: At::SettleDeclined, name: n, same_claim: true, ..Worker::IDLE };
            self.push(who, "hears of a payment", Some(n), "foreign", None, s);
        }
        for (n, named) in s.names.iter().enumerate() {
            for (k, p) in named.payments.iter().enumerate() {
                if p.paid() && p.shown && p.booked == Booked::No {
                    let mut s = s;
                    s.workers[who] = record(n as Name, k as u8);
                    self.push(who, "hears of a payment", Some(n as Name), "", None, s);
                }
            }
        }
        let late = |ends: bool| Worker { at: At::LookingLate, flag: ends, fresh: true, ..Worker::IDLE };
        if idle_state && s.in_flight.is_none() {
            if s.over && s.period == 1 && self.size.periods > 1 && s.paid_through == 0 {
                let mut s = s;
                s.workers[who] = late(false);
                self.push(who, "reads a period that went by", None, "", None, s);
            }
            if s.status == Status::PastDue && s.attempts == ATTEMPTS {
                let mut s = s;
                s.workers[who] = late(true);
                self.push(who, "reads the end of dunning", None, "", None, s);
            }
        }
        if s.review {
            self.decide(who);
        }
    }

    /// `billing/charge.rs`, `Billing::charge`; `store/subscriptions.rs`, `Store::claim`: the conditional write that makes
    /// the next charge the attempt in flight.
    fn claim(&mut self, who: usize, n: Name) {
        let mut s = self.from;
        let paid = u8::from(rule::is_shown_paid_earlier(&s, n));
        s.workers[who] = Worker {
            at: At::Claimed,
            name: n,
            k: paid,
            sends: 1,
            fresh: true,
            in_time: true,
            same_claim: true,
            ..Worker::IDLE
        };
        if !self.protocol.claims {
            return self.push(who, "claims", Some(n), "in its mind only", None, s);
        }
        s.in_flight = Some(n);
        (s.sends, s.doubt, s.age) = (1, None, Age::Leased);
        wrote(&mut s, who);
        claimed(&mut s, who);
        let broken =
            rule::of_claim(&self.from, n).or((self.from.in_flight == Some(n)).then_some(Rule::NewNameWithoutProof));
        self.push(who, "claims", Some(n), "", broken, s);
    }

    /// `billing/repair.rs`, `Billing::decide_repair`: a person has decided what becomes of a subscription in review; a
    /// worker, by `Billing::repair`, carries it out.
    fn decide(&mut self, who: usize) {
        let mut s = self.from;
        let Some(n) = s.in_flight else {
            s.review = false;
            wrote(&mut s, who);
            return self.push(who, "carries out a repair", None, "nothing is in flight", None, s);
        };
        for k in [ACCEPT, REFUND, WRITE_OFF] {
            let mut s = s;
            let settled = s.age == Age::Settled;
            s.workers[who] =
                Worker { at: At::Repairing, name: n, k, sends: s.sends, flag: settled, fresh: true, ..Worker::IDLE };
            self.push(who, "reads a decision", Some(n), word(k), None, s);
        }
        s.review = false;
        wrote(&mut s, who);
        self.push(who, "carries out a repair", Some(n), "retry", None, s);
    }

    fn go_on(&mut self, who: usize) {
        let w = self.from.workers[who];
        match w.at {
            At::Idle => (),
            At::Claimed => self.look_at_earlier(who, w),
            At::Ready => self.send(who, w),
            At::Checked => self.sent(who, w),
            At::Awaiting => self.doubt(who, w, "gives up waiting", (false, false), ""),
            At::Refused => self.look_after_refusal(who, w),
            At::Looking => self.look(who, w),
            At::SettlePaid => self.settle_paid(who, w),
            At::SettleDeclined => self.settle_declined(who, w),
            At::Doubting => self.write_doubt(who, w),
            At::SendAgain => self.send_again(who, w),
            At::EarlierPaid => self.let_go(who, w),
            At::Record => self.read_for_record(who, w),
            At::Write => self.write_late(who, w),
            At::LookingLate => self.look_late(who, w),
            At::Ending => self.end(who, w),
            At::Repairing => self.look_for_repair(who, w),
            At::Repair => self.repair(who, w),
        }
    }

    /// The worker is at something else; nothing is written.
    fn turn(&mut self, who: usize, what: &'static str, how: &'static str, n: Name, next: Worker) {
        let mut s = self.from;
        s.workers[who] = next;
        self.push(who, what, Some(n), how, None, s);
    }

    /// The worker is to write that nobody knows. Where somebody has written since its read, that write fails, and it ends.
    fn doubt(&mut self, who: usize, w: Worker, what: &'static str, (unsent, refusal): (bool, bool), how: &'static str) {
        self.turn(who, what, how, w.name, doubting(w, unsent, refusal));
    }

    /// `billing/charge.rs`, `Billing::send`: the earlier attempts, by `Billing::late_payment`. Each is a call; with two
    /// attempts there is one.
    fn look_at_earlier(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "looks up the earlier attempts";
        if attempt(w.name) == 1 || !self.protocol.earlier_are_looked_up {
            return self.turn(who, WHAT, "there are none", w.name, Worker { at: At::Ready, ..w });
        }
        for n in rule::earlier(w.name) {
            let named = self.from.names[usize::from(n)];
            let shown = |p: &Payment| p.paid() && p.shown;
            if let Some(k) =
                (0..PAYMENTS).find(|k| shown(&named.payments[*k]) && named.payments[*k].booked != Booked::Duplicate)
            {
                let next =
                    Worker { at: At::EarlierPaid, name: n, k: k as u8, sends: w.sends, fresh: w.fresh, ..Worker::IDLE };
                let stale = w.sends <= 1 && !w.fresh;
                self.turn(who, WHAT, "one is paid", w.name, if stale { Worker::IDLE } else { next });
                return self.doubt(who, w, WHAT, (true, false), "no answer");
            }
            if named.payments.iter().any(|p| shown(p) && p.stands()) {
                return self.doubt(who, w, WHAT, (true, false), "one has yet to go back");
            }
        }
        self.turn(who, WHAT, "none is paid", w.name, Worker { at: At::Ready, ..w });
        self.doubt(who, w, WHAT, (true, false), "no answer");
    }

    /// `billing/charge.rs`, `Billing::send`; `iamport/calls.rs`, `Iamport::again`: the deadline, compared last.
    fn send(&mut self, who: usize, w: Worker) {
        if !w.in_time && self.protocol.send_deadline {
            return self.doubt(who, w, "sends", (true, false), "not: it was held up for too long");
        }
        if !self.protocol.deadline_last {
            return self.turn(
                who,
                "sends",
                "not yet: another token is fetched",
                w.name,
                Worker { at: At::Checked, ..w },
            );
        }
        self.sent(who, w);
    }

    /// The request leaves, or surely doesn't.
    fn sent(&mut self, who: usize, w: Worker) {
        let mut s = self.from;
        let named = &mut s.names[usize::from(w.name)];
        if named.on_its_way < 2 {
            named.on_its_way += 1;
            s.workers[who] = Worker { at: At::Awaiting, in_time: false, k: 0, ..w };
            let broken = rule::of_send(&self.from, w.name, w.k == 1);
            self.push(who, "sends", Some(w.name), "", broken, s);
        }
        self.doubt(who, w, "sends", (true, false), "not: no connection");
    }

    /// `billing/charge.rs`, `Billing::settle_by_refusal`.
    fn look_after_refusal(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "looks up what was refused";
        let named = self.from.names[usize::from(w.name)];
        let paid = named.shown_paid();
        let failed = named.shown_failed();
        match () {
            () if paid != 0 => self.turn(who, WHAT, "it is paid", w.name, settle_paid(w.name, paid)),
            () if failed > 0 && self.all_failed(failed, w.sends) || !self.protocol.refusal_waits && failed == 0 => {
                self.turn(who, WHAT, "it has failed", w.name, settle_declined(w));
            }
            () => self.doubt(who, w, WHAT, (false, true), "nothing, or not all of its sends"),
        }
        self.doubt(who, w, WHAT, (false, true), "no answer");
    }

    fn all_failed(&self, failed: u8, sends: u8) -> bool {
        failed >= if self.protocol.failures_are_counted { sends } else { 1 }
    }

    /// `billing/resolve.rs`, `Billing::resolve`: what `weigh` (`billing/verify.rs`) makes of all payments of the name.
    fn look(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "looks up an attempt";
        let named = self.from.names[usize::from(w.name)];
        let (paid, failed, settled) = (named.shown_paid(), named.shown_failed(), w.flag);
        let first = w.sends <= 1 || !self.protocol.unsent_is_of_one_send;
        match () {
            () if paid != 0 => self.turn(who, WHAT, "it is paid", w.name, settle_paid(w.name, paid)),
            () if failed > 0 && (self.all_failed(failed, w.sends) || settled) => {
                self.turn(who, WHAT, "it has failed", w.name, settle_declined(w));
            }
            () if failed > 0 => self.doubt(who, w, WHAT, (false, w.refusal), "one send has failed"),
            () if w.refusal && settled => self.turn(who, WHAT, "refused, and no trace", w.name, settle_declined(w)),
            () if w.refusal => self.doubt(who, w, WHAT, (false, true), "no trace yet"),
            // A foreign payment has used up the name: it isn't sent again.
            () if named.foreign && (w.unsent && first || settled) => {
                self.turn(who, WHAT, "the name is used up", w.name, settle_declined(w));
            }
            () if w.unsent && first || settled => {
                let next = Worker {
                    at: At::SendAgain,
                    name: w.name,
                    sends: w.sends,
                    same_claim: w.same_claim,
                    ..Worker::IDLE
                };
                self.turn(who, WHAT, "no trace of it", w.name, next);
            }
            () => self.doubt(who, w, WHAT, (w.unsent, false), "no trace yet"),
        }
        self.doubt(who, w, WHAT, (w.unsent, w.refusal), "no answer");
    }

    /// `billing/charge.rs`, `Billing::settle`, with a payment: one transaction. Where the version has changed, it is read
    /// again, until the attempt isn't in flight any more.
    fn settle_paid(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "settles as paid";
        let mut s = self.from;
        let (n, k) = (usize::from(w.name), usize::from(w.k));
        if s.in_flight != Some(w.name) {
            return self.turn(who, WHAT, "somebody else was faster", w.name, record(w.name, w.k));
        }
        let p = period(w.name);
        let duplicate = p <= s.paid_through || s.status == Status::Canceled;
        if s.names[n].in_ledger() || !duplicate && s.is_settled(p) && self.protocol.paid_key {
            return; // The ledger's keys are taken: the transaction fails, again and again.
        }
        rest(&mut s);
        book(&mut s, w.name, w.k, duplicate);
        // The other payments of the name are recorded after it.
        let other = (0..PAYMENTS).find(|o| w.flag && *o != k && s.names[n].payments[*o].booked == Booked::No);
        s.workers[who] = other.map_or(Worker::IDLE, |other| record(w.name, other as u8));
        wrote(&mut s, who);
        self.push(who, WHAT, Some(w.name), if duplicate { "a duplicate" } else { "" }, None, s);
    }

    /// `billing/charge.rs`, `Billing::settle`, with a decline: of the claim that was looked at, and no later one.
    fn settle_declined(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "settles as declined";
        let mut s = self.from;
        s.workers[who] = Worker::IDLE;
        let since = self.protocol.decline_is_of_its_claim && !w.same_claim;
        if s.in_flight != Some(w.name) || since {
            return self.push(who, WHAT, Some(w.name), "somebody else was faster", None, s);
        }
        if s.names[usize::from(w.name)].in_ledger() {
            return;
        }
        self.decline(&mut s, w.name);
        wrote(&mut s, who);
        self.push(who, WHAT, Some(w.name), "", None, s);
    }

    /// `subscription/settle.rs`, `Subscription::decline`.
    fn decline(&self, s: &mut State, n: Name) {
        rest(s);
        s.names[usize::from(n)].declined = true;
        if period(n) > s.paid_through {
            if self.protocol.numbers_go_up {
                s.attempts = s.attempts.max(attempt(n));
            }
            if s.status == Status::Active {
                s.status = Status::PastDue;
            }
        }
    }

    /// `billing/charge.rs`, `Billing::doubt`; `subscription/settle.rs`, `Subscription::keep_in_doubt`.
    fn write_doubt(&mut self, who: usize, w: Worker) {
        let mut s = self.from;
        s.doubt = Some(Doubt { unsent: w.unsent, refusal: w.refusal });
        s.workers[who] = Worker::IDLE;
        wrote(&mut s, who);
        self.push(who, "writes that nobody knows", Some(w.name), "", None, s);
        if s.age == Age::Settled && !s.review {
            s.review = true;
            self.push(who, "writes that nobody knows", Some(w.name), "for seven days: a person must look", None, s);
        }
    }

    /// `billing/resolve.rs`, `Billing::send_again`; `store/subscriptions.rs`, `Store::claim_again`.
    fn send_again(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "claims again";
        let mut s = self.from;
        if period(w.name) == 1 && s.over {
            return self.turn(who, WHAT, "not: its period is over", w.name, settle_declined(w));
        }
        let since = if self.protocol.decline_is_of_its_claim { !w.same_claim } else { s.sends != w.sends };
        if s.in_flight != Some(w.name) || since {
            return self.turn(who, WHAT, "not: somebody else was faster", w.name, Worker::IDLE);
        }
        if period(w.name) <= s.paid_through {
            return self.turn(who, WHAT, "not: its period is paid", w.name, settle_declined(w));
        }
        if s.sends == self.size.sends {
            return self.turn(who, WHAT, "not: often enough for a day", w.name, Worker::IDLE);
        }
        s.sends += 1;
        s.age = Age::Leased;
        let paid = u8::from(rule::is_shown_paid_earlier(&s, w.name));
        let sends = s.sends;
        s.workers[who] = Worker {
            at: At::Claimed,
            name: w.name,
            k: paid,
            sends,
            fresh: true,
            in_time: true,
            same_claim: true,
            ..Worker::IDLE
        };
        wrote(&mut s, who);
        claimed(&mut s, who);
        let broken = rule::of_claim(&self.from, w.name);
        self.push(who, WHAT, Some(w.name), "", broken, s);
    }

    /// `billing/charge.rs`, `Billing::settle_by_earlier`: an earlier attempt was paid; this one is let go where it was
    /// never sent.
    fn let_go(&mut self, who: usize, w: Worker) {
        let mut s = self.from;
        s.workers[who] = record(w.name, w.k);
        if w.sends <= 1 {
            rest(&mut s);
            wrote(&mut s, who);
        }
        self.push(who, "lets go of an attempt", Some(w.name), "", None, s);
    }

    /// `billing/record.rs`, `Billing::record_seen`, and the reads of `Billing::record_verified`.
    fn read_for_record(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "reads for a late payment";
        let s = self.from;
        let payment = s.names[usize::from(w.name)].payments[usize::from(w.k)];
        if s.in_flight == Some(w.name) {
            let next = Worker { at: At::SettlePaid, name: w.name, k: w.k, ..Worker::IDLE };
            return self.turn(who, WHAT, "it is in flight", w.name, next);
        }
        if payment.booked != Booked::No || !self.protocol.late_truth {
            return self.turn(who, WHAT, "it is known", w.name, Worker::IDLE);
        }
        let next = |paid_before| Worker { at: At::Write, flag: paid_before, fresh: true, ..w };
        let settled = s.is_settled(period(w.name));
        self.turn(
            who,
            WHAT,
            if settled { "its period is paid" } else { "its period is unpaid" },
            w.name,
            next(settled),
        );
        if settled {
            self.turn(who, WHAT, "its period is paid, which the query doesn't show", w.name, next(false));
        }
    }

    /// `billing/record.rs`, `Billing::record_verified`: the transaction.
    fn write_late(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "records a late payment";
        let mut s = self.from;
        let duplicate = w.flag || s.status == Status::Canceled;
        if !duplicate && s.is_settled(period(w.name)) && self.protocol.paid_key {
            return self.turn(who, WHAT, "not: its period's key is taken", w.name, record(w.name, w.k));
        }
        book(&mut s, w.name, w.k, duplicate);
        s.workers[who] = Worker::IDLE;
        wrote(&mut s, who);
        self.push(who, WHAT, Some(w.name), if duplicate { "a duplicate" } else { "" }, None, s);
    }

    /// `billing/work.rs`, `Billing::look_for_late_payment`.
    fn look_late(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "looks for late payments";
        let s = self.from;
        for n in (1..=s.attempts.min(ATTEMPTS)).rev().map(|a| name(s.period, a)) {
            let named = s.names[usize::from(n)];
            if let Some(k) = (0..PAYMENTS).find(|k| {
                let p = named.payments[*k];
                p.paid() && p.shown && p.booked == Booked::No
            }) {
                return self.turn(who, WHAT, "one is paid", n, record(n, k as u8));
            }
        }
        let mut s = s;
        s.workers[who] = if w.fresh { Worker { at: At::Ending, ..w } } else { Worker::IDLE };
        self.push(who, WHAT, None, "none is paid", None, s);
    }

    /// `billing/work.rs`, `Billing::advance`: `Step::GiveUp` and `Step::SkipTo`.
    fn end(&mut self, who: usize, w: Worker) {
        let mut s = self.from;
        match w.flag {
            true => s.status = Status::Canceled,
            false => (s.period, s.attempts) = (2, 0),
        }
        s.workers[who] = Worker::IDLE;
        wrote(&mut s, who);
        self.push(who, if w.flag { "gives up" } else { "skips a period" }, None, "", None, s);
    }

    /// `billing/repair.rs`, `Billing::settle_differences`: the attempt in flight.
    fn look_for_repair(&mut self, who: usize, w: Worker) {
        const WHAT: &str = "looks up what was decided about";
        let named = self.from.names[usize::from(w.name)];
        let paid = named.shown_paid();
        let waits = !w.flag && self.protocol.repair_waits;
        let next = Worker { at: At::Repair, name: w.name, k: w.k, sends: paid, fresh: true, ..Worker::IDLE };
        match () {
            // Who writes off has seen that nothing is paid.
            () if paid != 0 && w.k == WRITE_OFF || waits || !w.fresh => {
                self.turn(who, WHAT, "it must wait", w.name, Worker::IDLE);
            }
            () => self.turn(who, WHAT, if paid == 0 { "not paid" } else { "paid" }, w.name, next),
        }
    }

    /// `billing/repair.rs`, `Billing::repair`: the transaction, with what `Draft::settle_attempt` makes of the payments.
    fn repair(&mut self, who: usize, w: Worker) {
        let mut s = self.from;
        s.review = false;
        s.workers[who] = Worker::IDLE;
        if w.sends == 0 {
            self.decline(&mut s, w.name);
        } else {
            rest(&mut s);
            if period(w.name) == s.period {
                s.attempts = s.attempts.max(attempt(w.name));
            }
            for k in (0..PAYMENTS as u8).filter(|k| w.sends & 1 << k != 0) {
                let duplicate = w.k != ACCEPT || s.is_settled(period(w.name)) || s.status == Status::Canceled;
                if s.names[usize::from(w.name)].payments[usize::from(k)].booked == Booked::No {
                    book(&mut s, w.name, k, duplicate);
                }
            }
        }
        wrote(&mut s, who);
        self.push(who, "carries out a repair", Some(w.name), word(w.k), None, s);
    }

    /// What happens at I'mport, and between it and us.
    fn iamport(&mut self) {
        let s = self.from;
        for n in 0..NAMES {
            let named = s.names[n];
            if named.on_its_way > 0 {
                self.arrive(n);
            }
            for k in 0..PAYMENTS {
                let p = named.payments[k];
                if p.made != Made::Nothing && !p.shown {
                    let mut s = s;
                    s.names[n].payments[k].shown = true;
                    self.elsewhere("I'mport shows a payment", Some(n as Name), "", s);
                }
                if p.made == Made::Failed && s.turns > 0 {
                    let mut s = s;
                    s.turns -= 1;
                    s.names[n].payments[k] = Payment { made: Made::Turned, shown: true, ..p };
                    self.elsewhere("I'mport pays what had failed", Some(n as Name), "", s);
                }
                if p.booked == Booked::Duplicate && !p.back && self.protocol.duplicates_go_back {
                    let mut s = s;
                    s.names[n].payments[k].back = true;
                    self.elsewhere("a duplicate goes back", Some(n as Name), "", s);
                }
            }
            if s.foreigners > 0 && period(n as Name) == 1 {
                let mut s = s;
                s.foreigners -= 1;
                s.names[n].foreign = true;
                self.elsewhere("somebody else pays", Some(n as Name), "", s);
            }
        }
    }

    /// A request arrives, once or two times; its sender hears the last answer, or none.
    fn arrive(&mut self, n: usize) {
        const WHAT: &str = "I'mport takes a request";
        let mut named = self.from.names[n];
        named.on_its_way -= 1;
        let mut ends = self.process(named);
        if self.size.doubles {
            let again: Vec<_> = ends.iter().flat_map(|(once, first)| self.process_again(*once, *first)).collect();
            ends.extend(again);
        }
        ends.sort_by_key(|(named, answer)| {
            let mut s = self.from;
            s.names[n] = *named;
            (s.pack(), *answer)
        });
        ends.dedup();
        let waiting = |w: &Worker| w.at == At::Awaiting && usize::from(w.name) == n;
        for (named, answer) in std::iter::once((named, None)).chain(ends.into_iter().map(|(named, a)| (named, Some(a))))
        {
            let mut s = self.from;
            s.names[n] = named;
            for who in 0..2 {
                let w = self.from.workers[who];
                if !waiting(&w) {
                    continue;
                }
                let mut s = s;
                let (how, next) = match answer {
                    None => continue,
                    Some(Answer::Refused) => ("and refuses it", Worker { at: At::Refused, ..w }),
                    Some(Answer::Failed) => ("and says that it failed", settle_declined(w)),
                    Some(Answer::Paid(k)) => {
                        ("and says that it is paid", Worker { at: At::SettlePaid, k, ..settle_paid(w.name, 1 << k) })
                    }
                };
                s.workers[who] = next;
                self.elsewhere(WHAT, Some(n as Name), how, s);
            }
            // Whoever waits hears nothing, and gives up by itself.
            let how = match answer {
                None => "never",
                Some(Answer::Refused) => "refuses it, and nobody hears",
                Some(Answer::Failed) => "lets it fail, and nobody hears",
                Some(Answer::Paid(_)) => "pays it, and nobody hears",
            };
            self.elsewhere(WHAT, Some(n as Name), how, s);
        }
    }

    /// The same request once more. It ends alike, unless the name is refused since it is paid now.
    fn process_again(&self, named: Named, first: Answer) -> Vec<(Named, Answer)> {
        let alike = |second: &Answer| match (first, second) {
            (Answer::Refused, Answer::Refused) | (Answer::Failed, Answer::Failed) => true,
            (Answer::Paid(_), Answer::Paid(_) | Answer::Refused) => true,
            (Answer::Refused | Answer::Failed, _) | (Answer::Paid(_), Answer::Failed) => false,
        };
        self.process(named).into_iter().filter(|(_, second)| alike(second)).collect()
    }

    /// What may come of one request.
    fn process(&self, named: Named) -> Vec<(Named, Answer)> {
        let mut ends = vec![(named, Answer::Refused)];
        let taken = named.foreign || named.payments.iter().any(|p| p.paid());
        let free = named.payments.iter().position(|p| p.made == Made::Nothing);
        if let Some(k) = free
            && (!taken || self.size.takes_paid_names)
        {
            for (made, answer) in [(Made::Failed, Answer::Failed), (Made::Paid, Answer::Paid(k as u8))] {
                for shown in [true, false] {
                    let mut named = named;
                    named.payments[k] = Payment { made, shown, ..Payment::NONE };
                    ends.push((named, answer));
                }
            }
        }
        ends
    }

    /// The clock: only in the orders that the constants guarantee.
    fn time(&mut self) {
        let s = self.from;
        for who in 0..2 {
            if s.workers[who].in_time {
                let mut s = s;
                s.workers[who].in_time = false;
                self.push(who, "is too late to send", Some(s.workers[who].name), "", None, s);
            }
        }
        if let Some(n) = s.in_flight {
            let deadlines_over = s.workers.iter().all(|w| !w.in_time);
            let arrived = |named: &Named| {
                named.on_its_way == 0 && named.payments.iter().all(|p| p.made == Made::Nothing || p.shown)
            };
            let mut s = s;
            match s.age {
                Age::Leased if deadlines_over => {
                    s.age = Age::LeaseOver;
                    self.elsewhere("the lease is over", Some(n), "", s);
                }
                Age::LeaseOver if s.names.iter().all(arrived) => {
                    s.age = Age::Settled;
                    self.elsewhere("the settle delay is over", Some(n), "", s);
                }
                Age::Leased | Age::LeaseOver | Age::Settled => (),
            }
        }
        if !s.over {
            let mut s = s;
            s.over = true;
            self.elsewhere("period 1 is over", None, "", s);
        }
    }

    /// `billing/command.rs`, `Billing::change`, and `billing/charge.rs`, `Billing::review`, of something else (a refund
    /// that never worked, a finding). A command reads, decides and writes by the version: one transition.
    fn people(&mut self) {
        let s = self.from;
        if s.findings > 0 && !s.review {
            let mut s = s;
            s.findings -= 1;
            s.review = true;
            wrote(&mut s, 2);
            self.elsewhere("something else needs a person", None, "", s);
        }
        let waits = s.review || s.in_flight.is_some() && self.protocol.commands_wait;
        if s.commands == 0 || waits {
            return;
        }
        let next = match s.status {
            Status::Active => &[Status::Canceled, Status::Paused][..],
            Status::PastDue => &[Status::Canceled],
            Status::Paused => &[Status::Canceled, Status::Active],
            Status::Canceled => &[],
        };
        for status in next {
            let mut s = s;
            s.commands -= 1;
            s.status = *status;
            wrote(&mut s, 2);
            let how = match status {
                Status::Canceled => "cancel",
                Status::Paused => "pause",
                Status::Active | Status::PastDue => "resume",
            };
            self.elsewhere("a command is accepted", None, how, s);
        }
    }
}

const ACCEPT: u8 = 0;
const REFUND: u8 = 1;
const WRITE_OFF: u8 = 2;

fn word(decision: u8) -> &'static str {
    match decision {
        ACCEPT => "accept",
        REFUND => "refund",
        _ => "write off",
    }
}

fn record(n: Name, k: u8) -> Worker {
    Worker { at: At::Record, name: n, k, ..Worker::IDLE }
}

/// By the first of the payments `paid` (bits); then the others.
fn settle_paid(n: Name, paid: u8) -> Worker {
    Worker { at: At::SettlePaid, name: n, k: u8::from(paid & 1 == 0), flag: paid.count_ones() > 1, ..Worker::IDLE }
}

fn settle_declined(w: Worker) -> Worker {
    Worker { at: At::SettleDeclined, name: w.name, same_claim: w.same_claim, ..Worker::IDLE }
}

fn doubting(w: Worker, unsent: bool, refusal: bool) -> Worker {
    match w.fresh {
        true => Worker { at: At::Doubting, name: w.name, unsent, refusal, fresh: true, ..Worker::IDLE },
        false => Worker::IDLE,
    }
}

/// Nothing is in flight any more. What was in doubt is proven, which ends the review of it.
fn rest(s: &mut State) {
    (s.in_flight, s.sends, s.doubt, s.age) = (None, 0, None, Age::Leased);
}

/// Payment `k` of `n` enters the ledger.
fn book(s: &mut State, n: Name, k: u8, duplicate: bool) {
    let named = &mut s.names[usize::from(n)];
    named.declined = false;
    named.payments[usize::from(k)].booked = if duplicate { Booked::Duplicate } else { Booked::Settled };
    if duplicate {
        return;
    }
    let p = period(n);
    s.paid_through = s.paid_through.max(p);
    if p >= s.period {
        (s.period, s.attempts) = (p + 1, 0);
        if s.status == Status::PastDue {
            s.status = Status::Active;
        }
    }
}

/// `by` has claimed: what the others have found out is of an earlier claim.
fn claimed(s: &mut State, by: usize) {
    s.workers[1 - by].same_claim = false;
}

/// `by` (or, from 2 on, nobody here) has written the subscription: what the others have read of it is old. Whose next step
/// is a write that fails then, and nothing else, reads again or ends.
fn wrote(s: &mut State, by: usize) {
    for (_, w) in s.workers.iter_mut().enumerate().filter(|(who, _)| *who != by) {
        w.fresh = false;
        match w.at {
            At::Doubting | At::Ending | At::Repair => *w = Worker::IDLE,
            At::EarlierPaid if w.sends <= 1 => *w = Worker::IDLE,
            At::Write => *w = record(w.name, w.k),
            At::Idle
            | At::Claimed
            | At::Ready
            | At::Checked
            | At::Awaiting
            | At::Refused
            | At::Looking
            | At::SettlePaid
            | At::SettleDeclined
            | At::SendAgain
            | At::EarlierPaid
            | At::Record
            | At::LookingLate
            | At::Repairing => (),
        }
    }
}
