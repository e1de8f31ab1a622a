//! How long what is not news may wait.

use jiff::{SignedDuration, Timestamp};

use crate::alert::{Action, Alert, Category};
use crate::record::Outcome;

/// How fast an incident is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long nothing may come until the incident is over.
    pub quiet: SignedDuration,
    /// How long a change, or a call that was denied, waits.
    pub update: SignedDuration,
    /// How long a read waits, and what proves nothing.
    pub reads: SignedDuration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: SignedDuration::from_mins(60),
            update: SignedDuration::from_mins(15),
            reads: SignedDuration::from_mins(60),
        }
    }
}

/// The longest that an incident lasts. What comes after that is the next one's.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(24);

impl Pace {
    /// Whether there are no incidents: each delivery has a mail of its own.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.quiet.is_zero()
    }

    /// Whether an incident is over: nothing came for a while, or it has lasted a day.
    #[must_use]
    pub fn is_over(&self, opened: Timestamp, last: Timestamp, now: Timestamp) -> bool {
        now.duration_since(last) >= self.quiet || now.duration_since(opened) >= LONGEST
    }
}

/// What in a part is why it can't wait longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// A change, a call that was denied, or what can't be read.
    Update,
    /// Nothing but reads and failed sign-ins.
    Reads,
}

impl Wait {
    /// How long that is.
    #[must_use]
    pub fn at(self, pace: &Pace) -> SignedDuration {
        match self {
            Self::Update => pace.update,
            Self::Reads => pace.reads,
        }
    }
}

/// How long a part may wait that has no news.
#[must_use]
pub fn wait(part: &Alert) -> Wait {
    let idle = |action: &Action| match action.category {
        Category::Read => action.record.outcome() != Outcome::Denied,
        category => category == Category::FailedSignIn,
    };
    let all_idle = part.actors.iter().flat_map(|actor| &actor.actions).all(idle);
    if all_idle && part.unreadable.is_empty() { Wait::Reads } else { Wait::Update }
}
