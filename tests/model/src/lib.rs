//! The charge protocol as a state machine, small enough to be explored whole: every order of the steps of two workers,
//! I'mport, the clock and people. [`rule::Rule`] says what must hold; `cargo model` shows that it does, and `cargo model
//! --wrong` what becomes of wrong protocols, step by step.
//!
//! The simulation (`cargo faults`) runs the code itself, through a sample of all histories. Here no code runs, and nothing
//! is left to chance: what each transition stands for is in this table, which a test compares with the code's files and
//! functions.
//!
//! | transition | stands for (in `shared/src`) |
//! |---|---|
//! | claims | `billing/charge.rs: charge`, `store/subscriptions.rs: claim` |
//! | looks up the earlier attempts | `billing/charge.rs: send`, `billing/charge.rs: late_payment` |
//! | lets go of an attempt | `billing/charge.rs: settle_by_earlier`, `subscription/settle.rs: release` |
//! | sends | `billing/charge.rs: send`, `iamport/calls.rs: again` |
//! | gives up waiting | `billing/charge.rs: send`, `iamport/transport.rs: send` |
//! | looks up what was refused | `billing/charge.rs: settle_by_refusal`, `billing/verify.rs: weigh` |
//! | settles as paid | `billing/charge.rs: settle`, `subscription/settle.rs: settle`, `store/ledger.rs: settle` |
//! | settles as declined | `billing/charge.rs: settle`, `subscription/settle.rs: decline`, `store/ledger.rs: settle` |
//! | writes that nobody knows | `billing/charge.rs: doubt`, `subscription/settle.rs: keep_in_doubt` |
//! | reads an attempt in flight | `billing/work.rs: advance`, `subscription/step.rs: agenda`, `billing/resolve.rs: resolve` |
//! | looks up an attempt | `billing/resolve.rs: resolve`, `billing/verify.rs: weigh` |
//! | claims again | `billing/resolve.rs: send_again`, `store/subscriptions.rs: claim_again` |
//! | hears of a payment | `billing/hear.rs: hear`, `billing/record.rs: record` |
//! | reads for a late payment | `billing/record.rs: record_seen`, `billing/record.rs: record_verified` |
//! | records a late payment | `billing/record.rs: record_verified`, `subscription/settle.rs: record_late` |
//! | reads a period that went by | `subscription/step.rs: current_period` |
//! | reads the end of dunning | `subscription/step.rs: past_due_agenda` |
//! | looks for late payments | `billing/work.rs: look_for_late_payment` |
//! | skips a period | `billing/work.rs: advance`, `subscription/settle.rs: skip_to` |
//! | gives up | `billing/work.rs: advance`, `subscription/mod.rs: end` |
//! | reads a decision | `billing/repair.rs: decide_repair`, `subscription/step.rs: agenda` |
//! | looks up what was decided about | `billing/repair.rs: settle_differences` |
//! | carries out a repair | `billing/repair.rs: repair`, `billing/repair.rs: settle_attempt` |
//! | a command is accepted | `billing/command.rs: change`, `subscription/command.rs: command` |
//! | something else needs a person | `billing/charge.rs: review` |
//! | a duplicate goes back | `billing/refund.rs: refund` |
//! | dies | a process that ends at any line |
//! | is too late to send | the clock: 30 seconds, `billing/charge.rs: send` |
//! | the lease is over | the clock: 5 minutes, `subscription/step.rs: next_look` |
//! | the settle delay is over | the clock: 10 minutes, `billing/verify.rs: passed` |
//! | period 1 is over | the clock: `subscription/step.rs: charge_until` |
//! | I'mport takes a request | I'mport, as far as its documentation lets it |
//! | I'mport shows a payment | I'mport |
//! | I'mport pays what had failed | I'mport |
//! | somebody else pays | whoever knows the merchant's public code and a name of ours |
//!
//! # Time
//!
//! There is no clock, only what it brings about, in the orders that the constants guarantee. Since the latest claim of an
//! attempt: no worker sends it any more (30 seconds, by the worker's own clock) before its lease is over (5 minutes); and
//! everything that was sent has arrived or never will, and is shown (a message is on its way, or unseen, for 5 minutes at
//! most; clocks are two minutes wrong at most), before the settle delay is over (10 minutes).
//!
//! *More than can happen* is allowed, so that what holds here holds there: a worker stands still for as long as it likes;
//! an attempt in doubt is looked up at any time; the next attempt may follow a decline at once (a retry that was asked for
//! does); a lease lasts as long as it likes, and so does the message of an attempt that is settled; webhooks tell of any
//! payment at any time.
//!
//! # A version is a bit
//!
//! See [`step`]. A read of the subscription and the query of its charges are one transition: a write in between fails the
//! next write's version. What isn't a snapshot is modelled: the query may not show that the period is paid.
//!
//! # What isn't here
//!
//! - More than two attempts at a period, two sends of one (the breaker), two payments of a name, one decline that turns
//!   into a payment, one foreign payment, one command, one review of something else. Two periods are explored without the
//!   last three.
//! - A request that arrives two times with two ends: fails once and is paid once. The protocol takes a failure that it
//!   hears for the end of that send; the second payment would be found by the look-up before the next attempt, if that
//!   comes after I'mport shows it, and else by a webhook, as late truth.
//! - Amounts, credit, billing keys and plans. Commands are cancel, pause and resume.
//! - Refunds are one transition: who gives back, and records it, is the simulation's.
//! - That all *can* come to rest from everywhere is shown; that it will needs that what is due is dispatched, that webhooks
//!   (or `reconcile`) tell, and that operators decide.
#![allow(clippy::cast_possible_truncation)]

pub mod explore;
pub mod protocol;
pub mod rule;
pub mod state;
pub mod step;
