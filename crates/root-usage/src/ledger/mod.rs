//! What is known of incidents, whichever instance learned it: each call is one write or one read of the store behind it.
//!
//! | item | holds |
//! | --- | --- |
//! | [`Part`] | what one delivery brought of one identity and what is not told yet; it never expires |
//! | event | the delivery as it arrived, so that there is one way to read it |
//! | [`Current`] | the open incident of an identity |
//! | news | what an incident has seen, and the slots of its budgets |
//! | [`Told`] | that a part was told, its records for finding duplicates, and what of it the closing mail tells |
//!
//! A write whose condition is lost is an answer, not an error. One whose condition is lost to this very owner was won:
//! the first try arrived, and its answer didn't.

mod at_once;
mod memory;

use std::collections::HashMap;
use std::error::Error;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::incident::{Budget, Changes, IncidentId, Topic, Whose};
pub(crate) use at_once::mails_left;
pub use at_once::{at_once, remember, spend_minute};
pub use memory::InMemory;

/// What names a part: a SHA-256 over the delivery and the identity, so that a delivery that comes again has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey(pub [u8; 32]);

/// What names a delivery, and its parts.
#[derive(Debug, Clone)]
pub struct Delivery(Sha256);

impl Delivery {
    /// The delivery that is this event. Around it a file has a line's end, which Lambda has not.
    #[must_use]
    pub fn of(event: &str) -> Self {
        Self(Sha256::new().chain_update(event.trim_ascii()))
    }

    /// One of its portions, where it has more identities than incidents.
    #[must_use]
    pub fn portion(&self, portion: usize) -> PartKey {
        PartKey(self.0.clone().chain_update(portion.to_be_bytes()).finalize().into())
    }

    /// What one of its portions brings of an identity.
    #[must_use]
    pub fn part(&self, portion: usize, whose: &Whose) -> PartKey {
        let digest = self.0.clone().chain_update(portion.to_be_bytes()).chain_update(whose.to_string());
        PartKey(digest.finalize().into())
    }
}

/// The most mails of an incident that are read again to tell how it went.
pub const STORY_MAX: usize = 500;

/// What names a record.
pub type RecordKey = [u8; 32];

/// Who works on a part: one invocation, for as long as its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

/// What one delivery brought of one identity, and what is not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub key: PartKey,
    /// Whose it is.
    pub whose: Whose,
    /// It closes its incident, and has no delivery.
    pub closes: bool,
    /// When the incident began that it closes.
    pub opened: Option<Timestamp>,
    /// The incident, once it is known.
    pub incident: Option<IncidentId>,
    /// From when on anybody tells it.
    pub due: Timestamp,
    /// Until when its owner is at it.
    pub lease: Timestamp,
    /// Who has it, or had it last.
    pub owner: Owner,
    /// How often it was claimed: what failed several times is told in another way.
    pub tries: u32,
    /// The ledger can't say whose it is, so all of its delivery is told.
    pub whole: bool,
}

/// The open incident of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Whose it is.
    pub whose: Whose,
    /// Its name.
    pub id: IncidentId,
    /// The part that opened it, which is told first, also when it comes again.
    pub first: PartKey,
    /// When it was opened.
    pub opened: Timestamp,
    /// When something of it came last.
    pub last: Timestamp,
}

/// That a part was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The keys of its records.
    pub records: Vec<RecordKey>,
    /// What the closing mail tells of it: bounded, in the order in which it was told.
    pub digest: Vec<String>,
    /// What it opened and undid.
    pub changes: Changes,
}

/// How much was told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoFar {
    /// In so many mails.
    pub mails: usize,
    /// So many lines for the closing mail.
    pub lines: usize,
}

/// What became of a part that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    New,
    /// It was kept before, as this.
    Before(Part),
    /// It was told before.
    Told,
}

/// A store of what is known of incidents.
///
/// Its times are those of its callers, whose clocks may differ.
pub trait Ledger {
    /// Why it can't be asked.
    type Error: Error + Send + Sync + 'static;

