//! The protocol as it is, and wrong ones; how bad I'mport may be; how much may happen.

/// The decisions that the protocol consists of. All are true in the right one; each wrong one has one of them false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Protocol {
    /// A claim is written before `again` is called.
    pub claims: bool,
    /// A claim needs that nothing is in flight.
    pub claim_needs_rest: bool,
    /// A worker that was held up since its claim doesn't send.
    pub send_deadline: bool,
    /// The deadline is compared last: nothing comes between it and the send.
    pub deadline_last: bool,
    /// That I'mport shows nothing proves nothing before the settle delay is over.
    pub settle_delay: bool,
    /// A refusal proves nothing before the settle delay is over.
    pub refusal_waits: bool,
    /// "Surely not sent" counts for the first send only.
    pub unsent_is_of_one_send: bool,
    /// A failure proves a decline only where all sends have failed, or the settle delay is over.
    pub failures_are_counted: bool,
    /// What a look-up has shown not to be paid counts only where nobody has claimed it since.
    pub decline_is_of_its_claim: bool,
    /// A declined attempt's number is used up.
    pub numbers_go_up: bool,
    /// The period's paid charge has one key, and is put only where it isn't there.
    pub paid_key: bool,
    /// Late truth is recorded.
    pub late_truth: bool,
    /// What is paid twice, or after the end, goes back.
    pub duplicates_go_back: bool,
    /// A command is refused while something is in flight.
    pub commands_wait: bool,
    /// An operator's decision, too, waits for the settle delay.
    pub repair_waits: bool,
    /// A payment that our key didn't make proves nothing of ours.
    pub foreign_proves_nothing: bool,
    /// The earlier attempts are looked up before another is sent.
    pub earlier_are_looked_up: bool,
}

/// The protocol as it is.
pub const RIGHT: Protocol = Protocol {
    claims: true,
    claim_needs_rest: true,
    send_deadline: true,
    deadline_last: true,
    settle_delay: true,
    refusal_waits: true,
    unsent_is_of_one_send: true,
    failures_are_counted: true,
    decline_is_of_its_claim: true,
    numbers_go_up: true,
    paid_key: true,
    late_truth: true,
    duplicates_go_back: true,
    commands_wait: true,
    repair_waits: true,
    foreign_proves_nothing: true,
    earlier_are_looked_up: true,
};

/// A wrong protocol, and where its counterexample is found.
#[derive(Debug, Clone, Copy)]
pub struct Wrong {
    /// What it does.
    pub does: &'static str,
    /// It.
    pub protocol: Protocol,
    /// How much has to happen for it to show.
    pub size: Size,
}

/// Wrong protocols. Each has a counterexample.
pub const WRONG: [Wrong; 16] = [
    wrong("sends without a claim", Protocol { claims: false, ..RIGHT }, SMALL),
    wrong("claims while something is in flight", Protocol { claim_needs_rest: false, ..RIGHT }, SMALL),
    wrong("sends however late after the claim", Protocol { send_deadline: false, ..RIGHT }, SMALL),
    wrong("compares the send deadline, then fetches the token", Protocol { deadline_last: false, ..RIGHT }, SMALL),
    wrong("knows no settle delay", Protocol { settle_delay: false, ..RIGHT }, SMALL),
    wrong("takes a refusal for a decline at once", Protocol { refusal_waits: false, ..RIGHT }, DOUBLED),
    wrong(
        "takes a later send for unsent since the first was",
        Protocol { unsent_is_of_one_send: false, ..RIGHT },
        SMALL,
    ),
    wrong(
        "declines by a look-up from before the latest claim",
        Protocol { decline_is_of_its_claim: false, ..RIGHT },
        SMALL,
    ),
    wrong("uses an attempt's number again", Protocol { numbers_go_up: false, ..RIGHT }, SMALL),
    wrong("settles without the period's key", Protocol { paid_key: false, ..RIGHT }, TURNED),
    wrong("ignores a late payment", Protocol { late_truth: false, ..RIGHT }, TURNED),
    wrong("keeps what was paid twice", Protocol { duplicates_go_back: false, ..RIGHT }, SMALL),
    wrong("takes commands while something is in flight", Protocol { commands_wait: false, ..RIGHT }, COMMANDED),
    wrong("carries out a repair within the settle delay", Protocol { repair_waits: false, ..RIGHT }, SMALL),
    wrong("ends an attempt by a foreign payment", Protocol { foreign_proves_nothing: false, ..RIGHT }, FOREIGN),
    wrong("doesn't look up the earlier attempts", Protocol { earlier_are_looked_up: false, ..RIGHT }, TURNED),
];

/// Second guards: what is left out here has no consequence, as far as everything else holds. Told for the sake of those who
/// read the code and wonder; not to be left out.
pub const SPARED: [Wrong; 1] = [wrong(
    "takes one failure for that of all sends",
    Protocol { failures_are_counted: false, ..RIGHT },
    Size { takes_paid_names: false, ..DOUBLED },
)];

const fn wrong(does: &'static str, protocol: Protocol, size: Size) -> Wrong {
    Wrong { does, protocol, size }
}

/// How bad I'mport may be, and how much may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many periods there are: 1 or 2.
    pub periods: u8,
    /// How often one name may be sent: at most 2.
    pub sends: u8,
    /// I'mport may take a name again that is paid. (Whether it does isn't known.)
    pub takes_paid_names: bool,
    /// A request may arrive two times.
    pub doubles: bool,
    /// How many declines turn into payments later: at most 1.
    pub turns: u8,
    /// How many payments that our key didn't make appear under our names: at most 1.
    pub foreigners: u8,
    /// How many commands are given: at most 3.
    pub commands: u8,
    /// How many reviews come of something else (a refund that never worked, a finding): at most 1.
    pub findings: u8,
}

/// One period of two attempts, each sent two times at most; nothing happens but time, faults and what workers do.
pub const SMALL: Size = Size {
    periods: 1,
    sends: 2,
    takes_paid_names: true,
    doubles: false,
    turns: 0,
    foreigners: 0,
    commands: 0,
    findings: 0,
};
/// A decline turns into a payment, too.
pub const TURNED: Size = Size { turns: 1, ..SMALL };
/// A request may arrive two times, too.
pub const DOUBLED: Size = Size { doubles: true, ..SMALL };
const COMMANDED: Size = Size { commands: 1, ..SMALL };
const FOREIGN: Size = Size { foreigners: 1, ..SMALL };

/// What `cargo model` explores: a name and a size each. The last takes minutes: where `--all` asks for it.
pub const EXPLORED: [(&str, Size); 6] = [
    ("one period, all that may happen but doubled requests", EVENTFUL),
    ("two periods", Size { periods: 2, ..SMALL }),
    ("two periods, a decline that turns into a payment", Size { periods: 2, sends: 1, turns: 1, ..SMALL }),
    ("one period, doubled requests", Size { turns: 1, ..DOUBLED }),
    ("one period, doubled requests, paid names are refused", Size { turns: 1, takes_paid_names: false, ..DOUBLED }),
    ("one period, all that may happen", Size { doubles: true, ..EVENTFUL }),
];

const EVENTFUL: Size = Size { turns: 1, foreigners: 1, commands: 1, findings: 1, ..SMALL };
