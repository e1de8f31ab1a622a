//! What one identity does in one account without a long pause is an incident: one story, told in a few mails.
//!
//! | mail | when |
//! | --- | --- |
//! | first | at once |
//! | at once | something new in the incident that is grave: see [`News`] |
//! | update | [`Pace::update`] after the first change or denied call that waits, [`Pace::reads`] after the first read |
//! | closing | nothing more for [`Pace::quiet`], if anything came after the first mail |
//!
//! Pure: no clock, no I/O, and the same answer on every instance. What an incident remembers is in a
//! [ledger](crate::ledger).

mod news;
mod open;
mod pace;
mod whose;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use news::{ALL, BEYOND, IN_ALL, IN_ALL_BEYOND, IN_INCIDENT};
pub use news::{Budget, News, Reason, Topic, news, together};
pub use open::{Changes, Open, Undone, changes, lines, open};
pub use pace::{Pace, Wait, wait};
pub use whose::{IDENTITIES_MAX, Whose, by_identity};

use crate::ledger::PartKey;

/// What names an incident: of its first eight bytes, four digits are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId([u8; 8]);

impl IncidentId {
    /// The name of the incident that this part opens. Whoever comes to open it twice gives it the same name.
    #[must_use]
    pub fn of(whose: &Whose, first: PartKey) -> Self {
        let digest = Sha256::new().chain_update(whose.to_string()).chain_update(first.0).finalize();
        Self(std::array::from_fn(|index| digest[index]))
    }

    /// The name that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// All of it, for a program that keeps apart what four digits don't.
    #[must_use]
    pub fn in_full(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// As it stands in subjects: `7F3A`.
impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..2].iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// Why a mail of an incident goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It opens the incident.
    First,
    /// Something in it is grave and new.
    AtOnce,
    /// What waited is due.
    Update,
    /// The incident is quiet.
    Closing,
}
