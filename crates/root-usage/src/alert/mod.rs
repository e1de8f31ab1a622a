//! What matched in one batch, as one alert: grouped by who did it, the gravest first.

pub mod access;
mod consequence;
mod group;
mod held;
mod signal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use aws_lambda_events::event::cloudwatch_logs::LogData;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use access::{Access, EVIDENCE, Issued};
pub use consequence::{Category, Deed, Known, Unseen, deed, known};
pub(crate) use consequence::{
    Gravity, acts_unseen, category, is_own_credential, is_own_key, known_of, protects, reads_secret, severity_of_deed,
};
pub use group::Attribution;
pub use held::{Counts, Held, HeldKind, Tally};
pub(crate) use signal::signals;
pub use signal::{Signal, TrustedNetwork};

use crate::record::Record;
use crate::rule::Rule;
pub use crate::severity::Severity;

/// A record and the rules it matched.
#[derive(Debug, Clone)]
pub struct Match {
    /// The record.
    pub record: Record,
    /// The rules. Never empty.
    pub rules: Vec<Arc<Rule>>,
    /// When CloudWatch Logs took it in.
    pub received: Option<Timestamp>,
}

/// A log event that is no JSON object, though it holds a text that a rule can't match without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The log event's id in CloudWatch Logs; empty if that could not be read either.
    pub id: String,
    /// When CloudWatch Logs took it in.
    pub time: Option<Timestamp>,
    /// How long it is, in bytes as it stands in the batch.
    pub bytes: usize,
    /// What was wrong.
    pub reason: String,
    /// SHA-256 of the log event.
    pub hash: [u8; 32],
    /// The rules that it may match.
    pub rules: Vec<Arc<Rule>>,
}

/// Where a batch came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The account that owns the log group.
    pub owner: String,
    /// The log group.
    pub log_group: String,
    /// The log stream.
    pub log_stream: String,
}

impl From<&LogData> for Origin {
    fn from(data: &LogData) -> Self {
        Self { owner: data.owner.clone(), log_group: data.log_group.clone(), log_stream: data.log_stream.clone() }
    }
}

/// A name for the content of an alert: the same records give the same id, in any order.
///
/// Eight bytes of a SHA-256 over the sorted event ids and hashes: enough to tell mails apart, short enough to read out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertId([u8; 8]);

/// One alert: everything in one batch that somebody should know.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub id: AlertId,
    /// Where it came from.
    pub origin: Origin,
    /// Who did something, the gravest first.
    pub actors: Vec<Actor>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
    /// What earlier mails would have told, had they not been held back.
    pub held: Held,
    /// It was sent before, and nobody knows whether it arrived.
    pub may_be_repeated: bool,
    /// The ledger failed, so nobody knows what of it was told before.
    pub without_ledger: bool,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The root user.
    Root,
    /// Anybody else (other rules than root's match them): the type and the ARN, or what there is of it.
    Other {
        /// `userIdentity.type`
        kind: String,
        /// `userIdentity.arn`, else `principalId`, `userName` or the service in `invokedBy`
        name: String,
    },
}

/// Somebody who acted, with everything they did in this batch.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who.
    pub identity: Identity,
    /// By what means they acted.
    pub access: Access,
    /// The record of the `AssumeRoot` call that began a central root session, where it is known.
    pub root_call: Option<Record>,
    /// What they did, the gravest first. Never empty.
    pub actions: Vec<Action>,
}

/// One thing that was done.
#[derive(Debug, Clone)]
pub struct Action {
    /// The record that tells it.
    pub record: Record,
    /// The rules that matched it.
    pub rules: Vec<Arc<Rule>>,
    /// When CloudWatch Logs took it in.
    pub received: Option<Timestamp>,
    /// Its consequence.
    pub category: Category,
    /// Its urgency.
    pub severity: Severity,
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl AlertId {
    fn of<'m>(matches: impl Iterator<Item = &'m Match>, unreadable: &[Unreadable]) -> Self {
        let matches = matches.map(|found| (found.record.event_id().unwrap_or_default(), found.record.hash()));
        let unreadable = unreadable.iter().map(|event| ("", &event.hash));
        let parts: BTreeSet<(&str, &[u8; 32])> = matches.chain(unreadable).collect();
        let mut digest = Sha256::new();
        for (id, hash) in parts {
            digest.update((id.len() as u64).to_be_bytes());
            digest.update(id);
            digest.update(hash);
        }
        let digest: [u8; 32] = digest.finalize().into();
        Self(std::array::from_fn(|index| digest[index]))
    }
}

impl Alert {
    /// The alert that a batch makes; `None` if there is nothing to tell.
    ///
    /// `beside` are records that no rule matches, and that yet say where credentials came from.
    #[must_use]
    pub fn new(origin: Origin, matches: Vec<Match>, unreadable: Vec<Unreadable>, beside: &[Record]) -> Option<Self> {
        let records: Vec<&Record> = matches.iter().map(|found| &found.record).collect();
        let issued = Issued::of(records.iter().copied().chain(beside));
        let attribution = Attribution::new(&records, &issued);
        Self::attributed(origin, matches.into_iter().enumerate().collect(), unreadable, &attribution)
    }

