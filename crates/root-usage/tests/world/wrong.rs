//! What goes wrong in a world: bugs that are put into it, and calls that fail.

/// A bug that an earlier design had, or that is easily made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A part is kept though it was told.
    NoLookAtKeeping,
    /// Which part opened an incident is not kept.
    FirstIsForgotten,
    /// An incident is closed while others are at its parts.
    ClosesBeforeParts,
    /// What is under way is not kept.
    KeepsNothing,
    /// What was kept is never looked for.
    NobodyTicks,
    /// A lease is ignored: whoever comes takes the part.
    NoLease,
    /// What was kept of a delivery is gone when it is due.
    LosesEvents,
    /// What was kept of the first delivery makes the function panic, which is no bug of the protocol.
    FirstEventPanics,
}

impl Bug {
    pub const ALL: [Self; 7] = [
        Self::NoLookAtKeeping,
        Self::FirstIsForgotten,
        Self::ClosesBeforeParts,
        Self::KeepsNothing,
        Self::NobodyTicks,
        Self::NoLease,
        Self::LosesEvents,
    ];
}

/// What can go wrong at a call.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    FailsBefore,
    FailsAfter,
    DropsBefore,
    DropsAfter,
    /// It is made twice, and the second answer counts.
    Twice,
}

impl Fault {
    pub const ALL: [Self; 5] = [Self::FailsBefore, Self::FailsAfter, Self::DropsBefore, Self::DropsAfter, Self::Twice];
}

/// What goes wrong in a run.
#[derive(Clone)]
pub enum Faults {
    /// So many, anywhere.
    Any(usize),
    /// This, at the call of this number.
    At(usize, Fault),
    /// The clocks of the instances are wrong by so many seconds.
    Clocks([i64; 3]),
}
