//! What was held back, so that neither bots nor a wrong log group can flood the topic: the next mail tells it, with
//! accounts, sources and counts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Action, Actor, Alert, Category, Identity, Severity};

/// The most accounts and the most sources that are counted one by one: whoever attacks can choose both without end.
const EACH_MAX: usize = 50;

/// The most bytes kept of an account or a source.
const NAME_MAX: usize = 64;

/// What anyone can cause without end, so that it makes one mail in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldKind {
    /// Sign-ins as root that failed at the password.
    SignIns,
    /// Requests to recover root's password. Anyone who knows the e-mail address can make one.
    Recoveries,
    /// Alerts of anybody else that are LOW in all they tell.
    Others,
}

/// What was held back of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many records.
    pub count: usize,
    /// How many in each account.
    pub accounts: Counts,
    /// How many from each source; of IPv6 the first 64 bits are one.
    pub sources: Counts,
    /// The first and the last, as far as the records say.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// How often each of many names came, in bounded memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// At most fifty names.
    pub each: BTreeMap<String, usize>,
    /// All others together.
    pub others: usize,
}

/// What was held back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Records, by kind.
    pub records: BTreeMap<HeldKind, Tally>,
    /// Log events that could not be read.
    pub unreadable: usize,
    /// Batches that could not be read.
    pub damaged: usize,
}

impl Counts {
    fn add(&mut self, name: &str) {
        let mut end = name.len().min(NAME_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = &name[..end];
        if self.each.contains_key(name) || self.each.len() < EACH_MAX {
            *self.each.entry(name.to_owned()).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    fn subtract(&mut self, told: &Self) {
        for (name, count) in &told.each {
            if let Some(left) = self.each.get_mut(name) {
                *left = left.saturating_sub(*count);
            }
        }
        self.each.retain(|_, count| *count > 0);
        self.others = self.others.saturating_sub(told.others);
    }
}

impl Tally {
    fn add(&mut self, action: &Action) {
        let record = &action.record;
        self.count += 1;
        self.accounts.add(record.account().unwrap_or("?"));
        let source = record.source_ip().unwrap_or("?");
        match source.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                self.sources.add(&format!("{:x}:{:x}:{:x}:{:x}::/64", a, b, c, d));
            }
            _ => self.sources.add(source),
        }
        if let Some(time) = record.event_time() {
            self.span = Some(self.span.map_or((time, time), |(from, to)| (from.min(time), to.max(time))));
        }
    }
}

impl Held {
    /// Adds what an alert would have told.
    pub fn add(&mut self, alert: &Alert) {
        for actor in &alert.actors {
            if let Some(kind) = HeldKind::of(actor) {
                let tally = self.records.entry(kind).or_default();
                actor.actions.iter().for_each(|action| tally.add(action));
            }
        }
        self.unreadable += alert.unreadable.len();
    }

    /// Takes off what a mail has told.
    pub(crate) fn subtract(&mut self, told: &Self) {
        for (kind, told) in &told.records {
            let Some(tally) = self.records.get_mut(kind) else { continue };
            tally.count = tally.count.saturating_sub(told.count);
            tally.accounts.subtract(&told.accounts);
            tally.sources.subtract(&told.sources);
        }
        self.records.retain(|_, tally| tally.count > 0);
        self.unreadable = self.unreadable.saturating_sub(told.unreadable);
        self.damaged = self.damaged.saturating_sub(told.damaged);
    }
}

impl HeldKind {
    /// The kind that all of an actor's actions are of; `None` if some of them are worth a mail at once.
    #[must_use]
    pub fn of(actor: &Actor) -> Option<Self> {
        let recovery = |action: &Action| {
            action.record.service() == Some("signin") && action.record.event_name() == Some("PasswordRecoveryRequested")
        };
        let sign_in = |action: &Action| action.category == Category::FailedSignIn;
        if actor.identity != Identity::Root {
            return (actor.severity() == Severity::Low).then_some(Self::Others);
        }
        if actor.actions.iter().all(sign_in) {
            return Some(Self::SignIns);
        }
        actor.actions.iter().all(|action| sign_in(action) || recovery(action)).then_some(Self::Recoveries)
    }
}