    /// The same where it was decided already who did what, over these matches and others: each comes with its record's
    /// index there.
    #[must_use]
    pub fn attributed(
        origin: Origin,
        matches: Vec<(usize, Match)>,
        unreadable: Vec<Unreadable>,
        attribution: &Attribution,
    ) -> Option<Self> {
        if matches.is_empty() && unreadable.is_empty() {
            return None;
        }
        let id = AlertId::of(matches.iter().map(|(_, found)| found), &unreadable);
        let mut actors = attribution.actors(matches);
        actors.sort_by_key(|actor| actor.actions[0].gravity());
        Some(Self {
            id,
            origin,
            actors,
            unreadable,
            held: Held::default(),
            may_be_repeated: false,
            without_ledger: false,
        })
    }

    /// What is left of it without the records that are known already; `None` if nothing is.
    pub(crate) fn without(mut self, known: impl Fn(&Record) -> bool) -> Option<Self> {
        self.actors.iter_mut().for_each(|actor| actor.actions.retain(|action| !known(&action.record)));
        self.actors.retain(|actor| !actor.actions.is_empty());
        (!self.actors.is_empty() || !self.unreadable.is_empty()).then_some(self)
    }

    /// The gravest severity in it. What can't be read may be anything, so it is HIGH.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let unreadable = (!self.unreadable.is_empty()).then_some(Severity::High);
        self.actors.iter().map(Actor::severity).chain(unreadable).min().unwrap_or(Severity::Low)
    }

    /// How many records matched.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.actors.iter().map(|actor| actor.actions.len()).sum()
    }

    /// The rules that matched, each once, by id.
    #[must_use]
    pub fn rules(&self) -> BTreeMap<&str, &Rule> {
        by_id(self.actors.iter().flat_map(|actor| &actor.actions).flat_map(|action| &action.rules))
    }

    /// The rules that what could not be read may match, each once, by id.
    #[must_use]
    pub(crate) fn possible_rules(&self) -> BTreeMap<&str, &Rule> {
        by_id(self.unreadable.iter().flat_map(|event| &event.rules))
    }
}

fn by_id<'a>(rules: impl Iterator<Item = &'a Arc<Rule>>) -> BTreeMap<&'a str, &'a Rule> {
    rules.map(|rule| (rule.id.as_str(), &**rule)).collect()
}

impl Actor {
    /// The gravest thing they did.
    #[must_use]
    pub fn gravest(&self) -> &Action {
        &self.actions[0]
    }

    /// The severity of the gravest thing they did.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.gravest().severity
    }

    /// The first account, alias, … that a record of theirs names.
    #[must_use]
    pub fn first<'a>(&'a self, of: impl Fn(&'a Record) -> Option<&'a str>) -> Option<&'a str> {
        self.actions.iter().find_map(|action| of(&action.record))
    }

    /// Each value that their records name, once, in order of gravity.
    #[must_use]
    pub fn each<'a>(&'a self, of: impl Fn(&'a Record) -> Option<&'a str>) -> Vec<&'a str> {
        let mut seen = BTreeSet::new();
        self.actions.iter().filter_map(|action| of(&action.record)).filter(|value| seen.insert(*value)).collect()
    }

    /// When they first and last acted, as far as the records say.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.actions.iter().filter_map(|action| action.record.event_time());
        times().min().zip(times().max())
    }
}

impl Action {
    pub(crate) fn new(found: Match, access: Access) -> Self {
        let category = consequence::category(&found.record);
        let severity = severity(&found, category, access);
        Self { record: found.record, rules: found.rules, received: found.received, category, severity }
    }

    /// Sorts the gravest first: by severity, with and without what the key adds to it, then by what the deed does and
    /// whether it worked, then the earliest.
    pub(crate) fn gravity(&self) -> (Severity, Severity, Gravity, Option<Timestamp>, Option<String>) {
        let deed = consequence::severity_of_deed(&self.record, self.category);
        let id = self.record.event_id().map(str::to_owned);
        (self.severity, deed, Gravity::of(&self.record, self.category), self.record.event_time(), id)
    }
}

/// The urgency of a match of this category, done by these means.
#[must_use]
pub fn severity(found: &Match, category: Category, access: Access) -> Severity {
    let severity = consequence::severity(&found.record, category, access);
    severity.max(bound(found, category).unwrap_or(Severity::Critical))
}

/// The gravest that a match may be: as its gravest rule has it. For root there is no bound, nor where a rule has no
/// severity, nor for whoever has a password: a rule about failed sign-ins thinks of those that prove nothing.
fn bound(found: &Match, category: Category) -> Option<Severity> {
    let gravest = found.rules.iter().map(|rule| rule.severity).min().flatten();
    gravest.filter(|_| !found.record.is_root() && category != Category::FailedSecondFactor)
}

impl Identity {
    fn of(record: &Record) -> Self {
        if record.is_root() {
            return Self::Root;
        }
        let (kind, name) = Self::parts(record);
        Self::Other { kind: kind.to_owned(), name: name.to_owned() }
    }

    /// The type and the name of who acted, whoever it was.
    fn parts(record: &Record) -> (&str, &str) {
        let named =
            || ["principalId", "userName", "invokedBy"].iter().find_map(|field| record.text(&["userIdentity", field]));
        (record.identity_type().unwrap_or_default(), record.arn().or_else(named).unwrap_or_default())
    }
}