    /// Whether a part was told.
    fn is_told(&self, part: PartKey) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Which of these records were told, and when.
    fn told_of(
        &self,
        records: &[RecordKey],
    ) -> impl Future<Output = Result<HashMap<RecordKey, Timestamp>, Self::Error>> + Send;

    /// Keeps a part and its delivery, if there is none by this key and it was not told: all of it or nothing. Each part has
    /// a delivery of its own, so that whoever forgets one takes it from no other.
    fn keep(&self, part: &Part, event: &str) -> impl Future<Output = Result<Kept, Self::Error>> + Send;

    /// A part's delivery.
    fn event(&self, key: PartKey) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;

    /// Takes a part over that nobody is at, for `owner` until `lease`. What was read of it has to be so still.
    fn claim(
        &self,
        part: &Part,
        owner: Owner,
        lease: Timestamp,
    ) -> impl Future<Output = Result<Option<Part>, Self::Error>> + Send;

    /// Lets a part of `owner`'s wait until it is due; whether it was still theirs.
    fn wait(
        &self,
        key: PartKey,
        owner: Owner,
        incident: IncidentId,
        due: Timestamp,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Says of parts that they are told now, together.
    fn tell(
        &self,
        parts: &[PartKey],
        told: &Told,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Forgets parts of `owner`'s, and their deliveries.
    fn forget(&self, parts: &[PartKey], owner: Owner) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Every part that is not told yet.
    fn parts(&self) -> impl Future<Output = Result<Vec<Part>, Self::Error>> + Send;

    /// The open incident of an identity.
    fn current(&self, whose: &Whose) -> impl Future<Output = Result<Option<Current>, Self::Error>> + Send;

    /// Every open incident.
    fn all_current(&self) -> impl Future<Output = Result<Vec<Current>, Self::Error>> + Send;

    /// Opens an incident, in place of `old`, which has to be as it was read, and keeps the part that closes that one; all of
    /// it or nothing. Whether it was done.
    fn open(
        &self,
        new: &Current,
        old: Option<&Current>,
        closing: Option<&Part>,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Says that something came of an incident, if it is still the open one; whether it is.
    fn touch(
        &self,
        whose: &Whose,
        id: IncidentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Ends an incident that is as it was read, and keeps the part that closes it; both or nothing.
    fn close(&self, current: &Current, closing: &Part) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Of each of these topics whether it is new in an incident. To the part that made it so it stays new.
    fn is_new(
        &self,
        incident: IncidentId,
        topics: &[Topic],
        part: PartKey,
    ) -> impl Future<Output = Result<Vec<bool>, Self::Error>> + Send;

    /// Takes one of a budget's slots; when one will be free, if none is. A part that took one has it still. `None` for the
    /// incident is all of them.
    fn spend(
        &self,
        incident: Option<IncidentId>,
        topic: Topic,
        budget: Budget,
        part: PartKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Spent, Self::Error>> + Send;

    /// The number of an incident's next mail after the first, beginning with 2.
    fn number(&self, incident: IncidentId) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// What was told of an incident last, in that order: of its mails at most [`STORY_MAX`], so that nobody's many mails keep
    /// the last one away.
    fn story(&self, incident: IncidentId) -> impl Future<Output = Result<Vec<Told>, Self::Error>> + Send;

    /// How much was told of an incident, all in all.
    fn so_far(&self, incident: IncidentId) -> impl Future<Output = Result<SoFar, Self::Error>> + Send;

    /// Remembers for an hour who got a key of a central root session: the record of the call, by the key's id.
    fn remember_calls(&self, calls: &[(String, String)]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The remembered calls that returned these keys, each as the JSON of its record.
    fn calls(&self, keys: &[String]) -> impl Future<Output = Result<HashMap<String, String>, Self::Error>> + Send;
}

/// Whether a budget had something left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It had.
    Taken,
    /// It will, at this time.
    From(Timestamp),
    /// It never will.
    Never,
}
